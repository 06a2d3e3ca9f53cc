"""The synthetic corpus as a folder that any tool can read: WAV files and a manifest.

16-bit files hold the samples exactly: what is read back is what was mixed.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import soundfile

from earmark.engine.corpus.example import SAMPLE_RATE, Example


def write_corpus(examples: Iterable[Example], folder: Path) -> int:
    """Write `manifest.jsonl` and one `audio/*.wav` per recording, streaming; returns the number of questions."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    written: set[str] = set()
    rows = 0
    with (folder / "manifest.jsonl").open("w", encoding="utf-8") as manifest:
        for example in examples:
            path = f"audio/{example.source_id}.wav"
            if example.source_id not in written:
                soundfile.write(folder / path, example.audio.waveform(), SAMPLE_RATE, subtype="PCM_16")
                written.add(example.source_id)
            manifest.write(json.dumps(_row(example, path)) + "\n")
            rows += 1
    return rows


def _row(example: Example, path: str) -> dict[str, object]:
    return {
        "sample_id": example.sample_id,
        "source_id": example.source_id,
        "audio": path,
        "question": example.question,
        "choices": list(example.choices),
        "answer": example.choices[example.answer],
        **example.labels,
    }
