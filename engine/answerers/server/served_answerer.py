"""An answerer behind a server: questions as requests, many at a time; replies as results, written down as they come.

Equal questions about equal audio are asked once, and what the ledger holds is not asked again. Knows no HTTP.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from earmark.engine.answerers import parse, prompt
from earmark.engine.answerers.abilities import Abilities, ServerAbilities
from earmark.engine.answerers.answerer import unheard
from earmark.engine.answerers.request import Progress, Request, RequestCounts, Result, Saving
from earmark.engine.answerers.server.canaries import N_CANARIES, Canaries, n_right
from earmark.engine.answerers.server.chat import Asking, Completion, option_nll, wav_base64
from earmark.engine.answerers.server.ledger import Ledger
from earmark.engine.answerers.server.patience import PatientServer, UnansweredError
from earmark.engine.answerers.shared.attempts import one_line
from earmark.engine.answerers.shared.forest import work_key
from earmark.engine.compressors.compressor import Excerpt, samples_at
from earmark.engine.corpus.clip import clip
from earmark.engine.corpus.example import AudioError
from earmark.engine.design.keys import OK
from earmark.engine.progress import Stop, StoppedError, never

T = TypeVar("T")
_PLANNED_AT_ONCE = 20_000  # requests
_LOOK_EVERY_S = 0.2  # whether somebody asked to stop
_MOST_HELD_BYTES = 1 << 26  # of encoded audio
_HOPELESS_TEXTS = 3  # that are not answered without audio, in a row: then no more of them are asked


class EventLoop:
    """A thread in which what is asked of a server waits for it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="served answerer", daemon=True)
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        return self._loop.is_closed()

    def start(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, work: Coroutine[Any, Any, T], stop: Stop) -> T:
        """What work comes to; StoppedError, and the work is given up, where `stop` says so before."""
        future = self.start(work)
        while not wait([future], _LOOK_EVERY_S).done:
            if stop():
                future.cancel()
                raise StoppedError
        return future.result()

    def call(self, function: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(function)

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """End what is under way, then do the last thing, then end the thread."""
        self.start(_end_others()).result()
        self.start(last).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _end_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@dataclass(slots=True)
class Inquiry:
    """One question about one excerpt, and the requests that want to know."""

    key: str
    excerpt: Excerpt
    text: str
    choices: tuple[str, ...]
    requests: list[Request] = field(default_factory=list)


class ServedAnswerer:
    """A server, and how it is asked."""

    def __init__(
        self, name: str, identity: str, canaries: Canaries, asking: Asking, server: PatientServer, ledger: Ledger,
        loop: EventLoop,
    ) -> None:  # fmt: skip
        self.name, self.identity, self.likelihoods = name, identity, canaries.likelihoods
        self._canaries = canaries
        self._asking, self._server, self._ledger, self._loop = asking, server, ledger, loop
        self._at_once = server.connections
        self._again = False  # asked the second time, for the rate of flips
        self._audio = _EncodedAudio()
        self._counting: dict[str, asyncio.Task[int | None]] = {}  # tokens of a question's text, by its key
        self._uncounted_in_a_row = 0  # texts that were not answered without audio

    @property
    def abilities(self) -> Abilities:
        """What it can do, as the canaries showed, and how many requests were sent to it until now."""
        why = "" if self.likelihoods else "it did not give that of every letter (logprobs) with every canary's answer"
        if not self._asking.likelihoods:
            why = "it refuses requests for them (logprobs)"
        return Abilities(
            shares=False,
            no_likelihoods=why,
            letters_are_tokens=True if self.likelihoods else None,
            window_s=None,
            beyond="what the server refuses is a status; what it cuts without a word, nobody sees",
            server=ServerAbilities(N_CANARIES, n_right(self._canaries), self._ledger.sent, self._canaries),
        )

    def answer(
        self,
        requests: Iterable[Request],
        known: Mapping[str, Result],
        report: Callable[[Progress], None] = unheard,
        stop: Stop = never,
    ) -> Iterator[tuple[Request, Result]]:
        """Every request once; where `stop` says so, what is under way is waited for, the rest left."""
        counts, n_asked = RequestCounts(), 0
        waiting = iter(requests)
        while part := list(islice(waiting, _PLANNED_AT_ONCE)):
            inquiries: dict[str, Inquiry] = {}
            counts.planned(len(part), 0)
            for request in part:
                inquiry = _inquiry(request)
                result = known.get(inquiry.key) or self._known(inquiry)
                if result is None:
                    inquiries.setdefault(inquiry.key, inquiry).requests.append(request)
                else:
                    counts.planned(0, 1)
                    yield request, result
            for inquiry, result in self._asked(list(inquiries.values()), stop):
                n_asked, n_requests = n_asked + 1, len(inquiry.requests)
                saving = Saving(n_asked, counts.answered + n_requests)
                report(counts.done(n_requests, n_requests * (result.status != OK), saving))
                yield from ((request, result) for request in inquiry.requests)
            if stop():
                return

    def in_other_batches(self) -> "ServedAnswerer":
        """The same server, asked the same a second time, with half as many at once."""
        second = copy(self)
        second._again, second._at_once = True, max(1, self._at_once // 2)
        return second

    def close(self) -> None:
        """Give up connections and files."""
        if not self._loop.is_closed:
            self._loop.close(self._server.close())
            self._ledger.close()

    def _known(self, inquiry: Inquiry) -> Result | None:
        """What a question came to; None where something of it must be asked for."""
        result, text = self._paid(inquiry), self._ledger.result(_text_key(inquiry.text))
        if result is None or result.lm_positions is None:
            return result
        return None if text is None else _with_audio_tokens(result, text.lm_positions)

    def _paid(self, inquiry: Inquiry) -> Result | None:
        """What the ledger holds of a question with its audio, before the audio's tokens are counted."""
        result = self._ledger.result(inquiry.key, self._again)
        is_broken = result is not None and len(result.option_nll) not in (0, len(inquiry.choices))
        return None if is_broken else result

    # In the thread of the caller ---------------------------------------------------------------------------

    def _asked(self, inquiries: Sequence[Inquiry], stop: Stop) -> Iterator[tuple[Inquiry, Result]]:
        """The result of each question as it comes; what failed altogether is raised once all others are there."""
        results: SimpleQueue[tuple[Inquiry, Result] | None] = SimpleQueue()
        enough = asyncio.Event()
        work = self._loop.start(self._ask_all(inquiries, results, enough))
        work.add_done_callback(lambda _: results.put(None))
        try:
            while True:
                if stop():
                    self._loop.call(enough.set)
                try:
                    answered = results.get(timeout=_LOOK_EVERY_S)
                except Empty:
                    continue
                if answered is None:
                    break
                yield answered
            work.result()
        finally:
            work.cancel()

    # In the thread of the loop -----------------------------------------------------------------------------

    async def _ask_all(
        self,
        inquiries: Sequence[Inquiry],
        results: "SimpleQueue[tuple[Inquiry, Result] | None]",
        enough: asyncio.Event,
    ) -> None:
        """Ask, so many at a time; an error lets those finish that are under way."""
        waiting = iter(inquiries)

        async def ask_some() -> None:
            for inquiry in waiting:
                if enough.is_set():
                    return
                try:
                    result = await self._result(inquiry, enough)
                except StoppedError:
                    return
                except BaseException:
                    enough.set()
                    raise
                results.put((inquiry, result))

        askers = (ask_some() for _ in range(min(self._at_once, len(inquiries))))
        for ended in await asyncio.gather(*askers, return_exceptions=True):
            if isinstance(ended, BaseException):
                raise ended

    async def _result(self, inquiry: Inquiry, stop: asyncio.Event) -> Result:
        """What a question comes to: an answer, or a status. What is paid for is kept before anything else can fail."""
        result = self._paid(inquiry)
        if result is None:
            try:
                audio = self._audio.encoded(inquiry.excerpt)
            except AudioError as error:
                return self._failed(inquiry, f"audio: {one_line(error)}")
            except Exception as error:  # a reader's defect is that recording's, not the run's
                return self._failed(inquiry, f"audio: {type(error).__name__}: {one_line(error)}")
        counting = self._text_tokens(inquiry.text, stop)
        try:
            if result is None:
                completion = await self._server.ask(self._asking.body(inquiry.text, audio), stop)
                result = _read(inquiry, completion, self._asking.reads_text)
                self._ledger.keep(result, self._again)
        except UnansweredError as error:
            return self._failed(inquiry, str(error))
        finally:
            text_tokens = await asyncio.shield(counting)
        return _with_audio_tokens(result, text_tokens)

    def _failed(self, inquiry: Inquiry, status: str) -> Result:
        result = Result(inquiry.key, audio_tokens=None, status=status)
        self._ledger.keep(result, self._again)
        return result

    def _text_tokens(self, text: str, stop: asyncio.Event) -> "asyncio.Future[int | None]":
        """The positions that a question takes without audio, which is asked once; None where nobody says."""
        key = _text_key(text)
        known = self._ledger.result(key)
        if known is not None or self._uncounted_in_a_row >= _HOPELESS_TEXTS:
            answered: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
            answered.set_result(None if known is None else known.lm_positions)
            return answered
        if key not in self._counting:
            self._counting[key] = asyncio.ensure_future(self._count(key, text, stop))
            self._counting[key].add_done_callback(lambda _: self._counting.pop(key))
        return self._counting[key]

    async def _count(self, key: str, text: str, stop: asyncio.Event) -> int | None:
        """What came of a question without audio; where it is not answered, and the server is well, nobody says."""
        try:
            positions = (await self._server.ask(self._asking.body(text, None), stop, tries=1)).prompt_tokens
        except UnansweredError as error:
            self._uncounted_in_a_row += 1
            self._ledger.keep(Result(key, audio_tokens=None, status=str(error)))
            return None
        self._uncounted_in_a_row = 0
        self._ledger.keep(Result(key, audio_tokens=None, lm_positions=positions))
        return positions


class _EncodedAudio:
    """Excerpts as WAV in base 64: a clip that several questions are about is encoded once, as long as it is held."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def encoded(self, excerpt: Excerpt) -> bytes:
        """The audio of an excerpt."""
        if excerpt.hash in self._held:
            self._held.move_to_end(excerpt.hash)
            return self._held[excerpt.hash]
        audio = wav_base64(samples_at(clip(excerpt.wave.audio.waveform()), excerpt.wave.places))
        self._held[excerpt.hash] = audio
        self._bytes += len(audio)
        while self._bytes > _MOST_HELD_BYTES and len(self._held) > 1:
            self._bytes -= len(self._held.popitem(last=False)[1])
        return audio


def _inquiry(request: Request) -> Inquiry:
    text = prompt.question_text(request.question.text, request.question.choices)
    return Inquiry(work_key(request.excerpt.hash, text), request.excerpt, text, request.question.choices)


def _text_key(text: str) -> str:
    """Of a question without audio."""
    return work_key("", text)


def _read(inquiry: Inquiry, completion: Completion, reads_text: bool) -> Result:
    """A reply as a result, whose audio's tokens are not counted yet."""
    return Result(
        inquiry.key,
        label_of(completion, inquiry.choices, reads_text),
        option_nll(completion.first, prompt.letters(len(inquiry.choices))),
        None,
        completion.text,
        lm_positions=completion.prompt_tokens,
    )


def _with_audio_tokens(result: Result, text_tokens: int | None) -> Result:
    """A result with the tokens that the audio adds to those of the text; None where a server counts none of them."""
    if result.lm_positions is None or text_tokens is None or result.lm_positions <= text_tokens:
        return result
    return replace(result, audio_tokens=result.lm_positions - text_tokens)


def label_of(completion: Completion, choices: Sequence[str], reads_text: bool) -> str | None:
    """The letter of an answer: the likeliest, where that of every letter is known and the text is not to be read."""
    letters = prompt.letters(len(choices))
    nll = option_nll(completion.first, letters)
    if nll and not reads_text:
        return letters[min(range(len(nll)), key=nll.__getitem__)]
    return parse.letter(completion.text, letters, choices)
