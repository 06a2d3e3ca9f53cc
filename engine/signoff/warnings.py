"""What a reader must know before believing a certificate: sentences, from the verdicts and the declared rule.

Knows the entries of verdicts; computes nothing.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from earmark.engine.arrays import FloatArray
from earmark.engine.design.keys import ANCHOR, CellKey, agnostic_partner, is_conditioned
from earmark.engine.design.rule import Rule
from earmark.engine.outcomes import wrong_way
from earmark.engine.outcomes.imports.doubts import ImportRecord
from earmark.engine.printable import more_families
from earmark.engine.signoff.audits.query_use import incomplete
from earmark.engine.signoff.certificate import CellErrors
from earmark.engine.signoff.claim_entry import Claim
from earmark.engine.signoff.measured import FIGURES, exceeded
from earmark.engine.signoff.pair import SELF_FULL, Curve, CurveKey, Paired
from earmark.engine.signoff.result_entry import DEAF, BudgetEntry, FamilyHearing, ResultEntry
from earmark.engine.signoff.rules.group_tests import family_minimum
from earmark.engine.signoff.walk_entry import WalkEntry

_LIKE_SILENCE = 0.95  # share of answers that are those of silence
_LIKE_RAW = 0.95  # share of rows that keep all of raw audio
_MANY_FAMILIES = 12  # method 9.7: from here on the interpolated worst-family frontier misses the truth mostly
_TIED_FAMILIES = 3

Results = Sequence[ResultEntry]
# by answerer and corpus, and by partition
FamilyHearings = Mapping[tuple[str, str], Mapping[str, Sequence[FamilyHearing]]]


def warnings(
    results: Results,
    paired: Paired,
    hearing: FamilyHearings,
    imported: ImportRecord | None,
    rule: Rule,
    claim: Claim,
    walks: Sequence[WalkEntry] = (),
) -> list[str]:
    """All sentences: those on the rule first, then those that these outcomes call for."""
    shared = any(rows.n_sources < len(rows.source) for rows, _ in paired.groups)
    sentences = _of_the_papers_rule(results, shared) if rule.name == "paper" else []
    sentences += _of_listening(hearing, paired, rule, is_import=imported is not None)
    sentences += _of_copies(results)
    sentences += _of_budgets(results)
    sentences += _of_likelihoods([curve for _, curves in paired.groups for curve in curves])
    sentences += [suspect.words for suspect in paired.suspects]
    sentences += [
        f"From the import, of {doubt.cell}: {doubt.text}"
        for doubt in (imported.doubts if imported else ())
        if not (doubt.by_source and rule.source is not None)
    ]
    if imported is None and rule.loss == "zero-one":  # an import has doubted it
        sentences += _of_the_wrong_way([curve for _, curves in paired.groups for curve in curves], paired.plans)
    n_arms = len({(entry.answerer, entry.corpus, entry.method, entry.seed) for entry in results})
    if walks:
        sentences += _of_walks(walks, claim)
    elif n_arms > 1 and rule.name == "certified":
        sentences.append(
            f"Verdicts of single methods and partitions hold at {rule.look_alpha:g} each, uncorrected for there being "
            f"several. The claim is the one guarantee over {_count(claim.k, 'candidate')}: its tests have "
            f"{claim.level or claim.routing_level:.2g} each."
        )
    unfinished = sorted(
        f"{key.answerer}/{key.method} seed {key.seed} {key.stream}"
        for _, curves in paired.groups
        for key in incomplete(curves)
    )
    if unfinished:
        sentences.append(
            f"{len(unfinished)} permuted or naive curves lack budgets that their anchor has ({unfinished[0]}): the "
            "audits of the question leave them out. Finish the sweep."
        )
    sentences += _unpaired([curve.key for _, curves in paired.groups for curve in curves])
    recording = {family.family for entry in results for family in entry.families if family.estimand == "recordings"}
    if recording:
        sentences.append(
            f"Rows share recordings in {_some(recording)}: what is tested there is the mean over recordings, each "
            "counting alike, not the mean over rows; both are shown."
        )
    if shared and rule.clustering == "ignore":
        sentences.append("Rows share recordings and this was ignored (clustering = ignore): p and bounds are too good.")
    if any(len(entry.budgets[0].families) == 1 for entry in results):
        sentences.append("A partition has one family: its check repeats that of the average and can hide no damage.")
    if any(len(entry.budgets[0].families) >= _MANY_FAMILIES for entry in results if entry.frontiers):
        sentences.append(
            "With many families the interval of the interpolated worst-family frontier is biased upwards and covers "
            "the truth rarely: read it as a description, and the frontier of the average first."
        )
    hopeless = sorted({f"{entry.answerer}/{entry.corpus}" for entry in results if entry.raw_loss == 1})
    if hopeless and rule.loss == "zero-one":
        sentences.append(
            f"Not one raw answer is right for {', '.join(hopeless)}: nothing can get worse. Check the outcomes."
        )
    if any(entry.sources < family_minimum(rule) <= entry.n for entry in results):
        sentences.append(
            f"There are fewer than {family_minimum(rule)} recordings: resampling them shows almost nothing."
        )
    fallback = sorted({f"{entry.answerer}/{entry.corpus}" for entry in results if entry.reference == SELF_FULL})
    if fallback:
        sentences.append(
            f"No uncompressed cell for {', '.join(fallback)}: each method's own budget 1.0 stands in ({SELF_FULL})."
        )
    return sentences + _of_failures(paired)


def _of_listening(hearing: FamilyHearings, paired: Paired, rule: Rule, *, is_import: bool) -> list[str]:
    """Sentences on families whose answers may need no audio, and on answerers that were never asked about silence."""
    sentences = []
    for (answerer, corpus), by_partition in hearing.items():
        where = f"{answerer} on {corpus}"
        if paired.controls[answerer, corpus].silence is None:
            advice = " Import the log of the same questions about silence as silence=LOG." if is_import else ""
            sentences.append(f"No silence control for {where}: nothing shows that its answers need the audio.{advice}")
        for partition, families in by_partition.items():
            for verdict in (*DEAF, "not shown"):
                named = [family for family in families if family.hearing == verdict]
                if named:
                    allowed = all(family.family in rule.allow_vacuous for family in named)
                    n_more = len(named) - 1
                    more = f"; the same holds of {more_families(n_more)}" if n_more else ""
                    declared = " This was declared (allow_vacuous)." if allowed else ""
                    sentences.append(f"{where} ({partition}): {named[0].words}{more}.{declared}")
    return sentences


def _of_walks(walks: Sequence[WalkEntry], claim: Claim) -> list[str]:
    """Sentences on a sweep that stopped when it was decided: what it left out, and what no guarantee covers."""
    sentences = [
        "Walks ask until it is decided: estimates of what they saw are biased towards what stopped them, and only "
        "describe. Verdicts and bounds hold whenever one stops."
    ]
    claimed = {(c.answerer, c.corpus, c.method, seed) for c in claim.candidates for seed in c.seeds}
    beside = {walk.method for walk in walks if (walk.answerer, walk.corpus, walk.method, walk.seed) not in claimed}
    if beside:
        sentences.append(
            f"No guarantee covers the verdicts on {_some(beside)}, which are no candidates: each holds by itself."
        )
    return sentences


def _of_copies(results: Results) -> list[str]:
    """Sentences on compressed cells that are raw audio, or get the answers of silence."""
    copies: dict[str, list[str]] = {}
    nearly: dict[tuple[str, float, float], None] = {}  # by arm, budget and share; a partition says it again
    deaf: dict[str, list[str]] = {}
    for entry in results:
        arm = f"{entry.answerer}/{entry.corpus}/{entry.method} seed {entry.seed}"
        raw_share = entry.budgets[-1].answers_of_silence
        for budget in entry.budgets:
            if budget.budget == 1:
                continue
            if budget.copies_of_raw == 1:
                copies.setdefault(arm, []).append(f"{budget.budget:g}")
            elif budget.copies_of_raw is not None and budget.copies_of_raw >= _LIKE_RAW:
                nearly[arm, budget.budget, budget.copies_of_raw] = None
            share = budget.answers_of_silence
            if share is not None and raw_share is not None and share >= _LIKE_SILENCE > raw_share:
                deaf.setdefault(arm, []).append(f"{budget.budget:g}")
    return (
        [
            f"{arm} is a copy of raw audio at {', '.join(dict.fromkeys(budgets))} (every kept_hash is raw's): it "
            "compresses nothing there, and that it passes says nothing."
            for arm, budgets in copies.items()
        ]
        + [
            f"{arm} keeps all of raw audio in {math.floor(1000 * share) / 10:g}% of the rows at {budget:g}: it saves "
            "almost nothing there, and that it passes says little. Short clips do that at large budgets."
            for arm, budget, share in nearly
        ]
        + [
            f"{arm} gets the answers of silence at {', '.join(dict.fromkeys(budgets))}: it is deaf there."
            for arm, budgets in deaf.items()
        ]
    )


def _of_budgets(results: Results) -> list[str]:
    """Sentences on methods that really use far more than the budgets that they were given."""
    by_arm: dict[str, list[ResultEntry]] = {}
    for entry in results:
        by_arm.setdefault(f"{entry.answerer}/{entry.corpus}/{entry.method} seed {entry.seed}", []).append(entry)
    return [
        f"Of raw audio's {FIGURES[entries[0].axis]}, {arm} really uses {_measured(shares)}: far more than its budget. "
        "That is what was asked for; what it saves is what was measured."
        for arm, entries in by_arm.items()
        if (shares := exceeded(entries))
    ]


def _measured(shares: Mapping[float, float]) -> str:
    """`100% at budget 0.5`, for each budget."""
    return ", ".join(f"{100 * share:.3g}% at budget {budget:g}" for budget, share in shares.items())


def _of_likelihoods(curves: Sequence[Curve]) -> list[str]:
    """Sentences on compressed cells that look like raw's, where no hash tells what was kept."""
    return [
        f"{_key(curve.key)} has the answer and the likelihood of raw audio in 100% of the rows at {budget:g}, and no "
        "kept_hash: it looks like a copy of raw. Check that compressed audio was heard."
        for curve in curves
        if curve.key.stream == ANCHOR and curve.probability is not None
        for b, budget in enumerate(curve.budgets)
        if budget < 1
        and (curve.copies is None or np.isnan(curve.copies[b]))
        and curve.consistency[b] == 1
        and not curve.probability[:, b].any()
    ]


