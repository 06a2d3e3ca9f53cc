"""Recordings decoded ahead of their use: in worker processes, in order, in bounded memory.

What cannot be heard has a status; nothing here ends a run, not even a decoder that dies. Knows no model.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any, NamedTuple

from earmark.engine.arrays import Waveform
from earmark.engine.corpus.audio import TableAudio, TarAudio
from earmark.engine.corpus.clip import clip
from earmark.engine.corpus.example import SAMPLE_RATE, Audio, AudioError, Example
from earmark.engine.design.keys import OK
from earmark.engine.errors import InputError
from earmark.engine.extras import needs_extra

_HEARING = ("hearing recordings", "audio")  # what needs an extra, and which
_JOBS_PER_WORKER = 4
_MOST_RAW_BYTES = 128 << 20  # undecoded recordings that may be on their way to workers

Outcome = tuple[Any, str]  # what came of a recording (None unless OK), and its status


class Clip(NamedTuple):
    """A question and the clip it is about, as every method hears it: at least a chunk, at most 120 s."""

    example: Example
    audio: Waveform | None
    status: str  # OK, or why there is no audio


def stream(examples: Iterable[Example], *, workers: int | None = None) -> Iterator[Clip]:
    """Every example with its clip, in order; questions in a row about one recording have it decoded once.

    `workers` processes decode ahead (default: one per core, at most 4; 0 decodes here).
    """
    with closing(Decoders(_worker_count(workers))) as decoders:
        yield from decoders.stream(examples)


class Decoders:
    """Processes that decode recordings, started for the first one and kept from stream to stream until they are closed.

    Without `workers` it is done here. One stream at a time.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: _Pool | None = None

    def stream(self, examples: Iterable[Example]) -> Iterator[Clip]:
        """Every example with its clip, in order; questions in a row about one recording have it decoded once."""
        waiting: deque[list[Example]] = deque()

        def audios() -> Iterator[Audio]:
            for audio, group in groupby(examples, key=lambda example: example.audio):
                waiting.append(list(group))
                yield audio

        with needs_extra(*_HEARING):
            for audio, status in self._outcomes(audios()):
                for example in waiting.popleft():
                    yield Clip(example, audio, status)

    def close(self) -> None:
        """Stop the processes, if there are any."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _outcomes(self, audios: Iterator[Audio]) -> Iterator[Outcome]:
        if self._workers == 0:
            return map(hear, audios)
        if self._pool is None:
            self._pool = _Pool(self._workers, hear)
        return _ahead(audios, self._pool)


def durations(
    audios: Iterable[Audio], *, decode: bool = False, workers: int | None = None
) -> Iterator[tuple[float | None, str]]:
    """How many seconds each recording lasts (None where its status is not OK), by its header or by decoding it."""
    work, n_workers = heard_seconds if decode else header_seconds, _worker_count(workers)
    with needs_extra(*_HEARING):
        if n_workers == 0:
            yield from map(work, audios)
            return
        with closing(_Pool(n_workers, work)) as pool:
            yield from _ahead(iter(audios), pool)


def hear(audio: Audio) -> Outcome:
    """The clip of a recording, or why there is none."""
    return _outcome(lambda: clip(audio.waveform()))


def heard_seconds(audio: Audio) -> Outcome:
    """How many seconds a recording lasts, by decoding it: its status is OK only if all that is ever heard decodes."""

    def longest() -> float:
        decoded_s = len(audio.waveform()) / SAMPLE_RATE
        return max(decoded_s, _by_header(audio, decoded_s))

    return _outcome(longest)


def header_seconds(audio: Audio) -> Outcome:
    """How many seconds a recording lasts, by its header alone."""
    return _outcome(lambda: _by_header(audio, None))


def _by_header(audio: Audio, otherwise: float | None) -> float:
    """The length in seconds that a recording's header gives.

    Recordings that are made when they are heard have no header: theirs is `otherwise`, or they are heard.
    """
    seconds: Callable[[], float] | None = getattr(audio, "seconds", None)
    if seconds is not None:
        return seconds()
    return len(audio.waveform()) / SAMPLE_RATE if otherwise is None else otherwise


def _outcome(work: Callable[[], Any]) -> Outcome:
    """What the work returns and OK, or None and why it failed."""
    try:
        return work(), OK
    except AudioError as error:
        return None, str(error)
    except MemoryError:
        return None, "does not fit into memory"
    except ModuleNotFoundError:  # no decoder is installed: that is no recording's doing
        raise
    except Exception as error:  # an error of one recording, whatever it is, is the status of its row
        return None, f"{type(error).__name__}: {' '.join(str(error).split())}"


# In order, ahead -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Decoding:
    """One recording that a worker is at, or that is done."""

    audio: Audio
    raw_bytes: int = 0  # of it that lie in memory undecoded
    future: Future[Outcome] | None = None
    outcome: Outcome | None = None


def _ahead(audios: Iterator[Audio], pool: "_Pool") -> Iterator[Outcome]:
    """The outcome of every recording, in order; while the caller uses one, the next ones are worked on."""
    decodings: deque[_Decoding] = deque()  # oldest first: taken on the left, submitted on the right
    try:
        more = True
        while more or decodings:
            while more and len(decodings) < _JOBS_PER_WORKER * pool.workers and _raw_bytes(decodings) < _MOST_RAW_BYTES:
                audio = next(audios, None)
                more = audio is not None
                if audio is not None:
                    decodings.append(pool.submit(audio))
            if decodings:
                outcome = pool.finish(decodings)
                decodings.popleft()
                yield outcome
    finally:
        for decoding in decodings:  # left early
            if decoding.future is not None:
                decoding.future.cancel()


def _raw_bytes(decodings: Iterable[_Decoding]) -> int:
    return sum(decoding.raw_bytes for decoding in decodings)


class _Pool:
    """Worker processes; when one dies, those that may have killed it are tried again one at a time."""

    def __init__(self, workers: int, work: Callable[[Audio], Outcome]) -> None:
        self.workers = workers
        self._work = work
        self._open(workers)

    def submit(self, audio: Audio) -> _Decoding:
        """Start on a recording. What can only be read from front to back is read here, in order."""
        decoding = _Decoding(audio)
        source: Audio = audio
        if isinstance(audio, TarAudio | TableAudio):
            fetched, status = _outcome(audio.fetched)
            if fetched is None:
                return _Decoding(audio, outcome=(None, status))
            source = fetched
            decoding.raw_bytes = len(fetched.data)
        try:
            decoding.future = self._executor.submit(self._work, source)
        except BrokenProcessPool:  # some other recording's doing: `finish` sorts it out
            decoding.future = None
        return decoding

    def finish(self, decodings: deque[_Decoding]) -> Outcome:
        """Wait for the outcome of the oldest; where its worker died, all of them are tried again one by one."""
        oldest = decodings[0]
        if oldest.outcome is None:
            try:
                if oldest.future is None:
                    raise BrokenProcessPool
                oldest.outcome = oldest.future.result()
            except BrokenProcessPool:
                self._one_by_one(decodings)
        assert oldest.outcome is not None, "every decoding was worked on"
        oldest.future = None
        return oldest.outcome

    def _one_by_one(self, decodings: Iterable[_Decoding]) -> None:
        """Do all decodings again that were under way when a worker died, to find out which recording killed it."""
        self._reopen(1)
        for decoding in decodings:
            if decoding.outcome is None and not _is_done(decoding):
                try:
                    decoding.outcome = self._executor.submit(self._work, _source(decoding)).result()
                except BrokenProcessPool:
                    decoding.outcome = None, "killed the process that decoded it"
                    self._reopen(1)
        self._reopen(self.workers)

    def _open(self, workers: int) -> None:
        self._executor = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start)
        try:
            self._executor.submit(os.getpid).result()
        except BrokenProcessPool:
            self.close()
            raise InputError(
                "decoding",
                "worker processes cannot be started",
                "guard the entry of your script with if __name__ == '__main__', or use no workers",
            ) from None

    def _reopen(self, workers: int) -> None:
        self.close()
        self._open(workers)

    def close(self) -> None:
        """Stop the workers; decodings that are under way are dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _is_done(decoding: _Decoding) -> bool:
    """Whether a decoding was done before its pool broke; then its outcome is kept."""
    if (
        decoding.future is not None
        and decoding.future.done()
        and not decoding.future.cancelled()
        and decoding.future.exception() is None
    ):
        decoding.outcome = decoding.future.result()
    return decoding.outcome is not None


def _source(decoding: _Decoding) -> Audio:
    """What a worker can open: the recording itself, or its bytes."""
    return decoding.audio.fetched() if isinstance(decoding.audio, TarAudio | TableAudio) else decoding.audio


def _worker_count(workers: int | None) -> int:
    """As many processes as were asked for, else one per core and at most 4."""
    return min(4, os.cpu_count() or 1) if workers is None else workers


def _start() -> None:
    """Prepare a worker: decoders' own words on stderr are lost, Ctrl-C is its parent's, and it ends with that."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = parent_process()
    assert parent is not None, "a worker has a parent"
    wait([parent.sentinel])
    os._exit(1)
