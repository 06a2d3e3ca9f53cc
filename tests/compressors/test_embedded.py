"""The selectors that come with Earmark: whole, for the embedded answerer, and better than loudness."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from evidence import relevant_slots
from two_factor import HEURISTICS, accuracy, sweep

from earmark.engine.answerers.loading import load
from earmark.engine.compressors import loading
from earmark.engine.compressors.card import fingerprints
from earmark.engine.compressors.chunks.selector import SelectorInput
from earmark.engine.corpus.corpus import open_corpus
from earmark.engine.design.sections import AnswererSpec


@pytest.mark.parametrize("name", loading.EMBEDDED)
def test_they_are_whole_and_say_what_trained_them(name: str) -> None:
    folder = loading.place(name)
    card = json.loads((folder / "card.json").read_text())
    assert card["weights"] == hashlib.sha256((folder / "selector.safetensors").read_bytes()).hexdigest()
    assert [entry["corpus"] for entry in card["trained_on"]] == ["synthetic"]
    assert loading.load_selector(name).asks == card["conditioned"]


def test_the_conditioned_one_finds_what_a_question_needs() -> None:
    examples = list(open_corpus(Path("synthetic:certification:20")).examples)
    clips = [SelectorInput(one.sample_id, one.audio.waveform(), one.question.text) for one in examples]

    def found(name: str) -> float:
        """How often the best chunk holds evidence."""
        scores = loading.load_selector(name).scores(clips)
        return float(np.mean([int(np.argmax(s)) in relevant_slots(e) for s, e in zip(scores, examples, strict=True)]))

    assert found("tiny-conditioned") > 0.8
    assert found("tiny-conditioned") > found("tiny-agnostic") + 0.15
    assert found("tiny-conditioned") > found("energy") + 0.15


def test_the_conditioned_one_keeps_more_answers_right_than_any_heuristic(tmp_path: Path) -> None:
    """Of sources that trained neither it nor the answerer: they are of the certification split."""
    examples = list(open_corpus(Path("synthetic:certification:12")).examples)
    card = json.loads((loading.place("tiny-conditioned") / "card.json").read_text())
    trained = {mark for entry in card["trained_on"] for mark in entry["sources"]}
    assert trained.isdisjoint(fingerprints(example.source_id for example in examples))
    selectors = HEURISTICS | {"tiny-conditioned": loading.load_selector("tiny-conditioned")}
    asked = {(name, 0, "anchor"): selector for name, selector in selectors.items()}
    cells = sweep(examples, load(AnswererSpec("tiny")), asked, tmp_path, budgets=(0.4,))
    right = {name: accuracy(cells, name, 0.4) for name in selectors}
    assert right.pop("tiny-conditioned") > max(right.values()) + 0.1, right
