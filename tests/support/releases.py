"""Releases of a compressor: run folders of planted losses, certified where they are or elsewhere."""

import random
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import worlds

import earmark

FAMILIES = ("count", "music", "speech")
Harm = Mapping[str, float]  # by family, the chance that an answer which raw audio gets right is lost


def losses(raw: Sequence[float], families: Sequence[str], harm: Harm, draw: random.Random) -> list[float]:
    """What compression makes of raw losses."""
    return [float(loss or draw.random() < harm.get(family, 0.0)) for loss, family in zip(raw, families, strict=True)]


def release(
    folder: Path,
    harm: Mapping[str, Mapping[float, Harm]],
    *,
    n: int = 200,
    luck: int = 0,
    families: Sequence[str] = FAMILIES,
    raw_luck: int = 0,
    per_recording: int = 1,
    answerer: str = "tiny",
    seed: int = 0,
    **rule: Any,
) -> Path:
    """A certified run folder of `n` questions a family; `harm` is by method, budget and family.

    Releases with the same `raw_luck` have the same raw answers, and with the same `luck` the same losses.
    """
    labels = [family for _ in range(n) for family in families]
    draw = random.Random(1000 + raw_luck)
    raw = [float(draw.random() < 0.2) for _ in labels]
    draw = random.Random(luck)
    methods = {
        method: {budget: losses(raw, labels, of_budget, draw) for budget, of_budget in by_budget.items()}
        for method, by_budget in harm.items()
    }
    columns = {"source_id": [f"r{i // per_recording:05d}" for i in range(len(labels))]} if per_recording > 1 else None
    run = worlds.write_run(folder, raw, methods, labels, answerer=answerer, seed=seed, columns=columns)
    return certified(run, run, **rule)


def certified(run: Path, out: Path, **rule: Any) -> Path:
    """The certificate of a run folder, in a folder; returns that folder."""
    earmark.certify(run, replicates=100, **rule).save(out)
    return out


def alone(release: Path, folder: Path) -> Path:
    """A copy of a release's certificate without its run folder."""
    folder.mkdir(parents=True)
    shutil.copy(release / "certificate.json", folder)
    return folder