def _of_the_wrong_way(curves: Sequence[Curve], plans: Mapping[CellKey, str | None]) -> list[str]:
    """Sentences on losses that look like accuracies, where no sweep of ours scored the answers: one for each curve."""
    doubts = [
        (curve, wrong_way.doubt(curve.raw_loss, float(curve.loss[b]), *_moved(curve.difference[:, b])))
        for curve in curves
        if curve.key.stream == ANCHOR
        for b in range(len(curve.budgets))
    ]
    first = {curve.key: doubt for curve, doubt in reversed(doubts) if doubt}
    return [] if any(plans.values()) else [f"{_key(key)}: {doubt}." for key, doubt in sorted(first.items())]


def _moved(difference: FloatArray) -> tuple[int, int]:
    """How many losses fell, and how many rose."""
    return int((difference < 0).sum()), int((difference > 0).sum())


def _of_failures(paired: Paired) -> list[str]:
    """Sentences on rows without an answer, which count as harm."""
    sentences = _of_compressors(paired)
    for name, what in (
        ("errors", "failed rows"),
        ("not_asked", "rows that were not asked, because raw audio had failed,"),
        ("too_short", "rows of which too little was kept to be heard"),
    ):
        counts = [getattr(errors, name) for errors in paired.errors if getattr(errors, name)]
        if counts:
            sentences.append(
                f"{sum(counts)} {what} in {len(counts)} cells count as harm: right on raw audio, wrong compressed."
            )
    return sentences


