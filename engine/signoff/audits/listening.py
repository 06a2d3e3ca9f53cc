"""Does the benchmark listen? A family whose answers need no audio cannot be harmed, and passes whatever is heard.

Every family of an answerer is asked about silence too, and judged by the test that compressed audio is judged by. Where
there is no such cell, raw accuracy is compared with guessing. Knows losses and answers; no method and no files.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError, choose
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.pair import Control, Rows
from earmark.engine.signoff.result_entry import FamilyHearing, Hearing
from earmark.engine.signoff.rules import group_tests
from earmark.engine.signoff.rules.units import units_of
from earmark.kernels.statistics.plain.walks import chance_of_at_least

MOSTLY_TEXT = 2 / 3  # of a family's answers are the same without any sound
CONSTANT = 0.95  # of its raw answers are one and the same


def listen(
    control: Control, rows: Rows, families_of: Mapping[str, Families], rule: Rule
) -> dict[str, list[FamilyHearing]]:
    """What is known of every family of every partition, in its order; silence is judged at the first tolerance."""
    members = [group[control.asked[group]] for families in families_of.values() for group in families.members]
    tested: list[tuple[float | None, float | None]] = [(None, None)] * len(members)
    if control.silence is not None and rule.name == "certified":
        heard = [number for number, group in enumerate(members) if len(group)]
        groups = [
            group_tests.group_test(units_of(members[g], rows.source, rows.place, rule), control.silence[:, None])
            for g in heard
        ]
        p = group_tests.p_values(groups, rule.tolerances[0], rule.look_alpha)
        _, lower = group_tests.bounds_of([], [(group, rule.look_alpha) for group in groups])
        for g, p_silence, bound in zip(heard, p, lower, strict=True):
            tested[g] = float(p_silence[0]), float(bound[0])
    every = iter(zip(members, tested, strict=True))
    return {
        partition: [_family(control, rows, name, *next(every), rule) for name in families.names]
        for partition, families in families_of.items()
    }


def skipped(answerer: str, control: Control, rows: Rows) -> list[str]:
    """That rows of silence were not asked whose raw twins tell whether families listen; empty if none."""
    if control.silence_asked is None:
        return []
    lacking = np.flatnonzero(control.asked & ~control.silence_asked)
    if not len(lacking):
        return []
    sample = rows.sample_id[int(lacking[0])].as_py()
    more = f" (and {len(lacking) - 1:,} more)" if len(lacking) > 1 else ""
    what = f"silence needs sample '{sample}', which was not asked{more}"
    return [f"{answerer}/{rows.corpus}: {what}: whether families need audio is not known."]


def _family(
    control: Control,
    rows: Rows,
    name: str,
    group: IntArray,
    silence_test: tuple[float | None, float | None],
    rule: Rule,
) -> FamilyHearing:
    loss = control.raw_loss[group]
    known = loss[~np.isnan(loss)]
    accuracy = float(1 - known.mean()) if len(known) else None
    options = control.options[group]
    has_options = ~np.isnan(options)
    chance = float((1 / options[has_options]).mean()) if 2 * has_options.sum() > len(group) else None
    guessable = loss[has_options & ~np.isnan(loss)]
    p_guessing = None if chance is None or not len(guessable) else _p_guessing(guessable, chance)
    silence = None if control.silence is None else control.silence[group]
    same = None if control.same is None or not len(group) else float(control.same[group].mean())
    p, lower = silence_test
    return FamilyHearing(
        family=name,
        n=len(group),
        recordings=len(np.unique(rows.source[group])),
        raw_accuracy=accuracy,
        chance=chance,
        p_guessing=p_guessing,
        silence_accuracy=None
        if silence is None or accuracy is None
        else accuracy - float(silence[~np.isnan(loss)].mean()),
        silence_same=same,
        silence_p=p,
        silence_lower=lower,
        hearing=_hearing(p, lower, same, p_guessing, _is_constant(control, group), rule) if len(known) else "unknown",
    )


def _hearing(
    p: float | None, lower: float | None, same: float | None, p_guessing: float | None, constant: bool, rule: Rule
) -> Hearing:
    guesses = p_guessing is not None and p_guessing > rule.look_alpha
    if p is not None and p <= rule.look_alpha:
        return "vacuous"
    if same is not None and same >= MOSTLY_TEXT:
        return "text"
    if constant:
        return "constant"
    if guesses:
        return "guesses"
    if lower is not None:
        return "listens" if lower > rule.tolerances[0] else "not shown"
    return "unknown" if p_guessing is None else "no control"


def _p_guessing(loss: FloatArray, chance: float) -> float:
    """P(so many right answers or more by guessing); an upper bound where rows differ in their number of options."""
    return chance_of_at_least(int((loss < 0.5).sum()), len(loss), chance)


def _is_constant(control: Control, group: IntArray) -> bool:
    """Whether raw audio gets one answer nearly everywhere, while the right answers differ."""
    answers = [answer for answer in control.answers.take(group).to_pylist() if answer is not None]
    right = [answer for answer in control.right_answers.take(group).to_pylist() if answer is not None]
    if len(answers) < len(group) / 2 or not right:
        return False
    return _commonest(answers) >= CONSTANT and _commonest(right) < CONSTANT


def _commonest(values: Sequence[str]) -> float:
    """Share of the most frequent value."""
    return Counter(values).most_common(1)[0][1] / len(values)


def check_allowed(
    allowed: Sequence[str], hearing: Mapping[tuple[str, str], Mapping[str, Sequence[FamilyHearing]]]
) -> None:
    """Refuse an `allow_vacuous` that names a family of no partition; raises InputError."""
    names = {
        family.family for by_partition in hearing.values() for families in by_partition.values() for family in families
    }
    for name in allowed:
        if name not in names:
            raise InputError(f"allow-vacuous {name}", "is no family of the run", choose(name, sorted(names)))
