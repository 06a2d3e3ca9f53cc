"""`earmark import`: the right rows from every kind of log, and one clear line for every log that cannot be paired."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import log_fixtures as logs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from importing import cells, column, imported, refused

from earmark.cli.import_logs import import_logs
from earmark.engine.design.keys import CellKey
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.outcomes.imports import KINDS
from earmark.engine.outcomes.imports.logs import parse_arm
from earmark.engine.outcomes.imports.record import lookup

Rows = logs.Rows


# Right rows ------------------------------------------------------------------------------------------------


def test_lm_eval_choices(tmp_path: Path) -> None:
    out = tmp_path / "run"
    logs.write_lm_eval(tmp_path / "raw", logs.lm_eval_choice(logs.RAW))
    logs.write_lm_eval(tmp_path / "c40", logs.lm_eval_choice(logs.COMPRESSED), date="2026-01-03T03-04-05.678901")
    imported(
        *("lm-eval", tmp_path / "raw", f"energy@0.4={tmp_path / 'c40'}", "--out", out),
        *("--family", "doc.category", "--metric", "acc", "--source", "doc.audio.path"),
    )
    assert [str(key) for key in store.find_cells(out)] == [
        "cells/answerer=Qwen%2FQwen2-Audio/corpus=sounds/method=energy/seed=0/stream=anchor/budget=0.4",
        "cells/answerer=Qwen%2FQwen2-Audio/corpus=sounds/method=uncompressed/seed=0/stream=anchor/budget=1.0",
    ]
    rows = cells(out)["energy@0.4@0"]
    assert column(rows, "sample_id") == ["0", "1", "2", "3", "4", "5"]
    assert column(rows, "source_id") == list(logs.RECORDINGS)
    assert column(rows, "query_family") == list(logs.FAMILIES)
    assert column(rows, "loss") == [0, 0, 1, 1, 0, 1]
    assert column(rows, "predicted_label") == ["0", "1", "1", "2", "1", "0"]  # the most likely option
    assert column(rows, "correct_label") == ["0", "1", "2", "0", "1", "2"]
    assert column(rows, "nll") == [0.25, 0.25, 5.0, 3.0, 0.25, 5.0]
    assert column(rows, "status") == ["ok"] * 6
    assert column(cells(out)["uncompressed@1@0"], "loss") == [0, 0, 0, 0, 0, 1]


def test_lm_eval_reads_the_responses_of_older_versions_and_of_mutual_information(tmp_path: Path) -> None:
    def older(answers: logs.Answers) -> Rows:
        rows = logs.lm_eval_choice(answers)
        for row in rows:
            row["filtered_resps"] = [[float(number), greedy == "True"] for number, greedy in row["filtered_resps"]]
            del row["filter"], row["metrics"]
        return rows

    def mutual(answers: logs.Answers) -> Rows:
        rows = logs.lm_eval_choice(answers)
        for row in rows:
            row["filtered_resps"] += [["-0.01", "True"]] * 3
            row["acc_mutual_info"] = row["acc"]
        return rows

    for name, change in (("older", older), ("mutual", mutual)):
        raw = logs.write_lm_eval(tmp_path / name / "raw", change(logs.RAW))
        compressed = logs.write_lm_eval(tmp_path / name / "c", change(logs.COMPRESSED))
        out = tmp_path / name / "run"
        imported(
            "lm-eval", raw, f"energy@0.4={compressed}", "--out", out, "--family", "doc.category", "--metric", "acc"
        )
        rows = cells(out)["energy@0.4@0"]
        assert column(rows, "predicted_label") == ["0", "1", "1", "2", "1", "0"]
        assert column(rows, "nll") == [0.25, 0.25, 5.0, 3.0, 0.25, 5.0]


def test_lm_eval_generation_takes_one_filter_and_counts_an_unparsed_answer_wrong(tmp_path: Path) -> None:
    out = tmp_path / "run"
    raw = logs.write_lm_eval(tmp_path / "raw", logs.lm_eval_generate(logs.RAW))
    rows = logs.lm_eval_generate(logs.COMPRESSED)
    for row in rows:
        if row["filtered_resps"] == ["[invalid]"]:
            row["exact_match"] = 1.0  # whatever a metric makes of it
    compressed = logs.write_lm_eval(tmp_path / "c40", rows)
    imported(
        *("lm-eval", raw, f"energy@0.4={compressed}", "--out", out),
        *("--family", "doc.category", "--filter", "strict"),
    )
    rows = cells(out)["energy@0.4@0"]
    assert column(rows, "predicted_label") == ["dog", "cat", "cat", "bell", "cat", None]
    assert column(rows, "correct_label") == ["dog", "cat", "bell", "dog", "cat", "bell"]
    assert column(rows, "loss") == [0, 0, 1, 1, 0, 1]
    assert column(rows, "nll") == [None] * 6


def test_lmms_eval_families_sit_in_the_metric(tmp_path: Path) -> None:
    out = tmp_path / "run"
    logs.write_lmms_eval(tmp_path / "raw", logs.lmms_eval(logs.RAW))
    logs.write_lmms_eval(tmp_path / "c40", logs.lmms_eval(logs.COMPRESSED), date="20260103_030405")
    imported(
        *("lmms-eval", tmp_path / "raw", f"energy@0.4={tmp_path / 'c40'}", "--out", out),
        *("--family", "mmar_accuracy.category", "--predicted", "mmar_accuracy.prediction"),
        *("--id", "mmar_accuracy.id", "--tokens", "token_counts.0.input_tokens"),
    )
    (key, _) = store.find_cells(out)
    assert (key.answerer, key.corpus) == ("Qwen/Qwen2-Audio", "mmar")
    rows = cells(out)["energy@0.4@0"]
    assert column(rows, "sample_id") == [f"clip-{i}" for i in range(6)]
    assert column(rows, "query_family") == list(logs.FAMILIES)
    assert column(rows, "loss") == [0, 0, 1, 1, 0, 1]
    assert column(rows, "predicted_label") == ["A", "B", "B", "C", "B", None]
    assert column(rows, "correct_label") == ["A", "B", "C", "A", "B", "C"]
    assert column(rows, "num_audio_tokens") == [100, 101, 102, 103, 104, 105]


def test_lmms_eval_takes_the_response_where_no_answer_is_named_and_lists_of_one_family(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arms = []
    for name, answers in (("raw", logs.RAW), ("c40", logs.COMPRESSED)):
        rows = logs.lmms_eval(answers)
        rows[0]["mmar_accuracy"]["category"] = ["Reasoning"]
        arms.append(logs.write_lmms_eval(tmp_path / name, rows))
    imported("lmms-eval", arms[0], f"energy@0.4={arms[1]}", "--out", out, *OPTIONS["lmms-eval"])
    rows = cells(out)["energy@0.4@0"]
    assert column(rows, "predicted_label") == ["A. dog", "B. cat", "B. cat", "C. bell", "B. cat", None]
    assert column(rows, "query_family")[:2] == ["Reasoning", "speech"]


def test_what_was_read_from_the_raw_log_holds_for_the_others(tmp_path: Path) -> None:
    strict, loose = (logs.lm_eval_generate(logs.RAW, [name]) for name in ("strict", "loose"))
    raw = logs.write_lm_eval(tmp_path / "raw", strict)
    compressed = logs.write_lm_eval(tmp_path / "c40", loose)
    line = refused("lm-eval", raw, f"e@0.4={compressed}", "--out", tmp_path / "run", "--family", "doc.category")
    assert "c40" in line
    assert "no rows of filter 'strict' (there are 'loose')" in line


@pytest.mark.parametrize("zstd", [False, True], ids=["deflate", "zstd"])
def test_inspect_grades_and_recordings(tmp_path: Path, zstd: bool) -> None:
    out = tmp_path / "run"
    samples = logs.inspect_samples(logs.COMPRESSED)
    samples[0]["scores"]["choice"]["value"] = "P"
    samples[1]["scores"]["choice"]["value"] = True
    samples[4]["scores"]["choice"]["value"] = "yes"
    samples[5]["scores"]["choice"]["answer"] = "no idea"  # but the value is N
    raw = logs.write_inspect(tmp_path / "raw.eval", logs.inspect_samples(logs.RAW), zstd=zstd)
    compressed = logs.write_inspect(tmp_path / "c40.eval", samples[::-1], zstd=zstd)
    imported(
        *("inspect", raw, f"energy@0.4={compressed}", "--out", out),
        *("--family", "metadata.task", "--source", "metadata.recording"),
    )
    (key, _) = store.find_cells(out)
    assert (key.answerer, key.corpus) == ("hf/qwen2-audio", "mmau")
    rows = cells(out)["energy@0.4@0"]
    assert column(rows, "sample_id") == [f"q{i}" for i in range(6)]
    assert column(rows, "source_id") == list(logs.RECORDINGS)
    assert column(rows, "loss") == [0.5, 0, 1, 1, 0, 1]
    assert column(rows, "predicted_label") == ["A", "B", "B", "C", "B", None]
    assert column(rows, "correct_label") == ["A", "B", "C", "A", "B", "C"]


def test_inspect_epochs_share_a_source(tmp_path: Path) -> None:
    out = tmp_path / "run"
    for name, answers in (("raw", logs.RAW), ("c40", logs.COMPRESSED)):
        samples = [sample for epoch in (1, 2) for sample in logs.inspect_samples(answers, epoch)]
        logs.write_inspect(tmp_path / name / "log.eval", samples)
    imported(
        *("inspect", tmp_path / "raw", f"energy@0.4={tmp_path / 'c40'}", "--out", out),
        *("--family", "metadata.task"),
    )
    rows = cells(out)["energy@0.4@0"]
    assert column(rows, "sample_id")[:3] == ["q0#1", "q0#2", "q1#1"]
    assert column(rows, "source_id")[:3] == ["q0", "q0", "q1"]
    assert column(rows, "loss")[4:6] == [1, 1]


def test_inspect_failures_keep_their_rows(tmp_path: Path) -> None:
    out = tmp_path / "run"
    samples = logs.inspect_samples(logs.COMPRESSED)
    samples[0] |= {"error": {"message": "RuntimeError('out of memory')\nand more", "traceback": "..."}, "scores": None}
    samples[1] |= {"invalidation": {"author": "me", "reason": "wrong clip"}}
    samples[2]["scores"]["choice"]["value"] = float("nan")
    samples[3]["scores"] = {}
    raw = logs.write_inspect(tmp_path / "raw.eval", logs.inspect_samples(logs.RAW))
    compressed = logs.write_inspect(tmp_path / "c40.eval", samples)
    result = imported("inspect", raw, f"energy@0.4={compressed}", "--out", out, "--family", "metadata.task")
    rows = cells(out)["energy@0.4@0"]
    assert column(rows, "status") == [
        "error: RuntimeError('out of memory')",
        "error: invalidated",
        "error: unscored",
        "error: unscored",
        "ok",
        "ok",
    ]
    assert column(rows, "loss") == [None, None, None, None, 0, 1]
    assert column(rows, "predicted_label") == [None, None, None, None, "B", None]
    assert "1 without an answer, 4 errors" in result.stdout


def test_inspect_takes_the_chosen_scorer_and_an_entry_of_its_value(tmp_path: Path) -> None:
    arms = {}
    for name, answers in (("raw", logs.RAW), ("c40", logs.COMPRESSED)):
        samples = logs.inspect_samples(answers)
        for sample, answer, target in zip(samples, answers, logs.TARGETS, strict=True):
            value = {"accuracy": float(answer == target), "style": 0.5}
            sample["scores"]["my.judge"] = {"value": value, "answer": "x"}
        arms[name] = logs.write_inspect(tmp_path / f"{name}.eval", samples)
    start = (
        "inspect",
        arms["raw"],
        f"energy@0.4={arms['c40']}",
        "--out",
        tmp_path / "run",
        "--family",
        "metadata.task",
    )
    assert "2 scorers ('choice', 'my.judge')" in refused(*start)
    assert "scores.my.judge.value.accuracy" in refused(*start, "--scorer", "my.judge")
    imported(*start, "--scorer", "my.judge", "--metric", "scores.my.judge.value.accuracy")
    rows = cells(tmp_path / "run")["energy@0.4@0"]
    assert column(rows, "loss") == [0, 0, 1, 1, 0, 1]
    assert column(rows, "predicted_label") == ["x"] * 6


def test_inspect_reads_samples_in_pieces_and_the_last_of_two_attempts(tmp_path: Path) -> None:
    out = tmp_path / "run"
    raw = logs.write_inspect(tmp_path / "raw.eval", logs.inspect_samples(logs.RAW))
    entries = logs.inspect_entries(logs.inspect_samples(logs.COMPRESSED), logs.inspect_header())
    shell = json.loads(entries.pop("samples/q0_epoch_1.json"))
    entries["samples/q0_epoch_1/metadata.json"] = json.dumps(shell.pop("metadata")).encode()
    entries["samples/q0_epoch_1/sample.json"] = json.dumps(shell).encode()
    entries["samples/q0_epoch_1/messages/0.json"] = b"[]"
    redone = json.loads(entries["samples/q1_epoch_1.json"])
    redone["scores"]["choice"] |= {"value": "I", "answer": "C"}
    compressed = tmp_path / "c40.eval"
    compressed.write_bytes(logs.zstd_zip([*entries.items(), ("samples/q1_epoch_1.json", json.dumps(redone).encode())]))
    imported("inspect", raw, f"energy@0.4={compressed}", "--out", out, "--family", "metadata.task")
    rows = cells(out)["energy@0.4@0"]
    assert column(rows, "query_family") == list(logs.FAMILIES)
    assert column(rows, "predicted_label") == ["A", "C", "B", "C", "B", None]


def test_inspect_compares_no_prompt_that_lies_elsewhere_in_the_log(tmp_path: Path) -> None:
    arms = []
    for name, answers in (("raw", logs.RAW), ("c40", logs.COMPRESSED)):
        samples = logs.inspect_samples(answers)
        samples[0]["input"] = f"attachment://{name}"
        arms.append(logs.write_inspect(tmp_path / f"{name}.eval", samples))
    imported("inspect", arms[0], f"e@0.4={arms[1]}", "--out", tmp_path / "run", "--family", "metadata.task")


def write_table(kind: str, path: Path, rows: Rows) -> Path:
    if kind == "csv":
        return logs.write_csv(path, rows)
    if kind == "jsonl":
        return logs.write_lines(path, rows)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_tables_have_the_columns_of_a_cell(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "run"
    raw = write_table(kind, tmp_path / "raw", logs.table(logs.RAW))
    rows = logs.table(logs.COMPRESSED)
    for row in rows:
        row |= {"status": "ok", "kept_hash": "abc", "chunks_total": 10, "chunks_kept": 4}
        row |= {"seconds_heard": 4.5, "bits_sent": 1_152_000, "lm_positions": 310, "flops": 5_270_000_000_000}
    rows[2]["loss"] = 0.75  # a loss is used as it is
    rows[5]["loss"] = 0.25  # even without an answer
    rows[0] |= {"status": "error: no audio", "loss": None}
    rows[1]["nll"] = None
    compressed = write_table(kind, tmp_path / "c40", rows)
    named = ("--corpus", "mmar", "--answerer", "qwen2-audio")
    imported(kind, raw, f"learned@0.4@1={compressed}", "--out", out, *named)
    assert CellKey("qwen2-audio", "mmar", "learned", 1, budget=0.4) in store.find_cells(out)
    rows = cells(out)["learned@0.4@1"]
    assert column(rows, "sample_id") == ["000", "001", "002", "003", "004", "005"]
    assert column(rows, "source_id") == list(logs.RECORDINGS)
    assert column(rows, "query_family") == list(logs.FAMILIES)
    assert column(rows, "loss") == [None, 0, 0.75, 1, 0, 0.25]
    assert column(rows, "nll") == [None, None, 0.5, 0.75, 1.0, 1.25]
    assert column(rows, "num_audio_tokens") == [50, 51, 52, 53, 54, 55]
    assert column(rows, "predicted_label") == [None, "cat", "cat", "bell", "cat", None]
    assert column(rows, "status") == ["error: no audio", *["ok"] * 5]
    assert column(rows, "chunks_kept") == [4] * 6
    assert column(rows, "seconds_heard") == [4.5] * 6
    assert column(rows, "bits_sent") == [1_152_000] * 6
    assert column(rows, "lm_positions") == [310] * 6
    assert column(rows, "flops") == [5_270_000_000_000] * 6
    assert column(rows, "kept_hash") == ["abc"] * 6


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_tables_with_columns_of_their_own(tmp_path: Path, kind: str) -> None:
    def own(answers: logs.Answers) -> Rows:
        return [
            {
                "q": row["sample_id"],
                "topic": row["query_family"],
                "right": not row["loss"] or row["predicted_label"] is None,
                "said": row["predicted_label"],
            }
            for row in logs.table(answers)
        ]

    out = tmp_path / "run"
    raw, compressed = (write_table(kind, tmp_path / f"{i}", own(a)) for i, a in enumerate((logs.RAW, logs.COMPRESSED)))
    imported(
        *(kind, raw, f"energy@0.4={compressed}", "--out", out, "--corpus", "mmar", "--answerer", "a"),
        *("--id", "q", "--family", "topic", "--metric", "right", "--predicted", "said"),
    )
    rows = cells(out)["energy@0.4@0"]
    assert column(rows, "loss") == [0, 0, 1, 1, 0, 1]  # the last said nothing, whatever the metric says
    assert column(rows, "predicted_label") == ["dog", "cat", "cat", "bell", "cat", None]
    assert column(rows, "source_id") == column(rows, "sample_id")
    assert column(rows, "nll") == [None] * 6


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_tables_may_start_with_a_byte_order_mark(tmp_path: Path, kind: str) -> None:
    raw = write_table(kind, tmp_path / "raw", logs.table(logs.RAW))
    compressed = tmp_path / "c40"
    compressed.write_bytes(b"\xef\xbb\xbf" + write_table(kind, compressed, logs.table(logs.COMPRESSED)).read_bytes())
    imported(kind, raw, f"energy@0.4={compressed}", "--out", tmp_path / "run", *OPTIONS["jsonl"])
    assert column(cells(tmp_path / "run")["energy@0.4@0"], "loss") == [0, 0, 1, 1, 0, 1]


@pytest.mark.parametrize(
    ("path", "value"),
    [("a", {"b": 1}), ("a.b", 1), ("x.y", 2), ("x.y.z", 3), ("l.1.n", 5), ("l.0", "first")],
)
def test_dotted_paths_go_through_keys_with_dots_and_lists(path: str, value: object) -> None:
    data = {"a": {"b": 1}, "x.y": 2, "x": {"y.z": 3, "y": {"other": 4}}, "l": ["first", {"n": 5}]}
    assert lookup(data, path) == value


# Repeating -------------------------------------------------------------------------------------------------


def csv_arms(tmp_path: Path) -> tuple[Any, ...]:
    raw = logs.write_csv(tmp_path / "raw.csv", logs.table(logs.RAW))
    compressed = logs.write_csv(tmp_path / "c40.csv", logs.table(logs.COMPRESSED))
    named = ("--out", tmp_path / "run", "--corpus", "mmar", "--answerer", "a")
    return "csv", raw, f"energy@0.4={compressed}", *named


def test_repeating_leaves_complete_cells_alone_and_adds_missing_ones(tmp_path: Path) -> None:
    arms = csv_arms(tmp_path)
    assert imported(*arms).stdout.count("written: ") == 2
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.parquet")}
    other = logs.write_csv(tmp_path / "c20.csv", logs.table(logs.COMPRESSED)[::-1])
    result = imported(*arms[:3], f"energy@0.2={other}", *arms[3:])
    assert result.stdout.count("already there: ") == 2
    assert result.stdout.count("written: ") == 1
    after = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.parquet")}
    assert before.items() <= after.items()
    assert len(after) == 3
    assert len(set(after.values())) == 2  # the order of a log makes no difference


def test_a_cell_with_other_rows_is_not_overwritten(tmp_path: Path) -> None:
    arms = csv_arms(tmp_path)
    imported(*arms)
    rows = logs.table(logs.COMPRESSED)
    rows[0]["loss"] = 0.5
    logs.write_csv(tmp_path / "c40.csv", rows)
    other = logs.write_csv(tmp_path / "c20.csv", rows)
    line = refused(*arms[:3], f"energy@0.2={other}", *arms[3:])
    assert "method=energy/seed=0/stream=anchor/budget=0.4: the cell is already there, with other rows; remove" in line
    assert set(cells(tmp_path / "run")) == {"uncompressed@1@0", "energy@0.4@0"}  # nothing was added either


def test_json_and_doubts_go_apart(tmp_path: Path) -> None:
    def rehashed(rows: Rows) -> Rows:  # what happens where the doc holds the audio
        return [row | {"doc_hash": logs.sha("other audio" + row["doc_hash"])} for row in rows]

    raw = logs.write_lm_eval(tmp_path / "raw", logs.lm_eval_choice(logs.RAW))
    compressed = logs.write_lm_eval(tmp_path / "c40", rehashed(logs.lm_eval_choice(logs.RAW)))
    arms = ("lm-eval", raw, f"energy@0.4={compressed}", "--out", tmp_path / "run", "--source", "doc.audio.path")
    result = imported(*arms, "--family", "doc.category", "--metric", "acc", "--json")
    done = json.loads(result.stdout)
    assert [(c["method"], c["rows"], c["mean_loss"], c["written"]) for c in done["cells"]] == [
        ("uncompressed", 6, pytest.approx(1 / 6), True),
        ("energy", 6, pytest.approx(1 / 6), True),
    ]
    assert ["doc_hash differs" in doubt or "response cache" in doubt for doubt in done["doubts"]] == [True, True]
    assert result.stderr.count("look at this: ") == 2


def test_the_same_answers_at_budget_one_are_no_doubt(tmp_path: Path) -> None:
    raw = logs.write_csv(tmp_path / "raw.csv", logs.table(logs.RAW))
    full = logs.write_csv(tmp_path / "full.csv", logs.table(logs.RAW))
    assert not imported("csv", raw, f"energy@1={full}", *csv_arms(tmp_path)[3:]).stderr


# Refusals --------------------------------------------------------------------------------------------------


def change(i: int, **values: Any) -> Callable[[Rows], object]:
    return lambda rows: rows[i].update(values)


def drop(i: int, field: str) -> Callable[[Rows], object]:
    return lambda rows: rows[i].pop(field)


def metric(i: int, **values: Any) -> Callable[[Rows], object]:
    return lambda rows: rows[i]["mmar_accuracy"].update(values)


def score(i: int, **values: Any) -> Callable[[Rows], object]:
    return lambda rows: rows[i]["scores"]["choice"].update(values)


def both(*changes: Callable[[Rows], object]) -> Callable[[Rows], object]:
    return lambda rows: [each(rows) for each in changes]


def everywhere(*changes: Callable[[Rows], object]) -> tuple[Callable[[Rows], object], Callable[[Rows], object]]:
    return both(*changes), both(*changes)


def nothing(rows: Rows) -> None:
    pass


MAKE = {
    "lm-eval": (logs.lm_eval_choice, lambda path, rows: logs.write_lm_eval(path, rows)),
    "generate": (logs.lm_eval_generate, lambda path, rows: logs.write_lm_eval(path, rows)),
    "lmms-eval": (logs.lmms_eval, lambda path, rows: logs.write_lmms_eval(path, rows)),
    "inspect": (logs.inspect_samples, lambda path, rows: logs.write_inspect(path / "log.eval", rows)),
    "zstd": (logs.inspect_samples, lambda path, rows: logs.write_inspect(path / "log.eval", rows, zstd=True)),
    "jsonl": (logs.table, lambda path, rows: logs.write_lines(path / "log.jsonl", rows)),
}
NAMED = {"generate": "lm-eval", "zstd": "inspect"}
OPTIONS = {
    "lm-eval": ["--family", "doc.category", "--metric", "acc"],
    "generate": ["--family", "doc.category", "--filter", "strict"],
    "lmms-eval": ["--family", "mmar_accuracy.category"],
    "inspect": ["--family", "metadata.task"],
    "zstd": ["--family", "metadata.task"],
    "jsonl": ["--corpus", "mmar", "--answerer", "a"],
}


@pytest.mark.parametrize(
    ("kind", "changes", "options", "said"),
    [
        # ids
        ("lm-eval", (nothing, change(2, doc_id=1)), [], r"c40.*jsonl:3: sample '1' stands already at .*c40.*jsonl:2;"),
        ("lmms-eval", (change(2, doc_id=1), nothing), [], r"sample '1' stands already .*; a task with several filters"),
        ("jsonl", (nothing, change(2, sample_id="001")), [], r"sample '001' stands already .*--id"),
        ("lm-eval", (nothing, lambda rows: rows.pop(2)), [], r"c40.* lacks 1 of the 6 samples of .*raw.* \('2'\);"),
        ("lm-eval", (lambda rows: rows.pop(2), nothing), [], r"c40.* has 1 samples that .*raw.* lacks \('2'\);"),
        ("inspect", (nothing, change(3, id="q9")), [], r"lacks 1 .*\('q3'\) and has 1 samples .*\('q9'\)"),
        ("lm-eval", (nothing, drop(1, "doc_id")), ["--id", "doc_id"], r"jsonl:2: no field 'doc_id' \(there are 'doc."),
        ("jsonl", (nothing, change(1, sample_id=None)), [], r"c40.*:2: field 'sample_id' is empty; .*--id"),
        ("jsonl", (nothing, change(1, query_family=float("nan"))), [], r"field 'query_family' is empty; .*--family"),
        ("jsonl", (nothing, change(1, sample_id={"a": 1})), [], r"field 'sample_id' holds dict, not a text"),
        # another question
        ("lm-eval", (nothing, change(0, prompt_hash="x")), [], r":1: sample '0' is another .*\(prompt differs"),
        ("lm-eval", (nothing, change(0, target="1")), [], r"sample '0' is another question .*\(target differs"),
        (
            "lm-eval",
            (drop(4, "prompt_hash"), both(drop(4, "prompt_hash"), change(4, doc_hash="x"))),
            [],
            r":5: sample '4' is another question .*\(doc_hash differs",
        ),
        ("lmms-eval", (nothing, change(0, input="Another?")), [], r"another question .*\(prompt differs"),
        ("inspect", (nothing, change(0, target="B")), [], r"samples/q0_epoch_1.json: .* another question .*target"),
        ("inspect", (nothing, change(0, choices=["dog", "cow", "bell"])), [], r"another question .*\(choices differs"),
        ("inspect", (nothing, change(0, input="Another?")), [], r"another question .*\(prompt differs"),
        ("jsonl", (nothing, change(0, correct_label="cow")), [], r"another question .*\(correct_label differs"),
        ("jsonl", (nothing, change(0, query_family="music")), [], r"has family 'music', but 'sound' at .*--family"),
        ("jsonl", (nothing, change(0, source_id="z.wav")), [], r"has source 'z.wav', but 'a.wav' at .*--source"),
        # fields
        ("lm-eval", (nothing, nothing), ["--family", "doc.topic"], r"raw.*:1: no field 'doc.topic' .*'doc.category'"),
        ("lm-eval", (nothing, nothing), ["--source", "clip"], r"no field 'clip' .*--source"),
        ("lm-eval", (nothing, nothing), ["--nll", "clip"], r"no field 'clip' .*--nll"),
        ("lm-eval", (nothing, nothing), ["--nll", "doc.category"], r"'doc.category' is 'sound', not a number; .*--nll"),
        ("inspect", (nothing, nothing), ["--tokens", "target"], r"'target' is 'A', not a number; .*--tokens"),
        ("jsonl", (change(3, num_audio_tokens=1.5), nothing), [], r":4: field 'num_audio_tokens' is 1.5, not a count;"),
        ("jsonl", (change(3, nll=-2.0), nothing), [], r":4: the negative log-likelihood is -2; name one"),
        ("jsonl", (drop(0, "query_family"), nothing), [], r"no field 'query_family' .*--family"),
        ("lmms-eval", (metric(0, category=["a", "b"]), nothing), [], r"has family 'sound', but 'a, b'"),
        # the metric
        ("lm-eval", (nothing, nothing), ["--metric", "f1"], r"no field 'f1' .*--metric"),
        ("lm-eval", (nothing, change(1, acc=1.5)), [], r"c40.*:2: field 'acc' is 1.5, not in \[0, 1\]"),
        ("lm-eval", (nothing, change(1, acc=float("nan"))), [], r"field 'acc' is nan, not in \[0, 1\]"),
        ("lm-eval", (nothing, change(1, acc=[1, 0])), [], r"field 'acc' is '\[1, 0\]', not a number"),
        ("lmms-eval", everywhere(metric(0, f1=0.5), *[metric(i, f1=1) for i in range(1, 6)]), [], r"2 fields could be "
         r"the metric \('mmar_accuracy.score', 'mmar_accuracy.f1'\); name it with --metric"),
        ("lmms-eval", (metric(0, score=4), nothing), [], r"no field is a number in \[0, 1\] in every row"),
        ("lmms-eval", (nothing, metric(3, score=-1)), [], r"c40.*:4: field 'mmar_accuracy.score' is -1, not in"),
        ("lmms-eval", (nothing, nothing), ["--metric", "mmar_accuracy"], r"is {mmar_accuracy.id, .*}, not a number"),
        ("jsonl", (drop(0, "loss"), nothing), [], r"raw.*:1: no field 'loss' .*--metric"),
        ("jsonl", (nothing, change(1, loss=None)), [], r"c40.*:2: field 'loss' is empty; .*column 'status'"),
        ("jsonl", everywhere(*[change(i, ok=None if i == 2 else 1) for i in range(6)]), ["--metric", "ok"],
         r"raw.*:3: field 'ok' is empty; a row without an answer needs a column 'status' that says what went wrong"),
        ("lm-eval", (nothing, change(1, acc=None)), [], r"c40.*:2: field 'acc' is empty; fill it, or .*--metric"),
        ("jsonl", (nothing, change(1, loss=-0.5)), [], r"c40.*:2: field 'loss' is -0.5, not in \[0, 1\]"),
        ("inspect", (nothing, score(2, value="good")), [], r"q2_epoch_1.json: field 'scores.choice.value' is 'good'"),
        ("inspect", (nothing, score(2, value=7)), [], r"field 'scores.choice.value' is 7, not in \[0, 1\]"),
        ("inspect", (nothing, nothing), ["--metric", "scores.choice.valu"], r"no field 'scores.choice.valu' "),
        ("inspect", (nothing, nothing), ["--scorer", "judge"], r"no scorer 'judge' \(there are 'choice'\)"),
        ("inspect", ((lambda rows: [row.pop("scores") for row in rows]), nothing), [], r"no sample has a score; score"),
        (
            "inspect",
            ((lambda rows: [row.update(scores={}, error={"message": "oom"}) for row in rows]), nothing),
            [],
            r"every sample failed \(error: oom\)",
        ),
        ("lm-eval", ((lambda rows: [row.update(acc=0) for row in rows]), nothing), [], r"not one answer .* is right;"),
        # options
        ("generate", (nothing, nothing), ["--filter", "none"], r"no rows of filter 'none' \(there are 'strict', 'l"),
        ("inspect", (nothing, nothing), ["--filter", "strict"], r"--filter: belongs to lm-eval logs, not to inspect;"),
        ("jsonl", (nothing, nothing), ["--scorer", "choice"], r"--scorer: belongs to inspect logs, not to jsonl;"),
        ("jsonl", (nothing, nothing), ["--corpus", "", "--answerer", ""], r"does not name its model nor its task; name "
         r"them with --answerer and --corpus"),
        ("jsonl", (nothing, nothing), ["--corpus", ""], r"does not name its task; name it with --corpus"),
        ("jsonl", (nothing, nothing), ["--answerer", ""], r"does not name its model; name it with --answerer"),
    ],
)  # fmt: skip
def test_refuses_rows(
    tmp_path: Path,
    kind: str,
    changes: tuple[Callable[[Rows], object], Callable[[Rows], object]],
    options: list[str],
    said: str,
) -> None:
    rows, write = MAKE[kind]
    arms = []
    for name, answers, each in zip(("raw", "c40"), (logs.RAW, logs.COMPRESSED), changes, strict=True):
        made = rows(answers)
        each(made)
        arms.append(write(tmp_path / name, made))
    named = NAMED.get(kind, kind)
    line = refused(*(named, arms[0], f"energy@0.4={arms[1]}", "--out", tmp_path / "run", *OPTIONS[kind], *options))
    assert re.search(said, line), line
    assert not (tmp_path / "run").exists()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"samples/q0_epoch_1.json") + 60] ^= 0xFF  # within the packed bytes
    path.write_bytes(data)


def miscount(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.rindex(b"samples/q0_epoch_1.json") - 46 + 16] ^= 0xFF  # the checksum in the directory of the zip
    path.write_bytes(data)


def write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def rezip(header: dict[str, Any] | None, samples: bool = True) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        rows = logs.inspect_samples(logs.COMPRESSED) if samples else []
        path.write_bytes(logs.deflated_zip(logs.inspect_entries(rows, header).items()))

    return change


@pytest.mark.parametrize(
    ("kind", "spoil", "said"),
    [
        ("lm-eval", cut, r"c40.*jsonl:6: is not JSON \(.*\); .*cut off"),
        ("lm-eval", write(b""), r"c40.*: the log is empty;"),
        ("lm-eval", write(b"\n\n"), r"c40.*: the log is empty;"),
        ("lm-eval", Path.unlink, r"c40.*: there is no such file;"),
        ("lm-eval", write(b'{\n  "results": {}\n}'), r"c40.*:1: is not JSON"),
        ("lm-eval", write(b"PK\3\4 and so on"), r"looks like an inspect log, not an lm-eval samples log; import"),
        ("lm-eval", write(b"sample_id,loss\n1,0\n"), r"looks like a CSV table, not an lm-eval samples log"),
        ("lm-eval", write(b'{"doc_id": 0, "filtered_resps": ""}\n'), r"looks like an lmms-eval samples log"),
        ("lmms-eval", write(b'{"doc_id": 0, "doc": {}, "filtered_resps": []}\n'), r"looks like an lm-eval samples log"),
        ("lmms-eval", write(b'{"sample_id": 0, "loss": 0}\n'), r"looks like a table of JSON lines"),
        ("lmms-eval", write(b"PAR1 and so on"), r"looks like a Parquet table"),
        ("jsonl", write(b'{"sample_id": 0}\n[1]\n'), r"c40.*:2: holds list, not an object"),
        ("jsonl", write(b'{"sample_id": "\xff"}\n'), r"c40.*: is not UTF-8 text"),
        ("inspect", write(b'{"status": "success", "eval": {}, "samples": []}'), r"c40.*: the log has no samples"),
        ("inspect", write(b'{"status": "success", "eval": {}, "samples": {}}'), r"c40.*: the log has no samples"),
        ("inspect", write(b'{"status": "success", "eval": {}, "samples": [1]}'), r"c40.*: has no list of samples"),
        ("inspect", write(b'{"status": "started", "eval": {}, "samples": []}'), r"ended with status 'started'; finish"),
        ("inspect", write(b'{\n "eval": {}'), r"c40.*: is not JSON \(.*\); .*cut off"),
        ("inspect", write(b'{\n "date": 1,\n "results": {}}'), r"c40.*: is no log of inspect;"),
        (
            "inspect",
            write(b'{"status": "success", "eval": {}, "samples": [{"epoch": 1, "scores": 3}]}'),
            r"c40.*:samples\[0\]: has no scores as inspect writes them",
        ),
        ("inspect", write(b"PK\3\4 and so on"), r"is not a whole .eval file"),
        ("inspect", cut, r"is not a whole .eval file"),
        ("inspect", flip, r"c40.*log.eval:samples/q0_epoch_1.json: cannot be read \(.+\); copy the log again"),
        ("zstd", flip, r"c40.*log.eval:samples/q0_epoch_1.json: cannot be read \(.+\); copy the log again"),
        ("zstd", miscount, r"c40.*log.eval:samples/q0_epoch_1.json: cannot be read \(bad checksum\)"),
        ("inspect", write(b'{"sample_id": 0, "loss": 0}\n'), r"looks like a table of JSON lines, not an inspect"),
        ("inspect", write(logs.deflated_zip([("a.txt", b"")])), r"is a zip without header.json"),
        ("inspect", rezip(None), r"the evaluation did not finish; .*eval-retry"),
        ("inspect", rezip(logs.inspect_header(status="error")), r"ended with status 'error'; .*eval-retry"),
        ("inspect", rezip(logs.inspect_header(), samples=False), r"the log has no samples"),
        ("inspect", rezip(logs.inspect_header(model="hf/omni")), r"is of model 'hf/omni', but .* of 'hf/qwen2-audio'"),
        ("inspect", rezip(logs.inspect_header(task="mmsu")), r"is of task 'mmsu', but .* is of 'mmau'; .*--corpus"),
    ],
)  # fmt: skip
def test_refuses_files(tmp_path: Path, kind: str, spoil: Callable[[Path], object], said: str) -> None:
    rows, write = MAKE[kind]
    raw, compressed = write(tmp_path / "raw", rows(logs.RAW)), write(tmp_path / "c40", rows(logs.COMPRESSED))
    spoil(compressed)
    line = refused(NAMED.get(kind, kind), raw, f"energy@0.4={compressed}", "--out", tmp_path / "run", *OPTIONS[kind])
    assert re.search(said, line), line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("csv", b"sample_id,query_family,loss\n1,a\n", r"c40:2: has 2 cells, the header 3;"),
        ("csv", b"sample_id,query_family,loss,loss\n1,a,0,0\n", r"c40: column 'loss' stands twice;"),
        ("csv", b"sample_id,query_family,loss\n", r"c40: the log has no rows;"),
        ("csv", b"sample_id,query_family,loss\n\xff,a,0\n", r"c40: is not UTF-8 text"),
        ("csv", b"sample_id;query_family;loss\n1;a;0\n", r"c40:2: no field 'sample_id', 'query_family', "
         r"'loss' \(there are 'sample_id;query_family;loss'\); name others with --id, --family, --metric"),
        ("csv", b'{"sample_id": 1, "loss": 0}\n', r"c40: looks like a table of JSON lines, not a CSV table;"),
        ("parquet", b"PAR1 and nothing else", r"c40: is not a whole Parquet file"),
        ("parquet", b"sample_id,query_family,loss\n1,a,0\n", r"c40: looks like a CSV table, not a Parquet table;"),
    ],
)  # fmt: skip
def test_refuses_tables(tmp_path: Path, kind: str, content: bytes, said: str) -> None:
    raw = write_table(kind, tmp_path / "raw", logs.table(logs.RAW))
    (tmp_path / "c40").write_bytes(content)
    line = refused(kind, raw, f"energy@0.4={tmp_path / 'c40'}", "--out", tmp_path / "run", *OPTIONS["jsonl"])
    assert re.search(said, line), line


def test_refuses_folders_without_the_logs_of_one_run(tmp_path: Path) -> None:
    rows = logs.lm_eval_choice(logs.RAW)
    logs.write_lm_eval(tmp_path / "two", rows)
    logs.write_lm_eval(tmp_path / "two", rows, date="2026-01-03T03-04-05.678901")
    logs.write_lmms_eval(tmp_path / "lmms", logs.lmms_eval(logs.RAW))
    rest = ("energy@0.4=c40", "--out", tmp_path / "run")
    line = refused("lm-eval", tmp_path / "two", *rest)
    assert "holds two logs of task 'sounds' ('samples_sounds_2026-01-02T" in line
    assert "or the results file of a run" in line
    assert "holds no samples_*.jsonl (but " in refused("lm-eval", tmp_path / "lmms", *rest)
    assert "is a folder; name the file of the log" in refused("csv", tmp_path / "lmms", *rest)


def test_names_come_from_the_log_or_must_be_given(tmp_path: Path) -> None:
    raw = logs.write_lm_eval(tmp_path / "raw", logs.lm_eval_choice(logs.RAW), model=None)
    rows = logs.lm_eval_choice(logs.COMPRESSED)
    compressed = logs.write_lm_eval(tmp_path / "c40", rows, task="sounds_c40", model="Qwen/Qwen2.5-Omni")
    arms = ("lm-eval", raw, f"energy@0.4={compressed}", "--out", tmp_path / "run", *OPTIONS["lm-eval"])
    assert "does not name its model; name it with --answerer" in refused(*arms)
    assert "is of task 'sounds_c40', but " in refused(*arms, "--answerer", "qwen")
    imported(*arms, "--answerer", "qwen", "--corpus", "sounds")
    assert {(key.answerer, key.corpus) for key in store.find_cells(tmp_path / "run")} == {("qwen", "sounds")}


def test_refuses_models_that_differ(tmp_path: Path) -> None:
    raw = logs.write_lmms_eval(tmp_path / "raw", logs.lmms_eval(logs.RAW))
    compressed = logs.write_lmms_eval(tmp_path / "c40", logs.lmms_eval(logs.RAW), model="Qwen/Qwen2.5-Omni")
    line = refused("lmms-eval", raw, f"e@0.4={compressed}", "--out", tmp_path / "run", *OPTIONS["lmms-eval"])
    assert "is of model 'Qwen/Qwen2.5-Omni', but" in line


def test_refuses_ambiguous_filters_and_missing_families(tmp_path: Path) -> None:
    raw = logs.write_lm_eval(tmp_path / "raw", logs.lm_eval_generate(logs.RAW))
    rest = ("energy@0.4=c40", "--out", tmp_path / "run")
    assert "once per filter ('strict', 'loose'); choose one with --filter" in refused("lm-eval", raw, *rest)
    line = refused("lm-eval", raw, *rest, "--filter", "strict")
    assert "which field is the family of a question? (short texts are " in line
    assert "'doc.category'" in line


@pytest.mark.parametrize("link", [None, Path.symlink_to, Path.hardlink_to], ids=["same", "symlink", "hardlink"])
def test_refuses_one_file_for_two_arms(tmp_path: Path, link: Callable[[Path, Path], None] | None) -> None:
    arms = csv_arms(tmp_path)
    path = tmp_path / "again.csv" if link else arms[1]
    if link:
        link(path, arms[1])
    assert f"{path}: this log is named twice;" in refused(*arms[:3], f"energy@0.2={path}", *arms[3:])


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ("c40.csv", "'c40.csv': is not METHOD@BUDGET=LOG; write for instance energy@0.4="),
        ("energy=c40.csv", "is not METHOD@BUDGET=LOG"),
        ("@0.4=c40.csv", "is not METHOD@BUDGET=LOG"),
        ("energy@0.4@1@2=c40.csv", "is not METHOD@BUDGET=LOG"),
        ("energy@4 0%=c40.csv", "'4 0%' is not a budget in (0, 1]"),
        ("energy@%=c40.csv", "'%' is not a budget in (0, 1]"),
        ("energy@140%={}", "budget 1.4 is not in (0, 1]"),
        ("energy@0.4@x=c40.csv", "'0.4@x' is not a budget in (0, 1], with or without @ and a whole seed"),
        ("energy@40={}", "budget 40.0 is not in (0, 1]"),
        ("energy@nan={}", "'nan' is not a budget in (0, 1]"),
        ("uncompressed@0.4={}", "the raw reference keeps everything"),
        ("uncompressed@1={}", "uncompressed@1 is also "),
    ],
)
def test_refuses_arms(tmp_path: Path, arm: str, said: str) -> None:
    arms = csv_arms(tmp_path)
    assert said in refused(*arms[:2], arm.format(tmp_path / "c40.csv"), *arms[3:])


def test_silence_is_the_control_and_needs_no_budget(tmp_path: Path) -> None:
    assert parse_arm("silence=a.csv") == parse_arm("silence@1.0=a.csv") == parse_arm("silence@1=a.csv")
    with pytest.raises(InputError, match=r"as long as raw audio; write silence=a\.csv"):
        parse_arm("silence@0=a.csv")
    silence = write_table("csv", tmp_path / "silence", logs.table(logs.COMPRESSED))
    imported(*csv_arms(tmp_path), f"silence={silence}")
    assert CellKey("a", "mmar", "silence") in store.find_cells(tmp_path / "run")
    assert "silence=LOG" in imported("--help").output


def test_an_arm_may_have_a_seed_and_its_path_equals_signs() -> None:
    assert parse_arm("learned@0.4@7=runs/budget=0.4/log.csv") == parse_arm("learned@.40@07=runs/budget=0.4/log.csv")
    assert parse_arm("learned@0.4@7=a=b").path == Path("a=b")


def test_refuses_an_out_that_is_a_file(tmp_path: Path) -> None:
    arms = csv_arms(tmp_path)
    (tmp_path / "run").touch()
    assert "run: is not a folder; name a run folder" in refused(*arms)


# Help ------------------------------------------------------------------------------------------------------


def test_help_has_an_example_per_kind_and_a_text_per_option() -> None:
    text = imported("--help").output
    for kind in KINDS:
        assert f"earmark import {kind} " in text
    for parameter in import_logs.params:
        if parameter.param_type_name == "option":
            assert parameter.help  # type: ignore[attr-defined]


def test_the_command_loads_without_arrow() -> None:
    heavy = "import sys, earmark.cli.import_logs; sys.exit(any(m in sys.modules for m in ('pyarrow', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", heavy], check=False).returncode == 0
