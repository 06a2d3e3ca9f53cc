"""The synthetic corpus: the same everywhere, split for good, and words alone never tell the answer."""

import inspect
import itertools
import pickle
import tracemalloc
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from evidence import relevant_slots
from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.arrays import Waveform
from earmark.engine.compressors.chunks.heuristics import energy_chunks
from earmark.engine.corpus.synthetic import bank as bank_module
from earmark.engine.corpus.synthetic import sounds
from earmark.engine.corpus.synthetic.bank import bank
from earmark.engine.corpus.synthetic.clips import LEVEL_DB, SLOTS, draw, mix, sound_of, start_of
from earmark.engine.corpus.synthetic.questions import FAMILIES, NEEDS, OPTIONS, TWO_FACTOR, believed, questions
from earmark.engine.corpus.synthetic.splits import SEEDS_PER_SPLIT, Split
from earmark.engine.corpus.synthetic.synthetic_corpus import SyntheticAudio, examples
from earmark.engine.errors import InputError

SECOND = 16_000
CERTIFYING = Split.CERTIFICATION.seeds.start
clip_numbers = st.integers(0, 100_000)


def drawn(index, split=Split.CERTIFICATION):
    return draw(split, split.seeds.start, index)


# The same everywhere.


def test_the_same_coordinates_give_the_same_example_and_the_same_samples():
    once, again = (list(examples(Split.SELECTOR, 3)) for _ in range(2))
    assert once == again
    assert once[:6] == list(examples(Split.SELECTOR, 1))
    np.testing.assert_array_equal(once[0].audio.waveform(), again[0].audio.waveform())


def test_an_audio_is_a_small_value_that_pickles_and_mixes_on_demand():
    audio = SyntheticAudio(Split.CERTIFICATION, CERTIFYING, 3)
    sent = pickle.dumps(audio)
    assert len(sent) < 500
    assert pickle.loads(sent) == audio
    assert audio.name == f"certification-{CERTIFYING}-000003"
    wave = pickle.loads(sent).waveform()
    assert wave.dtype == np.float32
    assert wave.shape == (SLOTS * SECOND,)
    assert np.isfinite(wave).all()
    np.testing.assert_array_equal(wave, audio.waveform())


def test_ten_thousand_examples_stream_in_flat_memory():
    assert inspect.isgenerator(examples(Split.SELECTOR, 10**9))
    tracemalloc.start()
    seen = sum(1 for _ in examples(Split.SELECTOR, 1_700))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == 10_200
    assert peak < 5e6


def test_an_example_says_what_it_is():
    rows = list(examples(Split.CERTIFICATION, 20))
    assert len({row.sample_id for row in rows}) == len(rows) == 20 * len(FAMILIES)
    assert len({row.source_id for row in rows}) == 20
    for row in rows:
        assert row.source_id == row.audio.name
        assert row.labels["family"] in FAMILIES
        assert row.labels["need"] == NEEDS[row.labels["family"]]
        assert row.labels["split"] == "certification"
        assert len(set(row.question.choices)) == OPTIONS
        assert set(relevant_slots(row)) <= set(range(SLOTS))


def test_the_two_factor_variant_asks_its_two_parts_in_turn():
    rows = list(examples(Split.CERTIFICATION, 5, families=TWO_FACTOR))
    assert [row.labels["family"] for row in rows] == ["pitch", "event"] * 5
    whole = {row.sample_id: row for row in examples(Split.CERTIFICATION, 5)}
    assert all(whole[row.sample_id] == row for row in rows)


# Splits never meet.


def test_seeds_of_splits_do_not_overlap():
    for one, other in itertools.combinations(Split, 2):
        assert not set(one.seeds) & {other.seeds.start, other.seeds.stop - 1}
    assert all(len(split.seeds) == SEEDS_PER_SPLIT for split in Split)


@given(st.sampled_from(list(Split)), st.integers(-5, 3 * SEEDS_PER_SPLIT + 5))
def test_a_seed_of_another_split_is_refused(split, seed):
    if seed in split.seeds:
        draw(split, seed, 0)
    else:
        with pytest.raises(InputError, match=f"split {split.title}: seed {seed} belongs to"):
            draw(split, seed, 0)
        with pytest.raises(InputError, match="never share a clip"):
            next(examples(split, 1, seed))
        with pytest.raises(InputError):
            SyntheticAudio(split, seed, 0).waveform()


