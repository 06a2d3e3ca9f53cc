"""The one guarantee: what may be shipped on these outcomes, with one bounded chance of being wrong in any of it.

Candidates are alternatives, so alpha is divided among them; partitions and training seeds are conjunctions, which must
all hold and cost nothing. Only the first tolerance is claimed. What the tests show may still be withheld: where another
rule was declared, where families do not listen, where not all rows are in. Knows verdicts of tests; no files.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError, choose
from earmark.engine.signoff.claim_entry import (
    CandidatePolicy,
    CandidateStop,
    Claim,
    ClaimCandidate,
    DeployedPolicy,
    Shipped,
    UnclaimedRouting,
)
from earmark.engine.signoff.excess import Observed
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.pair import Curve, CurveKey
from earmark.engine.signoff.result_entry import DEAF, FamilyHearing
from earmark.engine.signoff.rules import certified, routing
from earmark.engine.signoff.rules.advice import NAMED
from earmark.engine.signoff.rules.certified import Tested
from earmark.engine.signoff.rules.judgement import Corrected, Judgement, Policy
from earmark.engine.signoff.rules.routing import AlphaShares
from earmark.engine.signoff.rules.spending import Levels

BASELINES = ("uniform", "random")  # no candidates, unless they are declared or alone


class CandidateCurve(NamedTuple):
    """A method in one of its seeds, under one answerer."""

    answerer: str
    corpus: str
    method: str
    seed: int


class Candidate(NamedTuple):
    """What may be shipped: a method under one answerer, all of its seeds or one."""

    name: str
    answerer: str
    corpus: str
    method: str
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """What the tests show of one candidate."""

    candidate: Candidate
    budget: float | None  # the smallest that passes with every larger one; None: none below 1 does
    retained: float | None  # mean share of audio there
    stop: CandidateStop | None
    policy: Policy | None  # that routing finds, whether it is claimed or not; None where there is one family
    partition: str | None  # by whose families it routes
    deaf: tuple[FamilyHearing, ...]  # families that no approval can rest on
    would_be_deaf: frozenset[str] = frozenset()  # all families that do not listen
    copied: tuple[float, ...] = ()  # budgets that pass because every row is raw audio: nothing was compressed


class Judged(NamedTuple):
    """A curve under a partition: its tests, and its walk at the level of the claim."""

    curve: Curve
    partition: str
    families: Families
    tested: Tested
    corrected: Corrected | None  # None: no budget is claimed


def candidates(declared: Sequence[str], arms: Collection[CandidateCurve]) -> tuple[Candidate, ...]:
    """The declared candidates, or every method but the baselines; InputError for a name that nothing has.

    A name is METHOD, ANSWERER/METHOD or ANSWERER/CORPUS/METHOD, each with @SEED for one seed of it alone.
    """
    seeds: dict[tuple[str, str, str], list[int]] = {}
    for arm in sorted(arms):
        seeds.setdefault(arm[:3], []).append(arm.seed)
    several = len({key[:2] for key in seeds}) > 1
    if not declared:
        chosen = [key for key in seeds if key[2] not in BASELINES] or list(seeds)
        return tuple(Candidate(_name(key, several), *key, tuple(seeds[key])) for key in chosen)
    candidate_of: dict[tuple[tuple[str, str, str], tuple[int, ...]], Candidate] = {}
    for wanted in declared:
        matching = [
            (key, named_seeds)
            for key, method_seeds in seeds.items()
            for name, named_seeds in _names(key, method_seeds)
            if name == wanted
        ]
        if not matching:
            do = choose(wanted, dict.fromkeys(key[2] for key in seeds))
            raise InputError(f"candidate {wanted}", "is no method of the run", do)
        for key, named_seeds in matching:
            name = _name(key, several) + ("" if named_seeds == tuple(seeds[key]) else f"@{named_seeds[0]}")
            candidate_of.setdefault((key, named_seeds), Candidate(name, *key, named_seeds))
    return tuple(candidate_of.values())


def _name(key: tuple[str, str, str], several: bool) -> str:
    return "/".join(key) if several else key[2]


def _names(key: tuple[str, str, str], seeds: Sequence[int]) -> list[tuple[str, tuple[int, ...]]]:
    """All names that a declaration may use for a method, with the seeds that each of them means."""
    answerer, corpus, method = key
    names = (method, f"{answerer}/{method}", f"{answerer}/{corpus}/{method}")
    return [
        *((name, tuple(seeds)) for name in names),
        *((f"{name}@{seed}", (seed,)) for name in names for seed in seeds),
    ]


# Deciding ----------------------------------------------------------------------------------------------------


def decide(
    candidate: Candidate,
    judged: Sequence[Judged],
    hearing: Mapping[str, Sequence[FamilyHearing]],
    rule: Rule,
    levels: Levels,
) -> Decided:
    """What the tests show of a candidate; `judged` are its curves under every partition, `hearing` is by partition."""
    budget, retained, stop = None, None, None
    copied: tuple[float, ...] = ()
    if levels.budget is not None:
        stop = _stop(candidate, judged)
        copied = _copied([subject.curve for subject in judged], 0.0 if stop is None else stop.budget)
        budget = _smallest(judged, stop, copied)
        retained = None if budget is None else _retained(judged, budget)
    routable = [subject for subject in judged if subject.tested.claimed_routing is not None]
    policy = _policy(candidate, routable, rule)
    partition = routable[0].partition if routable else None
    routed = policy if rule.claim in ("routing", "both") else None
    would_be_deaf = frozenset(f.family for families in hearing.values() for f in families if f.hearing in DEAF)
    deaf = _deaf(budget, dict.fromkeys(subject.partition for subject in judged), partition, routed, hearing, rule)
    return Decided(candidate, budget, retained, stop, policy, partition, deaf, would_be_deaf, copied)


def _policy(candidate: Candidate, judged: Sequence[Judged], rule: Rule) -> Policy | None:
    """The smallest budget of every family that all seeds reach; None with one family, or where a seed is missing."""
    if {subject.curve.key.seed for subject in judged} != set(candidate.seeds) or len(judged[0].families.names) < 2:
        return None
    budgets = sorted(
        set.intersection(*(set(subject.curve.budgets.tolist()) for subject in judged))
        - set(_copied([subject.curve for subject in judged]))
    )
    # No route goes below a budget that some seed lacks, or that was declared and has no outcomes.
    barrier = max((stop.budget for stop in _budgets_of_others(judged)), default=0.0)
    barrier = max([barrier, *(budget for subject in judged for budget in subject.curve.missing)])
    p, kept = [], []
    for subject in judged:
        assert subject.tested.claimed_routing is not None, "only these were chosen"
        columns = [subject.curve.budgets.tolist().index(budget) for budget in budgets]
        p_there = np.where(certified.is_raw(subject.curve), 0.0, subject.tested.claimed_routing.p)[:, columns]
        p.append(np.where(np.array(budgets) > barrier, p_there, 1.0))
        kept.append(certified.mean_kept(subject.curve, subject.families)[:, columns])
    splits = [subject.tested.claimed_routing.shares for subject in judged if subject.tested.claimed_routing is not None]
    least = AlphaShares(
        min(shares.each for shares in splits), np.logical_and.reduce([shares.tested for shares in splits])
    )
    families = judged[0].families
    return routing.policy(np.max(p, axis=0), budgets, np.mean(kept, axis=0), families, rule.tolerances[0], least)


def _stop(candidate: Candidate, judged: Sequence[Judged]) -> CandidateStop | None:
    """The largest budget at which any curve fails under any partition; None where all pass to the end."""
    missing = [seed for seed in candidate.seeds if seed not in {subject.curve.key.seed for subject in judged}]
    if missing:
        return CandidateStop(missing[0], None, *certified.absent(1.0, f"seed {missing[0]}"))
    stops = [*_budgets_of_others(judged)]
    for subject in judged:
        assert subject.corrected is not None, "a candidate's curves are tested at the claim's level"
        failure = subject.corrected.first_failure
        if failure is not None:
            partition = None if failure.missing else subject.partition
            stops.append(CandidateStop(subject.curve.key.seed, partition, *failure))
    return max(stops, key=lambda stop: (stop.budget, stop.p), default=None)


def _budgets_of_others(judged: Sequence[Judged]) -> list[CandidateStop]:
    """A stop for each curve that lacks budgets which another seed of the candidate has."""
    all_budgets = {budget for subject in judged for budget in subject.curve.budgets.tolist()}
    return [
        CandidateStop(subject.curve.key.seed, None, *certified.absent(max(lacking), f"seed {subject.curve.key.seed}"))
        for subject in judged
        if (lacking := all_budgets - set(subject.curve.budgets.tolist()))
    ]


def _smallest(judged: Sequence[Judged], stop: CandidateStop | None, copied: Collection[float]) -> float | None:
    """The smallest budget below 1 that is above the stop and compresses; None where there is none."""
    above = 0.0 if stop is None else stop.budget
    budgets = {budget for subject in judged for budget in subject.curve.budgets.tolist()}
    return min((budget for budget in budgets if above < budget < 1 and budget not in copied), default=None)


def _copied(curves: Sequence[Curve], above: float = 0.0) -> tuple[float, ...]:
    """The budgets, ascending, at which every row of some curve is raw audio, by the hashes of what was kept."""
    return tuple(
        sorted(
            {
                float(budget)
                for curve in curves
                if curve.copies is not None
                for budget, share in zip(curve.budgets, curve.copies, strict=True)
                if above < budget < 1 and share == 1
            }
        )
    )


def _retained(judged: Sequence[Judged], budget: float) -> float:
    """Mean share of a clip's chunks at a budget, over seeds."""
    shares = []
    for subject in judged:
        b = subject.curve.budgets.tolist().index(budget)
        share = subject.curve.kept_share(b)
        shares.append(budget if share is None else float(share.mean()))
    return float(np.mean(shares))


