"""Bad input of every kind: one line that says what, where and what to do; exit code 2; no traceback; nothing lost."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import worlds
from certificate_example import certificate
from click.testing import CliRunner

from earmark.cli.main import earmark
from earmark.engine.errors import EarmarkError

N = 60
REFERENCE = "cells/answerer=tiny/corpus=sounds/method=uncompressed/seed=0/stream=anchor/budget=1.0/part-0.parquet"
CELL = "cells/answerer=tiny/corpus=sounds/method=energy/seed=0/stream=anchor/budget=0.5/part-0.parquet"

Spoil = Callable[[Path], object]


def column(name: str, values: list | pa.Array | None, file: str = CELL) -> Spoil:
    """Replace a column of a cell, or remove it."""

    def spoil(run: Path) -> None:
        table = pq.read_table(run / file)
        table = table.drop_columns([name]) if name in table.column_names else table
        pq.write_table(table if values is None else table.append_column(name, pa.array(values)), run / file)

    return spoil


def change(name: str, row: int, value: object, file: str = CELL) -> Spoil:
    """Replace one value of a column."""

    def spoil(run: Path) -> None:
        values = pq.read_table(run / file)[name].to_pylist()
        values[row] = value
        column(name, values, file)(run)

    return spoil


def move(new: str, old: str = CELL) -> Spoil:
    def spoil(run: Path) -> None:
        (run / new).parent.mkdir(parents=True, exist_ok=True)
        (run / old).rename(run / new)

    return spoil


def copy(new: str, old: str = CELL) -> Spoil:
    def spoil(run: Path) -> None:
        (run / new).parent.mkdir(parents=True, exist_ok=True)
        (run / new).write_bytes((run / old).read_bytes())

    return spoil


def keep_rows(count: int, file: str = CELL) -> Spoil:
    return lambda run: pq.write_table(pq.read_table(run / file).slice(0, count), run / file)


def partitions(columns: dict[str, list]) -> Spoil:
    return lambda run: pq.write_table(pa.table(columns), run / "partitions.parquet")


def metadata(version: str) -> Spoil:
    def spoil(run: Path) -> None:
        table = pq.read_table(run / CELL)
        pq.write_table(table.replace_schema_metadata({b"earmark.schema": version.encode()}), run / CELL)

    return spoil


def empty(run: Path) -> None:
    for path in sorted(run.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


def budget(value: str) -> Spoil:
    return move(CELL.replace("budget=0.5", f"budget={value}"))


IDS = [f"s{i:05d}" for i in range(N)]
SOUNDS = ["sounds"] * N

SPOILED: dict[str, tuple[Spoil, list[str]]] = {
    "no sample_id": (column("sample_id", None), [CELL, "sample_id", "every cell has"]),
    "no loss": (column("loss", None), [CELL, "loss"]),
    "no query_family": (column("query_family", None), [CELL, "query_family"]),
    "NaN loss": (change("loss", 3, float("nan")), [CELL, "loss", "NaN", "'s00003'"]),
    "null loss": (change("loss", 4, None), [CELL, "loss", "'s00004'"]),
    "loss above 1": (change("loss", 5, 1.5), [CELL, "loss", "outside [0, 1]", "'s00005'"]),
    "negative loss": (change("loss", 5, -0.5), [CELL, "loss", "'s00005'"]),
    "loss as text": (column("loss", ["wrong"] * N), [CELL, "loss", "write numbers"]),
    "loss as lists": (column("loss", [[0.0]] * N), [CELL, "loss", "write numbers"]),
    "infinite nll": (column("nll", [float("inf")] * N), [CELL, "nll"]),
    "negative tokens": (column("num_audio_tokens", [-1] * N), [CELL, "num_audio_tokens"]),
    "fractional tokens": (column("num_audio_tokens", [1.5] * N), [CELL, "num_audio_tokens"]),
    "duplicate id": (change("sample_id", 1, "s00000"), [CELL, "sample_id", "'s00000'", "more than once"]),
    "null id": (change("sample_id", 1, None), [CELL, "sample_id", "null"]),
    "null family": (change("query_family", 1, None), [CELL, "query_family", "null"]),
    "unpaired id": (change("sample_id", 1, "other"), [CELL.rpartition("/")[0], "unpaired", "'s00001'", "'other'"]),
    "fewer rows than the reference": (keep_rows(N - 2), ["unpaired", "'s00058'", "same samples"]),
    "no rows": (keep_rows(0), [CELL, "no rows"]),
    "truncated": (
        lambda run: (run / CELL).write_bytes((run / CELL).read_bytes()[:-40]),
        [CELL, "not a readable Parquet"],
    ),
    "not Parquet": (lambda run: (run / CELL).write_text("sample_id,loss\n"), [CELL, "not a readable Parquet"]),
    "empty file": (lambda run: (run / CELL).write_bytes(b""), [CELL, "not a readable Parquet"]),
    "unknown schema version": (metadata("earmark.outcomes/9"), [CELL, "earmark.outcomes/9", "earmark.outcomes/1"]),
    "budget 0": (budget("0"), ["budget=0", "(0, 1]"]),
    "budget 1.4": (budget("1.4"), ["1.4", "(0, 1]"]),
    "budget in words": (budget("half"), ["budget=half", "is not a number"]),
    "budget nan": (budget("nan"), ["nan", "(0, 1]"]),
    "seed in words": (move(CELL.replace("seed=0", "seed=first")), ["seed=first", "whole number"]),
    "unknown stream": (move(CELL.replace("stream=anchor", "stream=shuffled")), ["shuffled", "permuted-global-N"]),
    "unknown level": (move(CELL.replace("seed=0", "fold=0")), ["fold=0", "is not a level"]),
    "no method level": (move(CELL.replace("method=energy/", "")), ["no level method"]),
    "a file outside its cell": (move("cells/part-0.parquet"), ["no level"]),
    "the same cell twice": (copy(CELL.replace("budget=0.5", "budget=0.50")), ["the same cell", "keep one"]),
    "a compressed reference": (move(REFERENCE.replace("1.0", "0.5"), REFERENCE), ["uncompressed", "budget=1.0"]),
    "two references": (copy(REFERENCE.replace("seed=0", "seed=1"), REFERENCE), ["second raw reference"]),
    "no reference": (lambda run: (run / REFERENCE).unlink(), ["no raw reference", "method=uncompressed"]),
    "only the reference": (lambda run: (run / CELL).unlink(), ["holds no cell of a compression method"]),
    "other right answers": (
        lambda run: (column("correct_label", ["A"] * N)(run), column("correct_label", ["B"] * N, REFERENCE)(run)),
        [CELL, "correct_label", "mixed references"],
    ),
    "other families": (column("query_family", ["z"] * N), [CELL, "query_family", "mixed references"]),
    "other sources": (column("source_id", ["z"] * N), [CELL, "source_id", "mixed references"]),
    "failed rows": (
        column("status", ["ok"] * (N - 1) + ["error: no audio"]),
        [CELL, "1 of 60", "'s00059: error: no audio'"],
    ),
    "an empty folder": (empty, ["holds no outcomes", "earmark import"]),
    "partitions without corpus": (partitions({"sample_id": IDS, "task": ["a"] * N}), ["partitions.parquet", "corpus"]),
    "partitions without a partition": (
        partitions({"corpus": SOUNDS, "sample_id": IDS}),
        ["partitions.parquet", "no partition"],
    ),
    "a partition without a sample": (
        partitions({"corpus": SOUNDS[1:], "sample_id": IDS[1:], "task": ["a", "b"] * 29 + ["a"]}),
        ["partitions.parquet", "lacks 1 sample", "'s00000'"],
    ),
    "a partition with a null": (
        partitions({"corpus": SOUNDS, "sample_id": IDS, "task": [None] + ["a"] * (N - 1)}),
        ["partitions.parquet", "task", "'s00000'"],
    ),
    "one family only": (
        partitions({"corpus": SOUNDS, "sample_id": IDS, "task": ["a"] * N}),
        ["one family only", "task"],
    ),
    "a sample twice in partitions": (
        partitions({"corpus": [*SOUNDS, "sounds"], "sample_id": [*IDS, "s00007"], "task": ["a", "b"] * 30 + ["a"]}),
        ["partitions.parquet", "'s00007'", "twice"],
    ),
    "partitions that are not Parquet": (
        lambda run: (run / "partitions.parquet").write_text("corpus,sample_id"),
        ["partitions.parquet", "not a readable Parquet"],
    ),
}

OPTIONS: dict[str, tuple[list[str], list[str]]] = {
    "unknown partition": (["--partition", "mood"], ["mood", "query_family"]),
    "negative tolerance": (["--tolerance", "-0.1"], ["-0.1"]),
    "tolerance of 2": (["--tolerance", "2"], ["tolerance 2", "[0, 1)"]),
    "tolerance twice": (["--tolerance", "0.1", "--tolerance", "0.1"], ["twice"]),
    "tolerance in words": (["--tolerance", "small"], ["small"]),
    "average tolerance": (["--tolerance-average", "1.5"], ["1.5"]),
    "alpha of a half": (["--alpha", "0.5"], ["alpha 0.5"]),
    "five replicates": (["--replicates", "5"], ["replicates 5"]),
    "negative seed": (["--seed", "-1"], ["seed -1"]),
    "parent without a name": (["--parent", "prosody"], ["FAMILY=PARENT"]),
    "parents in a circle": (["--parent", "a=b", "--parent", "b=a"], ["circle"]),
    "nll without a column": (["--loss", "nll", "--rule", "paper"], ["nll", "zero-one"]),
    "nll under the certified rule": (["--loss", "nll"], ["loss nll", "use the paper's rule"]),
    "no tolerance at all": (["--tolerance", "0"], ["tolerance 0"]),
    "unknown rule": (["--rule", "hope"], ["hope"]),
    "error rate of 1": (["--max-error-rate", "1"], ["max-error-rate"]),
    "parent of nobody": (["--parent", "typo=a"], ["typo", "no family"]),
    "two parents": (["--parent", "a=b", "--parent", "a=c"], ["given twice"]),
    "alpha near 0": (["--alpha", "1e-320"], ["alpha 1e-320"]),
    "alpha below what replicates show": (["--rule", "paper", "--alpha", "0.0001"], ["replicates 100"]),
    "unknown reference answerer": (["--reference-answerer", "nobody"], ["nobody", "tiny"]),
    "family minimum 0": (["--min-family", "0"], ["min-family 0", "must be a whole number from 1 to 1000000000"]),
    "no look": (["--looks", "0"], ["looks 0", "must be a whole number from 1 to 100; change it"]),
    "no row of a recording": (["--max-rows-per-recording", "0"], ["max-rows-per-recording 0", "from 1"]),
    "routing beside a tighter average": (
        ["--claim", "routing", "--tolerance-average", "0.01"],
        ["claim routing", "leave the average its default, or claim a budget"],
    ),
}


def stated(**changes: object) -> str:
    """A certificate, but for what is said here."""
    return json.dumps(certificate() | changes)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    loss = [float(i % 7 == 0) for i in range(N)]
    return worlds.write_run(tmp_path / "run", [0.0] * N, {"energy": {0.5: loss}}, ["a", "b"] * (N // 2))


def fails(run: Path, *options: str) -> str:
    """The one line that `earmark certify` refuses with; whatever was in the folder is still there."""
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    result = CliRunner().invoke(earmark, ["certify", str(run), "--replicates", "100", *options])
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert before == after
    if isinstance(result.exception, EarmarkError):
        assert result.exception.exit_code == 2
        line = str(result.exception)
    else:
        assert (result.exit_code, type(result.exception)) == (2, SystemExit), result.output
        line = result.output.splitlines()[-1]
    assert "\n" not in line
    return line


def test_the_good_run_is_good(good: Path) -> None:
    assert CliRunner().invoke(earmark, ["certify", str(good), "--replicates", "100"]).exit_code in (0, 3)


@pytest.mark.parametrize("case", SPOILED)
def test_a_spoiled_run_folder(good: Path, case: str) -> None:
    spoil, expected = SPOILED[case]
    spoil(good)
    line = fails(good)
    for fragment in expected:
        assert fragment in line


@pytest.mark.parametrize("case", OPTIONS)
def test_a_wrong_option(good: Path, case: str) -> None:
    options, expected = OPTIONS[case]
    line = fails(good, *options)
    for fragment in expected:
        assert fragment in line


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "there is no such file"),
        ("{", "is not JSON"),
        ("[]", "schema"),
        ('{"schema": "earmark.certificate/1"}', "earmark.certificate/2"),
        ('{"schema": "earmark.certificate/2"}', "certificate.json: lacks made_by; "),
        (stated(rule=certificate()["rule"] | {"hope": 1}), "certificate.json rule.hope: is an unknown key; "),
        (stated(rule=[]), "certificate.json rule: must be an object; "),
        (stated(rule=certificate()["rule"] | {"tolerances": 3}), "certificate.json rule.tolerances: must be a list; "),
        (stated(rule=certificate()["rule"] | {"replicates": 200.5}), "rule.replicates: must be a whole number; "),
        (
            stated(rule=certificate()["rule"] | {"alpha": 0.7}),
            "certificate.json rule.alpha: must be a number in [1e-06, 0.5); ",
        ),
        (stated(inputs=None), "certificate.json inputs: must be a list; "),
        (stated(inputs=[{"path": 3}]), "certificate.json inputs[0].path: must be text; "),
        (stated(run=None), "certificate.json run: must be text; "),
        (stated(hope=None), "certificate.json hope: is an unknown key; "),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_verify_refuses_what_is_not_a_certificate(tmp_path: Path, content: str | None, expected: str) -> None:
    path = tmp_path / "certificate.json"
    if content is not None:
        path.write_text(content)
    result = CliRunner().invoke(earmark, ["verify", str(path)])
    assert isinstance(result.exception, EarmarkError)
    assert expected in str(result.exception)


@pytest.mark.parametrize(("name", "kind"), [("raw.csv", "csv"), ("raw.parquet", "parquet"), ("raw.eval", "KIND")])
def test_a_log_is_no_run_folder(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_text("sample_id,loss")
    line = fails(tmp_path / name)
    assert line.endswith(f"{name}: is a file, and a run folder is wanted; `earmark import {kind}` makes one of logs")
