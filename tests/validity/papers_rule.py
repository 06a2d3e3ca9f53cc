"""The first worlds of known truth, and how often the paper's rule approves an unsafe budget in them.

A world is a list of families with the true rates of newly wrong (+1) and newly right (-1) answers at every budget. A
row has one uniform number U: it is +1 wherever U is below the rate of +1, and -1 wherever 1 - U is below the rate of
-1, so that budgets depend on each other as strongly as they can; in worlds that are not `coupled` every budget has a U
of its own. In worlds with recordings rows share the U of their recording, for an intra-class correlation of `icc`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.kernels.statistics.bootstrap import resampled_sums
from earmark.kernels.statistics.collapse import ResamplingUnits, entries
from earmark.kernels.statistics.order_statistics import percentile_ends

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ALPHA = 0.025
BUDGETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
PAPER_REPLICATES = 1_000
_SLACK = 1e-12


class Family(NamedTuple):
    """True rates at every budget, ascending, of one family of n rows."""

    n: int
    plus: Sequence[float]
    minus: Sequence[float]

    @property
    def excess(self) -> FloatArray:
        return np.array(self.plus) - np.array(self.minus)


@dataclass(frozen=True)
class World:
    """Families, a tolerance, and how rows hang together in recordings."""

    name: str
    families: tuple[Family, ...]
    tolerance: float = 0.05
    tolerance_average: float | None = None
    coupled: bool = True
    rows_per_source: int = 1
    icc: float = 0.0

    @property
    def safe(self) -> npt.NDArray[np.bool_]:
        """(B,) whether a budget truly is within both tolerances."""
        sizes = np.array([family.n for family in self.families])
        excess = np.stack([family.excess for family in self.families])
        average = sizes @ excess / sizes.sum()
        limit = self.tolerance if self.tolerance_average is None else self.tolerance_average
        return np.asarray((excess.max(axis=0) <= self.tolerance + _SLACK) & (average <= limit + _SLACK))


class Draw(NamedTuple):
    """One evaluation set."""

    plus: IntArray  # (F, B)
    minus: IntArray  # (F, B)
    cells: tuple[FloatArray, IntArray, IntArray] | None  # patterns (J, B), family (J,), counts (J,); None if uncoupled
    sums: list[FloatArray] | None  # per family (recordings, B), where recordings are shared


# Drawing -----------------------------------------------------------------------------------------------------


def draw(world: World, rng: np.random.Generator) -> Draw:
    """One evaluation set of the world."""
    if not world.coupled:
        drawn = [
            [
                rng.multinomial(f.n, (plus, minus, 1 - plus - minus))[:2]
                for plus, minus in zip(f.plus, f.minus, strict=True)
            ]
            for f in world.families
        ]
        plus, minus = np.moveaxis(np.array(drawn), 2, 0)
        return Draw(plus, minus, None, None)
    patterns, counts, sums = [], [], []
    for family in world.families:
        pattern, share = _patterns(family)
        patterns.append(pattern)
        if world.rows_per_source == 1:
            counts.append(rng.multinomial(family.n, share))
        else:
            shape = (family.n // world.rows_per_source, world.rows_per_source)
            cell = rng.choice(len(share), size=shape, p=share)
            cell = np.where(rng.random(shape) < world.icc**0.5, cell[:, :1], cell)
            counts.append(np.bincount(cell.ravel(), minlength=len(share)))
            sums.append(pattern[cell].sum(axis=1))
    plus, minus = (np.stack([n @ (sign * v > 0) for v, n in zip(patterns, counts, strict=True)]) for sign in (1, -1))
    family = np.repeat(np.arange(len(patterns)), [len(pattern) for pattern in patterns])
    return Draw(plus, minus, (np.concatenate(patterns), family, np.concatenate(counts)), sums or None)


def _patterns(family: Family) -> tuple[FloatArray, FloatArray]:
    """The distinct rows (cells, B) that one uniform number makes, and their probabilities."""
    edges = np.unique([0.0, *family.plus, *(1 - np.array(family.minus)), 1.0])
    middle = (edges[:-1] + edges[1:]) / 2
    pattern = (middle[:, None] < np.array(family.plus)) * 1.0 - (1 - middle[:, None] < np.array(family.minus)) * 1.0
    share = np.diff(edges)
    return pattern, share / share.sum()


# Rules -------------------------------------------------------------------------------------------------------


def paper(world: World, repeats: int, seed: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether each set is falsely approved: at the smallest budget with upper ends within tolerance; and walked."""
    passes = np.array([_paper(world, one, i) for i, one in enumerate(_draws(world, repeats, seed))])
    smallest = np.where(passes.any(axis=1), passes.argmax(axis=1), -1)
    return (smallest >= 0) & ~world.safe[smallest], _walked(world, passes)