@pytest.mark.parametrize(("split", "other"), list(itertools.permutations(Split, 2)))
def test_the_bank_of_another_split_is_refused(split, other):
    with pytest.raises(InputError, match=f"split {split.title}: the sound bank belongs to {other.title}"):
        mix(drawn(0, split), bank(other))


def test_banks_share_no_sound():
    kinds = {split: [*bank(split).events, *bank(split).tones, *bank(split).backgrounds] for split in Split}
    for one, other in itertools.combinations(Split, 2):
        ours = {wave[:800].tobytes() for waves in kinds[one] for wave in waves}
        theirs = {wave[:800].tobytes() for waves in kinds[other] for wave in waves}
        assert not ours & theirs


# Words alone never tell.


@pytest.fixture(scope="module")
def rows():
    return list(examples(Split.CERTIFICATION, 6_000))


def guesses(rows, key):
    """Accuracy per family of the best guess by what `key` shows, learnt on one half and judged on the other."""
    right, asked = Counter(), Counter()
    for family in FAMILIES:
        of_family = [row for row in rows if row.labels["family"] == family]
        half = len(of_family) // 2
        seen = defaultdict(Counter)
        for row in of_family[:half]:
            seen[key(row)][row.question.choices[row.question.answer]] += 1
        for row in of_family[half:]:
            counts = seen[key(row)]
            guess = max(row.question.choices, key=lambda choice: counts[choice])
            right[family] += guess == row.question.choices[row.question.answer]
            asked[family] += 1
    return {family: right[family] / asked[family] for family in FAMILIES}


@pytest.mark.parametrize(
    "key",
    [
        lambda row: row.labels["family"],
        lambda row: row.question.text,
        lambda row: tuple(sorted(row.question.choices)),
        lambda row: (row.question.text, tuple(sorted(row.question.choices))),
        lambda row: (row.question.text, row.question.choices[0]),
        lambda row: (row.question.text, row.question.choices[-1]),
        lambda row: row.question.choices,
    ],
    ids=["answer", "question", "options", "both", "first option", "last option", "options in order"],
)
def test_the_best_text_only_guess_is_near_chance(rows, key):
    for family, accuracy in guesses(rows, key).items():
        assert accuracy <= 0.30, family


def test_the_letter_says_nothing(rows):
    for family in FAMILIES:
        letters = Counter(row.question.answer for row in rows if row.labels["family"] == family)
        assert max(letters.values()) <= 0.28 * sum(letters.values()), family


def test_what_the_other_questions_of_a_clip_ask_says_nothing(rows):
    answers = defaultdict(dict)
    for row in rows:
        answers[row.source_id][row.labels["family"]] = row.question.choices[row.question.answer]
    for one, other in itertools.combinations(("count", "pitch", "sweep", "scene"), 2):
        pairs = Counter((clip[one], clip[other]) for clip in answers.values())
        expected = len(answers) / len({a for a, _ in pairs}) / len({b for _, b in pairs})
        assert max(abs(n - expected) for n in pairs.values()) < 6 * expected**0.5, (one, other)


# The truth is the truth.


@given(clip_numbers)
def test_slots_are_filled_once_and_answers_follow_from_what_sounds(index):
    clip = drawn(index)
    taken = [slot for item in clip.items for slot in item.slots]
    assert len(taken) == len(set(taken))
    assert set(taken) <= set(range(SLOTS))
    assert [item.slots for item in clip.items] == sorted(item.slots for item in clip.items)
    asked = {question.family: question for question in questions(clip)}
    tones, events, (sweep,) = clip.items_of("tone"), clip.items_of("event"), clip.items_of("sweep")
    said = {family: question.choices[question.answer] for family, question in asked.items()}
    assert said["count"] == ("one", "two", "three", "four")[len(tones) - 1]
    assert said["pitch"] == sounds.TONES[max(tone.which for tone in tones)]
    assert said["sweep"] == tuple(sounds.SWEEPS)[sweep.which]
    names = [tuple(sounds.EVENTS)[event.which] for event in events]
    assert set(asked["event"].choices) & set(names) == {said["event"]}
    assert said["order"] == (names[0] if asked["order"].asks == "first" else names[-1])
    assert len(set(asked["order"].choices) & set(names)) == 3
    heard = Counter(tuple(sounds.BACKGROUNDS)[b] for b in clip.backgrounds)
    assert heard.most_common(1)[0] == (said["scene"], max(6, heard[said["scene"]]))
    assert len(heard) == 2


