"""What makes the answers of one log hard to believe, each as a plain sentence. It refuses nothing.

Knows rows; no files, and nothing of the log that it is paired with (`pairs` compares two).
"""

from collections import Counter
from collections.abc import Iterator

from earmark.engine.design.keys import OK
from earmark.engine.outcomes.imports.rows import Log, by_task

_CONSTANT = 0.95  # a larger share of one and the same answer is a doubt, unless one right answer is as frequent
_UNPARSED = 0.2  # a larger share of answers that could not be parsed is a doubt


def doubts(log: Log, *, raw: bool, source_told: bool) -> list[str]:
    """All doubts about the log of raw or of compressed audio, task by task where it has several.

    `source_told`: its recordings are named.
    """
    to_raw = " to raw audio" if raw else ""
    sentences = []
    for task, part in by_task(log).items():
        about = f"task '{task}': " if task else ""
        sentences += [
            about + sentence
            for sentence in (
                *_constant(part, to_raw),
                *_unparsed(part, to_raw),
                *_same_loss(part, to_raw),
                *_repeated(part, source_told),
            )
        ]
    return sentences + (_sourceless(log) if source_told else [])


def _constant(log: Log, to_raw: str) -> Iterator[str]:
    rows = [row for row in log.rows if row.status == OK and row.predicted is not None]
    if len(rows) < 2:
        return
    (answer, n), *_ = Counter(row.predicted for row in rows).most_common(1)
    rights = Counter(row.correct for row in rows if row.correct is not None)
    # Where no right answer is known, one that is sometimes right and sometimes wrong tells as much.
    differ = max(rights.values()) <= _CONSTANT * rights.total() if rights else len({row.loss for row in rows}) > 1
    if n > _CONSTANT * len(rows) and differ:
        share = f"every answer{to_raw} is" if n == len(rows) else f"{100 * n // len(rows)}% of the answers{to_raw} are"
        yield f"{share} '{_short(str(answer))}', though the right answers differ; check how answers were parsed"


def _unparsed(log: Log, to_raw: str) -> Iterator[str]:
    rows = [row for row in log.rows if row.status == OK]
    n = sum(row.unparsed for row in rows)
    if n > _UNPARSED * len(rows):
        share = f"{n} of {len(rows)} answers{to_raw}"
        yield f"{share} could not be parsed and count as wrong; check how answers were parsed"


def _same_loss(log: Log, to_raw: str) -> Iterator[str]:
    losses = [row.loss for row in log.rows if row.loss is not None]
    if len(losses) < 2 or len(set(losses)) > 1:
        return
    observation = (
        f"every answer{to_raw} is right" if losses[0] == 0 else f"the loss{to_raw} is {losses[0]:g} in every row"
    )
    yield f"{observation}; check that --metric is the score of a single answer"


def _repeated(log: Log, source_told: bool) -> Iterator[str]:
    """A doubt where one question is asked twice about one recording; about two recordings it may be asked."""
    hashes = {row.doc_hash for row in log.rows}
    if not source_told and len(hashes) < 2:
        return  # nothing says what a prompt is about (lmms-eval hashes no doc: one hash for all)
    questions = [
        (row.source_id if source_told else row.doc_hash, *sorted(row.question.items()))
        for row in log.rows
        if "prompt" in row.question
    ]
    n = len(questions) - len(set(questions))
    if n:
        about = "recording" if source_told else "doc"
        yield f"{n} of {len(log.rows)} rows ask what another row asks of the same {about}; keep each question once"


def _sourceless(log: Log) -> list[str]:
    n = sum(not row.source_told for row in log.rows)
    sentence = f"{n} of {len(log.rows)} rows name no recording: each of them is taken as a recording of its own"
    return [f"{sentence}; fill the field of --source"] if n else []


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
