"""Before any GPU hour: which families can be certified at all, with what power, and how many answers it takes.

Knows family sizes and guesses of rates; needs no outcome of any compressor.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.outcomes.store import PARTITIONS
from earmark.engine.signoff.certified import needed_rows
from earmark.engine.signoff.partitions import QUERY_FAMILY
from earmark.engine.signoff.rule import gamma_of
from earmark.kernels import exact

_DRAWS = 4_000


class Guess(NamedTuple):
    """What one believes of the compressor at the budget one hopes for."""

    excess: float  # true excess error of a family
    flips: float  # share of answers that change, for better or worse

    def check(self) -> None:
        """Refuse rates that cannot be."""
        if not (0 < self.flips <= 1 and -self.flips <= self.excess <= self.flips):
            raise InputError(
                f"excess {self.excess:g}, flips {self.flips:g}",
                "an excess cannot be larger than the share of answers that change, which is in (0, 1]",
                "guess flips first, then an excess within it",
            )


class Sweep(NamedTuple):
    """How much is to be evaluated beside the raw reference."""

    methods: int
    seeds: int
    budgets: int  # below 1

    def evaluations(self, n: int) -> int:
        return n * (1 + self.methods * self.seeds * self.budgets)


def family_sizes(path: Path, partitions: Sequence[str] = ()) -> dict[tuple[str, str], dict[str, int]]:
    """Sizes by (corpus, partition), from a partitions file, a folder with one, or a run with its raw cells."""
    file = path if path.is_file() else path / PARTITIONS
    if file.is_file():
        if file.name != PARTITIONS:
            raise InputError(path, "is neither a run folder nor a partitions.parquet", "name one of the two")
        read = store.read_partitions(file.parent)
        assert read is not None, "the file is there"
        table = read[0]
        names = store.partition_names(table)
        labels = {
            (corpus, name): [
                label
                for c, label in zip(table["corpus"].to_pylist(), table[name].to_pylist(), strict=True)
                if c == corpus
            ]
            for corpus in sorted(set(table["corpus"].to_pylist()))
            for name in names
        }
    else:
        labels = {}
        for key, files in store.find_cells(path).items():
            if key.is_reference and (key.corpus, QUERY_FAMILY) not in labels:
                labels[key.corpus, QUERY_FAMILY] = store.read_cell(path, key, files).query_family.to_pylist()
        if not labels:
            raise InputError(path, "has no raw reference and no partitions.parquet", "run the raw reference first")
    known = dict.fromkeys(name for _, name in labels)
    for name in partitions:
        if name not in known:
            raise InputError(f"partition {name}", "there is no such partition", f"choose from {', '.join(known)}")
    return {
        (corpus, name): dict(sorted(Counter(found).items(), key=lambda item: (-item[1], item[0])))
        for (corpus, name), found in labels.items()
        if not partitions or name in partitions
    }


def plan(
    sizes: Mapping[str, int], tolerances: Sequence[float], alpha: float, guess: Guess, seed: int
) -> dict[str, Any]:
    """Per family and tolerance: can it pass, with what probability, and how many rows give 90%."""
    guess.check()
    fewest = {tolerance: exact.testable_size(tolerance, alpha, gamma_of(alpha)) for tolerance in tolerances}
    families: list[dict[str, Any]] = []
    for family, n in sizes.items():
        at = [
            {
                "tolerance": tolerance,
                "testable": n >= fewest[tolerance],
                "power": power(n, tolerance, alpha, guess, seed),
                "rows_for_90": needed_rows(guess.excess, guess.flips, tolerance, alpha),
            }
            for tolerance in tolerances
        ]
        families.append({"family": family, "n": n, "at": at})
    everyone = [float(np.prod([entry["at"][t]["power"] for entry in families])) for t in range(len(tolerances))]
    return {
        "n": sum(sizes.values()),
        "fewest_rows": [{"tolerance": tolerance, "rows": rows} for tolerance, rows in fewest.items()],
        "families": families,
        "all_families_pass": [
            {"tolerance": tolerance, "power": p} for tolerance, p in zip(tolerances, everyone, strict=True)
        ],
    }


def power(n: int, tolerance: float, alpha: float, guess: Guess, seed: int) -> float:
    """Probability that a family of n independent rows passes, by simulation of the exact test."""
    if n < exact.testable_size(tolerance, alpha, gamma_of(alpha)):
        return 0.0
    rates = [(guess.flips + guess.excess) / 2, (guess.flips - guess.excess) / 2, 1 - guess.flips]
    drawn = np.random.default_rng(seed).multinomial(n, rates, size=_DRAWS)
    pairs, times = np.unique(drawn[:, :2], axis=0, return_counts=True)
    passes = exact.p_values(n, pairs[:, 0], pairs[:, 1], tolerance, gamma_of(alpha)) <= alpha
    return float(times[passes].sum() / _DRAWS)
