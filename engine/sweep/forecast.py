"""What a sweep will ask that stops when it is decided, in answers, in time and in money, before it asks anything.

Opens the corpus that a spec names, as a run does, and writes nothing beside it. Knows no answerer.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from earmark.engine.design.keys import ANCHOR
from earmark.engine.design.spec import Spec
from earmark.engine.design.steps import Arm, Step
from earmark.engine.signoff.sizes import Guess, Sizes, declared_sizes
from earmark.engine.signoff.walk_forecast import LEAST_CHANGES, Asked, Simulation, simulate, too_small
from earmark.engine.sweep.estimate import Estimate, evaluations, scratch
from earmark.engine.sweep.prepare import Prepared, prepare
from earmark.engine.sweep.walk_order import n_candidates

REQUESTS = 1_000  # that a price is for
_PAPER = "the paper's rule judges all rows"


class Effort(NamedTuple):
    """What it takes to ask so much."""

    answers: int  # of all answerers
    seconds: float | None  # None: nobody measured it
    cost: float | None  # in the currency of the prices; None: no answerer has one


class Forecast(NamedTuple):
    """What is asked until it is decided, if answers change as is guessed."""

    corpus: str
    sizes: Mapping[str, Sizes]  # of families, by partition
    candidates: int  # that share alpha
    everything: Effort  # where it asks until it is complete
    safe: Effort
    harmed: Effort  # where one family is harmed at every budget
    flips: tuple[float, float]  # that were guessed: at the largest budget, and at the smallest
    nothing: str  # why nothing is asked at all; else empty
    deferred: int  # answers to permuted questions, which wait until it is completed


def forecast(spec: Spec, guess: Guess, estimate: Estimate | None = None) -> Forecast:
    """How much of a spec's questions will be asked until it is decided; `estimate` is of the spec, measured."""
    guess.check()
    with scratch(spec) as (place, load_compressor):
        prepared = prepare(replace(spec, until="decided"), place, load_compressor)
    assert prepared.walk is not None, "it was prepared for walks"
    whole = _Efforts(prepared, estimate)
    arms = _arms(prepared)
    cases = [
        simulate(Simulation(prepared.walk, guess, harms), [len(budgets) for budgets in arms.values()])
        for harms in (False, True)
    ]
    safe, harmed = (whole.of(case, arms) for case in cases)
    return Forecast(
        prepared.corpus.name,
        declared_sizes(prepared.walk.rows),
        n_candidates(spec, prepared.corpus.name),
        whole.everything,
        safe,
        harmed,
        (LEAST_CHANGES * guess.flips, guess.flips),
        _PAPER if spec.rule.name == "paper" else too_small(prepared.walk),
        whole.deferred,
    )


Arms = Mapping[Arm, tuple[float, ...]]  # the budgets of each, from the largest down


def _arms(prepared: Prepared) -> Arms:
    """What is walked down."""
    walks = {
        Arm(method.name, seed, ANCHOR): method.budgets for method in prepared.spec.methods for seed in method.seeds
    }
    return {arm: tuple(budgets) for arm, budgets in walks.items()}


class _Efforts:
    """What parts of a sweep take."""

    def __init__(self, prepared: Prepared, estimate: Estimate | None) -> None:
        self._answerers = prepared.spec.answerers
        self._n = prepared.survey.examples
        self._steps = prepared.steps
        self._seconds_of = None if estimate is None else estimate.seconds_of
        self._price = sum(answerer.price or 0.0 for answerer in self._answerers)
        self._has_price = any(answerer.price is not None for answerer in self._answerers)
        n_asked = evaluations(prepared)
        seconds = None if self._seconds_of is None else sum(self._seconds_of.values())
        n_deferred = sum(len(step.places) for step in self._steps if step.permuted)
        self.deferred = n_deferred * self._n * len(self._answerers)
        self.everything = Effort(n_asked, seconds, self._cost(n_asked))

    def of(self, case: Asked, arms: Arms) -> Effort:
        """What it takes to ask what walks ask."""
        share = _Shares(case, arms)
        rows = sum(share.of(step) * len(step.places) * self._n for step in self._steps)
        answers = round(rows * len(self._answerers))
        seconds = None
        if self._seconds_of is not None:
            seconds = sum(share.of(step) * seconds for step, seconds in self._seconds_of.items())
        return Effort(answers, seconds, self._cost(answers))

    def _cost(self, answers: int) -> float | None:
        """Every answerer is asked as much, each at its price."""
        return answers / len(self._answerers) * self._price / REQUESTS if self._has_price else None


class _Shares:
    """Which share of a step's rows is asked."""

    def __init__(self, case: Asked, arms: Arms) -> None:
        self._references = case.references / case.rows
        self._of_place = {
            (arm, budget): float(n_asked) / case.rows
            for (arm, budgets), by_budget in zip(arms.items(), case.by_walk, strict=True)
            for budget, n_asked in zip(budgets, by_budget, strict=True)
        }

    def of(self, step: Step) -> float:
        """Of 1; permuted questions wait until what was decided is completed."""
        if step.permuted:
            return 0.0
        if not step.compressed:
            return self._references
        return sum(self._of_place[place.arm, place.budget] for place in step.places) / len(step.places)
