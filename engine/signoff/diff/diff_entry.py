"""The types of a comparison of two certificates, as its JSON has them. Types only; docs/ci.md says what they mean."""

from typing import Annotated, Literal, NamedTuple

from earmark.engine.design.fields import BUDGET, COUNT
from earmark.engine.signoff.rules.judgement import SampleUnit

DiffWord = Literal["same", "better", "worse", "undecided", "not comparable"]
DIFF_SCHEMA: Literal["earmark.diff/1"] = "earmark.diff/1"


class DecisionChange(NamedTuple):
    """What may be shipped of one candidate, before and now, by the stricter of both rules."""

    answerer: Annotated[str, "who answered"]
    corpus: Annotated[str, "of the questions"]
    method: Annotated[str, "what is to be shipped"]
    candidate: Annotated[str, "its name in the old certificate"]
    kind: Annotated[Literal["budget", "routing"], "one budget, or one for each family"]
    family: Annotated[str | None, "that routing sends there; null for a budget, empty where nothing is routed"]
    tolerance: Annotated[float, "the tighter of both"]
    before: Annotated[float | None, "the budget that was approved; null: none, or nothing is comparable", BUDGET]
    now: Annotated[float | None, "the budget that is approved; null: none, or nothing is comparable", BUDGET]
    before_by_own: Annotated[float | None, "the same by the old certificate's own rule", BUDGET]
    now_by_own: Annotated[float | None, "the same by the new certificate's own rule", BUDGET]
    verdict: Annotated[DiffWord, "worse where less may be shipped than before"]
    reason: Annotated[str, "why, in words"]


class FamilyChange(NamedTuple):
    """The answers to one family's questions at one budget, before and now."""

    answerer: Annotated[str, "who answered"]
    corpus: Annotated[str, "of the questions"]
    method: Annotated[str, "what compressed the audio"]
    seed: Annotated[int, "training seed", COUNT]
    partition: Annotated[str, "whose family it is"]
    family: Annotated[str, "its name"]
    budget: Annotated[float, "share that is kept", BUDGET]
    n: Annotated[int, "rows", COUNT]
    units: Annotated[int, "independent ones", COUNT]
    unit: Annotated[SampleUnit, "what they are"]
    excess_before: Annotated[float, "mean rise of the loss over raw audio in the old certificate"]
    excess_now: Annotated[float, "the same in the new one"]
    n_worse: Annotated[int | None, "units that lose more than before; null where this is not known", COUNT]
    n_better: Annotated[int | None, "units that lose less than before; null where this is not known", COUNT]
    p_worse: Annotated[float | None, "that it got no worse, corrected for all that was tested; null: not tested"]
    p_better: Annotated[float | None, "that it got no better, corrected for all that was tested; null: not tested"]
    verdict: Annotated[DiffWord, "what is shown"]
    reason: Annotated[str, "why, in words"]


class Diff(NamedTuple):
    """What became of an old certificate in a new one."""

    schema: Annotated[Literal["earmark.diff/1"], "of this file"]
    verdict: Annotated[DiffWord, "worse where anything is, else not comparable where anything is not"]
    old: Annotated[str, "SHA-256 of the old certificate"]
    new: Annotated[str, "SHA-256 of the new certificate"]
    way: Annotated[Literal["questions", "counts"], "whether the very questions were paired, or counts were compared"]
    alpha: Annotated[float, "the chance, at most, that any family which got no worse is called worse"]
    n_tests: Annotated[int, "families at budgets that were tested, for which alpha pays together", COUNT]
    not_comparable: Annotated[tuple[str, ...], "what cannot be compared, in sentences"]
    looser: Annotated[tuple[str, ...], "in what the new certificate demands less, in sentences"]
    notes: Annotated[tuple[str, ...], "what else a reader must know, in sentences"]
    decisions: Annotated[tuple[DecisionChange, ...], "one per candidate of the old certificate"]
    families: Annotated[tuple[FamilyChange, ...], "one per candidate's method, seed, partition, budget and family"]
