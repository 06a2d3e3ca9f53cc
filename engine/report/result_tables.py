"""The tables of results: what became of every method, per budget, per family, reasons and frontiers.

Every number is the certificate's own, rounded for reading.
"""

from markupsafe import Markup

from earmark.engine.report.decisions import Group, Json, approved_budget, sentence, who
from earmark.engine.report.numbers import NONE, TOKENS, Unit, count, p_value, percent, percents
from earmark.engine.report.tables import Cell, Table, folded_if_long, numbers, text, under

_MARKS = {"approve": "✓", "reject": "✕", "inconclusive": "?"}


def every_method(group: Group, unit: Unit) -> Table | None:
    """What became of every method and seed, at every tolerance; None where there is but one."""
    rows = [
        (
            who(result),
            unit.tolerance(c["tolerance"]),
            approved_budget(c["budget"]),
            sentence(c["reason"]),
            sentence(c["next"]["text"]),
        )
        for result in group.results
        for c in result["certified"]
    ]
    columns = [*text("Method"), *numbers("Tolerance", "Approved budget"), *text("Reason", "Next")]
    return Table("Every method and seed", columns, rows, folded=True) if len(group.results) > 1 else None


def frontiers(group: Group, unit: Unit) -> Table:
    """The smallest budget within each tolerance, of every method and seed."""
    rows = [
        (
            who(result),
            unit.tolerance(f["tolerance"]),
            variant,
            percent(f["grid"][variant]),
            under(percent(f["interpolated"][variant]), percents(ends["lower"], ends["upper"])),
            TOKENS.number(f["tokens"][variant]),
            percent(ends["at_smallest"]),
            percent(ends["at_full"]),
        )
        for result in group.results
        for f in result["frontiers"]
        for variant in ("average", "family")
        for ends in [f["intervals"][variant]]
    ]
    columns = [
        *text("Method"),
        *numbers("Tolerance"),
        *text("Variant"),
        *numbers("Grid", "Interpolated", "Audio tokens", "At smallest", "At full"),
    ]
    caption = "Frontiers: the smallest budget whose excess is within the tolerance"
    return folded_if_long(caption, columns, rows)


# One result -----------------------------------------------------------------------------------------------


def routing(result: Json, unit: Unit) -> Table | None:
    """Every family at a budget of its own, by tolerance; None where that is not a choice."""
    policies = result["routing"]
    if not policies:
        return None
    heads = [f"Within {unit.tolerance(policy['tolerance'])}" for policy in policies]
    every = ("all, on average", sum(f["n"] for f in policies[0]["families"]))
    rows = [(every[0], count(every[1]), *(percent(policy["retained"]) for policy in policies))]
    rows += [
        (routes[0]["family"], count(routes[0]["n"]), *(_routed(route) for route in routes))
        for routes in zip(*(policy["families"] for policy in policies), strict=True)
    ]
    caption = Markup("{}: routing, each family at its own smallest approved budget").format(who(result))
    return folded_if_long(caption, [*text("Family"), *numbers("Rows", *heads)], rows)


def _routed(route: Json) -> Cell:
    return "raw audio" if route["budget"] == 1 else under(percent(route["budget"]), f"p {p_value(route['p'])}")


def budgets(result: Json, unit: Unit) -> Table:
    """One row per evaluated budget."""
    tolerances = [c["tolerance"] for c in result["certified"]]
    rows = [
        (
            under(percent(b["budget"]), "not run" if b["implied"] else NONE),
            *(verdict(d["decision"]) for d in b["decisions"]),
            _estimate(b["excess_average"], unit),
            _estimate(b["excess_family"], unit),
            b["worst_family"],
            unit.number(b["hidden_damage"]),
            percent(b["concentration_top2"]),
            under(percent(b["answer_consistency"]), "⚠ paradox" if b["consistency_paradox"] else NONE),
            count(b["n"]),
            count(b["plus"]),
            count(b["minus"]),
            unit.number(b["loss"]),
            TOKENS.number(b["mean_audio_tokens"]),
        )
        for b in result["budgets"]
    ]
    columns = [
        *numbers("Budget"),
        *text(*(f"Within {unit.tolerance(t)}" for t in tolerances)),
        *numbers("Average excess", "Worst-family excess"),
        *text("Worst family"),
        *numbers("Hidden damage", "Share of two worst", "Same answers"),
        *numbers("Rows", "Worse", "Better", "Loss", "Audio tokens"),
    ]
    return Table(Markup("{}: budgets").format(who(result)), columns, rows)


def reasons(result: Json, unit: Unit) -> Table:
    """Why each budget was decided as it was."""
    rows = [
        (
            percent(b["budget"]),
            unit.tolerance(d["tolerance"]),
            verdict(d["decision"]),
            p_value(d["p"]),
            p_value(d["p_adjusted"]),
            sentence(d["reason"]),
        )
        for b in result["budgets"]
        for d in b["decisions"]
    ]
    columns = [
        *numbers("Budget", "Tolerance"),
        *text("Decision"),
        *numbers("Largest p", "On the walk"),
        *text("Reason"),
    ]
    return Table(Markup("{}: reasons").format(who(result)), columns, rows, folded=True)


def families(result: Json, unit: Unit) -> Table:
    """Families by budgets: excess, its interval, and the rows that got worse and better."""
    cells = {(f["family"], i): f for i, b in enumerate(result["budgets"]) for f in b["families"]}
    rows = []
    for family in dict.fromkeys(name for name, _ in cells):
        entries = [cells.get((family, i)) for i in range(len(result["budgets"]))]
        known = [e for e in entries if e is not None]
        rare = "too few rows" if any(e["rare"] for e in known) else NONE
        rows.append((under(family, rare), count(known[0]["n"]), *(_family_cell(e, unit) for e in entries)))
    columns = [
        *text("Family"),
        *numbers("Rows", *(percent(b["budget"]) for b in result["budgets"])),
    ]
    return Table(Markup("{}: excess of each family").format(who(result)), columns, rows, folded=True)


def merged(result: Json) -> Table | None:
    """Rare families that joined their declared parent."""
    rows = [(m["family"], count(m["n"]), m["into"]) for m in result["merged_families"]]
    columns = [*text("Family"), *numbers("Rows"), *text("Joined")]
    return Table(Markup("{}: merged families").format(who(result)), columns, rows, folded=True) if rows else None


# Cells ----------------------------------------------------------------------------------------------------


def verdict(decision: str) -> Markup:
    """A decision as a mark and a word."""
    return Markup('<span class="{0}">{1} {0}</span>').format(decision, _MARKS.get(decision, "?"))


def _estimate(entry: Json, unit: Unit) -> Cell:
    return under(unit.number(entry["estimate"]), unit.interval(entry["lower"], entry["upper"]))


def _family_cell(f: Json | None, unit: Unit) -> Cell:
    if f is None:
        return NONE
    changed = f"+{f['plus']} \N{MINUS SIGN}{f['minus']}"
    tested = Markup("<br/>p {}").format(", ".join(map(p_value, f["p"]))) if f["p"] else ""
    return Markup("{}<small>{}<br/>{}{}</small>").format(
        unit.number(f["excess"]), unit.interval(f["lower"], f["upper"]), changed, tested
    )
