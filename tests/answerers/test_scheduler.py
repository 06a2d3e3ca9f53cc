"""The scheduler against its slow twin, one request at a time through the plain model, over random mixtures; and its
invariants after every step, driven by an answerer without weights."""

import math
import random

import fakes
import numpy as np
import pytest
from answering import answer_all
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.engine.answerers.answerer import LostError
from earmark.engine.answerers.request import Answer, Request
from earmark.engine.answerers.shared.audio_lm import Reply
from earmark.engine.answerers.shared.batches import Limits, make_batches
from earmark.engine.answerers.shared.forest import make_forest
from earmark.engine.answerers.shared.scheduler import AnswerOptions, Scheduler
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.corpus.clip import chunk_count, clip
from earmark.engine.corpus.example import Question

QUESTIONS = ("Which sound is heard?", "Which is last?", "How many?", "Is there a very long and winding question here?")


@st.composite
def sweeps(draw: st.DrawFn, longest_s: float = 10.0, clips: int = 4) -> list[Request]:
    """Requests about subsets of a few clips: shared audio, repeated questions, 2 to 6 options, any order."""
    requests = []
    for seed in range(draw(st.integers(1, clips))):
        seconds = draw(st.sampled_from([0.3, 1.0, 1.5, 2.0, 3.7, 6.0, 9.99, longest_s]))
        audio = fakes.Sound(seed % 3, seconds)  # recordings 0 and 3 may be one and the same
        whole = clip(audio.waveform())
        total = chunk_count(whole)
        for _ in range(draw(st.integers(1, 4))):
            chunks = draw(st.sets(st.integers(0, total - 1), min_size=1))
            heard = Excerpt.of(audio, whole, np.array(sorted(chunks)))
            for question in draw(st.lists(st.sampled_from(QUESTIONS), min_size=1, max_size=4)):
                choices = draw(st.sampled_from([("dog", "cat"), tuple("abcd"), tuple("pqrstu")]))
                answer = draw(st.integers(0, len(choices) - 1))
                requests.append(Request(str(len(requests)), heard, Question(question, choices, answer)))
    return draw(st.permutations(requests))


options = st.builds(
    AnswerOptions,
    generate=st.sampled_from([0, 0, 5]),
    batch_tokens=st.sampled_from([1, 100, 400, 4096]),
    kv_bytes=st.sampled_from([400_000, 1 << 30]),
    clip_bytes=st.sampled_from([0, 1_500_000, 1 << 30]),
    window_clips=st.sampled_from([1, 2, 64]),
    ahead=st.sampled_from([0, 2]),
)


def same(got: list[Answer], expected: list[Answer]) -> None:
    """Labels and statuses equal, likelihoods within 1e-4, each request once."""
    by_id = {a.id: a for a in got}
    assert len(got) == len(by_id) == len(expected)
    for twin in expected:
        ours = by_id[twin.id]
        assert (ours.status, ours.predicted_label, ours.correct_label) == (
            twin.status,
            twin.predicted_label,
            twin.correct_label,
        )
        assert (ours.num_audio_tokens, ours.kept_hash) == (twin.num_audio_tokens, twin.kept_hash)
        if twin.nll is not None:
            assert ours.nll == pytest.approx(twin.nll, abs=1e-4)


@pytest.mark.parametrize("model", ["qwen2_audio", "tiny_mel", "omni"])
@settings(max_examples=10)
@given(data=st.data())
def test_equals_one_request_at_a_time(model: str, data: st.DataObject) -> None:
    answerer = {
        "qwen2_audio": fakes.qwen2_audio,
        "tiny_mel": lambda: fakes.qwen2_audio(tiny_mel=True),
        "omni": fakes.qwen25_omni,
    }[model]()
    requests = data.draw(sweeps(clips=2))
    how = data.draw(options)
    expected = list(answer_all(answerer, requests, AnswerOptions(reuse=False, generate=how.generate)))
    same(list(answer_all(answerer, requests, how)), expected)


