"""Datasets as the hub gives them and as save_to_disk leaves them: which file, which column, which answer."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import layouts
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from layouts import encoded, write

from earmark.engine.corpus.corpus import Corpus, open_corpus
from earmark.engine.corpus.partitions import native
from earmark.engine.corpus.stream import hear, stream
from earmark.engine.errors import InputError

FIXTURES = Path(__file__).parents[1] / "fixtures" / "hub_datasets"
ROW = {"id": "a", "question": "?", "choices": ["x", "y", "z"], "answer": "y"}


def pushed(folder: Path, rows: Sequence[Mapping[str, Any]], name: str = "data/test-00000-of-00001.parquet") -> Path:
    """A dataset with a recording in each row."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(layouts.hub_table(rows), path)
    return folder


def answers(corpus: Corpus) -> list[str]:
    """The text of every right option."""
    return [e.question.choices[e.question.answer] for e in corpus.examples]


# Written by datasets itself ------------------------------------------------------------------------------


def test_a_dataset_that_was_pushed_is_read_as_it_was_downloaded() -> None:
    corpus = open_corpus(FIXTURES / "pushed", split="test")
    assert (corpus.kind, corpus.name, corpus.left_out) == ("hub", "pushed", ())
    assert [e.sample_id for e in corpus.examples] == ["q2", "q3", "q4", "q5", "q6"]
    assert [e.question.answer for e in corpus.examples] == [2, 0, 1, 2, 0]
    assert [e.source_id for e in corpus.examples] == [f"clip{n}.wav" for n in range(2, 7)]
    assert native(corpus).families == ("pitch", "count", "pitch", "count", "pitch")  # a ClassLabel by its names
    assert corpus.columns["answer"] == "answer (its place, from 0)"
    for n, clip in enumerate(stream(corpus.examples, workers=1), 2):
        assert clip.audio is not None
        assert layouts.pitch(clip.audio[:3200]) == pytest.approx(300 + 50 * n, abs=5)


def test_a_dataset_that_was_saved_is_read_without_datasets() -> None:
    corpus = open_corpus(FIXTURES / "saved", split="test")
    assert [e.sample_id for e in corpus.examples] == ["test/0", "test/1", "test/2"]
    assert answers(corpus) == ["low", "low", "high"]  # the letter C, and B is padding
    assert corpus.columns["choices"] == "option_a, option_b, option_c"
    first, again, other = corpus.examples
    assert first.source_id == again.source_id != other.source_id, "without a name they are told apart by their bytes"
    assert first.audio == again.audio != other.audio, "what is one recording is decoded once"
    got = [layouts.pitch(e.audio.waveform()) for e in corpus.examples]
    assert got == pytest.approx([400, 400, 700], abs=5)
    assert [e.question for e in open_corpus(FIXTURES / "saved" / "test").examples] == [
        e.question for e in corpus.examples
    ]


def test_several_splits_are_refused_until_one_is_named() -> None:
    with pytest.raises(InputError, match="has 2 splits: 'test', 'train'; say which with --split"):
        open_corpus(FIXTURES / "pushed")
    with pytest.raises(InputError, match=r"has no such split; did you mean train\?"):
        open_corpus(FIXTURES / "saved", split="trian")


# Which file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "split", "ids"),
    [
        (["test.parquet"], None, ["a"]),
        (["data/test/0000.parquet", "data/train/0000.parquet"], "test", ["a"]),
        (["en/test-00000-of-00001-0123456789abcdef.parquet"], None, ["a"]),
        (["en/test-00000-of-00001.parquet", "de/test-00000-of-00001.parquet"], "test", ["de/a", "en/a"]),
        (["en/test/0000.parquet", "de/test/0000.parquet"], "en/test", ["a"]),
        (["data/test/one.parquet", "data/train/two.parquet"], "train", ["a"]),
    ],
)
def test_a_split_is_told_by_the_names_of_files(
    names: list[str], split: str | None, ids: list[str], tmp_path: Path
) -> None:
    for name in names:
        pushed(tmp_path, [ROW], name)
    corpus = open_corpus(tmp_path, split=split)
    assert [e.sample_id for e in corpus.examples] == ids


