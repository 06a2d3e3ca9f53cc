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
    """Say how far the sweep in RUN is, level by level, and what to type next.

    \b
    Example:
      earmark status runs/mmsu
    """
    from earmark.engine.sweep import status as sweep

    found = sweep.status(run)
    if as_json:
        levels = [
            {
                "answerer": entry.answerer,
                "level": entry.level.name,
                "budget": entry.level.budget,
                "cells": len(entry.level.curves),
                "windows": entry.windows,
                "done": entry.done,
                "complete": entry.complete,
            }
            for entry in found.levels
        ]
        said = {"complete": found.complete, "answers": found.answers, "of": found.answers_in_all, "levels": levels}
        click.echo(json.dumps(said, indent=1))
    else:
        click.echo(table(found))


def table(found: "Status") -> str:
    """Plain text: a line per level, and the next command."""
    lines = [f"{found.run}: {found.answers:,} of {found.answers_in_all:,} answers"]
    names = [f"{entry.answerer}, {_words(entry.level.name)}" for entry in found.levels]
    width = max(map(len, names))
    for name, entry in zip(names, found.levels, strict=True):
        cells = len(entry.level.curves)
        state = "complete" if entry.complete else f"{entry.done} of {entry.windows} windows" if entry.done else "to do"
        lines.append(f"  {name.ljust(width)}  {cells:>4} cell{'s' * (cells > 1)}{' ' * (cells == 1)}  {state}")
    if found.complete or found.can_be_certified:
        which = "" if found.complete else "   (the budgets that are complete)"
        lines.append(f"next: earmark certify {found.run}{which}")
    elif found.references_alone:
        lines.append(f"earmark certify has to wait for a budget of {', '.join(found.references_alone)}")
    if not found.complete:
        lines.append(f"next: earmark run {found.run / 'spec.toml'} --out {found.run}")
    return "\n".join(lines)


def _words(level: str) -> str:
    kind, _, budget = level.partition("-")
    words = {
        "raw": "raw audio",
        "silence": "silence instead",
        "anchor": f"budget {budget}",
        "streams": f"permuted questions, budget {budget}",
    }
    return words[kind]
