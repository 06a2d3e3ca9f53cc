"""The tables of comparisons: gains of conditioned selectors, chains of families, overlaps of pairs.

Every number is the certificate's own, rounded for reading; what has no entries has no table.
"""

from markupsafe import Markup

from earmark.engine.report import meaning
from earmark.engine.report.decisions import Group
from earmark.engine.report.html_tables import CellText, HtmlTable, folded_if_long, numbers, text, under, weightiest
from earmark.engine.report.numbers import NONE, RATIO, Unit, count, p_value, percent, percents, plain, unit_of_axis
from earmark.engine.report.words import alone, code, isolated, who
from earmark.engine.signoff.audit_entry import PAIRED_FAMILIES, Chain, FamilyOverlap, Gain, GainOverSeeds
from earmark.engine.signoff.certificate import Certificate

PAIRS_SHOWN = 20
_ARROW = {1: "▲", 0: "·", -1: "▼"}  # only where every interval is on one side of zero


def regime_map(certificate: Certificate, unit: Unit) -> HtmlTable | None:
    """Where conditioning helps: a row per answerer, corpus, partition and selector, a column per tolerance.

    A gain over several training seeds takes the place of that of one seed.
    """
    single_seeds = [g for g in certificate.gains if (g.axis, g.variant) == ("interpolated", "family")]
    over_seeds = [a for a in certificate.audits.seeds if (a.axis, a.variant) == ("interpolated", "family")]
    cells: dict[tuple[str, ...], dict[float, CellText]] = {}
    sign = meaning.signs(certificate)
    all_gains: list[Gain | GainOverSeeds] = [*single_seeds, *over_seeds]  # seeds together say more than the last one
    for g in all_gains:
        value = g.mean if isinstance(g, GainOverSeeds) else g.point
        against = "" if g.kind == "same-backbone" else f" against {g.reference_answerer}"
        row = (f"{g.answerer}{against}", g.corpus, g.partition, g.conditioned)
        ends = percents(g.lower, g.upper)
        cells.setdefault(row, {})[g.tolerance] = under(
            f"{_ARROW[sign[meaning.identity(g)]]} {percent(value)}",
            ends if g.direction is None else f"{ends}, {g.direction}",
        )
    tolerances = sorted({g.tolerance for g in single_seeds})
    rows = [(*row, *(by_tolerance.get(t, NONE) for t in tolerances)) for row, by_tolerance in cells.items()]
    columns = [
        *text("Answerer", "Corpus", "Partition", "Conditioned"),
        *numbers(*(f"Within {unit.tolerance(t)}" for t in tolerances)),
    ]
    caption = "Regime map of gains: budget that conditioning saves in the worst family (▲) or costs (▼)"
    return folded_if_long(caption, columns, rows) if rows else None


def gains(group: Group, unit: Unit) -> HtmlTable | None:
    """Every gain of a group on every axis; None without gains."""
    rows = [
        (
            Markup("{} − {}").format(code(g.agnostic), code(g.conditioned)),
            under(g.kind, NONE if g.kind == "same-backbone" else f"{g.reference_answerer} is agnostic"),
            str(g.seed),
            unit.tolerance(g.tolerance),
            g.axis,
            g.variant,
            _frontier(g.agnostic_frontier, g.axis),
            _frontier(g.conditioned_frontier, g.axis),
            _gain(g),
            p_value(g.p),
            plain(g.direction),
            percent(g.at_smallest),
            percent(g.at_full),
        )
        for g in group.gains
    ]
    columns = [
        *text("Agnostic − conditioned", "Kind"),
        *numbers("Seed", "Tolerance"),
        *text("Axis", "Variant"),
        *numbers("Agnostic", "Conditioned", "Gain", "p"),
        *text("Direction"),
        *numbers("At smallest", "At full"),
    ]
    caption = "Gains: budget saved by conditioning on the question, in percentage points or in tokens"
    return folded_if_long(caption, columns, rows) if rows else None


def chain(entry: Chain, unit: Unit) -> HtmlTable:
    """Budget needed as families are added, from the smallest to the largest."""
    listed, more = weightiest(entry.steps, lambda s: s.increment or 0.0)
    rows = [
        (
            str(s.step),
            under(alone(s.family), "bottleneck" if s.family == entry.bottleneck else NONE),
            count(s.n),
            count(s.n_cumulative),
            under(percent(s.frontier), percents(s.lower, s.upper)),
            under(percent(s.increment), percents(s.increment_lower, s.increment_upper)),
        )
        for s in listed
    ]
    columns = [
        *numbers("Step"),
        *text("Family added"),
        *numbers("Rows", "Rows so far", "Frontier", "Increment"),
    ]
    caption = Markup("Chain: {}, within {}").format(who(entry), unit.tolerance(entry.tolerance))
    return HtmlTable(caption, columns, rows, folded=True, more=more)


def overlaps(group: Group, unit: Unit) -> HtmlTable | None:
    """Additivity ratios of pairs of families, summed up per method; None without pairs."""
    rows = [
        (
            who(o),
            unit.tolerance(o.tolerance),
            count(o.summary.pairs),
            *map(RATIO.number, (o.summary.min, o.summary.median, o.summary.mean, o.summary.max)),
        )
        for o in group.overlaps
    ]
    columns = [*text("Method"), *numbers("Tolerance", "Pairs", "Smallest", "Median", "Mean", "Largest")]
    caption = "Overlaps: budget of two families together over the sum of their budgets"
    if any(len(result.families) > PAIRED_FAMILIES for result in group.results):
        caption += f" (pairs of the {PAIRED_FAMILIES} largest families)"
    return folded_if_long(caption, columns, rows) if rows else None


def pairs(entry: FamilyOverlap, unit: Unit) -> HtmlTable:
    """The pairs of families whose needs overlap most."""
    ordered = sorted(entry.pairs, key=lambda p: (p.ratio is None, p.ratio or 0, p.families))
    rows = [
        (Markup(" + ").join(map(isolated, p.families)), under(RATIO.number(p.ratio), RATIO.interval(p.lower, p.upper)))
        for p in ordered[:PAIRS_SHOWN]
    ]
    shown = f", the {len(rows)} smallest of {len(ordered)} ratios" if len(ordered) > len(rows) else ""
    caption = Markup("Pairs: {}, within {}{}").format(who(entry), unit.tolerance(entry.tolerance), shown)
    return HtmlTable(caption, [*text("Families"), *numbers("Ratio")], rows, folded=True)


def _frontier(value: float | None, axis: str) -> str:
    return unit_of_axis(axis).number(value) if axis == "tokens" else percent(value)


def _gain(g: Gain) -> CellText:
    unit = unit_of_axis(g.axis)
    return under(unit.number(g.point, signed=True), unit.interval(g.lower, g.upper, signed=True))
