"""Recordings heard ahead of whoever needs them: decoded in worker processes, in order, in bounded memory.

What cannot be heard has a status; nothing here ends a run, not even a decoder that dies. Knows no model.
"""

import os
import signal
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import groupby
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any, NamedTuple

from earmark.engine.arrays import Waveform
from earmark.engine.corpus.audio import ParquetAudio, TarAudio
from earmark.engine.corpus.clip import clip
from earmark.engine.corpus.example import SAMPLE_RATE, Audio, AudioError, Example
from earmark.engine.design.keys import OK
from earmark.engine.errors import InputError
from earmark.engine.extras import needs_extra

_JOBS_PER_WORKER = 4
_MOST_RAW_BYTES = 128 << 20  # of undecoded recordings on their way to a worker

Outcome = tuple[Any, str]  # what came of a recording (None unless OK), and its status


class Clip(NamedTuple):
    """A question and the clip it is about, as every method hears it: at least a chunk, at most 120 s."""

    example: Example
    audio: Waveform | None
    status: str  # OK, or why there is no audio


def stream(examples: Iterable[Example], *, workers: int | None = None, cache_mib: int = 0) -> Iterator[Clip]:
    """Every example with its clip, in order; questions in a row about one recording have it decoded once.

    `workers` processes decode ahead (default: one per core, at most 4; 0 decodes here). A cache keeps that many MiB of
    clips for questions about them that come later.
    """
    waiting: deque[list[Example]] = deque()

    def audios() -> Iterator[Audio]:
        for audio, group in groupby(examples, key=lambda example: example.audio):
            waiting.append(list(group))
            yield audio

    for audio, status in _outcomes(audios(), hear, _worker_count(workers), _Cache(cache_mib << 20)):
        for example in waiting.popleft():
            yield Clip(example, audio, status)


def durations(
    audios: Iterable[Audio], *, decode: bool = False, workers: int | None = None
) -> Iterator[tuple[float | None, str]]:
    """How many seconds each recording lasts (None where its status is not OK), by its header or by decoding it."""
    return _outcomes(iter(audios), heard_seconds if decode else header_seconds, _worker_count(workers), _Cache(0))


def hear(audio: Audio) -> Outcome:
    """The clip of a recording, or why there is none."""
    return _outcome(lambda: clip(audio.waveform()))


def heard_seconds(audio: Audio) -> Outcome:
    """How long a recording is, if it can be decoded as far as anybody hears it."""

    def longest() -> float:
        decoded_s = len(audio.waveform()) / SAMPLE_RATE
        return max(decoded_s, _by_header(audio, decoded_s))

    return _outcome(longest)


def header_seconds(audio: Audio) -> Outcome:
    """How long a recording says it is."""
    return _outcome(lambda: _by_header(audio, None))


def _by_header(audio: Audio, otherwise: float | None) -> float:
    """Made-up recordings have no header: they are heard."""
    seconds: Callable[[], float] | None = getattr(audio, "seconds", None)
    if seconds is not None:
        return seconds()
    return len(audio.waveform()) / SAMPLE_RATE if otherwise is None else otherwise


def _outcome(work: Callable[[], Any]) -> Outcome:
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
class _Job:
    audio: Audio
    raw_bytes: int = 0
    future: Future[Outcome] | None = None
    outcome: Outcome | None = None


def _outcomes(
    audios: Iterator[Audio], work: Callable[[Audio], Outcome], workers: int, cache: "_Cache"
) -> Iterator[Outcome]:
    """What `_in_order` yields, or one line where no decoder is installed."""
    with needs_extra("hearing recordings", "audio"):
        yield from _in_order(audios, work, workers, cache)