def _deaf(
    budget: float | None,
    partitions: Iterable[str],
    routed_by: str | None,
    policy: Policy | None,
    hearing: Mapping[str, Sequence[FamilyHearing]],
    rule: Rule,
) -> tuple[FamilyHearing, ...]:
    """Families that do not listen and are part of what would be approved, unless they were declared as such.

    All are a part of one budget for everything, whether it passes or not.
    """
    routed = {route.family for route in policy.families if route.budget < 1} if policy else set()
    by_name: dict[str, FamilyHearing] = {}
    for partition in partitions:
        for family in hearing.get(partition, ()):
            of_budget = budget is not None or rule.claim == "budget"
            decides = of_budget or (partition == routed_by and family.family in routed)
            if decides and family.is_deaf(rule.allow_vacuous):
                by_name.setdefault(family.family, family)
    return tuple(by_name.values())


def shipped(decided: Decided, rule: Rule) -> list[Shipped]:
    """What is approved of a candidate, unless it rests on families that do not listen."""
    if decided.deaf:
        return []
    approvals = []
    if decided.budget is not None and decided.retained is not None:
        approvals.append(Shipped(decided.candidate.name, "budget", decided.budget, decided.retained))
    policy = decided.policy
    if rule.claim != "budget" and policy is not None and any(route.budget < 1 for route in policy.families):
        approvals.append(Shipped(decided.candidate.name, "routing", None, policy.retained))
    return approvals


