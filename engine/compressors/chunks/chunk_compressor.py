"""A selector as a compressor: of each clip the seconds with the best scores that a budget pays for."""

from collections.abc import Iterator, Sequence

from earmark.engine.arrays import Scores
from earmark.engine.compressors.card import Card
from earmark.engine.compressors.chunks.cutting import kept_chunks
from earmark.engine.compressors.chunks.selector import Selector, SelectorInput
from earmark.engine.compressors.compressor import ClipAndQuestion, Excerpt
from earmark.engine.corpus.clip import chunk_count
from earmark.engine.design.compressors import Axis
from earmark.engine.errors import InputError


class ChunkCompressor:
    """The first kind of compressor: it drops seconds."""

    axis: Axis = "seconds"

    def __init__(self, name: str, selector: Selector, card: Card | None = None) -> None:
        self.name = name
        self.reads_question = selector.asks
        self.identity = selector.identity
        self.card = card
        self._selector = selector

    def rank(self, clips: Sequence[ClipAndQuestion]) -> list[Scores]:
        """One score for each second of each clip."""
        return self._selector.scores(
            [SelectorInput(subject.sample_id, subject.clip.audio, subject.question) for subject in clips]
        )

    def excerpts(self, clips: Sequence[ClipAndQuestion], scores: Sequence[Scores], budget: float) -> Iterator[Excerpt]:
        """The best seconds of each clip, in the order of time; InputError unless each second has its score."""
        for subject, of_clip in zip(clips, scores, strict=True):
            n_seconds = chunk_count(subject.clip.audio)
            if of_clip.shape != (n_seconds,):
                what = f"has {of_clip.size} scores of {self.name} for {n_seconds} seconds"
                do = "remove the run's scores/: the same command makes them again"
                raise InputError(f"sample {subject.sample_id}", what, do)
            chunks = self._selector.keep(of_clip, kept_chunks(budget, len(of_clip)))
            yield subject.clip.seconds(chunks)
