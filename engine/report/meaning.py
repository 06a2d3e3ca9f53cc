"""What a decision means in words: is harm local, does conditioning help, is the question used, what was assumed.

Every number is the certificate's own; the words weigh intervals that it holds and compute none.
"""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from earmark.engine.report.axes import whole_words
from earmark.engine.report.decisions import DecisionCard, Group
from earmark.engine.report.numbers import POINTS, RATIO, Unit, percent
from earmark.engine.report.words import code, isolated, listed
from earmark.engine.signoff.audit_entry import Gain, GainOverSeeds, KeptChunks, QueryUse
from earmark.engine.signoff.certificate import Certificate, Follows, StatedRule
from earmark.engine.signoff.claim_entry import Claim
from earmark.engine.signoff.result_entry import FamilyAtBudget
from earmark.engine.signoff.walk_entry import WalkEntry

_NAMED = 5  # families


class ReaderQuestion(NamedTuple):
    """A question of the reader and its answer."""

    title: str  # without its question mark
    answer: Markup


# Harm -----------------------------------------------------------------------------------------------------


def harm(decision: DecisionCard, average: float | None, unit: Unit) -> ReaderQuestion | None:
    """Whether harm is local or diffuse, at the budget that the decision's facts are taken from."""
    evidence = decision.evidence
    if evidence is None:
        return None
    allowed = unit.tolerance(decision.tolerance)
    at_budget, n_families = percent(evidence.budget), len(evidence.families)
    failing = [f for f in evidence.families if f.excess > decision.tolerance]
    if not failing:
        return ReaderQuestion("Harm", _none_above(evidence.families, at_budget, decision.tolerance, unit))
    spread = "Diffuse" if 2 * len(failing) >= n_families else "Large"
    extent = {"route": "Local", "raise": spread}.get(decision.certified.next.action, "Found")
    too_much = evidence.excess_average.estimate > (decision.tolerance if average is None else average)
    mean = "; the average is above its tolerance too" if too_much else ""
    verb = "is" if len(failing) == 1 else "are"
    share = evidence.concentration_top2
    concentration = "" if share is None or n_families < 3 else f"; the two worst hold {percent(share)} of all harm"
    ordered = sorted(failing, key=lambda f: -float(f.excess))
    return ReaderQuestion(
        "Harm",
        Markup("{}: {} of {} families {} above {} at {} ({}){}{}.").format(
            extent,
            len(failing),
            n_families,
            verb,
            allowed,
            at_budget,
            listed([f.family for f in ordered], _NAMED),
            concentration,
            mean,
        ),
    )


def _none_above(families: Sequence[FamilyAtBudget], at_budget: str, tolerance: float, unit: Unit) -> Markup:
    """That no family is above tolerance, and how far the upper bounds reach."""
    allowed = unit.tolerance(tolerance)
    bounded = [(f.upper, f.family) for f in families if f.upper is not None]
    if not bounded:
        return Markup("No family is above {} at {}.").format(allowed, at_budget)
    upper, family = max(bounded, key=lambda bound: bound[0])
    words = "No family is above {} at {}; the highest upper bound is {} ({})."
    if upper > tolerance:
        words = "No family is seen above {} at {}, but the upper bounds reach {} ({})."
    return Markup(words).format(allowed, at_budget, unit.words(upper), isolated(family))


# The question ---------------------------------------------------------------------------------------------


def conditioning(certificate: Certificate, group: Group, tolerance: float) -> list[ReaderQuestion]:
    """Whether hearing the question saves audio in the worst family, one answer per pair of selectors."""
    gains_of: dict[tuple[object, ...], list[Gain]] = {}
    for g in group.gains:
        if (g.axis, g.variant, g.tolerance) == ("interpolated", "family", tolerance):
            gains_of.setdefault(identity(g), []).append(g)
    over_seeds = {identity(a): a for a in certificate.audits.seeds}
    return [
        ReaderQuestion("Does conditioning help", _gain(pair_gains, over_seeds.get(pair), _whole(group, pair_gains[0])))
        for pair, pair_gains in gains_of.items()
        if pair_gains[0].kind == "same-backbone"
    ]


