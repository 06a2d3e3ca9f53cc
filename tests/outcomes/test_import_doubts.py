"""What `earmark import` takes for a recording, how many options it counts, and the doubts that it keeps for the
certificate in import.json.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import log_fixtures as logs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import command
from importing import Rows, cells, column, imported, refused

from earmark.engine.design.keys import CellKey
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.outcomes.imports import doubts
from earmark.engine.outcomes.schema import ROW

LM_EVAL = ("--family", "doc.category", "--metric", "acc")
TABLE = ("--corpus", "mmar", "--answerer", "a")


def lm_eval(tmp_path: Path, change: Callable[[Rows], object] | None = None, **named: Any) -> tuple[Any, ...]:
    """The beginning of a command for a raw and a compressed log of lm-eval, both changed alike."""
    arms = []
    for name, answers in (("raw", logs.RAW), ("c40", logs.COMPRESSED)):
        rows = logs.lm_eval_choice(answers)
        if change is not None:
            change(rows)
        arms.append(logs.write_lm_eval(tmp_path / name, rows, **named))
    return "lm-eval", arms[0], f"energy@0.4={arms[1]}", "--out", tmp_path / "run", *LM_EVAL


def tables(tmp_path: Path, raw: Rows, compressed: Rows) -> tuple[Any, ...]:
    """The beginning of a command for a raw and a compressed table of JSON lines."""
    arms = [logs.write_lines(tmp_path / f"{name}.jsonl", rows) for name, rows in (("raw", raw), ("c40", compressed))]
    return "jsonl", arms[0], f"energy@0.4={arms[1]}", "--out", tmp_path / "run", *TABLE


def alike(tmp_path: Path, change: Callable[[Rows], object]) -> tuple[Any, ...]:
    """The same, both tables changed alike."""
    both = [logs.table(answers) for answers in (logs.RAW, logs.COMPRESSED)]
    for rows in both:
        change(rows)
    return tables(tmp_path, *both)


def without_source(**columns: Sequence[Any]) -> Callable[[Rows], object]:
    """Replaces the column source_id by others."""

    def change(rows: Rows) -> None:
        for i, row in enumerate(rows):
            del row["source_id"]
            row.update({name: values[i] for name, values in columns.items()})

    return change


def kept(run: Path) -> dict[str, Any]:
    """The content of import.json."""
    content: dict[str, Any] = json.loads((run / "import.json").read_bytes())
    return content


def texts(run: Path) -> list[str]:
    return [doubt["text"] for doubt in kept(run)["doubts"]]


# Recordings ------------------------------------------------------------------------------------------------


def test_a_recording_that_repeats_and_is_not_named_is_a_doubt(tmp_path: Path) -> None:
    result = imported(*lm_eval(tmp_path))
    sentence = (
        "field 'doc.audio.path' looks like the recording of a question and repeats: 3 values in 6 rows. Rows of one "
        "recording are not independent: name it with --source doc.audio.path, or --source none"
    )
    assert result.exit_code == 0
    assert re.search(rf"look at this: .*raw.*jsonl: {re.escape(sentence)}\n", result.stderr)
    assert "recordings: each row its own, assumed\n" in result.stdout
    content = kept(tmp_path / "run")
    assert content["source"] == "each row its own, assumed"
    assert content["doubts"] == [
        {
            "cell": str(CellKey("Qwen/Qwen2-Audio", "sounds", "uncompressed")),
            "text": sentence,
            "settled_by": "--source",
        }
    ]


@pytest.mark.parametrize(
    ("source", "told", "ids"),
    [
        ("doc.audio.path", "field doc.audio.path", list(logs.RECORDINGS)),
        ("none", "each row its own, declared", ["0", "1", "2", "3", "4", "5"]),
    ],
)
def test_source_settles_it(tmp_path: Path, source: str, told: str, ids: list[str]) -> None:
    result = imported(*lm_eval(tmp_path), "--source", source)
    assert not result.stderr
    assert f"recordings: {told}\n" in result.stdout
    assert (kept(tmp_path / "run")["source"], kept(tmp_path / "run")["doubts"]) == (told, [])
    for rows in cells(tmp_path / "run").values():
        assert column(rows, "source_id") == ids


def test_a_table_names_recordings_in_source_id_unless_it_is_said_to_have_none(tmp_path: Path) -> None:
    arms = tables(tmp_path, logs.table(logs.RAW), logs.table(logs.COMPRESSED))
    imported(*arms)
    assert kept(tmp_path / "run")["source"] == "column source_id"
    line = refused(*arms, "--source", "none")
    assert "the cell is already there, with other rows" in line
    assert kept(tmp_path / "run")["source"] == "column source_id"
    shutil.rmtree(tmp_path / "run")
    imported(*arms, "--source", "none")
    rows = cells(tmp_path / "run")["energy@0.4@0"]
    assert column(rows, "source_id") == column(rows, "sample_id")
    assert kept(tmp_path / "run")["source"] == "each row its own, declared"


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_source_id_names_nothing(tmp_path: Path, empty: str | None) -> None:
    imported(*alike(tmp_path, without_source(source_id=[empty] * 6, clip=logs.RECORDINGS)))
    assert kept(tmp_path / "run")["source"] == "each row its own, assumed"
    assert len(texts(tmp_path / "run")) == 1


def test_rows_without_their_recording_are_a_doubt(tmp_path: Path) -> None:
    imported(*alike(tmp_path, without_source(source_id=[*logs.RECORDINGS[:4], None, None])))
    sentence = (
        "2 of 6 rows name no recording: each of them is taken as a recording of its own; fill the field of --source"
    )
    assert texts(tmp_path / "run") == [sentence, sentence]  # of either log
    assert column(cells(tmp_path / "run")["energy@0.4@0"], "source_id")[3:] == ["b.wav", "004", "005"]


PLACES = ("p", "p", "q", "q", "r", "r")


@pytest.mark.parametrize(
    "name",
    [
        "recording", "recording_id", "audio", "audio_id", "audio_path", "audioPath", "audio_file_name", "clip", "clips",
        "clip_id", "file", "file_name", "fileName", "filename", "FILENAME", "filepath", "file_path", "path", "wav",
        "wav_name", "wav-path", "source", "source_file", "source_idx", "original_audio", "video", "video_id",
        "youtube_id", "YouTubeID", "ytid", "track", "track_name", "url", "utterance_id", "utt", "segment", "segment_id",
        "speaker", "speaker_id", "spk", "session", "session_id", "audio_1", "conversation_id", "meeting",
    ],
)  # fmt: skip
def test_names_of_recordings(tmp_path: Path, name: str) -> None:
    imported(*alike(tmp_path, without_source(**{name: PLACES})))
    (text,) = texts(tmp_path / "run")
    assert text.startswith(f"field '{name}' looks like the recording of a question and repeats: 3 values in 6 rows.")
    assert text.endswith(f"name it with --source {name}, or --source none")


@pytest.mark.parametrize(
    "name",
    [
        "topic", "audio_duration", "audio_type", "source_language", "num_speakers", "file_size", "sampling_rate", "id",
        "dataset", "split", "modality", "question", "difficulty", "session_start", "resource", "pathology", "profile",
        "index",
    ],
)  # fmt: skip
def test_names_of_other_things(tmp_path: Path, name: str) -> None:
    assert not imported(*alike(tmp_path, without_source(**{name: PLACES}))).stderr


@pytest.mark.parametrize(
    ("values", "doubted"),
    [
        ([f"data/{name}" for name in logs.RECORDINGS], True),
        (["https://x.org/a.MP3?t=1"] * 3 + ["https://x.org/b.mp3"] * 3, True),
        (["a.flac", "a.flac", "b.opus", "b.opus", "no file", None], True),
        (["audio/0017", "audio/0017", *(f"audio/00{i}" for i in range(4))], True),
        ([["a.wav", "b.wav"]] * 3 + [["c.wav"]] * 3, True),
        (["a.flac", "a.flac", "b", "b", "c", "c"], False),  # most are not
        ([f"{i}.wav" for i in range(6)], False),  # each its own
        (["a.wav"] * 6, False),  # one for all says nothing
        (["which.wav\nis it?"] * 3 + ["another.wav\nis it?"] * 3, False),
        (["sound", "speech"] * 3, False),
        ([0.5, 0.5, 0.25, 0.25, 1.5, 1.5], False),
    ],
)
def test_values_of_recordings(tmp_path: Path, values: list[Any], doubted: bool) -> None:
    imported(*alike(tmp_path, without_source(stimulus=values)))
    assert [text.startswith("field 'stimulus' ") for text in texts(tmp_path / "run")] == [True] * doubted


def test_numbers_may_name_recordings(tmp_path: Path) -> None:
    imported(*alike(tmp_path, without_source(clip_id=[7, 7, 8, 8, 9, 9])))
    assert len(texts(tmp_path / "run")) == 1


def test_samples_of_a_waveform_name_nothing(tmp_path: Path) -> None:
    assert not imported(*alike(tmp_path, without_source(audio=[[i % 2, 5, 7] for i in range(6)]))).stderr


def test_every_field_that_looks_like_a_recording_is_a_doubt(tmp_path: Path) -> None:
    imported(*alike(tmp_path, without_source(speaker=["x", "y"] * 3, info=[{"clip": {"name": p}} for p in PLACES])))
    assert [text.split("'")[1] for text in texts(tmp_path / "run")] == ["info.clip.name", "speaker"]


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (logs.FAMILIES, []),
        (logs.FAMILIES[::-1], ["--family", "source"]),
        ([logs.OPTIONS[i] for i in logs.TARGETS], []),
        (["dog", "cat", "bell", "dog", "cat", None], ["--predicted", "predicted_label"]),
    ],
    ids=["family", "named family", "right answer", "answer"],
)
def test_families_and_answers_are_no_recordings(tmp_path: Path, values: Sequence[Any], options: list[str]) -> None:
    assert not imported(*alike(tmp_path, without_source(source=values)), *options).stderr


@pytest.mark.parametrize(
    "ids",
    [
        [f"clip{i}/q{k}" for i in range(3) for k in range(2)],
        [f"clip{i}#q{k}" for i in range(3) for k in range(2)],
        [f"clip{i}-q{k}" for i in range(3) for k in range(2)],
        [f"rec{i}_q{k}" for i in range(3) for k in range(2)],
        [f"dog:{i}:{k}" for i in range(3) for k in range(2)],
        [f"clip{i}-q{k}" for i in range(2) for k in range(3)],
        ["interview/q1", "interview/q2", "bells/q1", "bells/q2", "rain/q1", "snow/q1"],
    ],
)
def test_ids_that_begin_with_a_recording(tmp_path: Path, ids: list[str]) -> None:
    imported(*alike(tmp_path, lambda rows: [without_source(sample_id=ids)(rows)]))
    (text,) = texts(tmp_path / "run")
    beginnings = len({re.split("[/#_-]|:(?=.$)", one)[0] for one in ids})
    assert text.startswith(
        f"sample ids such as '{min(ids)}' may begin with the recording: {beginnings} beginnings in 6"
    )


@pytest.mark.parametrize(
    "ids",
    [
        [f"item-{i:04}" for i in range(6)],
        [f"clip-{i:04}" for i in range(6)],
        [f"MMAR_{i}" for i in range(6)],
        [f"{name}_{i}" for name in ("MMAR", "MMSU") for i in range(3)],
        [f"{name}-{i:04}" for name in ("sound", "speech", "music") for i in range(2)],
        [f"v{version}-{i:04}" for version in (1, 2) for i in range(3)],
        [f"2024-0{month}-1{day}" for month in (1, 2) for day in range(3)],
        [f"{i}.wav" for i in range(6)],
        [f"{i}" for i in range(6)],
        ["3f2a-9c1b-aa", "3f2a-9c1c-ab", "88aa-0000-ac", "1-100032-A-0", "1-100038-A-14", "yt_x-1_30000_40000"],
        ["clip1/q1", "clip1/q2", "clip2/q1", "clip2/q2", "clip3/q1", "other"],
    ],
)
def test_ids_that_do_not(tmp_path: Path, ids: list[str]) -> None:
    assert not imported(*alike(tmp_path, without_source(sample_id=ids))).stderr


def test_epochs_are_no_recordings_but_what_they_repeat_may_be(tmp_path: Path) -> None:
    arms = []
    for name, answers in (("raw", logs.RAW), ("c40", logs.COMPRESSED)):
        samples = [sample for epoch in (1, 2) for sample in logs.inspect_samples(answers, epoch)]
        for sample in samples:
            sample["input"][0]["content"][1]["audio"] = f"{name}/{sample['metadata']['task']}.wav"
        arms.append(logs.write_inspect(tmp_path / f"{name}.eval", samples))
    command = ("inspect", arms[0], f"energy@0.4={arms[1]}", "--out", tmp_path / "run", "--family", "metadata.task")
    imported(*command)
    assert [text.split("'")[1] for text in texts(tmp_path / "run")] == ["input.0.content.1.audio", "metadata.recording"]
    assert "3 values in 12 rows" in texts(tmp_path / "run")[1]
    imported(*command, "--source", "none")  # the epochs of a question have its id as their source all the same
    assert column(cells(tmp_path / "run")["energy@0.4@0"], "source_id")[:3] == ["q0", "q0", "q1"]
    assert kept(tmp_path / "run")["source"] == "each row its own, declared"


# Options ---------------------------------------------------------------------------------------------------


def n_options(run: Path) -> list[int | None]:
    found = [column(rows, "n_options") for rows in cells(run).values()]
    assert found[0] == found[1]
    values: list[int | None] = found[0]
    return values


def docs(**entries: Any) -> Callable[[Rows], object]:
    return lambda rows: [row["doc"].update(entries) for row in rows]


def test_lm_eval_counts_the_options_that_were_scored(tmp_path: Path) -> None:
    imported(*lm_eval(tmp_path, docs(choices=["dog"])))
    assert n_options(tmp_path / "run") == [3] * 6


@pytest.mark.parametrize(
    ("entries", "n"),
    [
        ({"choices": ["dog", "cat", "bell", "rain"]}, 4),
        ({"choices": {"text": ["dog", "cat", "bell", "rain"], "label": ["A", "B", "C", "D"]}}, 4),
        ({"options": {"A": "dog", "B": "cat"}}, 2),
        ({"choices": [], "options": ["dog", "cat"]}, 2),
        ({"choices": "dog, cat"}, None),
        ({"choices": []}, None),
        ({"answers": ["dog", "cat"]}, None),
    ],
)
def test_lm_eval_counts_the_options_of_the_doc(tmp_path: Path, entries: Mapping[str, Any], n: int | None) -> None:
    arms = []
    for name, answers in (("raw", logs.RAW), ("c40", logs.COMPRESSED)):
        rows = logs.lm_eval_generate(answers, ["strict"])
        docs(**entries)(rows)
        arms.append(logs.write_lm_eval(tmp_path / name, rows))
    imported("lm-eval", arms[0], f"e@0.4={arms[1]}", "--out", tmp_path / "run", "--family", "doc.category")
    assert n_options(tmp_path / "run") == [n] * 6


def test_inspect_counts_its_choices_and_lmms_eval_has_none(tmp_path: Path) -> None:
    raw = logs.write_inspect(tmp_path / "raw.eval", logs.inspect_samples(logs.RAW))
    other = logs.write_inspect(tmp_path / "c40.eval", logs.inspect_samples(logs.COMPRESSED))
    imported("inspect", raw, f"energy@0.4={other}", "--out", tmp_path / "run", "--family", "metadata.task")
    assert n_options(tmp_path / "run") == [3] * 6
    raw = logs.write_lmms_eval(tmp_path / "raw", logs.lmms_eval(logs.RAW))
    other = logs.write_lmms_eval(tmp_path / "c40", logs.lmms_eval(logs.COMPRESSED))
    imported("lmms-eval", raw, f"e@0.4={other}", "--out", tmp_path / "lmms", "--family", "mmar_accuracy.category")
    assert n_options(tmp_path / "lmms") == [None] * 6


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_tables_have_a_column_n_options(tmp_path: Path, kind: str) -> None:
    arms = []
    for name, answers in (("raw", logs.RAW), ("c40", logs.COMPRESSED)):
        rows = [row | {"n_options": None if i == 2 else 4} for i, row in enumerate(logs.table(answers))]
        if kind == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
            arms.append(tmp_path / name)
        else:
            arms.append((logs.write_csv if kind == "csv" else logs.write_lines)(tmp_path / name, rows))
    imported(kind, arms[0], f"energy@0.4={arms[1]}", "--out", tmp_path / "run", *TABLE)
    assert n_options(tmp_path / "run") == [4, 4, None, 4, 4, 4]


def test_options_names_a_number_or_the_options(tmp_path: Path) -> None:
    values = [
        3,
        "4",
        ["dog", "cat"],
        {"A": "dog", "B": "cat", "C": "bell"},
        "A. dog\nB. cat\n",
        '["dog", "cat", "owl"]',
    ]
    arms = alike(tmp_path, lambda rows: [row.update(said={"options": v}) for row, v in zip(rows, values, strict=True)])
    imported(*arms, "--options", "said.options")
    assert n_options(tmp_path / "run") == [3, 4, 2, 3, 2, 3]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "gives 0 options, which is not 1, 2, 3, ..."),
        (-2, "gives -2 options, which"),
        (2.5, "gives 2.5 options, which"),
        ("2.5", "gives 2.5 options, which"),
        ("inf", "gives inf options, which"),
        ([], "gives 0 options, which"),
        (True, "is 'True', neither a number nor several options"),
        ("dog or cat", "is 'dog or cat', neither a number nor several options"),
        ("['dog' 'cat']", "is '['dog' 'cat']', neither a number nor several options"),
    ],
)
def test_refuses_what_is_no_number_of_options(tmp_path: Path, value: Any, said: str) -> None:
    arms = alike(tmp_path, lambda rows: rows[3].update(n_options=value))
    line = refused(*arms)
    assert re.search(rf"raw\.jsonl:4: field 'n_options' {re.escape(said)}.*; .*--options", line), line
    assert not (tmp_path / "run").exists()


def test_refuses_other_numbers_of_options_for_one_question(tmp_path: Path) -> None:
    raw, other = ([row | {"n_options": n} for row in logs.table(logs.RAW)] for n in (4, 3))
    assert "c40.jsonl:1: sample '000' has n_options '3', but '4' at" in refused(*tables(tmp_path, raw, other))
    raw = [row | {"n_options": None} for row in raw]
    imported(*tables(tmp_path, raw, other))  # not known on one side


def test_a_cell_from_before_there_was_such_a_column_is_already_there(tmp_path: Path) -> None:
    arms = tables(tmp_path, logs.table(logs.RAW), logs.table(logs.COMPRESSED))
    imported(*arms)
    for path in (tmp_path / "run").rglob("*.parquet"):
        pq.write_table(pq.ParquetFile(path).read().drop_columns(["n_options"]), path)
    assert imported(*arms).stdout.count("already there: ") == 2


# Answers that are hard to believe --------------------------------------------------------------------------


def losses(*values: float) -> Callable[[Rows], object]:
    return lambda rows: [row.update(loss=value) for row, value in zip(rows, values, strict=True)]


def answers(*values: str | None) -> Callable[[Rows], object]:
    return lambda rows: [row.update(predicted_label=value) for row, value in zip(rows, values, strict=True)]


def nothing(rows: Rows) -> None:
    pass


ALWAYS = [None] * 6


@pytest.mark.parametrize(
    ("raw", "compressed", "said"),
    [
        (answers(*["dog"] * 6), nothing, r"every answer to raw audio is 'dog', though the right answers differ; check"),
        (nothing, answers(*["dog"] * 6), r"every answer is 'dog', though"),
        (nothing, answers("dog", None, "dog", "dog", "dog", "dog"), r"every answer is 'dog', though"),
        (answers(*["dog"] * 5, "cat"), nothing, None),  # 83%
        (answers("dog", None, None, None, None, None), nothing, r"5 of 6 answers to raw audio could not be parsed and"),
        (nothing, answers("dog", "cat", None, None, "cat", "bell"), r"2 of 6 answers could not be parsed and count"),
        (nothing, answers(*ALWAYS), r"6 of 6 answers could not be parsed"),
        (losses(0, 0, 0, 0, 0, 0), nothing, r"every answer to raw audio is right; check that --metric"),
        (nothing, losses(1, 1, 1, 1, 1, 1), r"the loss is 1 in every row; check that --metric"),
        (losses(*[0.25] * 6), nothing, r"the loss to raw audio is 0.25 in every row"),
        (nothing, nothing, None),
    ],
)
def test_answers_that_are_hard_to_believe(
    tmp_path: Path, raw: Callable[[Rows], object], compressed: Callable[[Rows], object], said: str | None
) -> None:
    both = [logs.table(logs.RAW), logs.table(logs.COMPRESSED)]
    raw(both[0])
    compressed(both[1])
    result = imported(*tables(tmp_path, *both))
    if said is None:
        assert not result.stderr
        assert texts(tmp_path / "run") == []
        return
    (doubt,) = kept(tmp_path / "run")["doubts"]
    assert re.match(said, doubt["text"]), doubt["text"]
    assert ("uncompressed" in doubt["cell"]) == ("raw audio" in doubt["text"])
    assert f"{'raw' if 'raw audio' in doubt['text'] else 'c40'}.jsonl: {doubt['text']}\n" in result.stderr


def test_one_answer_is_as_it_should_be_where_it_is_the_right_one(tmp_path: Path) -> None:
    def change(rows: Rows) -> None:
        for row in rows:
            row.update(predicted_label="dog", correct_label="dog")

    assert not imported(*alike(tmp_path, change)).stderr


def test_constant_answers_are_seen_without_right_ones(tmp_path: Path) -> None:
    def change(rows: Rows) -> None:
        for row in rows:
            del row["correct_label"]
            row["predicted_label"] = "dog"

    result = imported(*alike(tmp_path, change))
    assert result.stderr.count("'dog', though the right answers differ") == 2


def test_a_summary_counts_answers_where_none_was_parsed(tmp_path: Path) -> None:
    both = [logs.table(logs.RAW), logs.table(logs.COMPRESSED)]
    answers(*ALWAYS)(both[1])
    assert (
        "energy/seed=0/stream=anchor/budget=0.4: 6 rows, 2 families, loss 0.5000, 6 without an answer"
        in imported(*tables(tmp_path, *both)).stdout
    )


def test_the_same_question_twice_is_a_doubt_and_the_same_prompt_about_other_audio_is_not(tmp_path: Path) -> None:
    def change(rows: Rows) -> None:
        for row in rows:
            row["prompt_hash"] = logs.sha("What is heard?")

    imported(*lm_eval(tmp_path, change), "--source", "doc.audio.path")
    assert not texts(tmp_path / "run")  # another target
    shutil.rmtree(tmp_path / "run")

    def twice(rows: Rows) -> None:
        change(rows)
        rows[1]["target"] = rows[0]["target"]

    imported(*lm_eval(tmp_path, twice), "--source", "doc.audio.path")
    sentence = "1 of 6 rows ask what another row asks of the same recording; keep each question once"
    assert texts(tmp_path / "run") == [sentence, sentence]
    shutil.rmtree(tmp_path / "run")
    imported(*lm_eval(tmp_path, twice), "--source", "none")
    assert not texts(tmp_path / "run")  # the docs differ

    def same_doc(rows: Rows) -> None:
        twice(rows)
        rows[1]["doc_hash"] = rows[0]["doc_hash"]

    shutil.rmtree(tmp_path / "run")
    imported(*lm_eval(tmp_path, same_doc), "--source", "none")
    assert "of the same doc; keep" in texts(tmp_path / "run")[0]


def test_epochs_are_no_questions_asked_twice(tmp_path: Path) -> None:
    arms = []
    for name, answers in (("raw", logs.RAW), ("c40", logs.COMPRESSED)):
        samples = [sample for epoch in (1, 2) for sample in logs.inspect_samples(answers, epoch)]
        arms.append(logs.write_inspect(tmp_path / f"{name}.eval", samples))
    command = ("inspect", arms[0], f"e@0.4={arms[1]}", "--out", tmp_path / "run", "--family", "metadata.task")
    assert not imported(*command, "--source", "metadata.recording").stderr


# The name of the model -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "model_args"),
    [
        ("Qwen/Qwen2-Audio", "pretrained=Qwen/Qwen2-Audio,dtype=auto"),
        ("Qwen/Qwen2-Audio", {"pretrained": "Qwen/Qwen2-Audio", "dtype": "auto"}),
        ("Qwen/Qwen2-Audio", "pretrained=/models/Qwen2-Audio"),
        ("gpt-4o-audio", "model=gpt-4o-audio,base_url=http://localhost:8000/v1/chat/completions,num_concurrent=4"),
        ("/models/adapter/", {"pretrained": "Qwen/Qwen2-Audio", "peft": "/models/adapter/"}),
    ],
)
def test_a_name_that_the_model_args_have_is_believed(
    tmp_path: Path, model: str, model_args: str | dict[str, Any]
) -> None:
    imported(*lm_eval(tmp_path, model=model, model_args=model_args))
    assert {key.answerer for key in store.find_cells(tmp_path / "run")} == {model}


@pytest.mark.parametrize("model_args", ["", "checkpoint=/models/mine.pt", {"checkpoint": "/x9k2/k3j9x0qa7.pt"}, []])
def test_a_name_that_they_do_not_have_may_be_random(tmp_path: Path, model_args: Any) -> None:
    arms = lm_eval(tmp_path, model="k3j9x0qa", model_args=model_args)
    line = refused(*arms)
    assert (
        "does not name its model (the results file calls it 'k3j9x0qa', which its model_args do not: it may be" in line
    )
    assert line.endswith("name it with --answerer")
    imported(*arms, "--answerer", "mine")
    assert {key.answerer for key in store.find_cells(tmp_path / "run")} == {"mine"}


def test_the_compressed_log_may_have_a_random_name_too(tmp_path: Path) -> None:
    raw = logs.write_lm_eval(tmp_path / "raw", logs.lm_eval_choice(logs.RAW))
    other = logs.write_lm_eval(tmp_path / "c40", logs.lm_eval_choice(logs.RAW), model="k3j9x0qa", model_args="x=1")
    line = refused("lm-eval", raw, f"e@0.4={other}", "--out", tmp_path / "run", *LM_EVAL)
    assert re.search(r"c40.*: does not name its model \(the results file calls it 'k3j9x0qa'", line)


def test_a_log_without_a_name_is_a_doubt(tmp_path: Path) -> None:
    raw = logs.write_lm_eval(tmp_path / "raw", logs.lm_eval_choice(logs.RAW))
    other = logs.write_lm_eval(tmp_path / "c40", logs.lm_eval_choice(logs.COMPRESSED), model=None)
    command = ("lm-eval", raw, f"e@0.4={other}", "--out", tmp_path / "run", *LM_EVAL, "--source", "none")
    imported(*command)
    assert [text.partition(",")[0] for text in texts(tmp_path / "run")] == ["the log names no model"]


# import.json -----------------------------------------------------------------------------------------------


def doubtful(tmp_path: Path) -> dict[str, tuple[Any, ...]]:
    """Commands by name that import four logs into one run, and leave a doubt of every kind."""
    change = without_source(clip=PLACES)
    made = {"raw": logs.RAW, "c60": logs.RAW, "c40": logs.COMPRESSED, "c20": [None] * 6}
    path = {}
    for name, given in made.items():
        rows = logs.table(given)
        change(rows)
        path[name] = logs.write_lines(tmp_path / f"{name}.jsonl", rows)
    rest = ("--out", tmp_path / "run", *TABLE)
    return {
        "60 and 40": ("jsonl", path["raw"], f"energy@0.6={path['c60']}", f"energy@0.4={path['c40']}", *rest),
        "20": ("jsonl", path["raw"], f"energy@0.2={path['c20']}", *rest),
        "declared": ("jsonl", path["raw"], f"energy@0.2={path['c20']}", *rest, "--source", "none"),
    }


def test_imports_add_up_in_whatever_order(tmp_path: Path) -> None:
    commands = doubtful(tmp_path)
    results = []
    for order in (["60 and 40", "20"], ["20", "60 and 40"], ["20", "60 and 40", "20"]):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        for name in order:
            imported(*commands[name])
        results.append((tmp_path / "run" / "import.json").read_bytes())
    assert len(set(results)) == 1
    content = json.loads(results[0])
    assert [entry["log"] for entry in content["logs"]] == ["c20.jsonl", "c40.jsonl", "c60.jsonl", "raw.jsonl"]
    assert [doubt["text"][:30] for doubt in content["doubts"]] == [
        "6 of 6 answers could not be pa",
        "the loss is 1 in every row; ch",
        "every answer is that of the ra",
        "field 'clip' looks like the re",
    ]
    assert str(tmp_path) not in results[0].decode()


def test_who_declares_that_there_are_no_recordings_settles_it_for_the_corpus(tmp_path: Path) -> None:
    commands = doubtful(tmp_path)
    results = []
    for order in (["60 and 40", "declared"], ["declared", "60 and 40"]):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        for name in order:
            imported(*commands[name])
        results.append((tmp_path / "run" / "import.json").read_bytes())
    assert len(set(results)) == 1
    assert kept(tmp_path / "run")["source"] == "each row its own, declared"
    assert not any("recording" in text for text in texts(tmp_path / "run"))
    line = refused(*commands["20"], "--source", "clip")
    assert "the cell is already there, with other rows; remove it, or import into another run folder" in line
    assert (tmp_path / "run" / "import.json").read_bytes() == results[0]


def test_another_corpus_may_tell_its_recordings_otherwise(tmp_path: Path) -> None:
    imported(*doubtful(tmp_path)["20"])
    (tmp_path / "other").mkdir()
    arms = tables(tmp_path / "other", logs.table(logs.RAW), logs.table(logs.COMPRESSED))
    imported(*arms[:3], "--out", tmp_path / "run", "--corpus", "mmsu", "--answerer", "a")
    content = kept(tmp_path / "run")
    assert content["source"] == "column source_id; each row its own, assumed"
    assert [entry["source"][:6] for entry in content["logs"]] == ["each r", "each r", "column", "column"]
    record = doubts.read(tmp_path / "run")
    assert record is not None
    assert {(log.cell.corpus, log.source) for log in record.logs} == {
        ("mmsu", "column source_id"),
        ("mmar", doubts.ASSUMED),
    }


def test_what_stood_of_a_cell_that_was_removed_goes_with_it(tmp_path: Path) -> None:
    commands = doubtful(tmp_path)
    imported(*commands["60 and 40"])
    shutil.rmtree(tmp_path / "run" / "cells")
    imported(*commands["20"], "--source", "clip")
    content = kept(tmp_path / "run")
    assert content["source"] == "field clip"
    assert [entry["log"] for entry in content["logs"]] == ["c20.jsonl", "raw.jsonl"]
    assert len(content["doubts"]) == 2


def test_reads_what_it_wrote(tmp_path: Path) -> None:
    imported(*doubtful(tmp_path)["60 and 40"])
    record = doubts.read(tmp_path / "run")
    assert record is not None
    data = (tmp_path / "run" / "import.json").read_bytes()
    assert record.file == store.InputFile("import.json", hashlib.sha256(data).hexdigest(), 3)
    assert record.source == doubts.ASSUMED
    assert [(d.cell.method, d.cell.budget, d.by_source) for d in record.doubts] == [
        ("energy", 0.6, False),
        ("uncompressed", 1, True),
    ]
    raw = tmp_path / "raw.jsonl"
    assert record.logs[-1] == doubts.ImportedLog(
        CellKey("a", "mmar", "uncompressed"),
        "raw.jsonl",
        hashlib.sha256(raw.read_bytes()).hexdigest(),
        doubts.ASSUMED,
    )


def test_a_run_that_was_not_imported_has_no_record(tmp_path: Path) -> None:
    assert doubts.read(tmp_path) is None
    assert doubts.read(tmp_path / "nowhere") is None


CELL = "cells/answerer=a/corpus=c/method=uncompressed/seed=0/stream=anchor/budget=1.0"
GOOD: dict[str, Any] = {
    "schema": "earmark.import/1",
    "source": "each row its own, assumed",
    "doubts": [{"cell": CELL, "text": "look"}],
    "logs": [{"cell": CELL, "log": "raw.csv", "sha256": "0" * 64}],
}


def good(**values: Any) -> dict[str, Any]:
    return GOOD | values


def good_log(**values: Any) -> dict[str, Any]:
    return good(logs=[GOOD["logs"][0] | values])


def good_doubt(**values: Any) -> dict[str, Any]:
    return good(doubts=[GOOD["doubts"][0] | values])


def test_reads_the_documented_form(tmp_path: Path) -> None:
    (tmp_path / "import.json").write_text(json.dumps(GOOD))
    record = doubts.read(tmp_path)
    assert record is not None
    key = CellKey("a", "c", "uncompressed")
    assert record.doubts == (doubts.Doubt(key, "look"),)
    assert record.logs == (doubts.ImportedLog(key, "raw.csv", "0" * 64, doubts.ASSUMED),)


def scored(values: Sequence[float]) -> Rows:
    """A table with these losses, of one row each about its own recording."""
    return [{"sample_id": f"q{i:03d}", "query_family": "xy"[i % 2], "loss": value} for i, value in enumerate(values)]


def test_accuracies_that_are_taken_for_losses_are_a_doubt(tmp_path: Path) -> None:
    right = [float(i % 5 != 0) for i in range(300)]
    harmed = [0.0 if i % 9 == 0 else value for i, value in enumerate(right)]
    result = imported(*tables(tmp_path, scored(right), scored(harmed)))
    sentence = "raw audio is wrong in 80.0% and this in 71.0%, far less: are the losses accuracies? 0 is right and 1 is"
    assert re.search(rf"look at this: .*c40.jsonl: {re.escape(sentence)}", result.stderr)
    assert [text for text in texts(tmp_path / "run") if text.startswith(sentence)]
    done = command("certify", tmp_path / "run", "--replicates", 200)
    assert f"budget=0.4: {sentence}" in done.out
    assert done.out.count("are the losses accuracies?") == 1


@pytest.mark.parametrize("change", ["mostly right", "no better", "named"])
def test_losses_that_are_none_of_accuracies_are_no_doubt(tmp_path: Path, change: str) -> None:
    right = [float(i % 5 != 0) for i in range(300)]
    harmed = [0.0 if i % 9 == 0 else value for i, value in enumerate(right)]
    if change == "mostly right":
        right, harmed = [1 - value for value in harmed], [1 - value for value in right]
    if change == "no better":
        harmed = [1 - right[i] if i < 10 else value for i, value in enumerate(right)]
    named = ("--metric", "loss") if change == "named" else ()
    imported(*tables(tmp_path, scored(right), scored(harmed)), *named)
    assert not [text for text in texts(tmp_path / "run") if "accuracies" in text]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "is no record of an import that this Earmark reads (earmark.import/1)"),
        (good(schema="earmark.import/2"), "is no record of an import"),
        ({key: GOOD[key] for key in GOOD if key != "logs"}, "lacks 'logs' in it"),
        (good(more=1), "has the unknown key 'more' in it"),
        (good(doubts={}), "has in 'doubts' no list"),
        (good(doubts=["look"]), "has in doubts[0] no table"),
        (good(logs=["look"]), "has in logs[0] no table"),
        (good(source="somehow"), "has in source something else than how recordings were told"),
        (good(source=None), "has in source something else"),
        (good(source="field "), "has in source something else"),
        (good(logs=[], source="somehow"), "has in 'source' something else"),
        (good(logs=GOOD["logs"] * 2), "has an entry of 'logs' twice"),
        (good(doubts=GOOD["doubts"] * 2), "has an entry of 'doubts' twice"),
        (good_log(sha256="0"), "has in logs[0].sha256 something else than a SHA-256"),
        (good_log(log="runs/raw.csv"), "has in logs[0].log something else than the name of a file"),
        (good_log(log=""), "has in logs[0].log something else"),
        (good_log(cell="cells/a"), "has in logs[0].cell something else than the folder of a cell"),
        (good_log(cell=CELL.replace("seed=0/", "")), "has in logs[0].cell something else"),
        (good_log(cell=3), "has in logs[0].cell something else"),
        (good_log(rows=3), "has the unknown key 'rows' in logs[0]"),
        (good_log(source="column clip"), "has in 'source' something else than how recordings were told"),
        (good_doubt(text=" "), "has in doubts[0].text something else than a text"),
        (good_doubt(settled_by="--family"), "has in doubts[0].settled_by something else than '--source'"),
        (good_doubt(where="raw"), "has the unknown key 'where' in doubts[0]"),
        (good(axes=["bits"]), "has in axes no table"),
        (good(axes={"opus": "bits"}), "has in axes the method 'opus', of which it has no log"),
        (
            good(axes={"uncompressed": "bytes"}),
            "has in axes.uncompressed something else than seconds or duration or bits",
        ),
        (good(axes={"uncompressed": ["bits"]}), "has in axes.uncompressed something else than seconds or"),
    ],
)
def test_refuses_a_malformed_record(tmp_path: Path, content: Any, said: str) -> None:
    (tmp_path / "import.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=re.escape(said)) as error:
        doubts.read(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'import.json'}: ")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"schema": 1, "schema": 2}', b"[" * 100_000])
def test_refuses_what_is_no_json(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "import.json").write_bytes(data)
    with pytest.raises(InputError, match=r"import\.json: is not (JSON|UTF-8 text) \(.+\); restore the file"):
        doubts.read(tmp_path)


def test_a_malformed_record_stops_an_import_before_it_writes(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "import.json").write_text("{")
    assert "import.json: is not JSON" in refused(*doubtful(tmp_path)["20"])
    assert not (tmp_path / "run" / "cells").exists()


def test_the_record_is_read_without_the_readers_of_logs() -> None:
    readers = ("lm_eval", "lmms_eval", "inspect_eval", "tables", "logs", "rows")
    code = (
        "import sys, earmark.engine.outcomes.imports.doubts\n"
        f"sys.exit(any(f'earmark.engine.outcomes.imports.{{m}}' in sys.modules for m in {readers}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_cells_have_all_columns(tmp_path: Path) -> None:
    imported(*tables(tmp_path, logs.table(logs.RAW), logs.table(logs.COMPRESSED)))
    assert set(cells(tmp_path / "run")["energy@0.4@0"][0]) == set(ROW.names)
