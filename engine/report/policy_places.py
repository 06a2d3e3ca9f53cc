"""Where a routing policy sends families, and whether it can: for the page, the model card and the terminal."""

from typing import NamedTuple

from earmark.engine.report.numbers import percent
from earmark.engine.signoff.claim_entry import CandidatePolicy, DeployedPolicy


class PolicyPlace(NamedTuple):
    """The families that a policy sends to one place, which is a budget or raw audio."""

    place: str
    families: list[str]


def stops(policy: CandidatePolicy | None) -> list[PolicyPlace]:
    """The families of a policy by the place they go to, from the smallest budget up; raw audio is last."""
    places: dict[tuple[float, bool], list[str]] = {}
    for route in policy.families if policy else ():
        places.setdefault((route.budget, not route.tested), []).append(route.family)
    return [PolicyPlace(_place(budget, untested), places[budget, untested]) for budget, untested in sorted(places)]


def _place(budget: float, untested: bool) -> str:
    """Where a family goes, in words."""
    if budget < 1:
        return percent(budget)
    return "raw, untested" if untested else "raw audio"


def untold(policy: DeployedPolicy) -> str:
    """Why families cannot be told from a question, so that the policy cannot be deployed as it is; else empty."""
    return "" if policy.deployable else str(policy.tell.get("reason", "its families cannot be told from a question"))
