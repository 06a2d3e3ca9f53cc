"""One way from typed values to JSON and back, by annotated fields: `n: Annotated[int, "rows"]`.

A class is a frozen dataclass or a NamedTuple; `json_schema` makes its schema of the same fields. Knows no certificate.
"""

import dataclasses
import types
from collections.abc import Callable, Mapping
from functools import cache
from math import isfinite
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from earmark.engine.design.fields import Check, Field
from earmark.engine.errors import EarmarkError, InputError

T = TypeVar("T")
Json = dict[str, Any]

_WANTED = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
_LARGEST = 2**63 - 1
_UNKNOWN = "is an unknown key"
_NEWER = "it was edited, or a newer Earmark wrote it: read it with that, or make it again"
_EDITED = "it was cut, edited, or written by another version: make it again"


class Named(NamedTuple):
    """Marks a field that JSON calls otherwise: `n_sources: Annotated[int, "...", Named("of")]`."""

    key: str


class Beside(NamedTuple):
    """Marks a field that JSON leaves out where another field of its object (or it itself) is None."""

    field: str


class Gained(NamedTuple):
    """Marks a field that a schema gained after it was published: older documents lack it, and its default holds."""

    version: str  # of Earmark, that writes it first


class Unwritten(NamedTuple):
    """Marks a field that JSON never has."""


class JsonField(NamedTuple):
    """One field of a class: its name there and in JSON, its type, its words, what bounds it, and when it is there."""

    name: str
    key: str
    kind: Any
    words: str
    check: Check | None  # of the value, or of each of several; null has none
    beside: str | None
    gained: bool
    described: Field | None  # as a spec has it


@cache
def fields_in(kind: Any) -> tuple[JsonField, ...]:
    """The fields of a dataclass or a NamedTuple, in the order in which JSON has them."""
    hints = get_type_hints(kind, include_extras=True)
    described: Mapping[str, Mapping[Any, Any]] = {}
    names = getattr(kind, "_fields", None)
    if names is None:
        described = {field.name: field.metadata for field in dataclasses.fields(kind)}
        names = tuple(described)
    fields = []
    for name in names:
        hint = hints[name]
        marks: tuple[Any, ...] = ()
        if get_origin(hint) is Annotated:
            hint, marks = get_args(hint)[0], get_args(hint)[1:]
        if any(isinstance(mark, Unwritten) for mark in marks):
            continue
        key = next((mark.key for mark in marks if isinstance(mark, Named)), name)
        beside = next((mark.field for mark in marks if isinstance(mark, Beside)), None)
        words = next((mark for mark in marks if isinstance(mark, str)), "")
        check = next((mark for mark in marks if isinstance(mark, Check)), None)
        gained = any(isinstance(mark, Gained) for mark in marks)
        entry = described.get(name, {}).get("field")  # a key of a spec, which is described and checked there
        words = words or (entry.about if entry is not None else "")
        fields.append(JsonField(name, key, hint, words, check, beside, gained, entry))
    return tuple(fields)


def is_class(kind: Any) -> bool:
    """Whether a type is a dataclass or a NamedTuple."""
    return isinstance(kind, type) and (dataclasses.is_dataclass(kind) or hasattr(kind, "_fields"))


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The types of a union; the type itself where it is none."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


# To JSON ---------------------------------------------------------------------------------------------------


def to_json(value: Any) -> Json:
    """The JSON object of a typed value: NaN and infinities are null, tuples are lists, in the order of the fields."""
    kind: Any = type(value)
    content: Json = _writer(kind)(value)
    return content


def _number(value: Any) -> Any:
    if type(value) is float:
        return value if isfinite(value) else None
    return _number(value.item()) if hasattr(value, "item") else value  # a scalar of NumPy


def _as_it_is(value: Any) -> Any:
    return value


@cache
def _writer(kind: Any) -> Callable[[Any], Any]:
    """A function that writes values of a type."""
    if kind is float:
        return _number
    if is_class(kind):
        return _object_writer(kind)
    some = [alternative for alternative in alternatives(kind) if alternative is not type(None)]
    if len(some) == 1 and some[0] is not kind:
        write = _writer(some[0])
        if write in (_as_it_is, _number):
            return write
        return lambda value: None if value is None else write(value)
    if get_origin(kind) in (list, tuple):
        write_item = _writer(get_args(kind)[0])
        if write_item is _as_it_is:
            return list
        return lambda values: [write_item(value) for value in values]
    if isinstance(get_origin(kind), type) and issubclass(get_origin(kind), Mapping):
        write_value = _writer(get_args(kind)[1])
        return lambda mapping: {key: write_value(value) for key, value in mapping.items()}
    return _as_it_is


def _object_writer(kind: Any) -> Callable[[Any], Json]:
    fields = fields_in(kind)
    plain = [(field.key, field.name, _writer(field.kind)) for field in fields]
    if not any(field.beside for field in fields):
        return lambda value: {key: write(getattr(value, name)) for key, name, write in plain}
    beside = [field.beside for field in fields]
    return lambda value: {
        key: write(getattr(value, name))
        for (key, name, write), other in zip(plain, beside, strict=True)
        if other is None or getattr(value, other) is not None
    }


