"""The clips that a walk asks about: it comes back to the same blocks at every budget, so they stay in memory.

Within declared bytes, those that were used last; others are decoded again. Asks nobody.
"""

from typing import NamedTuple

from earmark.engine.compressors.compressor import OpenedClip
from earmark.engine.corpus.example import Audio, Example
from earmark.engine.corpus.stream import Clip, Decoders
from earmark.engine.sweep.blocks import Block
from earmark.engine.sweep.offers import Clips

MOST_BYTES = 256 << 20  # of samples, beside those of the block that is asked about


class _Heard(NamedTuple):
    """What came of a recording."""

    clip: Clip
    opened: OpenedClip | None  # None where it cannot be heard

    @property
    def n_bytes(self) -> int:
        return 0 if self.opened is None else self.opened.audio.nbytes


class OpenClips:
    """Clips that are decoded already; `decoders` decode the others."""

    def __init__(self, decoders: Decoders) -> None:
        self._decoders = decoders
        self._heard: dict[Audio, _Heard] = {}  # those that were used last at the end

    def of(self, block: Block) -> Clips:
        """The clips of a block, or of a part of one."""
        used = {example.audio: example for example in block.examples}
        self._hear([example for audio, example in used.items() if audio not in self._heard])
        heard = {audio: self._heard.pop(audio) for audio in used}
        self._make_room()
        self._heard |= heard
        clips = [heard[example.audio].clip._replace(example=example) for example in block.examples]
        return Clips(block, clips, {audio: each.opened for audio, each in heard.items() if each.opened is not None})

    def _hear(self, about: list[Example]) -> None:
        for clip in self._decoders.stream(about) if about else ():  # no process is started for nothing
            audio = clip.example.audio
            opened = None if clip.audio is None else OpenedClip(audio.name, clip.audio)
            self._heard[audio] = _Heard(clip, opened)

    def _make_room(self) -> None:
        excess = sum(heard.n_bytes for heard in self._heard.values()) - MOST_BYTES
        while excess > 0:
            excess -= self._heard.pop(next(iter(self._heard))).n_bytes
