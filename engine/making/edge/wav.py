"""16 kHz mono PCM recordings: from a WAV file to samples, and back without touching a byte.

Reads the same numbers as libsndfile, by which Earmark reads. Knows no other rate, channel or coding: those are refused
with what they are.
"""

import io
import os
import wave
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.engine.making.edge.chunks import CHUNK_SAMPLES, MOST_CHUNKS, SAMPLE_RATE, ChunkNumbers
from earmark.engine.making.edge.edge_error import EdgeError

Samples = npt.NDArray[np.float32]

_CONVERT = "convert it with: ffmpeg -i IN -ar 16000 -ac 1 -c:a pcm_s16le OUT.wav"
_AGAIN = "record it or copy it again"
_PCM, _EXTENSIBLE = 1, 0xFFFE  # codings in a header; behind the second stands another one
_UNKNOWN_BYTES = 0x7FFF_0000  # recorders that do not know the length claim that much or more
_SLACK_S = 0.05  # a header may promise that much too much


class WavRecording(NamedTuple):
    """The samples of a WAV file as they stand there, padded to one chunk and cut after MOST_CHUNKS."""

    pcm: bytes
    width: int  # bytes a sample

    @property
    def waveform(self) -> Samples:
        """(samples,) with full scale as 1."""
        if self.width == 1:
            return (np.frombuffer(self.pcm, np.uint8).astype(np.float32) - 128) / np.float32(128)
        if self.width == 3:
            wide = np.zeros((len(self.pcm) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(self.pcm, np.uint8).reshape(-1, 3)
            return wide.view("<i4")[:, 0].astype(np.float32) * np.float32(2.0**-31)
        scale = np.float32(2.0 ** (1 - 8 * self.width))
        return np.frombuffer(self.pcm, f"<i{self.width}").astype(np.float32) * scale

    def only(self, chunks: ChunkNumbers) -> "WavRecording":
        """The recording of these chunks alone, in rising order, with the bytes that they have here."""
        size = CHUNK_SAMPLES * self.width
        return WavRecording(b"".join(self.pcm[i * size : (i + 1) * size] for i in chunks), self.width)


def read_wav(path: Path) -> WavRecording:
    """The recording in a file; EdgeError where it is none that can be heard here."""
    try:
        with path.open("rb") as file:
            layout, promised = _header(path, file)
            return _samples(path, file, promised, _width(path, layout))
    except OSError as error:
        raise EdgeError(path, f"cannot be read ({error.strerror})", "name a WAV file") from None


def wav_bytes(recording: WavRecording) -> bytes:
    """The recording as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(recording.width)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(recording.pcm)
    return file.getvalue()


def _header(path: Path, file: BinaryIO) -> tuple[bytes, int]:
    """The layout of the samples and how many bytes of them are promised; the file then stands at the first."""
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise EdgeError(path, "is no WAV file", _CONVERT)
    layout = b""
    while (block := file.read(8))[:4] != b"data":
        if len(block) < 8:
            raise EdgeError(path, "is a WAV file without samples", _AGAIN)
        length = int.from_bytes(block[4:], "little")
        if block[:4] == b"fmt ":
            layout = file.read(min(length, 64))
            file.seek(-len(layout), os.SEEK_CUR)
        file.seek(length + length % 2, os.SEEK_CUR)
    if len(layout) < 16 or len(block) < 8:
        raise EdgeError(path, "is a damaged WAV file", _AGAIN)
    return layout, int.from_bytes(block[4:], "little")


def _width(path: Path, layout: bytes) -> int:
    """Bytes of one sample; refuses what is not 16 kHz, mono, PCM."""
    coding, channels, rate, bits = (
        int.from_bytes(layout[first:end], "little") for first, end in ((0, 2), (2, 4), (4, 8), (14, 16))
    )
    if coding == _EXTENSIBLE:
        coding = int.from_bytes(layout[24:26], "little")
    if (coding, channels, rate) != (_PCM, 1, SAMPLE_RATE) or bits not in (8, 16, 24, 32):
        name = {_PCM: "PCM", 3: "floating point"}.get(coding, f"coding {coding}")
        shape = f"{rate} Hz, {channels} channel{'s' * (channels != 1)}, {bits}-bit {name}"
        raise EdgeError(path, f"is {shape}, not 16000 Hz, 1 channel, PCM", _CONVERT)
    return bits // 8


def _samples(path: Path, file: BinaryIO, promised: int, width: int) -> WavRecording:
    """What stands behind the header, which promises so many bytes."""
    second = SAMPLE_RATE * width
    most = MOST_CHUNKS * CHUNK_SAMPLES * width
    known = promised < _UNKNOWN_BYTES
    pcm = file.read(min(promised, most) if known else most)
    if known and len(pcm) < min(promised, most) - _SLACK_S * second:
        lengths = f"{len(pcm) / second:.2f} of {promised / second:.2f} s are there"
        raise EdgeError(path, f"is truncated: {lengths}", _AGAIN)
    pcm = pcm[: len(pcm) // width * width]
    if not pcm:
        raise EdgeError(path, "is a WAV file without samples", _AGAIN)
    silence = b"\x80" if width == 1 else bytes(width)
    return WavRecording(pcm + silence * (CHUNK_SAMPLES - len(pcm) // width), width)