def test_configurations_are_families_where_there_is_no_other(tmp_path: Path) -> None:
    for name in ("en", "de"):
        pushed(tmp_path, [ROW], f"{name}/test-00000-of-00001.parquet")
    assert native(open_corpus(tmp_path, split="test")).families == ("de", "en")


def test_a_shard_that_is_missing_is_refused(tmp_path: Path) -> None:
    pushed(tmp_path, [ROW], "data/test-00000-of-00003.parquet")
    with pytest.raises(InputError, match="lacks shards '00001', '00002' of 3 of the split test; download"):
        open_corpus(tmp_path)
    pushed(tmp_path, [ROW], "data/test-00000-of-00001.parquet")
    with pytest.raises(InputError, match="has shards of 1 and of 3 of the split test"):
        open_corpus(tmp_path)


def test_what_lies_beside_a_saved_dataset_is_not_read(tmp_path: Path) -> None:
    folder = layouts.saved(tmp_path / "saved", layouts.hub_table([ROW, ROW | {"id": "b"}, ROW | {"id": "c"}]), shards=2)
    write(folder / "cache-0123.arrow", b"a cache of datasets")
    assert [e.sample_id for e in open_corpus(folder).examples] == ["a", "b", "c"]
    (folder / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(InputError, match=r"names 'data-00001-of-00002.arrow', and there is no such Arrow file"):
        open_corpus(folder)


def test_a_saved_dataset_names_no_file_elsewhere(tmp_path: Path) -> None:
    folder = layouts.saved(tmp_path / "in" / "saved", layouts.hub_table([ROW]))
    layouts.saved(tmp_path / "out", layouts.hub_table([ROW]))
    state = {"_data_files": [{"filename": "../../out/data-00000-of-00001.arrow"}]}
    layouts.write_json(folder / "state.json", state)
    with pytest.raises(InputError, match="there is no such Arrow file beside it"):
        open_corpus(folder)


def test_a_folder_of_the_cache_is_called_by_its_dataset(tmp_path: Path) -> None:
    blobs = pushed(tmp_path / "datasets--me--tones" / "blobs", [ROW], "0123")
    place = tmp_path / "datasets--me--tones" / "snapshots" / "abcdef" / "en" / "test.parquet"
    place.parent.mkdir(parents=True)
    place.symlink_to(blobs / "0123")
    assert open_corpus(place.parents[1]).name == "tones"
    assert open_corpus(place.parent).name == "en"  # a configuration, whose links lead to the same blobs


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".jsonl", ".csv"])
def test_a_table_is_read_by_itself(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / "a.wav", encoded(400))
    row = {"wav": "a.wav", "text": "?", "right": 0, "topic": "t"}
    options = {"x": "one", "y": "two"}
    table = tmp_path / f"mine{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([row | options]), table)
    elif suffix == ".arrow":
        rows = pa.Table.from_pylist([row | options])
        with pa.OSFile(str(table), "wb") as file, pa.ipc.new_stream(file, rows.schema) as written:
            written.write_table(rows)
    elif suffix == ".jsonl":
        layouts.write_lines(table, [row | options])
    else:
        values = row | options
        table.write_text(",".join(values) + "\n" + ",".join(map(str, values.values())) + "\n")
    declared = {"question": "text", "choices": "[xy]", "answer_from_0": "right", "family": "topic"}
    corpus = open_corpus(table, columns=declared)
    (example,) = corpus.examples
    assert (corpus.kind, corpus.name, example.sample_id) == ("hub", "mine", "mine/0")
    assert (example.question, native(corpus).families) == (("?", ("one", "two"), 0), ("t",))
    assert layouts.pitch(example.audio.waveform()) == pytest.approx(400, abs=4)


