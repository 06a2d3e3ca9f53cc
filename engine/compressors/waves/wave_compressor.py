"""A compressor of waves: each clip once for every budget, whatever is asked about it; the whole clip at budget 1."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np

from earmark.engine.arrays import Scores
from earmark.engine.compressors.card import Card
from earmark.engine.compressors.compressor import ClipAndQuestion, Excerpt, OpenedClip, Refused
from earmark.engine.compressors.waves.wave_method import Sent, WaveRecipe
from earmark.engine.compressors.waves.wave_pool import WaveJob, WavePool
from earmark.engine.compressors.waves.wave_store import WaveKey, WaveStore
from earmark.engine.design.compressors import Axis
from earmark.engine.design.keys import COMPRESSOR


class WaveCompressor:
    """Another wave of every clip, made in a pool, or taken from where it was kept."""

    reads_question = False
    card: Card | None = None

    def __init__(self, name: str, recipe: WaveRecipe, pool: WavePool, store: WaveStore) -> None:
        self.name = name
        self.axis = cast(Axis, recipe.axis)
        self.identity: str | None = pool.identity(recipe)
        self._recipe = recipe
        self._pool = pool
        self._store = store

    def rank(self, clips: Sequence[ClipAndQuestion]) -> list[Scores]:
        """Nothing: there are no seconds to choose from."""
        return [np.zeros(0) for _ in clips]

    def excerpts(
        self, clips: Sequence[ClipAndQuestion], _scores: Sequence[Scores], budget: float
    ) -> Iterator[Excerpt | Refused]:
        """What is heard of each clip, or why nothing is; several questions about one share it."""
        wholes = [subject.clip.whole() for subject in clips]
        if budget == 1:
            yield from wholes
            return
        opened = {whole.hash: subject.clip for whole, subject in zip(wholes, clips, strict=True)}
        kept = {clip: self._store.get(self._key(clip, budget)) for clip in opened}
        excerpts: dict[str, Excerpt | Refused] = {
            clip: opened[clip].changed(sent.samples, sent.bits) for clip, sent in kept.items() if sent is not None
        }
        excerpts |= self._compressed([clip for clip, sent in kept.items() if sent is None], opened, budget)
        yield from (excerpts[whole.hash] for whole in wholes)

    def _compressed(
        self, clips: Sequence[str], opened: Mapping[str, OpenedClip], budget: float
    ) -> dict[str, Excerpt | Refused]:
        """What the pool makes of the clips of these hashes, by hash; what arrives is kept."""
        jobs = (WaveJob(self._recipe, opened[clip].audio, budget) for clip in clips)
        outcomes = dict(zip(clips, self._pool.map(jobs), strict=True))
        self._store.put({self._key(clip, budget): sent for clip, sent in outcomes.items() if isinstance(sent, Sent)})
        return {
            clip: opened[clip].changed(sent.samples, sent.bits)
            if isinstance(sent, Sent)
            else Refused(COMPRESSOR + sent)
            for clip, sent in outcomes.items()
        }

    def _key(self, clip: str, budget: float) -> WaveKey:
        """On another axis the same function's wave may have another length."""
        return WaveKey(f"{self.identity} on {self.axis}", budget, clip)
