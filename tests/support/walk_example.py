"""The planted certificate of `certificate_example` as a run that stopped when it was decided would have it.

Every method goes down its budgets to one at which its first family is given up; numbers are measured by nobody.
"""

import math
from typing import Any

from certificate_example import certificate

Json = dict[str, Any]
STOP = 0.4  # budget at which every walk ends
LOOKED, OF = 48, 300  # rows of a family where it ends, and in all
LEVEL = 0.025


def decided_certificate(*, completed: bool = False, points: int = 12, **options: Any) -> Json:
    """A certificate with walks; `completed`: everything was asked afterwards."""
    made = certificate(comparisons=completed, **options)
    for result in made["results"]:
        if not completed:
            result["frontiers"] = []
            result["budgets"] = [entry for entry in result["budgets"] if entry["budget"] >= STOP]
    keys = {(r["answerer"], r["corpus"], r["method"], r["seed"]): r for r in made["results"]}
    made["walks"] = [_walk(key, made["results"], points, completed) for key in keys]
    return made


def _walk(key: tuple[Any, ...], results: list[Json], points: int, completed: bool) -> Json:
    own = [r for r in results if (r["answerer"], r["corpus"], r["method"], r["seed"]) == key]
    families = [(r["partition"], family["family"]) for r in own for family in r["families"]]
    n, budgets = OF * len(families), (0.8, 0.6, STOP, 0.2, 0.1)
    tests = [
        _test(partition, family, budget, _state(budget, place), points)
        for budget in budgets
        if budget >= STOP
        for place, (partition, family) in enumerate(families)
    ]
    rows = {b: sum(test["asked"] for test in tests if test["budget"] == b) for b in budgets}
    return {
        **dict(zip(("answerer", "corpus", "method", "seed"), key, strict=True)),
        "asked": [{"budget": b, "rows": n if completed else rows[b], "of_rows": n} for b in budgets],
        "tests": tests,
    }


def _state(budget: float, place: int) -> str:
    """How a test ends: all pass above the last budget, where the first family ends the walk."""
    if budget > STOP:
        return "passed" if place == 0 else "passed early"
    return "given up" if place == 0 else "open"


def _test(partition: str, family: str, budget: float, state: str, points: int) -> Json:
    goal = math.log(20 / LEVEL)
    asked = OF if state == "passed" else 100 if state == "passed early" else LOOKED
    peak = goal + 0.1 if state == "passed early" else 1.5
    visits = [{"units": asked * i // points, "log_capital": peak * i / points} for i in range(1, points + 1)]
    return {
        "partition": partition,
        "family": family,
        "budget": budget,
        "tolerance": 0.02,
        "claim": "budget",
        "level": LEVEL,
        "state": state,
        "asked": asked,
        "of": OF,
        "unit": "rows",
        "plus": 9,
        "minus": 2,
        "p": 0.01 if state.startswith("passed") else 0.5,
        "peak": peak,
        "peak_at": asked,
        "passing_peak": goal,
        "path": visits,
    }
