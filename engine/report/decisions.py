"""The decisions of a certificate in the order of a reader: groups of results, headlines, the facts behind them.

A group is (answerer, corpus, partition); its decision at a tolerance is the smallest approved budget of any method and
seed. Takes every number as the certificate has it; computes no statistics.
"""

from typing import Any, NamedTuple

from markupsafe import Markup

from earmark.engine.report.numbers import Unit, percent

Json = dict[str, Any]

REFUSED = Markup("No budget below 1 is approved")


class Group(NamedTuple):
    """Everything about one (answerer, corpus, partition); the most relevant result comes first."""

    answerer: str
    corpus: str
    partition: str
    results: list[Json]
    gains: list[Json]
    chains: list[Json]
    overlaps: list[Json]

    @property
    def where(self) -> Markup:
        return where(self.answerer, self.corpus, self.partition)


class Routed(NamedTuple):
    """A policy that sends each family to a budget of its own."""

    result: Json
    policy: Json

    @property
    def raw(self) -> list[str]:
        """The families that need all of their audio."""
        return [route["family"] for route in self.policy["families"] if route["budget"] == 1]

    @property
    def compressed(self) -> list[Json]:
        """The others, from the smallest budget up."""
        return sorted((r for r in self.policy["families"] if r["budget"] < 1), key=lambda r: float(r["budget"]))


class Decision(NamedTuple):
    """What a group may do at one tolerance, told by its best result, or by the one nearest to approval."""

    group: Group
    tolerance: float
    approved: bool
    headline: Markup
    result: Json
    certified: Json
    evidence: Json | None  # the entry of `budgets` that the facts are taken from
    budget: str
    rivals: int  # methods and seeds that were tried
    passed: int  # how many of them have an approved budget
    routed: Routed | None  # where sending each family to a budget of its own keeps less audio

    @property
    def unnamed(self) -> list[str]:
        """The families that the next step is about and that its sentence does not name."""
        following = self.certified["next"]
        return [family for family in following["families"] if family not in following["text"]]


def groups(certificate: Json) -> list[Group]:
    """The groups in the order of the certificate."""
    found: dict[tuple[str, str, str], list[Json]] = {}
    for result in certificate["results"]:
        found.setdefault(_key(result), []).append(result)
    others = {
        field: [(_key(entry), entry) for entry in certificate[field]] for field in ("gains", "chains", "overlaps")
    }
    return [
        Group(
            *key,
            sorted(results, key=_relevance),
            *([entry for k, entry in entries if k == key] for entries in others.values()),
        )
        for key, results in found.items()
    ]


def decisions(group: Group, rule: Json) -> list[Decision]:
    """One decision per tolerance, in the order of the certificate."""
    found = []
    for i, entry in enumerate(group.results[0]["certified"]):
        candidates = [(result, result["certified"][i]) for result in group.results]
        passed = [(r, c) for r, c in candidates if saves(c["budget"])]
        if passed:
            result, certified = min(passed, key=lambda rc: (rc[1]["budget"], _harm(budget_at(rc[0], rc[1]["budget"]))))
            evidence = budget_at(result, certified["budget"])
            headline = _ship(group, result, certified["budget"])
        else:
            result, certified = min(candidates, key=lambda rc: _harm(nearest(rc[0])))
            evidence = nearest(result)
            headline = REFUSED
        found.append(
            Decision(
                group=group,
                tolerance=entry["tolerance"],
                approved=bool(passed),
                headline=headline,
                result=result,
                certified=certified,
                evidence=evidence,
                budget=approved_budget(certified["budget"]),
                rivals=len(candidates),
                passed=len(passed),
                routed=_routed(result, i, certified["budget"], rule),
            )
        )
    return found


def _routed(result: Json, i: int, approved: float | None, rule: Json) -> Routed | None:
    """The policy of the decision's own result: the cheapest of all methods would be a choice on these answers."""
    if not result["routing"] or rule["tolerance_average"] is not None:  # it claims the family's tolerance only
        return None
    policy = result["routing"][i]
    return Routed(result, policy) if policy["retained"] < (approved or 1) - 1e-9 else None


