"""`earmark verify CERT`: does the certificate follow from its files?"""

import sys
from pathlib import Path

import click

from earmark.cli import exits
from earmark.cli.certificate_place import certificate_in
from earmark.cli.progress import ProgressLine
from earmark.cli.say import say, say_json


@click.command()
@click.argument("certificate", metavar="CERT", type=click.Path(path_type=Path))
@click.option(
    "--run", type=click.Path(path_type=Path), help="The run folder, or its URL.  [default: where the certificate says]"
)
@click.option("--json", "as_json", is_flag=True, help='Print {"holds": ..., "difference": ..., "not_compared": ...}.')
def verify(certificate: Path, run: Path | None, as_json: bool) -> None:
    """Recompute CERT, a certificate.json or the folder with it, from its run folder. Each may be a URL.

    Says the first difference, or that it holds. policy.json and report.html belong to certificate.json: a copy of
    another name is verified without them, and says so.

    Every input file must have the same bytes. Exit code: 0 when it holds, 1 when it differs, 2 for bad input.

    \b
    Example:
      earmark verify runs/mmar/certificate.json
    """
    from earmark.cli.arrow import spare_pandas
    from earmark.cli.memory import keep_memory
    from earmark.engine.report.signed_files import BESIDE, folder_of
    from earmark.engine.report.verify import verify as recompute

    spare_pandas()
    keep_memory()
    certificate = certificate_in(certificate)
    with ProgressLine() as progress:
        progress("reading the certificate", 0, 0)
        difference = recompute(certificate, run, progress)
    not_compared = BESIDE if folder_of(certificate) is None else ()
    if as_json:
        say_json({"holds": difference is None, "difference": difference, "not_compared": not_compared})
    elif difference is None:
        say(f"{certificate}: holds" + (f"; {' and '.join(not_compared)} were not compared" if not_compared else ""))
    else:
        say(f"{certificate}: does not hold: {difference}")
    sys.exit(0 if difference is None else exits.DIFFERS)
