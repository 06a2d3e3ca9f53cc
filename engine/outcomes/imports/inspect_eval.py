"""A log of inspect: a `.eval` file, which is a zip of header.json and one JSON file per sample and epoch.

Reads it without inspect, zstd-compressed entries included. A sample that failed keeps its row, with an error status.
Knows nothing of the log that it is paired with.
"""

import json
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes.imports import log_files
from earmark.engine.outcomes.imports.option_counts import count_choices
from earmark.engine.outcomes.imports.rows import Fields, Log, LogRow, Record, log_row
from earmark.engine.reading import MOST_JSON_BYTES
from earmark.engine.zip_files import DAMAGE_ERRORS, unpacked

_FEWEST_BYTES = 1 << 30  # a log may unpack to this much, or to _MOST_RATIO times its size where that is more
_MOST_RATIO = 50
_SAMPLE = re.compile(r"samples/(?P<sample>.+_epoch_\d+)(?:\.json|/sample\.json)", re.DOTALL)
_BULK = (
    "messages",
    "events",
    "events_data",
    "timelines",
    "store",
    "attachments",
)  # large, and nothing a row is made of
_OWN = Fields(id="id", source="id", correct="target")
_GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}  # N: no answer


def read(path: Path, fields: Fields) -> Log:
    """Every sample of every epoch; raises InputError where the evaluation did not finish or the scorer is not plain."""
    if path.is_dir():
        path = log_files.find_log(path, "*.eval")
    log_files.expect(path, "inspect")
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGE_ERRORS as error:
        raise InputError(
            path,
            f"is not a whole .eval file ({error})",
            "copy it again, or make one of a .json log with `inspect log convert --to eval`",
        ) from error
    with archive:
        header, records = _entries(path, archive)
    spec = header.get("eval")
    about = Record(f"{path}:header.json", spec if isinstance(spec, dict) else {})
    scorer = _scorer(path, records, fields.scorer)
    fields = replace(fields, scorer=scorer, metric=fields.metric or f"scores.{scorer}.value")
    several_epochs = any(record.data.get("epoch") != 1 for record in records)
    return Log(
        path,
        [_row(record, fields, several_epochs) for record in records],
        fields,
        model=about.own_text("model"),
        task=about.own_text("task"),
        records=records,
    ).unique()


def _row(record: Record, fields: Fields, several_epochs: bool) -> LogRow:
    metric = fields.metric or ""
    score = (record.get("scores") or {}).get(fields.scorer)
    value = record.need(metric, "--metric") if score else None
    error = _failure(record, value)
    answer, choices = (score or {}).get("answer"), record.get("choices")
    row = log_row(
        record,
        fields,
        _OWN,
        loss=None if error else 1 - _credit(record, metric, value),
        answer="" if value == "N" else None if answer is None else str(answer),
        n_options=count_choices(choices),
        error=error,
        question={
            "epoch": str(record.data.get("epoch")) if several_epochs else None,
            "prompt": _prompt(record),
            "choices": json.dumps(choices) if choices else None,
            "target": json.dumps(record.get("target")),
        },
    )
    return replace(row, sample_id=f"{row.sample_id}#{record.data.get('epoch')}") if several_epochs else row


def _failure(record: Record, value: Any) -> str | None:
    """The error status of a sample that has no outcome, or None where it has one."""
    error = record.get("error")
    if error is not None:
        message = str(error.get("message") if isinstance(error, Mapping) else error).strip()
        return "error: " + (message.splitlines() or ["no message"])[0].strip()
    if record.get("invalidation") is not None:
        return "error: invalidated"
    unscored = value is None or (isinstance(value, float) and math.isnan(value))  # NaN is inspect's own sign
    return "error: unscored" if unscored else None


def _credit(record: Record, metric: str, value: Any) -> float:
    """The share of a right answer that a score is worth: inspect's grades, or a number in [0, 1]."""
    grade = _GRADES.get(value) if isinstance(value, str) else None
    return record.share(metric, "--metric") if grade is None else grade


