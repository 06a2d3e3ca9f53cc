"""Run folders that others wrote: every link, device, name and text that cannot be is refused where it is read."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earmark.engine.design.keys import CellKey, refuse_close_budgets
from earmark.engine.errors import InputError
from earmark.engine.files import remove_folder
from earmark.engine.outcomes.recipes import read_recipes
from earmark.engine.outcomes.run_cards import read_cards, write_card
from earmark.engine.outcomes.store import find_cells, read_cell, read_partitions, write_cell
from earmark.engine.reading import files_below

KEY = CellKey("a", "c", "m", budget=0.5)
ROWS: dict[str, Any] = {"sample_id": ["s1", "s2"], "query_family": ["f", "g"], "loss": [0.0, 1.0]}
CARD: dict[str, Any] = {"schema": "earmark.selector/1", "trained_on": []}


def read_all(run: Path) -> None:
    for key, files in find_cells(run).items():
        read_cell(run, key, files)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_cell(tmp_path / "run", KEY, ROWS)
    return tmp_path / "run"


@pytest.mark.parametrize("device", ["/dev/zero", "/proc/kmsg", "fifo", "nowhere", "part-1.parquet"])
def test_what_is_no_regular_file_is_refused(run: Path, device: str) -> None:
    for path, read in [(run / str(KEY) / "part-1.parquet", read_all), (run / "partitions.parquet", read_partitions)]:
        if device == "fifo":
            os.mkfifo(path)
        else:
            path.symlink_to(device)
        with pytest.raises(InputError, match=path.name):
            read(run)
        path.unlink()


@pytest.mark.parametrize("target", [".", "..", "../..", "l0"])
def test_links_that_lead_in_circles_are_refused(run: Path, target: str) -> None:
    (run / str(KEY) / "l0").symlink_to(target)
    with pytest.raises(InputError, match=r"again|symbolic links"):
        find_cells(run)


def test_every_file_is_listed_once_folder_by_folder(tmp_path: Path) -> None:
    for name in ("b/2.x", "b/1.x", "a/c/3.x", "a/4.x", "a/4.y", ".h/5.x", "_h/6.x", "a/.7.x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path, ".x", tmp_path, "do")]
    assert names == ["a/4.x", "a/c/3.x", "b/1.x", "b/2.x"]
    hidden = {path.name for path in files_below(tmp_path, ".x", tmp_path, "do", hidden=True)}
    assert hidden == {f"{number}.x" for number in (1, 2, 3, 4, 5, 6)} | {".7.x"}
    assert list(files_below(tmp_path / "nowhere", "", tmp_path, "do")) == []


def test_a_folder_whose_name_is_not_utf8_is_refused(run: Path) -> None:
    os.rename(run / str(KEY), os.fsencode(run / str(KEY)) + b"\xff")
    with pytest.raises(InputError, match="not UTF-8"):
        find_cells(run)


@pytest.mark.parametrize("level", ["answerer", "corpus", "method"])
@pytest.mark.parametrize(("name", "problem"), [("ü" * 41, "246 characters"), ("\udcff", "not UTF-8"), ("", "is empty")])
def test_a_name_that_no_folder_can_have_is_refused(level: str, name: str, problem: str) -> None:
    with pytest.raises(InputError, match=f"the {level} .*{problem}"):
        CellKey(**{"answerer": "a", "corpus": "c", "method": "m", level: name})


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_no_column_holds_is_refused(seed: int) -> None:
    with pytest.raises(InputError, match=f"seed {seed}"):
        CellKey("a", "c", "m", seed)


def test_budgets_that_are_one_are_refused() -> None:
    refuse_close_budgets("run", [0.3, 0.3, 0.1, 0.2, 1.0])
    with pytest.raises(InputError, match=r"run: has the budgets 0\.3 and 0\.30000000000000004, which are the same"):
        refuse_close_budgets("run", [0.1 + 0.2, 1.0, 0.3])


@pytest.mark.parametrize("column", ["query_family", "sample_id", "source_id"])
def test_a_name_of_more_than_a_thousand_characters_is_refused(tmp_path: Path, column: str) -> None:
    write_cell(tmp_path / "fits", KEY, ROWS | {column: ["x" * 1000, "ü" * 1000]})
    with pytest.raises(InputError, match=f"column {column} has a name of 1,001 characters"):
        write_cell(tmp_path, KEY, ROWS | {column: ["x" * 1000, "x" * 1001]})


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
@pytest.mark.parametrize("column", ["query_family", "sample_id", "foreign"])
def test_text_that_is_not_utf8_is_refused(run: Path, column: str, kind: pa.DataType) -> None:
    data = pa.array([b"\xff1", b"\xff2"])
    texts = pa.Array.from_buffers(pa.string(), 2, data.buffers())
    if pa.types.is_dictionary(kind):
        texts = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), texts)
    elif kind == pa.large_string():
        texts = pa.Array.from_buffers(kind, 2, pa.array([b"\xff1", b"\xff2"], pa.large_binary()).buffers())
    pq.write_table(pa.table(ROWS | {column: texts}), run / str(KEY) / "part-0.parquet")
    with pytest.raises(InputError, match=r"part-0\.parquet"):
        read_all(run)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"schema": "earmark.selector/1", "trained_on": [{"corpus": "c", "sources": [{}], "recordings": []}]}',
        '{"schema": "earmark.selector/1", "trained_on": [{"corpus": "c", "sources": [1e999], "recordings": []}]}',
        '{"schema": "earmark.selector/1", "trained_on": [], "weights": 1}',
        '{"schema": "earmark.selector/1", "trained_on": [], "in_domain": true, "in_domain": false}',
    ],
)
def test_a_card_that_nothing_of_ours_wrote_is_refused(tmp_path: Path, text: str) -> None:
    write_card(tmp_path, "m", 1, CARD).write_text(text)
    with pytest.raises(InputError, match=r"seed=1\.json"):
        read_cards(tmp_path)


@pytest.mark.parametrize("method", ["..", ".", "_m", "a/b"])
def test_a_card_stays_in_its_folder_whatever_its_method_is_called(tmp_path: Path, method: str) -> None:
    path = write_card(tmp_path, method, 1, CARD)
    assert path.resolve().is_relative_to((tmp_path / "selectors").resolve())
    assert [(card.method, card.seed) for card in read_cards(tmp_path)] == [(method, 1)]


@pytest.mark.parametrize("recipes", ["[" * 200_000, '{"c": NaN}', '{"c": 1, "c": 2}', "\\"])
def test_recipes_that_are_no_json_are_refused(tmp_path: Path, recipes: str) -> None:
    table = pa.table({"corpus": ["c"], "sample_id": ["s"], "p": ["f"]})
    pq.write_table(table.replace_schema_metadata({"earmark.partitions": recipes}), tmp_path / "partitions.parquet")
    with pytest.raises(InputError, match=r"partitions\.parquet"):
        read_recipes(tmp_path)


def _link_itself(victim: Path, run: Path) -> Path:
    (run / "pending").mkdir()
    (run / "pending/a").symlink_to(victim)
    return run / "pending/a"


def _link_above(victim: Path, run: Path) -> Path:
    (run / "pending").symlink_to(victim)
    return run / "pending/kept"


@pytest.mark.parametrize("place", [_link_itself, _link_above, lambda victim, _: victim, lambda _, run: run])
def test_a_folder_elsewhere_is_never_deleted(tmp_path: Path, place: Callable[[Path, Path], Path]) -> None:
    victim, run = tmp_path / "victim", tmp_path / "run"
    (victim / "kept").mkdir(parents=True)
    (victim / "kept/file").touch()
    run.mkdir()
    with pytest.raises(InputError, match="it is not deleted"):
        remove_folder(place(victim, run), run)
    assert (victim / "kept/file").exists()


def test_a_folder_of_ours_is_deleted_and_may_be_gone_already(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    remove_folder(tmp_path / "a", tmp_path)
    remove_folder(tmp_path / "a", tmp_path)
    assert not (tmp_path / "a").exists()
