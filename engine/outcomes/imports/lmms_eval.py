"""A log of lmms-eval (`--log_samples`): `<out>/<model>/<date>_samples_<task>.jsonl`.

The doc is dropped from its rows, so that a family sits in what the task's metric returned
(`mmar_accuracy.category`). Knows nothing of the log that it is paired with.
"""

import re
from dataclasses import replace
from pathlib import Path

from earmark.engine.outcomes.imports import log_files
from earmark.engine.outcomes.imports.responses import scored_row
from earmark.engine.outcomes.imports.rows import Fields, Log, only_metric

_NAME = re.compile(r"(?:(?P<date>\d[\dT_.-]*)_)?samples_(?P<task>.+)\.jsonl")
_OWN = Fields(id="doc_id", correct="target")
_NOT_METRICS = (
    "doc_id", "doc", "target", "input", "input_media", "arguments", "resps", "filtered_resps", "token_counts",
    "doc_hash", "submission",
)  # fmt: skip


def read(path: Path, fields: Fields) -> Log:
    """All rows; raises InputError where the metric is not plain."""
    path = log_files.find_log(path, "*samples_*.jsonl")
    log_files.expect(path, "lmms-eval")
    records = log_files.json_lines(path)
    metric = fields.metric or only_metric(path, records, _NOT_METRICS)
    name = _NAME.fullmatch(path.name)
    model = log_files.model_beside(path, name and name["date"])
    return Log(
        path,
        [scored_row(record, fields, _OWN, metric, "input") for record in records],
        replace(fields, metric=metric),
        model=model.name,
        task=name and name["task"],
        unnamed=model.distrust,
        records=records,
    ).unique("a task with several filters writes one row each without naming it: log it with a single filter")
