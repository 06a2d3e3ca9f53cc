"""`earmark init CORPUS`: a spec to start from, and what it will take."""

import shlex
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from earmark.cli import savings
from earmark.cli.options import key_option, rule_option
from earmark.cli.progress import ProgressLine
from earmark.cli.say import say
from earmark.engine.design.endpoint import is_served
from earmark.engine.design.sections import PLAIN, AnswererSpec, CorpusSpec, MachineSpec
from earmark.engine.extras import needs_extra
from earmark.engine.printable import printable

if TYPE_CHECKING:
    from earmark.engine.design.spec import Spec
    from earmark.engine.sweep.estimate import Estimate
    from earmark.engine.sweep.prospects import Prospects

_FEWEST_TO_LOOK_AT = 8  # recordings: of fewer a first look saves nothing
_MOST_LOOKED_AT = 64


@click.command()
@click.argument("corpus", type=click.Path(path_type=Path))
@key_option(CorpusSpec, "kind")
@key_option(CorpusSpec, "name")
@key_option(CorpusSpec, "split")
@key_option(CorpusSpec, "columns", "--column")
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
    split: str | None,
    column: dict[str, str],
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

    Where nothing could be approved, because families are too small, it says so, and what would help.

    The answerer is tried (as by `earmark answerer`) and answers a few recordings to foresee the time, if it is embedded
    or a folder, or with --measure. Nothing is downloaded, and no server asked, without --measure.

    \b
    Example:
      earmark init data/MMSU --answerer models/Qwen2-Audio-7B-Instruct --device cuda --out mmsu.toml
      earmark init synthetic:certification:200 --compressors all
    """
    from earmark.cli.testable import fewest_recordings
    from earmark.engine.answerers.hub_models import folder_here
    from earmark.engine.corpus import describe, partitions
    from earmark.engine.corpus.corpus import open_corpus
    from earmark.engine.corpus.unheard import unheard
    from earmark.engine.design import spec as specs
    from earmark.engine.design.rule import Rule
    from earmark.engine.errors import InputError
    from earmark.engine.files import check_is_local, write_file
    from earmark.engine.signoff.sizes import Guess
    from earmark.engine.sweep.draft import candidates_of, draft
    from earmark.engine.sweep.drafted_compressors import compressors_named
    from earmark.engine.sweep.forecast import forecast
    from earmark.engine.sweep.prospects import prospects
    from earmark.engine.sweep.walk_order import MOST_EXAMPLES
    from earmark.engine.urls import with_urls

    rule = Rule(tolerances=(tolerance,), alpha=alpha)  # checks them
    check_is_local(out)
    if out.exists() and not force:
        raise InputError(out, "is there already", "name another file with --out, or use --force")
    names = compressors_named(compressors)
    is_here = not is_served(answerer) and folder_here(answerer.removeprefix(PLAIN)) is not None
    n_candidates = len(candidates_of(names))

    def fewest(tolerance: float, n_candidates: int, rows: int, recordings: int) -> int:
        return fewest_recordings(replace(rule, tolerances=(tolerance,)), n_candidates)(rows, recordings)

    with ProgressLine() as progress:
        progress(f"reading {corpus}", 0, 0)
        opened = open_corpus(corpus, kind, name=name, split=split, columns=column)
        of_family = partial(fewest, tolerance, n_candidates)
        description = describe.describe(opened, partitions.declared(opened), of_family, None)
        text = draft(
            description,
            file=str(out),
            named={"path": with_urls(corpus), "kind": kind, "split": split, "columns": column},
            model=answerer,
            dtype=dtype,
            device=device,
            tolerance=tolerance,
            alpha=alpha,
            compressors=names,
        )
        spec = specs.parse(text, out.name)
        silence = None if measure is False else unheard(opened, workers=0, report=progress)
        tried, foreseen = _look_ahead(spec, is_here if measure is None else measure, progress)
        progress("simulating walks", 0, 0)
        saved = []
        if description["examples"] <= MOST_EXAMPLES:  # more are never asked in another order than theirs
            saved = savings.lines(forecast(spec, Guess(excess=0.0, flips=0.1), foreseen), spec.until)
    measured = foreseen.seconds is not None
    words = foreseen.words if measured else f"{foreseen.words}; no estimate of the time: {_how(answerer, is_here)}"
    write_file(out, f"# When this was written: {printable(words)}\n{text}".encode())
    say(f"{opened.name}: {description['examples']:,} questions about {description['recordings']:,} recordings")
    for partition in description["partitions"]:
        able = sum(family["testable"] for family in partition["families"])
        say(f"  {partition['name']}: {able} of {len(partition['families'])} families can be tested")
    say(*([] if silence is None else [silence.words(spec.rule.max_error_rate)]), *tried, words, *saved, f"wrote {out}")
    parts = [] if split is None else ["--split", split]
    parts += [f"--column={role}={name}" for role, name in column.items()]
    listing = shlex.join(["earmark", "corpus", str(corpus), *parts])
    expected = prospects(description, fewest, tolerance, n_candidates, str(out), listing)
    say(*_next(expected, out, answerer, is_here, description["recordings"]))


def _look_ahead(spec: "Spec", measured: bool, progress: ProgressLine) -> tuple[list[str], "Estimate"]:
    """What a trial of the answerer says, and what the sweep will take; both in a line."""
    from earmark.engine.answerers.loading import load
    from earmark.engine.answerers.trial import try_out
    from earmark.engine.sweep import estimate

    if not measured:
        return [], estimate.count(spec)
    (answerer,) = spec.answerers
    progress(f"loading {answerer.name}", 0, 0)
    with closing(load(answerer, spec.machine)) as loaded:
        progress(f"asking {answerer.name} about synthetic clips", 0, 0)
        trial = try_out(loaded)
        foreseen = estimate.measure(spec, lambda *_: loaded, progress)
    return [f"{answerer.name}: {trial.words}"], foreseen


def _next(expected: "Prospects", out: Path, answerer: str, is_here: bool, n_recordings: int) -> list[str]:
    """What to type or to do next: what makes an approval possible, where none is."""
    try_it = [] if is_here or is_served(answerer) else [f"next: earmark answerer {shlex.quote(answerer)}"]
    if not expected.words:
        look = f" --limit {min(_MOST_LOOKED_AT, n_recordings // 4)}" if n_recordings >= _FEWEST_TO_LOOK_AT else ""
        return [*try_it, f"next: earmark run {out}{look}"]
    return [expected.words, "next, any of:", *(f"  {help_}" for help_ in expected.helps), *try_it]


def _how(answerer: str, is_here: bool) -> str:
    """How to get an estimate."""
    if is_here:
        return "--measure foresees it"
    if is_served(answerer):
        return f"a server may cost money: `earmark answerer {answerer}` tries it, --measure asks it a few recordings"
    return f"{answerer} is no folder here; name its folder with --answerer, or download it with --measure"