# Which column --------------------------------------------------------------------------------------------

SPELT = {"question": "?", "answer": "y"}
RENAMED: dict[str, tuple[dict[str, Any], dict[str, str], dict[str, str]]] = {
    "usual names": (ROW, {}, {"audio": "audio (in the table)", "question": "question", "sample_id": "id"}),
    "the first name before others": (ROW | {"prompt": "!", "label": "z"}, {}, {"question": "question"}),
    "a declared name": (ROW | {"prompt": "!"}, {"question": "prompt"}, {"question": "prompt"}),
    "letters as columns": (SPELT | {"A": "x", "B": "y"}, {}, {"choices": "A, B"}),
    "numbered columns": (SPELT | {"option1": "x", "option2": "y"}, {}, {"choices": "option1, option2"}),
    "declared columns": (SPELT | {"first": "x", "firth": "y"}, {"choices": "fir*"}, {"choices": "first, firth"}),
    "ids that repeat are none": ({**ROW, "id": "same"}, {}, {"sample_id": "none: rows are numbered"}),
    "a family": (ROW | {"task": "t"}, {}, {"family": "task"}),
    "a declared family": (ROW | {"task": "t", "place": "p"}, {"family": "place"}, {"family": "place"}),
}


@pytest.mark.parametrize("name", RENAMED)
def test_which_column_is_what_is_told_and_printed(name: str, tmp_path: Path) -> None:
    row, declared, expected = RENAMED[name]
    second = row if row.get("id") == "same" or "id" not in row else row | {"id": "b"}
    corpus = open_corpus(pushed(tmp_path, [row, second]), columns=declared)
    assert corpus.columns.items() >= expected.items()
    assert answers(corpus) == ["y", "y"]


@pytest.mark.parametrize(
    ("row", "declared", "reason"),
    [
        (
            {"prompt": "?", "query": "?"},
            {},
            "'query', 'prompt' might each be the question; say which with --column que",
        ),
        (
            {"instructions": "?"},
            {},
            r"no column is called like the question \(.*instructions.*\); say which with --col",
        ),
        ({"question": "?", "image": b""}, {"audio": "nosuch"}, "column audio=nosuch: .* has no such column"),
        ({"question": "?"}, {"answre": "label"}, r"'answre' is nothing that a column may be; did you mean answer\?"),
        ({"question": "?"}, {"answer": "answer", "answer_from_0": "answer"}, "ways to say what an answer is"),
    ],
)
def test_a_column_that_cannot_be_told_is_refused(
    row: dict[str, Any], declared: dict[str, str], reason: str, tmp_path: Path
) -> None:
    rest = {"choices": ["x", "y"], "answer": "y"}
    with pytest.raises(InputError, match=reason):
        open_corpus(pushed(tmp_path, [row | rest]), columns=declared)


