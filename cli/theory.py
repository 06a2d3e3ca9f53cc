"""`earmark theory`: the paper's theory, checked by machine."""

import json
import sys

import click

from earmark.cli import exits
from earmark.cli.progress import ProgressLine


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

    found = []
    with ProgressLine() as progress:
        for done, statement in enumerate(STATEMENTS):
            progress("checking statements", done, len(STATEMENTS))
            found.append(verify(statement))
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in found], indent=1))
    else:
        width = max(len(finding.claim) for finding in found)
        click.echo(f"{'where':<18}{'claim':<{width + 2}}{'cells':>5}  {'worst':>7}  {'allowed':>7}")
        for finding in found:
            worst = "none" if finding.worst is None else f"{finding.worst:.0e}"
            claim = f"{finding.where:<18}{finding.claim:<{width + 2}}{finding.cells:>5}"
            verdict = "" if finding.holds else f"  DOES NOT HOLD: {finding.reason}"
            click.echo(f"{claim}  {worst:>7}  {finding.tolerance:7.0e}{verdict}")
    sys.exit(0 if all(finding.holds for finding in found) else exits.DIFFERS)
