"""Whole sweeps by answerers that need little of the audio, or none: silence is asked about, and gives them away."""

from pathlib import Path
from typing import Any
from zlib import crc32

import fakes
import pytest
from as_json import certify

from earmark.engine.answerers.loading import options_of
from earmark.engine.answerers.shared.audio_lm import Reply
from earmark.engine.answerers.shared.shared_answerer import SharedAnswerer
from earmark.engine.design.spec import parse
from earmark.engine.sweep.run import run

SPEC = """\
[corpus]
path = "synthetic:certification:60"
[[answerers]]
model = "fake"
[sweep]
budgets = [0.5]
[[methods]]
name = "energy"
[partitions]
names = ["need"]
[rule]
replicates = 200
tolerances = [0.1]
[audits]
flip_rate = 0
"""


class OfText(fakes.FakeAnswerer):
    """Ignores the audio in so many of a hundred questions; which ones is a matter of their words."""

    def __init__(self, ignores: int) -> None:
        super().__init__()
        self._ignores = ignores

    def _said(self, heard: str, question: tuple[int, ...], options: int) -> Reply:
        ignored = crc32(repr(question).encode()) % 100 < self._ignores
        return super()._said("" if ignored else heard, question, options)


@pytest.mark.parametrize(
    ("ignores", "expected"), [(100, {"vacuous"}), (80, {"vacuous", "text"}), (0, {"vacuous", "guesses"})]
)
def test_what_ignores_the_audio_is_named(tmp_path: Path, ignores: int, expected: set[str]) -> None:
    def load(*asked: Any) -> SharedAnswerer:
        return SharedAnswerer(OfText(ignores), options_of(*asked))

    spec = parse(SPEC)
    assert run(spec, tmp_path, load=load).complete
    made = certify(tmp_path, spec.rule)
    (result,) = made["results"]
    families = result["families"]
    assert {family["hearing"] for family in families} <= expected
    assert all(family["chance"] == 0.25 and family["silence_same"] is not None for family in families)
    assert made["claim"]["approved"] == []
    if ignores:
        assert all(family["silence_same"] >= 0.6 for family in families)
        assert any("without any sound" in said or "vacuous" in said for said in made["warnings"])
