"""The verdicts of a certificate by (answerer, corpus, partition): what passes alone, uncorrected, and on what facts.

Nothing here is an approval: only the claim approves, see `claim_card`. Takes every number as the certificate has it;
computes no statistics.
"""

from typing import NamedTuple

from markupsafe import Markup

from earmark.engine.design.compressors import Axis
from earmark.engine.report.axes import axis_words, budget_words, share_words
from earmark.engine.report.words import code, sentence, where
from earmark.engine.signoff.audit_entry import Chain, FamilyOverlap, Gain
from earmark.engine.signoff.certificate import Certificate
from earmark.engine.signoff.claim_entry import Claim
from earmark.engine.signoff.result_entry import BudgetEntry, CertifiedEntry, ResultEntry, ResultKey
from earmark.engine.signoff.walk_entry import WalkEntry

ALONE = "alone, uncorrected"
ON_ITS_WALK = "on its own walk"  # until it was decided: there is nothing beside what shares alpha

MethodSeed = tuple[str, int]  # method and seed
GroupKey = tuple[str, str, str]  # answerer, corpus, partition


class Group(NamedTuple):
    """Everything about one (answerer, corpus, partition); the most relevant result comes first."""

    answerer: str
    corpus: str
    partition: str
    results: list[ResultEntry]
    gains: list[Gain]
    chains: list[Chain]
    overlaps: list[FamilyOverlap]
    approved: dict[MethodSeed, float]  # the budget that the claim approves for a method and seed
    walks: list[WalkEntry]  # empty where everything was asked

    @property
    def where(self) -> Markup:
        """The names of the group, side by side."""
        return where(self.answerer, self.corpus, self.partition)

    @property
    def held(self) -> str:
        """How the verdicts of its methods hold."""
        return ON_ITS_WALK if self.walks else ALONE

    @property
    def by_itself(self) -> str:
        """In which sense one of its methods passes: `passes alone`, `passes on its own walk`."""
        return ON_ITS_WALK if self.walks else "alone"


class DecisionCard(NamedTuple):
    """What passes alone in a group on one axis at one tolerance, shown by one of its results."""

    tolerance: float
    by_itself: str  # in which sense it passes
    axis: str  # what its budgets are shares of; empty where all of the group's are alike
    headline: Markup
    result: ResultEntry
    certified: CertifiedEntry
    evidence: BudgetEntry | None  # the entry of `budgets` that the facts are taken from
    passes_at: str
    corrected: str  # the same at the level of the claim
    teller: str  # why it is shown by this result
    rivals: int  # how many methods and seeds were tried

    @property
    def passes(self) -> bool:
        """Whether the result passes alone below all of the audio."""
        return saves(self.certified.budget)

    @property
    def reason(self) -> str:
        """Why the result passes alone, and where, or why it does not."""
        reason = self.certified.reason
        return sentence(f"{self.by_itself} at {self.passes_at}: {reason}" if self.passes else reason)

    @property
    def next_step(self) -> str:
        """The certificate's advice; what passes alone is no advice to ship it."""
        if self.certified.next.action == "ship":
            return f"It passes {self.by_itself}; what may be shipped is what the claim approves."
        return sentence(self.certified.next.text)

    @property
    def unnamed(self) -> list[str]:
        """The families that the next step is about and that its sentence does not name."""
        following = self.certified.next
        return [family for family in following.families if family not in following.text]


def groups(certificate: Certificate) -> list[Group]:
    """The groups in the order of the certificate."""
    results_of: dict[GroupKey, list[ResultEntry]] = {}
    for result in certificate.results:
        results_of.setdefault(_key(result), []).append(result)
    return [_group(key, results, certificate) for key, results in results_of.items()]


def _group(key: GroupKey, results: list[ResultEntry], certificate: Certificate) -> Group:
    approved = _approved(certificate.claim, key[:2])
    ordered = sorted(results, key=lambda result: (_arm(result) not in approved, *_relevance(result)))
    return Group(
        *key,
        ordered,
        [entry for entry in certificate.gains if _key(entry) == key],
        [entry for entry in certificate.chains if _key(entry) == key],
        [entry for entry in certificate.overlaps if _key(entry) == key],
        approved,
        [walk for walk in certificate.walks if (walk.answerer, walk.corpus) == key[:2]],
    )


def _approved(claim: Claim, key: tuple[str, str]) -> dict[MethodSeed, float]:
    """What the claim approves for all families at once, by method and seed."""
    by_name = {candidate.name: candidate for candidate in claim.candidates}
    approved: dict[MethodSeed, float] = {}
    for entry in claim.approved:
        candidate = by_name[entry.candidate]
        if entry.budget is not None and (candidate.answerer, candidate.corpus) == key:
            approved |= {(candidate.method, seed): entry.budget for seed in candidate.seeds}
    return approved


def decisions(group: Group, claim: Claim) -> list[DecisionCard]:
    """One decision per axis and tolerance, in the order of the certificate."""
    axes = dict.fromkeys(result.axis for result in group.results)
    tolerances = [entry.tolerance for entry in group.results[0].certified]
    return [
        _decision(_on_axis(group, axis), i, tolerance, claim, axis_words(axis) if len(axes) > 1 else "")
        for axis in axes
        for i, tolerance in enumerate(tolerances)
    ]


