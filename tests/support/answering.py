"""Requests straight to a model whose computations are shared, as most tests of answering want it."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from earmark.engine.answerers import answer_all as coarse
from earmark.engine.answerers.answer_all import FlipRate
from earmark.engine.answerers.answerer import unheard
from earmark.engine.answerers.journal import Journal
from earmark.engine.answerers.request import Answer, Progress, Request
from earmark.engine.answerers.shared.audio_lm import AudioLM
from earmark.engine.answerers.shared.scheduler import AnswerOptions
from earmark.engine.answerers.shared.shared_answerer import SharedAnswerer
from earmark.engine.progress import Stop, never


def answer_all(
    model: AudioLM,
    requests: Iterable[Request],
    options: AnswerOptions = AnswerOptions(),  # noqa: B008 (frozen)
    journal: Journal | None = None,
    report: Callable[[Progress], None] = unheard,
    stop: Stop = never,
) -> Iterator[Answer]:
    """Every request once, in no particular order."""
    return coarse.answer_all(SharedAnswerer(model, options), requests, journal, report, stop)


def flip_rate(model: AudioLM, raw: Sequence[Request], options: AnswerOptions = AnswerOptions()) -> FlipRate:  # noqa: B008
    """How often labels change in other batches."""
    return coarse.flip_rate(SharedAnswerer(model, options), raw)


def identity(model: AudioLM, options: AnswerOptions = AnswerOptions()) -> str:  # noqa: B008
    """What results depend on."""
    return SharedAnswerer(model, options).identity
