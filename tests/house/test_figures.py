"""The certificates of examples/sounds and of the demo keep their figures and decisions, whatever is built around them.

The files beside this one are the certificates, and the demo's spec, as they were before the house was rebuilt. What
they say must still be said; fields may be added. Last bits of the demo's scores may differ from machine to machine, its
answers may not. Rows that are needed for 90% power were taken over when their search changed.
"""

import gzip
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import earmark

ROOT = Path(__file__).parents[2]
OF_THE_MACHINE = ("made_by", "run", "inputs")
SAID_OTHERWISE = {
    "or retrain on them": "or change the method for them",
    "or retrain the selector": "or change the method",
}


def differences(before: Any, now: Any, relative: float, where: str = "") -> Iterator[str]:
    """Where what was said before is not said now."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key, value in before.items():
            if key in now:
                yield from differences(value, now[key], relative, f"{where}.{key}")
            else:
                yield f"{where}.{key} is gone"
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for i, (value_before, value_now) in enumerate(zip(before, now, strict=True)):
            yield from differences(value_before, value_now, relative, f"{where}[{i}]")
    elif isinstance(before, float) and isinstance(now, int | float):
        if not math.isclose(before, now, rel_tol=relative, abs_tol=1e-9):
            yield f"{where}: {before!r} before, {now!r} now"
    elif before != now:
        yield f"{where}: {before!r} before, {now!r} now"


def before(name: str) -> dict[str, Any]:
    text = gzip.decompress((Path(__file__).parent / f"{name}.json.gz").read_bytes()).decode()
    for words, words_now in SAID_OTHERWISE.items():
        text = text.replace(words, words_now)
    certificate = json.loads(text)
    certificate["declared"].pop("plan", None)  # a hash of the spec too, which gains keys
    return {key: value for key, value in certificate.items() if key not in OF_THE_MACHINE}


def test_the_example_is_signed_off_as_before(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "sounds", tmp_path / "sounds")
    now = earmark.certify(tmp_path / "sounds").to_json()
    assert list(differences(before("sounds"), now, 1e-9)) == []


def test_the_demo_is_signed_off_as_before(tmp_path: Path) -> None:
    certificate = earmark.run(Path(__file__).parent / "demo.toml", tmp_path)
    assert certificate.approved
    assert list(differences(before("demo"), certificate.to_json(), 1e-4)) == []


def test_what_is_no_longer_said_is_found() -> None:
    sounds = before("sounds")
    changed = json.loads(json.dumps(sounds))
    changed["results"][0]["budgets"][0]["excess_family"]["estimate"] += 1e-6
    del changed["claim"]["alpha"]
    assert len(list(differences(sounds, changed, 1e-9))) == 2
