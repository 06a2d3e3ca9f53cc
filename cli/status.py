"""`earmark status RUN`: what of a sweep is done."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
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

    found = sweep.status(run)
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
            for entry in found.steps
        ]
        said = {"complete": found.complete, "answers": found.answers, "of": found.answers_in_all, "levels": steps}
        click.echo(json.dumps(said, indent=1))
    else:
        click.echo(table(found))


def table(found: "Status") -> str:
    """Plain text: a line per step, and the next command."""
    lines = [f"{found.run}: {found.answers:,} of {found.answers_in_all:,} answers"]
    names = [f"{entry.answerer}, {_words(entry.step.name)}" for entry in found.steps]
    width = max(map(len, names))
    for name, entry in zip(names, found.steps, strict=True):
        cells = len(entry.step.arms)
        state = "complete" if entry.complete else f"{entry.done} of {entry.blocks} windows" if entry.done else "to do"
        lines.append(f"  {name.ljust(width)}  {cells:>4} cell{'s' * (cells > 1)}{' ' * (cells == 1)}  {state}")
    if found.complete or found.can_be_certified:
        which = "" if found.complete else "   (the budgets that are complete)"
        lines.append(f"next: earmark certify {found.run}{which}")
    elif found.references_alone:
        lines.append(f"earmark certify has to wait for a budget of {', '.join(found.references_alone)}")
    if not found.complete:
        lines.append(f"next: earmark run {found.run / 'spec.toml'} --out {found.run}")
    return "\n".join(lines)


def _words(step: str) -> str:
    kind, _, budget = step.partition("-")
    words = {
        "raw": "raw audio",
        "silence": "silence instead",
        "anchor": f"budget {budget}",
        "streams": f"permuted questions, budget {budget}",
    }
    return words[kind]
