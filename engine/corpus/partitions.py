"""Partitions of a corpus into families, each with the recipe that made it; and how they get into a run folder.

Declared before any outcome is seen. Knows labels and side files; sentence embeddings are `semantic`'s.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.compute as pc

from earmark.engine import files
from earmark.engine.corpus.corpus import Corpus
from earmark.engine.corpus.table_files import TableRow, Unusable, read
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes import store
from earmark.engine.outcomes.recipes import RECIPES_KEY, CorpusRecipes, read_recipes, recipes_content

UNLABELLED = "unlabelled"
OTHER_RARE = "other_rare"
GENERAL = "general"
GROUPS = (  # method 6: the first group with a keyword in the category wins
    ("speech_content", ("speech", "asr", "transcript", "spoken", "language", "word", "phrase")),
    ("paralinguistic", ("emotion", "speaker", "accent", "gender", "paralinguis", "prosody", "pitch")),
    ("sound_event", ("event", "detection", "sound_event", "source")),
    ("sound_scene", ("scene", "environment", "ambient", "location")),
    ("music", ("music", "instrument", "genre", "melody", "rhythm", "song")),
    ("temporal", ("temporal", "count", "timing", "order", "when", "duration", "time")),
)


class Partition(NamedTuple):
    """A family per example, and how it was made."""

    name: str
    families: tuple[str, ...]  # in the order of the corpus's examples
    recipe: Mapping[str, Any]  # as `recipes.CorpusRecipes` describes it

    @property
    def sizes(self) -> dict[str, int]:
        """Examples per family, the largest first."""
        return dict(sorted(Counter(self.families).items(), key=lambda item: (-item[1], item[0])))


def infer_family(category: str) -> str:
    """The family of a category by the paper's classifier: the first group with a keyword that is in it."""
    lowered = category.lower()
    return next((family for family, keywords in GROUPS if any(word in lowered for word in keywords)), GENERAL)


def keyword(corpus: Corpus) -> Partition:
    """The partition by the paper's classifier of the corpus's own category; `general` where no keyword is in it."""
    families = (infer_family(category) for category in _joined(corpus, corpus.category, " "))
    recipe = {
        "rule": "keyword",
        "columns": list(corpus.category),
        "between": " ",
        "groups": [{"family": family, "keywords": list(keywords)} for family, keywords in GROUPS],
        "otherwise": GENERAL,
    }
    return Partition("keyword", tuple(families), recipe)


def native(corpus: Corpus) -> Partition:
    """The partition by the benchmark's own labels."""
    families = tuple(label or UNLABELLED for label in _joined(corpus, corpus.native, " / "))
    return Partition("native", families, {"rule": "native", "columns": list(corpus.native), "between": " / "})


def by_label(corpus: Corpus, column: str) -> Partition:
    """The partition by any label column of the corpus; InputError where no example has it."""
    columns = dict.fromkeys(name for example in corpus.examples for name in example.labels)
    if column not in columns:
        raise InputError(
            f"partition {column}", "there is no such label", f"choose from keyword, native, {', '.join(columns)}"
        )
    families = tuple(example.labels.get(column, UNLABELLED) for example in corpus.examples)
    return Partition(column, families, {"rule": "label", "columns": [column]})


def named(corpus: Corpus, name: str) -> Partition:
    """A partition by its name: keyword, native, or a label."""
    return {"keyword": keyword, "native": native}[name](corpus) if name in _OWN else by_label(corpus, name)


def declared(corpus: Corpus) -> list[Partition]:
    """The partitions that a corpus brings: keyword and native, where it has words for them."""
    return [named(corpus, name) for name in _OWN if any(_joined(corpus, getattr(corpus, _OWN[name]), ""))]


_OWN = {"keyword": "category", "native": "native"}


def side_file(corpus: Corpus, path: Path) -> list[Partition]:
    """A partition for each column of a table (CSV, JSON lines, Parquet) but the one that names the samples.

    That one is sample_id, or else the first. Samples that the table does not name are `unlabelled`.
    """
    if path.suffix.lower() not in (".csv", ".jsonl", ".parquet") or not path.is_file():
        raise InputError(path, "is no CSV, JSON lines or Parquet file", "name a table of sample_id and families")
    label_of: dict[str, Mapping[str, str]] = {}
    columns: dict[str, None] = {}
    for row in read(path, str(path)):
        if not isinstance(row, TableRow):
            raise InputError(row[0], row[1], "mend the side file")
        id_column = "sample_id" if "sample_id" in row.data else next(iter(row.data), "")
        names = [name for name in row.data if name != id_column]
        try:
            sample_id, labels = row.text(id_column), row.labels(names)
        except Unusable as reason:
            raise InputError(row.where, str(reason), "mend the side file") from None
        if label_of.get(sample_id, labels) != labels:
            raise InputError(row.where, f"sample '{sample_id}' has two families", "keep one row per sample")
        label_of[sample_id] = labels
        columns |= dict.fromkeys(names)
    labels_by_example = [label_of.get(example.sample_id) for example in corpus.examples]
    if not any(labels_by_example):
        ids = first_few(example.sample_id for example in corpus.examples)
        raise InputError(path, f"names no sample of the corpus (which has {ids})", "check its first column")
    recipe = {"rule": "side file", "file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return [
        Partition(
            column,
            tuple((labels or {}).get(column, UNLABELLED) for labels in labels_by_example),
            {**recipe, "columns": [column]},
        )
        for column in columns
    ]


