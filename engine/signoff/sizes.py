"""Before any GPU hour: which families can be certified at all, with what power, and how many answers it takes.

Knows how many rows and recordings a family has, and guesses of rates; needs no outcome of any compressor.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from earmark.engine.design.fields import Check, Number, Share, Whole, shown
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError, choose
from earmark.engine.outcomes import store
from earmark.engine.outcomes.store import PARTITIONS, SOURCE_ID
from earmark.engine.signoff import power, sources
from earmark.engine.signoff.judged_partitions import QUERY_FAMILY
from earmark.engine.signoff.rules import routing
from earmark.engine.signoff.rules.declared_walk import DeclaredRows
from earmark.engine.signoff.rules.group_tests import fewest_units
from earmark.engine.signoff.rules.judgement import Test
from earmark.engine.signoff.rules.spending import levels
from earmark.engine.signoff.rules.units import choose_test
from earmark.kernels.statistics import betting

_DRAWS = 4_000
_SEED = 42


class Guess(NamedTuple):
    """What one believes of the compressor at the budget one hopes for."""

    excess: float  # true excess error of a family
    flips: float  # share of answers that change, for better or worse
    icc: float = 0.5  # chance that two questions about a recording share their fate, where recordings are bet on

    def check(self) -> None:
        """Raise InputError for what is no rate, and for rates that contradict one another."""
        for name, check, value in (("flips", Share(), self.flips), ("excess", Number(), self.excess)):
            _check(name, check, value)
        if not (0 < self.flips <= 1 and -self.flips <= self.excess <= self.flips):
            raise InputError(
                f"excess {self.excess:g}, flips {self.flips:g}",
                "an excess cannot be larger than the share of answers that change, which is in (0, 1]",
                "guess flips first, then an excess within it",
            )
        _check("icc", Number(0, most=1), self.icc)


def _check(name: str, check: Check, value: object) -> None:
    try:
        check(value)
    except (TypeError, ValueError):
        raise InputError(f"{name} {shown(repr(value))}", f"must be {check.wanted}", "change it") from None


class PlannedSweep(NamedTuple):
    """How much is to be evaluated beside raw audio and silence."""

    n_methods: int
    n_seeds: int
    n_budgets: int  # below 1

    def evaluations(self, n: int) -> int:
        """How many answers n questions take."""
        return n * (2 + self.n_methods * self.n_seeds * self.n_budgets)


class Family(NamedTuple):
    """The size of a family."""

    n_rows: int
    rows_per_recording: Sequence[int]  # 1 for every row where recordings are not known
    known: bool  # whether recordings are


Sizes = Mapping[str, Family]


def family_sizes(path: Path, partitions: Sequence[str] = (), source: str | None = None) -> dict[tuple[str, str], Sizes]:
    """Families by (corpus, partition), from a partitions file, a folder with one, or a run with its raw cells."""
    file = path if path.is_file() else path / PARTITIONS
    if path.is_file() and file.name != PARTITIONS:
        raise InputError(path, "is neither a run folder nor a partitions.parquet", "name one of the two")
    run = file.parent
    raw = _raw_rows(run, source)
    labels: dict[tuple[str, str], list[str]] = {}
    sources: dict[str, list[str] | None] = {}
    if file.is_file():
        read = store.read_partitions(run)
        assert read is not None, "the file is there"
        table = read[0]
        for corpus in sorted(set(table["corpus"].to_pylist())):
            corpus_table = table.filter(pa.compute.equal(table["corpus"], corpus))
            sources[corpus] = _sources(corpus_table, raw.get(corpus), source)
            for name in store.partition_names(table):
                if corpus_table[name].null_count < len(corpus_table):
                    labels[corpus, name] = corpus_table[name].to_pylist()
    else:
        for corpus, rows in raw.items():
            labels[corpus, QUERY_FAMILY] = [family for _, family in rows.values()]
            sources[corpus] = [recording for recording, _ in rows.values()]
        if not labels:
            raise InputError(path, "has no raw reference and no partitions.parquet", "run the raw reference first")
    partition_names = dict.fromkeys(name for _, name in labels)
    for name in partitions:
        if name not in partition_names:
            raise InputError(f"partition {name}", "there is no such partition", choose(name, partition_names))
    return {
        (corpus, name): _families(row_labels, sources[corpus])
        for (corpus, name), row_labels in labels.items()
        if not partitions or name in partitions
    }


def _raw_rows(run: Path, source: str | None) -> dict[str, dict[str, tuple[str, str]]]:
    """Recording and family of every sample of a run's raw cells, by corpus; none where there is no cell yet."""
    if not (run / store.CELLS).is_dir():
        return {}
    rows_of: dict[str, dict[str, tuple[str, str]]] = {}
    for key, files in store.find_cells(run).items():
        if key.is_reference and key.corpus not in rows_of:
            cell = store.read_cell(run, key, files)
            names = sources.of_cell(cell, files, source).source_id.to_pylist()
            ids, families = cell.sample_id.to_pylist(), cell.query_family.to_pylist()
            rows_of[key.corpus] = dict(zip(ids, zip(names, families, strict=True), strict=True))
    return rows_of


