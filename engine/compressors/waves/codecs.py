"""Codecs of libsndfile, in memory: a clip is encoded at the rate nearest to its budget, and decoded again.

What was sent is the encoded file, container and all, but for GSM, which is sent without its WAV header. Knows samples
and bit rates.
"""

import io
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import soundfile

from earmark.engine.arrays import Waveform
from earmark.engine.compressors.waves.wave_method import CompressorError, Sent
from earmark.engine.corpus.clip import as_16_bits
from earmark.engine.corpus.example import SAMPLE_RATE
from earmark.engine.design.compressors import RAW_KBPS

# libsndfile's Opus at one channel: 256 kb/s at compression level 0, 6 at level 1, linear between them
_OPUS_LEAST_KBPS, _OPUS_RANGE_KBPS = 6, 250
# MPEG-2 layer III has these rates; libsndfile's levels 0 to 1 are 160 to 8 kb/s, but 1 itself it refuses
_MP3_KBPS = np.array([8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160])
_MP3_MOST_KBPS, _MP3_RANGE_KBPS, _MP3_HIGHEST_LEVEL = 160, 152, 0.99
_MP3_DELAY = 1_105  # samples of LAME's encoder and of the decoder
# Vorbis has a quality, not a rate. Measured at levels 1, .9 ... 0 of libsndfile 1.2.2: the mean of synthetic clips,
# synthetic speech and pink noise, which lie up to a third below and above.
_VORBIS_KBPS = (25.3, 26.8, 30.4, 33.7, 37.3, 40.7, 45.6, 50.7, 56.1, 61.6, 67.2)
_VORBIS_LEVELS = np.linspace(1, 0, len(_VORBIS_KBPS))


class Codec(NamedTuple):
    """A codec as soundfile names it."""

    format: str
    subtype: str
    options: Callable[[float], dict[str, Any]]  # of soundfile.write, for the rate nearest to so many kb/s


def _opus(kbps: float) -> dict[str, Any]:
    return {"compression_level": float(np.clip(1 - (kbps - _OPUS_LEAST_KBPS) / _OPUS_RANGE_KBPS, 0, 1))}


def _vorbis(kbps: float) -> dict[str, Any]:
    return {"compression_level": float(np.interp(kbps, _VORBIS_KBPS, _VORBIS_LEVELS))}


def _mp3(kbps: float) -> dict[str, Any]:
    nearest = int(_MP3_KBPS[np.argmin(np.abs(_MP3_KBPS - kbps))])
    level = min((_MP3_MOST_KBPS - nearest) / _MP3_RANGE_KBPS, _MP3_HIGHEST_LEVEL)
    return {"compression_level": level, "bitrate_mode": "CONSTANT"}


def _gsm(_kbps: float) -> dict[str, Any]:
    return {}  # 26 kb/s at 16 kHz, whatever is asked for


CODECS: Mapping[str, Codec] = {
    "opus": Codec("OGG", "OPUS", _opus),
    "vorbis": Codec("OGG", "VORBIS", _vorbis),
    "mp3": Codec("MP3", "MPEG_LAYER_III", _mp3),
    "gsm": Codec("WAV", "GSM610", _gsm),
}


class SndfileCodec:
    """One of CODECS. A budget is a share of 256 kb/s; its encoder does the nearest it can."""

    keeps_length = True

    def __init__(self, name: str) -> None:
        self._name, self._codec = name, CODECS[name]
        self.identity = f"{name}, soundfile {soundfile.__version__}, libsndfile {soundfile.__libsndfile_version__}"

    def send(self, samples: Waveform, budget: float) -> Sent:
        try:
            file = self._encoded(samples, RAW_KBPS * budget)
            decoded, _ = soundfile.read(io.BytesIO(file), dtype="float32")
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise CompressorError(f"{self._name}: {' '.join(str(error).split())}") from None
        if self._codec.subtype == "MPEG_LAYER_III" and len(decoded) > len(samples):
            # LAME notes delay and length in a frame of its own, where one of that rate (40 kb/s or more) has the room
            decoded = decoded[_MP3_DELAY:]
        return Sent(of_length(decoded, len(samples)), 8 * len(_payload(file)))

    def _encoded(self, samples: Waveform, kbps: float) -> bytes:
        """The file of a clip."""
        file = io.BytesIO()
        codec = self._codec
        # libsndfile's GSM lets floats beyond full scale wrap around
        data = as_16_bits(samples) if codec.subtype == "GSM610" else samples
        soundfile.write(file, data, SAMPLE_RATE, codec.subtype, format=codec.format, **codec.options(kbps))
        return file.getvalue()


def _payload(file: bytes) -> bytes:
    """What is sent of an encoded file: of a WAV file the bytes of its data chunk, which may be followed by another."""
    if not file.startswith(b"RIFF"):
        return file
    begin = file.index(b"data") + 8
    return file[begin : begin + int.from_bytes(file[begin - 4 : begin], "little")]


def of_length(samples: Waveform, n_samples: int) -> Waveform:
    """The first `n_samples`; zeros behind them where there are fewer."""
    first = np.ascontiguousarray(samples[:n_samples], dtype=np.float32)
    return np.pad(first, (0, n_samples - len(first))) if len(first) < n_samples else first
