"""A log of lmms-eval (`--log_samples`): `<out>/<model>/<date>_samples_<task>.jsonl`.

The doc is dropped from its rows, so that a family sits in what the task's metric returned
(`mmar_accuracy.category`). Knows nothing of the log that it is paired with.
"""

import re
from dataclasses import replace
from pathlib import Path

from earmark.engine.outcomes.imports import harness_runs, log_files
from earmark.engine.outcomes.imports.record import only_metric
from earmark.engine.outcomes.imports.responses import scored_row
from earmark.engine.outcomes.imports.rows import Fields, Log, LogFile

_NAME = re.compile(r"(?:(?P<date>\d[\dT_.-]*)_)?samples_(?P<task>.+)\.jsonl")
_OWN = Fields(id="doc_id", correct="target")
_NOT_METRICS = (
    "doc_id", "doc", "target", "input", "input_media", "arguments", "resps", "filtered_resps", "token_counts",
    "doc_hash", "submission",
)  # fmt: skip


def open_file(path: Path) -> LogFile:
    """The records of a samples file, with what the results file of its run says."""
    log_files.expect(path, "lmms-eval")
    records = log_files.json_lines(path)
    name = _NAME.fullmatch(path.name)
    return harness_runs.with_results(LogFile(path, records, task=name and name["task"]), name and name["date"])


def read_rows(file: LogFile, fields: Fields) -> Log:
    """All rows; raises InputError where the metric is not plain."""
    fields = replace(fields, metric=fields.metric or only_metric(file.path, file.records, _NOT_METRICS))
    rows = [scored_row(record, fields, _OWN, "input", file.task) for record in file.records]
    advice = "a task with several filters writes one row each without naming it: log it with a single filter"
    return Log.of_file(file, rows, fields).unique(advice)