def _sources(table: pa.Table, raw: dict[str, tuple[str, str]] | None, source: str | None) -> list[str] | None:
    """The recording of every row of a corpus's partitions; None where they are not known."""
    ids = table["sample_id"].to_pylist()
    if source == sources.NONE:
        return list(ids)
    if raw is not None and all(i in raw for i in ids):
        return [raw[i][0] for i in ids]
    if SOURCE_ID in table.column_names and not table[SOURCE_ID].null_count:
        return list(table[SOURCE_ID].to_pylist())
    return None


def _families(labels: Sequence[str], sources: Sequence[str] | None) -> Sizes:
    """The size of every family, from the largest down."""
    rows = Counter(labels)
    per_recording: dict[str, Counter[str]] = defaultdict(Counter)
    for label, recording in zip(labels, sources or (), strict=False):
        per_recording[label][recording] += 1
    return {
        family: Family(n, list(per_recording[family].values()) if sources else [1] * n, sources is not None)
        for family, n in sorted(rows.items(), key=lambda item: (-item[1], item[0]))
    }


def declared_sizes(rows: DeclaredRows) -> dict[str, Sizes]:
    """The size of every family of a corpus that was read, by partition, from the largest down."""
    sources = list(map(str, rows.source.tolist()))
    return {
        name: _families([families.names[code] for code in families.code.tolist()], sources)
        for name, families in rows.families_of.items()
    }


def plan(sizes: Sizes, rule: Rule, n_candidates: int, guess: Guess) -> dict[str, Any]:
    """Per family and tolerance: whether it can pass, with what power, and how many rows or recordings give 90%."""
    guess.check()
    _check("candidates", Whole(1, 10**6), n_candidates)
    spendable = levels(rule, n_candidates)
    families: list[dict[str, Any]] = []
    for family, size in sizes.items():
        test = choose_test(size.n_rows, len(size.rows_per_recording), rule)
        families.append(
            {
                "family": family,
                "n": size.n_rows,
                "recordings": len(size.rows_per_recording) if size.known else None,
                "test": test,
                "unit": "rows" if test == "exact" else "recordings",
                "at": [],
            }
        )
    for tolerance in rule.tolerances:
        level_of = _levels(sizes, families, tolerance, spendable.budget, spendable.routing)
        for entry, size, level in zip(families, sizes.values(), level_of, strict=True):
            entry["at"].append(_at(size, entry["test"], tolerance, level, guess))
    together = [float(np.prod([entry["at"][t]["power"] for entry in families])) for t in range(len(rule.tolerances))]
    return {
        "n": sum(size.n_rows for size in sizes.values()),
        "candidates": n_candidates,
        "claim": rule.claim,
        "level": spendable.budget or spendable.routing,
        "recordings_known": all(size.known for size in sizes.values()),
        "fewest_rows": [
            {"tolerance": tolerance, "rows": fewest_units("exact", tolerance, spendable.budget or spendable.routing)}
            for tolerance in rule.tolerances
        ],
        "families": families,
        "all_families_pass": [
            {"tolerance": tolerance, "power": p} for tolerance, p in zip(rule.tolerances, together, strict=True)
        ],
    }


def _levels(
    sizes: Sizes, families: Sequence[Mapping[str, Any]], tolerance: float, budget: float | None, share: float
) -> list[float | None]:
    """What each family's test may spend; None where routing leaves it nothing, and it goes to raw audio."""
    if budget is not None:
        return [budget] * len(families)
    tests: list[Test] = [entry["test"] for entry in families]
    split = routing.shares(
        share,
        [len(size.rows_per_recording) for size in sizes.values()],
        lambda f, level: fewest_units(tests[f], tolerance, level),
    )
    return [split.each if tested else None for tested in split.tested]


def _at(size: Family, test: Test, tolerance: float, level: float | None, guess: Guess) -> dict[str, Any]:
    """The entry of one family at one tolerance; `level` None: routing leaves its test nothing to spend."""
    n_units = len(size.rows_per_recording)
    if level is None:
        return {"tolerance": tolerance, "testable": False, "fewest": None, "power": 0.0, "for_90": None}
    fewest = fewest_units(test, tolerance, level)
    if test != "bets":
        chance = power.exact_power(n_units, guess.excess, guess.flips, tolerance, level)
        enough = power.needed_rows(guess.excess, guess.flips, tolerance, level)
    else:
        values, weights = power.recordings_like(size.rows_per_recording, guess.excess, guess.flips, guess.icc)
        chance = 0.0
        if n_units >= fewest:
            chance = betting.pass_rate(values, weights, n_units, tolerance, level, draws=_DRAWS, seed=_SEED)
        enough = power.needed_recordings(values, weights, tolerance, level)
    return {
        "tolerance": tolerance,
        "testable": n_units >= fewest,
        "fewest": fewest,
        "power": chance,
        "for_90": enough,
    }