@given(clip_numbers)
def test_the_relevant_slots_answer_the_question_and_the_others_do_not(index):
    clip = drawn(index)
    for question in questions(clip):
        assert believed(clip, question, range(SLOTS)) == (question.answer,)
        assert believed(clip, question, question.relevant) == (question.answer,)
        rest = [slot for slot in range(SLOTS) if slot not in question.relevant]
        without = believed(clip, question, rest)
        if question.family == "scene":
            assert question.answer not in without or not rest
        else:
            assert without == tuple(range(OPTIONS))


@given(clip_numbers)
def test_families_need_what_they_say(index):
    clip = drawn(index)
    for question in questions(clip):
        deciding = believed(clip, question, question.relevant[:1]) == (question.answer,)
        if question.family == "sweep":
            assert len(question.relevant) == 2
            assert all(len(believed(clip, question, [slot])) == 2 for slot in question.relevant)
        elif question.family == "count":
            some = question.relevant[: -len(clip.items_of("tone")[-1].slots)]
            assert not some or question.answer not in believed(clip, question, some)
        else:
            assert deciding


def test_a_relevant_slot_can_be_heard_in_the_waveform():
    """Each sound is loud in its own slots, and a sweep sounds on both sides of its border."""
    sounding = bank(Split.CERTIFICATION)
    for index in range(50):
        clip = drawn(index)
        for item in clip.items:
            start, length = start_of(item, sounding), len(sound_of(item, sounding))
            inside = [
                max(0, min(start + length, (slot + 1) * SECOND) - max(start, slot * SECOND)) for slot in range(SLOTS)
            ]
            assert sum(inside) == length
            assert [slot for slot in range(SLOTS) if inside[slot]] == list(item.slots)
            assert min(inside[slot] for slot in item.slots) > 0.15 * SECOND
            low, high = LEVEL_DB[item.kind]
            assert low <= item.level_db <= high
        alone = mix(clip, sounding)
        assert np.abs(alone).max() <= 1
        assert np.array_equal(alone * 32_768, np.rint(alone * 32_768))


def test_energy_at_half_the_audio_passes_some_families_and_fails_others():
    """For a listener that hears perfectly: what the compressor took, not what hearing costs."""
    hits = Counter()
    for index in range(1_500):
        clip = drawn(index)
        kept = energy_chunks(mix(clip, bank(Split.CERTIFICATION)), SLOTS // 2).tolist()
        for question in questions(clip):
            likely = believed(clip, question, kept)
            hits[question.family] += (question.answer in likely) / len(likely)
    share = {family: hits[family] / 1_500 for family in FAMILIES}
    assert min(share["event"], share["order"]) > 0.955
    assert max(share["count"], share["pitch"], share["sweep"], share["scene"]) < 0.90
    assert share["count"] < share["pitch"] < share["sweep"]


# The bank and its cache.


def _small_bank(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[Waveform]:
    monkeypatch.setattr(bank_module, "SOUNDS_PER_CLASS", 2)
    monkeypatch.setattr(bank_module, "BACKGROUNDS_PER_CLASS", 1)
    monkeypatch.setenv("EARMARK_CACHE_DIR", str(folder))
    made = bank.__wrapped__(Split.SELECTOR)
    waves = [wave for kind in (made.events, made.tones, made.backgrounds) for of_class in kind for wave in of_class]
    return waves + [sweep.wave for of_class in made.sweeps for sweep in of_class]


def test_a_bank_from_the_cache_is_the_bank_that_was_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made, mapped = (_small_bank(monkeypatch, tmp_path) for _ in range(2))
    nowhere = tmp_path / "file"
    nowhere.write_text("not a folder")
    unshared = _small_bank(monkeypatch, nowhere)
    for one, two, three in zip(made, mapped, unshared, strict=True):
        assert np.array_equal(one, two)
        assert np.array_equal(one, three)
    assert isinstance(mapped[0], np.memmap)
    assert not isinstance(unshared[0], np.memmap)


@pytest.mark.parametrize("suffix", ["f32", "npy"])
def test_a_damaged_cache_is_made_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, suffix: str) -> None:
    made = _small_bank(monkeypatch, tmp_path)
    kept = [np.array(wave) for wave in made]
    (damaged,) = tmp_path.glob(f"sounds-*/*.{suffix}")
    damaged.write_bytes(damaged.read_bytes()[:50])
    assert all(np.array_equal(one, two) for one, two in zip(kept, _small_bank(monkeypatch, tmp_path), strict=True))
    assert not [path for path in tmp_path.glob("sounds-*/*") if path.suffix not in (".f32", ".npy")]
