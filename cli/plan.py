"""`earmark plan SOURCE`: which families can be certified, before anything is run, and of a spec how much will be asked;
without SOURCE, how many questions a family needs.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from earmark.cli import savings
from earmark.cli.options import given, rule_options
from earmark.cli.progress import ProgressLine
from earmark.cli.say import columns, say, say_json
from earmark.engine.extras import needs_extra
from earmark.engine.report.terminal import aligned

if TYPE_CHECKING:
    from earmark.engine.design.rule import Rule
    from earmark.engine.signoff.question_counts import QuestionCount
    from earmark.engine.signoff.sizes import Guess
    from earmark.engine.sweep.remaining import DeclaredSweep, Remaining

_SPEC = ".toml"
# what a spec says itself, by what the options are called here
_IN_A_SPEC = {name: name for name in ("candidates", "questions", "methods", "seeds", "budgets")} | {"column": "source"}


@click.command()
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option("--partition", "partitions", multiple=True, metavar="NAME", help="A partition; repeat for several.")
@rule_options("tolerances", "alpha", "claim", "looks")
@click.option(
    "--flips", type=float, default=0.1, show_default=True, help="Guess: share of answers that compression changes."
)
@click.option("--excess", type=float, default=0.0, show_default=True, help="Guess: true excess error of a family.")
@click.option(
    "--icc",
    type=float,
    default=0.5,
    show_default=True,
    help="Guess: how alike the fates of questions about one recording are, where many share one.",
)
@click.option(
    "--candidates", type=int, default=1, show_default=True, help="Methods that may be shipped: they share alpha."
)
@click.option(
    "--source",
    "column",
    metavar="COLUMN",
    help="The column of raw cells that names the recording; none: every row has one of its own.",
)
@click.option(
    "--questions", type=int, metavar="N", help="Without SOURCE: the power of a family of N questions, not how many."
)
@click.option("--methods", type=int, default=1, show_default=True, help="Methods to evaluate.")
@click.option("--seeds", type=int, default=1, show_default=True, help="Training seeds of each.")
@click.option("--budgets", type=int, default=4, show_default=True, help="Budgets below 1.")
@click.option("--measure", is_flag=True, help="Of a spec: answer a few recordings to foresee the time.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(
    source: Path | None,
    partitions: tuple[str, ...],
    flips: float,
    excess: float,
    icc: float,
    candidates: int,
    column: str | None,
    questions: int | None,
    methods: int,
    seeds: int,
    budgets: int,
    measure: bool,
    as_json: bool,
    **declared: Any,
) -> None:
    """Say before any GPU hour which families of SOURCE can be certified, with what power and how many answers.

    Without SOURCE: how many questions a family needs for 90% power, each about a recording of its own.

    SOURCE is a spec (.toml), a partitions.parquet, or a run folder with partitions or with a raw reference, or the
    URL of one of these. A family is
    testable if it could pass without a single changed answer. Power is the probability that it passes if --flips of its
    answers change and --excess of them for the worse on balance. Where questions share recordings, recordings are
    what counts; with many questions each, they are bet on, which takes more of them the more alike (--icc) they are.
    Of a spec it also simulates how much until = "decided" in [sweep] will ask, if 0.3 of --flips change at the largest
    budget, rising to all of them at the smallest.

    \b
    Example:
      earmark plan --tolerance 0.05 --tolerance 0.02
      earmark plan --questions 300 --flips 0.05 --candidates 3
      earmark plan spec.toml --measure
      earmark plan runs/mmar --tolerance 0.05 --flips 0.08 --excess 0.01 --candidates 2 --methods 3 --budgets 5
    """
    from earmark.cli.arrow import spare_pandas
    from earmark.cli.memory import keep_memory
    from earmark.engine.design.rule import Rule
    from earmark.engine.remote import local
    from earmark.engine.signoff import sizes as planning

    if source is not None:
        with ProgressLine() as progress:
            source = local(source, report=progress)
    if source is not None and source.suffix == _SPEC:
        _say_spec(source, partitions, declared, planning.Guess(excess, flips, icc), measure, as_json)
        return
    if measure:
        raise click.UsageError("--measure needs a spec as SOURCE, which says who answers")
    rule = Rule(**given(declared))
    sweep = planning.PlannedSweep(methods, seeds, budgets)
    if min(*sweep, candidates) < 1:
        raise click.UsageError("--methods, --seeds, --budgets and --candidates are at least 1")
    if source is None:
        _say_counts(rule, flips, candidates, excess, questions, as_json)
        return
    if questions is not None:
        raise click.UsageError("--questions is what a family has where there is no SOURCE: use one of the two")
    spare_pandas()
    keep_memory()
    guess, entries = planning.Guess(excess, flips, icc), []
    with ProgressLine() as progress:
        begun = _declared_sweep(source)
        if begun is not None:
            rule = replace(begun.rule, **given(declared))
            candidates = given({"candidates": candidates}).get("candidates", begun.candidates)
        of_partition = planning.family_sizes(source, partitions, column)
        for n_done, ((corpus, name), sizes) in enumerate(of_partition.items(), 1):
            planned = planning.plan(sizes, rule, candidates, guess)
            evaluations = sweep.evaluations(planned["n"]) if begun is None else begun.evaluations
            entries.append({"corpus": corpus, "partition": name, "evaluations": evaluations, **planned})
            progress("planning partitions", n_done, len(of_partition))
        left = _remaining(source, guess)
    if as_json:
        beside = {} if left is None else {"until_decided": left._asdict()}
        say_json([{**entry, **beside} for entry in entries], indent=1)
        return
    for number, entry in enumerate(entries):
        say(*([""] if number else []), *_table(entry, _guess_words(guess)))
    if left is not None:
        more = f"are there, about {left.more:,} more if all is safe" if left.more else "decided it"
        beyond = f"; {left.beyond:,} more describe, and decide nothing" if left.beyond else ""
        say("", f'until = "decided": {left.answers - left.beyond:,} answers {more}{beyond}')


def _declared_sweep(source: Path) -> "DeclaredSweep | None":
    """What a sweep that stops when it is decided declares; None where SOURCE is none."""
    from earmark.engine.outcomes.plan_file import PLAN

    if not (source / PLAN).is_file():
        return None
    from earmark.engine.sweep.remaining import declared_sweep

    return declared_sweep(source)


def _remaining(source: Path, guess: "Guess") -> "Remaining | None":
    """How far a sweep that stops when it is decided is; None where SOURCE is none."""
    from earmark.engine.outcomes.plan_file import PLAN

    if not (source / PLAN).is_file():
        return None
    from earmark.engine.sweep.remaining import remaining

    return remaining(source, guess)


@needs_extra("earmark plan SPEC", "run")
def _say_spec(
    path: Path, partitions: Sequence[str], declared: dict[str, Any], guess: "Guess", measure: bool, as_json: bool
) -> None:
    """Print the families of a spec's corpus, and how much will be asked of it."""
    from earmark.engine.design import spec as specs
    from earmark.engine.errors import InputError, choose
    from earmark.engine.signoff import sizes as planning
    from earmark.engine.sweep import estimate
    from earmark.engine.sweep.forecast import forecast

    if typed := given(dict.fromkeys(_IN_A_SPEC)):
        names = ", ".join(f"--{_IN_A_SPEC[name]}" for name in typed)
        raise click.UsageError(f"{names}: the spec says it; leave it out")
    spec = specs.read(path)
    spec = replace(spec, rule=replace(spec.rule, **given(declared)))
    with ProgressLine() as progress:
        measured = estimate.measure(spec, report=progress) if measure else None
        progress("simulating walks", 0, 0)
        foreseen = forecast(spec, guess, measured)
        for name in partitions:
            if name not in foreseen.sizes:
                raise InputError(f"partition {name}", "there is no such partition", choose(name, foreseen.sizes))
        entries = [
            {
                "corpus": foreseen.corpus,
                "partition": name,
                "evaluations": foreseen.everything.answers,
                **planning.plan(sizes, spec.rule, foreseen.candidates, guess),
            }
            for name, sizes in foreseen.sizes.items()
            if not partitions or name in partitions
        ]
    if as_json:
        say_json({"partitions": entries, "until": spec.until, "forecast": savings.content(foreseen)}, indent=1)
        return
    for entry in entries:
        say(*_table(entry, _guess_words(guess)), "")
    say(*savings.lines(foreseen, spec.until))


