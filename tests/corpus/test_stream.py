"""Streaming: in order, ahead, in flat memory; a clip that breaks, and a decoder that dies, are statuses."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from multiprocessing import active_children
from pathlib import Path

import layouts
import numpy as np
import pytest
from made import Made, asked

from earmark.engine.corpus.audio import FileAudio
from earmark.engine.corpus.clip import chunk_count
from earmark.engine.corpus.corpus import open_corpus
from earmark.engine.corpus.example import Example
from earmark.engine.corpus.stream import durations, stream

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.mark.parametrize("workers", [0, 2])
def test_order_statuses_and_clips(workers: int) -> None:
    examples = asked(
        Made(0.3, number=1),
        Made(2, "break"),
        Made(3.5, number=2),
        Made(1, "bug"),
        Made(200, number=3),
        Made(1, "hungry"),
    )
    heard = list(stream(examples, workers=workers))
    assert [one.example for one in heard] == examples
    assert [one.status for one in heard] == [
        "ok",
        "is broken",
        "ok",
        "ZeroDivisionError: a bug in two lines",
        "ok",
        "does not fit into memory",
    ]
    clips = [one.audio for one in heard if one.audio is not None]
    assert [len(clip) for clip in clips] == [16_000, 56_000, 120 * 16_000]  # padded, as it is, cut
    assert [chunk_count(clip) for clip in clips] == [1, 4, 120]
    assert [clip[0] for clip in clips] == [1, 2, 3]
    assert all(one.audio is None for one in heard if one.status != "ok")


@pytest.mark.parametrize("how", ["die", "kill"])
def test_a_clip_that_kills_its_decoder_is_a_status(how: str) -> None:
    audios = [Made(1, number=i) for i in range(12)]
    audios[3] = audios[4] = Made(1, how, 3)
    audios[9] = Made(1, how, 9)
    heard = list(stream(asked(*audios), workers=2))
    assert [one.example.sample_id for one in heard] == [f"s{i}" for i in range(12)]
    died = [i for i, one in enumerate(heard) if one.status != "ok"]
    assert died == [3, 4, 9]
    assert {heard[i].status for i in died} == {"killed the process that decoded it"}


def test_the_same_with_and_without_workers(tmp_path: Path) -> None:
    for make in (layouts.mmsu, layouts.mmar, layouts.mmau_pro, layouts.audiomcq, layouts.big_bench_audio):
        corpus = open_corpus(make(tmp_path / make.__name__))
        here, there = (list(stream(corpus.examples, workers=workers)) for workers in (0, 2))
        assert [(one.example, one.status) for one in here] == [(one.example, one.status) for one in there]
        for one, other in zip(here, there, strict=True):
            np.testing.assert_array_equal(one.audio, other.audio)


def test_questions_in_a_row_about_a_recording_decode_it_once(tmp_path: Path) -> None:
    log = f"log {tmp_path / 'log'}"
    a, b = Made(1, log, 1), Made(1, log, 2)
    heard = list(stream(asked(a, a, a, b, b, a), workers=1))
    assert [one.audio[0] for one in heard if one.audio is not None] == [1, 1, 1, 2, 2, 1]
    assert sorted((tmp_path / "log").read_text().split()) == ["1", "1", "2"]


def test_it_works_ahead_of_its_consumer(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    clips = stream(asked(*(Made(1, f"log {log}", i) for i in range(50))), workers=1)
    next(clips)
    deadline = time.monotonic() + 20
    while len(log.read_text().split()) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert 4 <= len(log.read_text().split()) <= 5, "as far as it may, and no further"
    clips.close()  # type: ignore[attr-defined]


def test_examples_are_taken_only_as_needed() -> None:
    taken = 0

    def endless() -> Iterator[Example]:
        nonlocal taken
        while True:
            taken += 1
            yield asked(Made(0.1, number=taken))[0]

    for workers in (0, 2):
        taken = 0
        clips = stream(endless(), workers=workers)
        for _ in range(5):
            next(clips)
        assert taken <= 5 + 4 * workers + 1
        clips.close()  # type: ignore[attr-defined]


def peak_mib() -> float:
    """The most that this process and its workers have ever held, together."""
    total = 0
    for pid in (os.getpid(), *(child.pid for child in active_children())):
        status = Path(f"/proc/{pid}/status").read_text()
        total += int(status.partition("VmHWM:")[2].split()[0])
    return total / 1024


def forget_the_peak() -> None:
    """Of this process: whatever other tests held before."""
    Path("/proc/self/clear_refs").write_text("5")


NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")


@NEEDS_PROC
def test_memory_is_flat_over_a_long_stream() -> None:
    """1,000 clips of ten seconds are 610 MiB; nobody ever holds more than a few."""
    clips = stream((asked(Made(10, number=i))[0] for i in range(1_100)), workers=1)
    for _ in range(100):
        next(clips)
    forget_the_peak()
    early = peak_mib()
    for one in islice(clips, 980):
        assert one.status == "ok"
    assert peak_mib() < early + 40
    clips.close()  # type: ignore[attr-defined]


EMBEDDED = """
import sys
from pathlib import Path
from earmark.engine.corpus.audio import TableAudio
from earmark.engine.corpus.example import Example, Question
from earmark.engine.corpus.stream import stream

