"""e to the power of sixteen float32 at once, within two units of the last place, and what else a softmax does to lanes.

Knows lanes of numbers, nothing of what they mean. NaN stays NaN.
"""

import numpy as np
from llvmlite import ir
from numba.core import types

from earmark.kernels._jit import config, jit
from earmark.kernels.neural.simd import _LANES, _VECTOR, LANES, _intrinsic, fma, larger, splat

_WORDS = ir.VectorType(ir.IntType(32), LANES)
LOWEST = np.float32(-87.0)  # below, the result would not be a normal number
_LOG2_E = np.float32(1.4426950408889634)
_LN2_HIGH, _LN2_LOW = np.float32(-0.693359375), np.float32(2.12194440e-4)
_ROUND = np.float32(1.5 * 2**23)  # adding it leaves a whole number in the low bits
_C = tuple(map(np.float32, (0.5, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4)))


def _all(value):
    return ir.Constant(_WORDS, [ir.IntType(32)(value)] * LANES)


@_intrinsic
def _power_of_two(_typing, _marked):
    def generate(_context, builder, _signature, arguments):
        whole = builder.add(builder.bitcast(arguments[0], _WORDS), _all(127))
        return builder.bitcast(builder.shl(whole, _all(23)), _VECTOR)

    return _LANES(_LANES), generate


@_intrinsic
def _first(_typing, _count, _a, _b):
    def generate(_context, builder, _signature, arguments):
        n = builder.trunc(arguments[0], ir.IntType(32))
        lane = builder.insert_element(ir.Constant(_WORDS, ir.Undefined), n, ir.IntType(32)(0))
        limit = builder.shuffle_vector(lane, ir.Constant(_WORDS, ir.Undefined), _all(0))
        number = ir.Constant(_WORDS, [ir.IntType(32)(i) for i in range(LANES)])
        return builder.select(builder.icmp_signed("<", number, limit), arguments[1], arguments[2])

    return _LANES(types.intp, _LANES, _LANES), generate


@_intrinsic
def _divided(_typing, _a, _b):
    def generate(_context, builder, _signature, arguments):
        return builder.fdiv(*arguments)

    return _LANES(_LANES, _LANES), generate


def _folded(combine):
    """An intrinsic that combines the upper half of the lanes with the lower one, and so on down to one."""

    @_intrinsic
    def fold(_typing, _a):
        def generate(_context, builder, _signature, arguments):
            value, width = arguments[0], LANES
            while width > 1:
                width //= 2
                pick = [ir.IntType(32)(min(i + width, LANES - 1)) for i in range(LANES)]
                upper = builder.shuffle_vector(value, value, ir.Constant(_WORDS, pick))
                value = combine(builder, value, upper)
            return builder.extract_element(value, ir.IntType(32)(0))

        return types.float32(_LANES), generate

    return fold


_total = _folded(lambda builder, a, b: builder.fadd(a, b))
_highest = _folded(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))


if config.DISABLE_JIT:

    def power_of_two(marked):
        """2^n, from n + _ROUND: adding _ROUND has left n in the low bits."""
        return ((marked.view(np.int32) + np.int32(127)) << np.int32(23)).view(np.float32)

    def first(count, a, b):
        """The first `count` lanes of a, the others of b."""
        return np.where(np.arange(LANES) < count, a, b)

    def total(a):
        """The sum of all lanes."""
        return _halved(np.add, a)

    def highest(a):
        """The largest lane."""
        return _halved(lambda x, y: np.where(x > y, x, y), a)

    def _halved(combine, a):
        while len(a) > 1:
            a = combine(a[: len(a) // 2], a[len(a) // 2 :])
        return a[0]

    def divided(a, b):
        """a / b, lane by lane."""
        return a / b
else:
    power_of_two, first, total, highest, divided = _power_of_two, _first, _total, _highest, _divided


@jit
def exponential(x):
    """e^max(x, -87), lane by lane."""
    # e^x = 2^n e^f, n = round(x / ln 2): a polynomial for e^f, and n goes where a float32 keeps its exponent
    y = larger(splat(LOWEST), x)
    marked = fma(y, splat(_LOG2_E), splat(_ROUND))
    n = marked - splat(_ROUND)
    f = fma(n, splat(_LN2_LOW), fma(n, splat(_LN2_HIGH), y))
    tail = fma(splat(_C[5]), f, splat(_C[4]))
    tail = fma(fma(fma(fma(tail, f, splat(_C[3])), f, splat(_C[2])), f, splat(_C[1])), f, splat(_C[0]))
    return (fma(tail, f * f, f) + splat(np.float32(1.0))) * power_of_two(marked)
