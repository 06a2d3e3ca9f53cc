"""From a block's clips to what may be heard of them: each compressor ranks them once for all budgets, and cuts at each.

Knows compressors by their protocol; asks no answerer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from earmark.engine.arrays import Scores, Waveform
from earmark.engine.compressors.compressor import ClipAndQuestion, Compressor, Excerpt, OpenedClip, Refused
from earmark.engine.corpus import stream
from earmark.engine.corpus.example import Audio
from earmark.engine.design.keys import NOT_ASKED, OK, SILENCE, UNCOMPRESSED
from earmark.engine.design.steps import Arm, Step
from earmark.engine.sweep.blocks import Block
from earmark.engine.sweep.streams import Streams
from earmark.engine.sweep.sweep_folder import SweepFolder
from earmark.engine.sweep.windows import ScoreKey

Compressors = Mapping[tuple[str, int], Compressor]  # by method and seed
_WITHOUT_COMPRESSOR = (UNCOMPRESSED, SILENCE)


@dataclass(frozen=True, slots=True)
class Silence:
    """A recording of nothing. Those of one length are equal, and so are answered about once."""

    samples: int

    @property
    def name(self) -> str:
        return f"{self.samples} samples of silence"

    def waveform(self) -> Waveform:
        return np.zeros(self.samples, dtype=np.float32)


class Offer(NamedTuple):
    """What may be heard of an example, or why nothing can be."""

    excerpt: Excerpt | None
    clip: OpenedClip | None
    status: str


class Clips:
    """The clips of a block, each once; `held` are those that were opened before."""

    def __init__(
        self, block: Block, clips: Sequence[stream.Clip], held: Mapping[Audio, OpenedClip] = MappingProxyType({})
    ) -> None:
        self.block = block
        self.clips = clips
        opened = dict(held)
        for clip in clips:
            if clip.audio is not None and clip.example.audio not in opened:
                opened[clip.example.audio] = OpenedClip(clip.example.audio.name, clip.audio)
        self._opened = opened
        self._whole: dict[Silence, Excerpt] = {}

    def opened(self, number: int) -> OpenedClip | None:
        """The clip of an example; None where its recording cannot be heard."""
        return self._opened.get(self.clips[number].example.audio)

    def whole(self, audio: OpenedClip | Silence) -> Excerpt:
        """All of a clip or of as much silence, hashed once."""
        if isinstance(audio, OpenedClip):
            return audio.whole()
        if audio not in self._whole:
            self._whole[audio] = Excerpt.of(audio, audio.waveform())
        return self._whole[audio]

    def with_questions(self, arm: Arm, compressor: Compressor, streams: Streams) -> list[ClipAndQuestion]:
        """What a compressor is shown in a stream: every clip that can be heard."""
        shown = []
        for number, clip in enumerate(self.clips):
            opened = self.opened(number)
            if opened is not None:
                question = streams.selectors(arm.stream, self.block.first + number, clip.example.question)
                shown.append(
                    ClipAndQuestion(clip.example.sample_id, opened, question.text, tuple(question.choices))
                    if compressor.reads_question
                    else ClipAndQuestion(clip.example.sample_id, opened, None)
                )
        return shown


def offers(
    folder: SweepFolder, step: Step, steps: Sequence[Step], clips: Clips, compressors: Compressors, streams: Streams
) -> dict[tuple[Arm, int], Offer]:
    """What each arm of a step lets through of each example of a block, by the example's number in it.

    `steps` are all of the sweep: its scores are kept for those of a kind together.
    """
    scores: Mapping[ScoreKey, Scores] = {}
    if any(arm.method not in _WITHOUT_COMPRESSOR for arm in step.arms):
        arms = dict.fromkeys(arm for other in steps if other.ranked_with == step.ranked_with for arm in other.arms)
        ranked = [arm for arm in arms if arm.method not in _WITHOUT_COMPRESSOR]
        scores = _scores(folder, step, ranked, clips, compressors, streams)
    by_arm: dict[tuple[Arm, int], Offer] = {}
    for arm, budget in step.places:
        excerpts: Iterator[Excerpt | Refused] = iter(())
        if arm.method not in _WITHOUT_COMPRESSOR:
            compressor = compressors[arm.method, arm.seed]
            shown = clips.with_questions(arm, compressor, streams)
            excerpts = compressor.excerpts(shown, [scores[arm, subject.sample_id] for subject in shown], budget)
        for number, clip in enumerate(clips.clips):
            opened = clips.opened(number)
            if opened is None:
                by_arm[arm, number] = Offer(None, None, f"audio: {clip.status}")
            elif arm.method in _WITHOUT_COMPRESSOR:
                heard = Silence(len(opened.audio)) if arm.method == SILENCE else opened
                by_arm[arm, number] = Offer(clips.whole(heard), opened, OK)
            else:
                excerpt = next(excerpts)
                if isinstance(excerpt, Refused):
                    by_arm[arm, number] = Offer(None, opened, excerpt.status)
                else:
                    by_arm[arm, number] = Offer(excerpt, opened, OK)
    return by_arm


def without_failed(
    offered: Mapping[tuple[Arm, int], Offer], clips: Clips, failed: Mapping[Arm, Mapping[str, str]]
) -> dict[tuple[Arm, int], Offer]:
    """The offers that are asked about: not those of examples whose raw answer failed. `failed` has the statuses of
    these, by the arm that is compared with them and by sample.
    """
    asked_about = dict(offered)
    for arm, number in offered:
        status = failed.get(arm, {}).get(clips.clips[number].example.sample_id)
        if status is not None:
            asked_about[arm, number] = Offer(None, clips.opened(number), f"{NOT_ASKED}{status}")
    return asked_about


def _scores(
    folder: SweepFolder, step: Step, arms: Sequence[Arm], clips: Clips, compressors: Compressors, streams: Streams
) -> Mapping[ScoreKey, Scores]:
    """The scores of a block for all steps of a kind; compressors are asked at the first of them only."""
    shown = {arm: clips.with_questions(arm, compressors[arm.method, arm.seed], streams) for arm in arms}
    identities = {f"{arm.method}/{arm.seed}": compressors[arm.method, arm.seed].identity for arm in arms}
    subjects = [(arm, clip.sample_id) for arm in arms for clip in shown[arm]]
    kind, wanted = step.ranked_with, None if step.kind == "walk" else subjects  # a walk asks about parts of blocks
    scores = folder.windows.scores(kind, clips.block.number, wanted, identities)
    lacking = {arm: [clip for clip in shown[arm] if (arm, clip.sample_id) not in scores] for arm in arms}
    if any(lacking.values()):
        for arm in arms:
            ranked = compressors[arm.method, arm.seed].rank(lacking[arm]) if lacking[arm] else ()
            for subject, of_one in zip(lacking[arm], ranked, strict=True):
                scores[arm, subject.sample_id] = np.asarray(of_one, dtype=np.float64)
        folder.windows.write_scores(kind, clips.block.number, scores, identities)
    return scores
