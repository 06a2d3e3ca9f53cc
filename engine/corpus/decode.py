"""From the bytes of a recording to a 16 kHz mono waveform: what it is, how long it is, what is wrong with it.

Goes by content, never by the name of a file. Knows no archive, no table and no question.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from earmark.engine.arrays import Waveform
from earmark.engine.corpus.example import LFS, MOST_SECONDS, SAMPLE_RATE, AudioError
from earmark.engine.reading import is_regular

_MARGIN_S = 1  # read beyond the cut, so that resampling is not disturbed by an edge there
_SLACK_S = 0.05  # a recording may be this much shorter than its header says
_RATES_HZ = range(1_000, 400_000)
_BLOCK_SAMPLES = 1 << 22  # decoded at a time, all channels together
_TAIL_BYTES = 1 << 17  # more than the largest OGG page
_UNKNOWN_BYTES = 0x7FFF_0000  # what writers into a pipe claim when they do not know the length
_UNKNOWN_FRAMES = 1 << 40
_MOST_CHUNKS = 1_000  # chunks of a WAV file that are looked at to find its samples

Source = str | bytes  # a path, or what is in the file


def waveform(source: Source) -> Waveform:
    """The first MOST_SECONDS of a recording, mixed down and resampled to 16 kHz; raises `AudioError`."""
    with _open_sound(source) as sound:
        rate = sound.samplerate
        mono = _mono(sound, (MOST_SECONDS + _MARGIN_S) * rate)
        promised = min(sound.frames, MOST_SECONDS * rate)
        if sound.frames < _UNKNOWN_FRAMES and len(mono) < promised - _SLACK_S * rate:
            raise _truncated(len(mono) / rate, sound.frames / rate)
    if len(mono) == 0:
        raise AudioError("has no samples")
    if not np.isfinite(mono).all():
        raise AudioError("holds samples that are NaN or infinite")
    samples = mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE)
    samples = samples[: MOST_SECONDS * SAMPLE_RATE]
    if not np.isfinite(samples).all():
        raise AudioError("holds samples that are too large to be resampled")
    if len(samples) == 0:
        raise AudioError("is shorter than one sample at 16 kHz")
    return np.ascontiguousarray(samples, dtype=np.float32)


def seconds(source: Source) -> float:
    """How many seconds a recording lasts, by its header, or by decoding it where that does not say; `AudioError`."""
    with _open_sound(source) as sound:
        if sound.frames == 0:
            raise AudioError("has no samples")
        if sound.frames < _UNKNOWN_FRAMES:
            return float(sound.frames / sound.samplerate)
    return len(waveform(source)) / SAMPLE_RATE


def _truncated(decoded_s: float, promised_s: float) -> AudioError:
    return AudioError(f"is truncated: {decoded_s:.2f} of {promised_s:.2f} s are there")


def _mono(sound: Any, most_frames: int) -> Waveform:
    """The mean of the channels, decoded block by block: a header that lies costs no memory."""
    kind = "int16" if sound.subtype == "PCM_16" else "float32"  # 16 bits as integers: the same values, in less time
    blocks: list[Waveform] = []
    n_left = min(most_frames, sound.frames)
    n_block = max(1, _BLOCK_SAMPLES // sound.channels)
    while n_left > 0:
        n_frames = min(n_block, n_left)
        try:
            block = sound.read(n_frames, dtype=kind, always_2d=True)
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise AudioError(f"is damaged ({_reason(error)})") from None
        blocks.append(_mean(block))
        n_left = n_left - n_frames if len(block) == n_frames else 0
    return blocks[0] if len(blocks) == 1 else np.concatenate([np.zeros(0, dtype=np.float32), *blocks])


def _mean(block: npt.NDArray[np.float32 | np.int16]) -> Waveform:
    """(frames, channels) -> (frames,), full scale as 1."""
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused afterwards
        total = block[:, 0].astype(np.float32)
        for channel in range(1, block.shape[1]):
            total += block[:, channel]
        if block.dtype == np.int16:
            total *= np.float32(2**-15)
        if block.shape[1] > 1:
            total /= block.shape[1]
    return total


class _Forward(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file without seeking: soundfile seeks after every block, which a FLAC of unknown length cannot."""

    def seekable(self) -> bool:
        return False


# Opening ---------------------------------------------------------------------------------------------------


