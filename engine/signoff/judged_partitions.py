"""Which partitions of the rows are certified, from `partitions.parquet` or the rows' own query_family.

Knows the partitions file and the ids of the rows; no outcomes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError, choose, first_few
from earmark.engine.outcomes import store
from earmark.engine.outcomes.input_file import InputFile
from earmark.engine.outcomes.plan_file import labels_hash
from earmark.engine.signoff.families import Families, ancestors, families_of
from earmark.engine.signoff.pair import Rows
from earmark.engine.signoff.rules.group_tests import family_minimum

QUERY_FAMILY = "query_family"


class Partitions:
    """The declared partitions of a run."""

    def __init__(self, run: Path, wanted: Sequence[str]) -> None:
        read = store.read_partitions(run)
        self._table: pa.Table | None = None
        self.inputs: tuple[InputFile, ...] = ()
        in_file: list[str] = []
        if read is not None:
            self._table, file = read
            self.inputs = (file,)
            in_file = store.partition_names(self._table)
        known = list(dict.fromkeys([*in_file, QUERY_FAMILY]))
        for name in wanted:
            if name not in known:
                raise InputError(f"partition {name}", "there is no such partition", choose(name, known))
        self.names = tuple(dict.fromkeys(wanted)) or tuple(in_file) or (QUERY_FAMILY,)
        self._labels_seen: set[str] = set()
        self._declared = self.names != (QUERY_FAMILY,)  # else the rows' own labels, as they happen to be

    def of(self, rows: Rows, rule: Rule) -> dict[str, Families]:
        """The families of these rows under every partition; raises InputError where no partition distinguishes any."""
        names = [name for name in self.names if self._exists(name, rows.corpus)]
        if not names:
            raise InputError(
                f"partition {', '.join(self.names)}", f"has no label in corpus '{rows.corpus}'", "choose another one"
            )
        labels = {name: self._labels(name, rows) for name in names}
        self._labels_seen.update(*labels.values())
        recordings = None if rule.clustering == "ignore" or rule.name == "paper" else rows.source
        by_name = {
            name: families_of(row_labels, rule.parents, family_minimum(rule), recordings)
            for name, row_labels in labels.items()
        }
        if self._declared and all(len(families.names) == 1 for families in by_name.values()):
            name, families = next(iter(by_name.items()))
            raise InputError(
                f"partition {name}",
                f"has one family only ('{families.names[0]}') in corpus '{rows.corpus}', so no family can be the worst",
                "declare a finer partition",
            )
        return by_name

    def hashes(self, corpus: str) -> dict[str, str]:
        """The hash of a corpus's labels, by partition; empty where the run has no partitions file."""
        if self._table is None:
            return {}
        table = self._table.filter(pc.equal(self._table["corpus"], corpus))
        ids = table["sample_id"].to_pylist()
        names = [name for name in self.names if name in table.column_names]
        return {name: labels_hash(dict(zip(ids, table[name].to_pylist(), strict=True))) for name in names}

    def check_parents(self, parents: Mapping[str, str]) -> None:
        """Refuse a declared child that no certified partition has, and a parent that is no family and joins no two."""
        labels = sorted(self._labels_seen)
        for family, parent in parents.items():
            if family not in self._labels_seen and family not in parents.values():
                raise InputError(f"parent {family}={parent}", f"there is no family '{family}'", choose(family, labels))
            joined = [label for label in labels if parent in ancestors(label, parents)]
            if parent not in self._labels_seen and parent not in parents and len(joined) < 2:
                what = f"there is no family '{parent}', and a new one joins two families or more"
                raise InputError(f"parent {family}={parent}", what, choose(parent, labels))

    def _exists(self, name: str, corpus: str) -> bool:
        """Whether a partition is one of this corpus: a column that is null for all of it belongs to another."""
        if self._table is None or name not in self._table.column_names:
            return True
        corpus_labels = self._table.filter(pc.equal(self._table["corpus"], corpus))[name]
        return len(corpus_labels) == 0 or corpus_labels.null_count < len(corpus_labels)

    def _labels(self, name: str, rows: Rows) -> Sequence[str]:
        """The label of every row under a partition; raises InputError where one lacks it."""
        if self._table is None or name not in self._table.column_names:
            return rows.query_family
        table = self._table.filter(pc.equal(self._table["corpus"], rows.corpus))
        position = pc.index_in(rows.sample_id, value_set=table["sample_id"].combine_chunks())
        if position.null_count:
            ids = rows.sample_id.filter(pc.is_null(position)).to_pylist()
            raise InputError(
                store.PARTITIONS,
                f"lacks {len(ids)} samples of corpus '{rows.corpus}' (sample_id {first_few(ids)})",
                "give every sample of the run a row",
            )
        labels = table[name].combine_chunks().take(position)
        if labels.null_count:
            ids = rows.sample_id.filter(pc.is_null(labels)).to_pylist()
            raise InputError(
                store.PARTITIONS, f"column {name} is null for sample_id {first_few(ids)}", "label every sample"
            )
        return labels.to_pylist()  # type: ignore[no-any-return]
