"""An MLP's gate, and root-mean-square norms whose scale is applied after a matrix product.

Knows rows of numbers. NaN stays NaN.
"""

import numpy as np
import numpy.typing as npt

from earmark.kernels._jit import jit
from earmark.kernels.neural.exponential import LOWEST, divided, exponential, first, total
from earmark.kernels.neural.simd import LANES, fma, larger, load, splat, store

Float32Array = npt.NDArray[np.float32]


def inverse_rms(x: Float32Array, eps: float, scale: Float32Array) -> None:
    """scale[i] <- 1 / sqrt(mean of row i's squares + eps), of x (n, width)."""
    if not (x.dtype == scale.dtype == np.float32 and x.flags.c_contiguous and len(scale) >= len(x)):
        raise ValueError(f"x {x.shape} {x.dtype}, scale {scale.shape} {scale.dtype}")
    _inverse_rms(x.reshape(-1), len(x), np.float32(eps), scale)


def gated(both: Float32Array, scale: Float32Array, rows: int, inner: int, h: Float32Array) -> None:
    """h <- silu(scale g) scale u of products [g, u] (rows, 2 inner); both and h flat, with LANES to spare."""
    if not (both.dtype == scale.dtype == h.dtype == np.float32):
        raise ValueError(f"both {both.dtype}, scale {scale.dtype}, h {h.dtype}")
    if len(both) < rows * 2 * inner + LANES or len(h) < rows * inner + LANES or len(scale) < rows:
        raise ValueError(f"both {both.shape}, scale {scale.shape}, h {h.shape} for {rows} rows of {inner}")
    _gated(both, scale, rows, inner, h)


@jit
def _inverse_rms(x, rows, eps, scale):
    width = len(x) // rows
    whole = width - width % LANES
    zero = splat(np.float32(0.0))
    for i in range(rows):
        a = b = zero
        at = i * width
        for j in range(0, whole - LANES, 2 * LANES):
            y, z = load(x, at + j), load(x, at + j + LANES)
            a, b = fma(y, y, a), fma(z, z, b)
        if whole % (2 * LANES):
            y = load(x, at + whole - LANES)
            a = fma(y, y, a)
        squares = total(a + b)
        for j in range(whole, width):
            squares += x[at + j] * x[at + j]
        scale[i] = np.float32(1.0) / np.sqrt(squares / np.float32(width) + eps)


@jit
def _gated(both, scale, rows, inner, h):
    unit, zero, lowest = splat(np.float32(1.0)), splat(np.float32(0.0)), splat(LOWEST)
    for i in range(rows):
        s, at = splat(scale[i]), i * 2 * inner
        for j in range(0, inner, LANES):  # what is written beyond a row is written over by the next
            g, u = load(both, at + j) * s, load(both, at + inner + j) * s
            store(h, i * inner + j, divided(g, unit + exponential(zero - larger(lowest, g))) * u)


def gelu(x: Float32Array, bias: Float32Array, rows: int, width: int) -> None:
    """x <- y (1 + erf(y / sqrt 2)) / 2 of y = x + bias (rows, width), within 2e-7 of y; both flat, LANES to spare."""
    if not (x.dtype == bias.dtype == np.float32 and len(x) >= rows * width + LANES and len(bias) >= width + LANES):
        raise ValueError(f"x {x.shape} {x.dtype}, bias {bias.shape} {bias.dtype} for {rows} rows of {width}")
    _gelu(x, bias, rows, width)


# Abramowitz and Stegun 7.1.26: erfc(z) = (a1 t + ... + a5 t^5) exp(-z^2), t = 1 / (1 + p z), z >= 0
_P = np.float32(0.3275911 / np.sqrt(2))
_A = tuple(map(np.float32, (0.254829592 / 2, -0.284496736 / 2, 1.421413741 / 2, -1.453152027 / 2, 1.061405429 / 2)))


@jit
def _gelu(x, bias, rows, width):
    zero, unit, p, half = splat(np.float32(0.0)), splat(np.float32(1.0)), splat(_P), splat(np.float32(-0.5))
    a1, a2, a3, a4, a5 = splat(_A[0]), splat(_A[1]), splat(_A[2]), splat(_A[3]), splat(_A[4])
    for i in range(rows):
        for j in range(0, width, LANES):
            at = i * width + j
            raw = load(x, at)
            y = raw + load(bias, j)
            size = larger(y, zero - y)
            t = divided(unit, fma(size, p, unit))
            beyond = fma(fma(fma(fma(a5, t, a4), t, a3), t, a2), t, a1) * t * exponential(y * y * half)
            store(x, at, first(width - j, larger(y, zero) - size * beyond, raw))
