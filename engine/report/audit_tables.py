"""The tables of the audits: seeds, use of the question, contamination, label noise, coarsening, architecture gap.

Every number is the certificate's own, rounded for reading; an audit without entries has no table.
"""

from collections.abc import Sequence

from markupsafe import Markup

from earmark.engine.report import question_tables
from earmark.engine.report.html_tables import CellText, HtmlTable, folded_if_long, numbers, text, under
from earmark.engine.report.numbers import POINTS, RATIO, Unit, count, percent, plain, unit_of_axis
from earmark.engine.report.words import alone, code, where, who
from earmark.engine.signoff.audit_entry import (
    ArchitectureGap,
    Coarsening,
    Contamination,
    GainOverSeeds,
    LabelNoise,
    QueryUse,
)
from earmark.engine.signoff.certificate import Audits

OverSeeds = GainOverSeeds | QueryUse | Contamination


def tables(audits: Audits, unit: Unit) -> list[HtmlTable]:
    """The tables of every audit that has entries."""
    all_tables = [
        _seeds(audits.seeds, unit),
        _query_use(audits.query_use, unit),
        _contamination(audits.contamination, unit),
        _label_noise(audits.label_noise),
        _coarsening(audits.coarsening, unit),
        _architecture_gap(audits.architecture_gap, unit),
        *(_gap_cells(entry, unit) for entry in audits.architecture_gap),
        question_tables.family_gains(audits.family_gains, unit),
        question_tables.kept(audits.kept_chunks),
        question_tables.shares(audits.score_shares),
        question_tables.flips(audits.flip_rates),
    ]
    return [table for table in all_tables if table.rows]


def _seeds(entries: Sequence[GainOverSeeds], unit: Unit) -> HtmlTable:
    rows = [
        (
            Markup("{}<small>{}</small>").format(_where(a), a.kind),
            _pair(a),
            unit.tolerance(a.tolerance),
            a.axis,
            a.variant,
            *_over_seeds(a, unit_of_axis(a.axis)),
            a.direction,
        )
        for a in entries
    ]
    columns = [
        *text("Where", "Agnostic − conditioned"),
        *numbers("Tolerance"),
        *text("Axis", "Variant"),
        *_OVER_SEEDS,
        *text("Direction"),
    ]
    return folded_if_long("Training seeds: does the gain repeat?", columns, rows)


def _query_use(entries: Sequence[QueryUse], unit: Unit) -> HtmlTable:
    rows = [(*_regime(a, unit), *_over_seeds(a, POINTS), plain(a.permutations), a.direction, a.band) for a in entries]
    columns = [*_REGIME, *_OVER_SEEDS, *numbers("Draws"), *text("Direction", "Band")]
    return folded_if_long("Use of the question: gain with the true question minus gain with another one", columns, rows)


def _contamination(entries: Sequence[Contamination], unit: Unit) -> HtmlTable:
    rows = [(*_regime(a, unit), *_over_seeds(a, POINTS), RATIO.number(a.ratio), a.direction) for a in entries]
    columns = [*_REGIME, *_OVER_SEEDS, *numbers("Ratio of means"), *text("Direction")]
    return folded_if_long("Contamination: naive minus decoupled use of the question", columns, rows)


def _label_noise(entries: Sequence[LabelNoise]) -> HtmlTable:
    rows = [
        (
            who(a),
            _where(a),
            percent(a.budget),
            alone(a.bottleneck),
            percent(a.rate),
            count(a.draws),
            percent(a.preserved),
        )
        for a in entries
    ]
    columns = [
        *text("Method", "Where"),
        *numbers("Budget"),
        *text("Worst family"),
        *numbers("Labels flipped", "Draws", "Still the worst"),
    ]
    return folded_if_long("Label noise: does the worst family stay the worst?", columns, rows)


def _coarsening(entries: Sequence[Coarsening], unit: Unit) -> HtmlTable:
    rows = [
        (
            who(a),
            _where(a),
            percent(a.budget),
            unit.number(a.hidden_damage_fine),
            unit.number(a.hidden_damage_coarse),
            percent(a.share_destroyed),
            Markup("<br/>").join(_few(group) for group in a.groups),
        )
        for a in entries
    ]
    columns = [
        *text("Method", "Where"),
        *numbers("Budget", "Hidden damage", "In two groups", "Share lost"),
        *text("The two groups"),
    ]
    return folded_if_long("Coarsening: hidden damage that two coarse groups no longer show", columns, rows)


def _architecture_gap(entries: Sequence[ArchitectureGap], unit: Unit) -> HtmlTable:
    rows = [
        (
            " → ".join(a.answerers),
            a.corpus,
            a.interface,
            count(len(a.cells)),
            unit.number(a.mean, signed=True),
            unit.number(a.sd),
        )
        for a in entries
    ]
    columns = [*text("Answerers", "Corpus", "Interface"), *numbers("Cells", "Mean gap", "sd")]
    return folded_if_long("Architecture gap: loss of the second answerer minus the first", columns, rows)


def _gap_cells(entry: ArchitectureGap, unit: Unit) -> HtmlTable:
    rows = [(who(c), percent(c.budget), unit.number(c.gap, signed=True)) for c in entry.cells]
    caption = f"Cells of the gap {' → '.join(entry.answerers)}, {entry.corpus}, {entry.interface}"
    return HtmlTable(caption, [*text("Method"), *numbers("Budget", "Gap")], rows, folded=True)


# Cells that several audits share ---------------------------------------------------------------------------

_REGIME = [*text("Where", "Agnostic − conditioned", "Protocol", "Regime"), *numbers("Tolerance"), *text("Variant")]
_OVER_SEEDS = numbers("Values per seed", "Mean", "sd")


def _regime(a: QueryUse | Contamination, unit: Unit) -> tuple[CellText, ...]:
    """The cells under `_REGIME`."""
    return _where(a), _pair(a), a.protocol, a.regime, unit.tolerance(a.tolerance), a.variant


def _over_seeds(a: OverSeeds, unit: Unit) -> tuple[CellText, ...]:
    """Three cells: the value of each seed, their mean with its interval, and their standard deviation."""
    values = Markup("<br/>").join(
        Markup("<span>seed {}: {}</span>").format(seed, unit.number(value, signed=True))
        for seed, value in zip(a.seeds, a.values, strict=True)
    )
    mean = under(unit.number(a.mean, signed=True), unit.interval(a.lower, a.upper, signed=True))
    return values, mean, unit.number(a.sd)


def _pair(a: OverSeeds) -> Markup:
    """The two selectors of a gain."""
    return Markup("{} − {}").format(code(a.agnostic), code(a.conditioned))


def _where(a: OverSeeds | LabelNoise | Coarsening) -> Markup:
    return where(a.answerer, a.corpus, a.partition)


def _few(names: Sequence[str], limit: int = 4) -> str:
    """The first names, and how many more there are."""
    n_rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {n_rest} more" if n_rest > 0 else "")
