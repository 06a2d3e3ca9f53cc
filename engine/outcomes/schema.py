"""The shape of a run folder: the row of a cell, the key of a cell, and the names of both on disk.

Knows no file system; `store` reads and writes what is declared here.
"""

import math
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote, unquote

import pyarrow as pa

from earmark.engine.errors import InputError

SCHEMA_VERSION = "earmark.outcomes/1"
SCHEMA_KEY = b"earmark.schema"
PLAN_KEY = b"earmark.plan"  # in the metadata of a cell that a sweep wrote: the SHA-256 of its plan.json

UNCOMPRESSED = "uncompressed"  # the raw reference
SILENCE = "silence"  # the control: the same questions about as much silence
ANCHOR = "anchor"
_STREAM = re.compile(r"anchor|(permuted|naive)-(global|family)-\d+")

OK = "ok"
NOT_ASKED = "not asked: "  # what the status of a row begins with whose raw row failed: nobody asked, and it is harm
TOO_SHORT = "too short: "  # ... of a row of which too little was kept to be heard: harm of the compressor, no failure

ROW = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("source_id", pa.string()),  # default: the sample itself
        pa.field("query_family", pa.string(), nullable=False),
        pa.field("loss", pa.float64()),  # in [0, 1]; null only where status is not "ok"
        pa.field("nll", pa.float64()),  # of the right answer, in nats
        pa.field("num_audio_tokens", pa.int64()),
        pa.field("predicted_label", pa.string()),  # null: nothing could be parsed
        pa.field("correct_label", pa.string()),
        pa.field("n_options", pa.int64()),  # answers to choose from
        pa.field("chunks_total", pa.int64()),
        pa.field("chunks_kept", pa.int64()),
        pa.field("kept_chunks", pa.list_(pa.int16())),  # which of them, rising
        pa.field("kept_hash", pa.string()),
        pa.field("status", pa.string()),  # "ok" (the default) or what went wrong
    ]
)
REQUIRED_COLUMNS = ("sample_id", "query_family", "loss")

_LEVEL_DEFAULTS = {"seed": "0", "stream": ANCHOR}
_LEVELS = ("answerer", "corpus", "method", "seed", "stream", "budget")


@dataclass(frozen=True, slots=True, order=True)
class CellKey:
    """Which cell: one answerer, corpus, method, training seed, query stream and retained-audio budget."""

    answerer: str
    corpus: str
    method: str
    seed: int = 0
    stream: str = ANCHOR
    budget: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "budget", float(self.budget))  # one folder for 1 and 1.0
        for level in ("answerer", "corpus", "method"):
            if not getattr(self, level):
                raise InputError(self, f"the {level} is empty", "name it")
        if not (math.isfinite(self.budget) and 0 < self.budget <= 1):
            raise InputError(self, f"budget {self.budget} is not in (0, 1]", "a budget is a share of the audio")
        if not _STREAM.fullmatch(self.stream):
            raise InputError(
                self,
                f"unknown stream '{self.stream}'",
                "use anchor, permuted-global-N, permuted-family-N or naive-global-N",
            )
        if self.method in (UNCOMPRESSED, SILENCE) and self.budget != 1:
            what = "the raw reference keeps everything" if self.is_reference else "the control is as long as raw audio"
            raise InputError(self, f"method {self.method} at budget {self.budget:g}", f"{what}: budget=1.0")

    def __str__(self) -> str:
        return "cells/" + "/".join(f"{level}={quote(str(getattr(self, level)), safe='')}" for level in _LEVELS)

    @property
    def is_reference(self) -> bool:
        return self.method == UNCOMPRESSED

    @property
    def is_control(self) -> bool:
        return self.method == SILENCE

    @classmethod
    def from_path(cls, folder: PurePosixPath) -> "CellKey":
        """The key that the `level=value` parts of a cell's folder spell, in any order."""
        found: dict[str, str] = {}
        for part in folder.parts:
            level, equals, value = part.partition("=")
            if not equals or level not in _LEVELS:
                raise InputError(
                    f"cells/{folder}",
                    f"'{part}' is not a level of a cell",
                    f"name folders level=value, with levels {', '.join(_LEVELS)}",
                )
            if level in found:
                raise InputError(f"cells/{folder}", f"the level {level} stands twice", "give each level once")
            found[level] = unquote(value)
        found = _LEVEL_DEFAULTS | found
        missing = [level for level in _LEVELS if level not in found]
        if missing:
            raise InputError(f"cells/{folder}", f"no level {', '.join(missing)}", f"put it under {missing[0]}=.../")
        return cls(
            answerer=found["answerer"],
            corpus=found["corpus"],
            method=found["method"],
            seed=int(_number(folder, "seed", found["seed"], whole=True)),
            stream=found["stream"],
            budget=_number(folder, "budget", found["budget"]),
        )


def _number(folder: PurePosixPath, level: str, text: str, whole: bool = False) -> float:
    try:
        return int(text) if whole else float(text)
    except ValueError:
        kind = "a whole number" if whole else "a number in (0, 1]"
        raise InputError(
            f"cells/{folder}", f"{level}={text} is not {kind}", f"rename the folder to {level}=..."
        ) from None
