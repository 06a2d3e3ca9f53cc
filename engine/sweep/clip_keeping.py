"""Keeps what a certificate's flips sounded like: the texts of the questions, and a few clips, raw and compressed.

Asks compressors once more, about these few recordings, and keeps only what has the very hash that was answered about.
Knows no report; `signoff.kept_clips` describes the files.
"""

import hashlib
import io
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from earmark.engine import files
from earmark.engine.arrays import Waveform
from earmark.engine.compressors.compressor import ClipAndQuestion, Excerpt, OpenedClip, Refused, samples_at
from earmark.engine.compressors.loading import LoadCompressor, loader
from earmark.engine.corpus.clip import as_16_bits
from earmark.engine.corpus.example import SAMPLE_RATE, Example
from earmark.engine.corpus.stream import hear
from earmark.engine.design.spec import Spec
from earmark.engine.extras import needs_extra
from earmark.engine.progress import Report, silent
from earmark.engine.reading import files_below
from earmark.engine.signoff.certificate import Certificate
from earmark.engine.signoff.flip_entry import CLIP_HASH, CurveFlips, FlippedQuestion
from earmark.engine.signoff.json_form import to_json
from earmark.engine.signoff.kept_clips import (
    CLIPS_SCHEMA,
    FOLDER,
    INDEX,
    ClipIndex,
    HeardExcerpt,
    KeptClip,
    KeptQuestion,
    attach,
    clip_path,
    interest,
    read_index,
)
from earmark.engine.sweep.blocks import in_order
from earmark.engine.sweep.offers import Compressors
from earmark.engine.sweep.prepare import prepare
from earmark.engine.withheld import withheld


class _Flip(NamedTuple):
    """A question that flipped, and where."""

    where: CurveFlips
    question: FlippedQuestion
    is_wave: bool  # what was heard; not what is left of an encoder's output

    @property
    def hashes(self) -> tuple[str | None, ...]:
        """Of what can be listened to."""
        return (self.question.raw_hash, self.question.hash) if self.is_wave else (self.question.raw_hash,)

    @property
    def name(self) -> tuple[str, str]:
        return self.where.corpus, self.question.sample_id

    @property
    def excerpt(self) -> HeardExcerpt:
        where, question = self.where, self.question
        return HeardExcerpt(where.method, where.seed, where.budget, question.hash, question.kept_chunks)


def keep_clips(
    spec: Spec,
    run: Path,
    certificate: Certificate,
    *,
    load_compressor: LoadCompressor | None = None,
    report: Report = silent,
    note: Callable[[str], None] = silent,
) -> Certificate:
    """The certificate with what its run folder keeps to listen to, which is written there, where the spec keeps any.

    What is there already is not made again. `note` is told of clips that do not sound as they did when they were
    answered about: these are not kept. A preview keeps none.
    """
    flips = _in_order_of_interest(certificate, {method.name for method in spec.methods if method.stage == "waves"})
    if not spec.audits.clips or certificate.preview is not None or not flips:
        return certificate
    hearable = _hearable(flips, spec.audits.clips)
    if not _is_kept(run, flips, hearable):
        with (
            withheld(spec.key_variables),
            loader(run, replace(spec.machine, wave_mib=0)) as load,
            needs_extra("keeping clips", "audio"),
        ):
            report("opening the corpus for questions that flipped", 0, 0)
            prepared = prepare(spec, run, load_compressor or load)
            names = {flip.question.sample_id for flip in flips}
            examples = {e.sample_id: e for e in in_order(prepared.corpus) if e.sample_id in names}
            kept = _keep(run, hearable, examples, prepared.compressors, report, note)
        _write_index(run, ClipIndex(schema=CLIPS_SCHEMA, questions=_questions(flips, examples), clips=kept))
    return attach(certificate, run)


def _in_order_of_interest(certificate: Certificate, of_waves: Collection[str]) -> list[_Flip]:
    """Every question that the certificate names: refused candidates' before others, the first of each family first.

    `of_waves` are the methods that make waves.
    """
    ranked = [
        ((interest(certificate, where), rank), _Flip(where, question, where.method in of_waves))
        for where in certificate.flips
        for family in where.families
        for rank, question in enumerate(family.questions)
    ]
    return [flip for _, flip in sorted(ranked, key=lambda entry: entry[0])]


def _hearable(flips: Sequence[_Flip], most: int) -> list[_Flip]:
    """The flips about the first so many recordings, those about a recording together."""
    with_hashes = [flip for flip in flips if all(map(_is_hash, flip.hashes))]
    place: dict[str | None, int] = {}
    for flip in with_hashes:
        place.setdefault(flip.question.raw_hash, len(place))
    chosen = [flip for flip in with_hashes if place[flip.question.raw_hash] < most]
    return sorted(chosen, key=lambda flip: place[flip.question.raw_hash])


def _is_hash(text: str | None) -> bool:
    return text is not None and re.fullmatch(CLIP_HASH, text) is not None


