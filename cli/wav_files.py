"""Recordings that a command writes beside those that it reads: where, and how."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

_HEADER_BYTES = 100


def wav_places(audio: Sequence[Path], out: Path, ending: str = "") -> Mapping[Path, Path]:
    """Where what becomes of each recording is written: STEM and the ending.

    UsageError where two would be the same file, or one would replace a recording.
    """
    if len({path.stem for path in audio}) < len(audio):
        raise click.UsageError("two recordings have the same name: --out would write one over the other")
    recordings = {path.resolve(): path for path in audio}
    places = {path: out / f"{path.stem}{ending}.wav" for path in audio}
    for place in places.values():
        if (lost := recordings.get(place.resolve())) is not None:
            raise click.UsageError(f"--out would write over the recording {lost}: name another folder")
    return places


def write_wav(path: Path, samples: Any, subtype: str) -> None:
    """Write samples at 16 kHz; PCM_16 clips what is beyond full scale, FLOAT keeps every sample as it is."""
    import soundfile

    from earmark.engine.corpus.example import SAMPLE_RATE
    from earmark.engine.files import write_file

    wav = io.BytesIO()
    soundfile.write(wav, samples, SAMPLE_RATE, format="WAV", subtype=subtype)
    write_file(path, _without_time(wav.getvalue()))


def _without_time(wav: bytes) -> bytes:
    """A WAV file without the time at which it was written, which libsndfile notes beside the peak of floats."""
    place = wav[:_HEADER_BYTES].find(b"PEAK") + 12
    return wav if place < 12 else wav[:place] + bytes(4) + wav[place + 4 :]
