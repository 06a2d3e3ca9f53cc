"""A certificate that says what none may say is refused with the field, before anything is recomputed; a spec's first
unknown section is named before what is missing.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import assert_refused, earmark

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The content of a certificate that approves something."""
    out = tmp_path_factory.mktemp("signed")
    done = earmark("certify", ROOT / "examples" / "sounds", "--replicates", "100", "--out", out)
    assert done.returncode == 0, done.stderr
    content: dict[str, Any] = json.loads((out / "certificate.json").read_text())
    assert content["claim"]["approved"]
    content["run"] = str(ROOT / "examples" / "sounds")
    return content


def test_what_no_certificate_may_say_is_refused_with_its_field(signed: dict[str, Any], tmp_path: Path) -> None:
    result, claim = signed["results"][0], signed["claim"]
    for number, (content, word) in enumerate(
        (
            (signed | {"preview": {"examples": 3, "of": 9}}, "claim.withheld"),
            (signed | {"claim": claim | {"withheld": ["a preview"]}}, "claim.approved"),
            (signed | {"results": [result | {"n": -1}]}, "results[0].n"),
            (signed | {"results": [result | {"raw_loss": 10**400}]}, "results[0].raw_loss"),
            (signed | {"rule": signed["rule"] | {"alpha": 0.7}}, "rule.alpha"),
            (signed | {"inputs": [signed["inputs"][0] | {"sha256": "abc"}]}, "inputs[0].sha256"),
            (signed | {"unheard_of": 1}, "a newer Earmark wrote it"),
        )
    ):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(content))
        assert_refused(earmark("verify", path), word)


@pytest.mark.parametrize(("section", "meant"), [("method", "methods"), ("answerer", "answerers")])
def test_an_unknown_section_of_a_spec_is_named_first(section: str, meant: str, tmp_path: Path) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text(f'[corpus]\npath = "synthetic:certification:2"\n[[{section}]]\nname = "uniform"\n')
    done = earmark("run", spec, "--out", tmp_path / "run")
    assert_refused(done, f"[{section}]: is an unknown section; did you mean {meant}?")