def test_two_columns_of_recordings_are_told_apart_by_their_features(tmp_path: Path) -> None:
    table = layouts.hub_table([ROW]).rename_columns(["id", "question", "choices", "answer", "sound"])
    table = table.append_column("picture", layouts.recordings([b"\x89PNG"], ["a.png"]))
    pq.write_table(table, tmp_path / "test.parquet")
    with pytest.raises(InputError, match="'sound', 'picture' might each be the recording"):
        open_corpus(tmp_path)
    features = {"sound": {"_type": "Audio"}, "picture": {"_type": "Image"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "test.parquet")
    assert open_corpus(tmp_path).columns["audio"] == "sound (in the table)"


def test_tables_of_other_columns_are_refused(tmp_path: Path) -> None:
    pushed(tmp_path, [ROW], "en/test.parquet")
    pushed(tmp_path, [{"id": "b", "prompt": "?", "choices": ["x", "y"], "answer": "y"}], "de/test.parquet")
    with pytest.raises(InputError, match=r"has no column 'prompt' as test\.parquet has it"):
        open_corpus(tmp_path, split="test")


@pytest.mark.parametrize("in_archive", [False, True])
def test_recordings_may_be_files_that_the_table_names(in_archive: bool, tmp_path: Path) -> None:
    if in_archive:
        layouts.write_zip(tmp_path / "audio.zip", {"clips/a.wav": encoded(400)})
    else:
        write(tmp_path / "clips" / "a.wav", encoded(400))
    for column in (pa.array(["clips/a.wav"]), pa.array([{"bytes": None, "path": "clips/a.wav"}], layouts.RECORDING)):
        table = pa.Table.from_pylist([ROW]).append_column("audio", column)
        pq.write_table(table, tmp_path / "test.parquet")
        corpus = open_corpus(tmp_path)
        (example,) = corpus.examples
        assert corpus.columns["audio"] == "audio (names of files)"
        assert layouts.pitch(example.audio.waveform()) == pytest.approx(400, abs=4)


def test_a_column_of_recordings_without_any_bytes_names_files(tmp_path: Path) -> None:
    write(tmp_path / "clips" / "a.wav", encoded(400))
    column = pa.array([{"bytes": None, "path": "clips/a.wav"}], pa.struct({"bytes": pa.null(), "path": pa.string()}))
    pq.write_table(pa.Table.from_pylist([ROW]).append_column("audio", column), tmp_path / "test.parquet")
    corpus = open_corpus(tmp_path)
    assert corpus.columns["audio"] == "audio (names of files)"
    assert layouts.pitch(corpus.examples[0].audio.waveform()) == pytest.approx(400, abs=4)


@pytest.mark.parametrize("lacking", [0, 1, 2])
def test_a_row_without_a_recording_leaves_the_others_where_they_are(lacking: int, tmp_path: Path) -> None:
    rows = [ROW | {"id": name} for name in "abc"]
    sounds = [None if i == lacking else encoded(300 + 50 * i) for i in range(3)]
    column = pa.array([{"bytes": data, "path": f"{i}.wav"} for i, data in enumerate(sounds)], layouts.RECORDING)
    pq.write_table(pa.Table.from_pylist(rows).append_column("audio", column), tmp_path / "test.parquet")
    corpus = open_corpus(tmp_path)
    assert corpus.columns["audio"] == "audio (in the table)"
    clips = {clip.example.sample_id: clip.audio for clip in stream(corpus.examples, workers=1)}
    assert [name for name, audio in clips.items() if audio is None] == ["abc"[lacking]]


def test_what_is_no_recording_is_refused_with_all_columns(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([ROW | {"audio": {"array": [0.1], "sampling_rate": 16000}}])
    pq.write_table(table, tmp_path / "test.parquet")
    words = r"no column holds recordings, or is called like .*\(id, question, choices, answer, audio\); say which with"
    with pytest.raises(InputError, match=words):
        open_corpus(tmp_path)


def test_a_folder_of_audio_with_its_metadata_is_a_dataset(tmp_path: Path) -> None:
    write(tmp_path / "test" / "a.wav", encoded(400))
    row = {"file_name": "a.wav", "question": "?", "choices": ["x", "y"], "answer": "y"}
    layouts.write_lines(tmp_path / "test" / "metadata.jsonl", [row])
    corpus = open_corpus(tmp_path)
    assert (corpus.kind, answers(corpus)) == ("hub", ["y"])
    assert hear(next(iter(corpus.examples)).audio)[1] == "ok"


def test_parts_of_a_benchmark_that_is_known_are_refused(tmp_path: Path) -> None:
    for place in (layouts.mmsu(tmp_path), Path("synthetic:certification:2")):
        with pytest.raises(InputError, match="whose split and columns are known; leave --split and --column out"):
            open_corpus(place, split="train")


# Which answer --------------------------------------------------------------------------------------------

OPTIONS = ["x", "y", "z"]
MEANINGS: dict[str, tuple[list[tuple[Any, Any]], list[str]]] = {
    "places from 0": ([(OPTIONS, 0), (OPTIONS, 1)], ["x", "y"]),
    "places from 1": ([(OPTIONS, 3), (OPTIONS, 1)], ["z", "x"]),
    "places in texts": ([(OPTIONS, "0"), (OPTIONS, "1")], ["x", "y"]),
    "texts that are numbers": ([(["3", "2", "1"], 1), (["3", "2", "1"], 3)], ["1", "3"]),
    "padding keeps its place": ([(["x", None, "z"], 2), (OPTIONS, 0)], ["z", "x"]),
    "letters": ([(OPTIONS, "B"), (OPTIONS, "c")], ["y", "z"]),
    "texts": ([(OPTIONS, "z"), (OPTIONS, "x")], ["z", "x"]),
    "letters and texts": ([(OPTIONS, "A"), (OPTIONS, "y")], ["x", "y"]),
    "a list in a text": ([('["x", "y"]', "x"), ('["x", "y"]', "B")], ["x", "y"]),
    "texts with labels": ([({"text": OPTIONS, "label": ["A", "B", "C"]}, "B")], ["y"]),
    "an option per letter": ([({"A": "x", "B": "y"}, "B")], ["y"]),
    "one is withheld": ([(OPTIONS, 0), (OPTIONS, -1)], ["x"]),
    "one is missing": ([(OPTIONS, 0), (OPTIONS, None)], ["x"]),
}


@pytest.mark.parametrize("name", MEANINGS)
def test_what_an_answer_means_is_told_from_all_rows(name: str, tmp_path: Path) -> None:
    rows, expected = MEANINGS[name]
    content = [ROW | {"id": f"{n}", "choices": choices, "answer": answer} for n, (choices, answer) in enumerate(rows)]
    assert answers(open_corpus(pushed(tmp_path, content))) == expected


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (
            [1, 2],
            "are numbers that could count the options from 0 or from 1; say what they are with --column answer_fro",
        ),
        ([0, 3], "are numbers that are neither texts nor places of the options"),
    ],
)
def test_numbers_that_could_mean_two_things_are_refused(rows: list[int], reason: str, tmp_path: Path) -> None:
    folder = pushed(tmp_path, [ROW | {"id": f"{n}", "answer": answer} for n, answer in enumerate(rows)])
    with pytest.raises(InputError, match=reason):
        open_corpus(folder)
    counted = [answers(open_corpus(folder, columns={f"answer_from_{first}": "answer"})) for first in (0, 1)]
    assert counted == ([["y", "z"], ["x", "y"]] if rows == [1, 2] else [["x"], ["z"]])


