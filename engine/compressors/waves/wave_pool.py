"""Clips compressed in processes, each within its time: what hangs or dies is a status, and its process is replaced.

Knows recipes and samples; no clip's name, no question and no store.

    jobs ──► threads of a pool, each with one process at a time ──► what arrived of each clip, in order

A process runs one function or command of a user and no other: what it does to its process, it does to itself.
"""

import os
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from earmark.engine.arrays import Waveform
from earmark.engine.compressors.waves.brought_command import end_group
from earmark.engine.compressors.waves.loading import label_of
from earmark.engine.compressors.waves.messages import Message, MessageError, read_message, write_message
from earmark.engine.compressors.waves.process_pipes import ProcessPipes
from earmark.engine.compressors.waves.wave_method import Sent, WaveRecipe
from earmark.engine.design.compressors import is_brought
from earmark.engine.errors import InputError
from earmark.engine.files import remove_folder

_MOST_PROCESSES = 4
MOST_LOADING_S = 300.0  # for the start of a process and what it imports
_IDLE = 4  # processes that wait for their recipe to come again, for each thread
_AHEAD = 2  # jobs for each process that wait or are done, and nobody has taken
_WORKER = "from earmark.engine.compressors.waves.wave_worker import main; main()"
_ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM", "NUMEXPR")
}
_NO_CLIP = np.zeros(0, np.float32)


class WaveJob(NamedTuple):
    """A clip that is to be compressed."""

    recipe: WaveRecipe
    samples: Waveform
    budget: float


class WavePool:
    """Processes that compress clips, started when there is something to do. Threads may share it; close it."""

    def __init__(self, processes: int | None = None) -> None:
        self._processes = processes or min(_MOST_PROCESSES, os.cpu_count() or 1)
        self._executor = ThreadPoolExecutor(self._processes, thread_name_prefix="waves")
        self._lock = threading.Lock()  # around the three below
        self._idle: list[_WaveProcess] = []  # the last is the one that was used last
        self._all: set[_WaveProcess] = set()
        self._closed = False
        self._identities: dict[WaveRecipe, str] = {}

    def identity(self, recipe: WaveRecipe) -> str:
        """What a recipe's waves depend on beside samples and budget; InputError where it cannot be carried out."""
        if recipe not in self._identities:
            self._identities[recipe] = self._executor.submit(self._describe, recipe).result()
        return self._identities[recipe]

    def map(self, jobs: Iterable[WaveJob]) -> Iterator[Sent | str]:
        """What arrived of each clip, in order, or why nothing did; a few jobs are taken ahead of what is asked for."""
        waiting: deque[Future[Sent | str]] = deque()
        try:
            for job in jobs:
                waiting.append(self._executor.submit(self._compress, job, self.identity(job.recipe)))
                if len(waiting) >= _AHEAD * self._processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """End all processes; what they are at is dropped."""
        with self._lock:
            self._closed = True
            for process in self._all:
                process.kill()
        self._executor.shutdown(wait=True, cancel_futures=True)
        for process in self._idle:
            process.end()
        self._idle.clear()
        self._all.clear()

    def __enter__(self) -> "WavePool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _describe(self, recipe: WaveRecipe) -> str:
        try:
            with self._process(recipe) as process:
                words = process.described(recipe)
        except _DeadProcessError as error:
            raise InputError(label_of(recipe), f"cannot be loaded ({error})", "run it by itself first") from None
        if "identity" not in words:
            raise InputError(label_of(recipe), str(words["what"]), str(words["do"]))
        return str(words["identity"])

    def _compress(self, job: WaveJob, identity: str) -> Sent | str:
        try:
            with self._process(job.recipe) as process:
                return process.compressed(job, identity)
        except _DeadProcessError as error:
            return str(error)

    @contextmanager
    def _process(self, recipe: WaveRecipe) -> "Iterator[_WaveProcess]":
        """A process of this thread's own meanwhile; one that is lost is ended, and not taken again."""
        process = self._take(_code_of(recipe))
        try:
            yield process
        except BaseException:
            self._end(process)
            if self._closed:  # and so was killed: that says nothing of the job
                raise CancelledError from None
            raise
        with self._lock:
            self._idle.append(process)
            surplus = self._idle.pop(0) if len(self._idle) > _IDLE * self._processes else None
        if surplus is not None:
            self._end(surplus)

    def _take(self, code: WaveRecipe | None) -> "_WaveProcess":
        with self._lock:
            if self._closed:
                raise CancelledError
            for process in reversed(self._idle):
                if process.code == code:
                    self._idle.remove(process)
                    return process
            process = _WaveProcess(code)
            self._all.add(process)
            return process

    def _end(self, process: "_WaveProcess") -> None:
        process.end()
        with self._lock:
            self._all.discard(process)


