"""Claim: hearing clips (decode, mix down, resample, cut into chunks) costs no more than librosa's `load` of them.

Ten-second clips in the formats that the benchmarks have, as many of each, one core, both in one run and taking turns;
the waveforms are compared first. Both stand on libsndfile and soxr, so where these two take all the time (mono MP3)
nobody can be faster. Before that 10,000 synthetic clips are streamed through four worker processes: the peak memory of
everything together must stay below 500 MiB.
"""

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from multiprocessing import active_children
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import soundfile
import soxr

from earmark.engine.corpus.audio import FileAudio
from earmark.engine.corpus.clip import CHUNK_SAMPLES, chunk_count
from earmark.engine.corpus.example import SAMPLE_RATE, Example
from earmark.engine.corpus.stream import header_seconds, hear, stream
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.synthetic.synthetic_corpus import examples

CLIPS = 40  # of each kind
SECONDS = 10
REPEATS = 7
WORKERS = 4
STREAMED = 10_000
MOST_MIB = 500
KINDS = {  # format, subtype, rate, channels
    "WAV 16 kHz mono": ("WAV", "PCM_16", 16_000, 1),
    "WAV 44.1 kHz stereo": ("WAV", "PCM_16", 44_100, 2),
    "FLAC 48 kHz stereo": ("FLAC", "PCM_16", 48_000, 2),
    "MP3 24 kHz mono": ("MP3", "MPEG_LAYER_III", 24_000, 1),
    "MP3 44.1 kHz stereo": ("MP3", "MPEG_LAYER_III", 44_100, 2),
    "OGG 44.1 kHz stereo": ("OGG", "VORBIS", 44_100, 2),
}


def make_clips(folder: Path, name: str) -> list[str]:
    """Coloured noise with tones in it: something that codecs must work for."""
    form, subtype, rate, channels = KINDS[name]
    rng = np.random.default_rng(0)
    paths = []
    for i in range(CLIPS):
        noise = soxr.resample(rng.normal(0, 0.1, (SECONDS * 8_000, channels)), 8_000, rate)
        noise += 0.2 * np.sin(2 * np.pi * rng.uniform(200, 2_000) * np.arange(len(noise)) / rate)[:, None]
        path = folder / f"{name.replace(' ', '_')}-{i}.{form.lower()}"
        soundfile.write(path, noise, rate, format=form, subtype=subtype)
        paths.append(str(path))
    return paths


def ours(path: str) -> list[Any]:
    """The chunks of a clip."""
    audio, status = hear(FileAudio(path, path))
    assert audio is not None, status
    return [audio[i * CHUNK_SAMPLES : (i + 1) * CHUNK_SAMPLES] for i in range(chunk_count(audio))]


def theirs(path: str) -> Any:
    """The waveform, as people load it."""
    import librosa

    return librosa.load(path, sr=SAMPLE_RATE, mono=True)[0]


def seconds_of(run: Callable[[str], object], paths: Iterable[str]) -> float:
    began = time.perf_counter()
    for path in paths:
        run(path)
    return time.perf_counter() - began


def compare(name: str, paths: list[str]) -> dict[str, float]:
    """Clips per second of both, in turns, after a look at whether they hear the same."""
    difference = 0.0
    for path in paths:
        one, other = np.concatenate(ours(path)), theirs(path)
        n = min(len(one), len(other))
        assert abs(len(one) - len(other)) <= 1, f"{name}: {len(one)} against {len(other)} samples"
        difference = max(difference, float(np.abs(one[:n] - other[:n]).max()))
    assert difference < 1e-4, f"{name}: the waveforms differ by {difference:g}"
    mine, librosas = [], []
    for _ in range(REPEATS):
        mine.append(seconds_of(ours, paths))
        librosas.append(seconds_of(theirs, paths))
    return {
        "clips_per_s": len(paths) / float(np.median(mine)),
        "librosa_clips_per_s": len(paths) / float(np.median(librosas)),
        "ratio": float(np.median(np.divide(librosas, mine))),
        "largest_difference": difference,
    }


def held_mib() -> float:
    """What this process and its workers hold, a page that they share counted once."""
    pids = [os.getpid(), *(child.pid for child in active_children())]
    maps = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(of_pid.partition("\nPss:")[2].split()[0]) for of_pid in maps) / 1024


def stream_synthetic() -> dict[str, float]:
    """Peak memory and pace of STREAMED clips that are made as they are heard, with the most workers by default."""
    questions: Iterable[Example] = examples(Split.CERTIFICATION, STREAMED, families=("event",))
    heard = stream(questions, workers=WORKERS)
    began = time.perf_counter()
    peak = 0.0
    for i, one in enumerate(heard, start=1):
        assert one.status == "ok", one.status
        if i % 250 == 0:
            peak = max(peak, held_mib())
    pace = STREAMED / (time.perf_counter() - began)
    return {"clips": STREAMED, "workers": WORKERS, "clips_per_s": pace, "peak_mib": peak}


def two_hours(folder: Path) -> dict[str, float]:
    """Milliseconds to hear a two-hour file, and to read how long it is."""
    path = str(folder / "long.wav")
    with soundfile.SoundFile(path, "w", 16_000, 1, "PCM_16") as file:
        for _ in range(120):
            file.write(np.full(60 * 16_000, 0.1))
    audio = FileAudio(path, "long")
    return {
        "hear_ms": 1000 * min(seconds_of(lambda _: hear(audio), [""]) for _ in range(3)),
        "header_ms": 1000 * min(seconds_of(lambda _: header_seconds(audio), [""]) for _ in range(3)),
    }


def main() -> None:
    """Print a table and, last, one JSON line."""
    warnings.simplefilter("ignore")  # librosa's
    memory = stream_synthetic()  # before librosa and its imports swell this process
    print(f"streamed {STREAMED} clips: {memory['clips_per_s']:.0f} clips/s, peak {memory['peak_mib']:.0f} MiB")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{'clips of 10 s':<22} {'ours':>9} {'librosa':>9} {'ratio':>6}   clips/s on one core")
        found = {}
        for kind in KINDS:
            found[kind] = case = compare(kind, make_clips(folder, kind))
            print(f"{kind:<22} {case['clips_per_s']:>9.0f} {case['librosa_clips_per_s']:>9.0f} {case['ratio']:>6.2f}")
        long = two_hours(folder)
        print(f"a two-hour file: {long['hear_ms']:.1f} ms to hear, {long['header_ms']:.2f} ms to read its header")
    ratio = sum(1 / c["librosa_clips_per_s"] for c in found.values()) / sum(
        1 / c["clips_per_s"] for c in found.values()
    )
    print(
        json.dumps(
            {
                "claim": "hearing clips costs no more than librosa's load, and 10,000 stream in less than 500 MiB",
                "ratio": round(ratio, 2),
                "worst_ratio": round(min(case["ratio"] for case in found.values()), 2),
                "target": 1.0,
                "holds": ratio >= 1 and memory["peak_mib"] < MOST_MIB,
                "kinds": found,
                "streaming": memory | {"most_mib": MOST_MIB},
                "two_hours": long,
            }
        )
    )


if __name__ == "__main__":
    sys.exit(main())
