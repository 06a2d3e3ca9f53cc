"""The types of `results[]`: everything that a certificate says of one method, seed and partition, as its JSON has it.

Types only; `rules.verdict` fills them. docs/certificate.md says more of each field.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from earmark.engine.design.compressors import Axis, Stage
from earmark.engine.design.fields import BUDGET, COUNT, PROPORTION, Number
from earmark.engine.signoff.json_form import Beside, Gained
from earmark.engine.signoff.rules.judgement import Corrected, DecisionWord, Estimand, Failure, Policy, SampleUnit, Test

FrontierAxis = Literal["interpolated", "grid", "tokens"]
Variant = Literal["average", "family"]
Hearing = Literal["listens", "not shown", "vacuous", "text", "guesses", "constant", "no control", "unknown"]
Action = Literal["ship", "finish", "collect", "route", "raise"]

_AMOUNT = Number(0)
_WAVES = "0.1.0"  # the version of Earmark that has compressors of waves


DEAF: tuple[Hearing, ...] = ("vacuous", "text", "guesses", "constant")  # nothing can be approved on their word

WORDS: Mapping[Hearing, str] = {
    "listens": "silence would be rejected",
    "not shown": "not shown to listen: silence is not rejected",
    "vacuous": "vacuous: silence would pass the same test",
    "text": "answered from the text: most answers are the same without any sound",
    "guesses": "not shown to be better than guessing",
    "constant": "one answer to nearly everything",
    "no control": "no silence control; better than guessing",
    "unknown": "no silence control, and the number of options is not known",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultKey:
    """Which curve under which partition an entry is about."""

    answerer: Annotated[str, "who answered"]
    corpus: Annotated[str, "of the questions"]
    method: Annotated[str, "what compressed the audio"]
    seed: Annotated[int, "training seed", COUNT]
    partition: Annotated[str, "by whose families it is judged"]


@dataclass(frozen=True, slots=True)
class FamilyHearing:
    """What is known of one family of an answerer, whatever the method."""

    family: Annotated[str, "its name"]
    n: Annotated[int, "rows", COUNT]
    recordings: Annotated[int, "distinct recordings", COUNT]
    raw_accuracy: Annotated[float | None, "over rows that have a raw answer; null: none has", PROPORTION]
    chance: Annotated[float | None, "mean of 1 / options; null where most rows do not record them", PROPORTION]
    p_guessing: Annotated[float | None, "of so many right answers or more by guessing; null without options"]
    silence_accuracy: Annotated[float | None, "share of right answers on silence", PROPORTION]
    silence_same: Annotated[float | None, "share of rows with the same answer without any sound", PROPORTION]
    silence_p: Annotated[float | None, "of the test that compressed audio has to pass; small: silence would pass"]
    silence_lower: Annotated[float | None, "lower bound of the excess of silence"]
    hearing: Annotated[Hearing, "whether its answers need the audio"]

    @property
    def words(self) -> str:
        """The verdict in words, with its figures."""
        chance = "chance unknown" if self.chance is None else f"chance {self.chance:.0%}"
        right = "no raw answer" if self.raw_accuracy is None else f"{self.raw_accuracy:.0%} right on raw audio"
        return f"'{self.family}' ({right}, {chance}) is {WORDS[self.hearing]}"

    def is_deaf(self, allowed: Collection[str]) -> bool:
        """Whether nothing can be approved on its word; `allowed` are the families that were declared as such."""
        return self.hearing in DEAF and self.family not in allowed


@dataclass(frozen=True, slots=True)
class ResultFamily(FamilyHearing):
    """What is the same of a family at every budget: whether it listens, and how it is tested (certified rule)."""

    test: Annotated[Test | None, "exact on every row, one row of each recording, or bets", Beside("test")] = None
    estimand: Annotated[Estimand | None, "which excess is tested: a mean over these", Beside("test")] = None
    units: Annotated[int | None, "independent ones", COUNT, Beside("test")] = None
    unit: Annotated[SampleUnit | None, "what a unit is", Beside("test")] = None
    fewest: Annotated[
        tuple[int, ...] | None, "units that pass at each tolerance if no answer changes", Beside("test")
    ] = None
    fewest_corrected: Annotated[
        int | None, "the same at the claim's level; null where this is no part of a claim of a budget", Beside("test")
    ] = None


class Merge(NamedTuple):
    """A rare family that joined its declared parent."""

    family: Annotated[str, "the rare one"]
    n: Annotated[int, "its units", COUNT]
    into: Annotated[str, "its parent"]


@dataclass(frozen=True, slots=True)
class AverageTest:
    """How the average is tested, all rows together; elsewhere it follows from its families."""

    test: Annotated[Test, "exact on every row, one row of each recording, or bets"]
    estimand: Annotated[Estimand, "which excess is tested: a mean over these"]
    units: Annotated[int, "independent ones", COUNT]
    unit: Annotated[SampleUnit, "what a unit is"]
    tested: Annotated[tuple[bool, ...], "at which tolerances it is"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """An estimate with its lower and upper end; null where there is none."""

    estimate: Annotated[float, "what was observed"]
    lower: Annotated[float | None, "lower bound, or percentile end"]
    upper: Annotated[float | None, "upper bound, or percentile end"]


@dataclass(frozen=True, slots=True)
class FamilyAtBudget:
    """One family at one budget."""

    family: Annotated[str, "its name"]
    n: Annotated[int, "rows that it was judged by", COUNT]
    plus: Annotated[int, "rows where the loss rose", COUNT]
    minus: Annotated[int, "rows where it fell", COUNT]
    excess: Annotated[float, "mean paired difference over rows"]
    excess_recordings: Annotated[float | None, "mean over recordings (certified)"]
    lower: Annotated[float | None, "lower bound of the one that is tested"]
    upper: Annotated[float | None, "upper bound of the one that is tested"]
    p: Annotated[tuple[float, ...] | None, "one per tolerance (certified); null where no test looked at it"]
    rare: Annotated[bool, "below min_family, without a parent"]
    probability_loss_ratio: Annotated[
        float | None, "variance of the rise of 1 - exp(-nll) by that of the loss; null where unknown"
    ]
    excess_all: Annotated[
        float | None, "mean over all rows of a walk that was completed: it decides nothing", Beside("excess_all")
    ] = None


@dataclass(frozen=True, slots=True)
class BudgetDecision:
    """The three-way decision at one budget and tolerance, alone and uncorrected."""

    tolerance: Annotated[float, "of the families"]
    decision: Annotated[DecisionWord, "what the tests show"]
    reason: Annotated[str, "why, in words"]
    p: Annotated[float | None, "the largest of the tests that must all pass (certified)"]
    p_adjusted: Annotated[float | None, "the largest over this budget and all larger ones (certified)"]


@dataclass(frozen=True, slots=True)
class Used:
    """What a question really used: means where a row that failed, or has no figure, counts as raw; null: none has."""

    seconds: Annotated[float | None, "of audio that was heard", _AMOUNT] = None
    bits: Annotated[float | None, "that were sent", _AMOUNT] = None
    positions: Annotated[float | None, "of the audio in the language model", _AMOUNT] = None
    lm_positions: Annotated[float | None, "all of the language model, text included", _AMOUNT] = None
    flops: Annotated[float | None, "operations of one question by itself", _AMOUNT] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetEntry:
    """One evaluated budget."""

    budget: Annotated[float, "share of its axis that is kept: of the audio's seconds, of its bits, ...", BUDGET]
    implied: Annotated[bool, "budget 1.0 was not run: keeping everything is the raw audio"]
    n: Annotated[int, "rows that were asked", COUNT]
    plus: Annotated[int, "rows where the loss rose", COUNT]
    minus: Annotated[int, "rows where it fell", COUNT]
    mean_audio_tokens: Annotated[float | None, "of the audio in the language model, as `used` has them"]
    used: Annotated[Used, "what was really used; of budget 1.0, by raw audio", Gained(_WAVES)] = Used()
    loss: Annotated[float | None, "mean loss on compressed audio"]
    excess_average: Annotated[Bounds, "mean paired difference"]
    excess_average_recordings: Annotated[float | None, "mean over recordings, each counting alike (certified)"]
    excess_family: Annotated[Bounds, "the maximum over families"]
    excess_family_tested: Annotated[float | None, "the maximum in the sense in which families are tested (certified)"]
    worst_family: Annotated[str, "the family that attains the maximum; the first by name among equals"]
    hidden_damage: Annotated[float, "worst family's excess minus the average's"]
    concentration_top2: Annotated[float | None, "share of the positive excess mass of the two worst families"]
    answer_consistency: Annotated[float | None, "share of rows with the same answer as on raw audio", PROPORTION]
    consistency_paradox: Annotated[bool, "another compressed budget agrees less and yet loses less"]
    copies_of_raw: Annotated[float | None, "share of rows whose kept_hash is raw's", PROPORTION]
    answers_of_silence: Annotated[float | None, "share of rows with the answer to silence", PROPORTION]
    families: Annotated[tuple[FamilyAtBudget, ...], "each family here"]
    decisions: Annotated[tuple[BudgetDecision, ...], "one per tolerance"]

    def decision_at(self, tolerance: float) -> BudgetDecision:
        """The decision at a tolerance of the rule."""
        return next(decision for decision in self.decisions if decision.tolerance == tolerance)


@dataclass(frozen=True, slots=True)
class ByVariant:
    """A frontier of the average and of the worst family; null where there is none."""

    average: Annotated[float | None, "within the average's tolerance"]
    family: Annotated[float | None, "within the families' tolerance"]


@dataclass(frozen=True, slots=True)
class FrontierInterval:
    """The interval of an interpolated frontier over replicates."""

    lower: Annotated[float | None, "percentile end"]
    upper: Annotated[float | None, "percentile end"]
    at_smallest: Annotated[
        float | None, "share of replicates already within tolerance at the smallest budget", PROPORTION
    ]
    at_full: Annotated[float | None, "share of replicates that pass nowhere below 1.0", PROPORTION]


@dataclass(frozen=True, slots=True)
class FrontierIntervals:
    """The intervals of both variants; that of the worst family is biased upwards, and describes."""

    average: Annotated[FrontierInterval, "of the average's frontier"]
    family: Annotated[FrontierInterval, "of the worst family's frontier"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontierEntry:
    """The smallest budget whose excess is within a tolerance, on three axes."""

    tolerance: Annotated[float, "of the family variant"]
    tolerance_average: Annotated[float, "of the average variant"]
    grid: Annotated[ByVariant, "the smallest evaluated budget"]
    interpolated: Annotated[ByVariant, "linear between evaluated budgets; 1.0 if it never passes"]
    tokens: Annotated[ByVariant, "the interpolated frontier in mean audio tokens"]
    intervals: Annotated[FrontierIntervals, "of the interpolated frontier"]


class Next(NamedTuple):
    """What to do next, and for which families."""

    action: Annotated[Action, "what kind of step"]
    families: Annotated[list[str], "that it is about"]
    text: Annotated[str, "the step in one sentence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedEntry:
    """What a curve passes at by itself, uncorrected for there being several; nothing is approved by it."""

    tolerance: Annotated[float, "of the families"]
    budget: Annotated[
        float | None, "the smallest that passes: 1.0 where only keeping everything does, null: none", BUDGET
    ]
    reason: Annotated[str, "why, in a sentence"]
    first_failure: Annotated[Failure | None, "where the walk stopped; null if nowhere (certified)"]
    next: Annotated[Next, "what to do"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultEntry(ResultKey):
    """Everything about one answerer, corpus, method, seed and partition."""

    compressor: Annotated[
        str | None, "what the plan says that the method is; null: nothing was declared", Gained(_WAVES)
    ] = None
    stage: Annotated[Stage | None, "where it acts; null: nothing was declared", Gained(_WAVES)] = None
    axis: Annotated[Axis | None, "what its budgets are shares of; null: nothing was declared", Gained(_WAVES)] = None
    reference: Annotated[str, "uncompressed, or self_full where the method's own budget-1 cell stands in for it"]
    n: Annotated[int, "rows", COUNT]
    sources: Annotated[int, "distinct recordings", COUNT]
    resampling: Annotated[Literal["example", "source"], "what the bootstrap draws"]
    raw_loss: Annotated[float | None, "mean loss of the reference"]
    families: Annotated[tuple[ResultFamily, ...], "what is the same at every budget"]
    average: Annotated[AverageTest | None, "how the average is tested (certified)"]
    merged_families: Annotated[tuple[Merge, ...], "rare families that joined their declared parent"]
    rare_families: Annotated[tuple[str, ...], "families below min_family that have no parent"]
    budgets: Annotated[tuple[BudgetEntry, ...], "one per evaluated budget, ascending"]
    frontiers: Annotated[tuple[FrontierEntry, ...], "one per tolerance"]
    certified: Annotated[tuple[CertifiedEntry, ...], "one per tolerance"]
    corrected: Annotated[
        Corrected | None, "its own walk at the claim's level; null where it is no part of a claim of a budget"
    ]
    routing: Annotated[tuple[Policy, ...], "one per tolerance, uncorrected; empty where there is nothing to route"]
