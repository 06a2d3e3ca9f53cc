"""The selectors that come with Earmark: whole, for the embedded answerer, and better than loudness."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from earmark.engine.corpus.corpus import open_corpus
from earmark.engine.corpus.synthetic.corpus import relevant_slots
from earmark.engine.selectors import loading
from earmark.engine.selectors.selector import Clip


@pytest.mark.parametrize("name", loading.EMBEDDED)
def test_they_are_whole_and_say_what_trained_them(name: str) -> None:
    folder = loading.place(name)
    card = json.loads((folder / "card.json").read_text())
    assert card["weights"] == hashlib.sha256((folder / "selector.safetensors").read_bytes()).hexdigest()
    assert [entry["corpus"] for entry in card["trained_on"]] == ["synthetic"]
    assert loading.load(name).asks == card["conditioned"]


def test_the_conditioned_one_finds_what_a_question_needs() -> None:
    examples = list(open_corpus(Path("synthetic:certification:20")).examples)
    clips = [Clip(one.sample_id, one.audio.waveform(), one.question) for one in examples]

    def found(name: str) -> float:
        """How often the best chunk holds evidence."""
        scores = loading.load(name).scores(clips)
        return float(np.mean([int(np.argmax(s)) in relevant_slots(e) for s, e in zip(scores, examples, strict=True)]))

    assert found("tiny-conditioned") > 0.8
    assert found("tiny-conditioned") > found("tiny-agnostic") + 0.15
    assert found("tiny-conditioned") > found("energy") + 0.15
