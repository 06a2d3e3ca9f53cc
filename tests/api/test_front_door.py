"""The front door holds against what people give it: the wrong type of every argument, columns of every kind, copies."""

import copy
import dataclasses
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import worlds
from commands import command

import earmark

N = 80
HALF = {"raw_loss": [0.0] * N, "compressed_loss": [0.0] * N}


def long(**changes: Any) -> dict[str, Any]:
    """A long table of 80 questions, raw and at half of the audio."""
    columns: dict[str, Any] = {
        "sample_id": [f"s{i}" for i in range(N)] * 2,
        "loss": [0.0] * 2 * N,
        "method": ["uncompressed"] * N + ["energy"] * N,
        "budget": [1.0] * N + [0.5] * N,
    }
    return columns | changes


@pytest.fixture(scope="module")
def certificate() -> earmark.Certificate:
    return earmark.certify(long(family=["a"] * 2 * N), tolerance=[0.05, 0.1], replicates=100)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worlds") / "run"
    worlds.write_run(folder, [0.0] * N, {"energy": {0.5: [0.0] * N}}, ["a"] * N)
    return folder


def spec_in(folder: Path) -> Path:
    """A small spec."""
    path = folder / "spec.toml"
    path.write_text(
        '[corpus]\npath = "synthetic:certification:2"\n[[answerers]]\nmodel = "tiny"\n[[methods]]\nname = "energy"\n'
    )
    return path


def refused(call: Callable[[], Any], *words: str) -> str:
    """The one line with which a call is refused."""
    with pytest.raises(earmark.EarmarkError) as error:
        call()
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


# Columns -------------------------------------------------------------------------------------------------------

TRUTHS = [False] * 2 * N
BOOLEAN: dict[str, Callable[[], Any]] = {
    "category": lambda: pd.DataFrame(long(loss=TRUTHS)).astype({"loss": "category"}),
    "boolean": lambda: pd.DataFrame(long(loss=TRUTHS)).astype({"loss": "boolean"}),
    "objects": lambda: pd.DataFrame(long(loss=TRUTHS)).astype({"loss": object}),
    "dictionary": lambda: pa.table(long(loss=pa.array(TRUTHS).dictionary_encode())),
    "runs": lambda: pa.table(long(loss=pa.compute.run_end_encode(pa.array(TRUTHS)))),
    "NumPy": lambda: long(loss=np.array(TRUTHS)),
    "Polars": lambda: pl.DataFrame(long(loss=TRUTHS)),
    "bool8": lambda: long(loss=pa.ExtensionArray.from_storage(pa.bool8(), pa.array(TRUTHS).cast(pa.int8()))),
}


@pytest.mark.parametrize("frame", BOOLEAN.values(), ids=BOOLEAN)
def test_booleans_are_no_losses_however_they_are_held(frame: Callable[[], Any]) -> None:
    refused(lambda: earmark.certify(frame()), "column loss", "is true or false", "give 1 - correct")


def test_true_among_numbers_is_no_loss() -> None:
    mixed = [0.0] * (N - 1) + [True]
    refused(lambda: earmark.certify(long(loss=[0.0] * N + mixed)), "column loss", "true or false")
    refused(lambda: earmark.compare(raw_loss=[0.0] * N, compressed_loss=mixed), "compressed_loss", "true or false")


@pytest.mark.parametrize(
    "frame",
    [
        lambda: pa.RecordBatch.from_pydict(long()),
        lambda: pd.DataFrame(long()).astype({"method": "category", "loss": "Int64", "budget": "Float64"}),
        lambda: pl.DataFrame(long()).with_columns(pl.col("method").cast(pl.Categorical)),
        lambda: long(sample_id=list(range(N)) * 2, budget=np.array([1.0] * N + [0.5] * N, dtype=np.float32)),
    ],
)
def test_kinds_of_columns_that_do(frame: Callable[[], Any]) -> None:
    assert earmark.certify(frame(), replicates=100).approved


