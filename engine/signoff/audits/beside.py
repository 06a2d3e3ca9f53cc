"""What a sweep measured beside its cells: scores of selectors on a factorial grid, and answers that flip by themselves.

    RUN/audits/grid/method=M/seed=S.parquet      audio, question, scores: one row per pair
    RUN/audits/flips/answerer=A.json             {"asked": n, "compared": n, "changed": n}

Reads those files; knows no cells and no verdicts.
"""

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.outcomes.input_file import InputFile
from earmark.engine.signoff.audit_entry import AnswerFlips, SelectorShares
from earmark.engine.signoff.audits.selection import shares

GRID, FLIPS = "audits/grid", "audits/flips"


def score_shares(run: Path) -> tuple[list[SelectorShares], list[InputFile]]:
    """Shares of the variance of scores, one entry per selector whose scores on a grid were written down (method 10).

    With the files behind them, here and below.
    """
    entries, files = [], []
    for path in sorted((run / GRID).glob("method=*/seed=*.parquet")):
        table, file = store.read_table(path, path.relative_to(run).as_posix())
        by_audio: dict[str, list[list[float]]] = defaultdict(list)
        try:
            rows = table.select(["audio", "question", "scores"]).to_pylist()
            for row in rows:
                by_audio[row["audio"]].append(row["scores"])
            entry = SelectorShares(
                _value(path.parent.name),
                int(_value(path.stem)),
                len(by_audio),
                len({row["question"] for row in rows}),
                *shares(np.array(scores, dtype=np.float64) for scores in by_audio.values()),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(file.path, f"is no grid of scores ({error})", "remove it and sweep again") from None
        entries.append(entry)
        files.append(file)
    return entries, files


def flip_rates(run: Path) -> tuple[list[AnswerFlips], list[InputFile]]:
    """Per answerer, how many raw answers changed when the questions were asked again in batches of other sizes."""
    entries, files = [], []
    for path in sorted((run / FLIPS).glob("answerer=*.json")):
        name = path.relative_to(run).as_posix()
        data = path.read_bytes()
        try:
            content = json.loads(data)
            compared, changed = int(content["compared"]), int(content["changed"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(name, f"is no count of flips ({error})", "remove it and sweep again") from None
        share = changed / compared if compared else None
        entries.append(AnswerFlips(_value(path.stem), compared, changed, share))
        files.append(InputFile(name, hashlib.sha256(data).hexdigest(), compared))
    return entries, files


def _value(name: str) -> str:
    """The value in a name like `key=value`, unquoted."""
    return unquote(name.partition("=")[2])
