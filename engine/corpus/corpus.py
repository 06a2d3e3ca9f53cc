"""A benchmark's folder as a corpus: its examples, what was left out and why, and what its own families are called.

Opens no recording.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from earmark.engine.corpus import manifest
from earmark.engine.corpus.arrow_files import ARROW
from earmark.engine.corpus.audio import TarAudio
from earmark.engine.corpus.benchmarks.audiomarathon import AUDIOMARATHON
from earmark.engine.corpus.benchmarks.audiomcq import AUDIOMCQ
from earmark.engine.corpus.benchmarks.benchmark import Benchmark, ExampleOrReason
from earmark.engine.corpus.benchmarks.big_bench_audio import BIG_BENCH_AUDIO
from earmark.engine.corpus.benchmarks.clotho_aqa import CLOTHO_AQA
from earmark.engine.corpus.benchmarks.dcase2025 import DCASE2025
from earmark.engine.corpus.benchmarks.dcase2026 import DCASE2026
from earmark.engine.corpus.benchmarks.mmar import MMAR
from earmark.engine.corpus.benchmarks.mmau import MMAU
from earmark.engine.corpus.benchmarks.mmau_pro import MMAU_PRO
from earmark.engine.corpus.benchmarks.mmsu import MMSU
from earmark.engine.corpus.example import Example
from earmark.engine.corpus.folder import ARCHIVES, Folder
from earmark.engine.corpus.hub.hub import HUB, open_hub
from earmark.engine.corpus.synthetic import synthetic_corpus as synthetic
from earmark.engine.corpus.synthetic.questions import FAMILIES, TWO_FACTOR
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.table_files import parquet_columns
from earmark.engine.design.keys import MOST_NAME
from earmark.engine.errors import InputError, choose, instead
from earmark.engine.reading import check_utf8
from earmark.engine.remote import beside, local
from earmark.engine.urls import url_in

BENCHMARKS = {
    benchmark.kind: benchmark
    for benchmark in (
        MMSU,
        MMAR,
        BIG_BENCH_AUDIO,
        AUDIOMCQ,
        DCASE2026,
        DCASE2025,
        MMAU,
        MMAU_PRO,
        AUDIOMARATHON,
        CLOTHO_AQA,
        manifest.MANIFEST,
        HUB,
    )
}

_SYNTHETIC = "synthetic:SPLIT:CLIPS or synthetic:SPLIT:CLIPS:SEED"
_SYNTHETIC_KINDS = ("synthetic", "synthetic-two-factor")
_RECORDINGS = (
    ".wav",
    ".flac",
    ".mp3",
    ".ogg",
    ".oga",
    ".opus",
    ".m4a",
    ".aac",
    ".aif",
    ".aiff",
    ".wma",
    ".mp4",
    ".webm",
)
_MOST_NEIGHBOURS = 1_000  # files and folders among which one that is not there is looked for


class LeftOut(NamedTuple):
    """A row of a table that is no example."""

    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """Questions about recordings, in the order in which they are best read."""

    kind: str
    name: str
    examples: Iterable[Example]  # may be iterated again and again
    left_out: tuple[LeftOut, ...] = ()
    native: tuple[str, ...] = ()  # labels that together name the corpus's own family
    category: tuple[str, ...] = ()  # labels that together are the category of the keyword classifier
    columns: Mapping[str, str] = field(default_factory=dict)  # what each column was taken to be, where that was told


def open_corpus(
    path: Path,
    kind: str | None = None,
    *,
    name: str | None = None,
    allow_outside: bool = False,
    split: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Corpus:
    """The corpus in a folder, or of a table that is named itself; without a `kind` the folder's tables tell it.

    The path `synthetic:SPLIT:CLIPS` or `synthetic:SPLIT:CLIPS:SEED` is the synthetic corpus, made as it is read;
    `synthetic-two-factor:...` asks about the two parts of each clip only. `name` is what a run calls the corpus.
    `split` and `columns` (column by role) say which part of a dataset of the hub is meant, and which column is what.

    A URL may be given instead of a path.

    Raises InputError where the kind cannot be told, a table cannot be read, a row leads outside the folder, or no
    question is left.
    """
    check_utf8(path, "rename it")
    if str(path).startswith(("synthetic:", "synthetic-two-factor:")) or kind == "synthetic":
        _refuse_parts(path, "synthetic", split, columns)
        return _synthetic(str(path), name)
    path = _here(path)
    if columns and path.is_file():  # a manifest has columns of its own
        kind = kind or HUB.kind
    benchmark, folder = _benchmark(path, kind, allow_outside)
    if benchmark.kind == HUB.kind:
        benchmark = open_hub(folder, split, columns or {}, [folder.root / path.name] if path.is_file() else ())
    else:
        _refuse_parts(path, benchmark.kind, split, columns)
    examples, left_out = _unique(benchmark.read(folder))
    if not examples:
        raise _no_question(path, benchmark, left_out)
    if any(isinstance(example.audio, TarAudio) for example in examples):
        examples.sort(key=_place)
    return Corpus(
        benchmark.kind,
        name or _name(benchmark, path),
        tuple(examples),
        tuple(left_out),
        benchmark.native,
        benchmark.category,
        benchmark.columns,
    )


def _here(path: Path) -> Path:
    """The path itself, or the copy of what a URL names: all but recordings, which are read when they are heard."""
    url = url_in(path)
    if url is None:
        return path
    place = local(path, _is_no_recording)
    if place.is_file() and not url.startswith("http"):  # which lists nothing
        beside(place.parent, ".", _is_an_archive)  # says which recordings are beside a table
    return place


def _is_no_recording(name: str) -> bool:
    return not name.lower().endswith(_RECORDINGS)


def _is_an_archive(name: str) -> bool:
    return name.lower().endswith(ARCHIVES)


def _no_question(path: Path, benchmark: Benchmark, left_out: Sequence[LeftOut]) -> InputError:
    """Why a corpus has no question at all, and what to do."""
    reason = f"{len(left_out)} rows were left out, the first: {': '.join(left_out[0])}" if left_out else "no rows"
    do = f"is it a corpus of {benchmark.kind}?"
    if benchmark.kind == manifest.MANIFEST.kind:
        do = "correct its rows; its columns are sample_id, audio, question, choices and answer"
    if benchmark.columns:
        read_as = ", ".join(f"{role}={column}" for role, column in benchmark.columns.items())
        do = f"declare what was taken amiss with --column ROLE=NAME ({read_as})"
    return InputError(path, f"has no question that can be asked ({reason})", do)


def _refuse_parts(path: Path, kind: str, split: str | None, columns: Mapping[str, str] | None) -> None:
    """InputError where parts of a dataset of the hub are named, and the corpus is none."""
    if split is not None or columns:
        what = f"is a corpus of {kind}, whose split and columns are known"
        raise InputError(path, what, "leave --split and --column out, or read it as a dataset of the hub (--kind hub)")


def _name(benchmark: Benchmark, path: Path) -> str:
    """What a corpus is called that is given no name: its benchmark, or where that has none its folder or file."""
    if path.is_file():
        return path.stem
    place = path.absolute()
    if place.parent.name == "snapshots":  # .../datasets--OWNER--NAME/snapshots/COMMIT of a Hugging Face cache
        place = Path(place.parent.parent.name.rpartition("--")[2])
    return place.name if benchmark.kind in (manifest.MANIFEST.kind, HUB.kind) else benchmark.kind


@dataclass(frozen=True, slots=True)
class _Synthetic:
    """The examples of a split, made anew each time they are read."""

    split: Split
    clips: int
    seed: int | None
    families: tuple[str, ...]

    def __iter__(self) -> Iterator[Example]:
        return synthetic.examples(self.split, self.clips, self.seed, self.families)


def _synthetic(path: str, name: str | None) -> Corpus:
    """The synthetic corpus that a path such as `synthetic:certification:500` names."""
    form = re.fullmatch(r"(synthetic|synthetic-two-factor):(\w+):(\d{1,9})(?::(\d{1,9}))?", path)
    splits = {split.title: split for split in Split}
    if form is not None and int(form[3]) == 0:
        raise InputError(path, "asks for 0 clips", f"ask for at least 1, as in {form[1]}:{form[2]}:200")
    if form is None or form[2] not in splits:
        do = f"name it {_SYNTHETIC}: SPLIT is {' or '.join(splits)}, CLIPS at least 1, SEED a whole number"
        do += ", as in synthetic:certification:200"
        raise InputError(path, "is no synthetic corpus", instead(form[2], splits, do) if form is not None else do)
    families = FAMILIES if form[1] == "synthetic" else TWO_FACTOR
    examples = _Synthetic(splits[form[2]], int(form[3]), int(form[4]) if form[4] else None, families)
    next(iter(examples))  # refuses the seed of another split
    return Corpus("synthetic", name or form[1], examples, native=("family",))


def _benchmark(path: Path, kind: str | None, allow_outside: bool) -> tuple[Benchmark, Folder]:
    """Which benchmark a path holds, and its folder; InputError where that is none or more than one."""
    if kind is not None and kind not in BENCHMARKS:
        raise InputError(f"kind {kind}", "there is no such kind", choose(kind, BENCHMARKS))
    if path.is_file():
        return _table(path, kind), Folder(path.parent, allow_outside=allow_outside)
    if not path.is_dir():
        do = instead(str(path), _neighbours(path), "name the folder that a benchmark was downloaded to")
        raise InputError(path, "there is no such folder", do)
    folder = Folder(path, allow_outside=allow_outside)
    kinds = [kind] if kind else [name for name in BENCHMARKS if name != HUB.kind and BENCHMARKS[name].tables(folder)]
    if not kinds and HUB.tables(folder):  # what is none of the others
        kinds = [HUB.kind]
    if not kinds and (pointer := folder.pointer(folder.files("**/*.parquet", "**/*.jsonl", "**/*.json", "**/*.csv"))):
        raise pointer
    if len(kinds) != 1:
        problem = f"could be {' or '.join(kinds)}" if kinds else f"is none of {', '.join(BENCHMARKS)}"
        raise InputError(path, problem, "say which with --kind, or add a manifest.jsonl")
    if not BENCHMARKS[kinds[0]].tables(folder):
        raise InputError(path, f"has none of the tables of {kinds[0]}", "name the folder that holds them")
    return BENCHMARKS[kinds[0]], folder


def _neighbours(path: Path) -> list[str]:
    """What may have been meant by a path that is not there: what lies beside it, or a synthetic corpus."""
    _, colon, rest = str(path).partition(":")
    if colon:
        return [f"{kind}:{rest}" for kind in _SYNTHETIC_KINDS]
    try:
        with os.scandir(path.parent) as entries:
            return [str(path.with_name(entry.name)) for entry in islice(entries, _MOST_NEIGHBOURS)]
    except (OSError, ValueError):  # no folder, or a path without a name
        return []


def _table(path: Path, kind: str | None) -> Benchmark:
    """How a table is read that is named itself: as a manifest, or where it is none as one of a dataset of the hub."""
    suffix = path.suffix.lower()
    if kind not in (None, "manifest", HUB.kind) or suffix not in (".jsonl", ".csv", ".parquet", ARROW):
        raise InputError(path, "is a file, and no table (.jsonl, .csv, .parquet, .arrow)", "name the folder it is in")
    is_manifest = suffix != ARROW and not (suffix == ".parquet" and "sample_id" not in parquet_columns(path))
    if kind == HUB.kind or (kind is None and not is_manifest):
        return HUB
    return replace(manifest.MANIFEST, read=partial(manifest.read_tables, paths=[Path(os.path.abspath(path))]))


def _unique(examples_or_reasons: Iterator[ExampleOrReason]) -> tuple[list[Example], list[LeftOut]]:
    """The examples, and what is left out: rows without one, and every example whose id an earlier one has."""
    examples: list[Example] = []
    left_out: list[LeftOut] = []
    place_of: dict[str, str] = {}
    for place, example in examples_or_reasons:
        if isinstance(example, str):
            left_out.append(LeftOut(place, example))
        elif problem := _problem(example):
            left_out.append(LeftOut(place, problem))
        elif example.sample_id in place_of:
            left_out.append(
                LeftOut(place, f"its id '{example.sample_id}' stands already at {place_of[example.sample_id]}")
            )
        else:
            place_of[example.sample_id] = place
            examples.append(example)
    return examples, left_out


def _problem(example: Example) -> str | None:
    """What no name of an example may be: too long, or an id with control characters; None where all is well."""
    names = {"id": example.sample_id, "source_id": example.source_id, **example.labels}
    for noun, name in names.items():
        if len(name) > MOST_NAME:
            return f"its {noun} has {len(name):,} characters, more than {MOST_NAME:,}"
    ids = example.sample_id + example.source_id
    return "its id or source_id has a control character" if any(char < " " for char in ids) else None


def _place(example: Example) -> tuple[str, int]:
    """Sort key: tar archives from front to back, everything else before them in its own order."""
    audio = example.audio
    return (audio.archive, audio.offset) if isinstance(audio, TarAudio) else ("", 0)