def _prompt(record: Record) -> str | None:
    """The texts of the input, without the audio; None where some of them lie elsewhere in the log."""
    sample_input = record.get("input")
    texts = [sample_input] if isinstance(sample_input, str) else []
    for message in sample_input if isinstance(sample_input, list) else []:
        content = message.get("content") if isinstance(message, Mapping) else None
        parts = [{"text": content}] if isinstance(content, str) else content if isinstance(content, list) else []
        texts += [part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str)]
    if any(text.startswith(("attachment://", "tc://")) for text in texts):
        return None
    return "\n".join(texts)


def _scorer(path: Path, records: Sequence[Record], scorer: str | None) -> str:
    """The name of the scorer to read: the one that the user named, or the only one; InputError for anything else."""
    names = sorted({name for record in records for name in record.data.get("scores") or {}})
    if not names:
        failed = [status for record in records if (status := _failure(record, 0)) is not None]
        if len(failed) == len(records):
            raise InputError(path, f"every sample failed ({failed[0]})", "run the evaluation again")
        raise InputError(path, "no sample has a score", "score the log first (`inspect score`)")
    if scorer is not None and scorer not in names:
        raise InputError(path, f"no scorer '{scorer}' (there are {first_few(names, 8)})", "name another --scorer")
    if scorer is None and len(names) > 1:
        raise InputError(path, f"has {len(names)} scorers ({first_few(names, 8)})", "choose one with --scorer")
    return scorer or str(names[0])


# The zip ---------------------------------------------------------------------------------------------------


def _entries(path: Path, archive: zipfile.ZipFile) -> tuple[Mapping[str, Any], list[Record]]:
    """The header and the samples, without their bulk."""
    entries = {info.filename: info for info in archive.infolist()}  # an entry that stands twice was redone: the last
    if "header.json" not in entries:
        if "_journal/start.json" in entries:
            raise InputError(path, "the evaluation did not finish", "finish it with `inspect eval-retry`")
        raise InputError(path, "is a zip without header.json", "give a log that inspect wrote (.eval)")
    contents = _Contents(path, archive)
    header = contents.of(entries["header.json"])
    status = header.get("status")
    if status != "success":
        raise InputError(path, f"the evaluation ended with status '{status}'", "finish it with `inspect eval-retry`")
    records = []
    for name, info in sorted(entries.items()):
        match = _SAMPLE.fullmatch(name)
        if match is None:
            continue
        sample = contents.of(info)
        metadata = entries.get(f"samples/{match['sample']}/metadata.json")  # apart, where a sample lies in pieces
        if metadata is not None:
            sample["metadata"] = contents.of(metadata)
        record = Record(f"{path}:{name}", {key: sample[key] for key in sample if key not in _BULK})
        _check_form(record)
        records.append(record)
    if not records:
        raise InputError(path, "the log has no samples", "run the evaluation again, with its samples logged")
    return header, records


def _check_form(record: Record) -> None:
    """InputError for a sample whose epoch is no number, or whose scores are not those of scorers by their names."""
    scores = record.data.get("scores")
    by_name = scores is None or (isinstance(scores, dict) and all(_is_score(score) for score in scores.values()))
    for key, valid in (("epoch", type(record.data.get("epoch")) is int), ("scores", by_name)):
        if not valid:
            raise InputError(record.where, f"has no {key} as inspect writes them", "give a log that inspect wrote")


def _is_score(score: Any) -> bool:
    return score is None or isinstance(score, dict)


class _Contents:
    """The JSON objects in the entries of a zip, as long as all of them together are no bomb."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        self._bytes_left = max(_FEWEST_BYTES, _MOST_RATIO * path.stat().st_size)

    def of(self, info: zipfile.ZipInfo) -> dict[str, Any]:
        """The JSON object in an entry."""
        where = f"{self._path}:{info.filename}"
        try:
            data = unpacked(self._archive, info, MOST_JSON_BYTES)
        except DAMAGE_ERRORS as error:
            raise InputError(where, f"cannot be read ({error})", "copy the log again") from error
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            what = f"unpacks to more than {_FEWEST_BYTES:,} bytes and {_MOST_RATIO} times its size"
            raise InputError(self._path, what, "give a log that inspect wrote (.eval)")
        value = log_files.parse(data, where)
        if not isinstance(value, dict):
            raise InputError(where, "is not a JSON object", "give a log that inspect wrote (.eval)")
        return value
