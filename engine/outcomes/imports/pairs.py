"""Whether two logs are the same questions put to the same model, once with raw and once with compressed audio.

Knows rows only; it neither reads nor writes.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes import wrong_way
from earmark.engine.outcomes.imports.rows import Log, LogRow


def refuse_same_file(raw: Path, compressed: Sequence[Path]) -> None:
    """Raises InputError where one file is named for two logs."""
    paths = [raw]
    for path in compressed:
        if any(path == earlier or _same_file(path, earlier) for earlier in paths):
            raise InputError(path, "this log is named twice", "name one log per arm: raw, then each compressed one")
        paths.append(path)


def _same_file(a: Path, b: Path) -> bool:
    return a.exists() and b.exists() and os.path.samefile(a, b)


def check_tasks(raw: Log, compressed: Log) -> None:
    """InputError where two logs, one of which has several tasks, are of different ones."""
    if not (raw.fields_of_task or compressed.fields_of_task):
        return
    ours, theirs = (set(log.fields_of_task) or {str(log.task)} for log in (raw, compressed))
    lacking, foreign = sorted(ours - theirs), sorted(theirs - ours)
    problems = [f"lacks {first_few(lacking)}"] if lacking else []
    problems += [f"has {first_few(foreign)}"] if foreign else []
    if problems:
        what = f"is not of the tasks of {raw.path}: it {' and '.join(problems)}"
        raise InputError(compressed.path, what, "give the logs of the same tasks")


def check(raw: Log, compressed: Log, *, same_model: bool, same_task: bool) -> None:
    """Raises InputError at the first thing that spoils the pairing.

    `same_model`, `same_task`: the caller vouches for it, whatever the logs say.
    """
    if compressed.unnamed and not same_model:
        raise InputError(compressed.path, f"does not name its model ({compressed.unnamed})", "name it with --answerer")
    for noun, option, vouched, a, b in (
        ("model", "--answerer", same_model, raw.model, compressed.model),
        ("task", "--corpus", same_task, raw.task, compressed.task),
    ):
        if not vouched and a and b and a != b:
            raise InputError(
                compressed.path,
                f"is of {noun} '{b}', but {raw.path} is of '{a}'",
                f"pair logs of one {noun}, or give the {noun} its one name with {option}",
            )
    raw_row_of = {row.sample_id: row for row in raw.rows}
    _check_ids(raw, compressed, raw_row_of)
    for row in compressed.rows:
        _check_question(row, raw_row_of[row.sample_id])


def _check_ids(raw: Log, compressed: Log, raw_row_of: dict[str, LogRow]) -> None:
    ids = {row.sample_id for row in compressed.rows}
    lacking = [sample_id for sample_id in raw_row_of if sample_id not in ids]
    foreign = [row.sample_id for row in compressed.rows if row.sample_id not in raw_row_of]
    if not (lacking or foreign):
        return
    problems = []
    if lacking:
        problems.append(f"lacks {len(lacking)} of the {len(raw_row_of)} samples of {raw.path} ({first_few(lacking)})")
    if foreign:
        problems.append(f"has {len(foreign)} samples that {raw.path} lacks ({first_few(foreign)})")
    raise InputError(
        compressed.path,
        " and ".join(problems),
        "run both arms on the same samples, or compare those in all logs alone with --common",
    )


def _check_question(row: LogRow, raw_row: LogRow) -> None:
    differs = [
        name for name in row.question if name in raw_row.question and row.question[name] != raw_row.question[name]
    ]
    # Where a prompt can be compared, a hash of the doc adds nothing: the audio in the doc may be what differs.
    if "prompt" not in row.question and row.doc_hash and raw_row.doc_hash and row.doc_hash != raw_row.doc_hash:
        differs.append("doc_hash")
    if differs:
        raise InputError(
            row.where,
            f"sample '{row.sample_id}' is another question than at {raw_row.where} ({', '.join(differs)} differs)",
            "run both arms on the same questions, with the same prompts",
        )
    both_known = row.n_options is not None and raw_row.n_options is not None
    for noun, option, a, b in (
        ("family", "--family", raw_row.family, row.family),
        ("source", "--source", raw_row.source_id, row.source_id),
        ("n_options", "--options", raw_row.n_options if both_known else None, row.n_options if both_known else None),
    ):
        if a != b:
            raise InputError(
                row.where,
                f"sample '{row.sample_id}' has {noun} '{b}', but '{a}' at {raw_row.where}",
                f"name a field with {option} that does not depend on the answer",
            )


def doubts(raw: Log, compressed: Log, *, keeps_all: bool, same_model: bool) -> list[str]:
    """What makes a pairing that passed `check` hard to believe, each doubt as a plain sentence.

    `keeps_all`: the log is of budget 1, where equal answers are as they should be.
    """
    raw_row_of = {row.sample_id: row for row in raw.rows}
    sentences = []
    if raw.model and not compressed.model and not same_model:
        sentences.append(
            "the log names no model, which is taken to be that of the raw log; --answerer would vouch for it"
        )
    rehashed = sum(row.doc_hash != raw_row_of[row.sample_id].doc_hash for row in compressed.rows)
    if rehashed:
        sentences.append(
            f"doc_hash differs from the raw log in {rehashed} of {len(compressed.rows)} rows; prompt and target agree, "
            "so this should be the audio within the doc"
        )
    if not keeps_all and all(_outcome(row) == _outcome(raw_row_of[row.sample_id]) for row in compressed.rows):
        noun = "answer" if any(row.predicted is not None for row in compressed.rows) else "loss"
        sentences.append(f"every {noun} is that of the raw log; make sure that no response cache answered for it")
    return sentences + _wrong_way(raw_row_of, compressed)


def _wrong_way(raw_row_of: Mapping[str, LogRow], compressed: Log) -> list[str]:
    """A doubt where compressed audio is far better than raw audio, which is mostly wrong."""
    losses = [(raw_row_of[row.sample_id].loss, row.loss) for row in compressed.rows]
    known = [(before, after) for before, after in losses if before is not None and after is not None]
    if not known:
        return []
    raw_loss, loss = (sum(column) / len(known) for column in zip(*known, strict=True))
    better, worse = sum(after < before for before, after in known), sum(after > before for before, after in known)
    sentence = wrong_way.doubt(raw_loss, loss, better, worse)
    return [sentence] if sentence else []


def _outcome(row: LogRow) -> tuple[str | None, float | None, float | None]:
    """Everything that the model's answer decides."""
    return row.predicted, row.loss, row.nll