def _is_kept(run: Path, flips: Sequence[_Flip], hearable: Sequence[_Flip]) -> bool:
    """Whether the run keeps just these questions and clips already."""
    there = read_index(run)
    if there is None:
        return False
    index, _ = there
    names = {(question.corpus, question.sample_id): question.excerpts for question in index.questions}
    hashes = {hash_ for flip in hearable for hash_ in flip.hashes}
    return names == _excerpts(flips) and {clip.hash for clip in index.clips} == hashes


def _excerpts(flips: Sequence[_Flip]) -> dict[tuple[str, str], tuple[HeardExcerpt, ...]]:
    """What was heard of each question, by its corpus and name."""
    excerpts: dict[tuple[str, str], dict[HeardExcerpt, None]] = {}
    for flip in flips:
        excerpts.setdefault(flip.name, {}).setdefault(flip.excerpt)
    return {name: tuple(excerpts[name]) for name in sorted(excerpts)}


def _questions(flips: Sequence[_Flip], examples: Mapping[str, Example]) -> tuple[KeptQuestion, ...]:
    """The questions of an index, by name."""
    raw_hash = {flip.name: flip.question.raw_hash for flip in flips}
    return tuple(
        KeptQuestion(corpus, name, question.text, tuple(question.choices), raw_hash[corpus, name], excerpts)
        for (corpus, name), excerpts in _excerpts(flips).items()
        for question in (examples[name].question,)
    )


def _keep(
    run: Path,
    hearable: Sequence[_Flip],
    examples: Mapping[str, Example],
    compressors: Compressors,
    report: Report,
    note: Callable[[str], None],
) -> tuple[KeptClip, ...]:
    """Write the clips of these flips, recording by recording; returns their files by hash."""
    recordings = [list(group) for _, group in groupby(hearable, key=lambda flip: flip.question.raw_hash)]
    kept: dict[str, KeptClip] = {}
    for n_done, group in enumerate(recordings):
        report("keeping clips to listen to", n_done, len(recordings))
        for label, wanted, excerpt in _heard(group, examples, compressors):
            if excerpt is None or excerpt.hash != wanted:
                note(f"{label} is not what was answered about: it is not kept")
            elif wanted not in kept:
                data = _flac(samples_at(excerpt.wave.audio.waveform(), excerpt.wave.places))
                files.write_files(run, {clip_path(wanted): data})
                kept[wanted] = KeptClip(wanted, hashlib.sha256(data).hexdigest())
    return tuple(kept[hash_] for hash_ in sorted(kept))


def _heard(
    group: Sequence[_Flip], examples: Mapping[str, Example], compressors: Compressors
) -> Iterator[tuple[str, str, Excerpt | None]]:
    """What is heard of one recording, raw and under every method of its flips: words, the hash wanted, the excerpt."""
    example = examples[group[0].question.sample_id]
    audio, _ = hear(example.audio)
    clip = None if audio is None else OpenedClip(example.audio.name, audio)
    raw = None if clip is None else Excerpt.of(clip, clip.audio)
    yield f"the recording of {example.sample_id}", str(group[0].question.raw_hash), raw
    for flip in filter(lambda flip: flip.is_wave, group):
        label = f"{flip.where.method}'s version of {flip.question.sample_id}"
        excerpt = None
        if clip is not None:
            excerpt = _compressed(flip, clip, examples[flip.question.sample_id], compressors)
        yield label, str(flip.question.hash), excerpt


def _compressed(flip: _Flip, clip: OpenedClip, example: Example, compressors: Compressors) -> Excerpt | None:
    """What is left of a clip: the chunks that were kept, or what its compressor makes of it again."""
    if flip.question.kept_chunks is not None:
        return clip.seconds(flip.question.kept_chunks)
    compressor = compressors[flip.where.method, flip.where.seed]
    text = example.question.text if compressor.reads_question else None
    shown = [ClipAndQuestion(example.sample_id, clip, text)]
    excerpt = next(compressor.excerpts(shown, compressor.rank(shown), flip.where.budget))
    return None if isinstance(excerpt, Refused) else excerpt


def _flac(samples: Waveform) -> bytes:
    """A clip as a FLAC file of 16 bits."""
    import soundfile

    sink = io.BytesIO()
    soundfile.write(sink, as_16_bits(samples), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return sink.getvalue()


def _write_index(run: Path, index: ClipIndex) -> None:
    """Write the index, and remove clips that it does not name."""
    named = {clip.path for clip in index.clips}
    there = [
        path.relative_to(run).as_posix()
        for path in files_below(run / FOLDER, ".flac", run, "move it away")
        if re.fullmatch(f"{CLIP_HASH}.flac", path.name)
    ]
    content = json.dumps(to_json(index), indent=1, ensure_ascii=False) + "\n"
    files.write_files(run, {INDEX: content.encode()} | {path: None for path in there if path not in named})
