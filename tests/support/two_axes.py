"""A hand-made run of two methods on two axes, with a plan and with figures of what is really used.

`uniform` drops seconds, `opus` bits; every figure is the same in all rows of a cell, so that means are known.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from earmark.engine.design.keys import CellKey
from earmark.engine.design.rule import Rule
from earmark.engine.outcomes.plan_file import PLAN, labels_hash, plan_hash, rule_content
from earmark.engine.outcomes.store import write_cell, write_partitions

N = 300
IDS = [f"s{i:05d}" for i in range(N)]
TASKS = ["a"] * 150 + ["b"] * 150
RULE = Rule(replicates=200)

AXES = {"uniform": "seconds", "opus": "bits"}
BUDGETS = {"uniform": (0.8, 0.5), "opus": (0.125, 0.05)}
ERRORS = {("uniform", 0.8): 0, ("uniform", 0.5): 60, ("opus", 0.125): 0, ("opus", 0.05): 30}  # all of them in 'a'
RAW = {"seconds_heard": 10.0, "bits_sent": 2_560_000, "num_audio_tokens": 250, "lm_positions": 300, "flops": 10**12}
USED = {
    ("uniform", 0.8): RAW
    | {"seconds_heard": 8.0, "bits_sent": 2_048_000, "num_audio_tokens": 200, "flops": 8 * 10**11},
    ("uniform", 0.5): RAW
    | {"seconds_heard": 5.0, "bits_sent": 1_280_000, "num_audio_tokens": 125, "flops": 5 * 10**11},
    ("opus", 0.125): RAW | {"bits_sent": 350_000},
    ("opus", 0.05): RAW | {"bits_sent": 120_000},
}


def write_run(run: Path, changes: Mapping[tuple[str, float], Mapping[str, Any]] | None = None) -> Path:
    """The run folder; `changes` replace columns of a cell."""
    plan = _plan()
    run.mkdir(parents=True)
    (run / PLAN).write_text(json.dumps(plan))
    for (method, budget), used in {("uncompressed", 1.0): RAW, **USED}.items():
        rows = _rows(ERRORS.get((method, budget), 0), used) | dict((changes or {}).get((method, budget), {}))
        _write(run, CellKey("tiny", "sounds", method, budget=budget), rows, plan)
    write_partitions(run, "sounds", IDS, {"task": TASKS})
    return run


def _write(run: Path, key: CellKey, rows: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
    write_cell(run, key, rows, plan=plan_hash(plan))


def _rows(errors: int, used: Mapping[str, float]) -> dict[str, Any]:
    return {
        "sample_id": IDS,
        "query_family": TASKS,
        "loss": [1.0] * errors + [0.0] * (N - errors),
        **{name: [value] * N for name, value in used.items()},
    }


def _plan() -> dict[str, Any]:
    walk = [
        {"name": "anchor-0.8", "budget": 0.8, "curves": [["uniform", 0, "anchor"], ["opus", 0, "anchor", 0.125]]},
        {"name": "anchor-0.5", "budget": 0.5, "curves": [["uniform", 0, "anchor"], ["opus", 0, "anchor", 0.05]]},
    ]
    return {
        "schema": "earmark.sweep/3",
        "spec": "0" * 64,
        "corpus": {"name": "sounds", "examples": N, "recordings": N, "windows": 1, "sha256": "1" * 64},
        "window": 64,
        "answerers": ["tiny"],
        "methods": {
            "uniform": {"compressor": "chunks", "stage": "waves", "axis": "seconds"},
            "opus": {"compressor": "opus", "stage": "waves", "axis": "bits"},
        },
        "compressors": {},
        "levels": [{"name": "raw", "budget": 1.0, "curves": [["uncompressed", 0, "anchor"]]}, *walk],
        "labels": {"task": labels_hash(dict(zip(IDS, TASKS, strict=True)))},
        "rule": rule_content(RULE, ["task"]),
    }
