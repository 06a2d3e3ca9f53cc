"""Renders a certificate as one HTML page that needs nothing else: no network, no script, no other file.

The page forbids a browser everything but its own style sheet, which it knows by hash, and names the certificate's hash.

Knows the order of the story (the claim, what was declared, what passes alone, figures, tables, how to read it) and
nothing of statistics. Reads no file but its own templates and style sheet.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from earmark.engine.report import (
    audit_tables,
    claim_card,
    comparison_tables,
    decisions,
    declared_list,
    family_tables,
    figures,
    html_tables,
    meaning,
    numbers,
    result_tables,
    run_tables,
    words,
)
from earmark.engine.report.decisions import DecisionCard, Group
from earmark.engine.report.figures import FigureSet
from earmark.engine.report.html_tables import HtmlTable
from earmark.engine.report.meaning import ReaderQuestion
from earmark.engine.report.numbers import Unit
from earmark.engine.signoff.certificate import Certificate, to_bytes
from earmark.engine.signoff.result_entry import ResultEntry

MARK = "earmark-certificate"  # of which certificate.json a page is
# What HTML forbids, and what turns the direction of whatever comes after it.
_FORBIDDEN = re.compile("[^\t\n -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")


class Section(NamedTuple):
    """One group of results with everything that is shown of it."""

    ident: str
    group: Group
    decisions: list[tuple[DecisionCard, list[ReaderQuestion]]]
    methods: HtmlTable | None
    figures: list[FigureSet]
    families: list[HtmlTable]
    results: list[tuple[Markup, list[HtmlTable]]]
    tables: list[HtmlTable]
    folds: list[tuple[str, list[HtmlTable]]]


def render(certificate: Certificate) -> str:
    """The page; the same certificate gives the same bytes. Characters that HTML forbids get a visible mark.

    So do those that embed or override a direction: names are isolated by their elements.
    """
    unit = numbers.unit_of(certificate.rule.loss)
    groups = decisions.groups(certificate)
    sections = [_section(f"g{i}", group, certificate, unit) for i, group in enumerate(groups, 1)]
    page = _environment().get_template("report.html.j2")
    style = Markup("\n" + (Path(__file__).parent / "report.css").read_text(encoding="utf-8"))
    source = page.render(
        certificate=certificate,
        mark=MARK,
        sha256=hashlib.sha256(to_bytes(certificate)).hexdigest(),
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        unit=unit,
        confidence=numbers.percent(1 - 2 * certificate.claim.alpha),
        confidence_bootstrap=numbers.percent(1 - 2 * certificate.rule.alpha),
        card=claim_card.card_of(certificate, unit),
        candidates=claim_card.candidates(certificate),
        declared=declared_list.declared(certificate),
        sections=sections,
        errors=run_tables.errors(certificate.errors),
        audits=audit_tables.tables(certificate.audits, unit),
        costs=figures.of_costs(groups, certificate.rule, unit),
        regimes=comparison_tables.regime_map(certificate, unit),
        assumed=meaning.assumed(certificate),
        answerers=run_tables.answerers(certificate.answerers),
        selectors=run_tables.selectors(certificate.selectors),
        rule=run_tables.rule(certificate.rule),
        results=run_tables.results(groups, unit),
        inputs=run_tables.inputs(certificate.inputs),
    )
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", source).strip() + "\n"


def _section(ident: str, group: Group, certificate: Certificate, unit: Unit) -> Section:
    optional_tables = [
        result_tables.frontiers(group, unit),
        comparison_tables.gains(group, unit),
        comparison_tables.overlaps(group, unit),
        family_tables.probability_ratios(group.results),
    ]
    folds = [
        ("Chains: families added one by one", [comparison_tables.chain(c, unit) for c in group.chains]),
        (
            "Pairs of families that overlap most",
            [comparison_tables.pairs(o, unit) for o in group.overlaps if o.pairs],
        ),
    ]
    return Section(
        ident=ident,
        group=group,
        decisions=[(d, _meaning(d, group, certificate, unit)) for d in decisions.decisions(group, certificate.claim)],
        methods=result_tables.every_method(group, certificate.claim, unit),
        figures=figures.of_group(group, certificate.rule, unit),
        families=family_tables.of_partition(group.results, certificate.rule.tolerances, unit),
        results=[(words.who(result), _of_result(result, unit)) for result in group.results],
        tables=[table for table in optional_tables if table is not None],
        folds=[(label, tables) for label, tables in folds if tables],
    )


def _meaning(decision: DecisionCard, group: Group, certificate: Certificate, unit: Unit) -> list[ReaderQuestion]:
    """What stands around the next step of a decision: is harm local, does the question help, is it used."""
    harm = meaning.harm(decision, certificate.rule.tolerance_average, unit)
    if decision.result.axis not in (None, "seconds"):  # only who chooses seconds reads questions
        return [harm] if harm else []
    return [
        *([harm] if harm else []),
        *meaning.conditioning(certificate, group, decision.tolerance),
        *meaning.question(certificate, group, decision.tolerance),
    ]


def _of_result(result: ResultEntry, unit: Unit) -> list[HtmlTable]:
    """The tables of one method, seed and partition."""
    optional_tables = [
        result_tables.budgets(result, unit),
        family_tables.by_budget(result, unit),
        result_tables.reasons(result, unit),
        result_tables.merged(result),
        result_tables.routing(result, unit),
    ]
    return [table for table in optional_tables if table is not None]


def _environment() -> Environment:
    """Templates that escape, refuse names that they were not given, and know how to write numbers."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        percent=numbers.percent,
        plain=numbers.plain,
        sentence=words.sentence,
        tolerance_words=words.tolerance_words,
        who=words.who,
        code=words.code,
        isolated=words.isolated,
        listed=words.listed,
        families_shown=html_tables.SHOWN,
        candidate_words=claim_card.candidate_words,
        alone=decisions.ALONE,
    )
    return environment
