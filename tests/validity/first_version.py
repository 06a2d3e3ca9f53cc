"""The first version's rule, as it was, to show what each change to it is for: bets on sums in the order of sample_id,
scaled by the largest recording of the sample, the average always tested, and a headline that is the best of all arms.

Judged by the excess over rows, which is what its certificates stated.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from populations import Draw, Population

from earmark.engine.design.rule import Rule, gamma_of
from earmark.kernels.statistics import betting, exact

_SLACK = 1e-12


class Before(NamedTuple):
    """Per evaluation set, of any arm under any partition."""

    false: np.ndarray  # (repeats,) something unsafe was approved
    approved: np.ndarray  # (repeats,) anything was


def verdicts(of: Population, repeats: int, seed: int) -> Before:
    """What the first version approved in so many evaluation sets."""
    rng, rule = np.random.default_rng(seed), Rule(**of.rule)  # type: ignore[arg-type]
    found = [_verdict(of, of.draw(rng), rule) for _ in range(repeats)]
    return Before(*(np.array(column) for column in zip(*found, strict=True)))


def _verdict(of: Population, drawn: Draw, rule: Rule) -> tuple[bool, bool]:
    there = ~np.isin(np.array(of.budgets), of.missing)
    order = np.argsort(np.array(drawn.samples), kind="stable")
    names = np.array(drawn.recordings)[order]
    _, first, code = np.unique(names, return_index=True, return_inverse=True)
    source = np.argsort(np.argsort(first))[code]  # recordings by where they come first
    false = approved = False
    for arm, difference in drawn.differences.items():
        change = difference[order]
        if drawn.failed is not None:
            change = np.where(drawn.failed[arm][order], 1.0, change)
        for partition, labels in drawn.labels.items():
            merged = np.array([rule.parents.get(label, label) for label in labels])[order]
            for reached, unsafe in _walks(of, arm, partition, merged, source, change[:, there], there, rule):
                false |= bool((reached & unsafe).any())
                approved |= bool(reached.any())
    return false, approved


def _walks(
    of: Population,
    arm: str,
    partition: str,
    labels: np.ndarray,
    source: np.ndarray,
    change: np.ndarray,
    there: np.ndarray,
    rule: Rule,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What the walk over budgets reaches, and the policy where one is asked for, beside what is unsafe."""
    families = sorted(set(labels.tolist()))
    groups = [np.flatnonzero(labels == family) for family in families]
    limit, average = rule.tolerances[0], rule.average_tolerance(rule.tolerances[0])
    unsafe = np.stack([of.truth[arm, partition, family].rows[there] > limit + _SLACK for family in families])
    too_much = of.average[arm].rows[there] > average + _SLACK
    tests = [*((group, limit) for group in groups), (np.arange(len(labels)), average)]
    passes = np.stack([_passes(source, change, group, tolerance, rule.alpha, rule) for group, tolerance in tests])
    reached = _down(passes.all(axis=0))
    if rule.claim != "routing":
        yield reached, unsafe.any(axis=0) | too_much
    if rule.claim != "budget":
        each = rule.alpha / len(families)
        routed = np.stack([_down(_passes(source, change, group, limit, each, rule)) for group in groups])
        yield routed, unsafe


def _down(passes: np.ndarray) -> np.ndarray:
    """Budgets that pass with all larger ones."""
    return np.flip(np.logical_and.accumulate(np.flip(passes)))


def _passes(
    source: np.ndarray, change: np.ndarray, group: np.ndarray, limit: float, alpha: float, rule: Rule
) -> np.ndarray:
    zero_one = np.array_equal(change, np.sign(change))
    rows = group
    if rule.clustering == "one-row":
        shuffled = np.random.default_rng(rule.seed).permutation(group)
        rows = shuffled[np.unique(source[shuffled], return_index=True)[1]]
    if zero_one and (rule.clustering == "one-row" or len(np.unique(source)) == len(source)):
        plus, minus = (change[rows] > 0).sum(axis=0), (change[rows] < 0).sum(axis=0)
        p = exact.p_values(len(rows), plus, minus, limit, gamma_of(alpha))
        return (p <= alpha) & (len(rows) >= exact.testable_size(limit, alpha, gamma_of(alpha)))
    recording = np.unique(source[group], return_inverse=True)[1]
    sizes = np.bincount(recording)
    sums = np.stack([np.bincount(recording, weights=column) for column in change[group].T], axis=1) / sizes.max()
    weights = sizes / sizes.max()
    return np.array([betting.p_value(column, weights, limit) <= alpha for column in sums.T])
