"""The types of `gains[]`, `chains[]`, `overlaps[]` and `audits`: comparisons and diagnostics, as the JSON has them.

Types only; the files of `audits` fill them. docs/certificate.md says more of each field.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from earmark.engine.design.fields import BUDGET, COUNT, PROPORTION
from earmark.engine.signoff.result_entry import FrontierAxis, ResultKey, Variant

PAIRED_FAMILIES = 50  # the largest: pairs are as many as the square of families, and are not read one by one

GainKind = Literal["same-backbone", "cross-backbone"]
Direction = Literal["CONSISTENT+", "CONSISTENT-", "MIXED", "ZERO"]
Protocol = Literal["decoupled", "naive"]
Band = Literal["PHI1", "PHI2", "PHI3"]


class Gain(NamedTuple):
    """Agnostic minus conditioned frontier on one axis, with its interval."""

    kind: Annotated[GainKind, "whether both selectors are of one answerer"]
    answerer: Annotated[str, "of the conditioned selector"]
    reference_answerer: Annotated[str, "of the agnostic one"]
    corpus: Annotated[str, "of the questions"]
    seed: Annotated[int, "training seed", COUNT]
    partition: Annotated[str, "by whose families"]
    agnostic: Annotated[str, "the method that does not hear the question"]
    conditioned: Annotated[str, "the method that does"]
    tolerance: Annotated[float, "of the family variant"]
    axis: Annotated[FrontierAxis, "what a frontier is measured in"]
    variant: Annotated[Variant, "of the average, or of the worst family"]
    agnostic_frontier: Annotated[float | None, "the smallest budget within tolerance"]
    conditioned_frontier: Annotated[float | None, "the smallest budget within tolerance"]
    point: Annotated[float | None, "agnostic minus conditioned: positive where the question saves budget"]
    lower: Annotated[float | None, "percentile end; null where some replicate has no frontier"]
    upper: Annotated[float | None, "percentile end; null where some replicate has no frontier"]
    p: Annotated[float | None, "two-sided, over the replicates"]
    direction: Annotated[
        Literal["positive", "negative", "inconclusive"] | None, "the side of 0 that the interval lies on"
    ]
    at_smallest: Annotated[
        float | None, "share of replicates in which either frontier is the smallest budget", PROPORTION
    ]
    at_full: Annotated[float | None, "share of replicates in which either frontier is budget 1", PROPORTION]
    tolerance_average: Annotated[float, "of the average variant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GainOverSeeds:
    """A gain over its training seeds, of which there are at least two."""

    kind: Annotated[GainKind, "whether both selectors are of one answerer"]
    answerer: Annotated[str, "of the conditioned selector"]
    reference_answerer: Annotated[str, "of the agnostic one"]
    corpus: Annotated[str, "of the questions"]
    partition: Annotated[str, "by whose families"]
    agnostic: Annotated[str, "the method that does not hear the question"]
    conditioned: Annotated[str, "the method that does"]
    tolerance: Annotated[float, "of the family variant"]
    axis: Annotated[FrontierAxis, "what a frontier is measured in"]
    variant: Annotated[Variant, "of the average, or of the worst family"]
    seeds: Annotated[tuple[int, ...], "training seeds", COUNT]
    values: Annotated[tuple[float, ...], "the gain of each"]
    mean: Annotated[float, "of the values"]
    sd: Annotated[float | None, "standard deviation (n - 1)"]
    lower: Annotated[float | None, "end of the 95% Student-t interval"]
    upper: Annotated[float | None, "end of the 95% Student-t interval"]
    direction: Annotated[Direction, "the sign that all seeds agree on, or that they do not"]
    tolerance_average: Annotated[float, "of the average variant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAudit:
    """What an audit of the question is about, over all training seeds."""

    answerer: Annotated[str, "who answered"]
    corpus: Annotated[str, "of the questions"]
    partition: Annotated[str, "by whose families"]
    agnostic: Annotated[str, "the method that does not hear the question"]
    conditioned: Annotated[str, "the method that does"]
    tolerance: Annotated[float, "of the family variant"]
    variant: Annotated[Variant, "of the average, or of the worst family"]
    regime: Annotated[str, "whose question is shown instead: global, or family"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryUse(QuestionAudit):
    """What another question costs: the gain of the anchor minus the mean gain under permuted questions."""

    protocol: Annotated[Protocol, "whether the answerer is shown the permuted question too (naive)"]
    seeds: Annotated[tuple[int, ...], "training seeds", COUNT]
    permutations: Annotated[tuple[int, ...], "how many, per seed", COUNT]
    values: Annotated[tuple[float, ...], "the loss of gain of each seed"]
    mean: Annotated[float, "of the values"]
    sd: Annotated[float | None, "standard deviation (n - 1)"]
    lower: Annotated[float | None, "end of the 95% Student-t interval"]
    upper: Annotated[float | None, "end of the 95% Student-t interval"]
    direction: Annotated[Direction, "the sign that all seeds agree on, or that they do not"]
    band: Annotated[Band, "of the mean: none, small or substantial"]
    tolerance_average: Annotated[float, "of the average variant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contamination(QuestionAudit):
    """How much larger the use of the question looks where the answerer is shown the permuted one too."""

    protocol: Annotated[Literal["naive - decoupled"], "what is subtracted from what"]
    seeds: Annotated[tuple[int, ...], "training seeds that have both", COUNT]
    values: Annotated[tuple[float, ...], "naive minus decoupled, of each seed"]
    mean: Annotated[float, "of the values"]
    sd: Annotated[float | None, "standard deviation (n - 1)"]
    lower: Annotated[float | None, "end of the 95% Student-t interval"]
    upper: Annotated[float | None, "end of the 95% Student-t interval"]
    direction: Annotated[Direction, "the sign that all seeds agree on, or that they do not"]
    ratio: Annotated[float | None, "of the means; null where the decoupled one is 0"]
    tolerance_average: Annotated[float, "of the average variant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainStep:
    """One family added to those before it; the first step has no increment."""

    step: Annotated[int, "from 1", COUNT]
    family: Annotated[str, "that is added"]
    n: Annotated[int, "its rows", COUNT]
    n_cumulative: Annotated[int, "rows of the families so far", COUNT]
    frontier: Annotated[float | None, "of the worst of the families so far, interpolated"]
    lower: Annotated[float | None, "percentile end"]
    upper: Annotated[float | None, "percentile end"]
    increment: Annotated[float | None, "what the family adds to the frontier"]
    increment_lower: Annotated[float | None, "percentile end"]
    increment_upper: Annotated[float | None, "percentile end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain(ResultKey):
    """Families added from the smallest to the largest."""

    tolerance: Annotated[float, "of the families"]
    steps: Annotated[tuple[ChainStep, ...], "one per family"]
    bottleneck: Annotated[str | None, "the family with the largest increment; null where none is positive"]


class PairRatio(NamedTuple):
    """What two families need together, over what they need apart."""

    families: Annotated[tuple[str, ...], "the two"]
    ratio: Annotated[float | None, "frontier of both by the sum of the single frontiers"]
    lower: Annotated[float | None, "percentile end"]
    upper: Annotated[float | None, "percentile end"]


class RatioSummary(NamedTuple):
    """The ratios of all pairs."""

    pairs: Annotated[int, "how many", COUNT]
    min: Annotated[float | None, "the smallest"]
    median: Annotated[float | None, "the median"]
    mean: Annotated[float | None, "the mean"]
    max: Annotated[float | None, "the largest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyOverlap(ResultKey):
    """Whether families need the same audio: near 1 they do not, near .5 the same chunks serve both."""

    tolerance: Annotated[float, "of the families"]
    pairs: Annotated[tuple[PairRatio, ...], "every pair; empty beyond 12 families"]
    summary: Annotated[RatioSummary, "of the ratios of all pairs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelNoise(ResultKey):
    """How often the worst family stays the worst under wrong family labels."""

    budget: Annotated[float, "below 1", BUDGET]
    rate: Annotated[float, "share of labels that are replaced", PROPORTION]
    draws: Annotated[int, "how many times", COUNT]
    bottleneck: Annotated[str, "the worst family under the true labels"]
    preserved: Annotated[float, "share of draws with the same worst family", PROPORTION]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coarsening(ResultKey):
    """What two coarse groups of families no longer show of the hidden damage."""

    budget: Annotated[float, "below 1", BUDGET]
    groups: Annotated[tuple[tuple[str, ...], ...], "two lists of families, balanced in rows"]
    hidden_damage_fine: Annotated[float, "with the families as they are"]
    hidden_damage_coarse: Annotated[float, "with the two groups"]
    share_destroyed: Annotated[float | None, "of the fine one; null where that is 0"]


class GapCell(NamedTuple):
    """The difference between two answerers in one cell."""

    method: Annotated[str, "what was kept"]
    seed: Annotated[int, "training seed", COUNT]
    budget: Annotated[float, "share of its axis that is kept", BUDGET]
    gap: Annotated[float, "mean loss of the second answerer minus the first"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitectureGap:
    """How much more one answerer loses than another on the same rows."""

    answerers: Annotated[tuple[str, ...], "the first and the second"]
    corpus: Annotated[str, "of the questions"]
    interface: Annotated[Literal["clean", "native"], "clean: both heard the same kept chunks"]
    cells: Annotated[tuple[GapCell, ...], "that both have"]
    mean: Annotated[float, "of the gaps"]
    sd: Annotated[float | None, "standard deviation (n - 1)"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyGain:
    """What the question saves in one family, over training seeds."""

    family: Annotated[str, "its name"]
    n: Annotated[int, "rows", COUNT]
    values: Annotated[tuple[float, ...], "agnostic minus conditioned frontier of the family alone, per seed"]
    mean: Annotated[float, "of the values"]
    sd: Annotated[float | None, "standard deviation (n - 1)"]
    lower: Annotated[float | None, "end of the 95% Student-t interval"]
    upper: Annotated[float | None, "end of the 95% Student-t interval"]
    direction: Annotated[Direction, "the sign that all seeds agree on, or that they do not"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyGains:
    """Which families a gain comes from, for a pair of selectors and a tolerance."""

    kind: Annotated[GainKind, "whether both selectors are of one answerer"]
    answerer: Annotated[str, "of the conditioned selector"]
    reference_answerer: Annotated[str, "of the agnostic one"]
    corpus: Annotated[str, "of the questions"]
    partition: Annotated[str, "by whose families"]
    agnostic: Annotated[str, "the method that does not hear the question"]
    conditioned: Annotated[str, "the method that does"]
    tolerance: Annotated[float, "of the families"]
    seeds: Annotated[tuple[int, ...], "training seeds", COUNT]
    families: Annotated[tuple[FamilyGain, ...], "each by itself"]


class FamilyKept(NamedTuple):
    """How much of the kept set stays in one family."""

    family: Annotated[str, "its name"]
    n: Annotated[int, "rows", COUNT]
    jaccard: Annotated[float | None, "mean Jaccard index over permutations and the rows that were heard"]
    random: Annotated[float | None, "what random sets of the same sizes share on average"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptChunks:
    """How much of the kept set stays when the selector is shown another question."""

    answerer: Annotated[str, "who answered"]
    corpus: Annotated[str, "of the questions"]
    method: Annotated[str, "what chose the chunks"]
    seed: Annotated[int, "training seed", COUNT]
    regime: Annotated[str, "whose question is shown instead: global, or family"]
    partition: Annotated[str, "by whose families"]
    budget: Annotated[float, "below 1", BUDGET]
    permutations: Annotated[int, "how many", COUNT]
    jaccard: Annotated[float | None, "mean Jaccard index over permutations and the rows that were heard"]
    random: Annotated[float | None, "what random sets of the same sizes share on average"]
    families: Annotated[tuple[FamilyKept, ...], "the same by family"]


class SelectorShares(NamedTuple):
    """Shares of the variance of a selector's scores within recordings."""

    method: Annotated[str, "the selector"]
    seed: Annotated[int, "training seed", COUNT]
    audios: Annotated[int, "recordings of the grid", COUNT]
    questions: Annotated[int, "questions of the grid", COUNT]
    chunk: Annotated[float | None, "some chunks are better under every question"]
    question: Annotated[float | None, "some questions raise all chunks alike, which changes no ranking"]
    interaction: Annotated[float | None, "the question changes which chunks are better"]


class AnswerFlips(NamedTuple):
    """How many raw answers of an answerer changed in other batches."""

    answerer: Annotated[str, "who answered"]
    compared: Annotated[int, "questions that were asked twice", COUNT]
    changed: Annotated[int, "those with another answer", COUNT]
    share: Annotated[float | None, "of the compared; null without any", PROPORTION]
