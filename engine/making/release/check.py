"""The whole check on one screen: a model and its original in, a verdict with its reasons out.

What is wrong with the model is a finding of the verdict; what is wrong with the question (a corpus that cannot be
read, an original without weights) is an error. Knows no command line.
"""

from collections import Counter
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from earmark.engine.answerers.answerer import Answerer
from earmark.engine.arrays import Scores
from earmark.engine.compressors.card import fingerprints
from earmark.engine.compressors.chunks.cutting import kept_chunks
from earmark.engine.compressors.chunks.graph_file import GraphError, read_graph_file
from earmark.engine.compressors.chunks.graph_selector import OnnxSelector
from earmark.engine.compressors.chunks.selector import Selector
from earmark.engine.compressors.loading import load_selector
from earmark.engine.corpus import partitions
from earmark.engine.corpus.corpus import Corpus
from earmark.engine.design.keys import ALL
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError
from earmark.engine.making.edge.measure import counted
from earmark.engine.making.release import agreement, certified_answers, device, device_report
from earmark.engine.making.release.comparison import Comparison, hear
from earmark.engine.making.release.device import DeviceFigures
from earmark.engine.making.release.release_gate import SCORE_TOLERANCE, CheckFinding, CheckMeans, Gate
from earmark.engine.progress import Report, Stop, StoppedError, never, silent
from earmark.engine.signoff.rules.group_tests import fewest_rows

SCHEMA = "earmark.selector-check/2"


def check(
    model: Path,
    against: str,
    corpus: Corpus,
    gate: Gate,
    means: CheckMeans,
    answerer: Answerer | None = None,
    report: Report = silent,
    stop: Stop = never,
) -> dict[str, Any]:
    """The verdict as JSON: `passes`, `findings`, and everything that was measured.

    A model that cannot be run, or is not of this original, is not measured any further.
    """
    if gate.variant and answerer is None:
        raise InputError("a variant", "is judged by its answers", "name an answerer")
    graph = read_graph_file(model)
    original = load_selector(against)
    identity = _identity(original, against)
    families, partition = _families(corpus, means.partition)
    reported = None if means.device is None else device_report.reported(means.device, model, graph.sha256)
    verdict: dict[str, Any] = {
        "schema": SCHEMA,
        "passes": False,
        "findings": [],
        "model": {"path": str(model), "sha256": graph.sha256, "bytes": len(graph.data)},
        "against": {"path": against, **identity},
        "corpus": {"name": corpus.name, "kind": corpus.kind, "partition": partition},
        "gate": asdict(gate) | {"score_tolerance": gate.scores_within, "agreement": gate.agreeing},
        "warnings": [],
        "version": version("earmark"),
    }
    findings: list[CheckFinding] = []
    report("loading both selectors", 0, 0)
    try:
        candidate = OnnxSelector(graph, means.provider)
        metadata = {name: getattr(candidate.graph, name) for name in candidate.graph.__slots__}
        verdict["model"] |= metadata
        findings += _of_another(metadata, identity, gate)
        if not findings:
            timed = means.timed if reported is None else 0
            heard = hear(corpus, families, original, candidate, means.budgets, timed, means.workers, report, stop)
            verdict["corpus"] |= {"questions": len(heard.pairs), "unheard": heard.unheard}
            verdict["warnings"] = _warnings(original, corpus, heard)
            findings += _compared(heard, gate, verdict)
            findings += _beyond("", ("size", "MB", len(graph.data) / 1e6, gate.max_size_mb))
            if reported is not None:
                if reported.failure is not None:
                    findings.append(CheckFinding("device", f"its own check failed there: {reported.failure}"))
                findings += _on_device(reported.figures, candidate, heard, gate, verdict)
            elif heard.timed:
                report("timing the model in fresh processes", 0, 0)
                figures = device.measure(graph, heard.timed, heard.budgets[-1], means.provider, means.threads)
                findings += _on_device(figures, candidate, heard, gate, verdict)
            if answerer is not None:
                findings += _answered(heard, corpus, means.rule, answerer, verdict, report, stop)
            if gate.variant:
                verdict["warnings"] += _unproven(heard, verdict["answers"]["budgets"], means.rule)
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


def _of_another(metadata: dict[str, str], identity: dict[str, str], gate: Gate) -> list[CheckFinding]:
    """Whether the model was made from another selector; a variant may have other weights, never another tokenizer."""
    findings = []
    if metadata["tokenizer"] != identity["tokenizer"]:
        what = (
            "was made with another tokenizer than"
            if metadata["tokenizer"] and identity["tokenizer"]
            else ("reads the question, unlike" if metadata["tokenizer"] else "does not read the question, unlike")
        )
        findings.append(CheckFinding("identity", f"the model {what} the original: export it from the original"))
    if metadata["selector"] != identity["selector"] and not gate.variant:
        findings.append(
            CheckFinding(
                "identity",
                f"the model was made from weights {metadata['selector'][:12] or 'unknown'}, the original has "
                f"{identity['selector'][:12]}: export it again, or declare it a variant",
            )
        )
    return findings


def _families(corpus: Corpus, name: str | None) -> tuple[tuple[str, ...], str]:
    available = [partitions.named(corpus, name)] if name else partitions.declared(corpus)
    if available:
        return available[0].families, available[0].name
    return tuple(ALL for _ in corpus.examples), ALL


