"""Recordings scored by a selector, and what a budget keeps of each: what runs in front of a model."""

import glob
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
    """Recordings as they were named, those that a pattern such as `clips/**/*.wav` names, and those in each folder by
    name, not those in folders of it.
    """
    paths: list[Path] = []
    for place in places:
        if not place.exists() and glob.has_magic(str(place)):
            named = sorted(Path(path) for path in glob.iglob(str(place), recursive=True))
            if not named:
                raise InputError(place, "names no file", "name recordings, or the folder that they are in")
            paths += named
            continue
        if not place.is_dir():
            paths.append(place)
            continue
        inside = sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
        if not inside:
            what = f"holds no recording ({', '.join(SUFFIXES)})"
            raise InputError(place, what, "name recordings, or the folder that they are in")
        paths += inside
    return tuple(paths)


@dataclass(frozen=True, slots=True)
class Scoring:
    """How recordings are scored."""

    name: str  # of a selector, or its place
    question: str | None = None
    budget: float | None = None
    seed: int = 0
    provider: str = "cpu"
    threads: int = 1


class LoadedScoring:
    """A selector that is ready; InputError where it cannot be loaded, or reads a question and has none."""

    def __init__(self, scoring: Scoring) -> None:
        if scoring.budget is not None and not 0 < scoring.budget <= 1:
            raise InputError(f"budget {scoring.budget}", "is not in (0, 1]", "give the share of the audio to keep")
        self._selector = load_selector(scoring.name, scoring.seed, scoring.provider, scoring.threads)
        if self._selector.asks and scoring.question is None:
            raise InputError(f"selector {scoring.name}", "reads the question", "give one (--question)")
        self._scoring = scoring

    def heard(self, path: Path) -> SelectorInput:
        """A recording as a selector reads it; AudioError where it cannot be heard."""
        return SelectorInput(path.stem, clip(decode.waveform(str(path))), self._scoring.question)

    def score(self, heard: Sequence[tuple[Path, SelectorInput]]) -> Iterator[ScoredRecording]:
        """These recordings, scored together."""
        inputs = [recording for _, recording in heard]
        for (path, recording), scores in zip(heard, self._selector.scores(inputs), strict=True):
            if self._scoring.budget is None:
                yield ScoredRecording(path, scores)
                continue
            kept = self._selector.keep(scores, kept_chunks(self._scoring.budget, len(scores))).tolist()
            yield ScoredRecording(path, scores, kept, samples_at(recording.audio, kept))


def score(paths: Sequence[Path], scoring: Scoring) -> Iterator[ScoredRecording]:
    """Every recording in order; InputError where one cannot be heard."""
    loaded = LoadedScoring(scoring)
    for first in range(0, len(paths), AT_ONCE):
        yield from loaded.score([(path, _heard(loaded, path)) for path in paths[first : first + AT_ONCE]])


def _heard(loaded: LoadedScoring, path: Path) -> SelectorInput:
    try:
        return loaded.heard(path)
    except AudioError as error:
        raise InputError(path, str(error), "leave it out, or repair it") from None
