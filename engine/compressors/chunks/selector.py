"""What every selector is: clips in, one score per one-second chunk out, and from scores the chunks to keep.

Knows NumPy arrays only; which chunks win, and that the earlier wins a tie, `cutting` decides.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from earmark.engine.arrays import IntArray, Scores, Waveform
from earmark.engine.compressors.chunks.cutting import top_chunks
from earmark.engine.errors import InputError

LEARNED_TIE = 2.0**-12  # far above what backends differ by (2e-5 at worst), far below what a learned score means


@dataclass(frozen=True, slots=True)
class SelectorInput:
    """What a selector may see of an example."""

    sample_id: str
    audio: Waveform  # as `corpus.clip` makes it
    question: str | None = None


class Selector(ABC):
    """Scores the chunks of clips; says which k of them to keep."""

    asks: bool = False  # whether it reads the question
    tie: float = 0.0  # scores nearer than that are equal

    @property
    def weights(self) -> str | None:
        """SHA-256 of what was trained; None where nothing was."""
        return None

    @property
    def identity(self) -> str | None:
        """SHA-256 of all that its scores depend on beside clips and questions; None where nothing was trained."""
        return self.weights

    @abstractmethod
    def scores(self, clips: Sequence[SelectorInput]) -> list[Scores]:
        """One score per chunk (T,) for each clip, whatever else is in the batch."""

    def keep(self, scores: Scores, k: int) -> IntArray:
        """The k chunks (rising) that these scores of one clip keep."""
        return top_chunks(scores, k, self.tie)


def check_finite(clips: Sequence[SelectorInput]) -> None:
    """InputError for the first clip with a sample that is no number: its scores would mean nothing."""
    for clip in clips:
        if not np.isfinite(clip.audio).all():
            raise InputError(
                f"sample {clip.sample_id}", "has audio with NaN or infinite samples", "leave it out, or repair it"
            )
