"""`earmark corpus PATH`: what is in a benchmark's folder, and its families into a run folder."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from earmark.cli.options import key_option, rule_option
from earmark.cli.progress import ProgressLine
from earmark.cli.say import say, say_json
from earmark.engine.design.fields import default_of
from earmark.engine.design.sections import CorpusSpec, PartitionsSpec
from earmark.engine.extras import needs_extra

if TYPE_CHECKING:
    from earmark.engine.corpus.corpus import Corpus
    from earmark.engine.corpus.partition import Partition


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@key_option(CorpusSpec, "kind")
@key_option(CorpusSpec, "name")
@key_option(CorpusSpec, "split")
@key_option(CorpusSpec, "columns", "--column")
@click.option(
    "--by",
    "names",
    multiple=True,
    metavar="NAME",
    help="A partition: keyword, native or any label; repeat for several.  [default: keyword and native]",
)
@key_option(PartitionsSpec, "side")
@key_option(PartitionsSpec, "semantic", argument="clusters")
@key_option(PartitionsSpec, "encoder", default=None, words=default_of(PartitionsSpec, "encoder"))
@key_option(PartitionsSpec, "seed")
@key_option(PartitionsSpec, "min_family")
@click.option(
    "--audio",
    type=click.Choice(["headers", "decode", "none"]),
    default="headers",
    show_default=True,
    help="How to look at the recordings: by their headers, by decoding them, or not at all.",
)
@click.option("--workers", type=int, metavar="N", help="Processes that read audio.  [default: one per core, at most 4]")
@rule_option("tolerances")
@rule_option("alpha")
@key_option(CorpusSpec, "allow_outside")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="RUN", help="Write partitions.parquet into this folder."
)
@click.option("--list", "everything", is_flag=True, help="Name every row left out and every clip that is not heard.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def corpus(
    path: Path,
    kind: str | None,
    name: str | None,
    split: str | None,
    column: dict[str, str],
    names: tuple[str, ...],
    side: str | None,
    clusters: int | None,
    encoder: str | None,
    seed: int,
    min_family: int,
    audio: str,
    workers: int | None,
    tolerance: float,
    alpha: float,
    allow_outside: bool,
    out: Path | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Say what is in PATH: questions, families, durations, what was left out and why.

    PATH is the folder of a benchmark as it was downloaded (MMSU, MMAR, Big Bench Audio, AudioMCQ, DCASE 2025 and
    2026, MMAU, MMAU-Pro, AudioMarathon, ClothoAQA), any dataset of the hub with its recordings (data/*.parquet, or
    as save_to_disk left it), or a manifest of your own (.jsonl, .parquet, .csv) or the folder with it. Nothing is
    unpacked and nothing in PATH is changed. PATH may be a URL (s3://, gs://, hf://): recordings are read when they are
    heard, all else is copied for as long as the command runs.

    A family is too small if it could not pass at --tolerance even without a single changed answer. Questions about
    one recording are not independent: recordings are counted, not questions.

    \b
    Example:
      earmark corpus data/MMSU --out runs/mmsu
      earmark corpus data/dcase2026 --side content_taxonomy.csv --semantic 12
      earmark corpus data/my-dataset --split test --column question=prompt
      earmark corpus synthetic:certification:500
    """
    from earmark.cli.corpus_table import corpus_table
    from earmark.cli.testable import fewest_recordings
    from earmark.engine.corpus import describe
    from earmark.engine.corpus.corpus import open_corpus
    from earmark.engine.design.rule import Rule
    from earmark.engine.files import check_is_local
    from earmark.engine.outcomes import partition_file
    from earmark.engine.outcomes.plan_file import PLAN
    from earmark.engine.reading import check_utf8
    from earmark.engine.remote import local

    rule = Rule(tolerances=(tolerance,), alpha=alpha)  # checks them
    if workers is not None and workers < 0:
        raise click.BadParameter("is at least 0", param_hint="--workers")
    if out is not None:
        check_is_local(out)
        check_utf8(out, "name another run folder with --out")
    if encoder is not None and clusters is None:
        raise click.UsageError("--encoder needs --semantic K")
    with ProgressLine() as progress:
        progress(f"reading {path}", 0, 0)
        opened = open_corpus(path, kind, name=name, allow_outside=allow_outside, split=split, columns=column)
        all_partitions = _partitions(opened, names, local(Path(side)) if side else None)
        middle: dict[str, str] = {}
        if clusters is not None:
            from earmark.engine.corpus.semantic import ENCODER, semantic

            semantic_families = semantic(
                opened, clusters, encoder=encoder or ENCODER, least=min_family, seed=seed, report=progress
            )
            all_partitions, middle = [*all_partitions, semantic_families.partition], semantic_families.middle
        path_written = None
        if out is not None:  # a sweep that was begun there keeps the partitions that it declared
            write = partition_file.append if (out / PLAN).exists() else partition_file.write
            path_written = write(out, opened, all_partitions)
        lengths = None
        if audio != "none":
            with needs_extra(f"earmark corpus --audio {audio}", "audio", ", or look at none with --audio none"):
                lengths = describe.listen(opened, decode=audio == "decode", workers=workers, report=progress)
        description = describe.describe(opened, all_partitions, fewest_recordings(rule), lengths)
        description |= {"path": str(path), "middle_questions": middle, "written": path_written and str(path_written)}
    if as_json:
        say_json(description, indent=1)
    else:
        say(*corpus_table(description, everything=everything))


def _partitions(opened: "Corpus", names: tuple[str, ...], side: Path | None) -> "list[Partition]":
    """The partitions that were named, else those that the corpus brings, and behind them those of the side file."""
    from earmark.engine.corpus import partitions
    from earmark.engine.corpus.side_files import side_file

    own = [partitions.named(opened, name) for name in dict.fromkeys(names)] or partitions.declared(opened)
    return own + (side_file(opened, side) if side is not None else [])