def _on_axis(group: Group, axis: Axis | None) -> Group:
    """The methods of a group whose budgets are shares of the same."""
    results = [result for result in group.results if result.axis == axis]
    arms = {_arm(result) for result in results}
    approved = {arm: budget for arm, budget in group.approved.items() if arm in arms}
    return group._replace(results=results, approved=approved)


def _decision(group: Group, i: int, tolerance: float, claim: Claim, axis: str) -> DecisionCard:
    result = _teller(group, i)
    certified = result.certified[i]
    approved = group.approved.get(_arm(result)) if tolerance == claim.tolerance else None
    evidence = _passed_at(result, i) or nearest(result) if approved is None else budget_at(result, approved)
    n_passed = sum(saves(r.certified[i].budget) for r in group.results)
    return DecisionCard(
        tolerance=tolerance,
        by_itself=group.by_itself,
        axis=axis,
        headline=_headline(group, result, certified.budget, n_passed),
        result=result,
        certified=certified,
        evidence=evidence,
        passes_at=share_of(certified.budget, result.axis),
        corrected=corrected_words(result, tolerance, claim),
        teller=_teller_words(group, result, saves(certified.budget), approved is not None),
        rivals=len(group.results),
    )


def _teller(group: Group, i: int) -> ResultEntry:
    """The result of a group on one axis that shows a decision.

    Where something is approved, the worst seed of the method with the smallest budget; else what is nearest to passing.
    """
    if group.approved:
        method = min((budget, arm) for arm, budget in group.approved.items())[1][0]
        seeds = [r for r in group.results if r.method == method and _arm(r) in group.approved]
        if seeds:
            return max(seeds, key=lambda r: _order(r.certified[i].budget))
    return min(
        group.results,
        key=lambda r: (
            _order(r.certified[i].budget),
            _harm(_passed_at(r, i) or nearest(r)),
        ),
    )


def _teller_words(group: Group, result: ResultEntry, passes: bool, claimed: bool) -> str:
    """Why the decision is shown by a result: what is approved comes first, else what does best by itself."""
    if _arm(result) not in group.approved:
        return "Nearest to passing" if not passes else "Passes lowest"
    if not claimed:
        return "The approved method"
    seeds = sum(method == result.method for method, _ in group.approved)
    return "Approved, worst seed" if seeds > 1 else "Approved"


def _headline(group: Group, result: ResultEntry, budget: float | None, n_passed: int) -> Markup:
    """How many pass alone: which of them does best is no finding, since it was chosen on these answers."""
    n_tried = len(group.results)
    if n_tried == 1:
        if budget is not None and saves(budget):
            at = share_words(budget, result.axis)
            return Markup("{} passes {} at {}").format(code(result.method), group.by_itself, at)
        return Markup("{} does not pass {} below 100%").format(code(result.method), group.by_itself)
    verb = "passes" if n_passed <= 1 else "pass"
    by_itself = "on their own walks" if group.walks and n_passed > 1 else group.by_itself
    words = Markup("{} of {} methods and seeds {} {} below 100%")
    return words.format(n_passed or "None", n_tried, verb, by_itself)


def corrected_words(result: ResultEntry, tolerance: float, claim: Claim) -> str:
    """The smallest budget that passes at the level of the claim, or why there is none."""
    if result.corrected is not None and tolerance == result.corrected.tolerance:
        return share_of(result.corrected.budget, result.axis)
    if not claim.guaranteed:
        return "not by the paper's rule"
    return "not claimed" if tolerance == claim.tolerance else "not claimed at this tolerance"


def saves(budget: float | None) -> bool:
    """Whether a budget spares any audio."""
    return budget is not None and budget < 1


def share_of(budget: float | None, axis: Axis | None) -> str:
    """The smallest budget that passes, in words."""
    if budget is None:
        return "none"
    return budget_words(budget, axis) if budget < 1 else "none below 1"


def budget_at(result: ResultEntry, budget: float) -> BudgetEntry | None:
    """The entry of one evaluated budget."""
    return next((b for b in result.budgets if b.budget == budget), None)


def _passed_at(result: ResultEntry, i: int) -> BudgetEntry | None:
    """The entry of the budget that passes alone at a tolerance; None where none below 1 does."""
    budget = result.certified[i].budget
    return budget_at(result, budget) if budget is not None and saves(budget) else None


def nearest(result: ResultEntry) -> BudgetEntry | None:
    """The largest evaluated budget below 1: the reason of a failure speaks of it."""
    return max((b for b in result.budgets if b.budget < 1), key=lambda b: float(b.budget), default=None)


def _arm(result: ResultEntry) -> MethodSeed:
    return result.method, result.seed


def _key(entry: ResultKey | Gain) -> GroupKey:
    return entry.answerer, entry.corpus, entry.partition


def _order(budget: float | None) -> float:
    """A key that sorts budgets below 1 by size, and all others behind them."""
    return budget if budget is not None and budget < 1 else 2.0


def _harm(budget: BudgetEntry | None) -> float:
    """The worst family's excess at a budget, infinite where there is none."""
    return float("inf") if budget is None else float(budget.excess_family.estimate)


def _relevance(result: ResultEntry) -> tuple[float, float, str, int]:
    """A key that sorts results: smaller passing budgets first, then less harm, then by name."""
    passing = sum(_order(certified.budget) for certified in result.certified)
    return passing, _harm(nearest(result)), result.method, result.seed
