"""Renders a certificate as one HTML page that needs nothing else: no network and no other file.

The page forbids a browser everything but its own style sheet and script, which it knows by hash, and names the
certificate's hash. The script sorts tables and reads values off figures; the page says all that it has to without.

Knows the order of the story (the claim, what passes alone, figures, tables, what was declared, how to read it) and
nothing of statistics. Reads no file but its own templates, style sheet and script, and what the templates compile to.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from pickle import UnpicklingError
from typing import NamedTuple

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

from earmark.engine.report import (
    alone_cards,
    audit_tables,
    candidate_table,
    claim_card,
    comparison_tables,
    decisions,
    declared_list,
    family_tables,
    figures,
    heard,
    html_tables,
    meaning,
    numbers,
    result_tables,
    run_tables,
    walk_tables,
    walk_words,
    words,
)
from earmark.engine.report.alone_cards import AloneCard
from earmark.engine.report.decisions import DecisionCard, Group
from earmark.engine.report.figures import FigureSet
from earmark.engine.report.html_tables import HtmlTable
from earmark.engine.report.meaning import ReaderQuestion
from earmark.engine.report.numbers import Unit
from earmark.engine.report.wording import Wording, wording_of
from earmark.engine.signoff.certificate import Certificate
from earmark.engine.signoff.result_entry import ResultEntry
from earmark.kernels import kernel_folders

MARK = "earmark-certificate"  # of which certificate.json a page is
# What HTML forbids, and what turns the direction of whatever comes after it.
_FORBIDDEN = re.compile("[^\t\n -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")


class Section(NamedTuple):
    """One group of results with everything that is shown of it."""

    group: Group
    decisions: list[DecisionCard]
    methods: HtmlTable | None
    figures: list[FigureSet]
    families: list[HtmlTable]
    results: list[tuple[Markup, list[HtmlTable]]]
    tables: list[HtmlTable]
    folds: list[tuple[str, list[HtmlTable]]]


def render(certificate: Certificate, data: bytes, played: Mapping[str, str] | None = None) -> str:
    """The page; the same certificate gives the same bytes. Characters that HTML forbids get a visible mark.

    So do those that embed or override a direction: names are isolated by their elements. `data` is what the file of the
    certificate holds, whose SHA-256 the page names; `played` says where each clip plays from, and without it none does.
    """
    wording = wording_of(certificate)
    unit = wording.unit
    groups = decisions.groups(certificate)
    became_wrong = heard.became_wrong(certificate, played or {})
    sections = [_section(group, certificate, unit, wording) for group in groups]
    level = walk_words.level_of(certificate.claim) if certificate.walks else certificate.claim.alpha
    page = _environment().get_template("report.html.j2")
    style, script = _inlined("report.css"), _inlined("report.js")
    source = page.render(
        certificate=certificate,
        mark=MARK,
        sha256=hashlib.sha256(data).hexdigest(),
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        unit=unit,
        held=decisions.ON_ITS_WALK if certificate.walks else decisions.ALONE,
        level=numbers.percent(level),
        confidence=numbers.percent(1 - 2 * level),
        confidence_bootstrap=numbers.percent(1 - 2 * certificate.rule.alpha),
        in_unit=wording.words,
        card=claim_card.card_of(certificate, unit, wording),
        candidates=candidate_table.candidates(certificate),
        declared=declared_list.declared(certificate),
        became_wrong=became_wrong,
        playing=heard.playing(became_wrong, certificate),
        sections=sections,
        alone_cards=_alone_cards(sections, certificate, unit),
        errors=run_tables.errors(certificate.errors),
        audits=audit_tables.tables(certificate.audits, unit),
        costs=figures.of_costs(groups, certificate.rule, unit),
        regimes=comparison_tables.regime_map(certificate, unit),
        assumed=meaning.assumed(certificate),
        answerers=run_tables.answerers(certificate.answerers),
        selectors=run_tables.selectors(certificate.selectors),
        rule=run_tables.rule(certificate.rule, unit),
        results=run_tables.results(groups, unit),
        inputs=run_tables.inputs(certificate.inputs),
    )
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", source).strip() + "\n"


def _inlined(name: str) -> Markup:
    """A file of this room as the page holds it, between two lines."""
    return Markup("\n" + (Path(__file__).parent / name).read_text(encoding="utf-8"))


def _hash(inlined: Markup) -> str:
    """As a Content-Security-Policy names it."""
    return base64.b64encode(hashlib.sha256(inlined.encode()).digest()).decode()


def _alone_cards(sections: list[Section], certificate: Certificate, unit: Unit) -> list[AloneCard]:
    return alone_cards.merged(
        (section.group, decision, _meaning(decision, section.group, certificate, unit))
        for section in sections
        for decision in section.decisions
    )


def _section(group: Group, certificate: Certificate, unit: Unit, wording: Wording) -> Section:
    optional_tables = [
        walk_tables.budgets_asked(group),
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
        group=group,
        decisions=decisions.decisions(group, certificate.claim),
        methods=result_tables.every_method(group, certificate.claim, unit, wording),
        figures=figures.of_group(group, certificate.rule, unit),
        families=family_tables.of_partition(group.results, certificate.rule.tolerances, unit),
        results=[(words.who(result), _of_result(result, group, unit, wording)) for result in group.results],
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


def _of_result(result: ResultEntry, group: Group, unit: Unit, wording: Wording) -> list[HtmlTable]:
    """The tables of one method, seed and partition."""
    optional_tables = [
        walk_tables.tests(result, group.walks, unit),
        result_tables.budgets(result, group.held, unit),
        family_tables.by_budget(result, group.held, unit),
        result_tables.reasons(result, group.held, unit, wording),
        result_tables.merged(result),
        result_tables.routing(result, group.held, unit),
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
        bytecode_cache=_compiled_templates(),
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
    )
    return environment


class _CompiledTemplates(FileSystemBytecodeCache):
    """Templates as Jinja compiled them; one that is damaged is compiled again, one that cannot be kept every time."""

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError, EOFError, ValueError, UnpicklingError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            super().dump_bytecode(bucket)


def _compiled_templates() -> _CompiledTemplates | None:
    """Where templates are kept, beside the kernels, since compiling them takes longer than filling them in.

    Jinja looks at a template's source. What else compiled ones depend on, these settings and Jinja, is in the folder's
    name. None where somebody else could put others in their place.
    """
    settings = hashlib.sha256(Path(__file__).read_bytes() + version("jinja2").encode()).hexdigest()[:16]
    folder = kernel_folders.folders(f"templates-{settings}").kept
    return None if folder is None else _CompiledTemplates(str(folder))