@contextmanager
def _open_sound(source: Source) -> Iterator[Any]:
    """An open soundfile.SoundFile whose bytes and header make sense."""
    with _bytes_of(source) as file:
        kind = _sniff(file.read(64))
        _refuse_cut(kind, file)
        file.seek(0)
        try:
            # A descriptor lets libsndfile read by itself, which is faster than calling back for every block.
            sound = _Forward(file.fileno() if isinstance(source, str) else file, closefd=False)
        except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError) as error:
            reason = _reason(error)
            if "does not exist" in reason:  # libsndfile's words for bytes that it cannot make sense of
                raise AudioError(f"is damaged: it cannot be opened as {kind}") from None
            raise AudioError(f"cannot be opened as {kind} ({reason})") from None
        with sound:
            if sound.channels < 1:
                raise AudioError("has no channels")
            if sound.samplerate not in _RATES_HZ:
                raise AudioError(f"claims a sample rate of {sound.samplerate} Hz")
            yield sound


@contextmanager
def _bytes_of(source: Source) -> Iterator[BinaryIO]:
    """An open file of the recording's bytes; `AudioError` where there is none."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    try:
        if not is_regular(source):  # a pipe would block for ever
            raise AudioError("is not a file")
        descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise AudioError("there is no such file") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    with open(descriptor, "rb", buffering=0) as file:
        if os.fstat(descriptor).st_size == 0:  # what has no size, as in /proc, may wait or go on for ever
            raise AudioError("is empty")
        yield file


def _sniff(start: bytes) -> str:
    """The format that the first bytes of a file tell; AudioError where it is not WAV, FLAC, OGG or MP3."""
    if not start:
        raise AudioError("is empty")
    if start.startswith(LFS):
        raise AudioError("is a Git LFS pointer, not the recording: download it with `git lfs pull`")
    if start[:4] in (b"RIFF", b"RF64", b"BW64") and start[8:12] == b"WAVE":
        return "WAV"
    if start[:4] in (b"fLaC", b"OggS"):
        return {b"fLaC": "FLAC", b"OggS": "OGG"}[start[:4]]
    if start[:3] == b"ID3" or (len(start) > 1 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0 and start[1] & 0x06):
        return "MP3"
    if start[4:8] == b"ftyp":
        raise AudioError("is MP4 (AAC), which is not read: convert it to FLAC")
    if start.lstrip()[:1] == b"<":
        raise AudioError("is a web page, not a recording: download it again")
    raise AudioError("is not WAV, FLAC, OGG or MP3")


def _refuse_cut(kind: str, file: BinaryIO) -> None:
    """Raise AudioError for a recording that was cut off, in the formats where libsndfile would not say so."""
    size = file.seek(0, io.SEEK_END)
    if kind == "WAV":
        _refuse_cut_wav(file, size)
    elif kind == "OGG":
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read()
        last = tail.rfind(b"OggS")
        if last < 0 or len(tail) < last + 6 or not tail[last + 5] & 4:
            raise AudioError("is truncated: the last page of the OGG stream is missing")


def _refuse_cut_wav(file: BinaryIO, size: int) -> None:
    """Raise AudioError where a WAV file has fewer bytes of samples than its header says."""
    offset, bytes_per_s = 12, 0
    for _ in range(_MOST_CHUNKS):
        if offset + 8 > size:
            return
        file.seek(offset)
        chunk = file.read(8)
        name, length = chunk[:4], int.from_bytes(chunk[4:], "little")
        if name == b"fmt ":
            bytes_per_s = int.from_bytes(file.read(12)[8:12], "little")
        elif name == b"data":
            if bytes_per_s and length < _UNKNOWN_BYTES:
                present_s, promised_s = (size - offset - 8) / bytes_per_s, length / bytes_per_s
                if present_s < min(promised_s, MOST_SECONDS) - _SLACK_S:
                    raise _truncated(present_s, promised_s)
            return
        offset += 8 + length + length % 2


def _reason(error: Exception) -> str:
    """The message of libsndfile, without the decoration around it."""
    words = str(error.args[-1] if error.args else error).rpartition(">: ")[2]
    words = getattr(error, "error_string", "") or words
    return " ".join(words.removeprefix("Error : ").split()).rstrip(".") or type(error).__name__
