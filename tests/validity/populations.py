"""Populations whose truth is known, and evaluation sets drawn from them: names, families, and what compression changes.

A population has groups of recordings, a group has strata: kinds of recordings with their own names, sizes and rates of
newly wrong and newly right answers. The truth of a family is what its rates say, as a mean over rows and as a mean over
recordings. Knows nothing of any rule.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BUDGETS = (0.3, 0.6, 0.9)
PARTITION = "family"
ONE = "energy"  # the arm of populations with a single one


class Truth(NamedTuple):
    """True excess at every budget, ascending."""

    rows: FloatArray
    recordings: FloatArray


class Draw(NamedTuple):
    """One evaluation set of n rows."""

    samples: list[str]
    recordings: list[str]
    labels: Mapping[str, list[str]]  # by partition
    differences: Mapping[str, FloatArray]  # by arm, (n, B)
    failed: Mapping[str, npt.NDArray[np.bool_]] | None = None  # by arm, (n, B) rows without an answer


@dataclass(frozen=True)
class Stratum:
    """A kind of recordings."""

    share: float
    excess: float | Sequence[float]  # at all budgets, or at each
    minus: float = 0.01
    sizes: Sequence[int] = (1,)  # rows of a recording, each as likely
    name: str = "x"

    def rates(self, budgets: int) -> tuple[FloatArray, FloatArray]:
        """(B,) of +1 and of -1."""
        excess = np.broadcast_to(np.asarray(self.excess, dtype=float), budgets)
        return excess + self.minus, np.full(budgets, self.minus)


@dataclass(frozen=True)
class Group:
    """A family and its recordings."""

    recordings: int
    strata: tuple[Stratum, ...]
    family: str = "a"
    icc: float = 0.5
    fixed: bool = False  # as many recordings of each stratum as its share says, not as chance has it

    def truth(self, budgets: int) -> Truth:
        """By shares of recordings, and by shares of rows."""
        plus, minus = (np.stack(each) for each in zip(*(s.rates(budgets) for s in self.strata), strict=True))
        share = np.array([s.share for s in self.strata])
        rows = share * np.array([np.mean(s.sizes) for s in self.strata])
        return Truth(rows @ (plus - minus) / rows.sum(), share @ (plus - minus) / share.sum())


@dataclass(frozen=True)
class Population:
    """What evaluation sets are drawn from, and how they are judged."""

    name: str
    draw: Callable[[np.random.Generator], Draw]
    truth: Mapping[tuple[str, str, str], Truth]  # by arm, partition and family
    average: Mapping[str, Truth]  # by arm
    budgets: Sequence[float] = BUDGETS
    rule: Mapping[str, object] = field(default_factory=dict)  # what it declares beside the defaults
    same_names: bool = False  # names and families are those of the first draw
    missing: Sequence[float] = ()  # budgets that were declared, and left out


def changes(
    rng: np.random.Generator,
    plus: FloatArray,
    minus: FloatArray,
    recording: IntArray,
    icc: float = 0.0,
    *,
    coupled: bool = True,
) -> FloatArray:
    """(n, B) of -1, 0 and 1, for rates (n, B); rows of a recording share their fate with probability `icc`.

    Coupled budgets have one number between them for each row, so that they depend on each other as much as they can.
    """
    shape = (len(plus), 1 if coupled else plus.shape[1])
    own, shared = rng.random(shape), rng.random((int(recording.max()) + 1, shape[1]))[recording]
    fate = np.where(rng.random((len(plus), 1)) < icc**0.5, shared, own)
    return np.where(fate < plus, 1.0, np.where(1 - fate < minus, -1.0, 0.0))


def population(name: str, groups: Sequence[Group], arms: Sequence[str] = (ONE,), **options: object) -> Population:
    """Groups that are families of one partition; all arms have the same rates, and draws of their own."""
    budgets = options.get("budgets", BUDGETS)
    n_budgets = len(budgets)  # type: ignore[arg-type]
    coupled = bool(options.pop("coupled", True))
    tables = {group: np.stack([s.rates(n_budgets) for s in group.strata]) for group in groups}  # (strata, 2, B)

    same_names = all(len(group.strata) == 1 == len(set(group.strata[0].sizes)) for group in groups)
    known: list[
        tuple[list[str], list[str], list[str], IntArray, FloatArray]
    ] = []  # of the first draw, if all are alike

    def names_of(rng: np.random.Generator) -> tuple[list[str], list[str], list[str], IntArray, FloatArray]:
        samples, names, labels, rates, recording = [], [], [], [], []
        first = 0
        for group in groups:
            kinds = _kinds(rng, group)
            sizes = np.concatenate(
                [rng.choice(s.sizes, size=int((kinds == k).sum())) for k, s in enumerate(group.strata)]
            )
            of_rows = np.repeat(np.arange(len(kinds)), sizes)
            labels += [group.family] * len(of_rows)
            recording.append(of_rows + first)
            own = [f"{group.strata[kind].name}/{group.family}-{i:05d}" for i, kind in enumerate(kinds)]
            names += [own[i] for i in of_rows]
            samples += [f"{own[i]}/{k}" for i, size in enumerate(sizes) for k in range(size)]
            rates.append(tables[group][kinds[of_rows]])
            first += len(kinds)
        return samples, names, labels, np.concatenate(recording), np.concatenate(rates)

    def draw(rng: np.random.Generator) -> Draw:
        if not (known and same_names):
            known[:] = [names_of(rng)]
        samples, names, labels, recording, rates = known[0]
        plus, minus = np.moveaxis(rates, 1, 0)
        icc = groups[0].icc
        differences = {arm: changes(rng, plus, minus, recording, icc, coupled=coupled) for arm in arms}
        return Draw(samples, names, {PARTITION: labels}, differences)

    truth = {(arm, PARTITION, group.family): group.truth(n_budgets) for arm in arms for group in groups}
    average = mixture(groups, n_budgets)
    return Population(name, draw, truth, dict.fromkeys(arms, average), same_names=same_names, **options)  # type: ignore[arg-type]


def mixture(groups: Sequence[Group], budgets: int) -> Truth:
    """The average over all rows, and over all recordings, of families that share none."""
    rows = np.array([g.recordings * sum(s.share * np.mean(s.sizes) for s in g.strata) for g in groups])
    recordings = np.array([g.recordings for g in groups], dtype=float)
    truths = [group.truth(budgets) for group in groups]
    return Truth(
        rows @ np.stack([t.rows for t in truths]) / rows.sum(),
        recordings @ np.stack([t.recordings for t in truths]) / recordings.sum(),
    )


def _kinds(rng: np.random.Generator, group: Group) -> IntArray:
    """The stratum of every recording; strata one after the other, as data sets stand in a benchmark."""
    share = np.array([s.share for s in group.strata])
    if group.fixed:
        counts = np.floor(share * group.recordings + 1e-9).astype(int)
        counts[-1] += group.recordings - counts.sum()
    else:
        counts = rng.multinomial(group.recordings, share / share.sum())
    return np.repeat(np.arange(len(share)), counts)