def _say_counts(
    rule: "Rule", flips: float, candidates: int, excess: float, questions: int | None, as_json: bool
) -> None:
    """Print how many questions a family needs, for what was typed, or for a few shares and numbers of candidates."""
    from earmark.engine.signoff import question_counts

    typed = given({"flips": flips, "candidates": candidates})
    with ProgressLine():
        counts = question_counts.question_counts(rule, typed.get("flips"), typed.get("candidates"), excess, questions)
    if as_json:
        say_json([count._asdict() for count in counts], indent=1)
        return
    what = "questions that a family needs to pass with 90% probability"
    if questions is not None:
        what = f"the probability that a family of {questions:,} questions passes"
    say(f"{what},", f"if so many of its answers change, {_balance(excess)}", f"(exact test, alpha {rule.alpha:g})")
    for tolerance, of_tolerance in groupby(counts, lambda count: count.tolerance):
        say("", *_counts_table(tolerance, list(of_tolerance)))


def _guess_words(guess: "Guess") -> str:
    return f"{100 * guess.flips:.3g}% of answers change, {_balance(guess.excess)}"


def _balance(excess: float) -> str:
    """Which answers are guessed to change."""
    return "as many for the better as for the worse" if excess == 0 else f"with a true excess error of {excess:g}"


def _counts_table(tolerance: float, counts: "list[QuestionCount]") -> list[str]:
    """A row for each share of answers that change, a column for each number of candidates."""
    columns = dict.fromkeys(count.candidates for count in counts)
    heads = [f"{n} candidate{'s' * (n > 1)}" for n in columns]
    lines = [_row(f"tolerance {tolerance:g}", heads)]
    if counts[0].questions is None and counts[0].excess == 0:
        lines.append(_row("no answer changes", [f"{count.fewest:,}" for count in counts[: len(columns)]]))
    for flips, row in groupby(counts, lambda count: count.flips):
        lines.append(_row(f"{100 * flips:.3g}% of them change", map(_cell, row)))
    return lines


