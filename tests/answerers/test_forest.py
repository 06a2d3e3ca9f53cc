"""The forest: what is merged, what is shared, what is refused, and what the plan says that saves."""

from dataclasses import replace

import fakes
import numpy as np
import pytest
from costs import least
from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.answerers.request import Request
from earmark.engine.answerers.shared.forest import Forest, common_stem, make_forest, work_key
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.corpus.clip import clip
from earmark.engine.corpus.example import Question

FAKE = fakes.FakeAnswerer()


def forest_of(requests: list[Request], **how: object) -> Forest:
    return make_forest(requests, FAKE.template, FAKE.shape, FAKE.tokenize, **how)  # type: ignore[arg-type]


def heard(seed: int, chunks: list[int], seconds: float = 10.0) -> Excerpt:
    audio = fakes.Sound(seed, seconds)
    return Excerpt.of(audio, clip(audio.waveform()), np.array(chunks))


def request(name: str, what: Excerpt, question: str = "What?", choices: tuple[str, ...] = ("a", "b")) -> Request:
    return Request(name, what, Question(question, choices, 0))


def test_equal_audio_is_one_hearing_whatever_recording_it_comes_from() -> None:
    first = heard(0, [1, 3])
    elsewhere = replace(first, wave=first.wave._replace(audio=fakes.Sound(9, 10.0)))
    forest = forest_of([request("x", first), request("y", elsewhere), request("z", heard(0, [1, 4]))])
    assert [len(tree.pieces) for tree in forest.trees] == [1, 1]
    assert forest.trees[0].pieces[0].requests == [0, 1]


def test_other_audio_or_another_question_is_other_work() -> None:
    """A cache that ignores the audio makes raw and compressed runs collide; this key does not."""
    same = heard(0, [1])
    requests = [
        request("raw", heard(0, list(range(10)))),
        request("cut", same),
        request("asked otherwise", same, "Why?"),
        request("other options", same, "What?", ("b", "a")),
        request("more options", same, "What?", ("a", "b", "c")),
        Request("another right answer", same, Question("What?", ("a", "b"), 1)),
    ]
    keys = [q.key for q in forest_of(requests).pieces()]
    assert len(set(keys)) == 5  # the right answer is no part of the work
    assert work_key(same.hash, "What?") != work_key(same.hash, "Why?")


def test_the_stem_is_what_all_questions_on_an_audio_begin_with() -> None:
    requests = [request(q, heard(0, [1]), q) for q in ("Which sound is first?", "Which sound is last?", "Why?")]
    (tree,) = forest_of(requests).trees
    begin = tree.pieces[0].tokens[: tree.stem]
    assert tree.is_shared
    assert all(q.tokens[: tree.stem] == begin for q in tree.pieces)
    assert len({q.tokens[tree.stem] for q in tree.pieces}) > 1
    (alone,) = forest_of(requests[:1]).trees
    assert (alone.is_shared, alone.stem) == (False, 0)


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=5).map(tuple), min_size=2, max_size=4))
def test_a_stem_leaves_something_of_every_question(texts: list[tuple[int, ...]]) -> None:
    n = common_stem(texts)
    assert all(len(text) > n for text in texts)
    assert len({text[:n] for text in texts}) == 1
    if min(map(len, texts)) > n + 1:
        assert len({text[: n + 1] for text in texts}) > 1


def test_known_work_is_not_planned_again() -> None:
    requests = [request("x", heard(0, [1])), request("y", heard(0, [2])), request("z", heard(0, [1]))]
    key = next(forest_of(requests).pieces()).key
    forest = forest_of(requests, known={key})
    assert forest.known == [(key, 0), (key, 2)]
    assert [q.requests for q in forest.pieces()] == [[1]]


def test_what_cannot_be_heard_is_refused_by_name() -> None:
    one_second = heard(0, [1])
    short = replace(one_second, wave=one_second.wave._replace(n_samples=100), hash="short")
    forest = forest_of(
        [request("short", short), request("long", heard(1, list(range(11)), 11.0)), request("x", heard(0, [1]))]
    )
    refused = [(result.status.split(":")[0], numbers) for result, numbers in forest.refused]
    assert refused == [("too short", [0]), ("too long", [1])]
    assert len(forest.trees) == 1
    split = forest_of([request("long", heard(1, list(range(11)), 11.0))], split=True)
    assert (split.trees[0].audio_tokens, split.trees[0].positions) == (110, 116)


def test_one_at_a_time_costs_what_the_requests_cost() -> None:
    what = heard(0, [1])
    one = forest_of([request("x", what)]).cost_alone()
    assert forest_of([request("x", what), request("y", what)]).cost_alone() == one.times(2)
    assert least(forest_of([request("x", what), request("y", what)])) == least(forest_of([request("x", what)]))


def test_an_answer_that_is_no_choice_is_refused() -> None:
    with pytest.raises(ValueError, match="answer 2 of 2"):
        Request("x", heard(0, [1]), Question("What?", ("a", "b"), 2))
