"""The tables of results: what each method does alone, per budget, the reasons, its routing and its frontiers.

Every number is the certificate's own, rounded for reading. Verdicts are each method's own, and every table that shows
one says that it is uncorrected; what holds at the level of the claim stands beside it.
"""

from markupsafe import Markup

from earmark.engine.report.axes import axis_words, unit_words
from earmark.engine.report.decisions import Group, corrected_words, share_of
from earmark.engine.report.html_tables import CellText, HtmlTable, folded_if_long, numbers, text, under, weightiest
from earmark.engine.report.numbers import NONE, TOKENS, Unit, amount, count, p_value, percent, percents, significant
from earmark.engine.report.wording import Wording
from earmark.engine.report.words import alone, who
from earmark.engine.signoff.claim_entry import Claim
from earmark.engine.signoff.result_entry import Bounds, BudgetEntry, ResultEntry
from earmark.engine.signoff.rules.judgement import Route

_VERDICTS = {"approve": ("pass", "✓ passes"), "reject": ("reject", "✕ rejected"), "inconclusive": ("", "? not shown")}


def every_method(group: Group, claim: Claim, unit: Unit, wording: Wording) -> HtmlTable | None:
    """What became of every method and seed, at every tolerance; None where there is but one."""
    rows = [
        (
            _method(result),
            unit.tolerance(c.tolerance),
            share_of(c.budget, result.axis),
            corrected_words(result, c.tolerance, claim),
            wording.sentence(c.reason),
            NONE if c.next.action == "ship" else wording.sentence(c.next.text),
        )
        for result in group.results
        for c in result.certified
    ]
    passes = "Passes at" if group.walks else "Passes alone at"
    columns = [*text("Method"), *numbers("Tolerance", passes, "Corrected"), *text("Reason", "Next")]
    return (
        HtmlTable(f"Every method and seed, {group.held}", columns, rows, folded=True)
        if len(group.results) > 1
        else None
    )


def frontiers(group: Group, unit: Unit) -> HtmlTable | None:
    """The smallest budget within each tolerance, of every method and seed; None where parts of the rows were asked."""
    rows = [
        (
            _method(result),
            unit.tolerance(f.tolerance if variant == "family" else f.tolerance_average),
            variant,
            percent(getattr(f.grid, variant)),
            under(percent(getattr(f.interpolated, variant)), percents(ends.lower, ends.upper)),
            TOKENS.number(getattr(f.tokens, variant)),
            percent(ends.at_smallest),
            percent(ends.at_full),
        )
        for result in group.results
        for f in result.frontiers
        for variant in ("average", "family")
        for ends in [getattr(f.intervals, variant)]
    ]
    columns = [
        *text("Method"),
        *numbers("Tolerance"),
        *text("Variant"),
        *numbers("Grid", "Interpolated", "Audio tokens", "At smallest", "At full"),
    ]
    caption = "Frontiers: the smallest budget whose excess is within the tolerance (they describe, and approve nothing)"
    return folded_if_long(caption, columns, rows) if rows else None


def _method(result: ResultEntry) -> CellText:
    """A method and seed, and what its budgets are shares of: those of other axes are no more or less."""
    return under(who(result), axis_words(result.axis))


# One result -----------------------------------------------------------------------------------------------


def routing(result: ResultEntry, held: str, unit: Unit) -> HtmlTable | None:
    """Every family at a budget of its own, by tolerance; None where that is not a choice."""
    policies = result.routing
    if not policies:
        return None
    heads = [f"Within {unit.tolerance(policy.tolerance)}" for policy in policies]
    all_families = ("all, on average", sum(f.n for f in policies[0].families))
    rows = [(all_families[0], count(all_families[1]), *(percent(policy.retained) for policy in policies))]
    by_family = [*zip(*(policy.families for policy in policies), strict=True)]
    listed, more = weightiest(by_family, lambda routes: -min(route.budget for route in routes))  # who saves most
    rows += [(alone(routes[0].family), count(routes[0].n), *(_routed(route) for route in routes)) for routes in listed]
    caption = Markup("{}: each family at its own smallest budget that passes ({})").format(who(result), held)
    return HtmlTable(caption, [*text("Family"), *numbers("Rows", *heads)], rows, folded=True, more=more)


def _routed(route: Route) -> CellText:
    if route.budget < 1:
        return under(percent(route.budget), f"p {p_value(route.p)}")
    return "raw audio" if route.tested else under("raw audio", "too small to be tested")


