"""An answerer of any audio model: each excerpt and question once, in batches of equal features and similar length.

Nothing is shared between two questions about one excerpt but the answer to equal ones. Knows a model by `ChatModel`;
no torch, no corpus, no files.

    requests -> pieces of work -> windows within a number of bytes -> inputs -> batches -> results
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby, islice
from typing import Any, Protocol, TypeVar

from earmark.engine.answerers.abilities import Abilities
from earmark.engine.answerers.answerer import unheard
from earmark.engine.answerers.prompt import question_text
from earmark.engine.answerers.request import Progress, Request, RequestCounts, Result, Saving
from earmark.engine.answerers.shared.attempts import Attempts, one_line
from earmark.engine.answerers.shared.audio_lm import Reply
from earmark.engine.answerers.shared.batches import grouped
from earmark.engine.answerers.shared.encodings import Encodings, RawStates
from earmark.engine.answerers.shared.forest import work_key
from earmark.engine.answerers.shared.scheduler import AnswerOptions
from earmark.engine.answerers.shared.spoken import spoken_letter
from earmark.engine.arrays import FloatArray, Waveform
from earmark.engine.compressors.compressor import Excerpt, samples_at
from earmark.engine.compressors.tokens.reducing import reduction_of
from earmark.engine.compressors.tokens.reduction import Reduction
from earmark.engine.corpus.clip import clip
from earmark.engine.corpus.example import MOST_SECONDS, SAMPLE_RATE, Audio, AudioError
from earmark.engine.design.keys import OK, TOO_LONG, TOO_SHORT
from earmark.engine.progress import Stop, never

TOKENS_OF_A_LETTER = 5  # that are written where a letter has no likelihood of its own and a spec names no number


class ChatInputs(Protocol):
    """One excerpt and one question, as a model takes them."""

    @property
    def positions(self) -> int:
        """Of the prompt, audio included."""

    @property
    def audio_tokens(self) -> int:
        """Those of the audio."""

    @property
    def shape(self) -> Hashable:
        """Inputs with equal ones may be read together."""

    @property
    def nbytes(self) -> int: ...


Row = TypeVar("Row", bound=ChatInputs)


class ChatModel(Protocol[Row]):
    """An audio model behind its processor. `plain.auto_model` implements it, and a fake in the tests."""

    name: str
    likelihoods: bool  # whether each letter is one token after the prompt
    most_positions: int | None  # of prompt and answer that it was made for; None: its configuration does not say

    @property
    def longest_s(self) -> float | None:
        """Seconds of audio that it hears to the end; None: all that a clip may have."""

    @property
    def identity(self) -> str:
        """What its answers depend on: class, weights, number format, processor, prompts."""

    def inputs(self, waveform: Waveform, text: str) -> Row:
        """An excerpt and a question, ready to be read."""

    @property
    def state_bytes(self) -> int:
        """Of what its encoder makes of the audio, a position."""

    def encoded(self, inputs: Row) -> RawStates:
        """What its encoder makes of the audio, to be kept."""

    def reduced(self, inputs: Row, encoded: RawStates, reduce: Callable[[FloatArray], Reduction], sized: bool) -> Row:
        """The same prompt after what `reduce` makes of its audio (n, width)."""

    @property
    def cannot_reduce(self) -> str:
        """Why it cannot be asked about reduced audio; empty: it can."""

    @property
    def cannot_weigh(self) -> str:
        """Why not about audio tokens with places and weights; empty: it can."""

    def replies(self, rows: Sequence[Row], options: Sequence[int], limit: int) -> list[Reply]:
        """How likely each letter is to come next after each prompt, and, where `limit` is not 0, so many greedy tokens
        as text. Rows have equal shapes.
        """


@dataclass(slots=True)
class Chat:
    """One question about one excerpt; `requests` are those that want to know."""

    key: str
    excerpt: Excerpt
    text: str
    requests: list[Request] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Ready:
    chat: Chat
    inputs: ChatInputs

    def result(self, label: str | None = None, **others: object) -> Result:
        inputs = self.inputs
        whole = Result(self.chat.key, label, audio_tokens=inputs.audio_tokens, lm_positions=inputs.positions)
        return replace(whole, **others)  # type: ignore[arg-type]


class PlainAnswerer:
    """A model behind its processor, and how it is asked."""

    def __init__(
        self,
        model: ChatModel[Any],
        options: AnswerOptions = AnswerOptions(),  # noqa: B008 (frozen)
        encodings: Encodings | None = None,
    ) -> None:
        self.name = model.name
        self.likelihoods = model.likelihoods
        self.model = model
        self.options = options
        self._encodings = encodings or Encodings(options.clip_bytes)
        self._limit = options.generate or (0 if model.likelihoods else TOKENS_OF_A_LETTER)

    @property
    def identity(self) -> str:
        """The model and how it is asked, not how the work is cut into batches."""
        return f"{self.model.identity} generate={self._limit}"

    @property
    def abilities(self) -> Abilities:
        """What it can do, as the model showed when it was loaded."""
        longest_s = self.model.longest_s
        why = f"some letter is not one token after the prompt; letters are read in {self._limit} written tokens"
        return Abilities(
            shares=False,
            no_likelihoods="" if self.likelihoods else why,
            letters_are_tokens=self.likelihoods,
            window_s=float(MOST_SECONDS) if longest_s is None else longest_s,
            beyond="no clip is longer" if longest_s is None else "a status (too long)",
        )

    @property
    def cannot_reduce(self) -> str:
        """Why its encoder's output cannot be reduced; empty: it can."""
        return self.model.cannot_reduce

    @property
    def cannot_weigh(self) -> str:
        """Why not with places and weights; empty: it can."""
        return self.model.cannot_weigh

    def answer(
        self,
        requests: Iterable[Request],
        known: Mapping[str, Result],
        report: Callable[[Progress], None] = unheard,
        stop: Stop = never,
    ) -> Iterator[tuple[Request, Result]]:
        """Every request once; `stop` is asked after every batch: what is left is then for the next run."""
        results = dict(known)
        counts = RequestCounts()
        waiting = iter(requests)
        attempts = Attempts()
        while part := list(islice(waiting, self.options.planned_at_once)):
            chats = list(_chats(part, results.keys()))
            counts.planned(len(part), len(part) - sum(len(chat.requests) for chat in chats))
            to_ask = {chat.key: chat for chat in chats}
            for request in part:
                key = _key(request)
                if key in results:
                    yield request, results[key]
            for batch in self._results(chats, attempts):
                results.update((result.key, result) for result in batch)
                answered = [(request, result) for result in batch for request in to_ask.pop(result.key).requests]
                n_failed = sum(result.status != OK for _, result in answered)
                report(counts.done(len(answered), n_failed, Saving()))  # what is spent nobody counts
                yield from answered
                if stop():
                    return
            assert not to_ask, f"{len(to_ask)} pieces of work without a result"

    def in_other_batches(self) -> "PlainAnswerer":
        """The same model, in batches of a third of the tokens."""
        return PlainAnswerer(self.model, replace(self.options, batch_tokens=max(1, self.options.batch_tokens // 3)))

    def close(self) -> None:
        """Let go of the model: there may not be memory for two."""
        del self.model

    def _results(self, chats: Sequence[Chat], attempts: Attempts) -> Iterator[list[Result]]:
        """The results of one batch after the other, each result once."""
        window: list[_Ready] = []
        nbytes = 0
        for ready in self._ready(chats, attempts):
            if isinstance(ready, Result):
                yield [ready]
                continue
            window.append(ready)
            nbytes += ready.inputs.nbytes
            if nbytes >= self.options.clip_bytes:
                yield from self._ask_window(window, attempts)
                window, nbytes = [], 0
        yield from self._ask_window(window, attempts)

    def _ready(self, chats: Sequence[Chat], attempts: Attempts) -> Iterator[_Ready | Result]:
        """The inputs of each piece of work, or why it has none; a recording is opened once."""
        clips: dict[Audio, int] = {}
        for chat in chats:
            clips.setdefault(chat.excerpt.wave.audio, len(clips))
        in_order = sorted(chats, key=lambda chat: clips[chat.excerpt.wave.audio])  # stable
        for audio, of_clip in groupby(in_order, key=lambda chat: chat.excerpt.wave.audio):
            whole = _opened(audio)
            for chat in of_clip:
                if isinstance(whole, str):
                    yield Result(chat.key, status=whole)
                elif why := self._too_long(chat.excerpt):
                    yield Result(chat.key, status=why)
                else:
                    yield self._ready_one(chat, samples_at(whole, chat.excerpt.wave.places), attempts)

    def _ready_one(self, chat: Chat, samples: Waveform, attempts: Attempts) -> _Ready | Result:
        inputs = attempts.tried(lambda: self._inputs(chat, samples), alone=True)
        if isinstance(inputs, str):
            return Result(chat.key, status=inputs)
        ready = _Ready(chat, inputs)
        if inputs.audio_tokens < 1:
            return ready.result(status=f"{TOO_SHORT}not one audio token")
        most, needed = self.model.most_positions, inputs.positions + self._limit
        if most is not None and needed > most:
            return ready.result(status=f"{TOO_LONG}{needed:,} positions, the answerer has {most:,}")
        return ready

    def _inputs(self, chat: Chat, samples: Waveform) -> ChatInputs:
        """What is read; of an excerpt whose encoding is reduced that is made once, as far as it is kept."""
        inputs: ChatInputs = self.model.inputs(samples, chat.text)
        spec, name = chat.excerpt.reduction, chat.excerpt.encoded_as
        if spec is None or inputs.audio_tokens < 1:
            return inputs
        key = work_key(self.model.identity, name)
        encoded = self._encodings.get(key, self.model.state_bytes)
        if encoded is None:
            encoded = self.model.encoded(inputs)
            self._encodings.put(key, encoded)
        reduce = partial(reduction_of, spec, seconds=len(samples) / SAMPLE_RATE, name=name)
        reduced: ChatInputs = self.model.reduced(inputs, encoded, reduce, spec.sized)
        return reduced

    def _too_long(self, excerpt: Excerpt) -> str | None:
        seconds, longest = excerpt.wave.n_samples / SAMPLE_RATE, self.model.longest_s
        if longest is None or seconds <= longest:
            return None
        return f"{TOO_LONG}{seconds:.1f} s of audio, the answerer hears {longest:g} s at once"

    def _ask_window(self, window: Sequence[_Ready], attempts: Attempts) -> Iterator[list[Result]]:
        """Batches of inputs of one shape, longest first."""
        by_shape: dict[Hashable, list[_Ready]] = {}
        for ready in window:
            by_shape.setdefault(ready.inputs.shape, []).append(ready)
        for rows in by_shape.values():
            rows.sort(key=lambda ready: -ready.inputs.positions)
            for batch in grouped(rows, lambda ready: ready.inputs.positions, self._fits):
                yield from self._ask(batch, attempts)

    def _fits(self, rows: int, longest: int) -> bool:
        return rows * longest <= self.options.batch_tokens

    def _ask(self, batch: Sequence[_Ready], attempts: Attempts) -> Iterator[list[Result]]:
        """Ask a batch; halve it on failure."""
        inputs = [ready.inputs for ready in batch]
        options = [len(_choices(ready)) for ready in batch]
        replies = attempts.tried(lambda: self.model.replies(inputs, options, self._limit), alone=len(batch) == 1)
        if not isinstance(replies, str):
            yield [_result(ready, reply) for ready, reply in zip(batch, replies, strict=True)]
        elif len(batch) > 1:
            half = len(batch) // 2
            yield from self._ask(batch[:half], attempts)
            yield from self._ask(batch[half:], attempts)
        else:
            yield [batch[0].result(status=replies)]


def _chats(requests: Sequence[Request], known: Iterable[str]) -> Iterator[Chat]:
    """Every piece of work once, but for those that are known."""
    known = set(known)
    chats: dict[str, Chat] = {}
    for request in requests:
        key = _key(request)
        if key not in known:
            text = question_text(request.question.text, request.question.choices)
            chats.setdefault(key, Chat(key, request.excerpt, text)).requests.append(request)
    yield from chats.values()


def _key(request: Request) -> str:
    return work_key(request.excerpt.hash, question_text(request.question.text, request.question.choices))


def _opened(audio: Audio) -> Waveform | str:
    """A clip, or why it cannot be heard."""
    try:
        return clip(audio.waveform())
    except AudioError as error:
        return f"audio: {one_line(error)}"
    except Exception as error:  # a reader's bug is that recording's, not the run's
        return f"audio: {type(error).__name__}: {one_line(error)}"


def _choices(ready: _Ready) -> Sequence[str]:
    return ready.chat.requests[0].question.choices


def _result(ready: _Ready, reply: Reply) -> Result:
    spoken = spoken_letter(reply, _choices(ready))
    return ready.result(spoken.label, option_nll=spoken.option_nll, text=reply.text, status=spoken.status)
