"""What an answerer would hear of recordings: any compressor at one budget, recording by recording.

Knows files, clips and compressors; writes nothing.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earmark.engine.arrays import Waveform
from earmark.engine.compressors.compressor import ClipAndQuestion, Compressor, Excerpt, OpenedClip, Refused, samples_at
from earmark.engine.compressors.loading import EMBEDDED, loader
from earmark.engine.compressors.scoring import AT_ONCE
from earmark.engine.corpus import decode
from earmark.engine.corpus.clip import clip
from earmark.engine.corpus.example import SAMPLE_RATE, AudioError
from earmark.engine.design.compressors import AV, BUILT_IN, CHOOSING, CHUNKS, WAVE_NAMES, share_of
from earmark.engine.design.fields import fields_of
from earmark.engine.design.sections import HEURISTICS, MachineSpec, MethodSpec
from earmark.engine.errors import InputError, choose


@dataclass(frozen=True, slots=True)
class HeardRecording:
    """One recording, and what is heard of it, or why nothing is."""

    path: Path
    seconds: float | None = None  # of its clip
    excerpt: Excerpt | None = None
    status: str = ""  # why nothing is heard

    @property
    def samples(self) -> Waveform:
        """What is heard, at 16 kHz."""
        assert self.excerpt is not None, "nothing is heard where there is a status"
        return samples_at(self.excerpt.wave.audio.waveform(), self.excerpt.wave.places)

    def content(self) -> dict[str, Any]:
        """As JSON has it. `kbps` is what was sent for each second of the recording; null where nobody knows."""
        if self.excerpt is None or self.seconds is None:
            return {"audio": str(self.path), "status": self.status}
        bits = self.excerpt.bits
        return {
            "audio": str(self.path),
            "seconds": self.seconds,
            "heard_seconds": self.excerpt.wave.n_samples / SAMPLE_RATE,
            "bits": bits,
            "kbps": None if bits is None else bits / self.seconds / 1000,
            "hash": self.excerpt.hash,
        }


def method_of(name: str) -> MethodSpec:
    """The method that a name stands for by itself: a compressor's, a heuristic's, a selector's, module:function."""
    known = f"name one: {', '.join((*HEURISTICS, *EMBEDDED, *WAVE_NAMES))}"
    if name in CHOOSING:
        raise InputError(f"method {name}", "needs a selector that says which", known)
    try:
        fields_of(MethodSpec)["compressor"].check(name)
    except (TypeError, ValueError):  # empty, or bytes that are not UTF-8
        raise InputError(f"method '{name}'", "names no compressor", known) from None
    if name == AV:
        raise InputError(f"method '{name}'", "names no encoder of FFmpeg", "write av:libopus")
    if name in (*HEURISTICS, *EMBEDDED) or (name not in BUILT_IN and (name.endswith(".onnx") or os.path.isdir(name))):
        return MethodSpec(name=name, compressor=CHUNKS, selector=name)
    return MethodSpec(name=name, compressor=name)


def method_among(methods: Sequence[MethodSpec], name: str) -> MethodSpec:
    """The method of a spec by its name."""
    for method in methods:
        if method.name == name:
            return method
    raise InputError(f"method {name}", "is none of the spec", choose(name, [method.name for method in methods]))


def hear(
    paths: Sequence[Path], method: MethodSpec, budget: str, question: str | None = None, seed: int | None = None
) -> Iterator[HeardRecording]:
    """What is heard of every recording, in order; one that cannot be opened or compressed has a status.

    InputError where the compressor cannot be loaded, has no such budget, or reads a question and is given none.
    """
    if method.stage != "waves":
        what = "acts inside an answerer, on what it makes of a clip: there is nothing to listen to"
        raise InputError(f"method {method.name}", what, "compare its answers with `earmark run`")
    share = share_of(budget, method.kind)
    with tempfile.TemporaryDirectory() as place, loader(Path(place), MachineSpec(wave_mib=0)) as load:
        compressor = load(method, method.seeds[0] if seed is None else seed)
        if compressor.reads_question and question is None:
            raise InputError(f"method {method.name}", "reads the question", "give one (--question)")
        for first in range(0, len(paths), AT_ONCE):
            yield from _heard(paths[first : first + AT_ONCE], compressor, share, question)


def _heard(
    paths: Sequence[Path], compressor: Compressor, share: float, question: str | None
) -> Iterator[HeardRecording]:
    opened = [_opened(path) for path in paths]
    clips = [ClipAndQuestion(c.name, c, question) for c in opened if isinstance(c, OpenedClip)]
    excerpts = iter(compressor.excerpts(clips, compressor.rank(clips), share) if clips else ())
    for path, recording in zip(paths, opened, strict=True):
        if isinstance(recording, str):
            yield HeardRecording(path, status=recording)
            continue
        seconds = len(recording.audio) / SAMPLE_RATE
        excerpt = next(excerpts)
        if isinstance(excerpt, Refused):
            yield HeardRecording(path, seconds, status=excerpt.status)
        else:
            yield HeardRecording(path, seconds, excerpt)


def _opened(path: Path) -> OpenedClip | str:
    """The clip of a recording, or why there is none."""
    try:
        return OpenedClip(path.stem, clip(decode.waveform(str(path))))
    except AudioError as error:
        return str(error)
