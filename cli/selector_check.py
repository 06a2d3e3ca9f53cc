"""`earmark selector check MODEL`: may this exported selector ship? A table or JSON, and an exit code."""

import sys
from pathlib import Path
from typing import Any

import click

from earmark.cli import exits
from earmark.cli.options import key_option
from earmark.cli.progress import ProgressLine
from earmark.cli.say import columns, say, say_json
from earmark.engine.design.sections import CorpusSpec
from earmark.engine.extras import needs_extra
from earmark.engine.report.terminal import aligned

_STOPPING = "stopping after what is under way: there will be no verdict; Ctrl-C again stops at once"


@click.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="MODEL.onnx")
@click.option(
    "--against", required=True, metavar="SELECTOR", help="The original: a trained selector's name, folder or graph."
)
@click.option(
    "--corpus", "place", required=True, type=click.Path(path_type=Path), metavar="C", help="What both have to hear."
)
@click.option("--kind", metavar="K", help="Which benchmark it is.  [default: told from the folder]")
@key_option(CorpusSpec, "split")
@key_option(CorpusSpec, "columns", "--column")
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
@click.option("--answerer-device", default="cpu", show_default=True, help="Where the answerer runs, e.g. cuda.")
@click.option("--dtype", default="float32", show_default=True, help="float32, bfloat16 or float16.")
@click.option("--batch-tokens", type=click.IntRange(min=1), metavar="N", help="Tokens of one of its batches.")
@click.option("--tolerance", default=0.05, show_default=True, metavar="E", help="Allowed excess error of a family.")
@click.option("--alpha", default=0.025, show_default=True, help="Accepted chance of a false pass of the answers.")
@click.option("--provider", default="cpu", show_default=True, help="What runs the model: cpu, cuda or tensorrt.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Timed with 1 and with N.  [default: cores]")
@click.option("--clips", default=50, show_default=True, type=click.IntRange(min=0), help="Clips to time; 0: none.")
@click.option(
    "--device",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Judge the machine of a device.json, which keep.py --check wrote there, instead of this one.",
)
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
    split: str | None,
    column: dict[str, str],
    partition: str | None,
    allow_outside: bool,
    workers: int | None,
    budgets: str,
    answerer: str | None,
    answerer_device: str,
    dtype: str,
    batch_tokens: int | None,
    tolerance: float,
    alpha: float,
    provider: str,
    threads: int | None,
    clips: int,
    device: Path | None,
    as_json: bool,
    **reached: Any,
) -> None:
    """Check an exported selector before it ships: does it do what SELECTOR does, and what does it take here?

    Both hear the corpus: scores, kept chunks by budget and family, ties. Fresh processes tell time and memory, with one
    thread and with many; or the report of a device does. With an answerer, answers on MODEL's chunks are certified
    against those on SELECTOR's.

    Exit code: 0 when MODEL passes, 3 when it does not, 2 for bad input, 130 when interrupted.

    \b
    Example:
      earmark selector check edge/waveform.onnx --against selectors/learned_conditioned/seed=42 --corpus data/MMSU
      earmark selector check edge/int8.onnx --variant --against edge/features.onnx --corpus data/MMSU \\
        --answerer Qwen/Qwen2-Audio-7B-Instruct --answerer-device cuda --dtype bfloat16
      earmark selector check edge/waveform.onnx --against edge/features.onnx --corpus data/MMSU \\
        --device device.json --max-p95-ms 50
    """
    from earmark.engine.corpus.corpus import open_corpus
    from earmark.engine.design.rule import Rule
    from earmark.engine.making.release import check as engine
    from earmark.engine.making.release.device import thread_counts
    from earmark.engine.making.release.release_gate import CheckMeans, Gate
    from earmark.engine.progress import StoppedError, stopping_on_signals

    if reached["variant"] and answerer is None:
        raise click.UsageError("--variant is judged by its answers: give --answerer")
    means = CheckMeans(
        budgets=_budgets(budgets),
        provider=provider,
        threads=thread_counts(threads),
        timed=clips,
        device=device,
        partition=partition,
        workers=workers,
        rule=Rule(tolerances=(tolerance,), alpha=alpha),
    )
    try:
        with ProgressLine() as progress, stopping_on_signals(lambda: progress.note(_STOPPING)) as stop:
            progress(f"reading {place}", 0, 0)
            corpus = open_corpus(place, kind, allow_outside=allow_outside, split=split, columns=column)
            answering = None
            if answerer is not None:
                from earmark.engine.answerers.loading import load
                from earmark.engine.design.sections import AnswererSpec, MachineSpec

                progress(f"loading {answerer}", 0, 0)
                memory = {} if batch_tokens is None else {"batch_tokens": batch_tokens}
                answering = load(AnswererSpec(answerer, dtype=dtype), MachineSpec(device=answerer_device, **memory))
            verdict = engine.check(model, against, corpus, Gate(**reached), means, answering, progress, stop)
    except StoppedError:
        say("interrupted: there is no verdict", err=True)
        sys.exit(exits.INTERRUPTED)
    if as_json:
        say_json(verdict, indent=1)
    else:
        say(*_table(verdict))
    sys.exit(0 if verdict["passes"] else exits.REFUSED)


