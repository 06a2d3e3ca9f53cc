"""What a run keeps to listen to: the texts of questions that flipped, and clips of some, raw and compressed.

    RUN/clips/index.json     the questions, what was heard of each, and the files
    RUN/clips/HASH.flac      a clip, named by the hash of what was heard

Reads and describes them, and puts them into a certificate. Makes no clip.
"""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from earmark.engine.design.fields import BUDGET, COUNT, SHA256, Form
from earmark.engine.errors import InputError
from earmark.engine.outcomes.input_file import InputFile
from earmark.engine.reading import check_place, parse_json, read_bytes
from earmark.engine.signoff.certificate import Certificate
from earmark.engine.signoff.flip_entry import CLIP_HASH, CurveFlips, FamilyFlips, FlippedQuestion
from earmark.engine.signoff.json_form import from_json

FOLDER = "clips"
INDEX = f"{FOLDER}/index.json"
CLIPS_SCHEMA: Literal["earmark.clips/1"] = "earmark.clips/1"
MOST_CLIP_BYTES = 1 << 23  # of one: 120 s are half of it
MOST_FLIPS_KEPT = 1 << 14  # files of an index, and questions
_MOST_INDEX_BYTES = 1 << 25
_AGAIN = "remove the folder clips, and run the same command again"
_HASH = Form(CLIP_HASH, "a hash of what was heard, 32 hexadecimal digits")


class HeardExcerpt(NamedTuple):
    """What was heard of a question's recording under one method."""

    method: Annotated[str, "what compressed it"]
    seed: Annotated[int, "training seed", COUNT]
    budget: Annotated[float, "share that was kept", BUDGET]
    hash: Annotated[str | None, "of what was heard"]
    kept_chunks: Annotated[tuple[int, ...] | None, "that were kept; null where none were chosen", COUNT]


class KeptQuestion(NamedTuple):
    """The text of a question that flipped, and what was heard of its recording."""

    corpus: Annotated[str, "of the question"]
    sample_id: Annotated[str, "its name"]
    question: Annotated[str, "its text"]
    options: Annotated[tuple[str, ...], "their texts, in the order of the letters"]
    raw_hash: Annotated[str | None, "of raw audio as it was heard"]
    excerpts: Annotated[tuple[HeardExcerpt, ...], "where it flipped"]


class KeptClip(NamedTuple):
    """One file: clips/HASH.flac."""

    hash: Annotated[str, "of what was heard", _HASH]
    sha256: Annotated[str, "of the file", SHA256]

    @property
    def path(self) -> str:
        """Of the file, relative to the run folder."""
        return clip_path(self.hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipIndex:
    """clips/index.json: the questions of a certificate's flips, and the clips that are kept of them."""

    schema: Annotated[Literal["earmark.clips/1"], "of this file"]
    questions: Annotated[tuple[KeptQuestion, ...], "that flipped"]
    clips: Annotated[tuple[KeptClip, ...], "files, by hash"]


def clip_path(hash_: str) -> str:
    """The file of what was heard, relative to the run folder."""
    return f"{FOLDER}/{hash_}.flac"


def read_index(run: Path) -> tuple[ClipIndex, InputFile] | None:
    """The index of a run's clips and its file; None where the run keeps none. Raises InputError."""
    path = run / INDEX
    check_place(path, run)
    if not os.path.lexists(path):
        return None
    data = read_bytes(path, _AGAIN, _MOST_INDEX_BYTES, INDEX)
    index = from_json(ClipIndex, parse_json(data, INDEX, _AGAIN), INDEX)
    if max(len(index.questions), len(index.clips)) > MOST_FLIPS_KEPT:
        raise InputError(INDEX, f"names more than {MOST_FLIPS_KEPT:,} questions or files", _AGAIN)
    if len({clip.hash for clip in index.clips}) < len(index.clips):
        raise InputError(INDEX, "names a clip twice", _AGAIN)
    return index, InputFile(INDEX, hashlib.sha256(data).hexdigest(), len(index.questions))


def read_clip(run: Path, path: str) -> bytes:
    """The bytes of a clip by its path in a run folder; InputError where it is a link, no file or too large."""
    check_place(run / path, run)
    return read_bytes(run / path, _AGAIN, MOST_CLIP_BYTES, path)


def checked_clip(run: Path, clip: KeptClip) -> InputFile:
    """The file of a clip; InputError where it is gone, or another one than the index names."""
    if hashlib.sha256(read_clip(run, clip.path)).hexdigest() != clip.sha256:
        raise InputError(clip.path, f"is not the file that {INDEX} names", _AGAIN)
    return InputFile(clip.path, clip.sha256, 1)


def interest(certificate: Certificate, flips: CurveFlips) -> int:
    """The place of flips among others: 0 of candidates that are refused, 1 of approved ones, 2 of other methods."""
    place = (flips.answerer, flips.corpus, flips.method)
    approved = {shipped.candidate for shipped in certificate.claim.approved}
    for candidate in certificate.claim.candidates:
        if (candidate.answerer, candidate.corpus, candidate.method) == place and flips.seed in candidate.seeds:
            return 1 if candidate.name in approved else 0
    return 2


def count(certificate: Certificate) -> int:
    """How many clips a certificate names."""
    return sum(file.path.endswith(".flac") for file in certificate.inputs)


def attach(certificate: Certificate, run: Path) -> Certificate:
    """The certificate with the texts and clips that the run keeps of its flips, and their files among its inputs.

    Nothing is added where no question of its flips is kept. InputError where a file is not what the index names.
    """
    inputs = [file for file in certificate.inputs if not file.path.startswith(f"{FOLDER}/")]
    there = read_index(run) if certificate.flips else None
    if there is None:
        return replace(certificate, inputs=tuple(inputs))
    index, file = there
    kept = _Kept(index)
    flips = tuple(kept.of_curve(flips) for flips in certificate.flips)
    if not kept.used:
        return replace(certificate, inputs=tuple(inputs))
    used = [checked_clip(run, clip) for clip in index.clips if clip.path in kept.used]
    return replace(certificate, flips=flips, inputs=tuple(sorted([*inputs, file, *used])))


class _Kept:
    """Texts and clips of an index; `used` has the paths of those that a question has."""

    def __init__(self, index: ClipIndex) -> None:
        self._texts = {(question.corpus, question.sample_id): question for question in index.questions}
        self._hashes = {clip.hash for clip in index.clips}
        self.used: set[str] = set()

    def of_curve(self, flips: CurveFlips) -> CurveFlips:
        families = tuple(self._of_family(flips.corpus, family) for family in flips.families)
        return replace(flips, families=families)

    def _of_family(self, corpus: str, family: FamilyFlips) -> FamilyFlips:
        return family._replace(questions=tuple(self._of_question(corpus, question) for question in family.questions))

    def _of_question(self, corpus: str, question: FlippedQuestion) -> FlippedQuestion:
        text = self._texts.get((corpus, question.sample_id))
        if text is None:
            return replace(question, question=None, options=None, raw_clip=None, clip=None)
        self.used.add(INDEX)
        return replace(
            question,
            question=text.question,
            options=text.options,
            raw_clip=self._clip(question.raw_hash),
            clip=self._clip(question.hash),
        )

    def _clip(self, hash_: str | None) -> str | None:
        if hash_ not in self._hashes:
            return None
        path = clip_path(str(hash_))
        self.used.add(path)
        return path
