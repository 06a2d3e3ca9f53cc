"""The types of `flips[]`: questions that were right on raw audio and wrong on compressed audio, as JSON has them.

Types only; `flips` chooses the questions, `kept_clips` knows their texts and clips. docs/certificate.md says more.
"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

from earmark.engine.design.fields import BUDGET, COUNT, Form, Number
from earmark.engine.signoff.result_entry import ResultKey

CLIP_HASH = "[0-9a-f]{32}"
_CLIP_FILE = Form(f"clips/{CLIP_HASH}\\.flac", "clips/HASH.flac")
_SECONDS = Number(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlippedQuestion:
    """One question that was right on raw audio and wrong on compressed audio."""

    sample_id: Annotated[str, "its name"]
    raw_answer: Annotated[str | None, "on raw audio; null where answers are not known"]
    answer: Annotated[str | None, "on compressed audio; null where there is none, or it could not be parsed"]
    right_answer: Annotated[str | None, "the right one; null where it is not known"]
    raw_seconds: Annotated[float | None, "of raw audio that were heard", _SECONDS]
    seconds: Annotated[float | None, "of compressed audio that were heard", _SECONDS]
    chunks: Annotated[int | None, "chunks of the clip; null where none were chosen", COUNT]
    kept_chunks: Annotated[tuple[int, ...] | None, "those that were kept; null where none were chosen", COUNT]
    raw_hash: Annotated[str | None, "of raw audio as it was heard"]
    hash: Annotated[str | None, "of compressed audio as it was heard"]
    question: Annotated[str | None, "its text; null where the run keeps none"] = None
    options: Annotated[tuple[str, ...] | None, "their texts, in the order of the letters"] = None
    raw_clip: Annotated[str | None, "the file in the run folder that has raw audio; null: none is kept", _CLIP_FILE] = (
        None
    )
    clip: Annotated[str | None, "... and compressed audio", _CLIP_FILE] = None


class FamilyFlips(NamedTuple):
    """What flipped in a family that does not pass."""

    family: Annotated[str, "its name"]
    n: Annotated[int, "rows", COUNT]
    to_wrong: Annotated[int, "rows that are right on raw audio, and wrong or without an answer on compressed", COUNT]
    to_right: Annotated[int, "rows that are wrong on raw audio and right on compressed", COUNT]
    questions: Annotated[tuple[FlippedQuestion, ...], "the first of those that became wrong, in the constant order"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveFlips(ResultKey):
    """What flipped at the budget at which a result's walk stopped."""

    tolerance: Annotated[float, "the first of the rule"]
    budget: Annotated[float, "at which the walk stopped", BUDGET]
    families: Annotated[tuple[FamilyFlips, ...], "those that do not pass there, the most harmed first"]
