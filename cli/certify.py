"""`earmark certify RUN`: a decision table, certificate.json and report.html."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from earmark.cli.sign import sign

if TYPE_CHECKING:
    from earmark.engine.design.rule import Rule

_EXIT_REFUSED = 3


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--partition",
    "partitions",
    multiple=True,
    metavar="NAME",
    help="A partition to certify; repeat for several. Default: all of partitions.parquet, else the rows' query_family.",
)
@click.option(
    "--tolerance",
    "tolerances",
    multiple=True,
    type=float,
    metavar="E",
    help="Allowed excess error of the worst family; repeat for several.  [default: 0.05]",
)
@click.option(
    "--tolerance-average",
    type=float,
    metavar="E",
    help="Allowed average excess error.  [default: the same as --tolerance]",
)
@click.option(
    "--alpha",
    type=float,
    default=0.025,
    show_default=True,
    help="Accepted chance of a false approval; intervals cover 1 - 2 alpha.",
)
@click.option(
    "--rule",
    "name",
    type=click.Choice(["certified", "paper"]),
    default="certified",
    show_default=True,
    help="certified: exact tests, false approvals at most alpha. paper: percentile bootstrap, no such guarantee.",
)
@click.option(
    "--loss",
    type=click.Choice(["zero-one", "nll"]),
    default="zero-one",
    show_default=True,
    help="The loss column, or the negative log-likelihood of the right answer.",
)
@click.option(
    "--min-family",
    type=int,
    metavar="N",
    help="Families with fewer rows join their parent.  [default: what the rule can test; 30 under the paper's]",
)
@click.option(
    "--parent",
    "parents",
    multiple=True,
    metavar="FAMILY=PARENT",
    help="Where a family goes if it is rare; repeat for several.",
)
@click.option(
    "--clustering",
    type=click.Choice(["source", "one-row", "ignore"]),
    default="source",
    show_default=True,
    help="Where rows share a recording: judge whole recordings, or one row of each, or ignore that.",
)
@click.option(
    "--replicates",
    type=int,
    metavar="R",
    help="Bootstrap replicates.  [default: 2000, they only describe; 10000 under the paper's rule]",
)
@click.option("--seed", type=int, default=42, show_default=True, metavar="S", help="Seed of the bootstrap.")
@click.option(
    "--max-error-rate",
    type=float,
    default=0.0,
    show_default=True,
    metavar="SHARE",
    help="Share of failed rows a cell may have; they count as harm.",
)
@click.option(
    "--reference-answerer",
    metavar="NAME",
    help="Whose agnostic selector is the reference of cross-backbone gains.  [default: the first by name]",
)
@click.option(
    "--in-domain",
    multiple=True,
    metavar="METHOD",
    help="Certify METHOD though it was trained on sources of this corpus; the certificate says so.",
)
@click.option(
    "--claim",
    type=click.Choice(["budget", "routing", "both"]),
    default="budget",
    show_default=True,
    help="What is to be guaranteed: one budget for all questions, one for each family (policy.json), or both.",
)
@click.option(
    "--candidate",
    "candidates",
    multiple=True,
    metavar="METHOD",
    help="What may be shipped; repeat for several, each takes its share of alpha. METHOD@SEED is one seed of it, "
    "ANSWERER/METHOD it under one answerer.  [default: every method but uniform and random]",
)
@click.option(
    "--source",
    metavar="COLUMN",
    help="The column of raw cells that names the recording; none: every row has one of its own.  [default: source_id]",
)
@click.option(
    "--max-rows-per-recording",
    type=int,
    metavar="N",
    help="Test the mean over rows where recordings are shared, not over recordings; N must be known beforehand.",
)
@click.option(
    "--looks",
    type=int,
    default=1,
    show_default=True,
    metavar="N",
    help="Declare that rows will be added and looked at N times in all; each look spends its share of alpha.",
)
@click.option(
    "--allow-vacuous",
    multiple=True,
    metavar="FAMILY",
    help="Approve although FAMILY needs no audio; repeat for several.",
)
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
    partitions: tuple[str, ...],
    tolerances: tuple[float, ...],
    parents: tuple[str, ...],
    candidates: tuple[str, ...],
    allow_vacuous: tuple[str, ...],
    follows: Path | None,
    out: Path | None,
    as_json: bool,
    **declared: Any,
) -> None:
    """Decide from the outcomes in RUN which budget is safe, or refuse.

    RUN is a run folder: cells/answerer=A/corpus=C/method=M/budget=B/part-*.parquet, with the raw reference in
    method=uncompressed/budget=1.0. Writes certificate.json and report.html. Where RUN has the spec.toml of a sweep,
    what is not given here is as its [rule] declares; what then differs from its plan.json was not declared, is named
    first, and approves nothing.

    Exit code: 0 when the claim approves a candidate below all of the audio, 3 when it approves none, 2 for bad input.

    \b
    Example:
      earmark certify runs/mmar --partition native --tolerance 0.05
    """
    from earmark.engine.design.rule import BY_RULE
    from earmark.engine.files import make_folder

    given: dict[str, Any] = {name: value for name, value in declared.items() if _is_given(name)}
    given |= {"tolerances": tolerances} if tolerances else {}
    given |= {"partitions": partitions} if partitions else {}
    given |= {"parents": _parents(parents)} if parents else {}
    given |= {"candidates": candidates} if candidates else {}
    given |= {"allow_vacuous": allow_vacuous} if allow_vacuous else {}
    if "name" in given:
        given.setdefault("replicates", BY_RULE)
    rule = replace(_declared(run), **given)
    if out is not None:
        make_folder(out)  # before the work, not after it
    sys.exit(0 if sign(run, rule, out or run, as_json, follows) else _EXIT_REFUSED)


def _is_given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source not in (None, click.core.ParameterSource.DEFAULT)


def _declared(run: Path) -> "Rule":
    """The rule of the sweep that made the run, or the defaults."""
    from earmark.engine.design import spec
    from earmark.engine.design.rule import Rule

    return spec.read(run / "spec.toml").rule if (run / "spec.toml").exists() else Rule()


def _parents(options: tuple[str, ...]) -> dict[str, str]:
    parents: dict[str, str] = {}
    for option in options:
        family, equals, parent = option.partition("=")
        if not (family and equals and parent):
            raise click.BadParameter(f"'{option}' is not FAMILY=PARENT", param_hint="--parent")
        if parents.get(family, parent) != parent:
            raise click.BadParameter(f"'{family}' has two parents", param_hint="--parent")
        parents[family] = parent
    return parents
