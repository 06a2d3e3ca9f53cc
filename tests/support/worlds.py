"""Small run folders made from plain lists, so that a test says only what it is about."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from earmark.engine.design.keys import CellKey
from earmark.engine.outcomes.store import write_cell
from earmark.engine.signoff.families import families_of
from earmark.engine.signoff.pair import Curve, CurveKey

Losses = Mapping[float, Sequence[float]]  # by budget


def write_run(
    run: Path,
    raw: Sequence[float] | None,
    methods: Mapping[str, Losses],
    families: Sequence[str],
    *,
    answerer: str = "tiny",
    corpus: str = "sounds",
    seed: int = 0,
    stream: str = "anchor",
    columns: Mapping[str, Sequence[Any]] | None = None,
    per_cell: Mapping[tuple[str, float], Mapping[str, Sequence[Any]]] | None = None,
) -> Path:
    """Write the raw reference (unless None) and one cell per method and budget; `per_cell` adds columns to a cell."""
    cells: list[tuple[CellKey, Sequence[float]]] = []
    if raw is not None:
        cells.append((CellKey(answerer, corpus, "uncompressed", 0, stream), raw))
    for method, by_budget in methods.items():
        cells += [(CellKey(answerer, corpus, method, seed, stream, budget), by_budget[budget]) for budget in by_budget]
    for key, loss in cells:
        rows = {
            "sample_id": [f"s{i:05d}" for i in range(len(families))],
            "query_family": list(families),
            "loss": list(loss),
            **(columns or {}),
            **(per_cell or {}).get((key.method, key.budget), {}),
        }
        write_cell(run, key, rows)
    return run


def curve(budgets: Sequence[float], difference: Sequence[Sequence[float]], **changes: Any) -> Curve:
    """A curve from (n, B) paired differences, with everything else plausible."""
    array = np.asarray(difference, dtype=float)
    fields: dict[str, Any] = {
        "key": CurveKey("tiny", "sounds", "energy", 0, "anchor"),
        "reference": "uncompressed",
        "budgets": np.asarray(budgets, dtype=float),
        "implied": False,
        "difference": array,
        "raw_loss": 0.3,
        "loss": 0.3 + array.mean(axis=0),
        "tokens": 100 * np.asarray(budgets, dtype=float),
        "consistency": np.full(len(budgets), np.nan),
        "kept": (None,) * len(budgets),
    }
    return Curve(**(fields | changes))


def families(labels: Sequence[str]) -> Any:
    """Families of the labels with nothing merged."""
    return families_of(labels, {}, 1)


def write_parts(folder: Path, rows: Mapping[str, Sequence[Any]], parts: int) -> None:
    """A cell by hand: any columns, in so many files."""
    table = pa.table(dict(rows))
    folder.mkdir(parents=True)
    for i, chosen in enumerate(np.array_split(np.arange(len(table)), parts)):
        pq.write_table(table.take(chosen), folder / f"part-{parts - i}.parquet")
