"""Every benchmark in the layout in which it is distributed, read back: counts, options, answers, sources, labels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import layouts
import pytest

from earmark.engine.corpus.corpus import BENCHMARKS, Corpus, open_corpus
from earmark.engine.corpus.partitions import native
from earmark.engine.corpus.stream import hear
from earmark.engine.errors import InputError

Make = Callable[[Path], Path]
LAYOUTS: dict[str, tuple[str, Make, list[tuple[str, tuple[str, ...], int, float]], int]] = {
    "mmsu": ("mmsu", layouts.mmsu, layouts.MMSU_EXPECTED, 1),
    "mmsu, older": ("mmsu", layouts.mmsu_lines, layouts.MMSU_EXPECTED, 1),
    "mmar": ("mmar", layouts.mmar, layouts.MMAR_EXPECTED[::-1], 1),  # in the archive's order
    "mmar, unpacked": ("mmar", lambda f: layouts.mmar(f, unpacked=True), layouts.MMAR_EXPECTED, 1),
    "big bench": ("big-bench-audio", layouts.big_bench_audio, layouts.BIG_BENCH_EXPECTED, 2),
    "audiomcq": ("audiomcq", layouts.audiomcq, layouts.AUDIOMCQ_EXPECTED, 1),
    "dcase2026": ("dcase2026", layouts.dcase2026, layouts.DCASE2026_EXPECTED, 0),
    "dcase2025": ("dcase2025", layouts.dcase2025, layouts.DCASE2025_EXPECTED, 0),
    "mmau": ("mmau", layouts.mmau, layouts.MMAU_EXPECTED, 1),
    "mmau, packed": ("mmau", lambda f: layouts.mmau(f, packed=True), layouts.MMAU_EXPECTED, 1),
    "mmau-pro": ("mmau-pro", layouts.mmau_pro, layouts.MMAU_PRO_EXPECTED, 5),
    "audiomarathon": ("audiomarathon", layouts.audiomarathon, layouts.AUDIOMARATHON_EXPECTED, 1),
    "clotho-aqa": ("clotho-aqa", layouts.clotho_aqa, layouts.CLOTHO_EXPECTED, 2),
    "hub": ("hub", layouts.hub, layouts.HUB_EXPECTED, 1),
    "manifest, jsonl": ("manifest", layouts.manifest, layouts.MANIFEST_EXPECTED, 0),
    "manifest, parquet": ("manifest", lambda f: layouts.manifest(f, "parquet"), layouts.MANIFEST_EXPECTED, 0),
    "manifest, csv": ("manifest", lambda f: layouts.manifest(f, "csv"), layouts.MANIFEST_EXPECTED, 0),
}


def examples(corpus: Corpus) -> list[Any]:
    return list(corpus.examples)


def reasons(corpus: Corpus) -> list[str]:
    return [left.reason for left in corpus.left_out]


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_told_and_read(name: str, tmp_path: Path) -> None:
    kind, make, expected, left_out = LAYOUTS[name]
    corpus = open_corpus(make(tmp_path / "c"))
    got = [(e.sample_id, e.question.choices, e.question.answer) for e in corpus.examples]
    assert corpus.kind == kind
    assert got == [each[:3] for each in expected]
    assert len(corpus.left_out) == left_out, corpus.left_out
    for example, (*_, hz) in zip(corpus.examples, expected, strict=True):
        assert layouts.pitch(example.audio.waveform()) == pytest.approx(hz, abs=4), example.audio.name
        assert example.question.text
        assert all(example.labels.values())
    assert examples(corpus) == examples(corpus), "it can be read again"


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_named_kind_reads_the_same(name: str, tmp_path: Path) -> None:
    kind, make, expected, _ = LAYOUTS[name]
    corpus = open_corpus(make(tmp_path / "c"), kind, name="other")
    assert (corpus.name, len(examples(corpus))) == ("other", len(expected))


def test_every_kind_has_a_layout() -> None:
    assert {kind for kind, *_ in LAYOUTS.values()} == set(BENCHMARKS)


# Sources, labels, own families ---------------------------------------------------------------------------


def test_mmsu_sources_labels_and_task(tmp_path: Path) -> None:
    corpus = open_corpus(layouts.mmsu(tmp_path))
    first = examples(corpus)[0]
    assert first.source_id == "emotion_recognition_0001.wav"
    assert dict(first.labels) == {  # the hyphens are the benchmark's
        "task_name": "emotion_recognition",
        "category": "Perception",
        "sub-category": "Paralinguistics",
        "sub-sub-category": "Speaker Traits",
        "linguistics_sub_discipline": "Paralinguistics",
    }
    assert native(corpus).families[1:3] == ("stress_perception",) * 2
    assert corpus.left_out[0] == ("data/train-00001-of-00002.parquet:row 0.1", "answer 'dog' is none of the options")


def test_mmar_questions_share_the_url_they_were_cut_from(tmp_path: Path) -> None:
    corpus = open_corpus(layouts.mmar(tmp_path))
    sources = {e.sample_id: e.source_id for e in corpus.examples}
    assert sources["clip0_00-00-00"] == sources["clip1_00-00-01"] == "u/1"
    assert len(set(sources.values())) == 4
    assert "Music Theory" in native(corpus).families
    assert {e.labels["modality"] for e in corpus.examples} > {"mix-sound-speech", "music"}


def test_big_bench_questions_are_spoken(tmp_path: Path) -> None:
    corpus = open_corpus(layouts.big_bench_audio(tmp_path))
    assert {e.question.text for e in corpus.examples} == {
        "Listen to the recording and answer the question that is asked in it."
    }
    assert native(corpus).families == tuple(row["category"] for row in layouts.BIG_BENCH_ROWS[:5])
    assert examples(corpus)[1].source_id == "data/question_903.mp3"
    assert reasons(corpus) == ["answer '107' is none of the options", "no options are declared for category 'haiku'"]


def test_audiomcq_questions_share_clips_and_ids_are_those_of_a_dataset(tmp_path: Path) -> None:
    corpus = open_corpus(layouts.audiomcq(tmp_path))
    found = examples(corpus)
    assert found[0].source_id == found[1].source_id == "AudioCaps/a.flac"
    assert found[0].audio == found[1].audio
    assert native(corpus).families[0] == "sound / AudioCaps"
    assert set(found[0].labels) == {"question_type", "source_dataset"}, "the long chain of thought is no label"
    assert reasons(corpus) == ["its id 'SpeechCraft/3' stands already at data.jsonl:5"]


def test_dcase2025_parts_and_question_types(tmp_path: Path) -> None:
    corpus = open_corpus(layouts.dcase2025(tmp_path))
    assert [e.labels["part"] for e in corpus.examples] == ["BQA", "CQA", "TSQA"]
    assert native(corpus).families == ("Species", "Reasoning", "Order")
    assert [e.source_id for e in corpus.examples] == ["seal.wav", "hall.wav", "street.wav"]


def test_dcase2025_never_picks_one_of_two_recordings_of_the_same_name(tmp_path: Path) -> None:
    layouts.dcase2025(tmp_path)
    layouts.write(tmp_path / "dev" / "seal.wav", layouts.encoded(900))
    corpus = open_corpus(tmp_path)
    assert reasons(corpus) == ["its audio 'seal.wav' is in 2 folders"]


def test_dcase2025_a_broken_file_is_one_row_among_many_others(tmp_path: Path) -> None:
    layouts.dcase2025(tmp_path)
    for i in range(25):
        layouts.write(tmp_path / "a" / f"{i}.json", b"{broken")
    corpus = open_corpus(tmp_path)
    assert (corpus.kind, len(examples(corpus)), len(corpus.left_out)) == ("dcase2025", 3, 25)
    assert corpus.left_out[0].where == "a/0.json"
    assert corpus.left_out[0].reason.startswith("is not JSON")


def test_mmau_category_that_is_a_list_is_its_one_label(tmp_path: Path) -> None:
    corpus = open_corpus(layouts.mmau(tmp_path))
    assert {e.labels["category"] for e in corpus.examples} == {"Reasoning"}
    assert set(native(corpus).families) == {"Dissonant Emotion Interpretation"}
    assert reasons(corpus) == ["answer '(B) up' has the letter of one option and the text of another"]


def test_mmau_pro_counts_what_is_open_or_about_several_clips(tmp_path: Path) -> None:
    corpus = open_corpus(layouts.mmau_pro(tmp_path))
    assert reasons(corpus) == [
        "is about 2 recordings, not one",
        "is about 3 recordings, not one",
        "open-ended: its category is 'open'",
        "open-ended: its category is 'open'",
        "open-ended: its category is 'instruction following'",
    ]


def test_audiomarathon_articles_are_sources(tmp_path: Path) -> None:
    corpus = open_corpus(layouts.audiomarathon(tmp_path))
    race = [e for e in corpus.examples if e.labels["task"] == "race"]
    assert {e.source_id for e in race} == {"race/high1.txt"}
    assert set(native(corpus).families) == {"race", "gtzan", "vox_gender", "desed", "had"}
    assert reasons(corpus) == ["not multiple choice: it asks for a transcript"]


def test_audiomarathon_keys_are_letters_and_a_null_answer_is_none(tmp_path: Path) -> None:
    task = {"path": "d.wav", "question": "?", "choices": {"B": "dog", "C": "cat"}, "answer": None, "answer_gt": "B"}
    layouts.write_json(tmp_path / "desed_sound_event_detection_task.json", {"tasks": [task]})
    (example,) = open_corpus(tmp_path).examples
    assert example.question[1:] == (("dog", "cat"), 0)


def test_clotho_as_it_is_published(tmp_path: Path) -> None:
    """Beside a table of metadata, in Latin-1, its audio in a zip."""
    head = "file_name,QuestionText,answer,confidence\n"
    rows = "".join(f"caf\xe9.wav,Is it a caf\xe9?,{answer},yes\n" for answer in ("yes", "yes", "yes"))
    layouts.write(tmp_path / "clotho_aqa_val.csv", (head + rows).encode("latin-1"))
    layouts.write(tmp_path / "clotho_aqa_metadata.csv", "file_name,keywords\nx.wav,caf\xe9\n".encode("latin-1"))
    layouts.write_zip(tmp_path / "audio_files.zip", {"audio_files/caf\xe9.wav": layouts.encoded(400)})
    corpus = open_corpus(tmp_path)
    (example,) = corpus.examples
    assert (example.question.text, corpus.left_out) == ("Is it a caf\xe9?", ())
    assert layouts.pitch(example.audio.waveform()) == pytest.approx(400, abs=4)


def test_clotho_clips_are_sources_and_disagreement_is_left_out(tmp_path: Path) -> None:
    corpus = open_corpus(layouts.clotho_aqa(tmp_path))
    assert [e.source_id for e in corpus.examples] == ["bells.wav", *["rain, far away.wav"] * 2]
    assert reasons(corpus) == [
        "people disagree about the answer (yes, no, yes)",
        "not multiple choice: its answers are not yes or no",
    ]


def test_manifest_labels_are_all_other_columns(tmp_path: Path) -> None:
    for form in ("jsonl", "parquet", "csv"):
        corpus = open_corpus(layouts.manifest(tmp_path / form, form))
        assert [dict(e.labels) for e in corpus.examples][2] == {
            "topic": "dark",
            "category": "music theory",
            "level": "2",
        }
        assert [e.source_id for e in corpus.examples] == ["sounds/0.wav"] * 2 + ["sounds/1.wav"] * 2


def test_a_manifest_may_hold_its_audio_or_point_into_archives(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [row | {"audio": {"bytes": layouts.encoded(400), "path": None}} for row in layouts.MANIFEST_ROWS]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "held.parquet")
    held = open_corpus(tmp_path / "held.parquet")
    assert held.name == "held"
    assert [e.source_id for e in held.examples] == ["s0", "s1", "s2", "s3"]
    assert layouts.pitch(examples(held)[3].audio.waveform()) == pytest.approx(400, abs=4)

    layouts.write_zip(tmp_path / "m" / "clips.zip", {"in/a.wav": layouts.encoded(500)})
    layouts.write_tar(tmp_path / "m" / "clips.tar", {"./b.wav": layouts.encoded(600)}, "w")
    row = layouts.MANIFEST_ROWS[0]
    layouts.write_lines(
        tmp_path / "m" / "manifest.jsonl",
        [row | {"audio": "clips.zip/in/a.wav"}, row | {"sample_id": "t", "audio": "clips.tar/b.wav"}],
    )
    heard = [layouts.pitch(e.audio.waveform()) for e in open_corpus(tmp_path / "m").examples]
    assert heard == pytest.approx([500, 600], abs=4)


def test_manifest_columns_of_options_declare_their_letters(tmp_path: Path) -> None:
    layouts.write(
        tmp_path / "manifest.csv",
        b"sample_id,audio,question,choices,choice_b,choice_c,choice_d,choice_set,answer\n"
        b"1,a.wav,q,,x,y,z,easy,B\n2,a.wav,q, ,,y,z,easy,D\n",
    )
    found = examples(open_corpus(tmp_path))
    assert [e.question[1:] for e in found] == [(("x", "y", "z"), 0), (("y", "z"), 1)]
    assert dict(found[0].labels) == {"choice_set": "easy"}


def test_the_columns_of_a_parquet_manifest_are_looked_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from earmark.engine.corpus import manifest

    rows = [row | {"audio": layouts.encoded(400)} for row in layouts.MANIFEST_ROWS]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "manifest.parquet")
    looked: list[Path] = []
    plain = manifest.parquet_columns
    monkeypatch.setattr(manifest, "parquet_columns", lambda path: looked.append(path) or plain(path))
    assert len(examples(open_corpus(tmp_path))) == 4
    assert len(looked) == 1


def test_a_member_that_no_archive_holds_has_a_status_that_says_so(tmp_path: Path) -> None:
    layouts.mmar(tmp_path)
    layouts.write_tar(tmp_path / "mmar-audio.tar.gz", {"audio/clip0.wav": layouts.encoded(300)})
    by_id = {e.sample_id: hear(e.audio)[1] for e in open_corpus(tmp_path).examples}
    assert by_id["clip0_00-00-00"] == "ok"
    assert by_id["clip1_00-00-01"] == "there is no such file, and no such member in 'mmar-audio.tar.gz'"


def test_missing_audio_is_a_clip_that_cannot_be_heard_not_a_row_less(tmp_path: Path) -> None:
    layouts.dcase2026(tmp_path)
    (tmp_path / "dev_audios" / "q1.wav").unlink()
    assert len(examples(open_corpus(tmp_path))) == 3


# What cannot be told or read -----------------------------------------------------------------------------


def test_kinds_that_cannot_be_told_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is none of mmsu, mmar"):
        open_corpus(tmp_path)
    with pytest.raises(InputError, match="there is no such folder"):
        open_corpus(tmp_path / "no")
    with pytest.raises(InputError, match="there is no such kind; choose from mmsu"):
        open_corpus(tmp_path, "other")
    with pytest.raises(InputError, match="has none of the tables of mmsu"):
        open_corpus(tmp_path, "mmsu")
    layouts.mmau(layouts.mmar(tmp_path))
    with pytest.raises(InputError, match="could be mmar or mmau; say which with --kind"):
        open_corpus(tmp_path)
    assert open_corpus(tmp_path, "mmau").kind == "mmau"
    layouts.write(tmp_path / "clone" / "data" / "train-0.parquet", layouts.LFS)
    with pytest.raises(InputError, match=r"data/train-0.parquet: is a Git LFS pointer, not the table"):
        open_corpus(tmp_path / "clone")
    with pytest.raises(InputError, match="is a file, and no table"):
        open_corpus(tmp_path / "README.md")


def test_a_folder_whose_every_row_is_left_out_says_the_first_reason(tmp_path: Path) -> None:
    layouts.write_lines(tmp_path / "manifest.jsonl", [{"sample_id": "a", "question": "?", "choices": ["x", "y"]}])
    with pytest.raises(InputError, match=r"1 rows were left out, the first: manifest.jsonl:1: no audio"):
        open_corpus(tmp_path)
