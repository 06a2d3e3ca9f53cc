"""`earmark status RUN`: what of a sweep is done."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from earmark.cli.progress import duration, speed
from earmark.cli.say import columns, say, say_json
from earmark.engine.design.keys import PREVIEW
from earmark.engine.report.axes import short_words
from earmark.engine.report.terminal import aligned

if TYPE_CHECKING:
    from earmark.engine.design.steps import Step
    from earmark.engine.outcomes.plan_file import PlanFile
    from earmark.engine.sweep.status import OutcomesAlone, Status, StepStatus


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(run: Path, as_json: bool) -> None:
    """Say how far the sweep in RUN is, step by step, how fast it goes, and what to type next.

    Of a folder without a sweep, one of `earmark import` say, it counts the outcomes.
    An answer counts when its window ([sweep] window) is done. In the folder of a --shard, what is missing of that
    shard is what is left to do there.

    \b
    Example:
      earmark status runs/mmsu
    """
    from earmark.engine.sweep import status as sweep

    outcomes = sweep.outcomes(run)
    if outcomes is not None:
        if as_json:
            say_json({"cells": outcomes.cells, "rows": outcomes.rows, "imported": outcomes.imported}, indent=1)
        else:
            say(*_of_outcomes(outcomes))
        return
    sweep_status = sweep.status(run)
    if as_json:
        say_json(_content(sweep_status), indent=1)
    else:
        say(*table(sweep_status))


def _of_outcomes(outcomes: "OutcomesAlone") -> list[str]:
    """What a folder without a sweep holds, and the next command to type."""
    kind = "imported outcomes" if outcomes.imported else "outcomes that no sweep fills"
    cells = f"{outcomes.cells:,} cell{'s' * (outcomes.cells > 1)}"
    lines = [f"{outcomes.run}: {kind}: {outcomes.rows:,} rows in {cells}"]
    return [*lines, f"next: earmark {'verify' if outcomes.certified else 'certify'} {outcomes.run}"]


def _content(sweep_status: "Status") -> dict[str, Any]:
    steps = [
        {
            "answerer": entry.answerer,
            "level": entry.step.name,
            "budget": entry.step.budget,
            "cells": len(entry.step.arms),
            "windows": entry.blocks,
            "done": len(entry.done),
            "complete": entry.whole,
            "answers": entry.answers,
            "of": entry.answers_in_all,
        }
        for entry in sweep_status.steps
    ]
    return {
        "complete": sweep_status.complete,
        **({"decided": sweep_status.decided} if sweep_status.plan.decided else {}),
        "answers": sweep_status.answers,
        "of": sweep_status.answers_in_all,
        "answers_per_s": sweep_status.pace and sweep_status.pace.answers_per_s,
        "shards": [str(shard) for shard in sweep_status.shards],
        "unfinished_shards": [str(shard) for shard in sweep_status.unfinished_shards],
        "levels": steps,
    }


def table(sweep_status: "Status") -> list[str]:
    """How far a sweep is: a line per step, how fast it goes, and the next command to type."""
    lines = [f"{sweep_status.run}: {_so_far(sweep_status)}"]
    mark = sweep_status.preview
    if mark is not None:
        examples = f"{mark.n_examples:,} of {mark.n_in_corpus:,} examples"
        lines.append(f"a preview of {examples} is in {sweep_status.run / PREVIEW}; it approves nothing")
    rows = [_row(entry, sweep_status) for entry in sweep_status.steps]
    return [*lines, *aligned(rows, columns(sys.stdout)), *_pace(sweep_status), *_next(sweep_status)]


def _so_far(sweep_status: "Status") -> str:
    """How many answers there are, and of how many."""
    answers, in_all = f"{sweep_status.answers:,}", f"{sweep_status.answers_in_all:,}"
    if sweep_status.plan.decided is None or sweep_status.complete:
        return f"{answers} of {in_all} answers"
    if not sweep_status.decided:
        return f"{answers} of at most {in_all} answers"
    if sweep_status.completing:
        return f"decided; {answers} of {in_all} answers"
    return f"decided after {answers} of {in_all} answers"


def _row(entry: "StepStatus", sweep_status: "Status") -> tuple[str, ...]:
    plan = sweep_status.plan
    cells = len(entry.step.arms)
    name = entry.step.words(_budgets(entry.step, plan))
    if len(plan.answerers) > 1:
        name = f"{entry.answerer}, {name}"
    if entry.whole:
        state = "complete"
    elif entry.complete and not entry.answers and not sweep_status.completing:
        state = "not asked: decided without"
    elif entry.complete and not sweep_status.completing:
        state = f"decided after {entry.answers:,} of {entry.answers_in_all:,}"
    elif plan.decided is not None and entry.answers and not entry.complete:
        state = f"{entry.answers:,} of at most {entry.answers_in_all:,} asked"
    elif entry.answers:
        state = f"{entry.answers:,} of {entry.answers_in_all:,} answers"
    else:
        state = "to do"
    return name, f"{cells} cell{'s' * (cells > 1)}", state


def _pace(sweep_status: "Status") -> list[str]:
    """How fast answers came lately, and how long the rest takes at that pace."""
    pace = sweep_status.pace
    if pace is None or sweep_status.complete:
        return []
    most = "at most " if sweep_status.plan.decided else ""
    left = (sweep_status.answers_in_all - sweep_status.answers) / pace.answers_per_s
    ago = duration(max(0.0, time.time() - pace.last_at))
    whose = " on one machine" if sweep_status.shards else ""
    rest = f"{most}{duration(left)} for the rest{whose}"
    return [f"the last window was done {ago} ago, at {speed(pace.answers_per_s)}: {rest}"]


def _next(sweep_status: "Status") -> list[str]:
    """What to type now."""
    run, lines = sweep_status.run, []
    if sweep_status.filler is not None:
        return [f"{sweep_status.filler} is at it now, and ends with a certificate"]
    lines += [f"{who} is at shard {shard} now" for shard, who in sweep_status.fillers.items()]
    done = sweep_status.complete or sweep_status.decided
    rest = f"earmark run {run} --until complete asks what was not needed"
    if done:
        lines.append(f"next: earmark {'verify' if sweep_status.certified else 'certify'} {run}")
        return lines if sweep_status.complete else [*lines, rest]
    if sweep_status.can_be_certified:
        lines.append(f"next: earmark certify {run}   (the budgets that are complete)")
    elif sweep_status.references_alone:
        lines.append(f"earmark certify has to wait for a budget of {', '.join(sweep_status.references_alone)}")
    again = f"next: earmark run {run / 'spec.toml'} --out {run}"
    if not sweep_status.shards:
        return [*lines, again]
    lines += [
        f"{again} --shard {shard}" for shard in sweep_status.unfinished_shards if shard not in sweep_status.fillers
    ]
    if not sweep_status.unfinished_shards and len(sweep_status.shards) == sweep_status.shards[0].count:
        return [*lines, again]
    if not sweep_status.unfinished_shards:
        several = "s" * (len(sweep_status.shards) > 1)
        lines.append(f"shard{several} {', '.join(map(str, sweep_status.shards))} done: nothing is left to do here")
        lines.append(f"next: earmark merge RUN {run} OTHER-SHARDS...")
    return lines


def _budgets(step: "Step", plan: "PlanFile") -> str:
    """The different budgets of a step, in the unit of the axis where it has one: `0.8, 32 kb/s`."""
    budgets: dict[str, None] = {}
    for arm, budget in step.places:
        method = plan.methods.get(arm.method)
        budgets[short_words(budget, method.axis if method else None)] = None
    return ", ".join(budgets)
