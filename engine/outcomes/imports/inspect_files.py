"""The two files that inspect writes: `.eval`, a zip of header.json and one JSON file per sample and epoch, and `.json`.

Reads both without inspect, zstd-compressed entries included. Knows nothing of scores.
"""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from earmark.engine.errors import InputError
from earmark.engine.outcomes.imports import log_files
from earmark.engine.outcomes.imports.record import Record
from earmark.engine.reading import MOST_JSON_BYTES, MOST_TABLE_BYTES, open_regular, read_bytes
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
_AS_EVAL = "copy it again, or make an .eval of it with `inspect log convert --to eval`"


def contents(path: Path) -> tuple[Mapping[str, Any], list[Record]]:
    """The header and the samples, without their bulk; InputError where the evaluation did not finish or has none."""
    with open_regular(path, log_files.CHECK, MOST_TABLE_BYTES) as file:
        packed = file.read(2) == b"PK"
    header, records = _unzipped(path) if packed else _of_json(path)
    if not records:
        raise InputError(path, "the log has no samples", "run the evaluation again, with its samples logged")
    return header, records


def _of_json(path: Path) -> tuple[Mapping[str, Any], list[Record]]:
    log = log_files.parse(read_bytes(path, _AS_EVAL, MOST_JSON_BYTES), str(path))
    if not (isinstance(log, dict) and isinstance(log.get("eval"), dict)):
        raise InputError(path, "is no log of inspect", "give a log that inspect wrote (.eval or .json)")
    _check_status(path, log)
    samples = log.get("samples") or []
    if not (isinstance(samples, list) and all(isinstance(sample, dict) for sample in samples)):
        raise InputError(path, "has no list of samples", "give a log that inspect wrote (.eval or .json)")
    return log, [_record(f"{path}:samples[{place}]", sample) for place, sample in enumerate(samples)]


def _unzipped(path: Path) -> tuple[Mapping[str, Any], list[Record]]:
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGE_ERRORS as error:
        raise InputError(path, f"is not a whole .eval file ({error})", "copy it again") from error
    with archive:
        return _of_zip(path, archive)


def _of_zip(path: Path, archive: zipfile.ZipFile) -> tuple[Mapping[str, Any], list[Record]]:
    """The header and the samples, without their bulk."""
    entries = {info.filename: info for info in archive.infolist()}  # an entry that stands twice was redone: the last
    if "header.json" not in entries:
        if "_journal/start.json" in entries:
            raise InputError(path, "the evaluation did not finish", "finish it with `inspect eval-retry`")
        raise InputError(path, "is a zip without header.json", "give a log that inspect wrote (.eval)")
    contents = _Contents(path, archive)
    header = contents.of(entries["header.json"])
    _check_status(path, header)
    records = []
    for name, info in sorted(entries.items()):
        match = _SAMPLE.fullmatch(name)
        if match is None:
            continue
        sample = contents.of(info)
        metadata = entries.get(f"samples/{match['sample']}/metadata.json")  # apart, where a sample lies in pieces
        if metadata is not None:
            sample["metadata"] = contents.of(metadata)
        records.append(_record(f"{path}:{name}", sample))
    return header, records


def _check_status(path: Path, header: Mapping[str, Any]) -> None:
    status = header.get("status")
    if status != "success":
        raise InputError(path, f"the evaluation ended with status '{status}'", "finish it with `inspect eval-retry`")


def _record(where: str, sample: Mapping[str, Any]) -> Record:
    """A sample without its bulk; InputError where it is not as inspect writes them."""
    record = Record(where, {key: sample[key] for key in sample if key not in _BULK})
    _check_form(record)
    return record


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
