"""Probes: they find what was planted, and nothing in noise; equal to slow twins."""

import json
import math
from collections import Counter
from pathlib import Path

import layouts
import numpy as np
import pytest
from command_line import earmark
from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.answerers.loading import load_model
from earmark.engine.corpus import partitions
from earmark.engine.corpus.corpus import open_corpus
from earmark.engine.making.probe import (
    FOLDS,
    NEIGHBOURS,
    ProbeItem,
    accuracy_of,
    folds,
    knn_credits,
    mlp_credits,
    no_audio_credits,
    probe,
    probe_family,
)

TEXTS = ("bell", "siren", "knock", "hiss")


def items(n: int, told: float, seed: int = 0) -> list[ProbeItem]:
    """Questions of which the pooled states tell the right answer, as loudly as `told` says; two about a recording."""
    rng = np.random.default_rng(seed)
    drawn = []
    for i in range(n):
        answer = int(rng.integers(4))
        options = tuple(rng.permutation(TEXTS).tolist())
        pooled = rng.standard_normal(8)
        pooled[TEXTS.index(options[answer])] += told
        drawn.append(ProbeItem(pooled, f"r{i // 2}", f"Which sound, {i % 3}?", options, answer))
    return drawn


def test_what_the_states_tell_is_heard_and_noise_is_not() -> None:
    told = probe_family("told", items(300, 6.0))
    assert told.mlp is not None
    assert told.knn is not None
    assert told.mlp.low > 0.8
    assert told.knn.low > 0.8
    noise = probe_family("noise", items(300, 0.0))
    for accuracy in (noise.knn, noise.mlp, noise.no_audio, told.no_audio):
        assert accuracy is not None
        assert accuracy.low <= 0.25 <= accuracy.high
    assert (told.chance, told.questions, told.recordings) == (0.25, 300, 150)


def test_a_question_whose_words_say_which_of_two_sounds_is_meant_is_read_by_the_network() -> None:
    rng = np.random.default_rng(1)
    drawn = []
    for i in range(400):
        first, last = rng.permutation(4)[:2]
        pooled = np.zeros(8)
        pooled[first], pooled[4 + last] = 1.0, 1.0
        word, right = ("first", first) if i % 2 else ("last", last)
        drawn.append(ProbeItem(pooled, f"r{i}", f"Which is {word}?", TEXTS, int(right)))
    result = probe_family("order", drawn)
    assert result.mlp is not None
    assert result.mlp.low > 0.6  # half, if it were not read


def test_too_few_recordings_are_no_accuracy() -> None:
    result = probe_family("few", items(18, 6.0))
    assert (result.recordings, result.knn, result.mlp, result.no_audio) == (9, None, None, None)
    assert result.content()["knn"] is None


def test_an_option_that_was_never_right_has_no_credit_and_ties_share_it() -> None:
    training = [ProbeItem(np.zeros(2), "r", "?", ("a", "b"), 0)] * 3
    unknown = ProbeItem(np.zeros(2), "s", "?", ("x", "y", "z", "w"), 2)
    known = ProbeItem(np.zeros(2), "s", "?", ("x", "a"), 1)
    for way in (no_audio_credits, knn_credits, mlp_credits):
        assert way(training, [unknown, known]) == [0.25, 1.0]


def test_neighbours_are_those_of_a_slow_twin() -> None:
    drawn = items(120, 1.5)
    training, testing = drawn[:90], drawn[90:]
    mean = [sum(item.pooled[j] for item in training) / 90 for j in range(8)]
    spread = [math.sqrt(sum((item.pooled[j] - mean[j]) ** 2 for item in training) / 90) for j in range(8)]
    expected = []
    for item in testing:
        alike = [other for other in training if other.question == item.question]
        others = alike if len(alike) >= NEIGHBOURS else training
        far = [sum(((other.pooled[j] - item.pooled[j]) / spread[j]) ** 2 for j in range(8)) for other in others]
        near = sorted(range(len(others)), key=lambda i: far[i])[:NEIGHBOURS]
        votes = Counter(others[i].options[others[i].answer] for i in near)
        most = max(votes[option] for option in item.options)
        winners = [option for option in item.options if votes[option] == most]
        expected.append((item.options[item.answer] in winners) / len(winners))
    assert knn_credits(training, testing) == pytest.approx(expected)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=80))
def test_every_item_is_held_out_once_together_with_its_recording(numbers: list[int]) -> None:
    sources = [f"r{number}" for number in numbers]
    held = folds(sources)
    assert len(held) == FOLDS
    assert sorted(i for fold in held for i in fold) == list(range(len(sources)))
    for fold in held:
        assert not {sources[i] for i in fold} & {sources[i] for i in range(len(sources)) if i not in fold}


@given(st.integers(0, 50), st.integers(1, 400))
def test_the_interval_is_wilsons(share_of_50: int, trials: int) -> None:
    """Its ends are where the share lies 1.96 standard errors of that end away."""
    share = share_of_50 / 50
    accuracy = accuracy_of(share, trials)
    assert 0 <= accuracy.low <= share <= accuracy.high <= 1
    for end in (accuracy.low, accuracy.high):
        assert (share - end) ** 2 == pytest.approx(1.959964**2 * end * (1 - end) / trials, rel=1e-4, abs=1e-9)


def test_the_embedded_answerers_encoder_knows_the_background() -> None:
    corpus = open_corpus(Path("synthetic:selector:40"))
    probed, n_unheard = probe(corpus, partitions.named(corpus, "native"), load_model("tiny"), lambda *_: None)
    assert n_unheard == 0
    by_family = {result.family: result for result in probed}
    scene = by_family["scene"]
    assert (scene.questions, scene.recordings, scene.chance) == (40, 40, 0.25)
    assert scene.mlp is not None
    assert scene.mlp.low > 0.25


def test_a_corpus_that_the_encoder_cannot_hear_is_refused(tmp_path: Path) -> None:
    layouts.write(tmp_path / "long.wav", layouts.encoded(220, "WAV", 12.0))
    row = {"sample_id": "a", "audio": "long.wav", "question": "Which?", "choices": ["x", "y"], "answer": "x"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    done = earmark("selector", "probe", tmp_path / "manifest.jsonl")
    assert done.returncode == 2
    assert b"has no clip that the encoder hears at once" in done.stderr


def test_the_command_prints_a_table_or_json() -> None:
    done = earmark("selector", "probe", "synthetic:selector:4")
    assert done.returncode == 0, done.stderr
    assert b"too few recordings" in done.stdout
    done = earmark("selector", "probe", "synthetic:selector:12", "--partition", "family", "--json")
    content = json.loads(done.stdout)
    assert (content["schema"], content["unheard"]) == ("earmark.probe/1", 0)
    assert {entry["family"] for entry in content["families"]} == {"count", "event", "order", "pitch", "scene", "sweep"}
    assert all(0 <= entry["knn"]["low"] <= entry["knn"]["share"] for entry in content["families"])