def curve_keys(candidates: Sequence[Candidate], stream: str) -> set[CurveKey]:
    """The keys of the curves of all candidates, in one stream."""
    return {CurveKey(c.answerer, c.corpus, c.method, seed, stream) for c in candidates for seed in c.seeds}


def corrected(
    curve: Curve, families: Families, observed: Observed, tested: Tested, rule: Rule, levels: Levels
) -> Corrected | None:
    """A curve's own walk at the claim's level and first tolerance; None where it is no part of a claim of a budget."""
    if levels.budget is None or tested.claimed is None:
        return None
    groups = tested.groups_at(rule.tolerances[0])
    walk = certified.walk_down(tested.claimed, groups, curve, rule.tolerances[0], levels.budget)
    first_failure = certified.failure(walk, families, observed, rule)
    return Corrected(walk.tolerance, walk.level, walk.smallest, first_failure)


class JudgedAlone(NamedTuple):
    """A curve under a partition, and what the paper's rule says of it."""

    curve: Curve
    partition: str
    judgement: Judgement

    def passing(self, tolerance: float) -> set[float]:
        """The budgets below 1 whose verdict is an approval."""
        verdicts = zip(self.curve.budgets.tolist(), self.judgement.verdicts[tolerance], strict=True)
        return {budget for budget, verdict in verdicts if budget < 1 and verdict.decision == "approve"}


def by_verdicts(
    candidate: Candidate,
    judged: Sequence[JudgedAlone],
    hearing: Mapping[str, Sequence[FamilyHearing]],
    rule: Rule,
) -> Decided:
    """What the verdicts of the paper's rule show of a candidate: the smallest budget that all of them approve.

    `judged` are its curves under every partition. It carries no guarantee.
    """
    passing = [subject.passing(rule.tolerances[0]) for subject in judged]
    all_seeds = {subject.curve.key.seed for subject in judged} == set(candidate.seeds)
    common = set.intersection(*passing) if passing and all_seeds else set()
    copied = tuple(budget for budget in _copied([subject.curve for subject in judged]) if budget in common)
    budget = min(common - set(copied), default=None)
    deaf = _deaf(budget, dict.fromkeys(subject.partition for subject in judged), None, None, hearing, rule)
    return Decided(candidate, budget, budget, None, None, None, deaf, copied=copied)


# Words -------------------------------------------------------------------------------------------------------