def _whole(group: Group, gain: Gain) -> str:
    """What the budgets of a gain are shares of, in words."""
    axes = [result.axis for result in group.results if result.method == gain.conditioned]
    return whole_words(axes[0] if axes else None)


def identity(entry: Gain | GainOverSeeds) -> tuple[object, ...]:
    """What a gain is about, whatever its seed."""
    pair = (entry.kind, entry.answerer, entry.reference_answerer, entry.corpus, entry.agnostic, entry.conditioned)
    return (*pair, entry.partition, entry.tolerance, entry.axis, entry.variant)


def sign(gains: Sequence[Gain], over_seeds: GainOverSeeds | None) -> int:
    """1 or -1 where every seed's own interval, and that over the seeds, is on that side of 0; else 0."""
    signs = {_side(entry) for entry in gains} | ({_side(over_seeds)} if over_seeds else set())
    return signs.pop() if len(signs) == 1 else 0


def signs(certificate: Certificate) -> dict[tuple[object, ...], int]:
    """The sign of every gain of the certificate, by its identity."""
    entries_of: dict[tuple[object, ...], list[Gain]] = {}
    for g in certificate.gains:
        entries_of.setdefault(identity(g), []).append(g)
    over_seeds = {identity(a): a for a in certificate.audits.seeds}
    return {
        gain_identity: sign(entries, over_seeds.get(gain_identity)) for gain_identity, entries in entries_of.items()
    }


def _gain(gains: Sequence[Gain], over_seeds: GainOverSeeds | None, whole: str) -> Markup:
    """The answer for one pair of selectors; `over_seeds` sums up its gains where there are several seeds."""
    entry = over_seeds or gains[0]
    value = over_seeds.mean if over_seeds else gains[0].point
    held = f"over {len(gains)} training seeds" if over_seeds else f"seed {gains[0].seed}"
    ends = f"{POINTS.interval(entry.lower, entry.upper, signed=True)}, {held}"
    names = code(entry.conditioned), code(entry.agnostic)
    side = sign(gains, over_seeds)
    if side and value is not None:
        words = "Yes: {} needs {} less {} than {} ({})."
        if side < 0:
            words = "No, it costs: {} needs {} more {} than {} ({})."
        return Markup(words).format(names[0], POINTS.words(abs(value)), whole, names[1], ends)
    unsure = sum(_side(g) == 0 for g in gains)
    doubt = f"the interval of {unsure} of {len(gains)} seeds holds 0" if len(gains) > 1 else "it may be nothing"
    words = "Not shown: the gain of {} over {} is {} points {} ({}); {}."
    return Markup(words).format(*names, POINTS.number(value, signed=True), whole, ends, doubt)


def _side(entry: Gain | GainOverSeeds | QueryUse) -> int:
    """The side of 0 that an interval is on; 0 where it holds 0, or where there is none."""
    if entry.lower is None or entry.upper is None:
        return 0
    return int(entry.lower > 0) - int(entry.upper < 0)


def question(certificate: Certificate, group: Group, tolerance: float) -> list[ReaderQuestion]:
    """Whether another question in the selector's ear costs budget, and changes what it keeps."""
    where = (group.answerer, group.corpus, group.partition)
    audits = [
        audit
        for audit in certificate.audits.query_use
        if (audit.answerer, audit.corpus, audit.partition) == where
        and (audit.tolerance, audit.variant, audit.protocol) == (tolerance, "family", "decoupled")
    ]
    return [
        ReaderQuestion("Does the selector use the question", _use(audit, certificate.audits.kept_chunks))
        for audit in audits
    ]