def _budgets(text: str) -> tuple[float, ...]:
    try:
        budgets = tuple(float(part) for part in text.split(","))
    except ValueError:
        budgets = ()
    if not budgets or len(set(budgets)) < len(budgets) or not all(0 < budget <= 1 for budget in budgets):
        raise click.BadParameter(f"'{text}' is no list of different shares, like 0.1,0.4", param_hint="--budgets")
    return budgets


def _table(verdict: dict[str, Any]) -> list[str]:
    """What was measured, then the verdict with its reasons."""
    from earmark.engine.making.edge.machine import described

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
                [("budget", "family", "questions", "equal chunks", "overlap"), *map(_agreement, verdict["agreement"])],
                columns(sys.stdout),
            ),
            "",
            *aligned(
                [("budget", "ties", "of the model", "of one alone", "and other chunks"), *map(_ties, verdict["ties"])],
                columns(sys.stdout),
            ),
        ]
    if "device" in verdict:
        device = verdict["device"]
        lines += ["", f"{'here' if device['report'] is None else device['report']}: {described(device['machine'])}"]
        head = ("threads", "clips", "median clip", "cold start", "p50", "p95", "memory")
        lines += aligned([head, *map(_run, device["runs"])], columns(sys.stdout))
    if "answers" in verdict:
        answers = verdict["answers"]
        lines += ["", f"answers of {answers['answerer']}, excess of at most {answers['tolerance']:g} in every family"]
        columns_of_answers = ("budget", "asked", "changed", "failed", "")
        lines += aligned([columns_of_answers, *map(_answers, answers["budgets"])])  # ends in a sentence
    lines += ["", *(f"warning: {warning}" for warning in verdict["warnings"])]
    lines += [f"{finding['check']}: {finding['reason']}" for finding in verdict["findings"]]
    return [*lines, "pass" if verdict["passes"] else "fail"]


def _agreement(entry: dict[str, Any]) -> tuple[str, ...]:
    name = "(all)" if entry["family"] is None else entry["family"]
    return f"{entry['budget']:g}", name, str(entry["n"]), f"{entry['share']:.1%}", f"{entry['overlap']:.1%}"


def _ties(entry: dict[str, Any]) -> tuple[str, ...]:
    return f"{entry['budget']:g}", *(
        str(entry[key]) for key in ("original", "model", "differently", "differently_kept")
    )


def _run(run: dict[str, Any]) -> tuple[str, ...]:
    times = (
        f"{run['clip_s']:.1f} s",
        f"{run['cold_start_s']:.2f} s",
        f"{run['p50_ms']:.2f} ms",
        f"{run['p95_ms']:.2f} ms",
    )
    memory = "unknown" if run["peak_mib"] is None else f"{run['peak_mib']:.0f} MiB"
    return str(run["threads"]), str(run["clips"]), *times, memory


def _answers(entry: dict[str, Any]) -> tuple[str, ...]:
    return f"{entry['budget']:g}", str(entry["asked"]), str(entry["changed"]), str(entry["failed"]), entry["reason"]