def test_a_budget_of_32_bits_is_the_decimal_as_which_it_is_written() -> None:
    shares = np.array([1.0] * N + [0.3] * N, dtype=np.float32)
    assert earmark.certify(long(budget=shares), replicates=100).claim.approved[0].budget == 0.3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loss": [0.0] * (2 * N - 1) + [1.5]}, ("column loss", "is not in [0, 1]", "1 rows", f"'s{N - 1}'")),
        ({"loss": [0.0] * (2 * N - 1) + [float("nan")]}, ("column loss", "without a value")),
        ({"loss": np.zeros((2 * N, 1))}, ("column loss", "1-dimensional")),
        ({"loss": 0.0}, ("column loss", "is a float")),
        ({"loss": "zero"}, ("column loss", "is a str")),
        ({"loss": {0.0, 1.0}}, ("column loss", "is a set")),
        ({"loss": [10**400] * 2 * N}, ("column loss",)),
        ({"loss": [0.0]}, ("different lengths", "loss 1")),
        ({"budget": [1.0] * N + [0.3, 0.30000000000000004] * (N // 2)}, ("column budget", "0.30000000000000004")),
        ({"budget": [1.0] * N + [1.5] * N}, ("column budget", "is not in (0, 1]", "'s0'")),
        ({"budget": [0.5] * 2 * N}, ("column budget", "is not 1 for uncompressed")),
        ({"family": ["a"] * (2 * N - 1) + [None]}, ("column family", "1 rows without a value")),
        ({"family": ["a"] * (2 * N - 1) + [pd.NA]}, ("column family", "1 rows without a value")),
        ({"family": ["a" * 1001] * 2 * N}, ("column family", "1,001 characters")),
        ({"family": [0.5] * 2 * N}, ("column family", "is double")),
        ({"method": ["uncompressed"] * N + ["m" * 300] * N}, ("column method", "300 characters")),
        ({"seed": [0.5] * 2 * N}, ("column seed",)),
        ({"seed": [-1] * 2 * N}, ("column seed", "is below 0")),
        ({"n_options": [0] * 2 * N}, ("column n_options", "is below 1")),
        ({"sample_id": ["s0"] * 2 * N}, ("column sample_id", "'s0' twice for")),
        ({7: [0] * 2 * N}, ("column 7", "no text")),
        ({name: column[:-3] for name, column in long().items()}, ("column sample_id", "lacks 3 questions", "'s77'")),
        ({name: column[3:] for name, column in long().items()}, ("column sample_id", "has 3 questions", "'s0'")),
        ({"family": ["a"] * N + ["b"] * N}, ("column family", "another one than raw audio in 80 rows")),
        ({"source": ["a"] * N + ["b"] * N}, ("column source", "another one than raw audio in 80 rows")),
        ({"method": ["uncompressed"] * N + ["silence"] * N, "budget": [1.0] * 2 * N}, ("column method", "compressor")),
    ],
)
def test_a_table_that_no_run_can_hold_is_refused_by_column_and_sample(
    changes: dict[Any, Any], words: tuple[str, ...]
) -> None:
    assert "cells/" not in refused(lambda: earmark.certify(long() | changes), "the table", *words)


def test_a_key_of_a_rule_that_no_table_can_serve_is_refused() -> None:
    refused(lambda: earmark.certify(long(), source="clip"), "source 'clip'", "a table has the column source")
    refused(lambda: earmark.certify(long(), loss="nll", name="paper"), "loss 'nll'", "which a table has not")
    assert earmark.certify(long(), source="none", replicates=100).approved


def test_a_column_that_stands_twice_and_rows_that_are_not_there_yet() -> None:
    frame = pd.DataFrame(long())
    refused(lambda: earmark.certify(pd.concat([frame, frame[["loss"]]], axis=1)), "column loss: stands twice")
    refused(lambda: earmark.certify(pl.DataFrame(long()).lazy()), "is lazy", ".collect()")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"family": ["a"] * (N - 1) + [None]}, ("family", "1 rows without a value")),
        ({"family": pd.Series(["a"] * (N - 1) + [np.nan], dtype=object)}, ("family", "1 rows without a value")),
        ({"source": ["a"] * (N - 1) + [pd.NA]}, ("source", "1 rows without a value")),
        ({"family": "a" * N}, ("family", "is a str")),
        ({"family": 3}, ("family", "is a int")),
        ({"family": ["a"]}, ("different lengths",)),
        ({"sample_id": ["s"] * N}, ("sample_id", "'s' more than once")),
        ({"kept": "half"}, ("kept 'half'", "must be a share in (0, 1]")),
        ({"kept": 1.5}, ("kept 1.5", "must be a share")),
        ({"compressed_loss": [0.0] * (N - 1) + [2.0]}, ("compressed_loss", f"2 at {N - 1}")),
        ({"compressed_loss": [0.0] * (N - 1) + [pd.NA]}, ("compressed_loss", "without a value")),
        ({"compressed_loss": 0.0}, ("compressed_loss", "is a float")),
        ({"compressed_loss": np.zeros((N, 1))}, ("compressed_loss",)),
        ({"famly": ["a"] * N}, ("keyword famly", "did you mean family=?")),
        ({"raw_loss": [], "compressed_loss": []}, ("raw_loss", "has no values")),
    ],
)
def test_what_compare_cannot_use_is_refused_by_its_keyword(columns: dict[str, Any], words: tuple[str, ...]) -> None:
    assert "the table" not in refused(lambda: earmark.compare(**HALF | columns), *words)


