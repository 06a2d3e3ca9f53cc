"""Requests in, answers out: plans, takes over what a journal holds, runs, writes down, fans out.

The one function a sweep calls. Knows no torch, no corpus and no outcome files.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from earmark.engine.answerers.answerer import Answerer
from earmark.engine.answerers.journal import Journal
from earmark.engine.answerers.request import Answer, Progress, Request, Result
from earmark.engine.answerers.shared.forest import Forest, make_forest
from earmark.engine.answerers.shared.scheduler import AnswerOptions, Scheduler, answer_alone
from earmark.engine.design.keys import OK
from earmark.engine.progress import Stop, never

PLANNED_AT_ONCE = 200_000  # requests; work is merged across plans too, only batches are not


def answer_all(
    answerer: Answerer,
    requests: Iterable[Request],
    options: AnswerOptions = AnswerOptions(),  # noqa: B008 (frozen)
    journal: Journal | None = None,
    report: Callable[[Progress], None] | None = None,
    stop: Stop = never,
    planned_at_once: int = PLANNED_AT_ONCE,
) -> Iterator[Answer]:
    """Answer every request once, in no particular order.

    A batch's results are in the journal before their answers are handed out; results the journal already holds are
    handed out at once. `stop` is asked after every batch: what is left is then for the next run. With
    `options.reuse=False` every piece of work goes through the plain model by itself.
    """
    results: dict[str, Result] = {} if journal is None else journal.results
    meter = _AnswerMeter(answerer)
    requests = iter(requests)
    while part := list(islice(requests, planned_at_once)):
        forest = make_forest(part, answerer.template, answerer.shape, answerer.tokenize, results.keys(), options.split)
        meter.forest(forest)
        for key, number in forest.known:
            yield Answer.of(part[number], results[key])
        askers = {piece.key: piece.requests for piece in forest.pieces()}
        askers |= {result.key: numbers for result, numbers in forest.refused}
        run = Scheduler(answerer, forest, options).steps() if options.reuse else answer_alone(answerer, forest, options)
        for step in run:
            if journal is None:
                results.update((result.key, result) for result in step)
            else:
                journal.append(step)
            answers = [Answer.of(part[n], result) for result in step for n in askers.pop(result.key)]
            progress = meter.step(step, len(answers))
            if report is not None:
                report(progress)
            yield from answers
            if stop():
                return
        assert not askers, f"{len(askers)} pieces of work without a result"


def identity(answerer: Answerer, options: AnswerOptions) -> str:
    """What results depend on: the answerer and how it is asked, not how the work is cut into batches."""
    return f"{answerer.identity} generate={options.generate} split={options.split}"


class FlipRate:
    """How often equal questions about equal audio got another answer in another batch."""

    def __init__(self, compared: int, changed: int) -> None:
        self.compared = compared
        self.changed = changed

    @property
    def share(self) -> float | None:
        """None where nothing could be compared."""
        return self.changed / self.compared if self.compared else None


def flip_rate(answerer: Answerer, raw: Sequence[Request], options: AnswerOptions = AnswerOptions()) -> FlipRate:  # noqa: B008
    """Answer raw requests twice, in batches of other sizes and companions, and count the changed labels.

    In fp32 it is 0; in bf16 it is the noise under every excess, and belongs beside it.
    """
    tokens, clips = max(1, options.batch_tokens // 3), max(1, options.window_clips // 2)
    again = replace(options, batch_tokens=tokens, window_clips=clips)
    first = {a.id: a for a in answer_all(answerer, raw, options)}
    second = {a.id: a for a in answer_all(answerer, list(reversed(raw)), again)}
    both = [(first[i], second[i]) for i in first if first[i].status == OK == second[i].status]
    return FlipRate(len(both), sum(a.predicted_label != b.predicted_label for a, b in both))


class _AnswerMeter:
    """The figures of a progress line."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        self._began = time.monotonic()
        self._flops_before = answerer.counted.flops
        self._alone_flops = 0
        self._total = self._resumed = self._answered = self._failed = 0

    def forest(self, forest: Forest) -> None:
        """Another plan begins."""
        self._plan = forest
        self._hearing_of = {q.key: (h, q) for h in forest.trees for q in h.pieces}
        self._total += len(forest.requests)
        self._resumed += len(forest.known)

    def step(self, results: Sequence[Result], answers: int) -> Progress:
        """A batch was answered."""
        self._answered += answers
        for result in results:
            place = self._hearing_of.get(result.key)
            if place is None or result.status != OK:
                self._failed += 1 if place is None else len(place[1].requests)
                continue
            tree, piece = place
            self._alone_flops += len(piece.requests) * self._plan.alone(tree, piece).flops
        seconds = max(time.monotonic() - self._began, 1e-9)
        spent = self._answerer.counted.flops - self._flops_before
        return Progress(
            answered=self._resumed + self._answered,
            total=self._total,
            resumed=self._resumed,
            failed=self._failed,
            evaluations_per_s=self._answered / seconds,
            share_saved=1 - spent / self._alone_flops if self._alone_flops else 0.0,
        )
