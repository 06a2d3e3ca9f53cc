"""How a cell is named: answerer, corpus, method, seed, stream and budget, and the words that names and statuses share.

Knows no file system and no Parquet; `outcomes.store` reads and writes what is named here.
"""

import math
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import quote, unquote

from earmark.engine.errors import InputError

UNCOMPRESSED = "uncompressed"  # the raw reference
SILENCE = "silence"  # the control: the same questions about as much silence
ANCHOR = "anchor"  # the stream in which every question is asked about its own recording

OK = "ok"
NOT_ASKED = "not asked: "  # what the status of a row begins with whose raw row failed: nobody asked, and it is harm
TOO_SHORT = "too short: "  # ... of a row of which too little was kept to be heard: harm of the compressor, no failure

ALL = "all"  # the family of everything, where a corpus has no families
DTYPES = ("float32", "bfloat16", "float16")  # number formats of an answerer
PREVIEW_MARK = "preview.json"  # in a run folder that holds part of the examples, and approves nothing

_AGNOSTIC, _CONDITIONED = "_agnostic", "_conditioned"  # how two methods are called that differ in nothing else
_STREAM = re.compile(r"(permuted|naive)-(global|family)-(\d+)")
_LEVEL_DEFAULTS = {"seed": "0", "stream": ANCHOR}
_LEVELS = ("answerer", "corpus", "method", "seed", "stream", "budget")


class Stream(NamedTuple):
    """A stream of permuted questions: who gets another example's question, from where, and which permutation."""

    protocol: str  # permuted: the selector alone gets it; naive: the answerer too
    regime: str  # global: from anywhere; family: from its own family
    number: int  # from 1

    @property
    def is_naive(self) -> bool:
        return self.protocol == "naive"

    def __str__(self) -> str:
        return f"{self.protocol}-{self.regime}-{self.number}"


def stream_of(name: str) -> Stream | None:
    """What the name of a stream says; None for the anchor's."""
    spelt = _STREAM.fullmatch(name)
    return None if spelt is None else Stream(spelt[1], spelt[2], int(spelt[3]))


def is_naive(stream: str) -> bool:
    """Whether the answerer gets another question in this stream, so that it needs a raw reference of its own."""
    permuted = stream_of(stream)
    return permuted is not None and permuted.is_naive


def agnostic_partner(method: str) -> str:
    """X_agnostic for X_conditioned: the same method without the question."""
    return method.removesuffix(_CONDITIONED) + _AGNOSTIC


def is_conditioned(method: str) -> bool:
    """Whether a method's name says that it reads the question."""
    return method.endswith(_CONDITIONED)


def is_agnostic(method: str) -> bool:
    """Whether a method's name says that it is the partner of one that reads the question."""
    return method.endswith(_AGNOSTIC)


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
        if self.stream != ANCHOR and stream_of(self.stream) is None:
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
        parts: dict[str, str] = {}
        for part in folder.parts:
            level, equals, value = part.partition("=")
            if not equals or level not in _LEVELS:
                raise InputError(
                    f"cells/{folder}",
                    f"'{part}' is not a level of a cell",
                    f"name folders level=value, with levels {', '.join(_LEVELS)}",
                )
            if level in parts:
                raise InputError(f"cells/{folder}", f"the level {level} stands twice", "give each level once")
            parts[level] = unquote(value)
        parts = _LEVEL_DEFAULTS | parts
        missing = [level for level in _LEVELS if level not in parts]
        if missing:
            raise InputError(f"cells/{folder}", f"no level {', '.join(missing)}", f"put it under {missing[0]}=.../")
        return cls(
            answerer=parts["answerer"],
            corpus=parts["corpus"],
            method=parts["method"],
            seed=int(_number(folder, "seed", parts["seed"], whole=True)),
            stream=parts["stream"],
            budget=_number(folder, "budget", parts["budget"]),
        )


def _number(folder: PurePosixPath, level: str, text: str, whole: bool = False) -> float:
    try:
        return int(text) if whole else float(text)
    except ValueError:
        kind = "a whole number" if whole else "a number in (0, 1]"
        raise InputError(
            f"cells/{folder}", f"{level}={text} is not {kind}", f"rename the folder to {level}=..."
        ) from None
