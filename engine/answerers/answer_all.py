"""Requests to an answerer, answers back: takes over what a journal holds, and writes down what comes.

The one function that asks an answerer. Knows no corpus and no outcome files.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from earmark.engine.answerers.answerer import Answerer, unheard
from earmark.engine.answerers.journal import Journal
from earmark.engine.answerers.request import Answer, Progress, Request
from earmark.engine.design.keys import OK
from earmark.engine.progress import Stop, StoppedError, never


def answer_all(
    answerer: Answerer,
    requests: Iterable[Request],
    journal: Journal | None = None,
    report: Callable[[Progress], None] = unheard,
    stop: Stop = never,
) -> Iterator[Answer]:
    """Answer every request once, in no particular order; where `stop` says so, what is left is for the next run.

    A result is in the journal before its answers are handed out; results that the journal already holds are handed out
    at once.
    """
    known = {} if journal is None else journal.results
    for request, result in answerer.answer(requests, known, report, stop):
        if journal is not None:
            journal.append([result])
        yield Answer.of(request, result)


class FlipRate:
    """How often equal questions about equal audio got another answer in another batch."""

    def __init__(self, compared: int, changed: int) -> None:
        self.compared = compared
        self.changed = changed

    @property
    def share(self) -> float | None:
        """None where nothing could be compared."""
        return self.changed / self.compared if self.compared else None


def flip_rate(answerer: Answerer, raw: Sequence[Request], stop: Stop = never) -> FlipRate:
    """Answer raw requests twice, in other batches and in the reverse order, and count the changed labels.

    In fp32 it is 0; in bf16 it is the noise under every excess, and belongs beside it. StoppedError where `stop` says
    so: nothing is kept.
    """
    once = {answer.id: answer for answer in answer_all(answerer, raw, stop=stop)}
    again = answer_all(answerer.in_other_batches(), list(reversed(raw)), stop=stop)
    twice = {answer.id: answer for answer in again}
    if min(len(once), len(twice)) < len(raw):
        raise StoppedError
    pairs = [(once[i], twice[i]) for i in once if once[i].status == OK == twice[i].status]
    return FlipRate(len(pairs), sum(first.predicted_label != second.predicted_label for first, second in pairs))
