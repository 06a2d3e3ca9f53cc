"""A disk that is full at any place of a sweep: a refusal that names a path, and with room again the same bytes."""

import builtins
import errno
import gc
import io
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sweeps

from earmark.engine.errors import InputError
from earmark.engine.sweep import run as sweeping
from earmark.engine.sweep.run import Swept

SPEC = sweeps.spec(sweeps.SMALLER, {"certification:5": "certification:3"})
PLACES = 24
FULL = "cannot be written (No space left on device); make room: the same command goes on"


def sweep(out: Path) -> Swept:
    return sweeping.run(SPEC, out, load=sweeps.answerers(), load_compressor=sweeps.compressor)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("undisturbed")
    assert sweep(out).complete
    return sweeps.contents(out)


class FullDisk:
    """Everything that writes below a folder, of which the n-th call finds no room; Parquet leaves half a file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.calls = 0
        self.full_at: int | None = None
        self._root = str(root)
        for name in ("mkdir", "replace", "rename"):
            monkeypatch.setattr(os, name, self._watched(getattr(os, name)))
        monkeypatch.setattr(os, "write", self._watched(os.write, always=True))
        monkeypatch.setattr(os, "fsync", self._watched(os.fsync, always=True))
        monkeypatch.setattr(io, "open", self._opening(io.open))
        monkeypatch.setattr(builtins, "open", self._opening(builtins.open))
        monkeypatch.setattr(pq, "write_table", self._half(pq.write_table))

    def _check(self) -> None:
        self.calls += 1
        if self.calls == self.full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _watched(self, function: Callable[..., Any], always: bool = False) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            there = function.__name__ == "mkdir" and os.path.isdir(arguments[0])  # which takes no room
            if always or (str(arguments[0]).startswith(self._root) and not there):
                self._check()
            return function(*arguments, **options)

        return call

    def _opening(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if set(mode) & set("wax") and str(file).startswith(self._root):
                self._check()
            return function(file, mode, *arguments, **options)

        return call

    def _half(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(table: Any, where: Any, *arguments: Any, **options: Any) -> Any:
            function(table, where, *arguments, **options)
            if isinstance(where, str | Path):
                os.truncate(where, os.path.getsize(where) // 2)
                self._check()
                function(table, where, *arguments, **options)

        return call


def test_no_room_at_any_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, bytes]) -> None:
    out = tmp_path / "run"
    disk = FullDisk(monkeypatch, out)
    assert sweep(out).complete
    step = disk.calls // PLACES
    assert step > 2
    refused = 0
    for full_at in range(1, disk.calls, step):
        again = tmp_path / f"run{full_at}"
        disk.calls, disk.full_at = 0, full_at
        try:
            assert sweep(again).complete
            assert disk.calls < full_at  # a journal is forced to disk by the clock
        except InputError as error:
            assert str(again) in str(error)  # noqa: PT017
            assert FULL in str(error)  # noqa: PT017
            refused += 1
        disk.full_at = None
        assert sweep(again).complete
        assert sweeps.contents(again) == undisturbed
    assert refused >= 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A disk of so many KiB, which can grow."""
    place = tmp_path / "disk"
    place.mkdir()

    def sized(kib: int) -> Path:
        options = f"size={kib}k" + (",remount" if os.path.ismount(place) else "")
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("nothing can be mounted here")
        return place

    yield sized
    gc.collect()  # pyarrow's writer closes its file when it goes
    if os.path.ismount(place):  # a descriptor that was left open would keep it
        subprocess.run(["umount", str(place)], capture_output=True, check=True)


def test_a_disk_that_grows_by_little(small_disk: Callable[[int], Path], undisturbed: dict[str, bytes]) -> None:
    refused, kib, complete = 0, 4, False
    while not complete:
        out = small_disk(kib) / "run"
        kib += 8
        try:
            complete = sweep(out).complete
        except InputError as error:
            assert str(out) in str(error)  # noqa: PT017
            assert FULL in str(error)  # noqa: PT017
            refused += 1
    assert refused >= 20
    assert sweeps.contents(out) == undisturbed
