"""A log of lm-evaluation-harness (`--log_samples`): `<out>/<model>/samples_<task>_<date>.jsonl`.

Its rows carry the whole doc, so that a family is a path such as `doc.category`. Knows nothing of the log that it is
paired with.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes.imports import harness_runs, log_files
from earmark.engine.outcomes.imports.record import Record, only_metric
from earmark.engine.outcomes.imports.responses import scored_row
from earmark.engine.outcomes.imports.rows import Fields, Log, LogFile

_NAME = re.compile(r"samples_(?P<task>.+?)(?:_(?P<date>\d{4}-\d\d-\d\dT[\d.T-]+))?\.jsonl")
_OWN = Fields(id="doc_id", correct="target")
_NOT_METRICS = (
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics",
    "doc_hash", "prompt_hash", "target_hash",
)  # fmt: skip


def open_file(path: Path) -> LogFile:
    """The records of a samples file, with what the results file of its run says."""
    log_files.expect(path, "lm-eval")
    records = log_files.json_lines(path)
    name = _NAME.fullmatch(path.name)
    return harness_runs.with_results(LogFile(path, records, task=name and name["task"]), name and name["date"])


def read_rows(file: LogFile, fields: Fields) -> Log:
    """The rows of one filter; raises InputError where the filter or the metric is not plain."""
    filter_name = _filter(file.path, file.records, fields.filter)
    records = [record for record in file.records if record.optional_text(None, "filter", "--filter") == filter_name]
    fields = replace(fields, filter=filter_name, metric=fields.metric or only_metric(file.path, records, _NOT_METRICS))
    rows = [scored_row(record, fields, _OWN, "prompt_hash", file.task) for record in records]
    return Log.of_file(file._replace(records=records), rows, fields).unique()


def _filter(path: Path, records: Sequence[Record], filter_name: str | None) -> str | None:
    """The name of the filter to read: the one that the user named, or the only one; InputError for anything else.

    None in logs that do not name any.
    """
    names = list(dict.fromkeys(record.optional_text(None, "filter", "--filter") for record in records))
    if filter_name is not None and filter_name not in names:
        raise InputError(
            path, f"no rows of filter '{filter_name}' (there are {first_few(names, 8)})", "name another --filter"
        )
    if filter_name is None and len(names) > 1:
        raise InputError(
            path, f"every sample stands once per filter ({first_few(names, 8)})", "choose one with --filter"
        )
    return filter_name if filter_name is not None else names[0]
