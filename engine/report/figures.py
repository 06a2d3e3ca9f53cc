"""Which figures a group of results gets, in which order, and what each of them says in words.

Reads the fields of a certificate and hands plain numbers to `curves`, `heatmap` and `intervals`, which draw.
A figure exists only where its data do.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from earmark.engine.design.compressors import RAW_KBPS, RAW_KHZ, Axis
from earmark.engine.report import curves, heatmap, intervals, pareto, walk_figures
from earmark.engine.report.axes import axis_words, share_words, unit_words, whole_words
from earmark.engine.report.decisions import Group, saves
from earmark.engine.report.html_tables import SHOWN, more_words, weightiest
from earmark.engine.report.numbers import NONE, Unit, amount, percent, significant, unit_of_axis
from earmark.engine.report.words import OfMethod, where
from earmark.engine.signoff.audit_entry import Chain, Gain
from earmark.engine.signoff.certificate import StatedRule
from earmark.engine.signoff.result_entry import Bounds, BudgetEntry, ResultEntry, Used

_PANELS_SHOWN = 6


class FigureSet(NamedTuple):
    """Figures of one kind; the `folded` ones open on demand."""

    heading: str
    look_for: str  # empty where the set before it says so
    shown: list[Markup]
    folded: list[Markup]
    others: str = "other methods and seeds"  # what is folded


def of_group(group: Group, rule: StatedRule, unit: Unit) -> list[FigureSet]:
    """Every figure of the group that has data."""
    walked = FigureSet(walk_figures.HEADING, walk_figures.LOOK_FOR, *walk_figures.panels(group, unit), "other budgets")
    compressed = group._replace(results=[r for r in group.results if any(b.budget < 1 for b in r.budgets)])
    sets = [
        walked,
        *_curves(compressed, rule, unit),
        _heat_maps(compressed, rule, unit),
        _gains(group, unit),
        _chains(group, unit),
    ]
    return [figure_set for figure_set in sets if figure_set.shown]


def _name(entry: OfMethod) -> str:
    return f"{entry.method}, seed {entry.seed}"


# Excess against budget -------------------------------------------------------------------------------------


def _curves(group: Group, rule: StatedRule, unit: Unit) -> list[FigureSet]:
    """A set for each axis that occurs; they share the vertical axis, and no budget is compared across them."""
    panel_curves = [_panel_of(result, group, unit, _kept_axis(result.axis, group)) for result in group.results]
    shared = [v for c in panel_curves for v in curves.values(c)]
    axes = list(dict.fromkeys(result.axis for result in group.results))
    sets = []
    for axis in axes:
        panels = [
            curves.panel(c, _tolerances(rule, unit), shared, unit, _panel_words(result, group, unit))
            for c, result in zip(panel_curves, group.results, strict=True)
            if result.axis == axis
        ]
        sets.append(_curves_on(axis, len(axes) > 1, bool(group.walks), panels))
    return [*sets[:1], *(figure_set._replace(look_for="") for figure_set in sets[1:])]


def _tolerances(rule: StatedRule, unit: Unit) -> list[curves.Tolerance]:
    tolerances = [curves.Tolerance(t, unit.tick(t)) for t in sorted(rule.tolerances)]
    if rule.tolerance_average is not None:
        value = rule.tolerance_average
        tolerances.append(curves.Tolerance(value, f"avg {unit.tick(value)}"))
    return tolerances


def _curves_on(axis: Axis | None, several: bool, walked: bool, panels: list[Markup]) -> FigureSet:
    """The set of one axis; `several`: there are others."""
    passes = "A budget passes alone, uncorrected, where the whole interval of the worst family lies below"
    if walked:
        passes = "Bars stand where its walk looked at every family; a budget is safe where that of the worst ends below"
    return FigureSet(
        f"Excess against budget: {axis_words(axis)}" if several else "Excess against budget",
        f"Look for the gap between the two curves: it is the damage that the average hides. {passes} the dashed "
        "tolerance.",
        panels[:_PANELS_SHOWN],
        panels[_PANELS_SHOWN:],
    )


def _kept_axis(axis: Axis | None, group: Group) -> curves.KeptAxis:
    """The horizontal axis of all panels of one axis: in its unit, where it has one, and in factors of two for bits."""
    budgets = [b.budget for result in group.results if result.axis == axis for b in result.budgets]
    match axis:
        case "bits":
            smallest = min(min(budgets), 0.5)
            halvings = [2.0**-power for power in range(math.floor(-math.log2(smallest)) + 1)]
            ticks = [(b, significant(b * RAW_KBPS)) for b in halvings]
            return curves.KeptAxis("kb/s that are asked for, log scale", ticks, smallest)
        case "duration":
            return curves.KeptAxis("speed that is asked for", [(1 / x, f"{x:g}x") for x in (4, 2, 1.5, 1)])
        case "bandwidth":
            return curves.KeptAxis("kHz that are asked for", [(khz / RAW_KHZ, str(khz)) for khz in (0, 2, 4, 6, 8)])
        case "positions":
            return curves.AUDIO_KEPT._replace(words="share of audio tokens that are kept")
        case "layers":
            return curves.AUDIO_KEPT._replace(words="share of audio positions that go on after the layer")
        case "cache":
            return curves.AUDIO_KEPT._replace(words="share of the audio's keys and values that stay")
        case "own":
            return curves.AUDIO_KEPT._replace(words="share of what it counts")
    return curves.AUDIO_KEPT


def _panel_of(result: ResultEntry, group: Group, unit: Unit, kept: curves.KeptAxis) -> curves.Curves:
    passing = [c for c in result.certified if saves(c.budget)]
    passing_words = [
        f"{_briefly(c.budget, result.axis)} ({unit.tolerance(c.tolerance)})" for c in passing if c.budget is not None
    ]
    approved = group.approved.get((result.method, result.seed))
    note = ("passes: " if group.walks else "uncorrected: ") + (
        ", ".join(passing_words) if passing_words else "none below 100%"
    )
    return curves.Curves(
        _name(result),
        note if approved is None else f"approved: {_briefly(approved, result.axis)} · {note}",
        [_point(b, b.excess_average) for b in result.budgets],
        [_point(b, b.excess_family) for b in result.budgets],
        [c.budget for c in passing if c.budget is not None],
        approved,
        kept,
        [_read(b, result.axis, unit) for b in result.budgets],
    )


def _read(b: BudgetEntry, axis: Axis | None, unit: Unit) -> str:
    """The values at a budget, in words."""

    def of(excess: Bounds) -> str:
        ends = unit.interval(excess.lower, excess.upper)
        return unit.words(excess.estimate) + ("" if ends == NONE else f" ({ends})")

    run = " (not run)" if b.implied else ""
    worst = f"worst family, {b.worst_family}, {of(b.excess_family)}"
    return f"{_briefly(b.budget, axis)}{run}: average {of(b.excess_average)}; {worst}"


def _point(b: BudgetEntry, excess: Bounds) -> curves.Point:
    return curves.Point(b.budget, excess.estimate, excess.lower, excess.upper, implied=b.implied)


def _panel_words(result: ResultEntry, group: Group, unit: Unit) -> str:
    first, last = result.budgets[0], result.budgets[-1]

    def at(b: BudgetEntry) -> str:
        return (
            f"At {share_words(b.budget, result.axis)} the average excess is "
            f"{unit.number(b.excess_average.estimate)} {unit.name} and that of the worst family, "
            f"{b.worst_family}, {unit.number(b.excess_family.estimate)}."
        )

    ends = at(first) if first is last else f"{at(first)} {at(last)}"
    verdicts = " ".join(
        f"Within {unit.tolerance(c.tolerance)}: "
        + (f"{percent(c.budget) if saves(c.budget) else 'no budget below 100%'} passes {group.by_itself}.")
        for c in result.certified
    )
    approved = group.approved.get((result.method, result.seed))
    claimed = "" if approved is None else f"The claim approves {percent(approved)}. "
    return f"{ends} {claimed}{'' if group.walks else 'Uncorrected: '}{verdicts}"


# Harm against cost -----------------------------------------------------------------------------------------


def of_costs(groups: Sequence[Group], rule: StatedRule, unit: Unit) -> list[tuple[Markup, FigureSet]]:
    """Under each answerer and corpus, all methods and budgets by what they cost; nothing where no cost is known."""
    results_of: dict[tuple[str, str], list[ResultEntry]] = {}
    for group in groups:
        results_of.setdefault((group.answerer, group.corpus), []).extend(group.results)
    held = "" if any(group.walks for group in groups) else ", uncorrected"
    sets = [(where(*names), _costs(results, rule, held, unit)) for names, results in results_of.items()]
    return [(names, figure_set) for names, figure_set in sets if figure_set.shown]


def _costs(results: Sequence[ResultEntry], rule: StatedRule, held: str, unit: Unit) -> FigureSet:
    panels = [
        pareto.ParetoPanel(
            "Bits that are sent", "bits a question, log scale", _priced(results, lambda used: used.bits)
        ),
        _computed(results),
    ]
    drawn = [panel for panel in panels if panel.has_compressed]
    shared = [point.bound for panel in drawn for point in panel.points]
    tolerances = [curves.Tolerance(t, unit.tick(t)) for t in sorted(rule.tolerances)]
    return FigureSet(
        "Harm against cost",
        "Budgets of different axes meet here, in what they really send and compute. Look below the dashed tolerance "
        "for what is furthest to the left. ◆ is what no other method and budget beats in cost or harm without losing "
        f"in the other (◇ raw audio), ○ is beaten; a point is its worst seed and partition{held}.",
        [pareto.draw(panel, tolerances, shared, unit, _cost_words(panel, unit)) for panel in drawn],
        [],
    )


def _computed(results: Sequence[ResultEntry]) -> pareto.ParetoPanel:
    """Operations, or, where nobody counts them, positions of the language model."""
    operations = _priced(results, lambda used: used.flops)
    panel = pareto.ParetoPanel("Operations", "FLOPs a question, log scale", operations)
    if panel.has_compressed:
        return panel
    positions = _priced(results, lambda used: used.lm_positions)
    return pareto.ParetoPanel("Positions of the language model", "positions a question, log scale", positions)


def _priced(results: Sequence[ResultEntry], cost_of: Callable[[Used], float | None]) -> list[pareto.ParetoPoint]:
    """Every method and budget with a known cost and bound, each the worst over seeds and partitions, and raw audio."""
    worst: dict[tuple[str, float], pareto.ParetoPoint] = {}
    for result in results:
        for entry in result.budgets:
            cost, bound = cost_of(entry.used), entry.excess_family.upper
            if cost is None or cost <= 0 or bound is None:
                continue
            is_raw = entry.budget == 1
            key = ("", 1.0) if is_raw else (result.method, entry.budget)
            name = "raw audio" if is_raw else f"{result.method} {_briefly(entry.budget, result.axis)}"
            other = worst.get(key, pareto.ParetoPoint(name, cost, bound, is_raw))
            worst[key] = pareto.ParetoPoint(name, max(cost, other.cost), max(bound, other.bound), is_raw)
    return list(worst.values())


def _briefly(budget: float, axis: Axis | None) -> str:
    """A budget in the unit of its axis, in percent where there is none."""
    words = unit_words(budget, axis)
    return percent(budget) if words == NONE else words


def _cost_words(panel: pareto.ParetoPanel, unit: Unit) -> str:
    best = "; ".join(f"{p.name}: {amount(p.cost)}, {unit.words(p.bound)}" for p in pareto.undominated(panel.points))
    return f"Of {len(panel.points)} points, these are beaten by none, by {panel.cost} and upper bound: {best}."


# Families by budget ----------------------------------------------------------------------------------------


def _heat_maps(group: Group, rule: StatedRule, unit: Unit) -> FigureSet:
    maps = [_heat_map_of(result, max(rule.tolerances), unit) for result in group.results]
    return FigureSet(
        "Excess by family and budget",
        f"Look for the rows that stay coloured to the right: families that need more audio than the rest. Cells are "
        f"{_cells_of(unit)}; blue is better than raw audio, orange worse; the worst family of a budget is outlined; "
        f"* marks families with too few rows.",
        maps[:1],
        maps[1:],
    )


def _cells_of(unit: Unit) -> str:
    return "percentage points" if unit.name == "points" else unit.name


def _heat_map_of(result: ResultEntry, tolerance: float, unit: Unit) -> Markup:
    """The heat map of one result.

    The deepest shade is the largest excess, but never below the tolerance: what is harmless stays pale.
    """
    budgets = result.budgets
    cells = {(f.family, i): f for i, b in enumerate(budgets) for f in b.families}
    rows = []
    for family in dict.fromkeys(name for name, _ in cells):
        entries = [cells.get((family, i)) for i in range(len(budgets))]
        known = [e for e in entries if e is not None]
        rows.append(
            heatmap.HeatMapRow(
                family,
                max(e.n for e in known),
                any(e.rare for e in known),
                [None if e is None else e.excess for e in entries],
            )
        )
    rows.sort(key=lambda row: (-max((e for e in row.excess if e is not None), default=0), row.family))
    limit = max([tolerance, *(abs(e) for row in rows for e in row.excess if e is not None)])
    shown, n_more = rows[:SHOWN], len(rows) - SHOWN
    place = {row.family: i for i, row in enumerate(shown)}
    heat = heatmap.HeatMap(
        _name(result),
        [b.budget for b in budgets],
        shown,
        [None if b.implied else place.get(b.worst_family) for b in budgets],
        more_words(n_more) if n_more > 0 else "",
    )
    top = ", ".join(row.family for row in rows[:3])
    desc = f"Rows are {len(rows)} families, hurt most first ({top}); columns are {len(budgets)} budgets. " + " ".join(
        f"At {percent(b.budget)} the worst is {b.worst_family}, {unit.number(b.excess_family.estimate)} {unit.name}."
        for b in budgets
    )
    return heatmap.draw(heat, limit, unit, desc)


# Gains -----------------------------------------------------------------------------------------------------


def _gains(group: Group, unit: Unit) -> FigureSet:
    gains = [g for g in group.gains if g.axis == "interpolated"]
    panels = []
    tolerances = dict.fromkeys(g.tolerance for g in gains)
    rows_of = {t: _gain_rows(g for g in gains if g.tolerance == t) for t in tolerances}
    shared = [v for rows in rows_of.values() for v in intervals.values(rows)]
    for tolerance, rows in rows_of.items():
        counts = {
            d: sum(g.tolerance == tolerance and g.direction == d for g in gains)
            for d in ("positive", "negative", "inconclusive")
        }
        desc = (
            f"Agnostic minus conditioned frontier within {unit.tolerance(tolerance)}: conditioning saves budget in "
            f"{counts['positive']} comparisons, costs budget in {counts['negative']} and is inconclusive in "
            f"{counts['inconclusive']}. Percentage points: " + "; ".join(_gain_words(row) for row in rows if row.marks)
        )
        heading = f"Within {unit.tolerance(tolerance)}"
        dots = intervals.Dots(heading, "● average  ◆ worst family", "budget saved, percentage points", rows)
        tick = unit_of_axis("interpolated").tick
        title = f"Audio saved by conditioning on the question, within {unit.tolerance(tolerance)}"
        panels.append(intervals.draw(dots, shared, tick, title, desc))
    return FigureSet(
        "Does conditioning on the question save audio?",
        "Look for intervals that stay clear of the zero line: to its right, a selector that hears the question needs "
        "less audio than one that does not; to its left, it needs more.",
        panels,
        [],
    )


def _gain_rows(gains: Iterable[Gain]) -> list[intervals.IntervalRow]:
    """Rows of gains: a heading per compared pair, then one row per seed with a mark per variant."""
    pairs: dict[str, dict[int, dict[str, intervals.Mark]]] = {}
    for g in gains:
        pair = f"{g.agnostic} − {g.conditioned}"
        if g.kind != "same-backbone":
            pair += f" ({g.kind}, {g.reference_answerer})"
        written = unit_of_axis(g.axis).number(g.point, signed=True)
        mark = intervals.Mark(g.variant, g.point, g.lower, g.upper, written)
        pairs.setdefault(pair, {}).setdefault(g.seed, {})[g.variant] = mark
    rows = []
    for pair, seeds in pairs.items():
        rows.append(intervals.IntervalRow(pair))
        rows += [
            intervals.IntervalRow(f"seed {seed}", [marks[v] for v in ("average", "family") if v in marks])
            for seed, marks in seeds.items()
        ]
    return rows


def _gain_words(row: intervals.IntervalRow) -> str:
    return f"{row.label} " + ", ".join(f"{mark.kind} {mark.written}" for mark in row.marks)


# Chains ----------------------------------------------------------------------------------------------------


def _chains(group: Group, unit: Unit) -> FigureSet:
    """The chains of the most relevant method and seed; the tables have the others."""
    best = group.results[0]
    chains = [c for c in group.chains if (c.method, c.seed) == (best.method, best.seed)]
    return FigureSet(
        "Which families need the most?",
        "Families join from the smallest to the largest, and the budget that they need together can only grow. Look "
        "for the long steps: those families set the budget; ◀ marks the longest.",
        [_chain_of(c, best.axis, unit) for c in chains],
        [],
    )


def _chain_of(chain: Chain, axis: Axis | None, unit: Unit) -> Markup:
    steps = chain.steps
    grown = {step.family for step in steps if (step.increment or 0) > 0}
    longest = chain.bottleneck if chain.bottleneck in grown else None
    rows = []
    listed, more = weightiest(steps, lambda step: step.increment or 0.0)
    for step in listed:
        bottleneck = step.family == longest
        written = percent(step.frontier) + (" ◀" if bottleneck else "")
        mark = intervals.Mark("family", step.frontier, step.lower, step.upper, written)
        rows.append(intervals.IntervalRow(step.family, [mark], strong=bottleneck))
    shared = [1.0, *intervals.values(rows)]
    scale = f"share {whole_words(axis)} that the families so far need"
    dots = intervals.Dots(_name(chain), f"within {unit.tolerance(chain.tolerance)}", scale, rows, more)
    if steps:
        desc = (
            f"The budget grows from {percent(steps[0].frontier)} with {steps[0].family} alone to "
            f"{percent(steps[-1].frontier)} with all {len(steps)} families; "
            + (f"the longest step is {longest}." if longest else "no family adds to it.")
        )
    else:
        desc = "The chain has no steps."
    title = f"Budget needed as families are added: {_name(chain)}"
    return intervals.draw(dots, shared, percent, title, desc, path=True)