def merge_rare(families: Sequence[str], least: int) -> tuple[str, ...]:
    """The families, with `other_rare` in the place of those that have fewer than `least` examples."""
    sizes = Counter(families)
    return tuple(family if sizes[family] >= least else OTHER_RARE for family in families)


# Into a run folder -----------------------------------------------------------------------------------------


def recipe_of(partitions: Sequence[Partition], corpus: Corpus) -> CorpusRecipes:
    """How the partitions of a corpus were made, with a hash of the recipes and of every label."""
    recipe = {partition.name: dict(partition.recipe) for partition in partitions}
    ids = [example.sample_id for example in corpus.examples]
    content = [recipe, ids, [partition.families for partition in partitions]]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    return CorpusRecipes(corpus.kind, recipe, digest)


def write(run: Path, corpus: Corpus, partitions: Sequence[Partition]) -> Path:
    """Write `partitions.parquet` of a run folder with the recipes in its metadata, keeping those of other corpora."""
    if not partitions:
        raise InputError(run, "there is no partition to write", "name one with --by, --semantic or --side")
    twice = [name for name, times in Counter(partition.name for partition in partitions).items() if times > 1]
    if twice:
        raise InputError("partitions", f"{first_few(twice)} stands twice", "rename the column of the side file")
    taken = [partition.name for partition in partitions if partition.name in store.IDS]
    if taken:
        raise InputError("partitions", f"{first_few(taken)} is the name of an id", "rename the column")
    files.make_folder(run)
    recipes = read_recipes(run) | {corpus.name: recipe_of(partitions, corpus)}
    return store.write_partitions(
        run,
        corpus.name,
        [example.sample_id for example in corpus.examples],
        {partition.name: partition.families for partition in partitions},
        [example.source_id for example in corpus.examples],
        {RECIPES_KEY: recipes_content(recipes)},
    )


def written(run: Path, corpus: Corpus) -> list[Partition]:
    """The partitions of a corpus that are in a run folder, in their order there.

    Raises InputError where they lack samples of the corpus.
    """
    stored = store.read_partitions(run)
    if stored is None:
        return []
    table = stored[0].filter(pc.equal(stored[0]["corpus"], corpus.name))
    row_of = {sample_id: row for row, sample_id in enumerate(table["sample_id"].to_pylist())}
    names = [name for name in store.partition_names(table) if table[name].null_count < len(table)]
    lacking = [example.sample_id for example in corpus.examples if example.sample_id not in row_of] if names else []
    recipes = read_recipes(run).get(corpus.name)
    partitions = []
    for name in names:
        labels = table[name].to_pylist()
        lacking = lacking or [sample_id for sample_id, row in row_of.items() if labels[row] is None]
        if lacking:
            problem = f"lacks a label of {name} for {len(lacking)} samples of {corpus.name} ({first_few(lacking)})"
            raise InputError(run / store.PARTITIONS, problem, "make it again with `earmark corpus --out`, or remove it")
        families = tuple(labels[row_of[example.sample_id]] for example in corpus.examples)
        partitions.append(Partition(name, families, recipes.partitions.get(name, {}) if recipes else {}))
    return partitions


def prepend(run: Path, corpus: Corpus, partitions: Sequence[Partition]) -> Path:
    """Put partitions in front of those of a corpus that are in a run folder.

    Raises InputError where one is there already with other labels.
    """
    others = _others(run, corpus, partitions)
    return write(run, corpus, [*partitions, *others])


def append(run: Path, corpus: Corpus, partitions: Sequence[Partition]) -> Path:
    """Put partitions behind those of a corpus that are in a run folder.

    Raises InputError where one is there already with other labels.
    """
    _others(run, corpus, partitions)
    before = written(run, corpus)
    names = [partition.name for partition in before]
    return write(run, corpus, [*before, *(partition for partition in partitions if partition.name not in names)])


def _others(run: Path, corpus: Corpus, partitions: Sequence[Partition]) -> list[Partition]:
    """The partitions of a corpus in a run folder but those with a name of the given ones.

    InputError where one of these is there with other labels.
    """
    before = written(run, corpus)
    new = {partition.name: partition for partition in partitions}
    for partition in before:
        if partition.name in new and partition.families != new[partition.name].families:
            raise InputError(
                run / store.PARTITIONS,
                f"has the partition {partition.name} with other labels than those that are declared now",
                "remove the file, or name another folder with --out",
            )
    return [partition for partition in before if partition.name not in new]


def _joined(corpus: Corpus, columns: Sequence[str], between: str) -> list[str]:
    """One text per example: its labels of these columns, with `between` between them."""
    return [
        between.join(example.labels[name] for name in columns if name in example.labels) for example in corpus.examples
    ]
