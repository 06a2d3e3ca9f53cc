"""The partitions of a corpus in a run folder: written to partitions.parquet with their recipes, and read back."""

import shlex
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from earmark.engine import files
from earmark.engine.corpus.partition import Partition, recipe_of
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes import store
from earmark.engine.outcomes.recipes import RECIPES_KEY, read_recipes, recipes_content

if TYPE_CHECKING:
    from earmark.engine.corpus.corpus import Corpus


def write(run: Path, corpus: "Corpus", partitions: Sequence[Partition]) -> Path:
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


def written(run: Path, corpus: "Corpus") -> list[Partition]:
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


def refuse_other_corpora(run: Path, corpus: "Corpus") -> None:
    """InputError where a run folder has partitions of another corpus: a sweep would be judged by them too."""
    if others := _others(run, corpus):
        what = f"has the partitions of {first_few(others)}, and the corpus of this sweep is '{corpus.name}'"
        again = shlex.join(["earmark", "corpus", "PATH", "--name", corpus.name, "--out", str(run)])
        do = f"name another folder; or where that is this corpus by another name, remove the file and type `{again}`"
        raise InputError(run / store.PARTITIONS, what, do)


def _others(run: Path, corpus: "Corpus") -> list[str]:
    """The other corpora that have partitions in a run folder."""
    stored = store.read_partitions(run)
    return [] if stored is None else sorted({*stored[0]["corpus"].to_pylist()} - {corpus.name})


def prepend(run: Path, corpus: "Corpus", partitions: Sequence[Partition], replaced: Collection[str] = ()) -> Path:
    """Put partitions in front of those of a corpus that are in a run folder.

    Raises InputError where one is there already with other labels, unless it is one of those that are `replaced`.
    """
    return write(run, corpus, [*partitions, *beside(run, corpus, partitions, replaced)])


def append(run: Path, corpus: "Corpus", partitions: Sequence[Partition]) -> Path:
    """Put partitions behind those of a corpus that are in the folder of its sweep.

    Raises InputError where one is there already with other labels, or the sweep has another corpus.
    """
    if others := _others(run, corpus):
        what = f"is of a sweep about {first_few(others)}, and this corpus is called '{corpus.name}'"
        do = f"name another folder; or where that is the same corpus, add --name {shlex.quote(others[0])}"
        raise InputError(run / store.PARTITIONS, what, do)
    beside(run, corpus, partitions)
    before = written(run, corpus)
    names = [partition.name for partition in before]
    return write(run, corpus, [*before, *(partition for partition in partitions if partition.name not in names)])


def beside(
    run: Path, corpus: "Corpus", partitions: Sequence[Partition], replaced: Collection[str] = ()
) -> list[Partition]:
    """The partitions of a corpus in a run folder but those with a name of the given ones.

    InputError where one of these is there with other labels, unless it is one of those that are `replaced`.
    """
    before = written(run, corpus)
    new = {partition.name: partition for partition in partitions}
    for partition in before:
        if partition.name in new.keys() - set(replaced) and partition.families != new[partition.name].families:
            raise InputError(
                run / store.PARTITIONS,
                f"has the partition {partition.name} with other labels than those that are declared now",
                "remove the file, or name another folder",
            )
    return [partition for partition in before if partition.name not in new]
