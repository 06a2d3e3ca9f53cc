"""`earmark status RUN`: what of a sweep is done."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from earmark.cli.say import say, say_json
from earmark.engine.printable import printable
from earmark.engine.report.axes import with_unit

if TYPE_CHECKING:
    from earmark.engine.design.steps import Step
    from earmark.engine.outcomes.plan_file import PlanFile
    from earmark.engine.sweep.status import Status


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(run: Path, as_json: bool) -> None:
    """Say how far the sweep in RUN is, step by step, and what to type next.

    \b
    Example:
      earmark status runs/mmsu
    """
    from earmark.engine.sweep import status as sweep

    sweep_status = sweep.status(run)
    if as_json:
        steps = [
            {
                "answerer": entry.answerer,
                "level": entry.step.name,
                "budget": entry.step.budget,
                "cells": len(entry.step.arms),
                "windows": entry.blocks,
                "done": entry.done,
                "complete": entry.complete,
            }
            for entry in sweep_status.steps
        ]
        content = {
            "complete": sweep_status.complete,
            "answers": sweep_status.answers,
            "of": sweep_status.answers_in_all,
            "levels": steps,
        }
        say_json(content, indent=1)
    else:
        say(*table(sweep_status))


def table(sweep_status: "Status") -> list[str]:
    """How far a sweep is: a line per step, and the next command to type."""
    lines = [f"{sweep_status.run}: {sweep_status.answers:,} of {sweep_status.answers_in_all:,} answers"]
    names = [printable(f"{entry.answerer}, {_words(entry.step, sweep_status.plan)}") for entry in sweep_status.steps]
    width = max(map(len, names))
    for name, entry in zip(names, sweep_status.steps, strict=True):
        cells = len(entry.step.arms)
        state = "complete" if entry.complete else f"{entry.done} of {entry.blocks} windows" if entry.done else "to do"
        lines.append(f"  {name.ljust(width)}  {cells:>4} cell{'s' * (cells > 1)}{' ' * (cells == 1)}  {state}")
    if sweep_status.complete or sweep_status.can_be_certified:
        note = "" if sweep_status.complete else "   (the budgets that are complete)"
        lines.append(f"next: earmark certify {sweep_status.run}{note}")
    elif sweep_status.references_alone:
        lines.append(f"earmark certify has to wait for a budget of {', '.join(sweep_status.references_alone)}")
    if not sweep_status.complete:
        lines.append(f"next: earmark run {sweep_status.run / 'spec.toml'} --out {sweep_status.run}")
    return lines


def _words(step: "Step", plan: "PlanFile") -> str:
    words = {
        "raw": "raw audio",
        "silence": "silence instead",
        "anchor": _budgets(step, plan),
        "streams": f"permuted questions, {_budgets(step, plan)}",
    }
    return words[step.kind]


def _budgets(step: "Step", plan: "PlanFile") -> str:
    """The different budgets of a step, each with the unit of its axis: `budgets 0.8, 0.125 (32 kb/s)`."""
    methods = [(plan.methods.get(arm.method), budget) for arm, budget in step.places]
    budgets = dict.fromkeys(
        with_unit(f"{1 if budget == 1 else budget!r}", budget, method.axis if method else None)
        for method, budget in methods
    )
    return f"budget{'s' * (len(budgets) > 1)} {', '.join(budgets)}"