def _in_order(
    audios: Iterator[Audio], work: Callable[[Audio], Outcome], workers: int, cache: "_Cache"
) -> Iterator[Outcome]:
    """The outcome of every recording, in order: while one is taken, the next ones are worked on."""
    if workers == 0:
        for audio in audios:
            outcome = cache.get(audio) or work(audio)
            cache.put(audio, outcome)
            yield outcome
        return
    pool = _Pool(workers, work)
    jobs: deque[_Job] = deque()  # oldest first: taken on the left, submitted on the right
    try:
        more = True
        while more or jobs:
            while more and len(jobs) < _JOBS_PER_WORKER * workers and _raw_bytes(jobs) < _MOST_RAW_BYTES:
                audio = next(audios, None)
                more = audio is not None
                if audio is not None:
                    jobs.append(pool.submit(audio, cache.get(audio)))
            if jobs:
                outcome = pool.finish(jobs)
                cache.put(jobs.popleft().audio, outcome)
                yield outcome
    finally:
        pool.close()


def _raw_bytes(jobs: Iterable[_Job]) -> int:
    return sum(job.raw_bytes for job in jobs)


class _Pool:
    """Worker processes; when one dies, those that may have killed it are tried again one at a time."""

    def __init__(self, workers: int, work: Callable[[Audio], Outcome]) -> None:
        self._workers = workers
        self._work = work
        self._open(workers)

    def submit(self, audio: Audio, known: Outcome | None) -> _Job:
        """Start on a recording. What can only be read from front to back is read here, in order."""
        if known is not None:
            return _Job(audio, outcome=known)
        job = _Job(audio)
        source: Audio = audio
        if isinstance(audio, TarAudio | ParquetAudio):
            fetched, status = _outcome(audio.fetched)
            if fetched is None:
                return _Job(audio, outcome=(None, status))
            source = fetched
            job.raw_bytes = len(fetched.data)
        try:
            job.future = self._executor.submit(self._work, source)
        except BrokenProcessPool:  # some other recording's doing: `finish` sorts it out
            job.future = None
        return job

    def finish(self, jobs: deque[_Job]) -> Outcome:
        """The outcome of the oldest job."""
        oldest = jobs[0]
        if oldest.outcome is None:
            try:
                if oldest.future is None:
                    raise BrokenProcessPool
                oldest.outcome = oldest.future.result()
            except BrokenProcessPool:
                self._one_by_one(jobs)
        assert oldest.outcome is not None, "every job was worked on"
        oldest.future = None
        return oldest.outcome

    def _one_by_one(self, jobs: Iterable[_Job]) -> None:
        """A worker died, and with it everything that was under way: find out which recording it was."""
        self._reopen(1)
        for job in jobs:
            if job.outcome is None and not _is_done(job):
                try:
                    job.outcome = self._executor.submit(self._work, _source(job)).result()
                except BrokenProcessPool:
                    job.outcome = None, "killed the process that decoded it"
                    self._reopen(1)
        self._reopen(self._workers)

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
        """Stop the workers; what they are at is dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _is_done(job: _Job) -> bool:
    """Whether a job was done before its worker's pool broke."""
    if job.future is not None and job.future.done() and not job.future.cancelled() and job.future.exception() is None:
        job.outcome = job.future.result()
    return job.outcome is not None


def _source(job: _Job) -> Audio:
    return job.audio.fetched() if isinstance(job.audio, TarAudio | ParquetAudio) else job.audio


def _worker_count(workers: int | None) -> int:
    return min(4, os.cpu_count() or 1) if workers is None else workers


def _start() -> None:
    """In a worker: decoders write to stderr on their own, Ctrl-C is the parent's, and nobody outlives the parent."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = parent_process()
    assert parent is not None, "a worker has a parent"
    wait([parent.sentinel])
    os._exit(1)


class _Cache:
    """The clips heard last, as many as fit."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Audio, Outcome] = OrderedDict()

    def get(self, audio: Audio) -> Outcome | None:
        """What is known of a recording."""
        if self._kept and audio in self._kept:
            self._kept.move_to_end(audio)
            return self._kept[audio]
        return None

    def put(self, audio: Audio, outcome: Outcome) -> None:
        """Keep a clip, and drop those that nobody asked for longest."""
        size = getattr(outcome[0], "nbytes", 0)
        if not 0 < size <= self._most_bytes or audio in self._kept:
            return
        self._kept[audio] = outcome
        self._bytes += size
        while self._bytes > self._most_bytes:
            _, (old, _) = self._kept.popitem(last=False)
            self._bytes -= old.nbytes
