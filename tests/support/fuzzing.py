"""Hostile input: seeded changes of files as they are read, and what a reader may make of them.

A reader may return, or refuse with an exception that is written for people. Whatever else it raises, and whatever takes
longer than its target's limit, is a failure, which names the target, the seed and the number that make it again.
"""

import json
import random
import re
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, NamedTuple

from earmark.engine.corpus.example import AudioError
from earmark.engine.errors import EarmarkError
from earmark.engine.making.edge.edge_error import EdgeError

LIMIT_S = 5
REFUSALS = (EarmarkError, AudioError, EdgeError)
_RAW = re.compile(r'"<<(.*?)>>"')  # what is no JSON that Python would write: it stands as a marked text until the end
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, -(2**63), 2**64, 0.5, -0.0, 1e308, 5e-324, "", " ", "x" * 2000, "0", "nan",
    "../..", "/etc/passwd", "C:\\x", "a\nb", "\x1b[2J", "\u202eabc", "\x00", "\ud800", "<script>", "{{7*7}}", "%s%n",
    [], {}, [None], [[]], [[[[[[]]]]]], {"": ""}, {"a": {"b": {}}}, ["x"] * 300, list(range(300)),
    "<<NaN>>", "<<Infinity>>", "<<-Infinity>>", "<<1e999>>", "<<1" + "0" * 400 + ">>", "<<" + "[" * 3000 + ">>",
)  # fmt: skip
ODD_BYTES = (
    b"",
    b"\x00",
    b"\xff",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"'''",
    b'"',
    b"[",
    b"{",
    b"}",
    b"-",
    b"\xc3\x28",
)


@dataclass(frozen=True)
class Target:
    """A reader with the files that it is shown."""

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[bytes], object]
    structured: bool = False  # the seeds are JSON, or lines of it
    share: float = 1.0  # of the inputs: readers that open many files take less
    limit_s: int = LIMIT_S


class Failure(NamedTuple):
    """An input that was neither read nor refused."""

    target: str
    seed: int
    number: int
    what: str


class Count(NamedTuple):
    """What came of a target's inputs."""

    inputs: int
    refused: int
    failures: tuple[Failure, ...]


def attack(target: Target, seed: int, inputs: int) -> Count:
    """Show a target so many changed files."""
    refused, failures = 0, []
    for number in range(inputs):
        data = changed(target, seed, number)
        start = time.monotonic()
        try:
            with within(target.limit_s):
                target.read(data)
        except REFUSALS:
            refused += 1
        except Exception:
            failures.append(Failure(target.name, seed, number, traceback.format_exc(limit=-3)))
        if time.monotonic() - start > target.limit_s:
            failures.append(Failure(target.name, seed, number, "took too long"))
    return Count(inputs, refused, tuple(failures))


def changed(target: Target, seed: int, number: int) -> bytes:
    """The input of this number: one of the seeds with one to four changes."""
    rng = random.Random(f"{target.name} {seed} {number}")
    data = rng.choice(target.seeds)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = _restructured(data, rng) if target.structured and rng.random() < 0.7 else _edited(data, rng)
    return data


def _edited(data: bytes, rng: random.Random) -> bytes:
    """Some bytes flipped, dropped, repeated, exchanged or put in between."""
    at = rng.randrange(len(data) + 1)
    to = min(len(data), at + rng.choice((1, 1, 2, 8, 64, 1024)))
    way = rng.randrange(7)
    if way == 0 and at < len(data):
        return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    if way == 1:
        return data[:at] + data[to:]
    if way == 2:
        return data[:at] + data[at:to] * rng.choice((2, 3, 50)) + data[to:]
    if way == 3:
        return data[:at]
    if way == 4:
        other = rng.randrange(len(data) + 1)
        return data[:at] + data[other : other + to - at] + data[to:]
    if way == 5:
        return data[:at] + rng.randbytes(rng.choice((1, 4, 16))) + data[to:]
    return data[:at] + rng.choice(ODD_BYTES) + data[at:]


def _restructured(data: bytes, rng: random.Random) -> bytes:
    """A value exchanged for an odd one, a key dropped, renamed, given twice or added, in one of the lines."""
    try:
        text = data.decode()
        lines = text.splitlines() if text.lstrip()[:1] == "{" and "}\n{" in text else [text]
        at = rng.randrange(len(lines))
        content = json.loads(lines[at])
    except (ValueError, IndexError, RecursionError):
        return _edited(data, rng)
    holders = list(_holders(content))
    if not holders:
        return json.dumps(rng.choice(ODD_VALUES)).encode()
    holder, key = rng.choice(holders)
    way, value = rng.randrange(8), rng.choice(ODD_VALUES)
    if way == 0:
        del holder[key]
    elif way == 1 and isinstance(holder, dict):
        holder[rng.choice(("x", "", "a\nb", "\ud800", str(key) * 2))] = holder.pop(key)
    elif way == 2:
        other, other_key = rng.choice(holders)
        holder[key] = json.loads(json.dumps(other[other_key])) if rng.random() < 0.5 else other_key
    elif way == 3 and isinstance(holder, list):
        holder.append(value)
    elif way == 4 and isinstance(holder, dict):
        holder["gained"] = value
    else:
        holder[key] = value
    lines[at] = _RAW.sub(lambda mark: mark.group(1), json.dumps(content, indent=rng.choice((None, 1))))
    if way == 5 and isinstance(key, str):
        lines[at] = re.sub(r"\{", lambda brace: brace.group() + f"{json.dumps(key)}: 1, ", lines[at], count=1)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _holders(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a value: the list or object that holds it, and its key there."""
    waiting = [content]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            yield holder, key
            waiting.append(holder[key])


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """TimeoutError where what is done takes longer, and runs Python."""

    def stop(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
