"""The tables of the whole certificate: its errors, the declared rule, what results rest on, the files that were read.

Every number is the certificate's own, rounded for reading.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from earmark.engine.design.fields import fields_of
from earmark.engine.design.rule import Rule
from earmark.engine.outcomes.input_file import InputFile
from earmark.engine.report.axes import axis_words
from earmark.engine.report.claim_card import CLAIMS
from earmark.engine.report.decisions import Group
from earmark.engine.report.html_tables import SHOWN, HtmlTable, folded_if_long, numbers, text, under
from earmark.engine.report.numbers import NONE, Unit, count, percent, plain
from earmark.engine.report.words import code, isolated, where, who
from earmark.engine.signoff.answerer_files import AnswererEntry
from earmark.engine.signoff.certificate import CellErrors, SelectorCard, StatedRule
from earmark.engine.signoff.json_form import to_json

_RULE = fields_of(Rule)
_SHARES = ("alpha", "gamma", "max_error_rate")
_GAMMA = "Part of it that pays for unknown rates of change"  # follows from alpha


def errors(entries: Sequence[CellErrors]) -> HtmlTable:
    """The cells that have rows without an answer."""
    rows = [
        (
            who(e),
            where(e.answerer, e.corpus),
            e.stream,
            percent(e.budget),
            count(e.rows),
            count(e.errors),
            count(e.not_asked),
            count(e.too_short),
            under(count(e.compressor), NONE if e.complaint is None else isolated(e.complaint)),
            Markup("<br/>").join(map(isolated, e.first)),
        )
        for e in entries
    ]
    columns = [
        *text("Method", "Where", "Stream"),
        *numbers("Budget", "Rows", "Failed", "Not asked", "Too short", "Compressor made nothing"),
        *text("The first of them"),
    ]
    return folded_if_long("Cells with rows that have no answer", columns, rows)


def selectors(entries: Sequence[SelectorCard]) -> HtmlTable | None:
    """What the learned selectors were trained on, and what of it they are certified on; None without cards."""
    rows = [
        (
            who(e),
            ", ".join(f"{count(t.sources)} sources of {t.corpus}" for t in e.trained_on),
            ", ".join(f"{count(o.n_shared)} of {count(o.n_sources)} sources of {o.corpus}" for o in e.overlap)
            or "none",
            code(plain(e.hash)[:16]),
        )
        for e in entries
    ]
    columns = text("Selector", "Trained on", "Certified on the same", "Weights")
    return folded_if_long("Learned selectors: what they were trained on", columns, rows) if rows else None


def answerers(entries: Sequence[AnswererEntry]) -> HtmlTable | None:
    """Who answered, and what its answers depend on; None where nobody wrote it down."""
    rows = [
        (
            e.answerer,
            e.kind,
            under(code(e.model), code(e.identity)),
            plain(e.likelihoods),
            f"{count(e.canaries_right)} of {count(e.n_canaries)}" if e.canaries else NONE,
            code(", ".join([*e.models, *e.fingerprints])) if e.models or e.fingerprints else NONE,
        )
        for e in entries
    ]
    columns = text("Answerer", "Kind", "Model and identity", "Likelihoods", "Canaries right", "The server says it is")
    return folded_if_long("Who answered", columns, rows) if rows else None


def rule(declared: StatedRule, unit: Unit) -> HtmlTable:
    """The declared rule, field by field."""
    rows = [
        (_RULE[key].label if key in _RULE else _GAMMA, _rule_value(key, value, unit))
        for key, value in to_json(declared).items()
    ]
    return HtmlTable("The declared rule", text("Field", "Value"), rows)


def _rule_value(key: str, value: Any, unit: Unit) -> str:
    if key in _RULE and _RULE[key].absent and value in (None, []):
        return _RULE[key].absent
    if key == "tolerances":
        return ", ".join(map(unit.tolerance, value))
    if key == "tolerance_average":
        return unit.tolerance(value)
    if key in _SHARES:
        return percent(value)
    if key == "claim":
        return CLAIMS[value]
    if key == "source" and value == "none":
        return "none: every row is declared to have a recording of its own"
    if key == "parents":
        return ", ".join(f"{family} into {parent}" for family, parent in value.items()) or "none"
    return plain(value)


def results(groups: Iterable[Group], unit: Unit) -> HtmlTable:
    """What every result rests on."""
    rows = [
        (
            under(who(r), axis_words(r.axis)),
            group.where,
            r.reference,
            count(r.n),
            count(r.sources),
            r.resampling,
            unit.number(r.raw_loss),
            _first(r.rare_families),
        )
        for group in groups
        for r in group.results
    ]
    columns = [
        *text("Method", "Where", "Reference"),
        *numbers("Rows", "Recordings"),
        *text("Resampled by"),
        *numbers("Loss on raw audio"),
        *text("Families too rare"),
    ]
    return folded_if_long("What every result rests on", columns, rows)


def _first(names: Sequence[str]) -> str:
    """Names as they are, and how many more there are than a table shows."""
    return plain(names[:SHOWN]) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")


def inputs(entries: Sequence[InputFile]) -> HtmlTable:
    """The files that the certificate was made from."""
    rows = [(code(i.path), count(i.rows), code(i.sha256)) for i in entries]
    columns = [*text("File"), *numbers("Rows"), *text("SHA-256")]
    return HtmlTable(f"Files that were read ({len(rows)})", columns, rows, folded=len(rows) > 12)
