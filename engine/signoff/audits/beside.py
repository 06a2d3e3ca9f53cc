"""What a sweep measured beside its cells: scores of selectors on a factorial grid, and answers that flip by themselves.

    RUN/audits/grid/method=M/seed=S.parquet      audio, question, scores: one row per pair
    RUN/audits/flips/answerer=A.json             {"asked": n, "compared": n, "changed": n}

Reads those files; knows no cells and no verdicts.
"""

import hashlib
import re
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from earmark.engine.arrays import FloatArray
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.outcomes.input_file import InputFile
from earmark.engine.reading import check_inside, parse_json, read_bytes
from earmark.engine.signoff.audit_entry import AnswerFlips, SelectorShares
from earmark.engine.signoff.audits.selection import shares

_REMOVE = "remove it and sweep again"
_MOST_SCORE = 1e100  # whose square is a number
_MOST_BYTES = 1 << 16  # of a count of flips
GRID, FLIPS = "audits/grid", "audits/flips"


def score_shares(run: Path) -> tuple[list[SelectorShares], list[InputFile]]:
    """Shares of the variance of scores, one entry per selector whose scores on a grid were written down (method 10).

    With the files behind them, here and below.
    """
    entries, files = [], []
    for path in sorted((run / GRID).glob("method=*/seed=*.parquet")):
        table, file = store.read_table(run, path)
        seed = re.fullmatch(r"seed=([0-9]{1,18})", path.stem)
        if seed is None:
            raise InputError(file.path, "is no seed's grid", _REMOVE)
        by_audio, questions = _grid(table, file.path)
        entries.append(
            SelectorShares(_value(path.parent.name), int(seed[1]), len(by_audio), questions, *shares(by_audio.values()))
        )
        files.append(file)
    return entries, files


def _grid(table: pa.Table, where: str) -> tuple[dict[str, FloatArray], int]:
    """Scores (questions, chunks) by recording, and how many different questions there are."""
    rows_of: dict[str, list[list[float]]] = defaultdict(list)
    questions: set[str] = set()
    try:
        for row in table.select(["audio", "question", "scores"]).to_pylist():
            rows_of[row["audio"]].append(row["scores"])
            questions.add(row["question"])
        by_audio = {audio: np.array(scores, dtype=np.float64) for audio, scores in rows_of.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(where, f"is no grid of scores ({error})", _REMOVE) from None
    for audio, scores in by_audio.items():
        if scores.ndim != 2 or not scores.size or not (np.abs(scores) <= _MOST_SCORE).all():
            what = f"has scores of {audio!r} that are no finite numbers, as many for every question"
            raise InputError(where, what, _REMOVE)
    return by_audio, len(questions)


def flip_rates(run: Path) -> tuple[list[AnswerFlips], list[InputFile]]:
    """Per answerer, how many raw answers changed when the questions were asked again in batches of other sizes."""
    entries, files = [], []
    for path in sorted((run / FLIPS).glob("answerer=*.json")):
        name = path.relative_to(run).as_posix()
        check_inside(path, run, _REMOVE)
        data = read_bytes(path, _REMOVE, _MOST_BYTES)
        compared, changed = _flips(parse_json(data, name, _REMOVE), name)
        share = changed / compared if compared else None
        entries.append(AnswerFlips(_value(path.stem), compared, changed, share))
        files.append(InputFile(name, hashlib.sha256(data).hexdigest(), compared))
    return entries, files


def _flips(content: Any, where: str) -> tuple[int, int]:
    """How many answers were compared, and how many of these changed."""
    counts = [content.get(key) for key in ("asked", "compared", "changed")] if isinstance(content, dict) else []
    n_asked, compared, changed = (n if type(n) is int and 0 <= n < 10**9 else -1 for n in counts or [None] * 3)
    if not 0 <= changed <= compared <= n_asked:
        raise InputError(where, "is no count of flips (changed <= compared <= asked)", _REMOVE)
    return compared, changed


def _value(name: str) -> str:
    """The value in a name like `key=value`, unquoted."""
    return unquote(name.partition("=")[2])
