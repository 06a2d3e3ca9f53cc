"""Every kernel that a command may need, called once with a few numbers of the types that commands have.

What it calls is compiled, or loaded where it was compiled before: beforehand, so that nobody waits for it later.
A new kernel has its line here. Knows kernels, and no command.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np


class Warmed(NamedTuple):
    """What calling some kernels cost."""

    name: str
    compiled: int  # kernels that were compiled, those that they call among them
    seconds: float  # which that took


def warm() -> Iterator[Warmed]:
    """Call all kernels, one group after the other."""
    from earmark.kernels.compilation import counted

    for name, call in GROUPS.items():
        with counted() as watch:
            call()
        yield Warmed(name, watch.compiled, watch.seconds)


def _resampling(scale: float) -> None:
    """Sums are int16, float32 or float64, by how large they can be and whether they are whole."""
    from earmark.kernels.statistics.collapse import collapse, entries
    from earmark.kernels.statistics.compiled.bootstrap import resample_in_lanes
    from earmark.kernels.statistics.poisson import poisson_tables

    values, codes = np.array([[0.0], [scale]]), np.zeros((2, 1), np.int64)
    added = entries(collapse([values], codes), [values], codes, [1])
    tables = poisson_tables(np.array([1.0]), np.array([True]))
    sums = np.empty((2, 1), added.sum_type)
    resample_in_lanes(np.zeros(2, np.int64), tables, np.arange(2), added, 1, 0, sums)


def _exact_tests() -> None:
    from earmark.kernels.statistics.compiled import suprema
    from earmark.kernels.statistics.exact_case import Cases

    n, plus, minus = (np.full(suprema.FEW, count) for count in (20, 1, 2))
    gamma, limit, excess = (np.full(suprema.FEW, share) for share in (0.01, 0.05, 0.1))
    cases = Cases(n, plus, minus, *suprema.clopper_pearson(plus + minus, n, gamma), limit)
    suprema.p_values(cases, excess, excess + 0.01, np.full(suprema.FEW, 20))
    suprema.p_at_places(cases, excess, np.zeros(suprema.FEW), True)


def _bets() -> None:
    from earmark.kernels.statistics.compiled import betting

    values, weights = np.zeros(3), np.ones(3)
    betting.p_value(values, weights, 0.1)
    betting.upper_bound(values, weights, 0.05)
    betting.pass_rate(values, weights, 3, 0.1, 3.0, 1, 1)


def _attention() -> None:
    from earmark.kernels.neural import attention
    from earmark.kernels.neural.simd import LANES

    def numbers(count: int) -> attention.Float32Array:
        return np.ones(count + LANES, np.float32)

    shape = attention.AttentionShape(rows=1, new=2, asking=2, heads=1, kv_heads=1, size=2, causal=True)
    old = attention.Old(numbers(0)[:0], numbers(0)[:0], np.zeros((1, 0), np.bool_), np.zeros(1, np.int64))
    projected = attention.Projected(numbers(4), numbers(4), numbers(4), numbers(2), numbers(6))
    rotation = attention.rotation(np.ones(1, np.float32), 2 + LANES)
    attention.attend(
        projected,
        rotation,
        old,
        np.array([2]),
        np.array([0]),
        attention.NO_WEIGHTS,
        shape,
        numbers(4),
        numbers(4)[:4],
        numbers(4)[:4],
    )


def _gates() -> None:
    from earmark.kernels.neural import gate
    from earmark.kernels.neural.simd import LANES

    x = np.ones(2 * LANES, np.float32)
    gate.inverse_rms(x[None, :LANES], 1e-6, np.empty(1, np.float32))
    gate.gated(x, x, 1, 4, np.empty_like(x))
    gate.gelu(x, np.ones_like(x), 1, LANES)


def _spectra() -> None:
    from earmark.kernels.neural import logmel

    filters = np.zeros((2, logmel.FRAME // 2 + 1))
    filters[:, 1:-1] = 1.0
    tables = logmel.tables(np.ones(logmel.FRAME), filters)
    logmel.mel_products(np.ones((1, 16_000), np.float32), 160, np.arange(100), tables, (1e-5, 1e-10, 1e-10))


def _speed() -> None:
    from earmark.kernels.waves.wsola import time_scaled

    time_scaled(np.ones(64, np.float32), 32, 16, 4)


GROUPS: dict[str, Callable[[], None]] = {
    "resampling, small whole sums": lambda: _resampling(1.0),
    "resampling, large whole sums": lambda: _resampling(50_000.0),
    "resampling, other sums": lambda: _resampling(0.5),
    "exact tests": _exact_tests,
    "bets": _bets,
    "attention": _attention,
    "gates": _gates,
    "spectra of chunks": _spectra,
    "speed": _speed,
}