@settings(max_examples=4)
@given(requests=sweeps(longest_s=23.0, clips=1), how=options)
def test_a_clip_beyond_the_window_is_split_as_its_twin_is(requests: list[Request], how: AnswerOptions) -> None:
    answerer = fakes.qwen2_audio(tiny_mel=True)
    split = AnswerOptions(how.generate, True, how.batch_tokens, 1 << 30, how.clip_bytes)
    twin = list(answer_all(answerer, requests, AnswerOptions(how.generate, split=True, reuse=False)))
    same(list(answer_all(answerer, requests, split)), twin)


@settings(max_examples=60)
@given(requests=sweeps(clips=6), how=options, most_rows=st.sampled_from([None, 1, 2, 5]))
def test_invariants_after_every_step(requests: list[Request], how: AnswerOptions, most_rows: int | None) -> None:
    answerer = fakes.FakeAnswerer(most_rows=most_rows)
    forest = make_forest(requests, answerer.template, answerer.shape, answerer.tokenize)
    due = {question.key for question in forest.pieces()}
    scheduler = Scheduler(answerer, forest, how)
    for step in scheduler.steps():
        keys = {result.key for result in step}
        assert len(keys) == len(step)
        assert keys <= due  # each piece of work once
        due -= keys
        assert scheduler.clips.held_bytes == sum(e.nbytes for e in scheduler.clips._entries.values())
        assert scheduler.clips.held_bytes <= how.clip_bytes
        assert scheduler.kv_bytes <= how.kv_bytes
    assert not due
    assert len(scheduler.clips) == 0
    del step
    assert not answerer.alive  # nothing that was opened, encoded or prefilled is still held
    assert len(answerer.asked) == len(set(answerer.asked))  # and nothing was asked twice


@settings(max_examples=40)
@given(requests=sweeps(clips=6), how=options)
def test_the_fake_answers_as_its_twin(requests: list[Request], how: AnswerOptions) -> None:
    expected = list(answer_all(fakes.FakeAnswerer(), requests, AnswerOptions(reuse=False, generate=how.generate)))
    same(list(answer_all(fakes.FakeAnswerer(), requests, how)), expected)


@settings(max_examples=60)
@given(requests=sweeps(clips=6), tokens=st.integers(1, 600), kv=st.integers(1, 2_000_000), window=st.integers(1, 4))
def test_batches_hold_every_question_once_and_keep_the_limits(
    requests: list[Request], tokens: int, kv: int, window: int
) -> None:
    answerer = fakes.FakeAnswerer()
    forest = make_forest(requests, answerer.template, answerer.shape, answerer.tokenize)
    limits = Limits(tokens, kv, window)
    seen = []
    for batch in make_batches(forest, limits):
        longest = max(h.positions + h.stem for h in batch.trees)
        if len(batch.trees) > 1:
            assert len(batch.trees) * longest <= tokens
            if batch.is_shared:
                assert len(batch.trees) * (forest.prefix_tokens + longest) * forest.shape.decoder.kv_bytes <= kv
        for asked in batch.pieces:
            seen += [a.piece.key for a in asked]
            assert all(a.piece in batch.trees[a.row].pieces for a in asked)
            if len(asked) > 1 and batch.is_shared:
                rest = max(len(a.piece.tokens) - batch.trees[a.row].stem for a in asked)
                assert len(asked) * rest <= tokens
    assert sorted(seen) == sorted(q.key for q in forest.pieces())


def test_a_small_budget_of_clips_opens_them_again_and_changes_nothing() -> None:
    requests = some_requests(clips=5)
    roomy, tight = fakes.FakeAnswerer(), fakes.FakeAnswerer()
    expected = list(answer_all(roomy, requests, AnswerOptions(batch_tokens=60)))
    same(list(answer_all(tight, requests, AnswerOptions(batch_tokens=60, clip_bytes=700_000))), expected)
    assert roomy.opened == 5
    assert tight.opened > 5


def some_requests(clips: int = 3, questions: int = 3, seed: int = 0) -> list[Request]:
    """A small sweep."""
    chance = random.Random(seed)
    requests = []
    for number in range(clips):
        audio = fakes.Sound(number, 10.0)
        whole = clip(audio.waveform())
        for subset in range(4):
            chunks = sorted(chance.sample(range(10), (1, 2, 5, 10)[subset]))
            heard = Excerpt.of(audio, whole, np.array(chunks))
            requests += [
                Request(f"{number}/{subset}/{i}", heard, Question(QUESTIONS[i], ("a", "b", "c"), i % 3))
                for i in range(questions)
            ]
    return requests


