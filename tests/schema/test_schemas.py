"""The committed schemas are what the commands print; they take every certificate and spec, and refuse a changed one."""

import copy
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import as_json
import checked_spec
import pytest
from certificate_example import certificate, error_entry, flip_entry
from commands import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earmark.engine.design import spec
from earmark.engine.errors import InputError
from earmark.engine.signoff.json_form import to_json

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "examples").rglob("*.toml"))
Place = tuple[str | int, ...]
GAINED = (
    *("compressor", "complaint", "stage", "axis", "used", "seconds", "bits", "positions", "lm_positions", "flops"),
    "flips",
)

EXAMPLES: dict[str, dict[str, Any]] = {
    "as usual": {},
    "several seeds and answerers": {"seeds": (42, 123), "answerers": ("a", "b"), "shared": True},
    "paper": {"rule": "paper", "loss": "nll"},
    "routing": {"claim": "routing", "deployable": False},
    "both": {"claim": "both"},
    "no intervals": {"intervals": False, "comparisons": False},
    "preview": {"preview": {"examples": 3, "of": 9}, "withheld": ("a preview",), "plan": None},
    "errors": {"errors": (error_entry(),), "rare": True},
    "flips": {"flips": (flip_entry(),)},
    "a chain": {
        "follows": {"certificate": "../a", "sha256": "0" * 64, "look": 1, "alpha_spent": 0.05, "checked": True}
    },
}
CERTIFICATE = certificate(families=("a", "b"), methods=("learned_agnostic", "learned_conditioned"), budgets=(0.5,))
SPEC = tomllib.loads((ROOT / "examples" / "demo.toml").read_text())


@pytest.mark.parametrize("what", ["certificate", "spec"])
def test_the_committed_schema_is_what_the_command_prints(what: str) -> None:
    done = command("schema", what)
    assert done.code == 0
    assert (ROOT / "docs" / "schema" / f"{what}.json").read_text() == done.out


@pytest.mark.parametrize("options", EXAMPLES.values(), ids=EXAMPLES)
def test_a_certificate_is_valid_and_read_as_it_is(options: dict[str, Any]) -> None:
    content = certificate(**options)
    as_json.validator().validate(content)
    assert to_json(as_json.typed(content)) == content


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_a_spec_is_valid(path: Path) -> None:
    checked_spec.read(path)


def test_editors_find_the_schema_of_the_examples() -> None:
    (rule,) = tomllib.loads((ROOT / ".taplo.toml").read_text())["rule"]
    assert (ROOT / rule["schema"]["path"]).is_file()
    assert sorted(path for pattern in rule["include"] for path in ROOT.glob(pattern)) == SPECS


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Where every value of a document stands, but for what is free-form."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        if step not in ("tell", "made_by", "parents"):
            yield (*place, step)
            yield from places(item, (*place, step))


def at(document: Any, place: Place) -> Any:
    for step in place:
        document = document[step]
    return document


def optional(document: Any, place: Place) -> bool:
    """Whether a document is whole without what stands at a place."""
    return isinstance(at(document, place[:-1]), list) or place == ("preview",) or place[-1] in GAINED


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(list(places(CERTIFICATE))), st.sampled_from(["removed", "another type", "unknown key"]))
def test_a_changed_certificate_is_refused_by_schema_and_reader(place: Place, how: str) -> None:
    changed = copy.deepcopy(CERTIFICATE)
    parent = at(changed, place[:-1])
    if how == "removed" and not optional(changed, place):
        del parent[place[-1]]
    elif how == "unknown key" and isinstance(parent, dict):
        parent["unheard_of"] = 1
    else:
        parent[place[-1]] = {"neither": "this"}
    assert not as_json.validator().is_valid(changed)
    with pytest.raises(InputError, match=r"^certificate\.json"):
        as_json.typed(changed)


@settings(deadline=None)
@given(st.sampled_from(list(places(SPEC))), st.sampled_from(["another type", "unknown key"]))
def test_a_changed_spec_is_refused(place: Place, how: str) -> None:
    changed = copy.deepcopy(SPEC)
    parent = at(changed, place[:-1])
    if how == "unknown key" and isinstance(parent, dict):
        parent["unheard_of"] = 1
    else:
        parent[place[-1]] = {"neither": {"this": [1.5]}}
    assert not checked_spec.validator().is_valid(changed)


@pytest.mark.parametrize("place", [("corpus",), ("corpus", "path"), ("answerers", 0, "model"), ("methods", 0, "name")])
def test_a_spec_without_what_it_needs_is_refused(place: Place) -> None:
    changed = copy.deepcopy(SPEC)
    del at(changed, place[:-1])[place[-1]]
    assert not checked_spec.validator().is_valid(changed)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("budgets = [", "budgets = [1.5, "),
        ("budgets = [", "budgets = [0, "),
        ('device = "cpu"', 'device = "gpu"'),
        ("window = ", "window = -"),
    ],
)
def test_a_value_out_of_its_bounds_is_refused_by_both(old: str, new: str) -> None:
    content = (
        '[corpus]\npath = "x"\n[[answerers]]\nmodel = "tiny"\n[sweep]\nbudgets = [0.5]\nwindow = 4\n'
        '[[methods]]\nname = "uniform"\n[machine]\ndevice = "cpu"\n'
    )
    checked_spec.parse(content)
    changed = content.replace(old, new)
    assert changed != content
    assert not checked_spec.validator().is_valid(tomllib.loads(changed))
    with pytest.raises(InputError):
        spec.parse(changed)


def test_every_key_of_both_schemas_says_what_it_is() -> None:
    for name in ("certificate", "spec"):
        schema = json.loads((ROOT / "docs" / "schema" / f"{name}.json").read_text())
        for place in places(schema):
            if len(place) > 1 and place[-2] == "properties" and not {"if", "then"} & set(place):
                assert at(schema, place).get("description") or "items" in at(schema, place), place
