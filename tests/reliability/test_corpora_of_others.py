"""Corpora that somebody else packed: what cannot be used is a row with a reason, or one line and exit code 2."""

import gzip
import io
import json
import os
import subprocess
import tarfile
import wave
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import assert_refused, earmark

LIMIT_S = 60
NOTHING_APPROVED = 3


def sound() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(bytes(16_000))
    return file.getvalue()


def row(sample_id: str, audio: str, **fields: Any) -> dict[str, Any]:
    question = {"question": "what?", "choices": ["x", "y"], "answer": "x", "family": "f"}
    return {"sample_id": sample_id, "audio": audio} | question | fields


def manifest(folder: Path, *rows: dict[str, Any]) -> Path:
    """A manifest with these rows, after one that is as it should be."""
    folder.mkdir(exist_ok=True)
    (folder / "good.wav").write_bytes(sound())
    text = "".join(json.dumps(each) + "\n" for each in (row("good", "good.wav"), *rows))
    (folder / "manifest.jsonl").write_text(text)
    return folder


def listed(folder: Path, *options: str | Path) -> subprocess.CompletedProcess[bytes]:
    return earmark("corpus", folder, "--list", "--workers", "0", *options, limit_s=LIMIT_S)


def reasons(folder: Path, *options: str | Path) -> dict[str, str]:
    """Why rows are left out and recordings not heard, by their place."""
    done = listed(folder, "--json", *options)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    every = [*content["left_out"]["all"], *content["audio"]["not_heard"]["all"]]
    return {entry["where"]: entry["reason"] for entry in every}


