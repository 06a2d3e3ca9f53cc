"""The tables on the use of the question: gains family by family, and what a selector does with it by itself.

Every number is the certificate's own, rounded for reading; an audit without entries has no table.
"""

from collections.abc import Sequence

from markupsafe import Markup

from earmark.engine.report.html_tables import HtmlTable, folded_if_long, more_words, numbers, text, under, weightiest
from earmark.engine.report.numbers import POINTS, RATIO, Unit, count, percent
from earmark.engine.report.words import alone, code, isolated, where, who
from earmark.engine.signoff.audit_entry import AnswerFlips, FamilyGains, FamilyKept, KeptChunks, SelectorShares


def family_gains(entries: Sequence[FamilyGains], unit: Unit) -> HtmlTable:
    """Which families a gain comes from, and which it costs."""
    rows = [
        (
            alone(f.family),
            count(f.n),
            Markup("{}<small>{}</small>").format(
                where(a.answerer, a.corpus, a.partition),
                a.kind if a.kind == "same-backbone" else f"against {a.reference_answerer}",
            ),
            Markup("{} − {}").format(code(a.agnostic), code(a.conditioned)),
            unit.tolerance(a.tolerance),
            Markup("<br/>").join(
                Markup("<span>seed {}: {}</span>").format(seed, POINTS.number(value, signed=True))
                for seed, value in zip(a.seeds, f.values, strict=True)
            ),
            under(POINTS.number(f.mean, signed=True), POINTS.interval(f.lower, f.upper, signed=True)),
            POINTS.number(f.sd),
            f.direction,
        )
        for a in entries
        for f in sorted(weightiest(a.families, lambda f: abs(f.mean or 0.0))[0], key=lambda f: f.mean or 0)
    ]
    columns = [
        *text("Family"),
        *numbers("Rows"),
        *text("Where", "Agnostic − conditioned"),
        *numbers("Tolerance", "Values per seed", "Mean", "sd"),
        *text("Direction"),
    ]
    n_more = sum(len(a.families) for a in entries) - len(rows)
    more = more_words(n_more) if n_more else ""
    return folded_if_long("Gains by family: budget that the question saves, or costs, in each", columns, rows, more)


def kept(entries: Sequence[KeptChunks]) -> HtmlTable:
    """How much of the kept set stays when the selector is shown another question."""
    rows = [
        (
            who(a),
            where(a.answerer, a.corpus, a.partition),
            a.regime,
            percent(a.budget),
            RATIO.number(a.jaccard),
            RATIO.number(a.random),
            _by_family(a.families),
            count(a.permutations),
        )
        for a in entries
    ]
    columns = [
        *text("Method", "Where", "Regime"),
        *numbers("Budget", "Overlap", "Random"),
        *text("By family, most sensitive first"),
        *numbers("Draws"),
    ]
    caption = "Kept chunks under another question: Jaccard index with those under the true one (1: the same chunks)"
    return folded_if_long(caption, columns, rows)


def _by_family(families: Sequence[FamilyKept]) -> Markup:
    """The index of each family, the smallest first."""

    def index(f: FamilyKept) -> float:
        return -1.0 if f.jaccard is None else f.jaccard

    shown, more = weightiest(families, lambda f: -index(f))
    lines = [
        Markup("<span>{}: {}</span>").format(isolated(f.family), RATIO.number(f.jaccard))
        for f in sorted(shown, key=index)
    ]
    return Markup("<br/>").join([*lines, more] if more else lines)


def shares(entries: Sequence[SelectorShares]) -> HtmlTable:
    """Shares of the variance of each selector's scores."""
    rows = [
        (
            who(a),
            count(a.audios),
            count(a.questions),
            percent(a.chunk),
            percent(a.question),
            percent(a.interaction),
        )
        for a in entries
    ]
    columns = [*text("Method"), *numbers("Recordings", "Questions", "Chunk", "Question", "Chunk and question")]
    caption = "What a selector's scores vary with: only chunk and question together can change the ranking"
    return folded_if_long(caption, columns, rows)


def flips(entries: Sequence[AnswerFlips]) -> HtmlTable:
    """How many raw answers change when they are asked again: the noise of the answerer itself."""
    rows = [(a.answerer, count(a.compared), count(a.changed), percent(a.share)) for a in entries]
    columns = [*text("Answerer"), *numbers("Raw questions asked twice", "Other answer", "Share")]
    return folded_if_long("Raw against raw: answers that change by themselves, in other batches", columns, rows)
