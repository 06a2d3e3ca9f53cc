"""The parts of a sweep: permutations, windows, shards."""

from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.corpus.corpus import Corpus, open_corpus
from earmark.engine.corpus.example import Example, Question
from earmark.engine.sweep.blocks import Shard, blocks, in_order, survey
from earmark.engine.sweep.streams import Streams, cycle


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=40), st.booleans(), st.integers(0, 9))
def test_a_permutation_moves_every_question_and_stays_in_the_family(
    families: list[str], within: bool, number: int
) -> None:
    giver = cycle(len(families), families if within else None, f"0/x/{number}").tolist()
    assert sorted(giver) == list(range(len(families)))
    sizes = Counter(families)
    for i, other in enumerate(giver):
        if within:
            assert families[i] == families[other]
        assert other != i or (sizes[families[i]] if within else len(families)) == 1


def test_permuted_and_naive_streams_of_one_number_exchange_the_same_questions() -> None:
    questions = [Question(f"{i}?", ("a", "b"), 0) for i in range(30)]
    streams = Streams(questions, ["a", "b"] * 15, seed=7)
    for regime in ("global", "family"):
        for i, own in enumerate(questions):
            shown = streams.selectors(f"permuted-{regime}-2", i, own)
            assert shown == streams.selectors(f"naive-{regime}-2", i, own) != own
            assert streams.answerers(f"permuted-{regime}-2", i, own) == own
            assert streams.answerers(f"naive-{regime}-2", i, own) == shown
        assert any(
            streams.selectors(f"permuted-{regime}-1", i, q) != streams.selectors(f"permuted-{regime}-2", i, q)
            for i, q in enumerate(questions)
        )
    assert streams.selectors("anchor", 3, questions[3]) == questions[3]


def corpus(recordings: list[int]) -> Corpus:
    from made import Made

    examples = tuple(
        Example(f"s{i}", f"r{number}", Made(1.0, number=number), Question("?", ("a", "b"), 0))
        for i, number in enumerate(recordings)
    )
    return Corpus("manifest", "made", examples)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=30), st.integers(1, 4), st.integers(1, 5))
def test_windows_hold_every_example_once_and_keep_recordings_whole(
    recordings: list[int], size: int, shards: int
) -> None:
    found = list(blocks(corpus(recordings), size))
    assert [window.number for window in found] == list(range(len(found)))
    listed = [example for window in found for example in window.examples]
    assert listed == list(in_order(corpus(recordings)))
    assert sorted(e.sample_id for e in listed) == sorted(f"s{i}" for i in range(len(recordings)))
    homes = [{e.source_id for e in window.examples} for window in found]
    assert sum(map(len, homes)) == len(set(recordings))
    assert all(len(home) == size for home in homes[:-1])
    assert [window.first for window in found] == [listed.index(window.examples[0]) for window in found]
    owners = [sum(Shard(i, shards).has(window.number) for i in range(shards)) for window in found]
    assert set(owners) == {1}
    counted = survey(corpus(recordings), size)
    assert counted[:2] == (len(recordings), len(set(recordings)))
    assert counted.sizes == tuple(len(window.examples) for window in found)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=30), st.integers(1, 4))
def test_a_source_with_several_clips_is_in_one_window(clips: list[tuple[int, int]], size: int) -> None:
    from made import Made

    examples = tuple(
        Example(f"s{i}", f"r{source}", Made(1.0, number=10 * source + clip), Question("?", ("a", "b"), 0))
        for i, (source, clip) in enumerate(clips)
    )
    made = Corpus("manifest", "made", examples)
    found = list(blocks(made, size))
    homes = [{example.source_id for example in window.examples} for window in found]
    assert sum(map(len, homes)) == len({source for source, _ in clips})
    assert [example for window in found for example in window.examples] == list(in_order(made))
    for window, home in zip(found, homes, strict=True):
        recordings = [audio for audio, _ in groupby(example.audio for example in window.examples)]
        assert len(recordings) == len(set(recordings))
        assert len(recordings) <= size or len(home) == 1
    assert survey(made, size).recordings == len(set(clips))


def test_a_corpus_that_has_no_end_to_hold_is_read_as_it_comes() -> None:
    made = open_corpus(Path("synthetic:certification:5"))
    found = list(blocks(made, 2))
    assert [len(list(groupby(window.examples, key=lambda e: e.source_id))) for window in found] == [2, 2, 1]


def test_another_question_is_another_corpus() -> None:
    one, other = corpus([0, 1]), corpus([0, 1])
    assert survey(one, 1) == survey(other, 1)
    changed = Corpus("manifest", "made", (one.examples[0], *corpus([0, 2]).examples[1:]))  # type: ignore[index]
    assert survey(changed, 1).sha256 != survey(one, 1).sha256


@pytest.mark.parametrize("count", [1, 3])
def test_shards_share_windows_out(count: int) -> None:
    assert sorted(n for i in range(count) for n in range(7) if Shard(i, count).has(n)) == list(range(7))
