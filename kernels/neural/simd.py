"""Sixteen float32 lanes as one value, for kernels whose inner loop no compiler vectorises by itself.

`load` takes them from an array, `store` puts them back; + - * and `fma` work lane by lane and are rounded as IEEE 754
says, on every processor. Without compilation lanes are small arrays: the same source runs as plain Python.
"""

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from earmark.kernels._jit import config

LANES = 16
_intrinsic: Any = intrinsic  # numba has no types
_VECTOR = ir.VectorType(ir.FloatType(), LANES)


class _LanesType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="float32x16")


_LANES = _LanesType()


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, data_models: Any, lanes_type: Any) -> None:
        super().__init__(data_models, lanes_type, _VECTOR)


def _operator(symbol: Any, instruction: str) -> None:
    """Teach numba that the operator, between lanes, is this LLVM instruction."""

    class _BetweenLanes(ConcreteTemplate):
        cases = [signature(_LANES, _LANES, _LANES)]  # noqa: RUF012 - what numba reads

    def lower(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments)

    infer_global(symbol)(_BetweenLanes)
    lower_builtin(symbol, _LANES, _LANES)(lower)


for _symbol, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _operator(_symbol, _instruction)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """A pointer to the LANES values from array[index] on, in a contiguous array of one dimension."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


@_intrinsic
def _load(_typing, array, _index):
    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load(pointer, align=4, typ=_VECTOR)

    return _LANES(array, types.intp), generate


@_intrinsic
def _store(_typing, array, _index, _value):
    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, _LANES), generate


@_intrinsic
def _splat(_typing, _scalar):
    def generate(_context, builder, _signature, arguments):
        lane = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), arguments[0], ir.IntType(32)(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
        return builder.shuffle_vector(lane, ir.Constant(_VECTOR, ir.Undefined), zeros)

    return _LANES(types.float32), generate


@_intrinsic
def _fma(_typing, _a, _b, _c):
    def generate(_context, builder, _signature, arguments):
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
        return builder.call(function, arguments)

    return _LANES(_LANES, _LANES, _LANES), generate


@_intrinsic
def _larger(_typing, _a, _b):
    def generate(_context, builder, _signature, arguments):
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return _LANES(_LANES, _LANES), generate


def _zip(first: int) -> Any:
    """An intrinsic that interleaves half of the lanes of a and b, from lane `first` of both on."""
    order = [ir.IntType(32)(lane + source) for lane in range(first, first + LANES // 2) for source in (0, LANES)]

    @_intrinsic
    def zipped(_typing, _a, _b):
        def generate(_context, builder, _signature, arguments):
            return builder.shuffle_vector(*arguments, ir.Constant(ir.VectorType(ir.IntType(32), LANES), order))

        return _LANES(_LANES, _LANES), generate

    return zipped


if config.DISABLE_JIT:

    def load(array, index):
        """Lanes from array[index] on."""
        return array[index : index + LANES].copy()

    def store(array, index, value):
        """Put lanes into array from index on."""
        array[index : index + LANES] = value

    def splat(scalar):
        """The same float32 in every lane."""
        return np.full(LANES, scalar, np.float32)

    def fma(a, b, c):
        """a * b + c, rounded once."""
        return (np.float64(1) * a * b + c).astype(np.float32)

    def larger(a, b):
        """The larger of two, lane by lane; b where they cannot be compared."""
        return np.where(a > b, a, b)

    def zip_low(a, b):
        """a0 b0 a1 b1 ..., of the first half of both."""
        return np.stack([a[: LANES // 2], b[: LANES // 2]], axis=1).reshape(-1)

    def zip_high(a, b):
        """The lanes of the second half of a and b in turn."""
        return np.stack([a[LANES // 2 :], b[LANES // 2 :]], axis=1).reshape(-1)
else:
    load, store, splat, fma, larger = _load, _store, _splat, _fma, _larger
    zip_low, zip_high = _zip(0), _zip(LANES // 2)
