"""`earmark selector`: relevance of chunks from an answerer, selectors trained on it, exported, and checked."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from earmark.cli import exits
from earmark.cli.options import key_option
from earmark.cli.progress import ProgressLine
from earmark.cli.say import say
from earmark.cli.selector_check import check
from earmark.engine.design.sections import AnswererSpec, CorpusSpec, MachineSpec
from earmark.engine.extras import needs_extra

if TYPE_CHECKING:
    from earmark.engine.making.probe import FamilyProbe, ProbeAccuracy
    from earmark.engine.making.training.checkpoint import Epoch
    from earmark.engine.making.training.jobs import Job, Trained

_STOPPING = "stopping after what is under way: what is done is kept; Ctrl-C again stops at once"


@click.group()
def selector() -> None:
    """Make learned selectors: measure relevance, train, export, check what ships.

    \b
    Example:
      earmark selector oracle synthetic:selector:500 --out oracle.parquet
      earmark selector train oracle.parquet --out selectors
      earmark selector export selectors/learned_conditioned/seed=42 --out edge
      earmark selector check edge/waveform.onnx --against selectors/learned_conditioned/seed=42 --corpus data/MMSU
    """


selector.add_command(check)


@selector.command()
@click.argument("corpus", type=click.Path(path_type=Path))
@key_option(AnswererSpec, "model", "--answerer", default="tiny")
@key_option(CorpusSpec, "kind")
@key_option(CorpusSpec, "name")
@key_option(CorpusSpec, "split")
@key_option(CorpusSpec, "columns", "--column")
@key_option(MachineSpec, "device")
@key_option(AnswererSpec, "dtype")
@key_option(MachineSpec, "batch_tokens")
@click.option("--workers", type=click.IntRange(min=0), metavar="N", help="Processes that read audio.")
@key_option(CorpusSpec, "allow_outside")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The Parquet file to write."
)
@needs_extra("earmark selector oracle", "run")
def oracle(
    corpus: Path,
    answerer: str,
    kind: str | None,
    name: str | None,
    split: str | None,
    column: dict[str, str],
    device: str,
    dtype: str,
    batch_tokens: int,
    workers: int | None,
    allow_outside: bool,
    out: Path,
) -> None:
    """Measure leave-one-out relevance in CORPUS: T + 1 hearings of each clip.

    A chunk's relevance is how much less likely the right answer becomes without it. Answers are kept in
    FILE.answers.jsonl as they come: the same command goes on where it was stopped.

    \b
    Example:
      earmark selector oracle data/AudioMCQ --answerer Qwen/Qwen2-Audio-7B-Instruct --device cuda --dtype bfloat16 \\
        --out oracle.parquet
    """
    from earmark.engine.answerers import journal
    from earmark.engine.answerers.loading import load
    from earmark.engine.corpus.corpus import open_corpus
    from earmark.engine.files import make_folder
    from earmark.engine.making import oracle as engine
    from earmark.engine.progress import stopping_on_signals

    with ProgressLine() as progress, stopping_on_signals(lambda: progress.note(_STOPPING)) as stop:
        progress(f"reading {corpus}", 0, 0)
        opened = open_corpus(corpus, kind, name=name, allow_outside=allow_outside, split=split, columns=column)
        engine.check_may_train(next(iter(opened.examples)))
        progress(f"loading {answerer}", 0, 0)
        model = load(AnswererSpec(answerer, dtype=dtype), MachineSpec(device=device, batch_tokens=batch_tokens))
        engine.check_same(out, opened, model)
        make_folder(out.parent)
        with journal.opened(out.with_name(f"{out.name}.answers.jsonl"), model.identity) as answers_journal:
            rows = engine.measure(
                opened,
                model,
                answers_journal,
                lambda now: progress("hearings", now.answered, now.total),
                stop,
                workers,
            )
    if rows is None:
        say("interrupted: the same command goes on from here", err=True)
        sys.exit(exits.INTERRUPTED)
    engine.write(rows, engine.description(opened, str(corpus), model), out)
    failed = sum(not engine.succeeded(row) for row in rows)
    say(f"{len(rows) - failed} examples with relevance, {failed} without", f"oracle  {out}")
    say(f"next: {shlex.join(['earmark', 'selector', 'train', str(out), '--out', 'selectors'])}")


@selector.command()
@click.argument("table", type=click.Path(path_type=Path), metavar="ORACLE")
@click.option(
    "--corpus",
    "place",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Where the recordings are now.  [default: where they were]",
)
@key_option(CorpusSpec, "kind", default=None, words="as it was")
@key_option(CorpusSpec, "split")
@key_option(CorpusSpec, "columns", "--column")
@key_option(CorpusSpec, "allow_outside")
@click.option(
    "--method",
    "methods",
    multiple=True,
    type=click.Choice(["agnostic", "conditioned"]),
    help="What to train; repeat for both.  [default: both]",
)
@click.option(
    "--seed", "seeds", multiple=True, type=int, metavar="S", help="Repeat for several.  [default: 42, 123, 456]"
)
@click.option(
    "--alpha",
    "alphas",
    multiple=True,
    type=float,
    metavar="A",
    help="Share of the distribution in the loss, against top-k membership; several make a sweep.  [default: 0.5]",
)
@click.option("--epochs", type=int, metavar="N", help="At most so many.  [default: 40]")
@click.option("--answerer", metavar="NAME", help="Whose tokenizer reads questions.  [default: the oracle's]")
@click.option("--tokens", is_flag=True, help="Score audio tokens, by what the answerer's encoder makes of them.")
@key_option(MachineSpec, "device")
@key_option(AnswererSpec, "dtype")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="Where selectors go.")
@needs_extra("earmark selector train", "run")
def train(
    table: Path,
    place: Path | None,
    kind: str | None,
    split: str | None,
    column: dict[str, str],
    allow_outside: bool,
    methods: tuple[str, ...],
    seeds: tuple[int, ...],
    alphas: tuple[float, ...],
    epochs: int | None,
    answerer: str | None,
    tokens: bool,
    device: str,
    dtype: str,
    out: Path,
) -> None:
    """Train selectors on the relevance in ORACLE, into FOLDER/METHOD/seed=S.

    Each folder holds the weights and card.json: data, recipe, curves, and which sources it was trained on. A killed run
    goes on from its last epoch and ends with the same bits. With --tokens they choose among an answerer's audio tokens.

    \b
    Example:
      earmark selector train oracle.parquet --out selectors
      earmark selector train oracle.parquet --out selectors --tokens
      earmark selector train oracle.parquet --out sweep --alpha 0 --alpha 0.25 --alpha 0.5 --alpha 0.75 --alpha 1
    """
    from dataclasses import replace

    from earmark.engine.answerers.loading import load_model
    from earmark.engine.corpus.corpus import open_corpus
    from earmark.engine.making import oracle as oracle_tables
    from earmark.engine.making.training import jobs as training
    from earmark.engine.making.training.lessons import make_lessons
    from earmark.engine.making.training.token_lessons import make_token_lessons
    from earmark.engine.making.training.train import Recipe
    from earmark.engine.progress import stopping_on_signals

    if not tokens and (device, dtype) != (MachineSpec().device, AnswererSpec("").dtype):
        raise click.UsageError("--device and --dtype are where an encoder runs, which --tokens needs alone")
    recipe = Recipe() if epochs is None else replace(Recipe(), epochs=epochs)
    alphas = alphas or (recipe.alpha,)
    names_of = training.METHODS_OF_TOKENS if tokens else training.METHODS
    names = [names_of[method] for method in methods or tuple(names_of)]
    jobs = training.jobs(out, names, alphas, seeds or training.SEEDS)
    for alpha in alphas:
        replace(recipe, alpha=alpha)  # refuses what is no share
    relevance = oracle_tables.read(table)
    opened = open_corpus(
        place or Path(relevance.origin["path"]),
        kind or relevance.origin["kind"],
        allow_outside=allow_outside,
        split=split,
        columns=column,
    )
    heard_by = answerer or relevance.origin["answerer"]
    tokenizer = training.query_tokenizer(heard_by) if names_of["conditioned"] in names else None
    with (
        training.alone_in(out),
        ProgressLine() as progress,
        stopping_on_signals(lambda: progress.note(_STOPPING)) as stop,
    ):
        if tokens:
            progress(f"loading {heard_by}", 0, 0)
            lessons = make_token_lessons(relevance, opened, load_model(heard_by, device, dtype), out, progress)
        else:
            lessons = make_lessons(relevance, opened, out, progress)

        def report(job: "Job", epoch: "Epoch") -> None:
            progress(
                f"{job.method} alpha {job.alpha:g} seed {job.seed}, loss {epoch.loss:.4f}, epoch",
                epoch.epoch,
                recipe.epochs,
            )

        trained = training.train_all(jobs, lessons, recipe, relevance.origin, tokenizer, report, stop)
    if trained is None:
        say("interrupted: the same command goes on from here", err=True)
        sys.exit(exits.INTERRUPTED)
    following = shlex.join(["earmark", "selector", "export", str(jobs[-1].folder), "--out", "edge"])
    if tokens:
        following = f'a method of a spec with compressor = "learned_tokens" and selector = "{jobs[-1].folder}"'
    say(*_summary(trained), "", f"selectors  {out}", f"next: {following}")


@selector.command()
@click.argument("corpus", type=click.Path(path_type=Path))
@key_option(AnswererSpec, "model", "--answerer", default="tiny")
@key_option(CorpusSpec, "kind")
@key_option(CorpusSpec, "split")
@key_option(CorpusSpec, "columns", "--column")
@click.option("--partition", metavar="NAME", help="Whose families.  [default: native]")
@key_option(MachineSpec, "device")
@key_option(AnswererSpec, "dtype")
@key_option(CorpusSpec, "allow_outside")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@needs_extra("earmark selector probe", "run")
def probe(
    corpus: Path,
    answerer: str,
    kind: str | None,
    split: str | None,
    column: dict[str, str],
    partition: str | None,
    device: str,
    dtype: str,
    allow_outside: bool,
    as_json: bool,
) -> None:
    """What an answerer's encoder knows of each family in CORPUS.

    Nearest neighbours and a small network predict the right option from the encoder's states of a whole clip, pooled
    over time; beside them stand chance and what the options alone tell. Recordings are held out in turns.

    \b
    Example:
      earmark selector probe data/MMSU --answerer Qwen/Qwen2-Audio-7B-Instruct --device cuda --dtype bfloat16
    """
    import json

    from earmark.engine.answerers.loading import load_model
    from earmark.engine.corpus import partitions
    from earmark.engine.corpus.corpus import open_corpus
    from earmark.engine.making import probe as engine

    with ProgressLine() as progress:
        progress(f"reading {corpus}", 0, 0)
        opened = open_corpus(corpus, kind, allow_outside=allow_outside, split=split, columns=column)
        families = partitions.named(opened, partition or "native")
        progress(f"loading {answerer}", 0, 0)
        probed, n_unheard = engine.probe(opened, families, load_model(answerer, device, dtype), progress)
    if as_json:
        content = {"schema": engine.SCHEMA, "answerer": answerer, "corpus": opened.name, "unheard": n_unheard}
        say(json.dumps(content | {"families": [entry.content() for entry in probed]}))
        return
    say(*_probe_table(probed))
    if n_unheard:
        say(f"{n_unheard} questions are left out: the encoder cannot hear their clips at once", err=True)


@selector.command()
@click.argument("name", metavar="SELECTOR")
@click.option("--out", type=click.Path(path_type=Path), metavar="FOLDER", help="Where to write.  [default: SELECTOR]")
@needs_extra("earmark selector export", "export")
def export(name: str, out: Path | None) -> None:
    """Write a trained selector as a folder that runs by itself, where there is Python, NumPy and onnxruntime.

    SELECTOR is the folder of one, or the name of one that comes with Earmark: tiny-agnostic, tiny-conditioned.

    waveform.onnx computes the features inside the graph; features.onnx takes them from the compiled kernel, which is
    quicker where there is much audio. keep.py keeps chunks with the first, and `keep.py --check` says whether a device
    does what the selector did here, and what it takes there.

    \b
    Example:
      earmark selector export selectors/learned_conditioned/seed=42 --out edge
      earmark score clip.wav --selector edge/waveform.onnx --question "Who speaks first?" --budget 0.4
      python edge/keep.py clip.wav --question "Who speaks first?" --budget 0.4 --out kept.wav
    """
    from earmark.engine.compressors.loading import EMBEDDED, place
    from earmark.engine.making.edge.edge_folder import read_manifest
    from earmark.engine.making.export import export as export_folder

    if name in EMBEDDED and out is None:
        raise click.UsageError(f"{name} comes with Earmark, where nothing is written: give --out")
    with ProgressLine() as progress:
        progress(f"exporting {name}", 0, 0)
        written = export_folder(place(name), out)
    root = written[-1].parent
    sizes: dict[Path, int] = {}
    for path in written:
        inside = root / path.relative_to(root).parts[0]
        sizes[inside] = sizes.get(inside, 0) + path.stat().st_size
    for path, size in sizes.items():
        say(f"{size / 1e6:8.2f} MB  {path}")
    manifest = read_manifest(root)
    if manifest.reads_question and not manifest.reads_text:
        say("keep.py does not know this tokenizer: it takes questions as ids, with --tokens", err=True)
    say(f"next: {shlex.join(['python', str(root / 'keep.py'), '--check'])}")


def _probe_table(probed: "list[FamilyProbe]") -> list[str]:
    """One line per family: accuracies in percent with their 95% intervals."""

    def shown(accuracy: "ProbeAccuracy | None") -> str:
        if accuracy is None:
            return "too few recordings"
        return f"{100 * accuracy.share:.0f} [{100 * accuracy.low:.0f}, {100 * accuracy.high:.0f}]"

    wide = max(len("family"), *(len(entry.family) for entry in probed))
    heads = ("no audio", "neighbours", "network")
    lines = [
        f"{'family':{wide}} {'questions':>9} {'recordings':>10} {'chance':>6} " + " ".join(f"{h:>18}" for h in heads)
    ]
    for entry in probed:
        cells = " ".join(f"{shown(accuracy):>18}" for accuracy in (entry.no_audio, entry.knn, entry.mlp))
        numbers = f"{entry.questions:9,} {entry.recordings:10,} {100 * entry.chance:6.0f}"
        lines.append(f"{entry.family:{wide}} {numbers} {cells}")
    return [*lines, "", "% right, with 95% intervals that count recordings"]


def _summary(trained: "list[Trained]") -> list[str]:
    """One line per method and alpha: the best validation, mean and spread over the seeds."""
    import numpy as np

    def over_seeds(values: "list[float]") -> str:
        spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
        return f"{np.mean(values):.3f}{spread}"

    heads = ("loss", "kept at 0.2", "kept at 0.4")
    lines = [f"{'method':20} {'alpha':>5} {'seeds':>5} " + " ".join(f"{head:>15}" for head in heads)]
    for method, alpha in dict.fromkeys((entry.job.method, entry.job.alpha) for entry in trained):
        best = [entry.card["best"] for entry in trained if (entry.job.method, entry.job.alpha) == (method, alpha)]
        cells = [over_seeds([epoch["loss"] for epoch in best])]
        cells += [over_seeds([epoch["captured"][budget] for epoch in best]) for budget in ("0.2", "0.4")]
        lines.append(f"{method:20} {alpha:5g} {len(best):5} " + " ".join(f"{cell:>15}" for cell in cells))
    return [*lines, "", "kept: of the relevance in held-out sources, the share in what a budget keeps"]
