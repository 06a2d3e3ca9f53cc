"""One column of values, however it is held: a list, an array of NumPy or PyArrow, a series of pandas or Polars.

Knows no table; `where` is what errors call the column.
"""

import math
from collections.abc import Iterable, Mapping, Set
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from earmark.engine.errors import InputError

_DO = "give a list, an array or a series, one value for each row"
_TELLS_NOTHING = ("NAType", "NaTType")  # what pandas calls a value that is missing


def as_column(where: object, values: Any) -> pa.Array:
    """The values as one array, with nulls where one is missing; categories and dictionaries are decoded.

    InputError for a text, a number, a table or a set, for no values, and for true or false among numbers.
    """
    if isinstance(values, str | bytes | Mapping | Set):
        raise InputError(where, f"is a {type(values).__name__}", _DO)
    try:
        if hasattr(values, "to_arrow"):  # Polars
            values = values.to_arrow()
        if not isinstance(values, pa.Array | pa.ChunkedArray):
            values = _array(where, values)
        array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        column = _plain(array)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InputError(where, f"cannot be a column ({str(error).partition(chr(10))[0]})", _DO) from None
    if not len(column):
        raise InputError(where, "has no values", _DO)
    return column


def as_names(where: object, column: pa.Array, most: int) -> pa.Array:
    """A column of texts, whole numbers or truth values as texts of at most `most` characters, none of them missing."""
    _refuse_missing(where, column)
    kind = column.type
    if not (_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        raise InputError(where, f"is {kind}", "give texts or whole numbers")
    names = column.cast(pa.string())
    longest = pc.max(pc.utf8_length(names)).as_py() or 0
    if longest > most:
        raise InputError(where, f"has a name of {longest:,} characters, more than {most:,}", "give shorter names")
    return names


def as_numbers(where: object, column: pa.Array, target: pa.DataType) -> pa.Array:
    """A column of numbers, none of them missing, as `target`; .3 in 32 bits is .3, the decimal as which it is written.

    InputError for true and false, texts, and what `target` cannot hold.
    """
    _refuse_missing(where, column)
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise InputError(where, f"is {kind}", "give numbers")
    if pa.types.is_floating(kind) and kind.bit_width < 64:
        column = column.cast(pa.float32()).cast(pa.string()).cast(pa.float64())
    try:
        return column.cast(target)
    except pa.ArrowException as error:
        raise InputError(where, f"is not {target} ({error})", "convert it") from None


def _array(where: object, values: Any) -> pa.Array:
    """What is no Arrow array yet; of Python's objects, what is missing is null."""
    if isinstance(values, list | tuple) or str(getattr(values, "dtype", "")) == "object":
        if len(getattr(values, "shape", (0,))) != 1:
            raise InputError(where, "has not one dimension", _DO)
        items = [None if _is_missing(item) else item for item in values]
        _refuse_mixed(where, items)
        return pa.array(items)
    if not isinstance(values, Iterable) or hasattr(values, "columns"):
        raise InputError(where, f"is a {type(values).__name__}", _DO)
    return pa.array(values, from_pandas=True)


def _is_missing(item: Any) -> bool:
    return item is None or type(item).__name__ in _TELLS_NOTHING or (isinstance(item, float) and math.isnan(item))


def _refuse_mixed(where: object, items: list[Any]) -> None:
    """Arrow would take True among numbers for 1."""
    truths = sum(type(item).__name__ in ("bool", "bool_") for item in items)
    if 0 < truths < sum(item is not None for item in items):
        raise InputError(where, "has true or false among other values", "give numbers, or only true and false")


def _plain(array: pa.Array) -> pa.Array:
    """The values themselves, where the array holds them by number, by runs or under another name."""
    while True:
        if isinstance(array, pa.ExtensionArray):
            array = array.cast(pa.bool_()) if array.type.extension_name == "arrow.bool8" else array.storage
        elif pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        elif pa.types.is_run_end_encoded(array.type):
            array = pc.run_end_decode(array)
        else:
            return array


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _refuse_missing(where: object, column: pa.Array) -> None:
    if column.null_count:
        raise InputError(where, f"has {column.null_count:,} rows without a value", "fill or drop them")
