"""Recordings scored by a selector, and what a budget keeps of each: what runs in front of a model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earmark.engine.arrays import Scores, Waveform
from earmark.engine.compressors.chunks.cutting import kept_chunks
from earmark.engine.compressors.chunks.selector import SelectorInput
from earmark.engine.compressors.compressor import audio_hash, samples_at
from earmark.engine.compressors.loading import load_selector
from earmark.engine.corpus import decode
from earmark.engine.corpus.clip import clip
from earmark.engine.corpus.example import AudioError
from earmark.engine.errors import InputError

AT_ONCE = 64  # recordings in memory
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")  # of what is scored in a folder; a file that is named may have any


@dataclass(frozen=True, slots=True)
class ScoredRecording:
    """One recording: its scores, and the seconds and samples that are kept; None where no budget was given."""

    path: Path
    scores: Scores
    kept: list[int] | None = None
    samples: Waveform | None = None

    def content(self) -> dict[str, Any]:
        """As JSON has it."""
        line: dict[str, Any] = {"audio": str(self.path), "chunks": len(self.scores), "scores": self.scores.tolist()}
        if self.kept is not None and self.samples is not None:
            line |= {"kept": self.kept, "kept_hash": audio_hash(self.samples)}
        return line


def recordings_of(places: Sequence[Path]) -> tuple[Path, ...]:
    """Recordings as they were named, and those in each folder by name, not those in folders of it."""
    paths: list[Path] = []
    for place in places:
        if not place.is_dir():
            paths.append(place)
            continue
        inside = sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
        if not inside:
            what = f"holds no recording ({', '.join(SUFFIXES)})"
            raise InputError(place, what, "name recordings, or the folder that they are in")
        paths += inside
    return tuple(paths)


def score(
    paths: Sequence[Path],
    name: str,
    question: str | None = None,
    budget: float | None = None,
    seed: int = 0,
    provider: str = "cpu",
    threads: int = 1,
) -> Iterator[ScoredRecording]:
    """Every recording in order; InputError where one cannot be heard, or the selector reads a question and has none."""
    if budget is not None and not 0 < budget <= 1:
        raise InputError(f"budget {budget}", "is not in (0, 1]", "give the share of the audio to keep")
    selector = load_selector(name, seed, provider, threads)
    if selector.asks and question is None:
        raise InputError(f"selector {name}", "reads the question", "give one (--question)")
    for first in range(0, len(paths), AT_ONCE):
        inputs = [SelectorInput(path.stem, _clip(path), question) for path in paths[first : first + AT_ONCE]]
        for path, recording, scores in zip(paths[first:], inputs, selector.scores(inputs), strict=False):
            if budget is None:
                yield ScoredRecording(path, scores)
                continue
            kept = selector.keep(scores, kept_chunks(budget, len(scores))).tolist()
            yield ScoredRecording(path, scores, kept, samples_at(recording.audio, kept))


def _clip(path: Path) -> Waveform:
    try:
        return clip(decode.waveform(str(path)))
    except AudioError as error:
        raise InputError(path, str(error), "leave it out, or repair it") from None
