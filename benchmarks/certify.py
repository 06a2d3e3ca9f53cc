"""Claim: signing off an AudioMCQ-sized run costs less than reading its files.

19,480 rows x 11 budgets x 6 methods x 3 seeds (199 Parquet cells), three partitions (4, 47 and 12 families), under the
certified rule (exact tests; 2,000 bootstrap replicates describe) and under the paper's (10,000, which decide), with
every interval, frontier, gain, chain and overlap. Reading is what turns files into paired arrays: parsing, hashing,
checking, matching ids. Prints wall time and peak memory of the whole command as well, report included. Kernels are
compiled before anything is timed.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from earmark.engine.design.keys import CellKey
from earmark.engine.design.rule import Rule
from earmark.engine.outcomes.store import write_cell, write_partitions
from earmark.engine.progress import silent as quiet
from earmark.engine.signoff.certify import certify
from earmark.engine.signoff.pair import pair

ROWS = 19_480
BUDGETS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
METHODS = ("uniform", "random", "energy", "attention", "learned_agnostic", "learned_conditioned")
SEEDS = (42, 123, 456)
REPEATS = 3


def make_run(run: Path, n: int = ROWS, native: int = 47) -> None:
    """Outcomes of realistic shape: a third of the rows break below a budget of their own."""
    rng = np.random.default_rng(0)
    keyword = rng.choice(["speech_content", "general", "music", "temporal"], n, p=[0.54, 0.31, 0.09, 0.06])
    ids = np.array([f"audiomcq-{i:07d}" for i in range(n)])
    raw, right = (rng.random(n) < 0.26).astype(float), rng.integers(0, 4, n)
    breaks, point = rng.random(n) < 0.35, rng.beta(1, 2, n)
    letters = np.array(list("ABCD"))

    def rows(loss: Any, budget: float) -> pa.Table:
        columns: dict[str, Any] = {
            "sample_id": ids,
            "source_id": ids,
            "query_family": keyword,
            "loss": loss,
            "nll": rng.gamma(1, 1, n),
            "num_audio_tokens": np.full(n, max(1, int(250 * budget))),
            "predicted_label": letters[np.where(loss > 0, (right + 1) % 4, right)],
            "correct_label": letters[right],
            "chunks_total": np.full(n, 10),
            "chunks_kept": np.full(n, max(1, int(10 * budget))),
            "kept_hash": [f"{h:016x}" for h in rng.integers(0, 2**62, n)],
            "status": ["ok"] * n,
        }
        return pa.table(columns)

    write_cell(run, CellKey("qwen2-audio", "audiomcq", "uncompressed"), rows(raw, 1.0))
    for seed in SEEDS:
        for method in METHODS:
            own = point + rng.normal(0, 0.12, n) - (0.15 if method.endswith("conditioned") else 0)
            guess = (rng.random(n) < 0.75).astype(float)
            for budget in BUDGETS:
                broken = breaks & (budget < own) & (budget < 1)
                key = CellKey("qwen2-audio", "audiomcq", method, seed, budget=budget)
                write_cell(run, key, rows(np.where(broken, guess, raw), budget))
    partitions = {
        "keyword": keyword.tolist(),
        "native": [f"task-{i:03d}" for i in rng.integers(0, native, n)],
        "semantic": [f"cluster-{i:02d}" for i in rng.integers(0, 12, n)],
    }
    write_partitions(run, "audiomcq", ids.tolist(), partitions)


def measure(run: Path, rule: Rule) -> dict[str, float]:
    """Median seconds for reading and for the rest of a certification, alternating in one process."""
    reading, whole = [], []
    for _ in range(REPEATS):
        began = time.perf_counter()
        pair(run, rule, quiet)
        reading.append(time.perf_counter() - began)
        began = time.perf_counter()
        certify(run, rule)
        whole.append(time.perf_counter() - began)
    read = float(np.median(reading))
    return {"read_s": read, "sign_off_s": float(np.median(whole)) - read}


def command(run: Path, name: str) -> dict[str, float]:
    """Wall time and peak memory of the whole `earmark certify`, in a process of its own."""
    began = time.perf_counter()
    arguments = [sys.executable, "-m", "earmark.cli.main", "certify", str(run), "--rule", name]
    subprocess.run(arguments, check=False, capture_output=True)
    wall = time.perf_counter() - began
    return {"command_s": wall, "peak_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024}


def main() -> None:
    """Print a table and, last, one JSON line."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        make_run(run)
        small = run / "small"
        make_run(small, n=300, native=3)
        found = {}
        for name in ("certified", "paper"):
            certify(small, Rule(name=name))  # compiles or loads the kernels
            found[name] = measure(run, Rule(name=name)) | command(run, name)
            print(name, {key: round(value, 2) for key, value in found[name].items()}, flush=True)
    ratio = min(of["read_s"] / of["sign_off_s"] for of in found.values())
    print(
        json.dumps(
            {
                "claim": "signing off costs less than reading the files",
                "ratio": round(ratio, 2),
                "target": 1.0,
                "holds": ratio > 1,
                "rows": ROWS,
                "cells": 1 + len(METHODS) * len(SEEDS) * len(BUDGETS),
                "rules": found,
            }
        )
    )


if __name__ == "__main__":
    main()