def budgets(result: ResultEntry, held: str, unit: Unit) -> HtmlTable:
    """One row per evaluated budget; `held` is how verdicts hold."""
    tolerances = [c.tolerance for c in result.certified]
    corrected = result.corrected
    used = _used(result)
    rows = [
        (
            under(percent(b.budget), "not run" if b.implied else unit_words(b.budget, result.axis)),
            *(verdict(d.decision) for d in b.decisions),
            *([_corrected(b.budget, corrected.budget)] if corrected else []),
            _average(b, unit),
            _worst(b, unit),
            alone(b.worst_family),
            unit.number(b.hidden_damage),
            percent(b.concentration_top2),
            under(percent(b.answer_consistency), "⚠ paradox" if b.consistency_paradox else NONE),
            _flagged(b.copies_of_raw, b.budget < 1 and b.copies_of_raw == 1, "⚠ compresses nothing"),
            percent(b.answers_of_silence),
            count(b.n),
            count(b.plus),
            count(b.minus),
            unit.number(b.loss),
            *(cells[b.budget] for cells in used.values()),
        )
        for b in result.budgets
    ]
    columns = [
        *numbers("Budget"),
        *text(*(f"Verdict, within {unit.tolerance(t)}" for t in tolerances)),
        *text(*([f"Corrected, within {unit.tolerance(corrected.tolerance)}"] if corrected else [])),
        *numbers("Average excess", "Worst-family excess"),
        *text("Worst family"),
        *numbers("Hidden damage", "Share of two worst", "Same answers", "Copies of raw audio", "Answers of silence"),
        *numbers("Rows", "Worse", "Better", "Loss", *used),
    ]
    return HtmlTable(Markup("{}: budgets (verdicts {})").format(who(result), held), columns, rows)


def _used(result: ResultEntry) -> dict[str, dict[float, CellText]]:
    """What is really used, by column and budget, with its share of raw audio's; only the tokens where all is unknown.

    Bits are sent while the raw recording lasts: kb/s are over its seconds, however many of them are heard.
    """
    raw = next((b for b in result.budgets if b.budget == 1), None)
    seconds = raw.used.seconds if raw is not None else None
    per = 1000 * seconds if seconds else None
    amounts = {
        "Seconds heard": {b.budget: b.used.seconds for b in result.budgets},
        "Sent, kb/s" if per else "Sent, bits": {b.budget: _over(b.used.bits, per or 1) for b in result.budgets},
        "Audio tokens": {b.budget: b.mean_audio_tokens for b in result.budgets},
        "LM positions": {b.budget: b.used.lm_positions for b in result.budgets},
        "FLOPs": {b.budget: b.used.flops for b in result.budgets},
    }
    return {
        head: {budget: _of_raw(head, value, of_budget.get(1.0)) for budget, value in of_budget.items()}
        for head, of_budget in amounts.items()
        if head == "Audio tokens" or any(value is not None for value in of_budget.values())
    }


def _over(value: float | None, divisor: float) -> float | None:
    return None if value is None else value / divisor


def _of_raw(head: str, value: float | None, raw: float | None) -> CellText:
    """An amount, and its share of what raw audio uses."""
    written = amount(value) if head in ("FLOPs", "Sent, bits") else TOKENS.number(value)
    share = _over(value, raw) if raw else None
    return under(written, NONE if share is None or share == 1 else f"{significant(100 * share, 3)}% of raw")


def reasons(result: ResultEntry, held: str, unit: Unit, wording: Wording) -> HtmlTable:
    """Why each budget was decided as it was."""
    rows = [
        (
            percent(b.budget),
            unit.tolerance(d.tolerance),
            verdict(d.decision),
            p_value(d.p),
            p_value(d.p_adjusted),
            wording.sentence(d.reason),
        )
        for b in result.budgets
        for d in b.decisions
    ]
    columns = [
        *numbers("Budget", "Tolerance"),
        *text("Verdict"),
        *numbers("Largest p", "On the walk"),
        *text("Reason"),
    ]
    return HtmlTable(Markup("{}: reasons ({})").format(who(result), held), columns, rows, folded=True)


def merged(result: ResultEntry) -> HtmlTable | None:
    """Rare families that joined their declared parent."""
    listed, more = weightiest(result.merged_families, lambda m: m.n)
    rows = [(alone(m.family), count(m.n), alone(m.into)) for m in listed]
    columns = [*text("Family"), *numbers("Rows"), *text("Joined")]
    caption = Markup("{}: merged families").format(who(result))
    return HtmlTable(caption, columns, rows, folded=True, more=more) if rows else None


# Cells ----------------------------------------------------------------------------------------------------


def verdict(decision: str) -> Markup:
    """A decision as a mark and a word; none of them approves."""
    kind, words = _VERDICTS.get(decision, ("", decision))
    return Markup('<span class="{}">{}</span>').format(kind, words)


def _corrected(budget: float, smallest: float | None) -> Markup:
    """Whether a walk at the level of the claim reaches a budget: it stops at the first that fails."""
    return verdict("approve" if smallest is not None and budget >= smallest else "inconclusive")


def _average(b: BudgetEntry, unit: Unit) -> CellText:
    return _estimate(b.excess_average, b.excess_average_recordings, "over recordings", unit)


def _worst(b: BudgetEntry, unit: Unit) -> CellText:
    return _estimate(b.excess_family, b.excess_family_tested, "as tested", unit)


def _estimate(entry: Bounds, recounted: float | None, how_recounted: str, unit: Unit) -> CellText:
    """An estimate with its interval, and the same excess counted otherwise where that is another number."""
    value, interval = unit.number(entry.estimate), unit.interval(entry.lower, entry.upper)
    if recounted is None or unit.number(recounted) == value:
        return under(value, interval)
    return Markup("{}<small>{}<br/>{}: {}</small>").format(value, interval, how_recounted, unit.number(recounted))


def _flagged(share: float | None, flagged: bool, flag: str) -> CellText:
    return under(percent(share), flag if flagged else NONE)