def _of_compressors(paired: Paired) -> list[str]:
    """Sentences on rows of which a compressor made nothing: one for each method and seed, with its first complaint."""
    by_arm: dict[str, list[CellErrors]] = {}
    for cell in paired.errors:
        if cell.compressor:
            key = CurveKey(cell.answerer, cell.corpus, cell.method, cell.seed, cell.stream)
            by_arm.setdefault(_key(key), []).append(cell)
    return [
        f"{arm} made nothing of {_nothings(cells)}: {cells[0].complaint}. Each of them counts as harm: right on raw "
        "audio, wrong compressed."
        for arm, cells in by_arm.items()
    ]


def _nothings(cells: Sequence[CellErrors]) -> str:
    return ", ".join(f"{cell.compressor:,} of {cell.rows:,} rows at {cell.budget:g}" for cell in cells)


def _unpaired(keys: Sequence[CurveKey]) -> list[str]:
    """Sentences on curves whose anchor or agnostic partner is not in the run: no audit and no gain takes them."""
    sentences = []
    orphans = [key for key in keys if key.stream != ANCHOR and key._replace(stream=ANCHOR) not in keys]
    if orphans:
        sentences.append(
            f"{len(orphans)} permuted or naive curves have no anchor ({_key(orphans[0])}): they are left out."
        )
    methods = {(key.answerer, key.corpus, key.method) for key in keys if key.stream == ANCHOR}
    for key in keys:
        partner = agnostic_partner(key.method)
        if key.stream != ANCHOR or not is_conditioned(key.method):
            continue
        seeds = {k.seed for k in keys if k == key._replace(method=partner, seed=k.seed)}
        if (key.answerer, key.corpus, partner) in methods and key.seed not in seeds and len(seeds) > 1:
            sentences.append(f"{_key(key)} has no {partner} with its seed: no gain is computed.")
    return sentences


