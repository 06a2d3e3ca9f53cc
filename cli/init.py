"""`earmark init CORPUS`: a spec to start from, and what it will take."""

import shlex
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from earmark.cli.options import key_option, rule_option
from earmark.cli.progress import ProgressLine
from earmark.cli.say import say
from earmark.engine.design.endpoint import is_served
from earmark.engine.design.sections import PLAIN, AnswererSpec, CorpusSpec, MachineSpec
from earmark.engine.extras import needs_extra
from earmark.engine.printable import printable


@click.command()
@click.argument("corpus", type=click.Path(path_type=Path))
@key_option(CorpusSpec, "kind")
@key_option(CorpusSpec, "name")
@key_option(AnswererSpec, "model", "--answerer", default="tiny")
@key_option(AnswererSpec, "dtype", default=None, words="bfloat16 beside a GPU, else float32")
@key_option(MachineSpec, "device")
@rule_option("tolerances")
@rule_option("alpha")
@click.option(
    "--compressors",
    default="none",
    show_default=True,
    metavar="all|none|A,B,C",
    help="Compressors of waves beside what keeps chunks, such as opus,speed: they are the candidates to choose from.",
)
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
    compressors: str,
    measure: bool | None,
    out: Path,
    force: bool,
) -> None:
    """Look at CORPUS and write a commented spec for it: what can be tested there, and what evaluating it will take.

    The answerer is tried (as by `earmark answerer`) and answers a few recordings to foresee the time, if it is embedded
    or a folder, or with --measure. Nothing is downloaded, and no server asked, without --measure.

    \b
    Example:
      earmark init data/MMSU --answerer models/Qwen2-Audio-7B-Instruct --device cuda --out mmsu.toml
      earmark init synthetic:certification:200 --compressors all
    """
    from earmark.cli.testable import fewest_recordings
    from earmark.engine.answerers.loading import load
    from earmark.engine.answerers.tiny import FOLDERS
    from earmark.engine.answerers.trial import try_out
    from earmark.engine.corpus import describe, partitions
    from earmark.engine.corpus.corpus import open_corpus
    from earmark.engine.design import spec as specs
    from earmark.engine.design.rule import Rule
    from earmark.engine.errors import InputError
    from earmark.engine.files import write_file
    from earmark.engine.sweep import estimate
    from earmark.engine.sweep.draft import candidates_of, draft
    from earmark.engine.sweep.drafted_compressors import compressors_named

    rule = Rule(tolerances=(tolerance,), alpha=alpha)  # checks them
    if out.exists() and not force:
        raise InputError(out, "is there already", "name another file with --out, or use --force")
    names = compressors_named(compressors)
    fewest = fewest_recordings(rule, len(candidates_of(names)))
    with ProgressLine():
        opened = open_corpus(corpus, kind, name=name)
        description = describe.describe(opened, partitions.declared(opened), fewest, None)
        text = draft(
            description,
            file=str(out),
            path=str(corpus),
            kind=kind,
            model=answerer,
            dtype=dtype,
            device=device,
            tolerance=tolerance,
            alpha=alpha,
            compressors=names,
        )
        spec = specs.parse(text, out.name)
        place = answerer.removeprefix(PLAIN)
        here = place == "tiny" or place in FOLDERS or Path(place).is_dir()
        tried: list[str] = []
        if here if measure is None else measure:
            with closing(load(spec.answerers[0], spec.machine)) as loaded:
                tried.append(f"{spec.answerers[0].name}: {try_out(loaded).words}")
                foreseen = estimate.measure(spec, lambda *_: loaded)
        else:
            foreseen = estimate.count(spec)
    measured = foreseen.seconds is not None
    words = foreseen.words if measured else f"{foreseen.words}; no estimate of the time: {_how(answerer, here)}"
    write_file(out, f"# When this was written: {printable(words)}\n{text}".encode())
    say(f"{opened.name}: {description['examples']:,} questions about {description['recordings']:,} recordings")
    for partition in description["partitions"]:
        able = sum(family["testable"] for family in partition["families"])
        say(f"  {partition['name']}: {able} of {len(partition['families'])} families can be tested")
    say(*tried, words, f"wrote {out}", *_next(description, corpus, out))


def _next(description: Mapping[str, Any], corpus: Path, out: Path) -> list[str]:
    """What to type or to do, in one line or two."""
    families = [family for partition in description["partitions"] for family in partition["families"]]
    if any(family["testable"] for family in families):
        return [f"next: earmark run {out} --limit 64"]
    if not families:
        return [
            "no family can be tested, as the corpus brings none",
            f"next: declare families in [partitions] of {out}",
        ]
    largest = max(families, key=lambda family: family["recordings"])
    return [
        f"no family can be tested: the largest has {largest['recordings']} of the {largest['fewest']} recordings it "
        "needs",
        f"next: add questions about other recordings, or in {out} name coarser families in [partitions] or merge them "
        f"with [rule.parents] (earmark corpus {shlex.quote(str(corpus))} lists them)",
    ]


def _how(answerer: str, here: bool) -> str:
    """How to get an estimate."""
    if here:
        return "--measure foresees it"
    if is_served(answerer):
        return f"a server may cost money: `earmark answerer {answerer}` tries it, --measure asks it a few recordings"
    return f"{answerer} is no folder here; name its folder with --answerer, or download it with --measure"
