"""`earmark diff OLD NEW`: is the new certificate better, worse, undecided, or not comparable?"""

import sys
from pathlib import Path

import click

from earmark.cli import exits
from earmark.cli.certificate_place import certificate_in
from earmark.cli.progress import ProgressLine
from earmark.cli.say import say, say_json


@click.command()
@click.argument("old", metavar="OLD", type=click.Path(path_type=Path))
@click.argument("new", metavar="NEW", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print it as Markdown, for the summary of a CI step.")
def diff(old: Path, new: Path, as_json: bool, as_markdown: bool) -> None:
    """Compare NEW, a certificate.json or the folder with it, with OLD, which came before.

    What may be shipped is compared by the stricter of both rules, and the answers of every family by an exact test:
    question by question where both run folders are there, else by the counts that the certificates state. A family that
    is gone, other questions, or another answerer are not comparable.

    Exit code: 0 when nothing is worse, 3 when something is, 4 when something is not comparable, 2 for bad input.

    \b
    Example:
      earmark diff released/certificate.json runs/mmar
    """
    from earmark.engine.report.diff_markdown import diff_markdown
    from earmark.engine.report.diff_terminal import diff_lines
    from earmark.engine.signoff.diff.diff import diff as compared
    from earmark.engine.signoff.json_form import to_json

    if as_json and as_markdown:
        raise click.UsageError("--json and --markdown cannot be given together")
    with ProgressLine() as progress:
        comparison = compared(certificate_in(old), certificate_in(new), progress)
    if as_json:
        say_json(to_json(comparison), indent=1)
    else:
        say(*(diff_markdown if as_markdown else diff_lines)(comparison))
    sys.exit({"worse": exits.WORSE, "not comparable": exits.INCOMPARABLE}.get(comparison.verdict, 0))