def _warnings(original: Selector, corpus: Corpus, heard: Comparison) -> list[str]:
    """What a reader must know of the corpus."""
    warnings = []
    if heard.unheard:
        warnings.append(f"{heard.unheard} questions have a recording that cannot be read; they were left out")
    card = getattr(original, "card", {})
    trained = {
        mark for entry in card.get("trained_on", ()) if entry["corpus"] == corpus.name for mark in entry["sources"]
    }
    sources = set(fingerprints(pair.example.source_id for pair in heard.pairs))
    if shared := len(sources & trained):
        warnings.append(
            f"the original was trained on {shared} of {len(sources)} sources; elsewhere they may differ more"
        )
    return warnings


# What it does ------------------------------------------------------------------------------------------------


def _compared(heard: Comparison, gate: Gate, verdict: dict[str, Any]) -> list[CheckFinding]:
    """Scores and chunks."""
    scores, sets = agreement.parity(heard), agreement.agreement(heard)
    verdict["scores"] = scores._asdict()
    verdict["agreement"] = [entry._asdict() | {"share": entry.share} for entry in sets]
    verdict["ties"] = [ties._asdict() for ties in agreement.ties(heard)]
    findings = []
    if gate.scores_within is not None and scores.relative > gate.scores_within:
        findings.append(
            CheckFinding(
                "scores",
                f"scores differ by up to {scores.relative:.2g} of their spread (sample {scores.worst_sample}), "
                f"{gate.scores_within:g} is allowed",
            )
        )
    if gate.agreeing is not None:
        findings += [
            CheckFinding(
                "agreement",
                f"budget {entry.budget:g}, family '{entry.family}': other chunks in {entry.n - entry.same} of "
                f"{entry.n} questions ({entry.share:.1%} agree, {gate.agreeing:.1%} must)",
            )
            for entry in sets
            if entry.family is not None and entry.share < gate.agreeing
        ]
    return findings


def _on_device(
    figures: DeviceFigures, candidate: OnnxSelector, heard: Comparison, gate: Gate, verdict: dict[str, Any]
) -> list[CheckFinding]:
    """Time and memory of a machine, and whether it has the model's scores and chunks with any number of threads."""
    verdict["device"] = {
        "report": figures.report,
        "machine": figures.machine,
        "runs": [{name: value for name, value in run._asdict().items() if name != "scores"} for run in figures.runs],
    }
    findings = []
    clip_scores = candidate.scores(figures.clips)
    for run in figures.runs:
        where = f" with {counted(run.threads)}"
        findings += _beyond(
            where,
            ("p95", "ms", run.p95_ms, gate.max_p95_ms),
            ("cold start", "s", run.cold_start_s, gate.max_cold_start_s),
            ("memory", "MiB", run.peak_mib, gate.max_memory_mib),
        )
        pairs = [(here, np.array(there)) for here, there in zip(clip_scores, run.scores, strict=True)]
        apart = max(float(np.abs(here - there).max()) for here, there in pairs)
        if apart > SCORE_TOLERANCE * verdict["scores"]["spread"]:
            findings.append(CheckFinding("device", f"scores{where} differ by up to {apart:.2g} from those here"))
            continue
        for budget in heard.budgets:
            changed = sum(not _same_chunks(candidate, here, there, budget) for here, there in pairs)
            if changed:
                which = f"{changed} of {len(pairs)} clips keep other chunks than here at budget {budget:g}"
                findings.append(CheckFinding("device", f"{which}{where}"))
    return findings


def _same_chunks(candidate: OnnxSelector, here: Scores, there: Scores, budget: float) -> bool:
    k = kept_chunks(budget, len(here))
    return np.array_equal(candidate.keep(here, k), candidate.keep(there, k))


def _beyond(where: str, *limits: tuple[str, str, float | None, float | None]) -> list[CheckFinding]:
    """What is above its limit, or is not known though it has one."""
    return [
        CheckFinding(
            "device",
            f"{what}{where} is {'not known' if value is None else f'{value:.3g} {unit}'}, {limit:g} {unit} is allowed",
        )
        for what, unit, value, limit in limits
        if limit is not None and (value is None or value > limit)
    ]


def _answered(
    heard: Comparison,
    corpus: Corpus,
    rule: Rule,
    answerer: Answerer,
    verdict: dict[str, Any],
    report: Report,
    stop: Stop,
) -> list[CheckFinding]:
    """The certified test of the answers."""
    certified = certified_answers.certify(
        heard,
        corpus.name,
        answerer,
        rule,
        lambda now: report("answers", now.answered, now.total),
        stop,
    )
    verdict["answers"] = {
        "answerer": answerer.name,
        "identity": answerer.identity,
        "tolerance": rule.tolerances[0],
        "alpha": rule.alpha,
        "clustering": rule.clustering,
        "budgets": [entry._asdict() for entry in certified],
    }
    return [
        CheckFinding("answers", f"budget {entry.budget:g} is not certified: {entry.reason}")
        for entry in certified
        if not entry.passes
    ]


def _unproven(heard: Comparison, budgets: list[dict[str, Any]], rule: Rule) -> list[str]:
    """Where a variant passes by construction on families that are too small to say anything about other questions."""
    fewest = fewest_rows(rule, rule.tolerances[0])
    sizes = Counter(pair.family for pair in heard.pairs)
    alike = ", ".join(f"{entry['budget']:g}" for entry in budgets if entry["asked"] == 0)
    return [
        f"budget {alike} passes by construction, but family '{family}' has {n} questions, and {fewest} are needed "
        "to say anything about others"
        for family, n in sorted(sizes.items())
        if alike and n < fewest
    ]