def _use(audit: QueryUse, kept: Sequence[KeptChunks]) -> Markup:
    """The answer of one audit: its band speaks of the mean, a yes needs the interval over training seeds too."""
    known = audit.lower is not None
    if audit.band == "PHI1":
        start = "No sign of it"
    elif not known:
        start = "Not shown by one training seed"
    elif _side(audit) == 0:
        start = "Not shown"
    else:
        start = ("Yes" if audit.band == "PHI3" else "A little") if audit.mean > 0 else "Yes, to its harm"
    ends = f" ({POINTS.interval(audit.lower, audit.upper, signed=True)} over {len(audit.seeds)} seeds)" if known else ""
    where = "of any family" if audit.regime == "global" else "of the same family"
    return Markup("{}: with another question ({}) {} loses {} of its gain{}, band {}{}.").format(
        start, where, code(audit.conditioned), POINTS.words(audit.mean), ends, audit.band, _overlap(audit, kept)
    )


def _overlap(audit: QueryUse, kept: Sequence[KeptChunks]) -> str:
    """How far the kept chunks stay the same at the smallest budget, over seeds, and how far by chance; else empty."""
    place = (audit.answerer, audit.corpus, audit.partition, audit.regime, audit.conditioned)
    entries = [
        entry for entry in kept if (entry.answerer, entry.corpus, entry.partition, entry.regime, entry.method) == place
    ]
    if not entries:
        return ""
    smallest = min(entry.budget for entry in entries)
    values = [entry.jaccard for entry in entries if entry.budget == smallest and entry.jaccard is not None]
    if not values:
        return ""
    shared = " to ".join(dict.fromkeys(RATIO.number(value) for value in (min(values), max(values))))
    chance = RATIO.number(next(entry.random for entry in entries if entry.budget == smallest))
    return f"; at {percent(smallest)} the kept chunks overlap by {shared} (random sets: {chance})"


# Assumptions ----------------------------------------------------------------------------------------------


def assumed(certificate: Certificate) -> list[str]:
    """What the claim and the verdicts rest on that no outcome can show."""
    rule, claim = certificate.rule, certificate.claim
    shared = any(result.sources < result.n for result in certificate.results)
    planned = certificate.declared.plan is not None
    sentences = [
        f"{_independent(rule, shared)} are independent draws of what will be asked, family by family; another mix "
        "inside a family, another answerer or another prompt needs a certificate of its own.",
        *_of_recordings(certificate),
        f"The partitions ({', '.join(rule.partitions)}), budgets, tolerances and candidates were declared before "
        f"any answer was seen{', in plan.json' if planned else '; no plan.json shows it'}.",
        *_of_error(claim, certificate.follows, certificate.walks),
    ]
    if any(g.conditioned for g in certificate.gains):
        sentences.append("Conditioned selectors know the question when audio is compressed, and never its answer.")
    return sentences


def _independent(rule: StatedRule, shared: bool) -> str:
    """What is taken as independent: questions, or recordings."""
    if not shared:
        return "Questions"
    return "Questions, also those about one recording," if rule.clustering == "ignore" else "Recordings"


def _of_recordings(certificate: Certificate) -> list[str]:
    """A sentence on the mean that is tested where rows share recordings."""
    estimands = {family.estimand for result in certificate.results for family in result.families}
    most = certificate.rule.max_rows_per_recording
    if "recordings" in estimands:
        return [
            "Where the rows of a family share recordings, its excess is the mean over recordings, each counting alike "
            "however many questions it has."
        ]
    return [] if most is None else [f"No recording that will be asked about has more than {most} questions."]


def _of_error(claim: Claim, follows: Follows | None, walks: Sequence[WalkEntry]) -> list[str]:
    """A sentence on the probability of a false approval."""
    if not claim.guaranteed:
        return ["Percentile bootstrap intervals are taken at their word, and nothing pays for the search over budgets."]
    over = f", over {claim.k} candidates together" if claim.k > 1 else ""
    chain = f" With the certificates before, at most {percent(follows.alpha_spent)}." if follows else ""
    alone = (
        "Every verdict of one method, seed and partition may be wrong with that probability by itself; the best of "
        "several promises nothing."
    )
    if walks:
        alone = (
            "That takes no account of when one stops, looks or goes on: it counts every row in the order that was "
            "declared, asked or not. No verdict is made beside the walks that share it."
        )
    return [f"What the claim approves is wrong with probability {percent(claim.alpha)} at most{over}.{chain} {alone}"]
