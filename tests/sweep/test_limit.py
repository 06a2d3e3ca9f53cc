"""A preview is of exactly the first recordings, at every step, and costs the whole run no bit."""

from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import sweeps
from sweeps import after
from sweeps import sweep_of_energy as sweep

from earmark.engine.corpus.corpus import open_corpus
from earmark.engine.corpus.example import Example
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.sweep.blocks import first_recordings, in_order, survey
from earmark.engine.sweep.run import Swept
from earmark.engine.sweep.sweep_folder import SweepFolder

WINDOW, RECORDINGS, QUESTIONS = 2, 5, 6


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    assert sweep(out).complete
    return out


def samples(run: Path) -> set[tuple[str, ...]]:
    """The samples of every cell, in their order."""
    return {
        tuple(store.read_cell(run, key, paths).sample_id.to_pylist()) for key, paths in store.find_cells(run).items()
    }


def asked(made: list[Any]) -> list[bytes]:
    return [question for answerer in made for question in answerer.asked]


@pytest.mark.parametrize("limit", range(1, RECORDINGS))
def test_a_preview_has_exactly_the_first_recordings_in_every_cell(limit: int, whole: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    swept = sweep(tmp_path, limit=limit, note=notes.append)
    assert swept == Swept(stopped=False, complete=False, preview=tmp_path / "preview")
    assert swept.preview is not None
    examples = list(in_order(open_corpus(Path("synthetic:certification:5"))))
    assert samples(swept.preview) == {tuple(sorted(example.sample_id for example in examples[: limit * QUESTIONS]))}
    assert store.find_cells(swept.preview).keys() == store.find_cells(whole).keys()
    expected = f"a preview of the first {limit} of 5 recordings: {6 * limit} of 30 questions, at every budget"
    assert notes == [expected]
    assert not (tmp_path / "cells").exists()


@pytest.mark.parametrize("limit", [1, 3, 4])
def test_the_whole_run_takes_over_whole_windows_and_has_the_same_bytes(limit: int, whole: Path, tmp_path: Path) -> None:
    alone: list[Any] = []
    sweep(tmp_path / "alone", alone)
    later: list[Any] = []
    sweep(tmp_path / "run", limit=limit)
    assert sweep(tmp_path / "run", later) == Swept(stopped=False, complete=True)
    taken_over = limit // WINDOW * WINDOW
    assert set(asked(later)) < set(asked(alone)) or not taken_over
    assert len(asked(alone)) - len(asked(later)) == len(asked(alone)) * taken_over // RECORDINGS
    there = {name: data for name, data in sweeps.contents(tmp_path / "run").items() if not name.startswith("preview/")}
    assert there == sweeps.contents(whole)


def test_a_preview_takes_over_what_the_whole_run_has_answered(tmp_path: Path) -> None:
    assert sweep(tmp_path, stop=after(7)).stopped
    made: list[Any] = []
    preview = sweep(tmp_path, made, limit=3).preview
    assert preview is not None
    assert {len(names) for names in samples(preview)} == {3 * QUESTIONS}
    again: list[Any] = []
    assert sweep(tmp_path, again, limit=3).preview == preview  # nothing of it is asked twice
    assert asked(again) == []


@pytest.mark.parametrize("limit", [RECORDINGS, RECORDINGS + 100])
def test_a_limit_of_all_recordings_or_more_is_refused_before_anything_is_asked(limit: int, tmp_path: Path) -> None:
    answerers: list[Any] = []
    with pytest.raises(InputError, match=f"limit {limit}: there are 5 recordings; leave it out for the whole run"):
        sweep(tmp_path / "run", answerers, limit=limit)
    assert not answerers
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_complete_needs_no_preview(whole: Path) -> None:
    before = sweeps.contents(whole)
    with pytest.raises(InputError, match=r"whole0: is complete, and needs no preview; leave the limit out"):
        sweep(whole, limit=2)
    assert sweeps.contents(whole) == before


def test_a_preview_is_of_its_recordings_although_the_answers_to_all_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was killed before its last answers became cells is completed, and not signed off, by a look at it."""
    with monkeypatch.context() as killed:
        killed.setattr(SweepFolder, "complete", lambda *_: False)
        assert not sweep(tmp_path).complete
    swept = sweep(tmp_path, limit=3)
    assert swept == Swept(stopped=False, complete=True, preview=tmp_path / "preview")
    assert swept.preview is not None
    assert {len(names) for names in samples(swept.preview)} == {3 * QUESTIONS}


def test_a_preview_that_was_stopped_goes_on(tmp_path: Path) -> None:
    runs = 0
    while sweep(tmp_path / "halted", limit=3, stop=after(3 + runs)).stopped:
        runs += 1
    assert runs > 2
    sweep(tmp_path / "straight", limit=3)
    halted, straight = (sweeps.contents(tmp_path / name / "preview") for name in ("halted", "straight"))
    assert halted == straight


def test_a_part_of_a_window_is_read_by_no_whole_run(tmp_path: Path) -> None:
    sweep(tmp_path, limit=1)
    (part,) = (tmp_path / "pending/answerer=one/raw").iterdir()
    assert part.name == "part-of-window-00000-1.parquet"
    part.with_name("window-00000.parquet").write_bytes(part.read_bytes())
    with pytest.raises(InputError, match=r"has 24 rows for each cell, and the plan has 30 examples"):
        sweep(tmp_path)


@pytest.mark.parametrize("n_recordings", range(1, 8))
@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_blocks_of_the_first_recordings_are_those_of_the_corpus_but_for_the_last(
    n_recordings: int, size: int
) -> None:
    corpus = open_corpus(Path("synthetic:certification:8"))
    few = first_recordings(corpus, n_recordings)
    all_sizes, sizes = survey(corpus, size).sizes, survey(few, size).sizes
    assert sizes[:-1] == all_sizes[: len(sizes) - 1]
    assert survey(few, size).recordings == n_recordings == len(list(groupby(few.examples, key=_audio)))
    assert list(in_order(few)) == list(in_order(corpus))[: 6 * n_recordings]


def _audio(example: Example) -> object:
    return example.audio
