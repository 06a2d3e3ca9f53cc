"""The readers of logs of evaluation harnesses and of tables, each with files as it reads them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import log_fixtures
import pyarrow as pa
import pyarrow.parquet as pq
from fuzz_inputs import Read, replacing
from fuzzing import Target

from earmark.engine.outcomes.imports import doubts, task_logs
from earmark.engine.outcomes.imports.arguments import CompressedLog
from earmark.engine.outcomes.imports.logs import Declarations, import_logs
from earmark.engine.outcomes.imports.rows import Fields


def of_logs(folder: Path) -> Iterator[Target]:
    """Logs of the harnesses, tables, and what an import keeps of them."""
    logs = folder / "logs"
    yield from _of_harnesses(logs)
    yield from _of_tables(logs)
    yield from _of_vlmeval(logs)
    compressed = log_fixtures.write_csv(logs / "compressed.csv", log_fixtures.table(log_fixtures.COMPRESSED))
    arm, out = CompressedLog("energy", 0.4, 0, compressed), folder / "imported"
    import_logs("csv", logs / "t.csv", [arm], Fields(), out, Declarations("a", "c", axes={"energy": "bits"}))
    yield replacing("record of an import", out / doubts.FILE, lambda: doubts.read(out), structured=True)


def _reads(kind: str, path: Path, fields: Fields) -> Read:
    return lambda: task_logs.read(kind, path, fields)


def _of_harnesses(logs: Path) -> Iterator[Target]:
    fields = Fields(family="doc.category", metric="acc")
    choice = log_fixtures.write_lm_eval(logs / "lm", log_fixtures.lm_eval_choice(log_fixtures.RAW))
    yield replacing("lm-eval", choice, _reads("lm-eval", choice, fields), structured=True)
    results = next(choice.parent.glob("results_*.json"))
    yield replacing("lm-eval results", results, _reads("lm-eval", choice, fields), structured=True)
    run = logs / "tasks"
    log_fixtures.write_lm_eval(run, log_fixtures.lm_eval_choice(log_fixtures.RAW))
    speech = log_fixtures.write_lm_eval(run, log_fixtures.lm_eval_choice(log_fixtures.RAW), task="speech")
    yield replacing(
        "lm-eval of a group", speech, _reads("lm-eval", run, Fields(metric="acc")), structured=True, share=0.5
    )
    lmms = log_fixtures.write_lmms_eval(logs / "lmms", log_fixtures.lmms_eval(log_fixtures.RAW))
    yield replacing(
        "lmms-eval", lmms, _reads("lmms-eval", lmms, Fields(family="mmar_accuracy.category")), structured=True
    )
    fields = Fields(family="metadata.task")
    samples = log_fixtures.inspect_samples(log_fixtures.RAW)
    packed = log_fixtures.write_inspect(logs / "raw.eval", samples)
    yield replacing("inspect", packed, _reads("inspect", packed, fields))
    plain = log_fixtures.write_inspect_json(logs / "raw.json", samples)
    yield replacing("inspect in JSON", plain, _reads("inspect", plain, fields), structured=True)


def _of_tables(logs: Path) -> Iterator[Target]:
    rows = log_fixtures.table(log_fixtures.RAW)
    log_fixtures.write_csv(logs / "t.csv", rows)
    log_fixtures.write_lines(logs / "t.jsonl", rows)
    pq.write_table(pa.Table.from_pylist(rows), logs / "t.parquet")
    for kind in ("csv", "jsonl", "parquet"):
        path = logs / f"t.{kind}"
        yield replacing(f"{kind} of outcomes", path, _reads(kind, path, Fields()), structured=kind == "jsonl")
    texts = log_fixtures.write_lines(logs / "texts.jsonl", [{**row, "n_options": '["a", "b"]'} for row in rows])
    yield replacing(
        "options in a text", texts, _reads("jsonl", texts, Fields(options="n_options")), structured=True, share=0.5
    )


def _of_vlmeval(logs: Path) -> Iterator[Target]:
    rows = log_fixtures.vlmeval(log_fixtures.RAW)
    for end in (".xlsx", ".tsv", ".json"):
        path = log_fixtures.write_vlmeval(logs / "vlmeval", rows, end)
        yield replacing(
            f"VLMEvalKit {end}", path, _reads("vlmeval", path, Fields()), structured=end == ".json", share=0.5
        )
    for name in log_fixtures.XLSX_PARTS:
        yield _of_part(name, logs / "sheet.xlsx", log_fixtures.xlsx_entries(rows))


def _of_part(name: str, path: Path, entries: Mapping[str, bytes]) -> Target:
    """A target whose input is one part of a workbook, so that the zip around it is whole."""

    def read(data: bytes) -> None:
        path.write_bytes(log_fixtures.deflated_zip((dict(entries) | {name: data}).items()))
        task_logs.read("vlmeval", path, Fields())

    return Target(f"workbook's {name}", (entries[name],), read, False, 0.5)