# Numbers -------------------------------------------------------------------------------------------------------


def test_numbers_and_arrays_of_numpy_are_numbers_and_lists() -> None:
    rule = earmark.compare(
        **HALF,
        kept=np.float32(0.4),
        tolerance=np.array([0.05, 0.1], dtype=np.float32),
        alpha=np.float64(0.02),
        replicates=np.int64(100),
    ).rule
    assert (rule.tolerances, rule.alpha, rule.replicates) == ((0.05, 0.1), 0.02, 100)
    assert [type(value) for value in (*rule.tolerances, rule.alpha, rule.replicates)] == [float, float, float, int]


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"tolerance": True}, ("tolerance True", "must be a number")),
        ({"tolerance": [False]}, ("tolerance [False]", "must be a number")),
        ({"tolerance": np.array(["x"])}, ("tolerance",)),
        ({"tolerance": 0.05, "tolerances": [0.1]}, ("tolerance and tolerances: are both given",)),
        ({"tolerance": []}, ("tolerance []", "give at least one")),
        ({"seed": np.bool_(True)}, ("seed",)),
        ({"alpha": 10**400}, ("alpha",)),
        ({"name": "papr"}, ("name 'papr'", "must be certified or paper")),
        ({"candidates": "energy"}, ("candidates 'energy'", "must be a list")),
        ({"max_error_rate": "x"}, ("max_error_rate 'x'",)),
        ({"parents": 3}, ("parents 3", "must be a table")),
        ({"follows": 3}, ("follows: is a int",)),
        ({"tolerence": 0.05}, ("keyword tolerence", "did you mean tolerance=?")),
    ],
)
def test_keys_of_a_rule_are_refused_as_the_keywords_that_they_are(
    keywords: dict[str, Any], words: tuple[str, ...]
) -> None:
    for call in (lambda: earmark.certify(long(), **keywords), lambda: earmark.compare(**HALF, **keywords)):
        assert "--" not in refused(call, *words)


# Every argument ------------------------------------------------------------------------------------------------

