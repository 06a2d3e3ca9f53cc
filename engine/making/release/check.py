"""The whole check on one screen: a model and its original in, a verdict with its reasons out.

What is wrong with the model is a finding of the verdict; what is wrong with the question (a corpus that cannot be
read, an original without weights) is an error. Knows no command line.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from earmark.engine.compressors.card import fingerprints
from earmark.engine.compressors.chunks.graph_selector import GraphError, OnnxSelector
from earmark.engine.compressors.chunks.selector import Selector
from earmark.engine.compressors.loading import load
from earmark.engine.corpus import partitions
from earmark.engine.corpus.corpus import Corpus
from earmark.engine.design.keys import ALL
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError
from earmark.engine.making.release import agreement, certified_answers, device
from earmark.engine.making.release.comparison import Comparison, hear
from earmark.engine.making.release.release_gate import SCORE_TOLERANCE, AnswererInCheck, CheckFinding, CheckMeans, Gate
from earmark.engine.progress import StoppedError
from earmark.engine.signoff.rules.group_tests import fewest_rows

SCHEMA = "earmark.selector-check/1"
Report = Callable[[str, int, int], None]


def check(
    model: Path,
    against: str,
    corpus: Corpus,
    gate: Gate,
    how: CheckMeans,
    asked: AnswererInCheck | None = None,
    report: Report = lambda *_: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """The verdict as JSON: `passes`, `findings`, and everything that was measured.

    A model that cannot be run, or is not of this original, is not measured any further.
    """
    if gate.variant and asked is None:
        raise InputError("a variant", "is judged by its answers", "name an answerer")
    if not model.is_file():
        raise InputError(model, "there is no such file", "name a graph that `earmark selector export` wrote")
    original = load(against)
    identity = _identity(original, against)
    families, partition = _families(corpus, how.partition)
    data = model.read_bytes()
    verdict: dict[str, Any] = {
        "schema": SCHEMA,
        "passes": False,
        "findings": [],
        "model": {"path": str(model), "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)},
        "against": {"path": against, **identity},
        "corpus": {"name": corpus.name, "kind": corpus.kind, "partition": partition},
        "gate": asdict(gate) | {"score_tolerance": gate.scores_within, "agreement": gate.agreeing},
        "warnings": [],
        "version": version("earmark"),
    }
    findings: list[CheckFinding] = []
    try:
        candidate = OnnxSelector(model, how.provider)
        said = {name: getattr(candidate.graph, name) for name in candidate.graph.__slots__}
        verdict["model"] |= said
        findings += _of_another(said, identity, gate)
        if not findings:
            heard = hear(corpus, families, original, candidate, how.budgets, how.timed, how.workers, report, stop)
            verdict["corpus"] |= {"questions": len(heard.pairs), "unheard": heard.unheard}
            verdict["warnings"] = _warnings(original, corpus, heard)
            findings += _compared(heard, gate, verdict)
            findings += _on_device(model, heard, gate, how, candidate, verdict)
            if asked is not None:
                findings += _answered(heard, corpus, how.rule, asked, verdict, report, stop)
            if gate.variant:
                verdict["warnings"] += _unproven(heard, verdict["answers"]["budgets"], how.rule)
    except GraphError as error:
        if stop():  # the process that was timed got the signal too
            raise StoppedError from None
        findings.append(CheckFinding("file", str(error)))
    verdict["findings"] = [finding._asdict() for finding in findings]
    verdict["passes"] = not findings
    return verdict


# What it is --------------------------------------------------------------------------------------------------


def _identity(original: Selector, name: str) -> dict[str, str]:
    """What an original is known by: its card's hashes, or a graph's."""
    if isinstance(original, OnnxSelector):
        graph = original.graph
        return {"selector": graph.selector, "features": graph.features, "tokenizer": graph.tokenizer}
    card = getattr(original, "card", None)
    if card is None:
        raise InputError(f"against {name}", "has no weights", "name the folder of a trained selector, or its graph")
    return {"selector": card["weights"], "features": card["features"], "tokenizer": card.get("tokenizer", "")}


def _of_another(said: dict[str, str], identity: dict[str, str], gate: Gate) -> list[CheckFinding]:
    """Whether the model was made from another selector; a variant may have other weights, never another tokenizer."""
    found = []
    if said["tokenizer"] != identity["tokenizer"]:
        what = (
            "was made with another tokenizer than"
            if said["tokenizer"] and identity["tokenizer"]
            else ("reads the question, unlike" if said["tokenizer"] else "does not read the question, unlike")
        )
        found.append(CheckFinding("identity", f"the model {what} the original: export it from the original"))
    if said["selector"] != identity["selector"] and not gate.variant:
        found.append(
            CheckFinding(
                "identity",
                f"the model was made from weights {said['selector'][:12] or 'unknown'}, the original has "
                f"{identity['selector'][:12]}: export it again, or declare it a variant",
            )
        )
    return found


def _families(corpus: Corpus, name: str | None) -> tuple[tuple[str, ...], str]:
    found = [partitions.named(corpus, name)] if name else partitions.declared(corpus)
    if found:
        return found[0].families, found[0].name
    return tuple(ALL for _ in corpus.examples), ALL


def _warnings(original: Selector, corpus: Corpus, heard: Comparison) -> list[str]:
    """What a reader must know of the corpus."""
    found = []
    if heard.unheard:
        found.append(f"{heard.unheard} questions have a recording that cannot be read; they were left out")
    card = getattr(original, "card", {})
    trained = {mark for of in card.get("trained_on", ()) if of["corpus"] == corpus.name for mark in of["sources"]}
    sources = set(fingerprints(pair.example.source_id for pair in heard.pairs))
    if shared := len(sources & trained):
        found.append(f"the original was trained on {shared} of {len(sources)} sources; elsewhere they may differ more")
    return found


# What it does ------------------------------------------------------------------------------------------------


def _compared(heard: Comparison, gate: Gate, verdict: dict[str, Any]) -> list[CheckFinding]:
    """Scores and chunks."""
    scores, sets = agreement.parity(heard), agreement.agreement(heard)
    verdict["scores"] = scores._asdict()
    verdict["agreement"] = [one._asdict() | {"share": one.share} for one in sets]
    verdict["ties"] = [one._asdict() for one in agreement.ties(heard)]
    found = []
    if gate.scores_within is not None and scores.relative > gate.scores_within:
        found.append(
            CheckFinding(
                "scores",
                f"scores differ by up to {scores.relative:.2g} of their spread (sample {scores.worst_sample}), "
                f"{gate.scores_within:g} is allowed",
            )
        )
    if gate.agreeing is not None:
        found += [
            CheckFinding(
                "agreement",
                f"budget {one.budget:g}, family '{one.family}': other chunks in {one.n - one.same} of {one.n} "
                f"questions ({one.share:.1%} agree, {gate.agreeing:.1%} must)",
            )
            for one in sets
            if one.family is not None and one.share < gate.agreeing
        ]
    return found


def _on_device(
    model: Path, heard: Comparison, gate: Gate, how: CheckMeans, candidate: OnnxSelector, verdict: dict[str, Any]
) -> list[CheckFinding]:
    """Size, time and memory, and whether a process of its own has the same scores with any number of threads."""
    megabytes = verdict["model"]["bytes"] / 1e6
    found = _beyond("", ("size", "MB", megabytes, gate.max_size_mb))
    if not heard.timed:
        return found
    timed = device.measure(model, heard.timed, heard.budgets[-1], how.provider, how.threads)
    verdict["device"] = [{name: value for name, value in one._asdict().items() if name != "scores"} for one in timed]
    here = candidate.scores(heard.timed)
    for one in timed:
        where = f" with {one.threads} thread{'s' * (one.threads > 1)}"
        found += _beyond(
            where,
            ("p95", "ms", one.p95_ms, gate.max_p95_ms),
            ("cold start", "s", one.cold_start_s, gate.max_cold_start_s),
            ("memory", "MiB", one.peak_mib, gate.max_memory_mib),
        )
        apart = max(float(np.abs(a - np.array(b)).max()) for a, b in zip(here, one.scores, strict=True))
        if apart > SCORE_TOLERANCE * verdict["scores"]["spread"]:
            found.append(CheckFinding("device", f"scores{where} differ by up to {apart:.2g} from those of one thread"))
    return found


def _beyond(where: str, *limits: tuple[str, str, float, float | None]) -> list[CheckFinding]:
    return [
        CheckFinding("device", f"{what}{where} is {value:.3g} {unit}, {limit:g} is allowed")
        for what, unit, value, limit in limits
        if limit is not None and value > limit
    ]


def _answered(
    heard: Comparison,
    corpus: Corpus,
    rule: Rule,
    asked: AnswererInCheck,
    verdict: dict[str, Any],
    report: Report,
    stop: Callable[[], bool],
) -> list[CheckFinding]:
    """The certified test of the answers."""
    found = certified_answers.certify(
        heard,
        corpus.name,
        asked.answerer,
        asked.options,
        rule,
        lambda now: report("answers", now.answered, now.total),
        stop,
    )
    verdict["answers"] = {
        "answerer": asked.answerer.name,
        "identity": asked.answerer.identity,
        "tolerance": rule.tolerances[0],
        "alpha": rule.alpha,
        "clustering": rule.clustering,
        "budgets": [one._asdict() for one in found],
    }
    return [
        CheckFinding("answers", f"budget {one.budget:g} is not certified: {one.reason}")
        for one in found
        if not one.passes
    ]


def _unproven(heard: Comparison, budgets: list[dict[str, Any]], rule: Rule) -> list[str]:
    """Where a variant passes by construction on families that are too small to say anything about other questions."""
    fewest = fewest_rows(rule, rule.tolerances[0])
    sizes = Counter(pair.family for pair in heard.pairs)
    alike = ", ".join(f"{one['budget']:g}" for one in budgets if one["asked"] == 0)
    return [
        f"budget {alike} passes by construction, but family '{family}' has {n} questions, and {fewest} are needed "
        "to say anything about others"
        for family, n in sorted(sizes.items())
        if alike and n < fewest
    ]
