"""Manifests that lie, escape or are broken: refused, or a row with a reason; never a traceback or a file outside."""

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import layouts
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import encoded, write, write_lines, write_tar, write_zip

from earmark.engine.corpus.corpus import open_corpus
from earmark.engine.corpus.stream import stream
from earmark.engine.errors import InputError

ROW = {"sample_id": "s", "audio": "a.wav", "question": "?", "choices": ["x", "y"], "answer": "x"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "secret.wav", encoded(900))
    write(tmp_path / "in" / "a.wav", encoded(400))
    return tmp_path / "in"


def statuses(corpus_path: Path, **options: Any) -> list[str]:
    return [heard.status for heard in stream(open_corpus(corpus_path, **options).examples, workers=0)]


# Escapes -------------------------------------------------------------------------------------------------

ESCAPES = [
    "../secret.wav",
    "../../etc/passwd",
    "sub/../../secret.wav",
    "..\\secret.wav",
    "./../secret.wav",
    "/etc/passwd",
    "C:\\secret.wav",
    "c:/secret.wav",
    "//host/share/secret.wav",
    "..",
    "../in2/../secret.wav",
]


@pytest.mark.parametrize("path", ESCAPES)
@pytest.mark.parametrize("form", ["jsonl", "parquet", "csv"])
def test_a_path_that_leads_outside_is_refused(path: str, form: str, folder: Path) -> None:
    layouts.manifest(folder, form, [ROW, ROW | {"sample_id": "t", "audio": path}])
    with pytest.raises(
        InputError, match="leads outside the folder; move it into the folder, or allow it with"
    ) as error:
        open_corpus(folder)
    assert f"manifest.{form}" in str(error.value)


def test_absolute_paths_that_lead_inside_are_fine(folder: Path) -> None:
    write_lines(folder / "manifest.jsonl", [ROW | {"audio": str(folder / "a.wav")}, ROW | {"sample_id": "t"}])
    assert statuses(folder) == ["ok"] * 2


def test_paths_that_wander_but_stay_are_fine(folder: Path) -> None:
    write_lines(
        folder / "manifest.jsonl", [ROW | {"audio": "sub/../a.wav"}, ROW | {"sample_id": "t", "audio": ".\\a.wav"}]
    )
    assert statuses(folder) == ["ok"] * 2


def test_allowed_explicitly_they_are_heard(folder: Path) -> None:
    write_lines(folder / "manifest.jsonl", [ROW | {"audio": "../secret.wav"}])
    corpus = open_corpus(folder, allow_outside=True)
    (heard,) = stream(corpus.examples, workers=0)
    assert heard.audio is not None
    assert layouts.pitch(heard.audio[:8000]) == pytest.approx(900, abs=4)


@pytest.mark.parametrize("link", ["a file", "a folder", "a chain", "the manifest", "an archive"])
def test_links_out_of_the_folder_are_refused(link: str, folder: Path) -> None:
    rows: list[dict[str, Any]] = [ROW | {"audio": "link.wav"}]
    if link == "a file":
        (folder / "link.wav").symlink_to(folder.parent / "secret.wav")
    elif link == "a chain":
        (folder / "link.wav").symlink_to("second.wav")
        (folder / "second.wav").symlink_to("../secret.wav")
    elif link == "a folder":
        (folder / "out").symlink_to(folder.parent)
        rows = [ROW | {"audio": "out/secret.wav"}]
    elif link == "an archive":
        write_zip(folder.parent / "secret.zip", {"a.wav": encoded(900)})
        (folder / "clips.zip").symlink_to(folder.parent / "secret.zip")
        rows = [ROW | {"audio": "clips.zip/a.wav"}]
    if link == "the manifest":
        write_lines(folder.parent / "outside.jsonl", [ROW])
        (folder / "manifest.jsonl").symlink_to(folder.parent / "outside.jsonl")
    else:
        write_lines(folder / "manifest.jsonl", rows)
    with pytest.raises(InputError, match="is a link that leads outside the folder"):
        open_corpus(folder)
    assert statuses(folder, allow_outside=True) == ["ok"]


