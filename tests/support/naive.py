"""Slow twins of every estimator: plain loops over lists, one function per formula of the specification.

Imports nothing from earmark and knows no arrays, files or speed. `d_by_budget[j][i]` is the paired difference of row
`i` at the `j`-th of the ascending `budgets`, which end at 1.0. A quantity that does not exist is None. Where two
computed numbers are compared, they count as equal within `SLACK`.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from math import floor, fsum, sqrt
from typing import NamedTuple, TypedDict

from scipy.stats import t as student

SLACK = 1e-12

Floats = Sequence[float]
Labels = Sequence[str]


# Excess risk (section 2) -----------------------------------------------------------------------------------


def mean(xs: Floats) -> float:
    return fsum(xs) / len(xs)


def paired_differences(raw: Floats, compressed: Floats) -> list[float]:
    """`d_i`, the loss on compressed audio minus the loss on raw audio."""
    assert len(raw) == len(compressed)
    return [after - before for before, after in zip(raw, compressed, strict=True)]


def sizes(families: Labels) -> dict[str, int]:
    """Rows per family, by name."""
    counts = dict.fromkeys(sorted(families), 0)
    for family in families:
        counts[family] += 1
    return counts


def excess_by_family(d: Floats, families: Labels) -> dict[str, float]:
    """`D_g`, by name."""
    rows: dict[str, list[float]] = {family: [] for family in sorted(set(families))}
    for value, family in zip(d, families, strict=True):
        rows[family].append(value)
    return {family: mean(values) for family, values in rows.items()}


def worst(d: Floats, families: Labels) -> tuple[str, float]:
    """The family with the largest excess (the first by name among equals) and that excess, `D_fam`."""
    return _largest(excess_by_family(d, families))


def _largest(value_of: Mapping[str, float]) -> tuple[str, float]:
    largest = max(value_of.values())
    return min(name for name, value in value_of.items() if value >= largest - SLACK), largest


def hidden_damage(d: Floats, families: Labels) -> float:
    """`H = D_fam - D_avg`."""
    return worst(d, families)[1] - mean(d)


def concentration_top2(d: Floats, families: Labels) -> float | None:
    """Share of the positive excess mass `n_g max(D_g, 0)` held by the two families with the largest excess `D_g`."""
    n = sizes(families)
    excess = excess_by_family(d, families)
    mass = {family: n[family] * max(excess[family], 0.0) for family in excess}
    total = fsum(mass.values())
    if total <= SLACK:
        return None
    held = []
    for _ in range(min(2, len(mass))):
        family, _ = _largest(excess)
        del excess[family]
        held.append(mass[family])
    return fsum(held) / total


# Answer consistency (section 8) ----------------------------------------------------------------------------


def answer_consistency(raw_labels: Sequence[Hashable], compressed_labels: Sequence[Hashable]) -> float:
    """Share of rows with the same answer, right or wrong; "no answer" (None) is an answer."""
    same = [1.0 if before == after else 0.0 for before, after in zip(raw_labels, compressed_labels, strict=True)]
    return mean(same)


def consistency_paradox(consistency: Sequence[float | None], loss: Floats, budgets: Floats) -> list[bool]:
    """True where another compressed budget has a lower consistency and yet a lower loss."""
    flags = []
    for j in range(len(budgets)):
        flag = False
        for other in range(len(budgets)):
            mine, theirs = consistency[j], consistency[other]
            if budgets[j] < 1 and budgets[other] < 1 and mine is not None and theirs is not None:
                flag = flag or (theirs < mine - SLACK and loss[other] < loss[j] - SLACK)
        flags.append(flag)
    return flags


# Frontiers (section 3) -------------------------------------------------------------------------------------


def grid_frontier(budgets: Floats, excess: Floats, eps: float) -> float | None:
    """`b*`: the smallest grid budget whose excess is at most `eps`."""
    for budget, value in zip(budgets, excess, strict=True):
        if value <= eps + SLACK:
            return budget
    return None


def interpolated_frontier(budgets: Floats, excess: Floats, eps: float) -> float:
    """`r*`: the same with the excess linear between grid budgets; 1.0 if it never passes."""
    assert budgets[-1] == 1.0
    if excess[0] <= eps + SLACK:
        return budgets[0]
    for j in range(1, len(budgets)):
        if excess[j] <= eps + SLACK:  # and excess[j - 1] > eps + SLACK
            share = (excess[j - 1] - eps) / (excess[j - 1] - excess[j])
            return min(budgets[j - 1] + share * (budgets[j] - budgets[j - 1]), budgets[j])
    return 1.0


def token_frontier(budgets: Floats, tokens: Sequence[float | None], excess: Floats, eps: float) -> float | None:
    """`t*`: the mean audio tokens at `r*`, linear between grid budgets; None where a budget has no count."""
    known = [count for count in tokens if count is not None]
    if len(known) < len(budgets):
        return None
    r = interpolated_frontier(budgets, excess, eps)
    for j in range(1, len(budgets)):
        if r <= budgets[j]:
            share = (r - budgets[j - 1]) / (budgets[j] - budgets[j - 1])
            return known[j - 1] + share * (known[j] - known[j - 1])
    return known[-1]


def subset_excess(d_by_budget: Sequence[Floats], families: Labels, subset: Iterable[str]) -> list[float]:
    """`D_S` per budget: the maximum over the families of the subset."""
    wanted = set(subset)
    result = []
    for d in d_by_budget:
        excess = excess_by_family(d, families)
        result.append(max(excess[family] for family in wanted))
    return result


def subset_frontier(
    d_by_budget: Sequence[Floats], families: Labels, subset: Iterable[str], budgets: Floats, eps: float
) -> float:
    """`r*` of `D_S`."""
    return interpolated_frontier(budgets, subset_excess(d_by_budget, families, subset), eps)


class Step(NamedTuple):
    """One step of a chain: the family that joins, its rows, the frontier of all so far, and its rise."""

    family: str
    n: int
    frontier: float
    increment: float | None


def chain(d_by_budget: Sequence[Floats], families: Labels, budgets: Floats, eps: float) -> list[Step]:
    """Families added from the smallest to the largest, ties by name."""
    n = sizes(families)
    steps: list[Step] = []
    so_far: list[str] = []
    for family in sorted(n, key=lambda name: (n[name], name)):
        so_far.append(family)
        frontier = subset_frontier(d_by_budget, families, so_far, budgets, eps)
        steps.append(Step(family, n[family], frontier, frontier - steps[-1].frontier if steps else None))
    return steps


def overlap_ratio(
    d_by_budget: Sequence[Floats], families: Labels, budgets: Floats, g: str, h: str, eps: float
) -> float:
    """`r*({g, h}) / (r*({g}) + r*({h}))`."""
    both = subset_frontier(d_by_budget, families, [g, h], budgets, eps)
    apart = [subset_frontier(d_by_budget, families, [family], budgets, eps) for family in (g, h)]
    return both / fsum(apart)


# Gain and query-use audit (section 4) ----------------------------------------------------------------------


def gain(agnostic_frontier: float | None, conditioned_frontier: float | None) -> float | None:
    """`G`: positive where conditioning saves budget."""
    if agnostic_frontier is None or conditioned_frontier is None:
        return None
    return agnostic_frontier - conditioned_frontier


def phi(anchor_gain: float, permuted_gains: Floats) -> float:
    """`G(anchor)` minus the mean of `G(permuted)` of one training seed."""
    return anchor_gain - mean(permuted_gains)


def band(phi: float, small: float = 0.01, substantial: float = 0.05) -> str:
    """PHI1 (null) below `small`, PHI2 (small) below `substantial`, else PHI3 (substantial)."""
    if abs(phi) < small - SLACK:
        return "PHI1"
    if abs(phi) < substantial - SLACK:
        return "PHI2"
    return "PHI3"


def direction_over_seeds(values: Floats) -> str:
    """CONSISTENT+, CONSISTENT-, ZERO or MIXED."""
    positive = len([value for value in values if value > SLACK])
    negative = len([value for value in values if value < -SLACK])
    if positive == len(values):
        return "CONSISTENT+"
    if negative == len(values):
        return "CONSISTENT-"
    if positive == negative == 0:
        return "ZERO"
    return "MIXED"


class Student(NamedTuple):
    """Mean, standard deviation (n - 1) and the ends of a two-sided Student-t interval."""

    mean: float
    sd: float | None
    lower: float | None
    upper: float | None


def student_t(values: Floats, level: float) -> Student:
    """Across training seeds, `level` = .95 for a 95% interval; one value has no spread."""
    centre, n = mean(values), len(values)
    sd = sample_sd(values)
    if sd is None:
        return Student(centre, None, None, None)
    half = float(student.ppf((1 + level) / 2, n - 1)) * sd / sqrt(n)
    return Student(centre, sd, centre - half, centre + half)


def sample_sd(values: Floats) -> float | None:
    """With n - 1; None for fewer than two values."""
    if len(values) < 2:
        return None
    centre = mean(values)
    return sqrt(fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


# Uncertainty (section 5) -----------------------------------------------------------------------------------


class Replicate(TypedDict):
    """The statistics of one resample; `family[g]` holds None at every budget where no row of `g` was drawn."""

    average: list[float]
    family: dict[str, list[float | None]]
    worst: list[float]
    average_frontier: float
    family_frontier: float


def resampled_statistics(
    d_by_budget: Sequence[Floats],
    families: Labels,
    draws: Iterable[Sequence[int]],
    budgets: Floats,
    eps: float,
) -> list[Replicate]:
    """Every statistic of a replicate from the same resampled rows (`draws`: row indices, repeats as they come)."""
    names = sorted(set(families))
    replicates = []
    for rows in draws:
        labels = [families[i] for i in rows]
        average: list[float] = []
        worst_of: list[float] = []
        family: dict[str, list[float | None]] = {name: [] for name in names}
        for d in d_by_budget:
            drawn = [d[i] for i in rows]
            excess = excess_by_family(drawn, labels)
            for name in names:
                family[name].append(excess.get(name))
            average.append(mean(drawn))
            worst_of.append(max(excess.values()))
        replicates.append(
            Replicate(
                average=average,
                family=family,
                worst=worst_of,
                average_frontier=interpolated_frontier(budgets, average, eps),
                family_frontier=interpolated_frontier(budgets, worst_of, eps),
            )
        )
    return replicates


def percentile(xs: Floats, q: float) -> float:
    """The `q`-quantile, `q` in [0, 1], linear between order statistics."""
    ordered = sorted(xs)
    position = q * (len(ordered) - 1)
    below = floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def interval(xs: Floats, alpha: float) -> tuple[float, float]:
    """The percentile interval that leaves `alpha` on each side."""
    return percentile(xs, alpha), percentile(xs, 1 - alpha)


def two_sided_p(gains: Floats) -> float:
    """`min(1, 2 min(P(G <= 0), P(G >= 0)))` over the replicates."""
    at_most = len([g for g in gains if g <= SLACK]) / len(gains)
    at_least = len([g for g in gains if g >= -SLACK]) / len(gains)
    return min(1.0, 2 * min(at_most, at_least))


def paper_decision(
    average_interval: tuple[float, float],
    family_interval: tuple[float, float],
    eps_average: float,
    eps_family: float,
) -> str:
    """Approve if both upper ends are within tolerance, reject if any lower end is above, else inconclusive."""
    ends = [(*average_interval, eps_average), (*family_interval, eps_family)]
    if all(upper <= eps + SLACK for _, upper, eps in ends):
        return "approve"
    if any(lower > eps + SLACK for lower, _, eps in ends):
        return "reject"
    return "inconclusive"


# Families: rare ones, coarser ones, noisy ones (sections 2 and 5) ------------------------------------------


def merge_rare(families: Labels, parents: Mapping[str, str], n_min: int) -> tuple[list[str], list[str]]:
    """Families below `n_min` join their declared parents, descendants before their ancestors; and who is still rare.

    Raises ValueError where a family is its own ancestor: the rounds would never end.
    """
    ancestors: dict[str, list[str]] = {}
    for family in parents:
        ancestors[family] = []
        above = family
        while above in parents:
            above = parents[above]
            if above == family or above in ancestors[family]:
                raise ValueError(f"'{family}' leads back to '{above}'")
            ancestors[family].append(above)
    labels = list(families)
    while True:
        n = sizes(labels)
        movable = [family for family in n if n[family] < n_min and family in parents]
        if not movable:
            return labels, [family for family in n if n[family] < n_min]
        waiting = {above for family in movable for above in ancestors[family]}
        labels = [parents[label] if label in movable and label not in waiting else label for label in labels]


def coarsen(families: Labels) -> tuple[list[str], list[str]]:
    """Two groups of families of balanced size: the largest first, each to the group with fewer rows so far."""
    n = sizes(families)
    first: list[str] = []
    second: list[str] = []
    rows_first = rows_second = 0
    for family in sorted(n, key=lambda name: (-n[name], name)):
        if rows_first <= rows_second:
            first.append(family)
            rows_first += n[family]
        else:
            second.append(family)
            rows_second += n[family]
    return sorted(first), sorted(second)


def share_destroyed(d: Floats, families: Labels) -> float | None:
    """`1 - H(coarse) / H(fine)`; None where the fine partition hides nothing."""
    fine = hidden_damage(d, families)
    if fine <= SLACK:
        return None
    first, _ = coarsen(families)
    coarse = hidden_damage(d, ["first" if family in first else "second" for family in families])
    return 1 - coarse / fine


def bottleneck(d: Floats, labels: Labels) -> str:
    """The worst family under these (perhaps flipped) labels."""
    return worst(d, labels)[0]


# Architecture gap (section 8) ------------------------------------------------------------------------------


def architecture_gap(loss_a_cells: Sequence[Floats], loss_b_cells: Sequence[Floats]) -> tuple[float, float | None]:
    """Mean and sd over cells of the second answerer's mean loss minus the first's."""
    gaps = [mean(b) - mean(a) for a, b in zip(loss_a_cells, loss_b_cells, strict=True)]
    return mean(gaps), sample_sd(gaps)
