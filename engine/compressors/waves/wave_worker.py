"""The process of a pool in which clips are compressed, one at a time: `python -c ... main()` of `wave_pool`.

Code of others runs here and nowhere else. What it prints is lost; where it reads, there is nothing. The process ends,
with all that it started, when its parent has gone.

    parent:  a clip, a budget, a recipe  ──►  started, then samples and bits, or a status  ──►  parent
"""

import os
import queue
import shutil
import signal
import sys
import threading
from typing import Any, BinaryIO, NoReturn

from earmark.engine.compressors.waves.arrived import arrived
from earmark.engine.compressors.waves.brought import first_words
from earmark.engine.compressors.waves.loading import wave_method
from earmark.engine.compressors.waves.messages import Message, MessageError, read_message, write_message
from earmark.engine.compressors.waves.wave_method import CompressorError, WaveMethod, WaveRecipe
from earmark.engine.errors import EarmarkError

_methods: dict[WaveRecipe, WaveMethod] = {}  # that were loaded here


def main() -> None:
    """Say what recipes are, and carry them out, until the parent has gone."""
    requests, replies = _apart(0, "rb"), _apart(1, "wb")
    os.dup2(2, 1)  # what is printed goes where complaints go
    arrivals: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests, arrivals), daemon=True).start()
    sys.path[:] = arrivals.get().words["path"]
    while True:
        _answer(arrivals.get(), replies)


def _apart(descriptor: int, mode: str) -> BinaryIO:
    """A standard stream under another number, which nobody else knows; nothing is left under its own."""
    file: Any = os.fdopen(os.dup(descriptor), mode)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, descriptor)
    os.close(nothing)
    return file  # type: ignore[no-any-return]


def _receive(requests: BinaryIO, arrivals: "queue.SimpleQueue[Message]") -> None:
    """Read what the parent asks, while something is computed too; once it has gone, this process has."""
    try:
        while (message := read_message(requests)) is not None:
            arrivals.put(message)
    except (OSError, MessageError):
        pass
    _leave()


def _leave() -> NoReturn:
    """End this process with all that it started, and remove its folder, which a parent that was killed has not."""
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def _answer(request: Message, replies: BinaryIO) -> None:
    """Say what a recipe is; or carry it out, where there is a budget."""
    recipe = WaveRecipe(**request.words["recipe"])
    budget: float | None = request.words["budget"]
    if budget is None:
        write_message(replies, _description(recipe))
        return
    try:
        method = _method(recipe)
        if method.identity != request.words["identity"]:
            raise CompressorError("was changed during the run")
        write_message(replies, {"started": True})
        sent = method.send(request.samples, budget)
        samples = arrived(sent.samples, request.samples, method.keeps_length)
    except BaseException as error:  # sys.exit() too
        write_message(replies, {"status": _status(error)})
        return
    write_message(replies, {"bits": sent.bits}, samples)


def _description(recipe: WaveRecipe) -> dict[str, Any]:
    """What a method says of itself, or why there is none: what, and what to do."""
    try:
        return {"identity": _method(recipe).identity}
    except EarmarkError as error:
        return {"what": error.what, "do": error.do}
    except BaseException as error:
        return {"what": f"cannot be loaded ({_status(error)})", "do": "make it work in a Python of its own first"}


def _method(recipe: WaveRecipe) -> WaveMethod:
    if recipe not in _methods:
        _methods[recipe] = wave_method(recipe)
    return _methods[recipe]


def _status(error: BaseException) -> str:
    """An error in one line."""
    words = first_words(str(error))
    if isinstance(error, CompressorError | EarmarkError):
        return words
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
