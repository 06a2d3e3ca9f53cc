"""What each test may spend of alpha. Knows the rule and how many candidates there are."""

from typing import NamedTuple

from earmark.engine.design.rule import Rule


class Levels(NamedTuple):
    """What a test may spend: for an arm's own verdict, and for its part in the one guarantee."""

    look: float
    budget: float | None  # None: no budget is claimed
    routing: float  # or would be, if it were claimed


def levels(rule: Rule, k: int, *, decided: bool = False) -> Levels:
    """k candidates divide alpha, and so do the two kinds of claim where both are made.

    A walk that stops when it is `decided` has no verdicts beside those that share alpha: it asks for nothing else.
    """
    share = rule.look_alpha / k / (2 if rule.claim == "both" else 1)
    return Levels(share if decided else rule.look_alpha, None if rule.claim == "routing" else share, share)
