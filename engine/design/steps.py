"""What a sweep evaluates, in the order that makes early answers useful: raw, silence, then budgets from the largest
down, and the permuted questions of the audits after everything a verdict needs.

A step is complete before the next one begins. Pure: knows a spec and which methods read the question.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import quote

from earmark.engine.design.keys import ANCHOR, SILENCE, UNCOMPRESSED, CellKey, agnostic_partner
from earmark.engine.design.spec import Spec

Kind = Literal["raw", "silence", "anchor", "walk", "streams"]


class Arm(NamedTuple):
    """A method in one of its seeds, under one stream of questions."""

    method: str
    seed: int
    stream: str

    def key(self, answerer: str, corpus: str, budget: float) -> CellKey:
        """Its cell at a budget."""
        return CellKey(answerer, corpus, self.method, self.seed, self.stream, budget)


class Place(NamedTuple):
    """An arm at a budget: a cell of every answerer."""

    arm: Arm
    budget: float


@dataclass(frozen=True, slots=True)
class Step:
    """Cells that are filled together: a place in the walk of each of its arms, from the most kept to the least."""

    kind: Kind
    places: tuple[Place, ...]

    @classmethod
    def at(cls, kind: Kind, budget: float, arms: Iterable[Arm]) -> "Step":
        """All arms at one budget."""
        return cls(kind, tuple(Place(arm, budget) for arm in arms))

    @property
    def arms(self) -> tuple[Arm, ...]:
        return tuple(place.arm for place in self.places)

    @property
    def budget(self) -> float:
        """The largest of its arms, which no other step of its kind has: walks fall."""
        return max(place.budget for place in self.places)

    @property
    def name(self) -> str:
        """raw, silence, anchor-BUDGET, walk-BUDGET-METHOD-SEED or streams-BUDGET, as plan.json and the folders of a
        sweep call it.
        """
        if self.kind in ("raw", "silence"):
            return self.kind
        name = f"{self.kind}-{1 if self.budget == 1 else self.budget!r}"
        if self.kind == "walk":
            (arm,) = self.arms
            name += f"-{quote(arm.method, safe='')}-{arm.seed}"
        return name

    def words(self, budgets: str) -> str:
        """What people call it; `budgets` are its budgets as they are to be shown."""
        if self.kind == "raw":
            return "raw audio"
        if self.kind == "silence":
            return "silence instead"
        several = "s" if "," in budgets else ""
        what = "permuted questions, " if self.permuted else f"{self.arms[0].method}, " if self.kind == "walk" else ""
        return f"{what}budget{several} {budgets}"

    @property
    def ranked_with(self) -> str:
        """What it shares the scores of selectors with: all steps of a kind, or of a walk of its own."""
        if self.kind != "walk":
            return self.kind
        (arm,) = self.arms
        return f"{self.kind}-{quote(arm.method, safe='')}-{arm.seed}"

    @property
    def has_its_budget(self) -> bool:
        """Whether there is such a step: raw audio and silence are whole, and verdicts are about budgets below 1."""
        if self.kind in ("raw", "silence"):
            return all(place.budget == 1 for place in self.places)
        return not self.compressed or self.budget < 1

    @property
    def of_one_arm(self) -> bool:
        """Whether there is one cell of it for every answerer."""
        return self.kind in ("raw", "silence", "walk")

    @property
    def permuted(self) -> bool:
        """Whether it is for the audits only."""
        return self.kind == "streams"

    @property
    def compressed(self) -> bool:
        """Whether verdicts are about it: a budget below 1 under the questions' own stream."""
        return self.kind in ("anchor", "walk")

    def keys(self, answerer: str, corpus: str) -> dict[Arm, CellKey]:
        """The cells of an answerer."""
        return {arm: arm.key(answerer, corpus, budget) for arm, budget in self.places}


def steps_of(spec: Spec, asking: Collection[str], *, decided: bool = False) -> tuple[Step, ...]:
    """All steps of an answerer; `asking` are the methods whose selector reads the question.

    Where each walk stops when it is `decided`, each has steps of its own.
    """
    steps = [
        Step.at("raw", 1.0, [Arm(UNCOMPRESSED, 0, ANCHOR)]),
        Step.at("silence", 1.0, [Arm(SILENCE, 0, ANCHOR)]),
    ]
    walks = [(Arm(m.name, seed, ANCHOR), m.budgets) for m in spec.methods for seed in m.seeds]
    if decided:
        steps += [Step.at("walk", budget, [arm]) for arm, budgets in walks for budget in budgets]
    else:
        steps += _walked("anchor", walks)
    naive = naive_streams(spec)
    with_partners = {*asking, *map(agnostic_partner, asking)}
    others = [
        (Arm(method.name, seed, stream), method.budgets)
        for method in spec.methods
        for seed in method.seeds
        for stream in (*permuted_streams(spec), *naive)
        if method.name in (with_partners if stream in naive else asking)
    ]
    if naive and others:  # the answerer gets other questions there: they have a raw reference of their own
        steps.append(Step.at("streams", 1.0, [Arm(UNCOMPRESSED, 0, stream) for stream in naive]))
    steps += _walked("streams", others)
    return tuple(steps)


def _walked(kind: Kind, walks: Sequence[tuple[Arm, Sequence[float]]]) -> list[Step]:
    """The walks of arms side by side, each down its own budgets: the first place of each together, then the second."""
    longest = max((len(budgets) for _, budgets in walks), default=0)
    return [
        Step(kind, tuple(Place(arm, budgets[i]) for arm, budgets in walks if i < len(budgets))) for i in range(longest)
    ]


def references(steps: Sequence[Step], step: Step) -> dict[Arm, tuple[Step, Arm]]:
    """With which raw reference each arm of a step is compared: that of its own stream, or the anchor's."""
    raw = {arm.stream: (owner, arm) for owner in steps for arm in owner.arms if arm.method == UNCOMPRESSED}
    return {arm: raw.get(arm.stream, raw[ANCHOR]) for arm in step.arms if arm.method != UNCOMPRESSED}


def permuted_streams(spec: Spec) -> list[str]:
    """The names of the streams in which only the selector gets another question."""
    return _numbered("permuted", spec.streams.permuted_global, spec.streams.permuted_family)


def naive_streams(spec: Spec) -> list[str]:
    """The names of the streams in which the answerer gets the other question too."""
    return _numbered("naive", spec.streams.naive_global, spec.streams.naive_family)


def _numbered(kind: str, everywhere: int, within: int) -> list[str]:
    return [f"{kind}-global-{i}" for i in range(1, everywhere + 1)] + [
        f"{kind}-family-{i}" for i in range(1, within + 1)
    ]