def heard(rows):
    examples = [
        Example(str(i), str(i), TableAudio(sys.argv[1], 0, i, "audio", str(i)), Question("?", ("a", "b"), 0))
        for i in range(rows)
    ]
    assert all(one.status == "ok" for one in stream(examples, workers=0))
    status = Path("/proc/self/status").read_text()  # ru_maxrss would begin with what the parent holds
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024

early = heard(3)
print(heard(100) - early)
"""


@NEEDS_PROC
def test_embedded_audio_is_read_forward_in_flat_memory(tmp_path: Path) -> None:
    """A row group of 200 MiB is never held at once; in a process of its own, since this one may have grown before."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = tmp_path / "a.parquet"
    clips = [layouts.encoded(400, seconds=60)] * 100
    pq.write_table(pa.table({"audio": pa.array(clips, pa.binary())}), table, use_dictionary=False)
    done = subprocess.run([sys.executable, "-c", EMBEDDED, table], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 100


def test_leaving_early_leaves_no_worker_behind() -> None:
    before = threading.active_count()
    clips = stream(asked(*(Made(1, number=i) for i in range(100))), workers=2)
    next(clips)
    assert len(active_children()) == 2
    clips.close()  # type: ignore[attr-defined]
    assert active_children() == []
    assert threading.active_count() <= before


def test_durations_by_header_and_by_decoding(tmp_path: Path) -> None:
    whole = layouts.write(tmp_path / "a.wav", layouts.encoded(400, seconds=3, rate=44_100))
    flac = layouts.encoded(400, "FLAC", seconds=3)
    cut = layouts.write(tmp_path / "b.flac", flac[: len(flac) // 2])
    audios = [FileAudio(str(path), path.name) for path in (whole, cut, tmp_path / "none.wav")]
    for workers in (0, 1):
        assert list(durations(audios, workers=workers)) == [(3.0, "ok"), (3.0, "ok"), (None, "there is no such file")]
        decoded = list(durations(audios, decode=True, workers=workers))
        assert decoded[0] == (pytest.approx(3.0), "ok")
        assert decoded[1][0] is None  # only decoding tells
        assert "is damaged" in decoded[1][1]
    assert list(durations([Made(2.5)], workers=0)) == [(2.5, "ok")]


def test_a_script_without_an_entry_is_told_so(tmp_path: Path) -> None:
    """Worker processes import the script that started them: without a guard it would start them again."""
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1] / 'support')!r})\n"
        "from made import Made, asked\n"
        "from earmark.engine.corpus.stream import stream\n"
        "from earmark.engine.errors import InputError\n"
        "try:\n"
        "    list(stream(asked(Made(1)), workers=1))\n"
        "except InputError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=60)
    assert "worker processes cannot be started; guard the entry" in done.stdout
