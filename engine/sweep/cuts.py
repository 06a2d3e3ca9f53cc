"""From a window's clips to what may be heard of them: scores, once for all budgets, and the chunks each cell keeps.

Knows selectors and interfaces; asks no answerer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from earmark.engine.answerers.request import Excerpt
from earmark.engine.arrays import IntArray, Scores, Waveform
from earmark.engine.compressors.chunks.cutting import keep_chunks, kept_chunks
from earmark.engine.compressors.chunks.selector import Selector, SelectorInput
from earmark.engine.corpus import stream
from earmark.engine.corpus.clip import chunk_count
from earmark.engine.corpus.example import Audio
from earmark.engine.design.keys import NOT_ASKED, OK, SILENCE, UNCOMPRESSED
from earmark.engine.design.steps import Arm, Step
from earmark.engine.sweep.blocks import Block
from earmark.engine.sweep.streams import Streams
from earmark.engine.sweep.sweep_folder import SweepFolder

SCORES_ROW = pa.schema(
    [
        ("method", pa.string()),
        ("seed", pa.int64()),
        ("stream", pa.string()),
        ("sample_id", pa.string()),
        ("scores", pa.list_(pa.float64())),  # one per chunk
    ]
)

Selectors = Mapping[tuple[str, int], Selector]  # by method and seed
_NO_SELECTOR = (UNCOMPRESSED, SILENCE)  # methods that choose nothing


@dataclass(frozen=True, slots=True)
class OpenedClip:
    """A clip that is in memory already, as an answerer opens it."""

    name: str
    number: int  # in its window
    audio: Waveform = field(compare=False, repr=False)

    def waveform(self) -> Waveform:
        return self.audio


@dataclass(frozen=True, slots=True)
class Silence:
    """A recording of nothing. Those of one length are equal, and so are answered about once."""

    samples: int

    @property
    def name(self) -> str:
        return f"{self.samples} samples of silence"

    def waveform(self) -> Waveform:
        return np.zeros(self.samples, dtype=np.float32)


class Cut(NamedTuple):
    """What may be heard of an example, or why nothing can be."""

    excerpt: Excerpt | None
    total: int  # chunks of the clip
    status: str


class Clips:
    """The clips of a window, each once, and what was kept of them."""

    def __init__(self, block: Block, heard: Sequence[stream.Clip]) -> None:
        self.block = block
        self.heard = heard
        opened: dict[Audio, OpenedClip] = {}
        for clip in heard:
            if clip.audio is not None and clip.example.audio not in opened:
                opened[clip.example.audio] = OpenedClip(clip.example.audio.name, len(opened), clip.audio)
        self._opened = opened
        self._made: dict[tuple[int, bytes], Excerpt] = {}
        self._silence: dict[int, Excerpt] = {}

    def kept(self, number: int, chunks: IntArray) -> Excerpt:
        """These chunks of an example's clip; equal ones are cut and hashed once."""
        opened = self._opened[self.heard[number].example.audio]
        key = opened.number, chunks.tobytes()
        if key not in self._made:
            self._made[key] = Excerpt.of(opened, keep_chunks(opened.audio, chunks))
        return self._made[key]

    def silent(self, number: int) -> Excerpt:
        """As much silence as an example's clip is long."""
        audio = self.heard[number].audio
        assert audio is not None, "there is a clip"
        if len(audio) not in self._silence:
            silence = Silence(len(audio))
            waveform = silence.waveform()
            chunks = np.arange(chunk_count(waveform), dtype=np.int64)
            self._silence[len(audio)] = Excerpt.of(silence, keep_chunks(waveform, chunks))
        return self._silence[len(audio)]


def choose(
    folder: SweepFolder, step: Step, clips: Clips, selectors: Selectors, streams: Streams
) -> dict[tuple[Arm, int], Cut]:
    """What each curve keeps of each example of a window at the level's budget."""
    scores = _scores(folder, step, clips, selectors, streams)
    cuts: dict[tuple[Arm, int], Cut] = {}
    for arm in step.arms:
        for number, clip in enumerate(clips.heard):
            if clip.audio is None:
                cuts[arm, number] = Cut(None, 0, f"audio: {clip.status}")
                continue
            total = chunk_count(clip.audio)
            if arm.method == SILENCE:
                cuts[arm, number] = Cut(clips.silent(number), total, OK)
                continue
            k = kept_chunks(step.budget, total)
            if arm.method == UNCOMPRESSED:
                chunks = np.arange(total, dtype=np.int64)
            else:
                of_clip = scores[arm, clip.example.sample_id]
                chunks = selectors[arm.method, arm.seed].keep(of_clip, k)
            cuts[arm, number] = Cut(clips.kept(number, chunks), total, OK)
    return cuts


def without_failed(
    chosen: Mapping[tuple[Arm, int], Cut], clips: Clips, failed: Mapping[Arm, Mapping[str, str]]
) -> dict[tuple[Arm, int], Cut]:
    """What is asked about: not the examples whose raw answer failed. `failed` has their statuses, by the curve that is
    compared with them and by sample.
    """
    cuts = dict(chosen)
    for (arm, number), kept in chosen.items():
        raw = failed.get(arm, {}).get(clips.heard[number].example.sample_id)
        if raw is not None:
            cuts[arm, number] = Cut(None, kept.total, f"{NOT_ASKED}{raw}")
    return cuts


def _scores(
    folder: SweepFolder, step: Step, clips: Clips, selectors: Selectors, streams: Streams
) -> dict[tuple[Arm, str], Scores]:
    """The scores of a window; selectors are asked at the first budget of a phase only."""
    arms = [arm for arm in step.arms if arm.method not in _NO_SELECTOR]
    if not arms:
        return {}
    phase, number = step.name.partition("-")[0], clips.block.number
    table = folder.scores(phase, number)
    if table is None:
        table = _asked(arms, clips, selectors, streams)
        folder.write_scores(phase, number, table)
    names = zip(*(table[name].to_pylist() for name in ("method", "seed", "stream", "sample_id")), strict=True)
    values = table["scores"]
    return {
        (Arm(method, seed, stream_), sample_id): values[row].values.to_numpy()
        for row, (method, seed, stream_, sample_id) in enumerate(names)
    }


def _asked(arms: Sequence[Arm], clips: Clips, selectors: Selectors, streams: Streams) -> pa.Table:
    rows = []
    for arm in arms:
        selector = selectors[arm.method, arm.seed]
        shown = []
        for number, heard in enumerate(clips.heard):
            if heard.audio is not None:
                question = streams.selectors(arm.stream, clips.block.first + number, heard.example.question)
                shown.append(
                    SelectorInput(heard.example.sample_id, heard.audio, question.text if selector.asks else None)
                )
        for clip, scores in zip(shown, selector.scores(shown), strict=True):
            rows.append({**arm._asdict(), "sample_id": clip.sample_id, "scores": scores})
    return pa.Table.from_pylist(rows, schema=SCORES_ROW)
