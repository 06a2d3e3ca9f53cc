"""`earmark selector check MODEL`: may this exported selector ship? A table or JSON, and an exit code."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from earmark.cli import exits
from earmark.cli.progress import ProgressLine
from earmark.cli.table import aligned
from earmark.engine.extras import needs_extra


@click.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL.onnx")
@click.option(
    "--against", required=True, metavar="SELECTOR", help="The original: a trained selector's name, folder or graph."
)
@click.option(
    "--corpus", "place", required=True, type=click.Path(path_type=Path), metavar="C", help="What both have to hear."
)
@click.option("--kind", metavar="K", help="Which benchmark it is.  [default: told from the folder]")
@click.option("--partition", metavar="NAME", help="Whose families count.  [default: the first that the corpus has]")
@click.option("--allow-outside", is_flag=True, help="Follow paths and links that lead outside the folder.")
@click.option("--workers", type=click.IntRange(min=0), metavar="N", help="Processes that read audio.")
@click.option(
    "--budgets",
    default="0.05,0.1,0.2,0.4",
    show_default=True,
    metavar="B,B...",
    help="Shares of the chunks to keep, each above 0 and at most 1.",
)
@click.option("--variant", is_flag=True, help="MODEL is meant to differ (quantised, say): its answers decide.")
@click.option(
    "--score-tolerance",
    type=click.FloatRange(min=0),
    metavar="X",
    help="Allowed difference of scores, in standard deviations.  [default: 1e-4; none for a variant]",
)
@click.option(
    "--agreement",
    type=click.FloatRange(0, 1),
    metavar="X",
    help="Share of each family's questions that must keep equal chunks.  [default: 1; none for a variant]",
)
@click.option("--answerer", metavar="NAME", help="Certify its answers too: tiny, a folder, or a name on the hub.")
@click.option("--device", default="cpu", show_default=True, help="Where the answerer runs, e.g. cuda.")
@click.option("--dtype", default="float32", show_default=True, help="float32, bfloat16 or float16.")
@click.option("--batch-tokens", type=click.IntRange(min=1), metavar="N", help="Tokens of one of its batches.")
@click.option("--tolerance", default=0.05, show_default=True, metavar="E", help="Allowed excess error of a family.")
@click.option("--alpha", default=0.025, show_default=True, help="Accepted chance of a false pass of the answers.")
@click.option("--provider", default="cpu", show_default=True, help="What runs the model: cpu, cuda or tensorrt.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Timed with 1 and with N.  [default: cores]")
@click.option("--clips", default=50, show_default=True, type=click.IntRange(min=0), help="Clips to time; 0: none.")
@click.option("--max-p95-ms", type=float, metavar="X", help="Fail above that time for a clip.")
@click.option("--max-cold-start-s", type=float, metavar="X", help="Fail above that time to the first clip's chunks.")
@click.option("--max-memory-mib", type=float, metavar="X", help="Fail above that peak of memory.")
@click.option("--max-size-mb", type=float, metavar="X", help="Fail above that size of the file.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@needs_extra("earmark selector check", "edge")
def check(
    model: Path,
    against: str,
    place: Path,
    kind: str | None,
    partition: str | None,
    allow_outside: bool,
    workers: int | None,
    budgets: str,
    answerer: str | None,
    device: str,
    dtype: str,
    batch_tokens: int | None,
    tolerance: float,
    alpha: float,
    provider: str,
    threads: int | None,
    clips: int,
    as_json: bool,
    **reached: Any,
) -> None:
    """Check an exported selector before it ships: does it do what SELECTOR does, and what does it take here?

    Both hear the corpus: scores, kept chunks by budget and family, ties. Fresh processes tell time and memory, with one
    thread and with many. With an answerer, answers on MODEL's chunks are certified against those on SELECTOR's.

    Exit code: 0 when MODEL passes, 3 when it does not, 2 for bad input, 130 when interrupted.

    \b
    Example:
      earmark selector check edge/waveform.onnx --against selectors/learned_conditioned/seed=42 --corpus data/MMSU
      earmark selector check edge/int8.onnx --variant --against edge/features.onnx --corpus data/MMSU \\
        --answerer Qwen/Qwen2-Audio-7B-Instruct --device cuda --dtype bfloat16
    """
    from dataclasses import replace

    from earmark.engine.answerers.shared.scheduler import AnswerOptions
    from earmark.engine.corpus.corpus import open_corpus
    from earmark.engine.design.rule import Rule
    from earmark.engine.making.release import check as engine
    from earmark.engine.making.release.device import thread_counts
    from earmark.engine.making.release.release_gate import AnswererInCheck, CheckMeans, Gate
    from earmark.engine.progress import StoppedError, stopping_on_signals

    if reached["variant"] and answerer is None:
        raise click.UsageError("--variant is judged by its answers: give --answerer")
    how = CheckMeans(
        budgets=_budgets(budgets),
        provider=provider,
        threads=thread_counts(threads),
        timed=clips,
        partition=partition,
        workers=workers,
        rule=Rule(tolerances=(tolerance,), alpha=alpha),
    )
    corpus = open_corpus(place, kind, allow_outside=allow_outside)
    asked = None
    if answerer is not None:
        from earmark.engine.answerers.loading import load

        options = AnswerOptions() if batch_tokens is None else replace(AnswerOptions(), batch_tokens=batch_tokens)
        asked = AnswererInCheck(load(answerer, device, dtype), options)
    try:
        with ProgressLine() as progress, stopping_on_signals() as stop:
            verdict = engine.check(model, against, corpus, Gate(**reached), how, asked, progress, stop)
    except StoppedError:
        click.echo("interrupted: there is no verdict", err=True)
        sys.exit(exits.INTERRUPTED)
    click.echo(json.dumps(verdict, indent=1, ensure_ascii=False) if as_json else _table(verdict))
    sys.exit(0 if verdict["passes"] else exits.REFUSED)


def _budgets(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or len(set(found)) < len(found) or not all(0 < budget <= 1 for budget in found):
        raise click.BadParameter(f"'{text}' is no list of different shares, like 0.1,0.4", param_hint="--budgets")
    return found


def _table(verdict: dict[str, Any]) -> str:
    """What was measured, then the verdict with its reasons."""
    lines = [
        f"{verdict['model']['path']} ({verdict['model']['bytes'] / 1e6:.2f} MB) against {verdict['against']['path']}"
    ]
    if "scores" in verdict:
        corpus, scores = verdict["corpus"], verdict["scores"]
        lines += [
            f"{corpus['name']}: {corpus['questions']} questions, families of {corpus['partition']}",
            f"scores differ by at most {scores['largest']:.2g}, {scores['relative']:.2g} of their spread",
            "",
            *aligned(
                [("budget", "family", "questions", "equal chunks", "overlap"), *map(_agreement, verdict["agreement"])]
            ),
            "",
            *aligned(
                [("budget", "ties", "of the model", "of one alone", "and other chunks"), *map(_ties, verdict["ties"])]
            ),
        ]
    if "device" in verdict:
        head = ("threads", "clips", "median clip", "cold start", "p50", "p95", "memory")
        lines += ["", *aligned([head, *map(_device, verdict["device"])])]
    if "answers" in verdict:
        answers = verdict["answers"]
        lines += ["", f"answers of {answers['answerer']}, excess of at most {answers['tolerance']:g} in every family"]
        lines += aligned([("budget", "asked", "changed", "failed", ""), *map(_answers, answers["budgets"])])
    lines += ["", *(f"warning: {warning}" for warning in verdict["warnings"])]
    lines += [f"{finding['check']}: {finding['reason']}" for finding in verdict["findings"]]
    return "\n".join([*lines, "pass" if verdict["passes"] else "fail"])


def _agreement(one: dict[str, Any]) -> tuple[str, ...]:
    name = "(all)" if one["family"] is None else one["family"]
    return f"{one['budget']:g}", name, str(one["n"]), f"{one['share']:.1%}", f"{one['overlap']:.1%}"


def _ties(one: dict[str, Any]) -> tuple[str, ...]:
    return f"{one['budget']:g}", *(str(one[of]) for of in ("original", "model", "differently", "differently_kept"))


def _device(one: dict[str, Any]) -> tuple[str, ...]:
    times = (
        f"{one['clip_s']:.1f} s",
        f"{one['cold_start_s']:.2f} s",
        f"{one['p50_ms']:.2f} ms",
        f"{one['p95_ms']:.2f} ms",
    )
    return str(one["threads"]), str(one["clips"]), *times, f"{one['peak_mib']:.0f} MiB"


def _answers(one: dict[str, Any]) -> tuple[str, ...]:
    return f"{one['budget']:g}", str(one["asked"]), str(one["changed"]), str(one["failed"]), one["reason"]
