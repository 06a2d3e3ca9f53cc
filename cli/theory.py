"""`earmark theory`: the paper's theory, checked by machine."""

import sys

import click

from earmark.cli import exits
from earmark.cli.progress import ProgressLine
from earmark.cli.say import say, say_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def theory(as_json: bool) -> None:
    """Check every statement of the paper's theory on many small instances, exactly, in seconds.

    Prints where the paper says it, the claim, how many instances were checked, and by how much the worst of them
    deviates. Exit code: 0 when all hold, 1 when one does not.

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
        width = max(len(result.claim) for result in results)
        say(f"{'where':<18}{'claim':<{width + 2}}{'cells':>5}  {'worst':>7}  {'allowed':>7}")
        for result in results:
            worst = "none" if result.worst is None else f"{result.worst:.0e}"
            claim = f"{result.where:<18}{result.claim:<{width + 2}}{result.cells:>5}"
            verdict = "" if result.holds else f"  DOES NOT HOLD: {result.reason}"
            say(f"{claim}  {worst:>7}  {result.tolerance:7.0e}{verdict}")
    sys.exit(0 if all(result.holds for result in results) else exits.DIFFERS)
