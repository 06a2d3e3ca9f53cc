"""`earmark import`: logs of other evaluation harnesses become a run folder.

Parses, calls one engine function and prints. Knows no layout of any log.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from earmark.cli.progress import ProgressLine
from earmark.cli.say import say, say_json
from earmark.engine.outcomes.imports import KINDS

if TYPE_CHECKING:
    from earmark.engine.outcomes.imports.logs import ImportedCell


@click.command("import")
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@click.argument("raw", type=click.Path(path_type=Path), metavar="RAW")
@click.argument("compressed", nargs=-1, metavar="[METHOD@BUDGET=]LOG...")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="RUN", help="Run folder, new or existing."
)
@click.option(
    "--family",
    metavar="FIELD|none",
    help="The family of a question, such as doc.category. none: there is one for each task. Default: the task where "
    "there are several logs; category (vlmeval), query_family (tables).",
)
@click.option("--corpus", metavar="NAME", help="The benchmark. Default: the task that the log names.")
@click.option("--answerer", metavar="NAME", help="The model. Default: the one that the log names.")
@click.option(
    "--metric",
    metavar="FIELD",
    help="An accuracy in [0, 1], or a yes/no; the loss is 1 minus it. Default: the only such field of a log; in "
    "tables the column loss is used as it is.",
)
@click.option(
    "--axis",
    "axis",
    multiple=True,
    metavar="METHOD=AXIS",
    help="What the budgets of a method are shares of: seconds, duration, bits, bandwidth, or own for anything else. "
    "opus=bits says that opus@0.1 keeps a tenth of the bits; repeat for several methods. Default: nothing is said, and "
    "a report speaks of the audio.",
)
@click.option(
    "--common",
    is_flag=True,
    help="Compare only the questions that all logs have. What is left out is said, here and in the certificate.",
)
@click.option(
    "--budget-arg",
    metavar="NAME",
    default="budget",
    show_default=True,
    help="The argument of the evaluation that was the budget: logs named without one are read for it, and one that is "
    "typed must agree.",
)
@click.option(
    "--method-arg",
    metavar="NAME",
    default="method",
    show_default=True,
    help="The argument that was the method, for logs that are named without one.",
)
@click.option("--filter", metavar="NAME", help="lm-eval: whose rows to read, where a task has several filters.")
@click.option("--scorer", metavar="NAME", help="inspect: whose scores to read, where a log has several scorers.")
@click.option(
    "--id",
    metavar="FIELD",
    help="What pairs the logs. Default: doc_id, id (inspect), index (vlmeval), sample_id (tables).",
)
@click.option(
    "--source",
    metavar="FIELD|none",
    help="The recording that a question is about: the rows of one are not independent. none declares that every row is "
    "a recording of its own. Default: source_id in tables, else each row its own, and fields that repeat like a "
    "recording are a doubt that the certificate will carry.",
)
@click.option("--predicted", metavar="FIELD", help="The answer that was read from the response; empty: there was none.")
@click.option("--correct", metavar="FIELD", help="The right answer. Default: target; correct_label in tables.")
@click.option("--nll", metavar="FIELD", help="The negative log-likelihood of the right answer, in nats.")
@click.option("--tokens", metavar="FIELD", help="How many audio tokens the model was given.")
@click.option(
    "--options",
    metavar="FIELD",
    help="The number of answers to choose from, or the answers themselves (a list, or a text with one on each line). "
    "Default: what the log plainly shows; n_options in tables.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def import_logs(
    kind: str,
    raw: Path,
    compressed: tuple[str, ...],
    out: Path,
    corpus: str | None,
    answerer: str | None,
    axis: tuple[str, ...],
    common: bool,
    budget_arg: str,
    method_arg: str,
    as_json: bool,
    **fields: str | None,
) -> None:
    """Make a run folder of evaluation logs: one of raw audio, the others of compressed audio.

    KIND is lm-eval, lmms-eval, inspect, vlmeval, csv, jsonl or parquet. RAW is the log of raw audio. Each further
    argument is METHOD@BUDGET=LOG, or METHOD@BUDGET@SEED=LOG with the training seed of a learned selector:
    energy@0.4=LOG (or energy@40%=LOG) is the same questions with 40% of the audio kept by the method that you call
    energy; with --axis opus=bits, opus@0.1=LOG is a tenth of the bits. Where the evaluation was told both (model_args,
    gen_kwargs, task_args or metadata with method=energy, budget=0.4), LOG alone is enough; METHOD=LOG where it was told
    the budget; and RAW alone, where it is the folder of all the logs.

    silence=LOG is the control: the same questions about silence instead of the audio. It shows which families need the
    audio at all; without it the certificate warns.

    A harness's log may be given as the folder of one run, or as its results file. Several tasks, a group for instance,
    become one corpus, whose families are the tasks unless you name a field.

    FIELD is a dotted path into a row of the log: doc.category, mmar_accuracy.score, metadata.task. An error names the
    fields that there are.

    The pairing is checked before anything is written: the same samples, questions, prompts, families, task and model
    on both sides, each sample once. A cell that is already there with the same rows is left alone, so that the command
    can be repeated and more logs added later. What is doubtful is printed as "look at this", and kept in
    RUN/import.json for the certificate.

    \b
    lm-eval, run with --log_samples:
      earmark import lm-eval raw/ energy@0.4=energy40/ \\
          --family doc.category --metric acc --source doc.audio.path --out run
    lmms-eval, run with --log_samples:
      earmark import lmms-eval raw/ energy@0.4=energy40/ energy@0.2=energy20/ \\
          --family mmar_accuracy.category --predicted mmar_accuracy.prediction --out run
    the same of a group of tasks, where the model was told method and budget:
      earmark import lm-eval raw/ energy40/ energy20/ --source doc.recording --out run
    inspect, .eval or .json, or a folder of all of them that says which is which:
      earmark import inspect logs/ --family metadata.task --source metadata.recording --out run
      earmark import inspect raw.eval energy@0.4=energy40.json \\
          --family metadata.task --source metadata.recording --out run
    VLMEvalKit, the tables that its evaluation wrote:
      earmark import vlmeval raw_result.xlsx energy@0.4=energy40_result.xlsx \\
          --corpus mmau --answerer qwen2-audio --out run
    Tables with the columns sample_id, query_family and loss, better with source_id and n_options too, or with others
    that you name:
      earmark import csv raw.csv energy@0.4=energy40.csv \\
          --corpus mmar --answerer qwen2-audio --out run
      earmark import jsonl raw.jsonl energy@0.4=energy40.jsonl --id question \\
          --family topic --metric correct --source clip --options choices \\
          --corpus mmar --answerer qwen2-audio --out run
      earmark import parquet raw.parquet learned@0.4@1=seed1.parquet learned@0.4@2=seed2.parquet \\
          --corpus mmar --answerer qwen2-audio --out run

    Afterwards `earmark certify RUN` decides which budgets are safe.
    """
    from earmark.cli.arrow import spare_pandas
    from earmark.engine.outcomes.imports.arguments import ArgumentNames
    from earmark.engine.outcomes.imports.logs import Declarations, import_logs, parse_arm, parse_axes
    from earmark.engine.outcomes.imports.rows import Fields

    spare_pandas()
    arms = [parse_arm(text) for text in compressed]
    declared = Declarations(answerer, corpus, ArgumentNames(budget_arg, method_arg), common, parse_axes(axis))
    with ProgressLine() as progress:
        imported = import_logs(kind, raw, arms, Fields(**fields), out, declared, progress)
    for doubt in imported.doubts:
        say(f"look at this: {doubt}", err=True)
    if as_json:
        cells = [_as_json(cell) for cell in imported.cells]
        content = {
            "run": str(out),
            "source": imported.source,
            "families": imported.families,
            "cells": cells,
            "doubts": imported.doubts,
        }
        say_json(content, indent=2)
        return
    read = [f"read from {cell.log}: {cell.arguments}" for cell in imported.cells if cell.arguments]
    families = [f"families: {imported.families}"] if imported.families else []
    say(*read, *map(_as_line, imported.cells), *families, f"recordings: {imported.source}")
    say(f"next: earmark certify {out}")


def _as_line(cell: "ImportedCell") -> str:
    loss = "-" if cell.mean_loss is None else f"{cell.mean_loss:.4f}"
    return (
        f"{'written' if cell.written else 'already there'}: {cell.key}: {cell.rows} rows, {cell.families} families, "
        f"loss {loss}, {cell.unanswered} without an answer, {cell.errors} errors"
    )


def _as_json(cell: "ImportedCell") -> dict[str, Any]:
    key = cell.key
    return {
        "cell": str(key),
        "answerer": key.answerer,
        "corpus": key.corpus,
        "method": key.method,
        "seed": key.seed,
        "budget": key.budget,
        "log": str(cell.log),
        "rows": cell.rows,
        "families": cell.families,
        "mean_loss": cell.mean_loss,
        "unanswered": cell.unanswered,
        "errors": cell.errors,
        "written": cell.written,
        "arguments": cell.arguments,
    }
