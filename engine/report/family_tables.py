"""The tables of families: which of them listen, how each is tested, and what became of each at every budget.

Every number is the certificate's own, rounded for reading.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import NamedTuple

from markupsafe import Markup

from earmark.engine.report.html_tables import CellText, HtmlTable, folded_if_long, numbers, text, under, weightiest
from earmark.engine.report.numbers import NONE, RATIO, Unit, count, p_value, percent
from earmark.engine.report.words import alone, where, who
from earmark.engine.signoff.result_entry import DEAF, WORDS, FamilyAtBudget, FamilyHearing, ResultEntry, ResultFamily

_TEST = {"exact": "exact, every row", "one-row": "exact, one row of each recording", "bets": "bets on recordings"}
_SHOWN = 24  # families that do not listen; a reader should not have to look for them
_DOUBTED = (*DEAF, "not shown")


class NotListening(NamedTuple):
    """The families that do not listen, or are not shown to, and how many these are of all."""

    words: str
    table: HtmlTable


def not_listening(results: Sequence[ResultEntry]) -> NotListening | None:
    """The families on whose word nothing, or little, can be believed; None where there are none."""
    family_of = {(r.answerer, r.corpus, r.partition, family.family): family for r in results for family in r.families}
    doubted = {key: family for key, family in family_of.items() if family.hearing in _DOUBTED}
    listed, more = weightiest([*doubted.items()], lambda item: item[1].hearing in DEAF)
    rows = [
        (
            under(alone(name), Markup("{}<br/>{}").format(WORDS[family.hearing], where(answerer, corpus, partition))),
            percent(family.raw_accuracy),
            percent(family.chance),
            percent(family.silence_accuracy),
        )
        for (answerer, corpus, partition, name), family in listed
    ]
    n_deaf = sum(family.hearing in DEAF for family in doubted.values())
    columns = [*text("Family"), *numbers("Raw audio", "By chance", "Silence")]
    caption = "Right answers in families that do not listen, or are not shown to"
    table = HtmlTable(caption, columns, rows, folded=len(rows) > _SHOWN, more=more)
    return NotListening(_how_many(n_deaf, len(doubted), len(family_of)), table) if rows else None


def _how_many(n_deaf: int, n_doubted: int, n_all: int) -> str:
    counts = [(n_deaf, "does not listen" if n_deaf == 1 else "do not listen")]
    counts.append(
        (n_doubted - n_deaf, "is not shown to listen" if n_doubted - n_deaf == 1 else "are not shown to listen")
    )
    phrases = [f"{n} {verb}" for n, verb in counts if n]
    return f"Of {n_all} families {', and '.join(phrases)}."


# What is the same at every budget ---------------------------------------------------------------------------


def of_partition(results: Sequence[ResultEntry], tolerances: Sequence[float], unit: Unit) -> list[HtmlTable]:
    """Two kinds of tables: whether families listen, and how each is tested; methods with the same rows share one."""
    heard = _sharing(results, lambda result: [_hearing(family) for family in result.families])
    tested = _sharing(results, lambda result: result.families)
    return [
        *(_listening(methods[0].families, _of(methods, heard), unit) for methods in heard),
        *(
            _tested(methods[0].families, _of(methods, tested), tolerances, unit)
            for methods in tested
            if all(family.test for family in methods[0].families)
        ),
    ]


def _hearing(family: ResultFamily) -> tuple[object, ...]:
    """What the table of listening shows of a family."""
    return tuple(getattr(family, field.name) for field in fields(FamilyHearing))


def _sharing(
    results: Sequence[ResultEntry], shown: Callable[[ResultEntry], Sequence[object]]
) -> list[list[ResultEntry]]:
    """The results, those together of which the same is shown."""
    shared: list[tuple[Sequence[object], list[ResultEntry]]] = []
    for result in results:
        sharing = next((methods for other, methods in shared if other == shown(result)), None)
        if sharing is None:
            shared.append((shown(result), [result]))
        else:
            sharing.append(result)
    return [methods for _, methods in shared]


def _of(methods: Sequence[ResultEntry], shared: Sequence[Sequence[ResultEntry]]) -> Markup:
    """The methods of a table, where others have one of their own."""
    return Markup(" ({})").format(Markup("; ").join(map(who, methods))) if len(shared) > 1 else Markup()


def _listening(families: Sequence[ResultFamily], methods_words: Markup, unit: Unit) -> HtmlTable:
    listed, more = weightiest(families, lambda family: (family.hearing in DEAF) + (family.hearing in _DOUBTED))
    rows = [
        (
            alone(family.family),
            WORDS[family.hearing] if family.n else "not asked: it was decided without",
            percent(family.raw_accuracy),
            percent(family.chance),
            p_value(family.p_guessing),
            percent(family.silence_accuracy),
            percent(family.silence_same),
            p_value(family.silence_p),
            unit.number(family.silence_lower),
        )
        for family in listed
    ]
    columns = [
        *text("Family", "Does it listen?"),
        *numbers("Right on raw audio", "By chance", "p of guessing", "Right on silence", "Same without sound"),
        *numbers("p of silence", "Silence, lower bound"),
    ]
    return folded_if_long(Markup("Families: does each listen?{}").format(methods_words), columns, rows, more)


def _tested(
    families: Sequence[ResultFamily], methods_words: Markup, tolerances: Sequence[float], unit: Unit
) -> HtmlTable:
    listed, more = weightiest(families, lambda family: -(family.units or 0))  # what has few passes last
    rows = [
        (alone(family.family), count(family.n), count(family.recordings), *_test_cells(family)) for family in listed
    ]
    columns = [
        *text("Family"),
        *numbers("Rows", "Recordings"),
        *text("Test", "Excess tested"),
        *numbers("Independent units", *(f"Fewest, {unit.tolerance(tolerance)}" for tolerance in tolerances)),
        *numbers("Fewest, for the claim"),
    ]
    return folded_if_long(
        Markup(
            "Families: how is each tested?{} (the fewest units that pass if no answer changes, alone and for the claim)"
        ).format(methods_words),
        columns,
        rows,
        more,
    )


def _test_cells(family: ResultFamily) -> tuple[CellText, ...]:
    """The test of a family, and how many units it has and needs: with fewer it cannot pass, even alone."""
    assert family.test is not None, "only families that are tested are in this table"
    assert family.fewest is not None
    assert family.units is not None
    word = unit_word(family)
    return (
        _TEST[family.test],
        f"mean over {family.estimand}",
        under(
            f"{count(family.units)} {word}",
            "too few at every tolerance" if family.units < min(family.fewest) else NONE,
        ),
        *(count(fewest) for fewest in family.fewest),
        count(family.fewest_corrected),
    )


def unit_word(family: ResultFamily) -> str:
    """What the independent units of a family are: rows, or recordings."""
    return str(family.unit)


# Families by budget ----------------------------------------------------------------------------------------


def by_budget(result: ResultEntry, held: str, unit: Unit) -> HtmlTable:
    """Families by budgets: excess, its bounds, and the rows that got worse and better; `held` is how p holds."""
    family_of = {family.family: family for family in result.families}
    listed, more = weightiest(_entries(result), lambda entry: max(e.excess for e in entry[1] if e is not None))
    rows = [
        (
            under(alone(name), _notes(family_of.get(name), entries)),
            count(max(e.n for e in entries if e is not None)),
            *(_cell(entry, family_of.get(name), unit) for entry in entries),
        )
        for name, entries in listed
    ]
    recordings = any(family.estimand == "recordings" for family in result.families)
    tested_on = "; over recordings where that is what is tested" if recordings else ""
    columns = [*text("Family"), *numbers("Rows", *(percent(b.budget) for b in result.budgets))]
    caption = Markup("{}: excess of each family{} (p is {})").format(who(result), tested_on, held)
    return HtmlTable(caption, columns, rows, folded=True, more=more)


def probability_ratios(results: Sequence[ResultEntry]) -> HtmlTable | None:
    """What a loss of probability would save in questions, over methods and budgets; None without likelihoods."""
    ratios: dict[str, list[float]] = {}
    for family in (family for result in results for b in result.budgets for family in b.families):
        known_ratios = [] if family.probability_loss_ratio is None else [family.probability_loss_ratio]
        ratios.setdefault(family.family, []).extend(known_ratios)
    if not any(ratios.values()):
        return None
    listed, more = weightiest([*ratios.items()], lambda item: -min(item[1], default=float("inf")))
    rows = [
        (alone(name), *((RATIO.number(min(values)), RATIO.number(max(values))) if values else (NONE, NONE)))
        for name, values in listed
    ]
    caption = (
        "Variance of the rise in probability lost by that of the loss: below about .5, it would take fewer questions"
    )
    return HtmlTable(caption, [*text("Family"), *numbers("Smallest", "Largest")], rows, folded=True, more=more)


def _entries(result: ResultEntry) -> list[tuple[str, list[FamilyAtBudget | None]]]:
    """Every family with its entry at each budget, None where it has none."""
    cells = {(f.family, i): f for i, b in enumerate(result.budgets) for f in b.families}
    names = dict.fromkeys(name for name, _ in cells)
    return [(name, [cells.get((name, i)) for i in range(len(result.budgets))]) for name in names]


def _notes(family: ResultFamily | None, entries: Sequence[FamilyAtBudget | None]) -> str:
    notes = ["too few rows"] if any(entry is not None and entry.rare for entry in entries) else []
    notes += ["does not listen"] if family is not None and family.hearing in DEAF else []
    return "; ".join(notes) or NONE


def _cell(entry: FamilyAtBudget | None, family: ResultFamily | None, unit: Unit) -> CellText:
    if entry is None:
        return NONE
    lines = [unit.interval(entry.lower, entry.upper), f"+{entry.plus} \N{MINUS SIGN}{entry.minus}"]
    if entry.p:
        lines.append("p " + ", ".join(map(p_value, entry.p)))
    value = unit.number(entry.excess)
    if family is not None and family.estimand == "recordings":
        lines.insert(0, f"over rows, not tested: {value}")
        value = f"{unit.number(entry.excess_recordings)} over recordings, tested"
    return Markup("{}<small>{}</small>").format(value, Markup("<br/>").join(lines))
