"""`earmark init CORPUS`: a spec to start from, and what it will take."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from earmark.cli.progress import ProgressLine
from earmark.engine.extras import needs_extra


@click.command()
@click.argument("corpus", type=click.Path(path_type=Path))
@click.option("--kind", metavar="K", help="Which benchmark it is.  [default: told from the folder]")
@click.option("--name", metavar="NAME", help="What to call the corpus.  [default: its kind]")
@click.option(
    "--answerer", default="tiny", show_default=True, metavar="M", help="tiny, a folder, or a name on the hub."
)
@click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="[default: bfloat16 beside a GPU]")
@click.option("--device", default="cpu", show_default=True, metavar="D", help="cpu, cuda, cuda:N or mps.")
@click.option("--tolerance", type=float, default=0.05, show_default=True, help="Excess error you will allow.")
@click.option("--alpha", type=float, default=0.025, show_default=True, help="Accepted chance of a false approval.")
@click.option("--measure/--no-measure", default=None, help="Answer a few recordings to foresee the time.")
@click.option(
    "--out", type=click.Path(path_type=Path), default="spec.toml", show_default=True, help="The file to write."
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@needs_extra("earmark init", "run", ", or foresee no time with --no-measure")
def init(
    corpus: Path,
    kind: str | None,
    name: str | None,
    answerer: str,
    dtype: str | None,
    device: str,
    tolerance: float,
    alpha: float,
    measure: bool | None,
    out: Path,
    force: bool,
) -> None:
    """Look at CORPUS and write a commented spec for it: what can be tested there, and what evaluating it will take.

    A few recordings are answered to foresee the time, if the answerer is embedded or a folder, or with --measure.
    Nothing is downloaded unless --measure names an answerer that is not here.

    \b
    Example:
      earmark init data/MMSU --answerer models/Qwen2-Audio-7B-Instruct --device cuda --out mmsu.toml
      earmark init synthetic:certification:200
    """
    from earmark.cli.testable import fewest_recordings
    from earmark.engine.answerers.tiny import FOLDERS
    from earmark.engine.corpus import describe, partitions
    from earmark.engine.corpus.corpus import open_corpus
    from earmark.engine.design import spec as specs
    from earmark.engine.design.rule import Rule
    from earmark.engine.design.sections import GRIDS
    from earmark.engine.errors import InputError
    from earmark.engine.files import write_file
    from earmark.engine.sweep import estimate
    from earmark.engine.sweep.draft import draft

    rule = Rule(tolerances=(tolerance,), alpha=alpha)  # checks them
    if out.exists() and not force:
        raise InputError(out, "is there already", "name another file with --out, or use --force")
    with ProgressLine():
        opened = open_corpus(corpus, kind, name=name)
        description = describe.describe(opened, partitions.declared(opened), fewest_recordings(rule), None)
        text = draft(
            description,
            file=str(out),
            path=str(corpus),
            kind=kind,
            model=answerer,
            dtype=dtype or ("float32" if device == "cpu" else "bfloat16"),
            device=device,
            budgets=", ".join(f"{budget:g}" for budget in GRIDS["main"]),
            tolerance=tolerance,
            alpha=alpha,
        )
        spec = specs.parse(text, out.name)
        here = answerer == "tiny" or answerer in FOLDERS or Path(answerer).is_dir()
        foreseen = estimate.measure(spec) if (here if measure is None else measure) else estimate.count(spec)
    measured = foreseen.seconds is not None
    words = foreseen.words if measured else f"{foreseen.words}; no estimate of the time: {_how(answerer, here)}"
    write_file(out, f"# When this was written: {words}\n{text}".encode())
    click.echo(f"{opened.name}: {description['examples']:,} questions about {description['recordings']:,} recordings")
    for partition in description["partitions"]:
        able = sum(family["testable"] for family in partition["families"])
        click.echo(f"  {partition['name']}: {able} of {len(partition['families'])} families can be tested")
    click.echo(words)
    click.echo(f"wrote {out}\n{_next(description, corpus, out)}")


def _next(description: Mapping[str, Any], corpus: Path, out: Path) -> str:
    """What to type or to do, in one line or two."""
    families = [family for partition in description["partitions"] for family in partition["families"]]
    if any(family["testable"] for family in families):
        return f"next: earmark run {out} --limit 64"
    if not families:
        return f"no family can be tested, as the corpus brings none\nnext: declare families in [partitions] of {out}"
    largest = max(families, key=lambda family: family["recordings"])
    return (
        f"no family can be tested: the largest has {largest['recordings']} of the {largest['fewest']} recordings it "
        f"needs\nnext: add questions about other recordings, or in {out} name coarser families in [partitions] or "
        f"merge them with [rule.parents] (earmark corpus {shlex.quote(str(corpus))} lists them)"
    )


def _how(answerer: str, here: bool) -> str:
    """How to get an estimate."""
    if here:
        return "--measure foresees it"
    return f"{answerer} is no folder here; name its folder with --answerer, or download it with --measure"
