"""The best chunks of a clip within a budget, in one call."""

from earmark.engine.arrays import Scores, Waveform
from earmark.engine.compressors.chunks.cutting import Kept, keep_chunks, kept_chunks, top_chunks


def keep(audio: Waveform, scores: Scores, budget: float) -> Kept:
    """What is left of a clip by its scores (T,)."""
    return keep_chunks(audio, top_chunks(scores, kept_chunks(budget, len(scores))))