# From JSON -------------------------------------------------------------------------------------------------


class _MisfitError(Exception):
    """A value that is not of its type; `place` grows on the way out, from the innermost step."""

    def __init__(self, what: str, *place: str | int) -> None:
        super().__init__(what)
        self.what = what
        self.place = list(place)

    def where(self) -> str:
        """As `results[3].budgets[0].n`; empty for the whole document."""
        steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in reversed(self.place)]
        return "".join(steps).removeprefix(".")


def from_json(kind: type[T], value: Any, where: object) -> T:
    """The typed value of a JSON document; InputError names the first place that is not of its type.

    `where` is what the error calls the document: `certificate.json results[3].budgets[0].n: must be a whole number`.
    Unknown keys are refused, and keys that are missing.
    """
    try:
        any_kind: Any = kind
        typed: T = _reader(any_kind)(value)
    except _MisfitError as misfit:
        raise InputError(
            f"{where} {misfit.where()}".rstrip(), misfit.what, _NEWER if misfit.what == _UNKNOWN else _EDITED
        ) from None
    return typed


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """A function that checks a JSON value and gives it its type."""
    if kind is Any:
        return _as_it_is
    if kind is float:
        return _read_number
    if kind in _WANTED:
        return _reader_of_exactly(kind)
    if is_class(kind):
        return _object_reader(kind)
    if get_origin(kind) is Literal:
        return _reader_of_words(get_args(kind))
    if len(alternatives(kind)) > 1:
        (some,) = (alternative for alternative in alternatives(kind) if alternative is not type(None))
        read = _reader(some)
        return lambda value: None if value is None else read(value)
    if get_origin(kind) in (list, tuple):
        return _list_reader(get_origin(kind), _reader(get_args(kind)[0]))
    return _mapping_reader(_reader(get_args(kind)[1]))


def _read_number(value: Any) -> Any:
    if type(value) is int:
        return _bounded(value)
    if type(value) is not float or not isfinite(value):
        raise _MisfitError("must be a number")
    return value


def _bounded(value: int) -> int:
    if abs(value) > _LARGEST:
        raise _MisfitError("must be a number of at most 64 bits")
    return value


def _reader_of_exactly(kind: Any) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if kind is int and type(value) is float and value.is_integer():  # 200.0, which is one as JSON Schema has it
            value = int(value)
        if type(value) is not kind:
            raise _MisfitError(f"must be {_WANTED[kind]}")
        return _bounded(value) if kind is int else value

    return read


def _checked_reader(read: Callable[[Any], Any], check: Check | None) -> Callable[[Any], Any]:
    """A reader that refuses what is out of bounds too."""
    if check is None:
        return read

    def read_checked(value: Any) -> Any:
        typed = read(value)
        for item in typed if isinstance(typed, tuple) else (typed,):
            try:
                if item is not None:
                    check(item)
            except (TypeError, ValueError):
                raise _MisfitError(f"must be {check.wanted}") from None
        return typed

    return read_checked


def _reader_of_words(words: tuple[Any, ...]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, str) or value not in words:
            raise _MisfitError(f"must be {' or '.join(map(repr, words))}")
        return value

    return read


def _list_reader(origin: Any, read_item: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(values: Any) -> Any:
        if type(values) is not list:
            raise _MisfitError("must be a list")
        items: list[Any] = []
        try:
            for value in values:
                items.append(read_item(value))  # noqa: PERF401 - its length is the place of a misfit
        except _MisfitError as misfit:
            misfit.place.append(len(items))
            raise
        return items if origin is list else tuple(items)

    return read


def _mapping_reader(read_value: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise _MisfitError("must be an object")
        content = {}
        for key, item in value.items():
            try:
                content[key] = read_value(item)
            except _MisfitError as misfit:
                misfit.place.append(key)
                raise
        return content

    return read


def kind_where_it_stands(field: JsonField) -> Any:
    """The type of a field in JSON: one that is left out where it is None is never null."""
    if field.beside != field.name:
        return field.kind
    (some,) = (alternative for alternative in alternatives(field.kind) if alternative is not type(None))
    return some


def _object_reader(kind: Any) -> Callable[[Any], Any]:
    fields = [
        (
            field.key,
            field.name,
            _checked_reader(_reader(kind_where_it_stands(field)), field.check),
            field.beside,
            field.gained,
        )
        for field in fields_in(kind)
    ]
    known = {key for key, *_ in fields}

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise _MisfitError("must be an object")
        content: Json = {}
        for key, name, read_field, beside, gained in fields:
            if key in value:
                if beside is not None and beside not in value:
                    raise _MisfitError(f"stands without {beside}", key)
                try:
                    content[name] = read_field(value[key])
                except _MisfitError as misfit:
                    misfit.place.append(key)
                    raise
            elif not gained and (beside is None or beside in value):
                raise _MisfitError(f"lacks {key}")
        if len(content) < len(value):
            raise _MisfitError(_UNKNOWN, next(key for key in value if key not in known))
        try:
            return kind(**content)
        except EarmarkError as error:
            raise _MisfitError(error.what, *([error.key] if error.key else [])) from None

    return read
