"""The claim of a made-up certificate, and what its results say of families and of the claim's level.

Consistent with the results that it is made from, as `certificate_example` makes them; measured by nobody.
"""

from typing import Any

Json = dict[str, Any]

ALPHA = 0.025
BASELINES = ("uniform", "random")
_STRICTER = 1.3  # times wider is an interval at the level of the claim


def family_of(family: str, n: int, hearing: str, shared: bool, rule: str, tolerances: tuple[float, ...]) -> Json:
    deaf = hearing != "listens"
    entry: Json = {
        "family": family,
        "n": n,
        "recordings": n // 3 if shared else n,
        "raw_accuracy": 0.875,
        "chance": 0.25,
        "p_guessing": 0.0002,
        "silence_accuracy": 0.875 if deaf else 0.275,
        "silence_same": 0.96875 if deaf else 0.3125,
        "silence_p": 0.0011 if deaf else 1.0,
        "silence_lower": -0.0125 if deaf else 0.5375,
        "hearing": hearing,
    }
    if rule == "paper":
        return entry
    return entry | {
        "test": "bets" if shared else "exact",
        "estimand": "recordings" if shared else "rows",
        "units": entry["recordings"],
        "unit": "recordings" if shared else "rows",
        "fewest": [round(3.7 / tolerance) for tolerance in tolerances],
        "fewest_corrected": round(4.2 / tolerances[0]),
    }