ODD: tuple[Any, ...] = (3, 2.5, True, b"x", "\0", "", [], [3], {"a": 3}, object(), np.zeros(3), pd.NA)
CALLS: dict[str, Callable[[Any], Any]] = {
    "certify outcomes": earmark.certify,
    "certify follows": lambda odd: earmark.certify(long(), follows=odd),
    "compare family": lambda odd: earmark.compare(**HALF, family=odd),
    "compare source": lambda odd: earmark.compare(**HALF, source=odd),
    "compare sample_id": lambda odd: earmark.compare(**HALF, sample_id=odd),
    "compare raw_loss": lambda odd: earmark.compare(raw_loss=odd, compressed_loss=[0.0]),
    "compare compressed_correct": lambda odd: earmark.compare(raw_correct=[True], compressed_correct=odd),
    "run spec": lambda odd: earmark.run(odd, out="nowhere"),
    "run out": lambda odd: earmark.run("nowhere.toml", out=odd),
    "run follows": lambda odd: earmark.run("nowhere.toml", follows=odd),
    "plan where": earmark.plan,
    "plan partitions": lambda odd: earmark.plan("nowhere", partitions=odd),
    "verify certificate": earmark.verify,
    "verify run": lambda odd: earmark.verify("nowhere", run=odd),
    "import_logs kind": lambda odd: earmark.import_logs(odd, "raw", {"a@0.5": "b"}, "out"),
    "import_logs raw": lambda odd: earmark.import_logs("csv", odd, {"a@0.5": "b"}, "out"),
    "import_logs compressed": lambda odd: earmark.import_logs("csv", "raw", odd, "out"),
    "import_logs arm": lambda odd: earmark.import_logs("csv", "raw", {"a@0.5": odd}, "out"),
    "import_logs out": lambda odd: earmark.import_logs("csv", "raw", {"a@0.5": "b"}, odd),
    "import_logs answerer": lambda odd: earmark.import_logs("csv", "raw", {"a@0.5": "b"}, "out", answerer=odd),
    "import_logs family": lambda odd: earmark.import_logs("csv", "raw", {"a@0.5": "b"}, "out", family=odd),
    "score audio": lambda odd: earmark.score([*odd, "x"] if isinstance(odd, list) else odd, "energy"),
    "score selector": lambda odd: earmark.score("nowhere.wav", odd),
    "Certificate.read": earmark.Certificate.read,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_wrong_type_of_an_argument_is_one_line(
    call: Callable[[Any], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for odd in ODD:
        refused(lambda odd=odd: call(odd))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda run: earmark.plan(run, n_candidates=0), ("candidates 0", "whole number from 1")),
        (lambda run: earmark.plan(run, n_candidates=1.5), ("candidates 1.5", "whole number from 1")),
        (lambda run: earmark.plan(run, candidates=2), ("candidates 2", "must be a list of the name of a method")),
        (lambda run: earmark.plan(run, flips="x"), ("flips 'x'", "must be a share")),
        (lambda run: earmark.plan(run, excess=None), ("excess None", "must be a number")),
        (lambda run: earmark.plan(run, icc=2), ("icc 2", "must be a number in [0, 1]")),
        (lambda run: earmark.plan(run, flip=0.1), ("keyword flip", "did you mean flips=?")),
        (lambda run: earmark.plan(run, source=["clip"]), ("source ['clip']", "must be the name of a column")),
        (lambda _: earmark.score("a.wav", "energy", budget="0.4"), ("budget '0.4'", "must be a share")),
        (lambda _: earmark.score("a.wav", Path("energy")), ("a.wav",)),
        (lambda _: earmark.import_logs("nope", "r", {"a@0.5": "b"}, "o"), ("kind 'nope'", "must be lm-eval")),
        (
            lambda _: earmark.import_logs("csv", "r", {"a@0.5": "b"}, "o", famly="x"),
            ("keyword famly", "did you mean family=?"),
        ),
        (lambda _: earmark.run(None), ("spec: is a NoneType",)),
    ],
)
def test_what_is_out_of_range_or_misspelt_is_one_line(
    call: Callable[[Path], Any], words: tuple[str, ...], run: Path
) -> None:
    refused(lambda: call(run), *words)


def test_a_plan_counts_the_candidates_that_are_named(run: Path) -> None:
    named, counted = earmark.plan(run, candidates=["energy", "other"]), earmark.plan(run, n_candidates=2)
    assert named == counted
    assert counted[0]["level"] < earmark.plan(run)[0]["level"]


@pytest.mark.parametrize("limit", [0, -1, "4", 2.5, True])
def test_a_limit_is_a_whole_number_from_1(limit: Any, tmp_path: Path) -> None:
    spec = spec_in(tmp_path)
    refused(lambda: earmark.run(spec, tmp_path / "run", limit=limit), f"limit {limit!r}", "must be a whole number")
    assert not (tmp_path / "run").exists()


def test_the_command_refuses_a_limit_and_a_certificate_before_anything_is_answered(tmp_path: Path) -> None:
    for options, words in (
        (("--limit", "0"), "limit 0: must be a whole number of recordings from 1"),
        (("--follows", tmp_path / "nowhere.json"), "there is no such file"),
    ):
        done = command("run", spec_in(tmp_path), "--out", tmp_path / "run", *options)
        assert done.code == 2
        assert words in done.err
    assert not (tmp_path / "run").exists()


# Certificates --------------------------------------------------------------------------------------------------


