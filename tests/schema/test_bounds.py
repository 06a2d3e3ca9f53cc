"""Schema and reader refuse the same: values out of bounds, approvals that are withheld. Both take what they once took.

`frozen/certificate-2.json` is a certificate as the first version of the schema had it, and is never written again: a
field that the schema gains since is marked `Gained`, so that it is still read.
"""

import copy
import json
from pathlib import Path
from typing import Any

import as_json
import pytest
from certificate_example import certificate

from earmark.engine.errors import InputError

FROZEN = Path(__file__).parent / "frozen" / "certificate-2.json"
EXAMPLE = certificate(
    families=("a", "b"), methods=("learned_agnostic", "learned_conditioned"), budgets=(0.5,), harm=-0.1
)
PREVIEW = certificate(preview={"examples": 3, "of": 9}, withheld=("a preview",), plan=None)


def changed(content: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """A document with another value at a place such as results.0.n."""
    document = copy.deepcopy(content)
    *steps, last = [int(step) if step.isdigit() else step for step in place.split(".")]
    parent: Any = document
    for step in steps:
        parent = parent[step]
    parent[last] = value
    return document


@pytest.mark.parametrize(
    ("place", "value", "wanted"),
    [
        ("results.0.n", -1, "a whole number from 0"),
        ("results.0.n", 200.5, "a whole number"),
        ("results.0.n", 10**400, "a number of at most 64 bits"),
        ("results.0.budgets.0.plus", -1, "a whole number from 0"),
        ("results.0.budgets.0.budget", 1.5, "a share in (0, 1]"),
        ("results.0.budgets.0.budget", 0, "a share in (0, 1]"),
        ("results.0.budgets.0.answer_consistency", 1.2, "a number in [0, 1]"),
        ("claim.candidates.0.seeds", [1, -1], "a whole number from 0"),
        ("claim.candidates.0.retained", -0.1, "a number in [0, 1]"),
        ("claim.alpha", 1.1, "a number in [0, 1]"),
        ("inputs.0.sha256", "abc", "a SHA-256"),
        ("declared.plan", "5EED" * 16, "a SHA-256"),
        ("rule.alpha", 0.7, "a number in [1e-06, 0.5)"),
        ("rule.tolerances", [], "a list of a number from 0"),
        ("rule.tolerances", [-0.1], "a number from 0"),
        ("rule.looks", 0, "a whole number from 1 to 100"),
        ("rule.candidates", [" "], "the name of a method"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_both(place: str, value: Any, wanted: str) -> None:
    document = changed(EXAMPLE, place, value)
    assert not as_json.validator().is_valid(document)
    with pytest.raises(InputError, match=r"^certificate\.json ") as refused:
        as_json.typed(document)
    assert wanted in str(refused.value)


def test_a_number_that_no_double_holds_is_a_misfit() -> None:
    with pytest.raises(InputError, match=r"raw_loss: must be a number"):
        as_json.typed(changed(EXAMPLE, "results.0.raw_loss", 10**400))


def test_a_whole_number_may_be_written_with_a_point() -> None:
    document = changed(EXAMPLE, "results.0.n", float(EXAMPLE["results"][0]["n"]))
    as_json.validator().validate(document)
    assert as_json.typed(document).results[0].n == EXAMPLE["results"][0]["n"]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("claim.approved", [{"candidate": "energy", "kind": "budget", "budget": 0.5, "retained": 0.5}]),
        ("claim.withheld", []),
    ],
)
def test_a_preview_with_an_approval_or_no_reason_is_refused_by_both(place: str, value: Any) -> None:
    as_json.validator().validate(PREVIEW)
    document = changed(PREVIEW, place, value)
    assert not as_json.validator().is_valid(document)
    with pytest.raises(InputError, match=r"^certificate\.json claim\."):
        as_json.typed(document)


def test_an_unknown_key_may_be_of_a_newer_version() -> None:
    with pytest.raises(InputError, match=r"unheard_of: is an unknown key; .* newer Earmark wrote it"):
        as_json.typed(EXAMPLE | {"unheard_of": 1})


def test_a_certificate_of_the_first_schema_is_still_one() -> None:
    content = json.loads(FROZEN.read_text())
    as_json.validator().validate(content)
    assert [shipped.candidate for shipped in as_json.typed(content).claim.approved] == ["learned_conditioned"]
