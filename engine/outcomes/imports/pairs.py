"""Whether two logs are the same questions put to the same model, once with raw and once with compressed audio.

Knows rows only; it neither reads nor writes.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes.imports.rows import Log, LogRow


def refuse_same_file(raw: Path, compressed: Sequence[Path]) -> None:
    """Raises InputError where one file is named for two arms."""
    seen = [raw]
    for path in compressed:
        if any(path == other or _same_file(path, other) for other in seen):
            raise InputError(path, "this log is named twice", "name one log per arm: raw, then each compressed one")
        seen.append(path)


def _same_file(a: Path, b: Path) -> bool:
    return a.exists() and b.exists() and os.path.samefile(a, b)


def check(raw: Log, other: Log, *, same_model: bool, same_task: bool) -> None:
    """Raises InputError at the first thing that spoils the pairing.

    `same_model`, `same_task`: the caller vouches for it, whatever the logs say.
    """
    if other.unnamed and not same_model:
        raise InputError(other.path, f"does not name its model ({other.unnamed})", "name it with --answerer")
    for what, option, vouched, a, b in (
        ("model", "--answerer", same_model, raw.model, other.model),
        ("task", "--corpus", same_task, raw.task, other.task),
    ):
        if not vouched and a and b and a != b:
            raise InputError(
                other.path,
                f"is of {what} '{b}', but {raw.path} is of '{a}'",
                f"pair logs of one {what}, or give the {what} its one name with {option}",
            )
    mate = {row.sample_id: row for row in raw.rows}
    _check_ids(raw, other, mate)
    for row in other.rows:
        _check_question(row, mate[row.sample_id])


def _check_ids(raw: Log, other: Log, mate: dict[str, LogRow]) -> None:
    here = {row.sample_id for row in other.rows}
    lacking = [sample_id for sample_id in mate if sample_id not in here]
    foreign = [row.sample_id for row in other.rows if row.sample_id not in mate]
    if not (lacking or foreign):
        return
    found = []
    if lacking:
        found.append(f"lacks {len(lacking)} of the {len(mate)} samples of {raw.path} ({first_few(lacking)})")
    if foreign:
        found.append(f"has {len(foreign)} samples that {raw.path} lacks ({first_few(foreign)})")
    raise InputError(other.path, " and ".join(found), "run both arms on the same samples")


def _check_question(row: LogRow, mate: LogRow) -> None:
    differs = [name for name in row.question if name in mate.question and row.question[name] != mate.question[name]]
    # Where a prompt can be compared, a hash of the doc adds nothing: the audio in the doc may be what differs.
    if "prompt" not in row.question and row.doc_hash and mate.doc_hash and row.doc_hash != mate.doc_hash:
        differs.append("doc_hash")
    if differs:
        raise InputError(
            row.where,
            f"sample '{row.sample_id}' is another question than at {mate.where} ({', '.join(differs)} differs)",
            "run both arms on the same questions, with the same prompts",
        )
    known = row.n_options is not None and mate.n_options is not None
    for what, option, a, b in (
        ("family", "--family", mate.family, row.family),
        ("source", "--source", mate.source_id, row.source_id),
        ("n_options", "--options", mate.n_options if known else None, row.n_options if known else None),
    ):
        if a != b:
            raise InputError(
                row.where,
                f"sample '{row.sample_id}' has {what} '{b}', but '{a}' at {mate.where}",
                f"name a field with {option} that does not depend on the answer",
            )


def doubts(raw: Log, other: Log, *, keeps_all: bool, same_model: bool) -> list[str]:
    """What a person should look at before believing a pairing that passed `check`, each as a plain sentence."""
    mate = {row.sample_id: row for row in raw.rows}
    found = []
    if raw.model and not other.model and not same_model:
        found.append("the log names no model, which is taken to be that of the raw log; --answerer would vouch for it")
    rehashed = sum(row.doc_hash != mate[row.sample_id].doc_hash for row in other.rows)
    if rehashed:
        found.append(
            f"doc_hash differs from the raw log in {rehashed} of {len(other.rows)} rows; prompt and target agree, so "
            "this should be the audio within the doc"
        )
    answered = any(row.predicted is not None for row in other.rows)
    if answered and not keeps_all and all(_outcome(row) == _outcome(mate[row.sample_id]) for row in other.rows):
        found.append("every answer is that of the raw log; make sure that no response cache answered for it")
    return found


def _outcome(row: LogRow) -> tuple[str | None, float | None, float | None]:
    return row.predicted, row.loss, row.nll
