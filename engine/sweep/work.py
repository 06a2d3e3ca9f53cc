"""One window at one level: questions and what may be heard go to the answerer, rows come back.

A window is answered whole or not at all, and knows only what it was itself answered before: so its batches, and with
them the last bits of every likelihood, are the same however often the sweep is killed and wherever its windows run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from earmark.engine.answerers import journal
from earmark.engine.answerers.answer_all import answer_all
from earmark.engine.answerers.answerer import Answerer
from earmark.engine.answerers.prompt import letters
from earmark.engine.answerers.request import Answer, Progress, Request
from earmark.engine.design.keys import OK, SILENCE
from earmark.engine.design.steps import Arm, Step
from earmark.engine.progress import Stop, StoppedError
from earmark.engine.sweep.cuts import Clips, Cut
from earmark.engine.sweep.streams import Streams
from earmark.engine.sweep.sweep_folder import PENDING_ROW

Choices = Mapping[tuple[Arm, int], Cut]


def requests(step: Step, clips: Clips, chosen: Choices, streams: Streams) -> Iterator[Request]:
    """What is asked about a window at a level: a request per curve and example that can be heard."""
    for place, arm in enumerate(step.arms):
        for number, clip in enumerate(clips.heard):
            heard = chosen[arm, number].excerpt
            if heard is not None:
                question = streams.answerers(arm.stream, clips.block.first + number, clip.example.question)
                yield Request(_id(place, number), heard, question)


def answer(
    answerer: Answerer, requests: Sequence[Request], results: Path, report: Callable[[Progress], None], stop: Stop
) -> dict[str, Answer]:
    """The answers of a block by request, or StoppedError. `results` holds those of earlier steps."""
    with journal.opened(results, answerer.identity) as known:
        answers = {answer.id: answer for answer in answer_all(answerer, requests, known, report, stop)}
    if len(answers) < len(requests):
        raise StoppedError
    return answers


def rows(
    step: Step,
    clips: Clips,
    chosen: Choices,
    streams: Streams,
    answers: Mapping[str, Answer],
    family_of: Mapping[str, str],
) -> pa.Table:
    """A row per curve and example, whatever came of it."""
    row_dicts = []
    for place, arm in enumerate(step.arms):
        for number, clip in enumerate(clips.heard):
            example, kept = clip.example, chosen[arm, number]
            question = streams.answerers(arm.stream, clips.block.first + number, example.question)
            answer_ = answers.get(_id(place, number))
            status = kept.status if answer_ is None else answer_.status
            label = answer_.predicted_label if answer_ is not None and status == OK else None
            right = letters(len(question.choices))[question.answer]
            excerpt = kept.excerpt
            chunks = None if excerpt is None else () if arm.method == SILENCE else excerpt.chunks  # none of the clip's
            row_dicts.append(
                {
                    **arm._asdict(),
                    "sample_id": example.sample_id,
                    "source_id": example.source_id,
                    "query_family": family_of[example.sample_id],
                    "loss": float(label != right) if status == OK else None,
                    "nll": answer_.nll if answer_ is not None else None,
                    "num_audio_tokens": answer_.num_audio_tokens if answer_ is not None else None,
                    "predicted_label": label,
                    "correct_label": right,
                    "n_options": len(question.choices),
                    "chunks_total": kept.total if excerpt is not None else None,
                    "chunks_kept": len(chunks) if chunks is not None else None,
                    "kept_chunks": chunks or None,
                    "kept_hash": excerpt.hash if excerpt is not None else None,
                    "status": status,
                }
            )
    return pa.Table.from_pylist(row_dicts, schema=PENDING_ROW)


def _id(arm: int, example: int) -> str:
    return f"{arm}/{example}"