def _row(first: str, cells: Iterable[str]) -> str:
    return f"  {first:<20}" + "".join(f"{cell:>14}" for cell in cells)


def _cell(count: "QuestionCount") -> str:
    if count.power is not None:
        return _percent(count.power)
    return "never" if count.for_90 is None else f"{count.for_90:,}"


def _table(entry: dict[str, Any], guess: str) -> list[str]:
    """The lines about a partition; its power is that of a `guess`."""
    shared = any(family["test"] != "exact" for family in entry["families"])
    tests = [(f"power at {tolerance:g}", "fewest", "for 90%") for tolerance in _tolerances(entry)]
    rows = [("family", "rows", *(("recordings", "test") if shared else ()), *chain(*tests))]
    for family in entry["families"]:
        recordings = (str(family["recordings"] or "?"), family["test"]) if shared else ()
        cells = [
            (_percent(test["power"]) if test["testable"] else "untestable", str(test["fewest"] or "raw"), _enough(test))
            for test in family["at"]
        ]
        rows.append((family["family"], str(family["n"]), *recordings, *chain(*cells)))
    if entry["claim"] != "routing":
        together = [(_percent(test["power"]), "", "") for test in entry["all_families_pass"]]
        rows.append(("all of them", str(entry["n"]), *(("", "") if shared else ()), *chain(*together)))
    return [
        f"{entry['corpus']}, {entry['partition']}: {entry['n']} questions, {entry['evaluations']} answers to evaluate",
        f"  power is that of a guess: {guess} (--flips, --excess)",
        *_notes(entry),
        *aligned(_to_the_right(rows), columns(sys.stdout)),
    ]


def _to_the_right(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The rows with their figures below one another: all columns but the first end together."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [(row[0], *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))) for row in rows]


def _enough(test: dict[str, Any]) -> str:
    """How many rows or recordings give 90% power; "-" for a family that routing sends to raw audio."""
    return "-" if test["fewest"] is None else str(test["for_90"] or "never")


def _notes(entry: dict[str, Any]) -> list[str]:
    """Remarks under the headline: the level of each candidate, and whether recordings are known and shared."""
    notes = []
    if entry["candidates"] > 1 or entry["claim"] != "budget":
        notes.append(f"  each of {entry['candidates']} candidates is tested at {entry['level']:.2g}")
    if not entry["recordings_known"]:
        notes.append("  recordings are not known here: every row is taken as one of its own")
    elif any(family["test"] != "exact" for family in entry["families"]):
        notes.append("  where recordings repeat in a family, fewest and 90% count recordings")
    return notes


def _tolerances(entry: dict[str, Any]) -> list[float]:
    return [f["tolerance"] for f in entry["fewest_rows"]]


def _percent(share: float) -> str:
    return f"{share:.0%}"
