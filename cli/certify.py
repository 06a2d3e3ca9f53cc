"""`earmark certify RUN`: a decision table, certificate.json and report.html."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from earmark.cli import exits
from earmark.cli.certificate_place import certificate_in
from earmark.cli.options import given, rule_options
from earmark.cli.progress import ProgressLine
from earmark.cli.sign import sign

if TYPE_CHECKING:
    pass


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@rule_options(
    "partitions", "tolerances", "tolerance_average", "alpha", "name", "loss", "min_family", "parents", "clustering",
    "replicates", "seed", "max_error_rate", "reference_answerer", "in_domain", "claim", "candidates", "source",
    "max_rows_per_recording", "looks", "allow_vacuous",
)  # fmt: skip
@click.option(
    "--follows",
    type=click.Path(path_type=Path),
    metavar="CERT",
    help="The certificate.json before, where these are new rows after a refusal: both count.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where certificate.json and report.html go.  [default: the run folder]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the certificate instead of the table.")
def certify(
    run: Path,
    follows: Path | None,
    out: Path | None,
    as_json: bool,
    **declared: Any,
) -> None:
    """Decide from the outcomes in RUN which budget is safe, or refuse.

    RUN is a run folder, or the URL of one (s3://, gs://, hf://), which needs --out. It holds
    cells/answerer=A/corpus=C/method=M/budget=B/part-*.parquet, with the raw reference in
    method=uncompressed/budget=1.0. Writes certificate.json and report.html. Where RUN has the spec.toml of a sweep,
    what is not given here is as its [rule] declares; what then differs from its plan.json was not declared, is named
    first, and approves nothing.

    Exit code: 0 when the claim approves a candidate below all of the audio, 3 when it approves none, 2 for bad input.

    \b
    Example:
      earmark certify runs/mmar --partition native --tolerance 0.05
    """
    from earmark.engine.design.rule import BY_RULE
    from earmark.engine.design.spec import rule_of_run
    from earmark.engine.files import check_is_local, make_folder
    from earmark.engine.outcomes.store import is_signed_off
    from earmark.engine.remote import local

    typed = given(declared)
    if "name" in typed:
        typed.setdefault("replicates", BY_RULE)
    if out is None:
        check_is_local(run)  # where the certificate goes
    else:
        make_folder(out)  # before the work, not after it
    with ProgressLine() as progress:
        run = local(run, is_signed_off, progress)
    rule = replace(rule_of_run(run), **typed)
    before = None if follows is None else certificate_in(follows)
    sys.exit(0 if sign(run, rule, out or run, as_json, before) else exits.REFUSED)