def _key(key: CurveKey) -> str:
    return f"{key.answerer}/{key.corpus}/{key.method} seed {key.seed} {key.stream}"


def _of_the_papers_rule(results: Results, shared: bool) -> list[str]:
    """Sentences on what the paper's rule does not guarantee; `shared`: rows share recordings."""
    sentences = [
        "The paper's rule looks for the smallest passing budget among several and has no guarantee over that search: "
        "its rate of false approvals can exceed alpha."
    ]
    unmoved = {
        f.family
        for entry in results
        for budget in entry.budgets
        if not budget.implied and any(d.decision == "approve" for d in budget.decisions)
        for f in budget.families
        if f.plus + f.minus == 0
    }
    if unmoved:
        sentences.append(
            f"No answer changed in {len(unmoved)} families at a budget it approves ({_some(unmoved)}): their bootstrap "
            "interval is a point, however few rows they have."
        )
    n_tied = max((_tied_families(budget) for entry in results for budget in entry.budgets), default=0)
    if n_tied >= _TIED_FAMILIES:
        sentences.append(f"Up to {n_tied} families are nearly tied for the worst: their maximum is biased upwards.")
    if shared:
        sentences.append(
            "Rows share recordings: the resampling of recordings is approximate when there are few of them."
        )
    return sentences


def _tied_families(budget: BudgetEntry) -> int:
    """How many families could be the worst: their interval reaches the largest estimate."""
    largest = budget.excess_family.estimate
    return sum(f.upper is not None and f.upper >= largest > 0 for f in budget.families)


def _some(names: set[str]) -> str:
    """The first three names, quoted."""
    listed = sorted(names)
    return ", ".join(f"'{name}'" for name in listed[:3]) + (", ..." if len(listed) > 3 else "")


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
