"""The types of `claim`: what may be shipped, of which candidates, and why not more, as the certificate's JSON has it.

Types only; `rules.claim` fills them. docs/certificate.md says more of each field.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from earmark.engine.design.fields import BUDGET, COUNT, PROPORTION
from earmark.engine.design.rule import ClaimKind
from earmark.engine.errors import InputError
from earmark.engine.signoff.json_form import Gained
from earmark.engine.signoff.rules.judgement import Route, SampleUnit


class Shipped(NamedTuple):
    """What a candidate is approved for: a budget for everything, or a budget for each family."""

    candidate: Annotated[str, "its name"]
    kind: Annotated[Literal["budget", "routing"], "one budget, or one for each family"]
    budget: Annotated[float | None, "null for routing", BUDGET]
    retained: Annotated[float, "mean share that is kept, of a clip's chunks or on the method's axis", PROPORTION]


class CandidateStop(NamedTuple):
    """Where a candidate's walk stopped, and in which of its curves and partitions."""

    seed: Annotated[int, "training seed", COUNT]
    partition: Annotated[str | None, "null: whatever the partition"]
    budget: Annotated[float, "the budget at which it stopped", BUDGET]
    family: Annotated[str | None, "the family that binds; null: the average, or no test at all"]
    n: Annotated[int, "rows", COUNT]
    plus: Annotated[int, "rows where the loss rose", COUNT]
    minus: Annotated[int, "rows where it fell", COUNT]
    p: Annotated[float, "of the test that did not pass"]
    units: Annotated[int, "independent ones: rows or recordings", COUNT]
    unit: Annotated[SampleUnit, "what they are"]
    needed: Annotated[int | None, "units for 90% power at the observed rates; null where no number would do", COUNT]
    reason: Annotated[str, "why it stopped, in words"]
    missing: Annotated[bool, "the budget was declared and has no outcomes"]
    undecided: Annotated[bool, "the answers end before it was decided, as in a preview", Gained("0.1.0")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidatePolicy:
    """What routing finds for a candidate; it is claimed only where the claim says so."""

    partition: Annotated[str | None, "by whose families it routes"]
    tolerance: Annotated[float, "of every family"]
    alpha_each: Annotated[float, "what each tested family's walk spent", PROPORTION]
    retained: Annotated[float, "mean share that is kept, every question at its family's budget", PROPORTION]
    families: Annotated[tuple[Route, ...], "where each goes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimCandidate:
    """What became of one candidate."""

    name: Annotated[str, "as it may be declared"]
    answerer: Annotated[str, "who answered"]
    corpus: Annotated[str, "of the questions"]
    method: Annotated[str, "what is to be shipped"]
    seeds: Annotated[tuple[int, ...], "training seeds, all of which must pass", COUNT]
    budget: Annotated[
        float | None, "the smallest that passes in every seed, partition and family, with every larger one", BUDGET
    ]
    retained: Annotated[
        float | None, "mean share that is kept there, of a clip's chunks or on the method's axis", PROPORTION
    ]
    reason: Annotated[str, "why it passes there, or why nothing of it is approved"]
    stopped: Annotated[CandidateStop | None, "where its walk stopped"]
    policy: Annotated[CandidatePolicy | None, "that routing finds by the families of the first partition"]
    deaf: Annotated[tuple[str, ...], "families that need no audio, on whose word nothing is approved"]


@dataclass(frozen=True, slots=True)
class UnclaimedRouting:
    """A claim of routing that would have held where the walk refuses, and that was not made."""

    candidate: Annotated[str, "its name"]
    kind: Annotated[Literal["routing"], "of claim"]
    retained: Annotated[float, "mean share that it would keep, of a clip's chunks or on the method's axis", PROPORTION]
    declare: Annotated[str, "what to declare before new answers"]


class FamilyBudget(NamedTuple):
    """The budget of the questions of a family."""

    family: Annotated[str, "its name"]
    budget: Annotated[float, "1.0: raw audio", BUDGET]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedPolicy:
    """What policy.json holds of one candidate that routing is approved for."""

    answerer: Annotated[str, "who answered"]
    corpus: Annotated[str, "of the questions"]
    method: Annotated[str, "what is to be shipped"]
    seeds: Annotated[tuple[int, ...], "training seeds", COUNT]
    tolerance: Annotated[float, "of every family"]
    partition: Annotated[str | None, "by whose families it routes"]
    retained: Annotated[float, "mean share that is kept, of a clip's chunks or on the method's axis", PROPORTION]
    families: Annotated[tuple[FamilyBudget, ...], "where each goes"]
    unknown: Annotated[float, "the budget of a question of no known family: 1.0, raw audio"]
    deployable: Annotated[bool, "whether a family can be told from a question"]
    tell: Annotated[Mapping[str, Any], "how, or why not"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The one guarantee: what may be shipped, with one bounded chance that any of it is false."""

    kind: Annotated[ClaimKind, "one budget for all questions, one for each family, or both"]
    tolerance: Annotated[float, "the first of the rule, which is claimed"]
    tolerance_average: Annotated[float, "the average's"]
    guaranteed: Annotated[bool, "false under the paper's rule, and where shared recordings were ignored"]
    alpha: Annotated[float, "what this look may spend", PROPORTION]
    k: Annotated[int, "how many candidates there are", COUNT]
    declared: Annotated[bool, "whether they were named"]
    level: Annotated[float | None, "of the tests behind a budget; null where none is claimed"]
    routing_level: Annotated[float | None, "of the tests behind a policy; null where none is claimed"]
    candidates: Annotated[tuple[ClaimCandidate, ...], "what became of each"]
    approved: Annotated[tuple[Shipped, ...], "what may be shipped; empty where nothing may"]
    withheld: Annotated[tuple[str, ...], "why nothing is approved whatever the tests show"]
    not_made: Annotated[tuple[UnclaimedRouting, ...], "policies that would have held and were not claimed"]
    policies: Annotated[tuple[DeployedPolicy, ...], "what policy.json holds"]

    TOGETHER: ClassVar[Mapping[str, Any]] = {  # as JSON Schema says it
        "if": {"properties": {"withheld": {"minItems": 1}}},
        "then": {"properties": {"approved": {"maxItems": 0}, "policies": {"maxItems": 0}}},
    }

    def __post_init__(self) -> None:
        """Nothing is approved where there is a reason to withhold it."""
        for key in ("approved", "policies"):
            if self.withheld and getattr(self, key):
                raise InputError("claim", "must be empty where an approval is withheld", "make it again", key)
