"""One way from typed values to JSON and back, which refuses what is not of its type with the place."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from earmark.engine.design.fields import COUNT, PROPORTION
from earmark.engine.errors import InputError
from earmark.engine.signoff.json_form import Beside, Gained, Named, Unwritten, from_json, to_json
from earmark.engine.signoff.json_schema import schema_of


class Part(NamedTuple):
    """A part."""

    n: Annotated[int, "rows"]
    n_all: Annotated[int, "of so many", Named("of")]
    share: Annotated[float | None, "of all"] = None


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole."""

    name: Annotated[str, "its name"]
    kind: Annotated[Literal["a", "b"] | None, "its kind"]
    parts: Annotated[tuple[Part, ...], "its parts"]
    listed: Annotated[list[float], "numbers"]
    told: Annotated[Mapping[str, Any], "anything"]
    open: Annotated[bool, "whether it is"] = False
    test: Annotated[str | None, "what tested it", Beside("test")] = None
    units: Annotated[int | None, "of the test, which may have none", Beside("test")] = None


WHOLE = Whole("x", "a", (Part(1, 2, 0.5), Part(3, 4)), [1.0, 2], {"rule": ["x", None]})
JSON = {
    "name": "x",
    "kind": "a",
    "parts": [{"n": 1, "of": 2, "share": 0.5}, {"n": 3, "of": 4, "share": None}],
    "listed": [1.0, 2],
    "told": {"rule": ["x", None]},
    "open": False,
}
SCHEMA = Draft202012Validator(schema_of(Whole, "a whole"))


def test_a_value_goes_to_json_and_comes_back() -> None:
    assert to_json(WHOLE) == JSON
    assert from_json(Whole, JSON, "file") == WHOLE
    assert list(to_json(WHOLE)) == list(JSON)
    SCHEMA.validate(JSON)


def test_what_does_not_exist_is_null() -> None:
    whole = Whole("x", None, (Part(1, 2, math.nan),), [math.inf, np.float64(0.5), -math.inf], {})
    content = json.loads(json.dumps(to_json(whole), allow_nan=False))
    assert (content["parts"][0]["share"], content["listed"]) == (None, [None, 0.5, None])
    assert type(to_json(whole)["listed"][1]) is float


def test_a_field_stands_beside_another_or_not_at_all() -> None:
    tested = Whole("x", "a", (), [], {}, test="exact")
    assert {"test": "exact", "units": None}.items() <= to_json(tested).items()
    assert from_json(Whole, to_json(tested), "file") == tested
    SCHEMA.validate(to_json(tested))
    assert not SCHEMA.is_valid({name: value for name, value in to_json(tested).items() if name != "units"})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": 3}, "f name: must be text; "),
        ({"kind": "c"}, "f kind: must be 'a' or 'b'; "),
        ({"open": 1}, "f open: must be true or false; "),
        ({"parts": {}}, "f parts: must be a list; "),
        ({"parts": [JSON["parts"][0], {"n": 1.5, "of": 2, "share": None}]}, "f parts[1].n: must be a whole number; "),
        ({"parts": [{"n": True, "of": 2, "share": None}]}, "f parts[0].n: must be a whole number; "),
        ({"parts": [{"n": 1, "of": 2}]}, "f parts[0]: lacks share; "),
        ({"parts": [{"n": 1, "of": 2, "share": "x"}]}, "f parts[0].share: must be a number; "),
        ({"parts": [3]}, "f parts[0]: must be an object; "),
        ({"listed": [1, None]}, "f listed[1]: must be a number; "),
        ({"told": []}, "f told: must be an object; "),
        ({"more": 1}, "f more: is an unknown key; "),
    ],
)
def test_what_is_not_of_its_type_is_refused_with_its_place(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError) as refused:
        from_json(Whole, JSON | change, "f")
    assert str(refused.value).startswith(expected)
    assert not SCHEMA.is_valid(JSON | change)


numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
wholes = st.integers(-(2**63) + 1, 2**63 - 1)
parts = st.builds(Part, wholes, wholes, numbers)


@given(
    st.builds(
        Whole,
        st.text(),
        st.sampled_from(["a", "b", None]),
        st.lists(parts).map(tuple),
        st.lists(st.floats(allow_nan=False, allow_infinity=False)),
        st.dictionaries(st.text(), wholes),
        st.booleans(),
    )
)
def test_whatever_is_written_is_read_as_it_was(whole: Whole) -> None:
    content = json.loads(json.dumps(to_json(whole)))
    assert from_json(Whole, content, "file") == whole
    SCHEMA.validate(content)


class Grown(NamedTuple):
    """A part that gained a field after it was published."""

    n: Annotated[int, "rows", COUNT]
    shares: Annotated[tuple[float, ...], "of each", PROPORTION] = ()
    noise: Annotated[float | None, "of all", Gained("0.2")] = None
    held_in: Annotated[str, "whose hands", Unwritten()] = "nobody's"


def test_a_field_that_was_gained_has_its_default_where_it_is_missing() -> None:
    schema = Draft202012Validator(schema_of(Grown, "a part"))
    old = {"n": 1, "shares": [0.5]}
    assert from_json(Grown, old, "f") == Grown(1, (0.5,))
    assert from_json(Grown, old | {"noise": 0.1}, "f").noise == 0.1
    assert to_json(Grown(1, (0.5,), held_in="mine")) == old | {"noise": None}
    schema.validate(old)
    schema.validate(old | {"noise": 0.1})


@pytest.mark.parametrize("change", [{"n": -1}, {"shares": [0.5, 1.5]}, {"held_in": "mine"}])
def test_what_is_out_of_bounds_is_refused(change: dict[str, Any]) -> None:
    content = {"n": 1, "shares": [0.5]} | change
    assert not Draft202012Validator(schema_of(Grown, "a part")).is_valid(content)
    with pytest.raises(InputError):
        from_json(Grown, content, "f")