def test_a_single_request_that_cannot_fit_is_a_row_with_a_status() -> None:
    requests = some_requests()
    answerer = fakes.FakeAnswerer()
    smallest = answerer.shape.decoder.kv_bytes * 150
    answers = list(answer_all(answerer, requests, AnswerOptions(kv_bytes=smallest)))
    assert len(answers) == len(requests)
    failed = [a for a in answers if a.status != "ok"]
    assert 0 < len(failed) < len(requests)
    assert all("the budget is" in a.status and a.nll is None and a.predicted_label is None for a in failed)
    assert 100 in {a.num_audio_tokens for a in failed}
    assert 10 not in {a.num_audio_tokens for a in failed}


def test_out_of_memory_halves_the_batch_and_goes_on() -> None:
    requests = some_requests()
    expected = list(answer_all(fakes.FakeAnswerer(), requests))
    for most_rows in (1, 3):
        answerer = fakes.FakeAnswerer(most_rows=most_rows)
        same(list(answer_all(answerer, requests)), expected)
        assert answerer.largest > most_rows
    nothing_fits = list(answer_all(fakes.FakeAnswerer(most_rows=0), requests[:4]))
    assert [a.status.split(":")[0] for a in nothing_fits] == ["out of memory"] * 4


def test_one_poisoned_request_does_not_take_its_batch_with_it() -> None:
    requests = some_requests()
    bad = Request("bad", requests[5].excerpt, Question("Is this poison or not?", ("yes", "no"), 0))
    answers = {a.id: a for a in answer_all(fakes.FakeAnswerer(), [*requests, bad])}
    assert answers.pop("bad").status == "failed: RuntimeError: poison"
    same(list(answers.values()), list(answer_all(fakes.FakeAnswerer(), requests)))


def test_a_recording_that_cannot_be_opened_is_a_status_on_its_rows_only() -> None:
    requests = some_requests()
    heard = requests[0].excerpt
    broken = Excerpt(heard.wave._replace(audio=fakes.Sound(99, 10.0, broken=True)), "0" * 32)
    bad = [Request(f"bad-{i}", broken, Question(QUESTIONS[i], ("a", "b"), 0)) for i in range(2)]
    answers = {a.id: a for a in answer_all(fakes.FakeAnswerer(), [*bad, *requests])}
    assert [answers.pop(f"bad-{i}").status for i in range(2)] == ["audio: not a recording"] * 2
    assert all(a.status == "ok" for a in answers.values())


def test_nan_logits_are_a_status() -> None:
    answerer = fakes.FakeAnswerer()
    answerer._said = lambda *_: Reply(np.array([1.0, math.nan, 2.0]))  # type: ignore[method-assign]
    answers = list(answer_all(answerer, some_requests(1)))
    assert {a.status for a in answers} == {"not finite: the logits are NaN or infinite"}
    assert {a.nll for a in answers} == {None}


def test_a_clip_beyond_the_window_is_refused_unless_split() -> None:
    audio = fakes.Sound(0, 12.0)
    whole = clip(audio.waveform())
    heard = Excerpt.of(audio, whole, np.arange(12))
    request = Request("long", heard, Question("What?", ("a", "b"), 0))
    (refused,) = answer_all(fakes.FakeAnswerer(), [request])
    assert refused.status == "too long: 12.0 s of audio, the answerer hears 10 s at once"
    (split,) = answer_all(fakes.FakeAnswerer(), [request], AnswerOptions(split=True))
    assert split.status == "ok"
    assert split.num_audio_tokens == 120


def test_an_answerer_that_fails_on_everything_ends_the_run() -> None:
    answerer = fakes.FakeAnswerer()
    answerer.encode = lambda *_: 1 / 0  # type: ignore[method-assign]
    with pytest.raises(LostError, match="in a row"):
        list(answer_all(answerer, some_requests(8)))
