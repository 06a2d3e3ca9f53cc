"""What a reader must know before believing a certificate: sentences, from the verdicts and the declared rule.

Knows the entries of verdicts; computes nothing.
"""

from collections.abc import Sequence
from typing import Any

from earmark.engine.outcomes.schema import ANCHOR
from earmark.engine.signoff.gain import AGNOSTIC, CONDITIONED
from earmark.engine.signoff.paired import SELF_FULL, CurveKey, Paired
from earmark.engine.signoff.query_use import incomplete
from earmark.engine.signoff.rule import Rule

_MANY_FAMILIES = 12  # STATISTICS 1: from here on the interpolated worst-family frontier misses the truth mostly
_TIED_FAMILIES = 3

Results = Sequence[dict[str, Any]]


def warnings(results: Results, paired: Paired, rule: Rule) -> list[str]:
    """General first, then what these outcomes call for."""
    shared = any(rows.n_sources < len(rows.source) for rows, _ in paired.groups)
    found = _of_the_papers_rule(results, shared) if rule.name == "paper" else []
    choices = len({(entry["method"], entry["seed"]) for entry in results})
    if choices > 1:
        found.append(
            f"Each verdict holds at alpha by itself. Shipping the best of {choices} methods and seeds is a choice on "
            f"these answers: for one guarantee over all of them use --alpha {rule.alpha / choices:.2g}."
        )
    unfinished = sorted(set().union(*(incomplete(curves) for _, curves in paired.groups)))
    if unfinished:
        found.append(
            f"{', '.join(unfinished)}: budgets that the anchor has are missing, so that the audits of the question "
            "leave these streams out. Finish the sweep."
        )
    found += _unpaired([curve.key for _, curves in paired.groups for curve in curves])
    if shared and rule.clustering == "ignore":
        found.append("Rows share recordings and this was ignored (clustering = ignore): p and bounds are too good.")
    if any(len(entry["budgets"][0]["families"]) == 1 for entry in results):
        found.append("A partition has one family: its check repeats that of the average and can hide no damage.")
    if any(len(entry["budgets"][0]["families"]) >= _MANY_FAMILIES for entry in results):
        found.append(
            "With many families the interval of the interpolated worst-family frontier is biased upwards and covers "
            "the truth rarely: read it as a description, and the frontier of the average first."
        )
    hopeless = sorted({f"{entry['answerer']}/{entry['corpus']}" for entry in results if entry["raw_loss"] == 1})
    if hopeless and rule.loss == "zero-one":
        found.append(
            f"Not one raw answer is right for {', '.join(hopeless)}: nothing can get worse. Check the outcomes."
        )
    if any(entry["sources"] < rule.family_minimum <= entry["n"] for entry in results):
        found.append(f"There are fewer than {rule.family_minimum} recordings: resampling them shows almost nothing.")
    fallback = sorted(
        {f"{entry['answerer']}/{entry['corpus']}" for entry in results if entry["reference"] == SELF_FULL}
    )
    if fallback:
        found.append(
            f"No uncompressed cell for {', '.join(fallback)}: each method's own budget 1.0 stands in ({SELF_FULL})."
        )
    if paired.errors:
        failed = sum(errors.errors for errors in paired.errors)
        found.append(
            f"{failed} failed rows in {len(paired.errors)} cells count as harm: right on raw, wrong compressed."
        )
    return found


def _unpaired(keys: Sequence[CurveKey]) -> list[str]:
    """Curves whose partner is not in the run, so that nothing is said of them."""
    found = []
    alone = [key for key in keys if key.stream != ANCHOR and key._replace(stream=ANCHOR) not in keys]
    if alone:
        found.append(f"{len(alone)} permuted or naive curves have no anchor ({_key(alone[0])}): they are left out.")
    methods = {(key.answerer, key.corpus, key.method) for key in keys if key.stream == ANCHOR}
    for key in keys:
        partner = key.method.removesuffix(CONDITIONED) + AGNOSTIC
        if key.stream != ANCHOR or not key.method.endswith(CONDITIONED):
            continue
        seeds = {k.seed for k in keys if k == key._replace(method=partner, seed=k.seed)}
        if (key.answerer, key.corpus, partner) in methods and key.seed not in seeds and len(seeds) > 1:
            found.append(f"{_key(key)} has no {partner} with its seed: no gain is computed.")
    return found


def _key(key: CurveKey) -> str:
    return f"{key.answerer}/{key.corpus}/{key.method} seed {key.seed} {key.stream}"


def _of_the_papers_rule(results: Results, shared: bool) -> list[str]:
    found = [
        "The paper's rule looks for the smallest passing budget among several and has no guarantee over that search: "
        "its rate of false approvals can exceed alpha."
    ]
    still = {
        f["family"]
        for entry in results
        for budget in entry["budgets"]
        if not budget["implied"] and any(d["decision"] == "approve" for d in budget["decisions"])
        for f in budget["families"]
        if f["plus"] + f["minus"] == 0
    }
    if still:
        found.append(
            f"No answer changed in {len(still)} families at a budget it approves ({_some(still)}): their bootstrap "
            "interval is a point, however few rows they have."
        )
    tied = max((_tied_families(budget) for entry in results for budget in entry["budgets"]), default=0)
    if tied >= _TIED_FAMILIES:
        found.append(f"Up to {tied} families are nearly tied for the worst: their maximum is biased upwards.")
    if shared:
        found.append("Rows share recordings: the resampling of recordings is approximate when there are few of them.")
    return found


def _tied_families(budget: dict[str, Any]) -> int:
    """Families that could be the worst: their interval reaches the largest estimate."""
    largest = budget["excess_family"]["estimate"]
    return sum(f["upper"] >= largest > 0 for f in budget["families"])


def _some(names: set[str]) -> str:
    listed = sorted(names)
    return ", ".join(f"'{name}'" for name in listed[:3]) + (", ..." if len(listed) > 3 else "")