# Files that cannot be read -------------------------------------------------------------------------------


def test_a_damaged_arrow_file_is_one_line(tmp_path: Path) -> None:
    folder = layouts.saved(tmp_path / "saved", layouts.hub_table([ROW, ROW | {"id": "b"}]), batch=1)
    path = folder / "data-00000-of-00001.arrow"
    whole = path.read_bytes()
    for content in (b"", whole[:100], whole[: len(whole) // 2], b"ARROW1\0\0" + whole, bytes(1000)):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"is not a whole Arrow file|no column is called"):
            open_corpus(folder)


def test_what_takes_no_bytes_is_not_counted_out(tmp_path: Path) -> None:
    """A list of 2**31 nulls is a few bytes of a file."""
    table = layouts.hub_table([ROW])
    many = pa.FixedSizeListArray.from_arrays(pa.nulls(2**31 - 1), 2**31 - 1)
    folder = layouts.saved(tmp_path / "saved", table.append_column("many", many))
    assert [e.sample_id for e in open_corpus(folder).examples] == ["a"]


def test_pointers_are_no_tables(tmp_path: Path) -> None:
    write(tmp_path / "data" / "test-00000-of-00001.parquet", layouts.LFS)
    with pytest.raises(InputError, match="is a Git LFS pointer, not the table; download it with `git lfs pull`"):
        open_corpus(tmp_path)
