"""How a cell is named: answerer, corpus, method, seed, stream and budget, and the words that names and statuses share.

Knows no file system and no Parquet; `outcomes.store` reads and writes what is named here.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import quote, unquote

from earmark.engine.errors import InputError

UNCOMPRESSED = "uncompressed"  # the raw reference
SILENCE = "silence"  # the control: the same questions about as much silence
ANCHOR = "anchor"  # the stream in which every question is asked about its own recording

OK = "ok"
NOT_NEEDED = "not asked, it was decided without"  # the status of a row that no verdict needs: it is no failure
NOT_ASKED = "not asked: "  # what the status of a row begins with whose raw row failed: nobody asked, and it is harm
COMPRESSOR = "compressor: "  # ... of a row of which its compressor made nothing: harm of the compressor, no failure
TOO_SHORT = "too short: "  # ... of a row of which too little was kept to be heard: harm of the compressor, no failure
TOO_LONG = "too long: "  # ... of a row of which there is more than the answerer hears at once
NOT_FINITE = "not finite: the logits are NaN or infinite"  # the status of a row after which a model says no numbers

ALL = "all"  # the family of everything, where a corpus has no families
DTYPES = ("float32", "bfloat16", "float16")  # number formats of an answerer
MOST_NAME = 1000  # characters of a sample, a recording or a family
MOST_FOLDER_NAME = 240  # ... of an answerer, a corpus or a method as its folder is called, %XX for a byte
PREVIEW = "preview"  # the folder in a run that holds ...
PREVIEW_MARK = "preview.json"  # in a run folder that holds part of the examples, and approves nothing
ENCODINGS = "encodings"  # the folder in a run that holds what encoders made of clips, likewise
WAVES = "waves"  # the folder in a run that holds what compressors made of clips, until the run is complete
SPOOLED = "spooled"  # the folder in a run folder of recordings that can only be read forward elsewhere

_AGNOSTIC, _CONDITIONED = "_agnostic", "_conditioned"  # how two methods are called that differ in nothing else
_STREAM = re.compile(r"(permuted|naive)-(global|family)-([0-9]{1,6})")
_SEED = re.compile(r"[0-9]{1,19}")
_BUDGET = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MOST_SEED = 2**63 - 1
_ALMOST = 1e-9  # budgets that differ by less are one, written twice
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


def name_problem(name: str) -> str | None:
    """What is wrong with the name of an answerer, a corpus or a method, which a folder is called by; None: nothing."""
    if not name:
        return "is empty"
    try:
        length = len(quote(name, safe=""))
    except UnicodeEncodeError:
        return "is not UTF-8"
    limit = f"more than {MOST_FOLDER_NAME} (characters other than A-Z, a-z, 0-9, _.-~ take 3 to 12)"
    return f"has {length:,} characters as a folder's name, {limit}" if length > MOST_FOLDER_NAME else None


def refuse_close_budgets(where: object, budgets: Iterable[float]) -> None:
    """InputError where two budgets are almost the same: one of them was written with other last digits."""
    different = sorted(set(budgets))
    for low, high in pairwise(different):
        if math.isclose(low, high, rel_tol=_ALMOST):
            raise InputError(where, f"has the budgets {low!r} and {high!r}, which are the same", "write one of them")


@dataclass(frozen=True, slots=True, order=True)
class CellKey:
    """Which cell: one answerer, corpus, method, training seed, query stream and budget."""

    answerer: str
    corpus: str
    method: str
    seed: int = 0
    stream: str = ANCHOR
    budget: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "budget", float(self.budget))  # one folder for 1 and 1.0
        for level in ("answerer", "corpus", "method"):
            if problem := name_problem(getattr(self, level)):
                raise InputError(
                    f"{level} '{getattr(self, level)[:40]}'", f"the {level} {problem}", "give it another name"
                )
        if not 0 <= self.seed <= _MOST_SEED:
            raise InputError(self, f"seed {self.seed} is not from 0 to 2^63 - 1", "number seeds from 0")
        if not (math.isfinite(self.budget) and 0 < self.budget <= 1):
            raise InputError(self, f"budget {self.budget} is not in (0, 1]", "a budget is a share")
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
            parts[level] = _unquoted(folder, level, value)
        parts = _LEVEL_DEFAULTS | parts
        missing = [level for level in _LEVELS if level not in parts]
        if missing:
            raise InputError(f"cells/{folder}", f"no level {', '.join(missing)}", f"put it under {missing[0]}=.../")
        return cls(
            answerer=parts["answerer"],
            corpus=parts["corpus"],
            method=parts["method"],
            seed=int(_number(folder, "seed", parts["seed"], _SEED, "a whole number from 0")),
            stream=parts["stream"],
            budget=float(_number(folder, "budget", parts["budget"], _BUDGET, "a number in (0, 1]")),
        )


def _number(folder: PurePosixPath, level: str, text: str, form: re.Pattern[str], wanted: str) -> str:
    if form.fullmatch(text) is None:
        raise InputError(f"cells/{folder}", f"{level}={text} is not {wanted}", f"rename the folder to {level}=...")
    return text


def _unquoted(folder: PurePosixPath, level: str, value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        what = f"the {level} '{value}' is not UTF-8"
        raise InputError(f"cells/{folder}", what, "write other characters as %XX of their UTF-8") from None
