"""Recordings that can only be read forward are copied once, within declared bytes, and then read in any order."""

import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import fakes
import layouts
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from earmark.engine.corpus import audio as audios
from earmark.engine.corpus.audio import FileAudio, MissingAudio, TableAudio, TarAudio
from earmark.engine.corpus.example import Audio
from earmark.engine.corpus.spool import SpooledAudio, spool
from earmark.engine.errors import InputError
from earmark.engine.progress import StoppedError, never, silent

ROWS = 12


def wav(seed: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, fakes.sound(seed, 1.0), 16_000, format="WAV")
    return file.getvalue()


@pytest.fixture
def table(tmp_path: Path) -> list[Audio]:
    """Rows of two row groups of a table, one of them without bytes."""
    column = [{"bytes": wav(row) if row != 5 else None, "path": None} for row in range(ROWS)]
    pq.write_table(pa.table({"audio": column}), tmp_path / "table.parquet", row_group_size=ROWS // 2)
    path = str(tmp_path / "table.parquet")
    return [TableAudio(path, *divmod(row, ROWS // 2), "audio", f"row {row}") for row in range(ROWS)]


@pytest.fixture
def archive(tmp_path: Path) -> list[Audio]:
    """Members of a compressed archive."""
    with tarfile.open(tmp_path / "all.tar.gz", "w:gz") as tar:
        for row in range(3):
            member = tarfile.TarInfo(f"{row}.wav")
            member.size = len(wav(row))
            tar.addfile(member, io.BytesIO(wav(row)))
    with tarfile.open(tmp_path / "all.tar.gz") as tar:
        return [TarAudio(str(tmp_path / "all.tar.gz"), m.offset_data, m.size, m.name) for m in tar.getmembers()]


def test_what_is_read_in_any_order_is_what_lies_there(
    table: list[Audio], archive: list[Audio], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = FileAudio(str(tmp_path / "a.wav"), "a.wav")
    mixed = [*table[::-1], elsewhere, *archive[::-1]]
    opened: list[tuple[int, int]] = []
    value = audios._ParquetColumn.value

    def counted(column: audios._ParquetColumn, group: int, row: int) -> object:
        opened.append((group, row))
        return value(column, group, row)

    monkeypatch.setattr(audios._ParquetColumn, "value", counted)
    in_place_of = spool(mixed, tmp_path / "spooled", 1 << 20, silent, never)
    assert opened == [divmod(row, ROWS // 2) for row in range(ROWS)]  # forward, each once
    assert elsewhere not in in_place_of
    assert in_place_of[table[5]] == MissingAudio("row 5", "holds no bytes")
    for audio in [*table[:5], *table[6:], *archive]:
        copy = in_place_of[audio]
        assert isinstance(copy, SpooledAudio)
        assert (copy.name, copy.seconds()) == (audio.name, 1.0)
        assert np.array_equal(copy.waveform(), audio.waveform())
    opened.clear()
    assert spool(mixed, tmp_path / "spooled", 1 << 20, silent, never) == in_place_of
    assert not opened


def test_more_than_the_declared_bytes_is_refused_and_leaves_nothing(table: list[Audio], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has more than 0 MiB of recordings that can only be read forward") as refused:
        spool(table, tmp_path / "spooled", 3 * len(wav(0)), silent, never)
    assert "set spool_mib = 1 in [machine], about what they need" in str(refused.value)
    assert not list((tmp_path / "spooled").iterdir())


def test_stopped_it_leaves_nothing_half(table: list[Audio], tmp_path: Path) -> None:
    left = iter(range(4))
    with pytest.raises(StoppedError):
        spool(table, tmp_path / "spooled", 1 << 20, silent, lambda: next(left, None) is None)
    assert not list((tmp_path / "spooled").iterdir())


def test_a_copy_that_is_gone_is_the_status_of_its_row(table: list[Audio], tmp_path: Path) -> None:
    in_place_of = spool(table, tmp_path / "spooled", 1 << 20, silent, never)
    shutil.rmtree(tmp_path / "spooled")
    with pytest.raises(audios.AudioError, match="cannot be read"):
        in_place_of[table[0]].waveform()


PEAKS = """
import sys
from pathlib import Path
from earmark.engine.corpus.audio import TableAudio
from earmark.engine.corpus.spool import spool
from earmark.engine.progress import never, silent

def peak_mib(rows):
    audios = [TableAudio(sys.argv[1], 0, row, "audio", f"row {row}") for row in range(rows)]
    copies = spool(audios, Path(sys.argv[2]), 1 << 30, silent, never)
    assert all(len(copy.waveform()) == 60 * 16_000 for copy in list(copies.values())[::-1])
    status = Path("/proc/self/status").read_text()  # ru_maxrss would begin with what the parent holds
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024

early = peak_mib(3)
print(peak_mib(100) - early)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_copies_are_made_and_read_in_flat_memory(tmp_path: Path) -> None:
    """190 MiB of recordings are never held at once; in a process of its own, since this one may have grown before."""
    table = tmp_path / "a.parquet"
    column = pa.array([layouts.encoded(400, seconds=60)] * 100, pa.binary())
    pq.write_table(pa.table({"audio": column}), table, use_dictionary=False)
    command = [sys.executable, "-c", PEAKS, table, tmp_path / "spooled"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 100  # 60: rows are read eight at a time