def _draws(world: World, repeats: int, seed: int) -> list[Draw]:
    rng = np.random.default_rng(seed)
    return [draw(world, rng) for _ in range(repeats)]


def _walked(world: World, passes: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """From the largest budget down to the first failure of (repeats, B): everything on the way is approved."""
    run = np.flip(np.logical_and.accumulate(np.flip(passes, axis=1), axis=1), axis=1)
    return np.asarray((run & ~world.safe).any(axis=1))


def _limits(world: World) -> tuple[float, float]:
    return world.tolerance, world.tolerance if world.tolerance_average is None else world.tolerance_average


def _paper(world: World, one: Draw, seed: int) -> npt.NDArray[np.bool_]:
    """(B,) whether the percentile upper ends are within tolerance."""
    if one.cells is None:
        return np.array([_passes(world, *_cells_at(world, one, b), seed)[0] for b in range(one.plus.shape[1])])
    if one.sums is None:
        return _passes(world, *one.cells, seed)
    family = np.repeat(np.arange(len(one.sums)), [len(sums) for sums in one.sums])
    values = np.concatenate(one.sums) / world.rows_per_source  # a recording is a unit, its sums stand for its rows
    return _passes(world, values, family, np.ones(len(values), dtype=np.int64), seed)


def _cells_at(world: World, one: Draw, b: int) -> tuple[FloatArray, IntArray, IntArray]:
    """Three cells per family at one budget: +1, -1 and 0."""
    sizes = np.array([family.n for family in world.families])
    counts = np.stack([one.plus[:, b], one.minus[:, b], sizes - one.plus[:, b] - one.minus[:, b]], axis=1)
    return np.tile([1.0, -1.0, 0.0], len(sizes))[:, None], np.repeat(np.arange(len(sizes)), 3), counts.ravel()


def _passes(world: World, values: FloatArray, family: IntArray, counts: IntArray, seed: int) -> npt.NDArray[np.bool_]:
    """(B,) whether both percentile upper ends are within tolerance."""
    there = np.flatnonzero(counts)
    values, family, counts = values[there], family[there], counts[there]
    units = ResamplingUnits(counts, np.arange(len(counts) + 1), np.arange(len(counts)))
    of_units = entries(units, [values], family[:, None], [len(world.families)])
    sums = resampled_sums(units, of_units, seed=seed, replicates=PAPER_REPLICATES).astype(np.float64)
    with np.errstate(invalid="ignore"):
        worst = np.fmax.reduce(sums[:, :-1] / sums[:, -1:], axis=0)
    average = sums[:, :-1].sum(axis=0) / sums[:, -1].sum(axis=0)
    family_limit, average_limit = _limits(world)
    return np.asarray(
        (percentile_ends(worst, ALPHA)[1] <= family_limit + _SLACK)
        & (percentile_ends(average, ALPHA)[1] <= average_limit + _SLACK)
    )


# Worlds ------------------------------------------------------------------------------------------------------


def flat(n: int, excess: float, minus: float = 0.0) -> Family:
    """The same rates at every budget: every budget is another chance to err."""
    return Family(n, (excess + minus,) * len(BUDGETS), (minus,) * len(BUDGETS))


def falling(n: int, at_smallest: float, safe_from: float, minus: float = 0.01, limit: float = 0.05) -> Family:
    """Harm that falls with the budget and is at most half the limit from `safe_from` on."""
    below = [b for b in BUDGETS if b < safe_from]
    above = [b for b in BUDGETS if b >= safe_from]
    excess = [at_smallest + (1.02 * limit - at_smallest) * i / max(1, len(below) - 1) for i in range(len(below))]
    excess += [0.5 * limit * (1 - i / len(above)) for i in range(len(above))]
    return Family(n, tuple(e + minus for e in excess), (minus,) * len(BUDGETS))


def shaped(n: int, excess: Sequence[float], minus: float = 0.01) -> Family:
    return Family(n, tuple(e + minus for e in excess), (minus,) * len(BUDGETS))


UNSAFE = 0.051
LARGE = (1724, 6085, 10505)


def _one_unsafe(name: str, n: int, minus: float = 0.0) -> World:
    return World(name, (flat(n, UNSAFE, minus),), coupled=False)


WORLDS = (
    World(
        "4 large families, one (n = 1,166) at .051",
        (*(flat(n, 0.02, 0.03) for n in LARGE), flat(1166, UNSAFE, 0.03)),
        coupled=False,
    ),
    _one_unsafe("one family, n = 30, .051, no -1", 30),
    _one_unsafe("one family, n = 50, .051, no -1", 50),
    _one_unsafe("one family, n = 100, .051, no -1", 100),
    _one_unsafe("one family, n = 200, .051, no -1", 200),
    _one_unsafe("one family, n = 100, .051, P(-1) = .10", 100, 0.10),
    _one_unsafe("one family, n = 106, .051, P(-1) = .02", 106, 0.02),
    World(
        "sparse flips: 12 families of 400, one at .021, tolerance .02",
        (*(flat(400, 0.002) for _ in range(11)), flat(400, 0.021)),
        tolerance=0.02,
        coupled=False,
    ),
    World(
        "47 families of 106, one at .051",
        (*(flat(106, 0.0) for _ in range(46)), flat(106, UNSAFE, 0.01)),
        coupled=False,
    ),
    World(
        "12 near-tied families of 400, all at .051", tuple(flat(400, UNSAFE, 0.05) for _ in range(12)), coupled=False
    ),
    World(
        "plateau: .051 from .3 to .7, safe above",
        (shaped(500, (0.09, 0.07, *(UNSAFE,) * 5, 0.01, 0.0)),),
        coupled=False,
    ),
    World(
        "non-monotone: unsafe at .6 and at .2 only",
        (shaped(800, (0.0, UNSAFE, 0.0, 0.0, 0.0, UNSAFE, 0.0, 0.0, 0.0)),),
        coupled=False,
    ),
    World(
        "the average binds: .021 on average, tolerance .02 for it",
        tuple(flat(1500, 0.021, 0.02) for _ in range(4)),
        tolerance_average=0.02,
        coupled=False,
    ),
    World("coupled budgets: one family, n = 200, .051", (flat(200, UNSAFE, 0.01),)),
    World("300 recordings x 4 rows, ICC .5, at .051", (flat(1200, UNSAFE, 0.02),), rows_per_source=4, icc=0.5),
    World("60 recordings x 4 rows, ICC .5, at .051", (flat(240, UNSAFE, 0.02),), rows_per_source=4, icc=0.5),
    World("power: AudioMCQ-like, safe from .4", tuple(falling(n, 0.25, 0.4) for n in (1166, *LARGE))),
    World("power: MMAR-like, safe from .4", tuple(falling(n, 0.12, 0.4, 0.02) for n in (165, 217, 618))),
    World("power: 300 recordings x 4 rows, safe from .4", (falling(1200, 0.2, 0.4),), rows_per_source=4, icc=0.5),
    World("power: no answer changes", (flat(200, 0.0), flat(80, 0.0))),
)