def complete(result: Json, claim: Json, shared: bool, rule: str) -> None:
    """What the certified rule adds to a result, and what depends on the claim."""
    certified = rule == "certified"
    if shared:
        result |= {"sources": result["n"] // 3, "resampling": "source"}
    tolerances = [c["tolerance"] for c in result["certified"]]
    result["average"] = None
    if certified:
        result["average"] = {
            "test": "bets" if shared else "exact",
            "estimand": "recordings" if shared else "rows",
            "units": result["sources"],
            "unit": "recordings" if shared else "rows",
            "tested": [False] * len(tolerances),
        }
    for b in result["budgets"]:
        off = -0.001 if shared and not b["implied"] else 0.0
        b["excess_average_recordings"] = b["excess_average"]["estimate"] + off if certified else None
        b["excess_family_tested"] = b["excess_family"]["estimate"] + off if certified else None
        for f in b["families"]:
            f["excess_recordings"] = f["excess"] + off if certified else None
            passing = [f["upper"] is not None and f["upper"] <= t for t in tolerances]
            f["p"] = [0.0042 if passes else 0.31 for passes in passing] if certified else None
            f["probability_loss_ratio"] = None if b["implied"] else 0.5625
    if certified:
        for c in result["certified"]:
            c["first_failure"] = _failure(result, c["budget"], c["tolerance"])
    else:
        result["routing"] = []
    claimed = certified and claim["level"] is not None and _is_candidate(result, claim)
    result["corrected"] = _corrected(result, claim) if claimed else None


def _is_candidate(result: Json, claim: Json) -> bool:
    return any(_of(candidate, result) for candidate in claim["candidates"])


def _of(candidate: Json, result: Json) -> bool:
    same = all(candidate[name] == result[name] for name in ("answerer", "corpus", "method"))
    return same and result["seed"] in candidate["seeds"]


def _corrected(result: Json, claim: Json) -> Json:
    tolerance = claim["tolerance"]
    budget = _passes_corrected(result, tolerance)
    return {
        "tolerance": tolerance,
        "level": claim["level"],
        "budget": budget,
        "first_failure": _failure(result, budget, tolerance),
    }


def _passes_corrected(result: Json, tolerance: float) -> float | None:
    """The smallest budget of a walk with wider intervals."""
    smallest = None
    for b in reversed(result["budgets"]):
        ends = [b["excess_average"], b["excess_family"]]
        if any(f["rare"] for f in b["families"]) or any(e["upper"] is None for e in ends):
            reach = 0.0 if b["implied"] else 1.0
        else:
            reach = max(e["estimate"] + _STRICTER * (e["upper"] - e["estimate"]) for e in ends)
        if reach > tolerance:
            break
        smallest = b["budget"]
    return smallest


def _failure(result: Json, passed: float | None, tolerance: float) -> Json | None:
    """Where a walk stopped that passed down to a budget."""
    below = [b for b in result["budgets"] if b["budget"] < (passed or 2)]
    if not below:
        return None
    b = below[-1]
    worst = next(f for f in b["families"] if f["family"] == b["worst_family"])
    return {
        "budget": b["budget"],
        "family": worst["family"],
        **{field: worst[field] for field in ("n", "plus", "minus")},
        "p": 0.31,
        "units": worst["n"],
        "unit": "rows",
        "needed": 4321 if worst["excess"] < tolerance else None,
        "reason": f"'{worst['family']}' may be above {tolerance:g}: p = 0.31 at level 0.0083",
        "missing": False,
        "undecided": False,
    }


def claim_of(
    results: list[Json],
    tolerances: tuple[float, ...],
    rule: str,
    kind: str,
    declared: tuple[str, ...],
    hearing: dict[str, str],
    allowed: tuple[str, ...],
    withheld: tuple[str, ...],
    deployable: bool,
) -> Json:
    arms: dict[tuple[str, str, str], list[int]] = {}
    for r in results:
        seeds = arms.setdefault((r["answerer"], r["corpus"], r["method"]), [])
        seeds += [] if r["seed"] in seeds else [r["seed"]]
    chosen = [key for key in arms if (key[2] in declared if declared else key[2] not in BASELINES)] or list(arms)
    several = len({key[:2] for key in arms}) > 1
    level = None if kind == "routing" else ALPHA / len(chosen) / (2 if kind == "both" else 1)
    deaf = [f for f, heard in hearing.items() if heard in ("vacuous", "text", "guesses", "constant")]
    candidates = [
        _candidate(key, arms[key], several, results, tolerances[0], kind, [f for f in deaf if f not in allowed])
        for key in chosen
    ]
    found = [entry for c in candidates if not c["deaf"] for entry in _shipped(c, kind)]
    approved = [] if withheld else found
    return {
        "kind": kind,
        "tolerance": tolerances[0],
        "tolerance_average": tolerances[0],
        "guaranteed": rule == "certified",
        "alpha": ALPHA,
        "k": len(candidates),
        "declared": bool(declared),
        "level": level,
        "routing_level": None if kind == "budget" else ALPHA / len(chosen) / (2 if kind == "both" else 1),
        "candidates": candidates,
        "approved": approved,
        "withheld": list(withheld),
        "not_made": [
            {
                "candidate": c["name"],
                "kind": "routing",
                "retained": c["policy"]["retained"],
                "declare": 'claim = "routing" in [rule], before the answers are there: certify new rows alone with it',
            }
            for c in candidates
            if kind == "budget" and c["budget"] is None and _routes(c)
        ],
        "policies": [
            _policy(c, tolerances[0], deployable) for c in candidates for a in approved if _routed_by(a, c["name"])
        ],
    }


def _candidate(
    key: tuple[str, str, str],
    seeds: list[int],
    several: bool,
    results: list[Json],
    tolerance: float,
    kind: str,
    deaf: list[str],
) -> Json:
    names = {"answerer": key[0], "corpus": key[1], "method": key[2], "seeds": seeds}
    mine = [r for r in results if _of(names, r)]
    passed = [_passes_corrected(r, tolerance) for r in mine]
    smallest = max((1.0 if p is None else p for p in passed), default=1.0)
    budget = smallest if smallest < 1 and kind != "routing" else None
    worst = max(mine, key=lambda r: _passes_corrected(r, tolerance) or 2)
    failure = _failure(worst, budget or 1.0, tolerance)
    stopped = None if failure is None else {"seed": worst["seed"], "partition": worst["partition"], **failure}
    reason = "every family passes at its own budget" if budget is None else f"every family passes at {budget:g}"
    if kind != "routing" and budget is None:
        reason = f"at {stopped['budget']:g}, {stopped['reason']}" if stopped else "no budget below 1 was evaluated"
    resting = deaf if budget is not None or kind != "budget" else []
    policies = mine[0]["routing"]
    return {
        "name": "/".join(key) if several else key[2],
        **names,
        "budget": budget,
        "retained": budget,
        "reason": "; ".join(f"'{f}' (88% right on raw audio, chance 25%) is vacuous" for f in resting) or reason,
        "stopped": None if kind == "routing" else stopped,
        "policy": {"partition": mine[0]["partition"], **policies[0]} if policies else None,
        "deaf": resting,
    }


def _shipped(candidate: Json, kind: str) -> list[Json]:
    name, budget = candidate["name"], candidate["budget"]
    found = [] if budget is None else [{"candidate": name, "kind": "budget", "budget": budget, "retained": budget}]
    if kind != "budget" and _routes(candidate):
        retained = candidate["policy"]["retained"]
        found.append({"candidate": name, "kind": "routing", "budget": None, "retained": retained})
    return found


def _routes(candidate: Json) -> bool:
    return candidate["policy"] is not None and candidate["policy"]["retained"] < 1


def _routed_by(approved: Json, name: str) -> bool:
    return (approved["kind"], approved["candidate"]) == ("routing", name)


def _policy(candidate: Json, tolerance: float, deployable: bool) -> Json:
    return {
        **{name: candidate[name] for name in ("answerer", "corpus", "method", "seeds")},
        "tolerance": tolerance,
        "partition": "query_family",
        "retained": candidate["policy"]["retained"],
        "families": [{name: route[name] for name in ("family", "budget")} for route in candidate["policy"]["families"]],
        "unknown": 1.0,
        "deployable": deployable,
        "tell": {"rule": "keyword", "of": "the category text that a question comes with"}
        if deployable
        else {"rule": "native", "reason": "families are labels of the benchmark"},
    }
