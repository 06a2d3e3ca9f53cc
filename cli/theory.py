"""`earmark theory`: the paper's theory, checked by machine."""

import sys
from typing import TYPE_CHECKING

import click

from earmark.cli import exits
from earmark.cli.progress import ProgressLine
from earmark.cli.say import columns, say, say_json
from earmark.engine.report.terminal import aligned

if TYPE_CHECKING:
    from earmark.engine.theory.statements import StatementResult


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def theory(as_json: bool) -> None:
    """Check every statement of the paper's theory on many small instances, exactly.

    Takes ten seconds to a minute, and says meanwhile which statement it is at. Prints where the paper says it, the
    claim, how many instances were checked, and by how much the worst of them deviates.
    Exit code: 0 when all hold, 1 when one does not.

    \b
    Example:
      earmark theory --json
    """
    from earmark.engine.theory.statements import STATEMENTS, verify

    results = []
    with ProgressLine() as progress:
        for n_done, statement in enumerate(STATEMENTS):
            progress(f"checking {statement.where}", n_done, len(STATEMENTS))
            results.append(verify(statement))
    if as_json:
        say_json([result._asdict() for result in results], indent=1)
    else:
        say(*aligned([("where", "claim", "cells", "worst", "allowed"), *map(_row, results)], columns(sys.stdout)))
        for result in results:
            if not result.holds:
                say(f"{result.where}, {result.claim}: DOES NOT HOLD: {result.reason}")
    sys.exit(0 if all(result.holds for result in results) else exits.DIFFERS)


def _row(result: "StatementResult") -> tuple[str, ...]:
    worst = "none" if result.worst is None else f"{result.worst:.0e}"
    return result.where, result.claim, str(result.cells), worst, f"{result.tolerance:.0e}"