def _code_of(recipe: WaveRecipe) -> WaveRecipe | None:
    """Whose code runs in its process: that of the function or command of a recipe, or ours alone."""
    return recipe if is_brought(recipe.compressor) else None


class _DeadProcessError(Exception):
    """A process is of no use any more: why, in the words of a status."""


class _WaveProcess:
    """A process of a pool, with a folder for temporary files that goes with it."""

    def __init__(self, code: WaveRecipe | None) -> None:
        self.code = code  # whose code runs there
        self._folder = Path(tempfile.mkdtemp(prefix="earmark-"))
        self._killing = threading.Lock()
        self._is_over = False  # its number may be another process's
        environment = os.environ | _ONE_THREAD | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._folder))
        try:
            self._process = subprocess.Popen(
                # -P: a package of the working directory must not be imported instead of an installed one
                [sys.executable, "-P", "-c", _WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env=environment,
                start_new_session=True,  # what it starts is killed with it, and an interrupt is the parent's
            )
        except OSError:
            self._remove_folder()
            raise
        self._pipes = ProcessPipes(self._process)
        self._number = 0  # of the last request; 0: none was made
        self._group: int | None = None  # of processes that a command is meanwhile

    def described(self, recipe: WaveRecipe) -> dict[str, Any]:
        """What the process says of a recipe: its identity, or what there is not, and what to do."""
        with self._within(MOST_LOADING_S, "not loaded"):
            self._ask(recipe, None, "", _NO_CLIP)
            return self._heard({"identity"}, {"what", "do"}).words

    def compressed(self, job: WaveJob, identity: str) -> Sent | str:
        """What arrived of a clip, or why nothing did."""
        with self._within(MOST_LOADING_S, "not loaded"):
            self._ask(job.recipe, job.budget, identity, job.samples)
            reply = self._heard({"started"}, {"status"})
        if "started" in reply.words:
            with self._within(job.recipe.timeout_s, "not done"):
                reply = self._heard({"bits"}, {"status"}, {"group"})
                if "group" in reply.words:
                    self._group = reply.words["group"]
                    reply = self._heard({"bits"}, {"status"})
            self._group = None
        if "status" in reply.words:
            return str(reply.words["status"])
        return Sent(reply.samples, reply.words["bits"])

    def kill(self) -> None:
        """Stop the process and all that it started; `end` tidies up."""
        with self._killing:
            if self._is_over:
                return
            if sys.platform == "win32":
                self._process.kill()
            end_group(self._process.pid)
            if self._group is not None:
                end_group(self._group)

    def end(self) -> int:
        """Stop the process and remove what is left of it; its exit code, negative for a signal."""
        self.kill()
        with self._killing:
            code = self._process.wait()
            self._is_over = True
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None, "it was asked for"
            pipe.close()
        self._remove_folder()
        return code

    def _ask(self, recipe: WaveRecipe, budget: float | None, identity: str, samples: Waveform) -> None:
        if self._number == 0:
            write_message(self._pipes, {"path": _search_path()})
        self._number += 1
        words = {"number": self._number, "recipe": recipe._asdict(), "budget": budget, "identity": identity}
        write_message(self._pipes, words, samples)

    def _heard(self, *kinds: set[str]) -> Message:
        """The next reply, which is to the last request and has all words of one of these kinds."""
        reply = read_message(self._pipes)
        if reply is None:
            raise BrokenPipeError
        if reply.words.pop("number", None) != self._number or not any(kind == set(reply.words) for kind in kinds):
            raise MessageError
        return reply

    @contextmanager
    def _within(self, seconds: float, late: str) -> Iterator[None]:
        """_DeadProcessError where something takes longer than that, or the process is not there any more."""
        self._pipes.set_deadline(seconds)
        try:
            yield
        except (OSError, MessageError) as error:
            code = self.end()
            if isinstance(error, TimeoutError):
                why = f"{late} after {seconds:g} s"
            elif isinstance(error, MessageError):
                why = "its process wrote what is no answer"
            else:
                why = f"its process died ({f'signal {-code}' if code < 0 else f'exit code {code}'})"
            raise _DeadProcessError(why) from None

    def _remove_folder(self) -> None:
        remove_folder(self._folder, self._folder.parent)


def _search_path() -> list[str]:
    """Where modules are looked for: where this process does, and then in its working directory."""
    here = os.getcwd()
    return list(dict.fromkeys([*(entry or here for entry in sys.path), here]))