def test_a_table_is_saved_whole_or_not_at_all(certificate: earmark.Certificate, tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = certificate.save(out)
    assert certificate.save(str(out)) == path
    assert earmark.verify(out) is None
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    refused(lambda: earmark.certify(long(loss=[1.0] * 2 * N), replicates=100).save(out), "cells of other outcomes")
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before
    for name in ("partitions.parquet", "plan.json", "import.json", "preview.json", "spec.toml"):
        other = tmp_path / name.partition(".")[0]
        other.mkdir()
        (other / name).touch()
        refused(lambda other=other: certificate.save(other), f"holds {name} of another run")
        assert [file.name for file in other.iterdir()] == [name]


def test_a_certificate_of_a_run_folder_says_the_way_there(run: Path, tmp_path: Path) -> None:
    path = earmark.certify(run, replicates=100).save(tmp_path / "elsewhere")
    assert sorted(file.name for file in path.parent.iterdir()) == ["certificate.json", "report.html"]
    assert earmark.verify(path) is None


def test_a_certificate_is_read_again(certificate: earmark.Certificate, tmp_path: Path) -> None:
    path = certificate.save(tmp_path / "out")
    again = earmark.Certificate.read(str(path.parent))
    assert again == certificate
    assert hash(again) == hash(certificate)
    assert str(again) == str(certificate)
    assert again.approved
    moved = again.save(tmp_path / "deep" / "er")
    assert earmark.verify(moved) is None
    refused(lambda: earmark.Certificate.read(tmp_path / "nowhere"), "nowhere")


def test_copies_are_whole(certificate: earmark.Certificate, tmp_path: Path) -> None:
    for twin in (
        copy.copy(certificate),
        copy.deepcopy(certificate),
        pickle.loads(pickle.dumps(certificate)),
        dataclasses.replace(certificate),
    ):
        assert twin == certificate
        assert hash(twin) == hash(certificate)
    assert earmark.verify(pickle.loads(pickle.dumps(certificate)).save(tmp_path / "out")) is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        certificate.run_folder = tmp_path  # type: ignore[misc]


def test_a_relative_path_outlives_a_change_of_folder(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.parent)
    certificate = earmark.certify(run.name, replicates=100)
    monkeypatch.chdir(tmp_path)
    assert earmark.verify(certificate.save("out")) is None
    assert certificate.run_folder == Path(os.path.realpath(run))


def test_the_certificate_that_is_followed_is_not_replaced(tmp_path: Path) -> None:
    first = earmark.certify(long(), replicates=100)
    path = first.save(tmp_path / "first")
    before = path.read_bytes()
    new = long(sample_id=[f"new{i}" for i in range(N)] * 2)
    second = earmark.certify(new, follows=path.parent, replicates=100)
    assert second.follows is not None
    refused(lambda: second.save(path.parent), "would be replaced by the certificate that follows it")
    assert path.read_bytes() == before
    assert earmark.verify(second.save(tmp_path / "second")) is None
    again = earmark.Certificate.read(tmp_path / "second")
    assert again.follows == second.follows
    refused(lambda: again.save(path.parent), "would be replaced by the certificate that follows it")
    assert earmark.verify(again.save(tmp_path / "third" / "place")) is None


def test_what_is_followed_is_read_before_a_sweep_begins(tmp_path: Path) -> None:
    spec = spec_in(tmp_path)
    for follows in (tmp_path / "nowhere", tmp_path):
        refused(lambda follows=follows: earmark.run(spec, tmp_path / "run", follows=follows), "no such file")
    certificate = earmark.certify(long(), replicates=100)
    refused(lambda: earmark.run(spec, tmp_path / "run", follows=certificate), "follows: is a Certificate", "save it")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()
    path = certificate.save(tmp_path / "run")
    before = path.read_bytes()
    refused(lambda: earmark.run(spec, tmp_path / "run", follows=path), "would be replaced")
    assert path.read_bytes() == before


def test_verify_takes_no_certificate_in_memory(certificate: earmark.Certificate) -> None:
    refused(lambda: earmark.verify(certificate), "certificate: is a Certificate", "give the path that save() returns")  # type: ignore[arg-type]


def test_a_frame_says_what_is_corrected_and_what_is_not(certificate: earmark.Certificate) -> None:
    frame = certificate.to_pandas()
    assert set(frame["tolerance"]) == {0.05, 0.1}
    assert {"p", "plus", "minus", "decision_alone", "approved"} <= set(frame.columns)
    below = frame[frame["budget"] < 1]
    assert list(below[below["tolerance"] == 0.05]["approved"]) == [True]
    assert list(below[below["tolerance"] == 0.1]["approved"]) == [False]  # the first tolerance alone is claimed
    assert set(below["decision_alone"]) == {"approve"}
    assert below["p"].between(0, 1).all()


def test_a_preview_approves_nothing_whoever_makes_the_certificate(certificate: earmark.Certificate) -> None:
    from earmark.engine.signoff.preview import Preview

    refused(lambda: dataclasses.replace(certificate, preview=Preview(1, 2)), "why nothing is approved")
    refused(lambda: dataclasses.replace(certificate.claim, withheld=("a reason",)), "must be empty", "withheld")


def test_messages_speak_of_keywords(tmp_path: Path) -> None:
    log = tmp_path / "raw.csv"
    log.write_text("id,correct\n" + "".join(f"{i},1\n" for i in range(5)))
    line = refused(lambda: earmark.import_logs("csv", log, {"energy@0.5": log}, tmp_path / "out"))
    assert not re.search(r"--\w", line)
