"""Families from a table beside the corpus: CSV, JSON lines or Parquet, one row per sample."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from earmark.engine.corpus.corpus import Corpus
from earmark.engine.corpus.partition import Partition
from earmark.engine.corpus.partitions import UNLABELLED
from earmark.engine.corpus.table_files import TableRow, Unusable, read
from earmark.engine.errors import InputError, first_few
from earmark.engine.reading import MOST_JSON_BYTES, read_bytes


def side_file(corpus: Corpus, path: Path) -> list[Partition]:
    """A partition for each column of a table (CSV, JSON lines, Parquet) but the one that names the samples.

    That one is sample_id, or else the first. Samples that the table does not name are `unlabelled`.
    """
    if path.suffix.lower() not in (".csv", ".jsonl", ".parquet") or not path.is_file():
        raise InputError(path, "is no CSV, JSON lines or Parquet file", "name a table of sample_id and families")
    label_of: dict[str, Mapping[str, str]] = {}
    columns: dict[str, None] = {}
    data = read_bytes(path, "name a table of sample_id and families", MOST_JSON_BYTES)
    for row in read(path, str(path), data):
        if not isinstance(row, TableRow):
            raise InputError(row[0], row[1], "correct the side file")
        id_column = "sample_id" if "sample_id" in row.data else next(iter(row.data), "")
        names = [name for name in row.data if name != id_column]
        try:
            sample_id, labels = row.text(id_column), row.labels(names)
        except Unusable as reason:
            raise InputError(row.where, str(reason), "correct the side file") from None
        if label_of.get(sample_id, labels) != labels:
            raise InputError(row.where, f"sample '{sample_id}' has two families", "keep one row per sample")
        label_of[sample_id] = labels
        columns |= dict.fromkeys(names)
    labels_by_example = [label_of.get(example.sample_id) for example in corpus.examples]
    if not any(labels_by_example):
        ids = first_few(example.sample_id for example in corpus.examples)
        raise InputError(path, f"names no sample of the corpus (which has {ids})", "check its first column")
    recipe = {"rule": "side file", "file": path.name, "sha256": hashlib.sha256(data).hexdigest()}
    return [
        Partition(
            column,
            tuple((labels or {}).get(column, UNLABELLED) for labels in labels_by_example),
            {**recipe, "columns": [column]},
        )
        for column in columns
    ]
