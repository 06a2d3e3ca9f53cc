"""The guard against leakage: has a learned selector been trained on what it is certified on?

Compares the cards that a run folder holds with the sources and recordings of its outcomes, by fingerprint. Knows no
selector; what was trained elsewhere and has no card, it cannot know.
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from earmark.engine.design.keys import CellKey
from earmark.engine.errors import EarmarkError, InputError
from earmark.engine.outcomes import run_cards, store


class LeakageError(EarmarkError):
    """A selector would be certified on sources that trained it, and nobody said so."""


class TrainedOn(NamedTuple):
    """How much a selector was trained on."""

    corpus: str
    sources: int


class Overlap(NamedTuple):
    """Sources of a corpus in the run that trained the selector."""

    corpus: str
    sources: int
    of: int  # sources in the run


class SelectorCard(NamedTuple):
    """One learned selector of a run, as the certificate names it."""

    method: str
    seed: int
    hash: str | None  # of its weights
    trained_on: tuple[TrainedOn, ...]
    in_domain: bool  # declared
    overlap: tuple[Overlap, ...]

    def entry(self) -> dict[str, Any]:
        """As the certificate has it."""
        nested = {name: [each._asdict() for each in getattr(self, name)] for name in ("trained_on", "overlap")}
        return self._asdict() | nested


class Guarded(NamedTuple):
    """The learned selectors of a run, none of which leaks unsaid, and the files that say so."""

    selectors: list[SelectorCard]
    inputs: tuple[store.InputFile, ...]
    unknown: tuple[tuple[str, int], ...] = ()  # method and seed without a card, of methods that have one


def guard(run: Path, in_domain: Collection[str] = ()) -> Guarded:
    """Every card of the run and what its training shares with the outcomes of its method.

    Raises LeakageError where they share sources and the method is neither declared in-domain here nor in its card.
    """
    found = run_cards.read_cards(run)
    known = {one.method for one in found}
    for method in in_domain:
        if method not in known:
            raise InputError(f"--in-domain {method}", "there is no card of such a method", "see RUN/selectors/")
    if not found:
        return Guarded([], ())
    cells = store.find_cells(run)
    heard: dict[str, dict[str, set[str]]] = {}  # by corpus: fingerprints of each source and its recordings
    entries = []
    for one in found:
        corpora = sorted({key.corpus for key in cells if key.method == one.method and key.seed == one.seed})
        for corpus in corpora:
            if corpus not in heard:
                heard[corpus] = _sources(run, cells, corpus)
        declared = one.method in in_domain or one.card.get("in_domain") is True
        overlap = tuple(_overlaps(one.card, {corpus: heard[corpus] for corpus in corpora}))
        if overlap and not declared:
            shared = ", ".join(f"{o.sources} of {o.of} sources of {o.corpus}" for o in overlap)
            raise LeakageError(
                f"{one.method} seed {one.seed}",
                f"was trained on {shared}",
                f"certify it on sources it has not seen, or declare it with --in-domain {one.method}",
            )
        trained_on = tuple(TrainedOn(entry["corpus"], len(entry["sources"])) for entry in one.card["trained_on"])
        entries.append(SelectorCard(one.method, one.seed, one.card.get("weights"), trained_on, declared, overlap))
    carded = {(one.method, one.seed) for one in found}
    unknown = {(key.method, key.seed) for key in cells if key.method in known} - carded
    return Guarded(entries, tuple(one.file for one in found), tuple(sorted(unknown)))


def _overlaps(card: run_cards.Card, heard: dict[str, dict[str, set[str]]]) -> Iterable[Overlap]:
    """A source counts where its name was trained on under this corpus, or a recording of it anywhere."""
    recordings = {mark for entry in card["trained_on"] for mark in entry["recordings"]}
    for corpus, sources in heard.items():
        names = {mark for entry in card["trained_on"] if entry["corpus"] == corpus for mark in entry["sources"]}
        shared = sum(source in names or not recordings.isdisjoint(marks) for source, marks in sources.items())
        if shared:
            yield Overlap(corpus, shared, len(sources))


def _sources(run: Path, cells: dict[CellKey, tuple[Path, ...]], corpus: str) -> dict[str, set[str]]:
    """Fingerprint of each source of a corpus -> those of its whole recordings, where a cell has heard them."""
    found: dict[str, set[str]] = {}
    one_of_each: dict[str, CellKey] = {}
    for key in cells:
        if key.corpus == corpus and (key.answerer not in one_of_each or key.is_reference):
            one_of_each[key.answerer] = key
    for key in one_of_each.values():
        cell = store.read_cell(run, key, cells[key])
        whole = key.budget == 1
        for source, recording in zip(cell.source_id.to_pylist(), cell.kept_hash.to_pylist(), strict=True):
            marks = found.setdefault(run_cards.fingerprints([source])[0], set())
            if whole and recording is not None:
                marks |= set(run_cards.fingerprints([recording]))
    return found


def warnings(guarded: Guarded) -> list[str]:
    """What a reader must know of selectors that were trained on what they are certified on, or may have been."""
    in_domain = [
        f"{entry.method} seed {entry.seed} is certified in-domain: it was trained on "
        + ", ".join(f"{o.sources} of {o.of} sources of {o.corpus}" for o in entry.overlap)
        + "; elsewhere it may do worse."
        for entry in guarded.selectors
        if entry.overlap
    ]
    return in_domain + [
        f"{method} seed {seed} has no card, other seeds have one: nobody knows whether it was trained on what it is "
        "certified on."
        for method, seed in guarded.unknown
    ]
