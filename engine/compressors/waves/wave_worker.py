"""The process of a pool in which clips are compressed, one at a time: `python -c ... main()` of `wave_pool`.

Code of others runs here and nowhere else. What it prints is lost; where it reads, there is nothing. The process ends,
with all that it started, when its parent has gone.

    parent:  a clip, a budget, a recipe  ──►  started, then samples and bits, or a status  ──►  parent

A request has a number, which every reply to it repeats.
"""

import os
import queue
import shutil
import sys
import threading
from typing import Any, BinaryIO, NoReturn

from earmark.engine.arrays import Waveform
from earmark.engine.compressors.waves.arrived import arrived, check_something_sent
from earmark.engine.compressors.waves.brought import first_words
from earmark.engine.compressors.waves.brought_command import end_group
from earmark.engine.compressors.waves.loading import wave_method
from earmark.engine.compressors.waves.messages import Message, MessageError, read_message, write_message
from earmark.engine.compressors.waves.wave_method import CompressorError, WaveMethod, WaveRecipe
from earmark.engine.errors import EarmarkError


class _WaveWorker:
    """Answers requests one by one."""

    def __init__(self, replies: BinaryIO) -> None:
        self._replies = replies
        self._pid = os.getpid()
        self._folder = os.environ["TMPDIR"]
        self._group: int | None = None  # of processes that a command is, or the last one was
        self._number = 0  # of the request
        self._methods: dict[WaveRecipe, WaveMethod] = {}  # that were loaded here

    def answer(self, request: Message) -> None:
        """Say what a recipe is; or carry it out, where there is a budget."""
        self._number = request.words["number"]
        recipe = WaveRecipe(**request.words["recipe"])
        budget: float | None = request.words["budget"]
        if budget is None:
            self._reply(self._description(recipe))
            return
        try:
            method = self._method(recipe)
            if method.identity != request.words["identity"]:
                raise CompressorError("was changed during the run")
            self._reply({"started": True})
            sent = method.send(request.samples, budget)
            samples = arrived(sent.samples, request.samples, method.keeps_length)
            check_something_sent(sent.bits, samples)
        except BaseException as error:  # sys.exit() too
            self._reply({"status": _status(error)})
            return
        self._reply({"bits": sent.bits}, samples)

    def _reply(self, words: dict[str, Any], *samples: Waveform) -> None:
        if os.getpid() != self._pid:  # a child that the code of others forked has come back from it
            os._exit(0)
        try:
            write_message(self._replies, words | {"number": self._number}, *samples)
            self._replies.flush()
        except OSError:  # the parent has gone
            self.leave()

    def _group_began(self, group: int) -> None:
        self._group = group
        self._reply({"group": group})

    def _description(self, recipe: WaveRecipe) -> dict[str, Any]:
        """What a method says of itself, or why there is none: what, and what to do."""
        try:
            return {"identity": self._method(recipe).identity}
        except EarmarkError as error:
            return {"what": error.what, "do": error.do}
        except BaseException as error:
            return {"what": f"cannot be loaded ({_status(error)})", "do": "make it work in a Python of its own first"}

    def _method(self, recipe: WaveRecipe) -> WaveMethod:
        if recipe not in self._methods:
            self._methods[recipe] = wave_method(recipe, self._group_began)
        return self._methods[recipe]

    def leave(self) -> NoReturn:
        """End this process with all that it started, and remove its folder, which a parent that was killed has not."""
        if self._group is not None:
            end_group(self._group)
        shutil.rmtree(self._folder, ignore_errors=True)
        end_group(os.getpid())
        os._exit(1)


def main() -> None:
    """Say what recipes are, and carry them out, until the parent has gone."""
    requests, worker = _apart(0, "rb"), _WaveWorker(_apart(1, "wb"))
    os.dup2(2, 1)  # what is printed goes where complaints go
    arrivals: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests, arrivals, worker), daemon=True).start()
    sys.path[:] = arrivals.get().words["path"]
    while True:
        worker.answer(arrivals.get())


def _apart(descriptor: int, mode: str) -> BinaryIO:
    """A standard stream under another number, which nobody else knows; nothing is left under its own."""
    file: Any = os.fdopen(os.dup(descriptor), mode)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, descriptor)
    os.close(nothing)
    return file  # type: ignore[no-any-return]


def _receive(requests: BinaryIO, arrivals: "queue.SimpleQueue[Message]", worker: _WaveWorker) -> None:
    """Read what the parent asks, while something is computed too; once it has gone, this process has."""
    try:
        while (message := read_message(requests)) is not None:
            arrivals.put(message)
    except (OSError, MessageError):
        pass
    worker.leave()


def _status(error: BaseException) -> str:
    """An error in one line."""
    try:
        words = first_words(str(error))
    except BaseException:  # the code of others again
        words = ""
    if isinstance(error, CompressorError | EarmarkError):
        return words
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
