"""How large a family must be for the rule to test it, for the commands that look at a corpus."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earmark.engine.design.rule import Rule


def fewest_recordings(rule: "Rule", n_candidates: int = 1) -> Callable[[int, int], int]:
    """A function from the rows and recordings of a family to the recordings it needs to pass if no answer changes.

    The smallest tolerance of the rule is assumed.
    """
    from earmark.engine.signoff.rules.group_tests import fewest_units
    from earmark.engine.signoff.rules.units import choose_test

    tolerance, alpha = min(rule.tolerances), rule.look_alpha / n_candidates
    return lambda rows, recordings: fewest_units(choose_test(rows, recordings, rule), tolerance, alpha)