def headline(found: list[Decision], unit: Unit) -> Markup:
    """The one sentence on top of the page."""
    if not found:
        return Markup("Nothing was certified")
    if len(found) == 1:
        return found[0].headline
    approved = [d for d in found if d.approved]
    if not approved:
        return REFUSED
    if len({(d.group.answerer, d.group.corpus) for d in found}) == 1:
        for tolerance in sorted({d.tolerance for d in approved}):
            shipped = _everywhere([d for d in found if d.tolerance == tolerance])
            if shipped is not None:
                return Markup("{}, within {}").format(shipped, unit.tolerance(tolerance))
    share = "all" if len(approved) == len(found) else f"{len(approved)} of"
    return Markup("A budget below 1 is approved in {} {} decisions").format(share, len(found))


def _everywhere(found: list[Decision]) -> Markup | None:
    """The smallest budget of one method and seed that is approved under every partition."""
    if len(found) == 1:
        return found[0].headline if found[0].approved else None
    approved = [_approvals(d) for d in found]
    common = [choice for choice in approved[0] if all(choice in others for others in approved[1:])]
    if not common:
        return None
    budget, method, seed = min(common, key=lambda choice: choice[0])  # the most relevant result among equals
    result = next(r for r in found[0].group.results if (r["method"], r["seed"]) == (method, seed))
    ship = _ship(found[0].group, result, budget)
    return Markup("{} under every partition").format(ship)


def _approvals(decision: Decision) -> list[tuple[float, str, int]]:
    """Every (budget, method, seed) that saves audio and is approved at the tolerance, most relevant results first."""
    return [
        (entry["budget"], result["method"], result["seed"])
        for result in decision.group.results
        for entry in result["budgets"]
        for d in entry["decisions"]
        if saves(entry["budget"]) and d["tolerance"] == decision.tolerance and d["decision"] == "approve"
    ]


def _ship(group: Group, result: Json, budget: float) -> Markup:
    """The headline of an approval; the seed is told where the method has several."""
    seeds = {r["seed"] for r in group.results if r["method"] == result["method"]}
    seed = f" (seed {result['seed']})" if len(seeds) > 1 else ""
    return Markup("Ship <code>{}</code>{} at {} of the audio").format(result["method"], seed, percent(budget))


def saves(budget: float | None) -> bool:
    """Whether an approved budget spares any audio."""
    return budget is not None and budget < 1


def approved_budget(budget: float | None) -> str:
    if budget is None:
        return "none"
    return percent(budget) if budget < 1 else "none below 1"


def budget_at(result: Json, budget: float) -> Json | None:
    """The entry of one evaluated budget."""
    return next((b for b in result["budgets"] if b["budget"] == budget), None)


def nearest(result: Json) -> Json | None:
    """The largest evaluated budget below 1: the reason of a refusal speaks of it."""
    return max((b for b in result["budgets"] if b["budget"] < 1), key=lambda b: float(b["budget"]), default=None)


def who(result: Json) -> Markup:
    """Method and seed."""
    return Markup("<code>{}</code>, seed {}").format(result["method"], result["seed"])


def where(*names: str) -> Markup:
    """Names side by side, each isolated from the writing direction of the others."""
    return Markup(" · ").join(Markup("<bdi>{}</bdi>").format(name) for name in names)


def sentence(words: str) -> str:
    """A fragment as a sentence: a capital in front, a full stop behind."""
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


def tolerance_words(tolerance: float, average: float | None, unit: Unit) -> str:
    """The tolerance of the worst family, and that of the average where it is another."""
    words = unit.tolerance(tolerance)
    return words if average is None else f"{words} (average {unit.tolerance(average)})"


def _key(entry: Json) -> tuple[str, str, str]:
    return entry["answerer"], entry["corpus"], entry["partition"]


def _harm(budget: Json | None) -> float:
    return float("inf") if budget is None else float(budget["excess_family"]["estimate"])


def _relevance(result: Json) -> tuple[float, float, str, int]:
    """Smaller approved budgets first, then less harm, then by name."""
    approved = sum(c["budget"] if saves(c["budget"]) else 2 for c in result["certified"])
    return approved, _harm(nearest(result)), result["method"], result["seed"]