def test_what_is_no_recording_is_a_status(tmp_path: Path) -> None:
    names = ["pipe.wav", "loop.wav", "nowhere.wav", "folder.wav", "c.tar/link.wav", "c.tar/device.wav", "c.zip/bz2.wav"]
    folder = manifest(tmp_path / "corpus", *(row(name, name) for name in names))
    os.mkfifo(folder / "pipe.wav")
    os.symlink("loop.wav", folder / "loop.wav")
    os.symlink(".", folder / "again")
    os.symlink("not there", folder / "nowhere.wav")
    (folder / "folder.wav").mkdir()
    with tarfile.open(folder / "c.tar", "w") as archive:
        for name, kind in (("link.wav", tarfile.SYMTYPE), ("device.wav", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    with zipfile.ZipFile(folder / "c.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("bz2.wav", sound())
    assert set(reasons(folder)) == set(names)


@pytest.mark.parametrize("target", ["/dev/zero", "/proc/kmsg", "/proc/self/pagemap"])
def test_devices_are_no_recordings_either(target: str, tmp_path: Path) -> None:
    folder = manifest(tmp_path / "corpus", row("odd", "odd.wav"))
    os.symlink(target, folder / "odd.wav")
    assert list(reasons(folder, "--allow-outside")) == ["odd.wav"]


def test_a_header_of_a_tar_archive_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    folder = manifest(tmp_path / "corpus", row("a", "c.tar.gz/a.wav"))
    names, member = tarfile.TarInfo("names"), tarfile.TarInfo("a.wav")
    names.type, names.size, member.size = tarfile.XHDTYPE, 1 << 26, len(sound())
    record = b"67108864 comment=".ljust(names.size - 1, b"x") + b"\n"
    padded = sound().ljust(-(-len(sound()) // 512) * 512, b"\0")
    with gzip.open(folder / "c.tar.gz", "wb", 1) as archive:
        archive.write(names.tobuf() + record + member.tobuf() + padded + bytes(1024))
    assert_refused(listed(folder), "c.tar.gz", "header that is too large")


def test_texts_in_the_place_of_bytes_open_no_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(sound())
    folder = tmp_path / "corpus"
    folder.mkdir()
    cells = [{"bytes": str(secret), "path": "a"}, {"bytes": None, "path": "b"}, None]
    rows = [row(f"s{i}", "") | {"audio": cell} for i, cell in enumerate(cells)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "manifest.parquet")
    assert list(reasons(folder).values()) == ["holds no bytes"] * 3


def test_odd_columns_of_parquet_are_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    table = pa.Table.from_pylist([row("a", ""), row("b", "")]).drop_columns(["audio"])
    odd = {
        "audio": pa.array([sound(), sound()]).dictionary_encode(),
        "when": pa.array([1, 2**62], pa.timestamp("ns", tz="Nowhere/Land")),
        "map": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int8())),
        "deep": pa.array([[[[[[1]]]]], []]),
    }
    for name, column in odd.items():
        table = table.append_column(name, column)
    pq.write_table(table, folder / "manifest.parquet")
    assert reasons(folder) == {}


def test_ids_and_choices_that_cannot_be_are_left_out(tmp_path: Path) -> None:
    folder = manifest(
        tmp_path / "corpus",
        row("good", "good.wav"),
        row("i" * 1001, "good.wav"),
        row("a\nb", "good.wav"),
        row("label", "good.wav", choices="[" * 100_000),
        row("twice", "good.wav", choices='[{"a": 1, "a": 2}, "x"]'),
    )
    expected = ["stands already", "1,001 characters", "control character", "not a JSON list", "not a JSON list"]
    for (where, reason), words in zip(reasons(folder).items(), expected, strict=True):
        assert words in reason, where


def test_a_name_that_is_not_utf8_is_refused_before_the_work(tmp_path: Path) -> None:
    question = {"audio_url": "a.wav", "question": "what?", "choice": ["x", "y"], "answer": "x", "question_type": "f"}
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.wav").write_bytes(sound())
    for name in (b"a.json", b"b\xff.json"):  # the names are the ids
        (tmp_path / "corpus" / os.fsdecode(name)).write_text(json.dumps(question))
    assert_refused(listed(tmp_path / "corpus", "--out", tmp_path / "run"), "not UTF-8")
    folder = manifest(tmp_path / "other")
    assert_refused(listed(folder, "--out", tmp_path / os.fsdecode(b"run\xff")), "not UTF-8")


def test_a_side_file_is_read_once_and_within_bounds(tmp_path: Path) -> None:
    side = tmp_path / "side.csv"
    with side.open("wb") as file:
        file.write(b"sample_id,family\n" * 2)
        file.truncate(300_000_000)
    done = earmark("corpus", "synthetic:certification:2", "--audio", "none", "--side", side, limit_s=LIMIT_S)
    assert_refused(done, "side.csv", "has 300,000,000 bytes, more than")


def test_a_synthetic_corpus_of_nothing_says_what_is_allowed() -> None:
    assert_refused(listed(Path("synthetic:certification:0")), "asks for 0 clips", "as in synthetic:certification:200")


def test_a_sweep_refuses_the_partitions_of_another_corpus_before_it_asks(tmp_path: Path) -> None:
    rows = [row(f"s{i}", "good.wav", room="ab"[i % 2]) for i in range(4)]
    folder, run = manifest(tmp_path / "corpus", *rows), tmp_path / "run"
    assert listed(folder, "--by", "room", "--out", run).returncode == 0
    spec = (
        f'[corpus]\npath = "{folder}"\nname = "speech"\n[[answerers]]\nmodel = "tiny"\n[sweep]\nbudgets = [0.5, 1.0]\n'
        '[[methods]]\nname = "uniform"\n'
    )
    (tmp_path / "spec.toml").write_text(spec)
    done = earmark("run", tmp_path / "spec.toml", "--out", run, limit_s=LIMIT_S)
    again = f"earmark corpus PATH --name speech --out {run}"
    assert_refused(done, "partitions.parquet", "'corpus'", "'speech'", f"remove the file and type `{again}`")
    assert not (run / "plan.json").exists()
    assert not (run / "cells").exists()
    (run / "partitions.parquet").unlink()
    assert listed(folder, "--by", "room", "--name", "speech", "--out", run).returncode == 0
    for _ in range(2):  # what is advised helps, at every rerun
        assert earmark("run", tmp_path / "spec.toml", "--out", run, limit_s=LIMIT_S).returncode == NOTHING_APPROVED
