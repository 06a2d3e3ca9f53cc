"""Recordings that are best read from front to back, copied once into a file that may be read in any order.

A row of a Parquet table or a member of a compressed archive costs all that lies before it, and a walk asks in an order
of its own. Keeps within declared bytes and holds one recording at a time. Decodes nothing and knows no sweep.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from earmark.engine.arrays import Waveform
from earmark.engine.corpus.arrow_files import ARROW
from earmark.engine.corpus.audio import BytesAudio, MissingAudio, TableAudio, TarAudio, is_gzip
from earmark.engine.corpus.example import Audio, AudioError
from earmark.engine.errors import InputError
from earmark.engine.faults import writing
from earmark.engine.files import make_folder, staged
from earmark.engine.progress import Report, Stop, StoppedError
from earmark.engine.reading import read_json

_BYTES, _INDEX = "recordings.bin", "index.json"
_MOST_INDEX_BYTES = 1 << 32
_AGAIN = "remove it: the same command makes it again"


@dataclass(frozen=True, slots=True)
class SpooledAudio:
    """A recording in a file of many."""

    path: str
    offset: int
    size: int
    name: str

    def waveform(self) -> Waveform:
        return self._fetched().waveform()

    def seconds(self) -> float:
        return self._fetched().seconds()

    def _fetched(self) -> BytesAudio:
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                data = file.read(self.size)
        except OSError as error:
            raise AudioError(f"cannot be read ({error.strerror or error})") from None
        return BytesAudio(data, self.name)


def spool(audios: Iterable[Audio], folder: Path, most_bytes: int, report: Report, stop: Stop) -> Mapping[Audio, Audio]:
    """What to open in place of each recording that is best read forward; `folder` gets their bytes unless it has them.

    InputError where that would be more than `most_bytes`; StoppedError where `stop` says so.
    """
    forward = _forward(audios)
    if not forward:
        return {}
    digest = hashlib.sha256(json.dumps([_place(audio) for audio in forward]).encode()).hexdigest()
    place = folder / digest[:16]
    if not os.path.lexists(place):
        make_folder(folder)
        with staged(folder, place / _INDEX) as staging:
            copied = staging / digest[:16]
            copied.mkdir()
            index = _copy(forward, copied / _BYTES, most_bytes, report, stop)
            with writing(copied):
                (copied / _INDEX).write_text(json.dumps(index))
            if not os.path.lexists(place):  # another process may have been faster
                copied.rename(place)
    entries = read_json(place / _INDEX, _AGAIN, _MOST_INDEX_BYTES)
    n_bytes = os.path.getsize(place / _BYTES) if os.path.isfile(place / _BYTES) else 0
    is_list = isinstance(entries, list) and len(entries) == len(forward)
    if not is_list or not all(_is_entry(entry, n_bytes) for entry in entries):
        raise InputError(place, "is not what was copied there", _AGAIN)
    return {audio: _opened(audio, place / _BYTES, entry) for audio, entry in zip(forward, entries, strict=True)}


def _forward(audios: Iterable[Audio]) -> list[TableAudio | TarAudio]:
    """Those that are best read forward, each once, in that order."""
    packed: dict[str, bool] = {}
    forward: list[TableAudio | TarAudio] = []
    for audio in dict.fromkeys(audios):
        if isinstance(audio, TableAudio) and not audio.path.endswith(ARROW):
            forward.append(audio)
        elif isinstance(audio, TarAudio):
            if audio.archive not in packed:
                packed[audio.archive] = is_gzip(audio.archive)
            if packed[audio.archive]:
                forward.append(audio)
    return sorted(forward, key=_place)


def _place(audio: TableAudio | TarAudio) -> tuple[str, int, int, str]:
    """Where a recording is, in the order of reading."""
    if isinstance(audio, TableAudio):
        return audio.path, audio.row_group, audio.row, audio.column
    return audio.archive, audio.offset, audio.size, ""


def _copy(
    forward: Sequence[TableAudio | TarAudio], path: Path, most_bytes: int, report: Report, stop: Stop
) -> list[list[int] | str]:
    """Write the bytes of recordings one after the other; offset and size of each, or why it cannot be read."""
    index: list[list[int] | str] = []
    n_bytes = 0
    with writing(path), open(path, "wb") as file:
        for n_done, audio in enumerate(forward):
            if stop():
                raise StoppedError
            report("reading recordings that can only be read forward", n_done, len(forward))
            try:
                data = audio.fetched().data
            except AudioError as error:
                index.append(str(error))
                continue
            if n_bytes + len(data) > most_bytes:
                what = f"has more than {most_bytes >> 20:,} MiB of recordings that can only be read forward"
                needed = _estimated_bytes(forward, n_done, n_bytes + len(data))
                do = f'set spool_mib = {-(-needed >> 20)} in [machine], about what they need, or until = "complete"'
                raise InputError(forward[0].name, what, do)
            file.write(data)
            index.append([n_bytes, len(data)])
            n_bytes += len(data)
    return index


def _estimated_bytes(forward: Sequence[TableAudio | TarAudio], n_done: int, n_bytes: int) -> int:
    """About how many bytes all recordings have, a tenth more than if those to come are like the `n_done` before and the
    one that did not fit, which have so many.
    """
    return max(n_bytes, n_bytes * len(forward) * 11 // ((n_done + 1) * 10))


def _is_entry(entry: object, n_bytes: int) -> bool:
    """Whether it is the offset and the size of a recording among so many bytes, or why it cannot be read."""
    if isinstance(entry, str):
        return True
    if not isinstance(entry, list) or len(entry) != 2 or not all(type(n) is int and n >= 0 for n in entry):
        return False
    return bool(sum(entry) <= n_bytes)


def _opened(audio: TableAudio | TarAudio, path: Path, entry: list[int] | str) -> Audio:
    """What an entry of the index stands for."""
    if isinstance(entry, str):
        return MissingAudio(audio.name, entry)
    offset, size = entry
    return SpooledAudio(str(path), offset, size, audio.name)