def entry(
    all_decided: Sequence[Decided],
    rule: Rule,
    levels: Levels,
    withheld: Sequence[str],
    guaranteed: bool,
    policies: Callable[[Sequence[ClaimCandidate], Sequence[Shipped]], Sequence[DeployedPolicy]] = lambda *_: (),
) -> Claim:
    """The `claim` of the certificate; `withheld` says why nothing is approved whatever the tests show.

    `policies` makes what policy.json holds, from the candidates and what is approved.
    """
    approvals = [approval for decided in all_decided for approval in shipped(decided, rule)]
    entries = tuple(_candidate(decided, rule, levels) for decided in all_decided)
    approved = () if withheld else tuple(approvals)
    return Claim(
        kind=rule.claim,
        tolerance=rule.tolerances[0],
        tolerance_average=rule.average_tolerance(rule.tolerances[0]),
        guaranteed=guaranteed,
        alpha=rule.look_alpha,
        k=len(all_decided),
        declared=bool(rule.candidates),
        level=levels.budget,
        routing_level=levels.routing if rule.claim in ("routing", "both") else None,
        candidates=entries,
        approved=approved,
        withheld=tuple(withheld),
        not_made=()
        if withheld
        else tuple(_not_made(decided) for decided in all_decided if _would_route(decided, rule)),
        policies=tuple(policies(entries, approved)),
    )


def _candidate(decided: Decided, rule: Rule, levels: Levels) -> ClaimCandidate:
    return ClaimCandidate(
        **decided.candidate._asdict(),
        budget=decided.budget,
        retained=decided.retained,
        reason=_reason(decided, rule, levels),
        stopped=decided.stop,
        policy=None if decided.policy is None else _policy_entry(decided.policy, decided.partition),
        deaf=tuple(family.family for family in decided.deaf),
    )


def _policy_entry(policy: Policy, partition: str | None) -> CandidatePolicy:
    return CandidatePolicy(
        partition=partition,
        tolerance=policy.tolerance,
        alpha_each=policy.alpha_each,
        retained=policy.retained,
        families=tuple(policy.families),
    )


def _reason(decided: Decided, rule: Rule, levels: Levels) -> str:
    """Why a candidate passes where it does, or why nothing of it is approved."""
    if decided.deaf:
        n_more = len(decided.deaf) - NAMED
        listed = [family.words for family in decided.deaf[:NAMED]]
        more = [] if n_more <= 0 else ["1 more family does" if n_more == 1 else f"{n_more:,} more families do"]
        return "; ".join([*listed, *(f"{words} not listen either" for words in more), *_stopped_elsewhere(decided)])
    if decided.budget is not None:
        if rule.name == "paper":
            return f"every verdict approves {decided.budget:g}; no guarantee over the search for it"
        return f"every family passes at {decided.budget:g} and every larger budget, at level {levels.budget:.2g}"
    if levels.budget is None:
        if decided.policy is None:
            return "there is one family only, or a seed has no outcomes: nothing can be routed"
        reached = decided.policy is not None and any(route.budget < 1 for route in decided.policy.families)
        return "every family passes at its own budget" if reached else "no family passes at a budget below 1"
    if decided.copied:
        return _nothing_compressed(decided)
    if decided.stop is None:
        paper = rule.name == "paper"
        return "no budget is approved in every seed and partition" if paper else "no budget below 1 was evaluated"
    return _stopped(decided.stop)


def _stopped(stop: CandidateStop) -> str:
    """Where a candidate stopped, and why."""
    where = f" ({stop.partition})" if stop.partition else ""
    return f"at {stop.budget:g}, {stop.reason}{where}"


def _stopped_elsewhere(decided: Decided) -> list[str]:
    """Where a candidate with families that do not listen stopped for another one; empty where it did not."""
    stop = decided.stop
    if stop is None or decided.budget is not None or stop.family in {family.family for family in decided.deaf}:
        return []
    return [_stopped(stop)]


def _nothing_compressed(decided: Decided) -> str:
    """Why a candidate that passes only where it is raw audio is refused, and where it stopped below."""
    budgets = ", ".join(f"{budget:g}" for budget in reversed(decided.copied))
    below = "" if decided.stop is None else f"; at {decided.stop.budget:g}, {decided.stop.reason}"
    return f"at {budgets} every row is raw audio: nothing was compressed there{below}"


def _would_route(decided: Decided, rule: Rule) -> bool:
    """Whether routing, had it been claimed, would approve what the walk refuses."""
    policy = decided.policy
    if rule.claim != "budget" or rule.tests_average(rule.tolerances[0]) or decided.budget is not None or policy is None:
        return False
    routed = [route.family for route in policy.families if route.budget < 1]
    return bool(routed) and not set(routed) & set(decided.would_be_deaf)


def _not_made(decided: Decided) -> UnclaimedRouting:
    """The entry of a claim of routing that would have held and was not declared."""
    assert decided.policy is not None, "it would route"
    declare = 'claim = "routing" beforehand, and certify new rows alone'
    return UnclaimedRouting(decided.candidate.name, "routing", decided.policy.retained, declare)