@pytest.mark.parametrize("target", ["../none_yet.wav", "../none/yet.wav"])
def test_links_that_lead_outside_to_nothing_are_refused(target: str, folder: Path) -> None:
    (folder / "link.wav").symlink_to(target)
    (folder / "out").symlink_to(folder.parent)
    for path in ("link.wav", "out/none.wav"):
        write_lines(folder / "manifest.jsonl", [ROW | {"audio": path}])
        with pytest.raises(InputError, match="is a link that leads outside the folder"):
            open_corpus(folder)
    assert statuses(folder, allow_outside=True) == ["there is no such file"]


@pytest.mark.parametrize("root", [".", "manifest.jsonl", "../in", "../in/manifest.jsonl"])
@pytest.mark.parametrize("path", ["../secret.wav", "../../etc/passwd", "/etc/passwd"])
def test_a_relative_root_confines_as_well(root: str, path: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    write_lines(folder / "manifest.jsonl", [ROW])
    assert statuses(Path(root)) == ["ok"]
    write_lines(folder / "manifest.jsonl", [ROW, ROW | {"sample_id": "t", "audio": path}])
    with pytest.raises(InputError, match=r"manifest.jsonl:2: .*leads outside the folder"):
        open_corpus(Path(root))


def test_links_inside_the_folder_are_fine(folder: Path) -> None:
    (folder / "link.wav").symlink_to("a.wav")
    write_lines(folder / "manifest.jsonl", [ROW | {"audio": "link.wav"}])
    assert statuses(folder) == ["ok"]


def test_a_folder_that_is_a_link_itself_is_fine(folder: Path) -> None:
    write_lines(folder / "manifest.jsonl", [ROW])
    (folder.parent / "link").symlink_to(folder)
    assert statuses(folder.parent / "link") == ["ok"]


def test_the_blobs_of_a_hugging_face_cache_belong_to_the_folder(tmp_path: Path) -> None:
    repository = tmp_path / "datasets--me--clips"
    blobs, snapshot = repository / "blobs", repository / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    write(blobs / "aa11", encoded(400))
    write_lines(blobs / "bb22", [ROW])
    (snapshot / "a.wav").symlink_to("../../blobs/aa11")
    (snapshot / "manifest.jsonl").symlink_to("../../blobs/bb22")
    assert statuses(snapshot) == ["ok"]
    (snapshot / "a.wav").unlink()
    write(tmp_path / "secret.wav", encoded(900))
    (snapshot / "a.wav").symlink_to("../../../secret.wav")
    with pytest.raises(InputError, match="leads outside"):
        open_corpus(snapshot)


@pytest.mark.parametrize("member", ["../a.wav", "x/../../a.wav", "/etc/a.wav", "..\\a.wav"])
@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz"])
def test_archives_with_members_that_lead_outside_are_refused(member: str, form: str, folder: Path) -> None:
    members = {"good.wav": encoded(500), member: encoded(600)}
    archive = folder / f"clips.{form}"
    if form == "zip":
        write_zip(archive, members)
    else:
        write_tar(archive, members, "w" if form == "tar" else "w:gz")
    write_lines(folder / "manifest.jsonl", [ROW | {"audio": f"clips.{form}/good.wav"}])
    with pytest.raises(InputError, match="leads outside the archive"):
        open_corpus(folder)
    assert statuses(folder, allow_outside=True) == ["ok"]
    assert sorted(p.name for p in folder.parent.iterdir()) == ["in", "secret.wav"], "nothing was unpacked"


def test_links_in_archives_are_no_recordings(folder: Path) -> None:
    with tarfile.open(folder / "clips.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            info = tarfile.TarInfo(f"link{kind.decode()}.wav")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info, io.BytesIO())
    rows = [ROW | {"sample_id": n, "audio": f"clips.tar/link{n}.wav"} for n in ("1", "2")]
    write_lines(folder / "manifest.jsonl", rows)
    assert all(status != "ok" for status in statuses(folder))


def test_benchmarks_are_confined_as_well(tmp_path: Path) -> None:
    layouts.audiomcq(tmp_path / "c")
    rows = [json.loads(line) for line in (tmp_path / "c" / "data.jsonl").read_text().splitlines()]
    rows[0]["audio_path"] = "../../etc/passwd"
    write_lines(tmp_path / "c" / "data.jsonl", rows)
    with pytest.raises(InputError, match=r"data.jsonl:1: its audio '../../etc/passwd' leads outside"):
        open_corpus(tmp_path / "c")


# Rows with a reason --------------------------------------------------------------------------------------

BAD_LINES: dict[str, tuple[Any, str]] = {
    "not json": ("{", "is not JSON"),
    "cut off": ('{"sample_id": "b", "audio": "a.w', "is not JSON"),
    "python": ("{'sample_id': 'b'}", "is not JSON"),
    "a list": ("[1, 2]", "is not a JSON object"),
    "a text": ('"b"', "is not a JSON object"),
    "null": ("null", "is not a JSON object"),
    "a number of 10,000 digits": ('{"sample_id": ' + "1" * 10_000 + "}", "is not JSON"),
    "too deep": ("[" * 100_000, "nested deeper than 64"),
    "nothing": ({}, "no sample_id"),
    "no id": (ROW | {"sample_id": None}, "no sample_id"),
    "an empty id": (ROW | {"sample_id": "  "}, "no sample_id"),
    "an id that is an object": (ROW | {"sample_id": {"a": 1}}, "no sample_id"),
    "no audio": (ROW | {"sample_id": "b", "audio": None}, "no audio"),
    "audio that is an object": (ROW | {"sample_id": "b", "audio": {"path": "a.wav"}}, "no audio"),
    "a URL": (ROW | {"sample_id": "b", "audio": "https://host/a.wav"}, "its audio is a URL"),
    "NUL in a path": (ROW | {"sample_id": "b", "audio": "a\x00.wav"}, "has a NUL character"),
    "no question": (ROW | {"sample_id": "b", "question": ""}, "no question"),
    "no choices": (ROW | {"sample_id": "b", "choices": None}, "not multiple choice"),
    "choices in a text": (ROW | {"sample_id": "b", "choices": "x or y"}, "its choices are not a JSON list"),
    "choices in an object": (ROW | {"sample_id": "b", "choices": {"A": "x"}}, "not multiple choice"),
    "one choice": (ROW | {"sample_id": "b", "choices": ["x"]}, "has one option only"),
    "choices of lists": (ROW | {"sample_id": "b", "choices": [["x"], ["y"]]}, "an option is not a text"),
    "many choices": (ROW | {"sample_id": "b", "choices": list(range(40))}, "more than there are letters"),
    "no answer": (ROW | {"sample_id": "b", "answer": None}, "has no answer"),
    "an answer that is none": (ROW | {"sample_id": "b", "answer": "z"}, "is none of the options"),
    "an answer that is a list": (ROW | {"sample_id": "b", "answer": ["x"]}, "the answer is not a text"),
    "an ambiguous answer": (ROW | {"sample_id": "b", "choices": ["B", "A"], "answer": "A"}, "the letter of another"),
    "an id that is there": (ROW, "its id 's' stands already at manifest.jsonl:1"),
    "half a letter": (ROW | {"sample_id": "b\ud800"}, "holds text that is not Unicode"),
    "half a letter in a label": (ROW | {"sample_id": "b", "topic": "\udfff"}, "holds text that is not Unicode"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_is_a_row_with_a_reason(name: str, folder: Path) -> None:
    line, reason = BAD_LINES[name]
    text = line if isinstance(line, str) else json.dumps(line)
    (folder / "manifest.jsonl").write_text(json.dumps(ROW) + "\n\n" + text + "\n")
    corpus = open_corpus(folder)
    assert [example.sample_id for example in corpus.examples] == ["s"]
    ((where, why),) = corpus.left_out
    assert where == "manifest.jsonl:3"
    assert reason in why
    assert len(why) < 200


def test_a_bad_byte_costs_a_row_not_the_table(folder: Path) -> None:
    lines = [json.dumps(ROW | {"sample_id": name}).encode() for name in "abc"]
    lines[1] = lines[1].replace(b'"?"', b'"\xff?"')
    (folder / "manifest.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))
    csv = b'sample_id,audio,question,choice_a,choice_b,answer\na,a.wav,?,x,y,x\nb,a.wav,\xe9,x,y,x\nc,a.wav,"?",x,y,x\n'
    (folder / "other.csv").write_bytes(csv)
    for name, at in (("manifest.jsonl", 2), ("other.csv", 3)):
        corpus = open_corpus(folder / name)
        assert [example.sample_id for example in corpus.examples] == ["a", "c"]
        ((where, reason),) = corpus.left_out
        assert where == f"{name}:{at}"
        assert reason.startswith("is not UTF-8 text")


def test_a_long_cell_is_a_cell(folder: Path) -> None:
    csv = f"sample_id,audio,question,choice_a,choice_b,answer\na,a.wav,{'q' * 200_000},x,y,x\nb,a.wav,?,x,y,x\n"
    (folder / "manifest.csv").write_text(csv)
    assert [len(example.question.text) for example in open_corpus(folder).examples] == [200_000, 1]


ODD_PATHS = {
    "missing": ("none.wav", "there is no such file"),
    "a folder": (".", "is not a file"),
    "a long name": ("x" * 900, "cannot be read"),
    "in a folder with a long name": ("x" * 900 + ".zip/a.wav", "cannot be read"),
    "a git lfs pointer": ("pointer.wav", "is a Git LFS pointer"),
    "a manifest": ("manifest.jsonl", "is not WAV, FLAC, OGG or MP3"),
    "a pipe": ("pipe", "is not a file"),
    "through a file": ("a.wav/b.wav", "a.wav is a file, neither a folder nor an archive"),
    "not in the archive": ("clips.zip/none.wav", "its archive has no such member"),
    "in an archive of another kind": ("clips.tar.xz/a.wav", "is no zip, tar or tar.gz archive"),
    "in the archive, empty": ("clips.zip/empty.wav", "is empty"),
}


@pytest.mark.parametrize("name", ODD_PATHS)
def test_an_odd_path_is_a_status(name: str, folder: Path) -> None:
    path, reason = ODD_PATHS[name]
    write(folder / "pointer.wav", layouts.LFS)
    os.mkfifo(folder / "pipe")
    write_zip(folder / "clips.zip", {"empty.wav": b""})
    write_tar(folder / "clips.tar.xz", {"a.wav": encoded(400)}, "w:xz")
    write_lines(folder / "manifest.jsonl", [ROW, ROW | {"sample_id": "b", "audio": path}])
    good, bad = statuses(folder)
    assert good == "ok"
    assert reason in bad


# Files that cannot be read -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("manifest.jsonl", b"", "no rows"),
        ("manifest.jsonl", b"\xff\xfe\x00", "is not UTF-8 text"),
        ("manifest.csv", b"", "no rows"),
        ("manifest.csv", b"sample_id,audio,audio\n", "column 'audio' stands twice"),
        ("manifest.csv", b"sample_id,audio\ns\n", "has 1 cells, the header 2"),
        ("manifest.csv", b'sample_id,audio\n"s', "has 1 cells"),
        ("manifest.csv", b"sample_id\n" + b"x" * 17_000_000, "manifest.csv:2: is not CSV"),
        ("manifest.csv", b"sample_id,\xff\n", "is not UTF-8 text"),
        ("manifest.parquet", b"", "is not a whole Parquet file"),
        ("manifest.parquet", b"PAR1" + bytes(100) + b"PAR1", "is not a whole Parquet file"),
        ("mmau-test-mini.json", b"[", "is not JSON"),
        ("mmau-test-mini.json", b"[" * 100_000, "nested deeper than 64"),
        ("mmau-test-mini.json", b"3", "holds no list of questions"),
        ("mmau-test-mini.json", b"[3]", "is not a JSON object"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(name: str, content: bytes, reason: str, tmp_path: Path) -> None:
    write(tmp_path / name, content)
    with pytest.raises(InputError, match=reason) as refused:
        open_corpus(tmp_path)
    assert "\n" not in str(refused.value)


def test_an_archive_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    layouts.mmar(tmp_path)
    archive = tmp_path / "mmar-audio.tar.gz"
    whole = archive.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"no archive at all, but long enough to be looked at" * 50):
        archive.write_bytes(broken)
        with pytest.raises(InputError, match=r"mmar-audio.tar.gz: is not a whole zip, tar or tar.gz archive"):
            open_corpus(tmp_path)


def test_columns_of_any_type_are_read_or_passed_over(tmp_path: Path) -> None:
    import datetime
    import decimal

    import pyarrow as pa
    import pyarrow.parquet as pq

    write(tmp_path / "a.wav", encoded(400))
    table = pa.Table.from_pylist([ROW | {"when": datetime.datetime(2026, 1, 1), "price": decimal.Decimal("1.5")}])
    table = table.append_column("blob", pa.array([b"\xff\x00"])).append_column("nested", pa.array([[{"a": [1]}]]))
    pq.write_table(table.append_column("flag", pa.array([True])), tmp_path / "manifest.parquet")
    (example,) = open_corpus(tmp_path).examples
    assert dict(example.labels) == {"flag": "true"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.fixed_dictionaries({}, optional=dict.fromkeys((*ROW, "source_id", "category", "choice_a"), JSON))


@settings(max_examples=150)
@given(rows=st.lists(FIELDS, max_size=5), tail=st.binary(max_size=20))
def test_fuzzed_manifests_are_rows_or_reasons(
    rows: list[Any], tail: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    write(folder / "a.wav", encoded(400))
    lines = [json.dumps(ROW), *(json.dumps(row) for row in rows)]
    (folder / "manifest.jsonl").write_bytes("\n".join(lines).encode() + b"\n" + tail)
    try:
        corpus = open_corpus(folder)
    except InputError as error:
        refused = str(error)
    else:
        refused = ""
    assert "\n" not in refused
    if refused:
        return
    assert 1 <= len(list(corpus.examples)) <= 2 + len(rows)
    assert all(left.where and left.reason for left in corpus.left_out)
    assert all(heard.status for heard in stream(corpus.examples, workers=0))


@pytest.mark.parametrize(
    ("column", "name", "expected"),
    [
        ("audio", "wav", "only the columns 'sample_id', 'wav', 'question', 'choices', 'answer'; did you mean wav?"),
        ("audio", "Audio", "did you mean Audio?"),
        ("choices", "options", "did you mean options?"),
        ("answer", "topic", "no answer, only the columns 'sample_id', 'audio', 'question', 'choices', 'topic')"),
    ],
)  # fmt: skip
def test_a_manifest_without_a_column_names_those_it_has_and_the_one_that_was_meant(
    column: str, name: str, expected: str, folder: Path
) -> None:
    row = {name if key == column else key: value for key, value in ROW.items()}
    (folder / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(InputError) as refused:
        open_corpus(folder)
    assert expected in str(refused.value)
    assert str(refused.value).endswith(
        "correct its rows; its columns are sample_id, audio, question, choices and answer"
    )
