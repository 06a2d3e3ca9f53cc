"""The guard against leakage: has a learned selector been trained on what it is certified on?

Compares the cards that a run folder holds with the sources and recordings of its outcomes, by fingerprint. Knows no
selector; what was trained elsewhere and has no card, it cannot know.
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from earmark.engine.compressors.card import Card, fingerprints
from earmark.engine.design.keys import CellKey
from earmark.engine.errors import EarmarkError, InputError
from earmark.engine.outcomes import run_cards, store
from earmark.engine.outcomes.input_file import InputFile
from earmark.engine.signoff.certificate import Overlap, SelectorCard, TrainedOn


class LeakageError(EarmarkError):
    """A selector would be certified on sources that trained it, and this was not declared."""


class Guarded(NamedTuple):
    """The learned selectors of a run, none of which leaks undeclared, and the card files that show it."""

    selectors: list[SelectorCard]
    inputs: tuple[InputFile, ...]
    unknown: tuple[tuple[str, int], ...] = ()  # method and seed without a card, of methods that have one


def guard(run: Path, in_domain: Collection[str] = ()) -> Guarded:
    """Every card of the run and what its training shares with the outcomes of its method.

    Raises LeakageError where they share sources and the method is neither declared in-domain here nor in its card.
    """
    cards = run_cards.read_cards(run)
    carded_methods = {run_card.method for run_card in cards}
    for method in in_domain:
        if method not in carded_methods:
            raise InputError(f"--in-domain {method}", "there is no card of such a method", "see RUN/selectors/")
    if not cards:
        return Guarded([], ())
    cells = store.find_cells(run)
    sources_of: dict[str, dict[str, set[str]]] = {}  # by corpus and fingerprint of a source: those of its recordings
    entries = []
    for run_card in cards:
        corpora = sorted({key.corpus for key in cells if key.method == run_card.method and key.seed == run_card.seed})
        for corpus in corpora:
            if corpus not in sources_of:
                sources_of[corpus] = _sources(run, cells, corpus)
        declared = run_card.method in in_domain or run_card.card.get("in_domain") is True
        overlap = tuple(_overlaps(run_card.card, {corpus: sources_of[corpus] for corpus in corpora}))
        if overlap and not declared:
            shared = ", ".join(f"{o.n_shared} of {o.n_sources} sources of {o.corpus}" for o in overlap)
            raise LeakageError(
                f"{run_card.method} seed {run_card.seed}",
                f"was trained on {shared}",
                f"certify it on sources it has not seen, or declare it with --in-domain {run_card.method}",
            )
        trained_on = tuple(TrainedOn(entry["corpus"], len(entry["sources"])) for entry in run_card.card["trained_on"])
        entries.append(
            SelectorCard(run_card.method, run_card.seed, run_card.card.get("weights"), trained_on, declared, overlap)
        )
    carded = {(run_card.method, run_card.seed) for run_card in cards}
    unknown = {(key.method, key.seed) for key in cells if key.method in carded_methods} - carded
    return Guarded(entries, tuple(run_card.file for run_card in cards), tuple(sorted(unknown)))


def _overlaps(card: Card, sources_of: dict[str, dict[str, set[str]]]) -> Iterable[Overlap]:
    """The sources per corpus that trained a selector: by name under this corpus, or by a recording, under any."""
    recordings = {mark for entry in card["trained_on"] for mark in entry["recordings"]}
    for corpus, sources in sources_of.items():
        names = {mark for entry in card["trained_on"] if entry["corpus"] == corpus for mark in entry["sources"]}
        shared = sum(source in names or not recordings.isdisjoint(marks) for source, marks in sources.items())
        if shared:
            yield Overlap(corpus, shared, len(sources))


def _sources(run: Path, cells: dict[CellKey, tuple[Path, ...]], corpus: str) -> dict[str, set[str]]:
    """By fingerprint of each source of a corpus: those of its recordings, where a cell kept all of them."""
    marks_of: dict[str, set[str]] = {}
    cell_of: dict[str, CellKey] = {}  # one cell per answerer is enough, a raw one where there is one
    for key in cells:
        if key.corpus == corpus and (key.answerer not in cell_of or key.is_reference):
            cell_of[key.answerer] = key
    for key in cell_of.values():
        cell = store.read_cell(run, key, cells[key])
        whole = key.budget == 1
        for source, recording in zip(cell.source_id.to_pylist(), cell.kept_hash.to_pylist(), strict=True):
            marks = marks_of.setdefault(fingerprints([source])[0], set())
            if whole and recording is not None:
                marks |= set(fingerprints([recording]))
    return marks_of


def warnings(guarded: Guarded) -> list[str]:
    """A sentence for each selector that was trained on what it is certified on, or may have been."""
    in_domain = [
        f"{entry.method} seed {entry.seed} is certified in-domain: it was trained on "
        + ", ".join(f"{o.n_shared} of {o.n_sources} sources of {o.corpus}" for o in entry.overlap)
        + "; elsewhere it may do worse."
        for entry in guarded.selectors
        if entry.overlap
    ]
    return in_domain + [
        f"{method} seed {seed} has no card, other seeds have one: nobody knows whether it was trained on what it is "
        "certified on."
        for method, seed in guarded.unknown
    ]
