"""Which column of a table is what: as declared, else by type and usual names; where two might be meant, neither is.

Knows schemas of Parquet and Arrow, and what datasets writes into them; reads no row.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from string import ascii_lowercase
from typing import Any, NamedTuple

from earmark.engine.corpus.arrow_files import ARROW, open_arrow
from earmark.engine.corpus.table_files import first_fields
from earmark.engine.errors import InputError, choose, first_few
from earmark.engine.reading import check_regular, parse_json

# The usual names of each role. The first stands before all others; where two of the others are there, none is taken.
USUAL_NAMES = {
    "audio": (
        "audio", "audio_path", "audio_file", "audio_file_name", "audio_filename", "file_name", "filename",
        "file", "path", "wav", "wav_path", "sound", "recording", "clip", "speech", "context",
    ),
    "question": (
        "question", "question_text", "query", "prompt", "instruction",
    ),
    "choices": (
        "choices", "options", "multi_choice", "multiple_choice", "choice", "answer_choices", "candidates",
        "mc_options",
    ),
    "answer": (
        "answer", "answer_gt", "correct_answer", "answer_key", "answerKey", "answer_index", "answer_idx",
        "answer_label", "correct", "correct_option", "correct_choice", "label", "target", "gt", "ground_truth",
        "gold", "solution",
    ),
}  # fmt: skip
# Of these the first that is there is taken: a wrong name or family is seen, and harms no answer.
_FIRST_OF = {
    "family": (
        "family", "task_name", "task", "task_type", "question_type", "sub-category", "sub_category",
        "subcategory", "category", "type", "domain",
    ),
    "category": ("category",),
    "source_id": ("source_id",),
}  # fmt: skip
FROM_0, FROM_1 = "answer_from_0", "answer_from_1"  # an answer that is the place of an option
ROLES = (*USUAL_NAMES, FROM_0, FROM_1, "sample_id", *_FIRST_OF)
_OPTION = re.compile(r"((?:choice|option|opt|op|candidate)s?[_ -]?)([A-Za-z\d])|()([A-Z])")
_ROWS_OF_LETTERS = (ascii_lowercase, "0123456789", "123456789")
_DECLARE = 'say which with --column {role}=NAME (in a spec, [corpus] columns = {{ {role} = "NAME" }})'


class Typed(NamedTuple):
    """What the schema of a table says of a column."""

    is_recording: bool  # bytes, or a struct with bytes
    is_value: bool  # a text, a number, true or false
    names: tuple[str, ...] = ()  # that its numbers stand for


class Roles(NamedTuple):
    """The columns of a question. What is empty, no column says."""

    audio: str
    question: str
    choices: tuple[str, ...]  # a column with all options of a row, or a column for each
    answer: str
    answer_from: int | None  # of an answer that is a place: the number of the first; None: not declared
    sample_id: str
    source_id: str
    family: str
    category: str

    @property
    def columns(self) -> set[str]:
        """All columns that are no mere labels."""
        return {self.audio, self.question, *self.choices, self.answer, self.sample_id, self.source_id} - {""}


def typed_columns(path: Path, name: str) -> dict[str, Typed]:
    """The columns of a Parquet or Arrow file in their order; InputError where it cannot be read."""
    if path.suffix.lower() in (".jsonl", ".csv"):
        return {field: Typed(is_recording=False, is_value=True) for field in first_fields(path)}
    if path.suffix == ARROW:
        with open_arrow(path, name) as reader:
            return _columns_of(reader.schema, name)
    return _columns_of_parquet(path, name)


def roles_of(columns: Mapping[str, Typed], declared: Mapping[str, str], where: object) -> Roles:
    """Which column of a table is what; InputError where a declared one is not there, or none or several might be it."""
    for role, name in declared.items():
        if role not in ROLES:
            raise InputError(f"column {role}={name}", f"'{role}' is nothing that a column may be", choose(role, ROLES))
        if not any(fnmatchcase(column, name) if role == "choices" else column == name for column in columns):
            raise InputError(f"column {role}={name}", f"{where} has no such column", choose(name, columns))
    answers = [role for role in ("answer", FROM_0, FROM_1) if role in declared]
    if len(answers) > 1:
        raise InputError(f"columns {first_few(answers)}", "are three ways to say what an answer is", "declare one")
    first_of = {role: _first_of(role, names, columns, declared) for role, names in _FIRST_OF.items()}
    answer = declared[answers[0]] if answers else _usual("answer", columns, where)
    return Roles(
        audio=declared.get("audio") or _audio(columns, where),
        question=declared.get("question") or _usual("question", columns, where),
        choices=_choices(columns, declared, where),
        answer=answer,
        answer_from={FROM_0: 0, FROM_1: 1}.get(answers[0]) if answers else None,
        sample_id=declared.get("sample_id", ""),
        **first_of,
    )


def _audio(columns: Mapping[str, Typed], where: object) -> str:
    """The one column that holds recordings, else one that names their files."""
    recordings = [name for name, typed in columns.items() if typed.is_recording]
    if len(recordings) == 1 or "audio" in recordings:
        return "audio" if "audio" in recordings else recordings[0]
    if recordings:
        raise _several("audio", recordings, where)
    values = {name: typed for name, typed in columns.items() if typed.is_value}
    if not any(name in values for name in USUAL_NAMES["audio"]):
        what = f"no column holds recordings, or is called like the names of their files ({', '.join(columns)})"
        raise InputError(where, what, _DECLARE.format(role="audio"))
    return _usual("audio", values, where)


def _choices(columns: Mapping[str, Typed], declared: Mapping[str, str], where: object) -> tuple[str, ...]:
    """The column of options, or the columns of one option each."""
    if "choices" in declared:
        return tuple(sorted(name for name in columns if fnmatchcase(name, declared["choices"])))
    if not any(name in columns for name in USUAL_NAMES["choices"]):
        for _, group in groupby(sorted(_options(columns)), key=lambda option: option[0]):
            letters, names = zip(*((letter, name) for _, letter, name in group), strict=True)
            if len(letters) > 1 and any(list(letters) == list(row[: len(letters)]) for row in _ROWS_OF_LETTERS):
                return tuple(names)
    return (_usual("choices", columns, where),)


def _options(columns: Iterable[str]) -> Iterable[tuple[str, str, str]]:
    """The columns that are called like an option: what comes before its letter, the letter, the column."""
    for name in columns:
        if match := _OPTION.fullmatch(name):
            yield match[1] or "", (match[2] or match[4]).lower(), name


def _usual(role: str, columns: Mapping[str, Typed], where: object) -> str:
    """The column with a usual name of a role."""
    first, *others = USUAL_NAMES[role]
    present = [first] if first in columns else [name for name in others if name in columns]
    if len(present) == 1:
        return present[0]
    if present:
        raise _several(role, present, where)
    raise InputError(
        where, f"no column is called like {_noun(role)} ({', '.join(columns)})", _DECLARE.format(role=role)
    )


def _first_of(role: str, names: Sequence[str], columns: Mapping[str, Typed], declared: Mapping[str, str]) -> str:
    values = [name for name in names if name in columns and columns[name].is_value]
    return declared.get(role) or next(iter(values), "")


def _several(role: str, names: Sequence[str], where: object) -> InputError:
    return InputError(where, f"{first_few(names, 5)} might each be {_noun(role)}", _DECLARE.format(role=role))


def _noun(role: str) -> str:
    return {"choices": "the options", "audio": "the recording"}.get(role, f"the {role}")


# Schemas ---------------------------------------------------------------------------------------------------


def _typed(kind: Any, feature: Any) -> Typed:
    """What is known of a column: its type, and what datasets says of it."""
    import pyarrow.types as types

    inner = kind.value_type if types.is_dictionary(kind) else kind
    has_bytes = types.is_struct(inner) and inner.get_field_index("bytes") >= 0 and _may_hold_bytes(inner)
    said_kind = feature.get("_type") if isinstance(feature, dict) else None
    names = feature.get("names") if said_kind == "ClassLabel" else None
    is_text = types.is_string(inner) or types.is_large_string(inner) or types.is_string_view(inner)
    is_number = types.is_integer(inner) or types.is_floating(inner) or types.is_boolean(inner)
    return Typed(
        is_recording=(has_bytes or _is_binary(inner)) and said_kind in (None, "Audio", "Value"),
        is_value=bool(is_text or is_number),
        names=tuple(map(str, names)) if isinstance(names, list) else (),
    )


def _may_hold_bytes(kind: Any) -> bool:
    """Whether a field `bytes` holds some, or has no type, as where it is empty in every row, and a path beside it."""
    import pyarrow.types as types

    inner = kind.field("bytes").type
    return _is_binary(inner) or (types.is_null(inner) and kind.get_field_index("path") >= 0)


def _is_binary(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _features(metadata: Mapping[bytes, bytes], name: str) -> Mapping[str, Any]:
    """What datasets wrote about the columns: {"info": {"features": {COLUMN: {"_type": ..., "names": [...]}}}}."""
    if b"huggingface" not in metadata:
        return {}
    content = parse_json(metadata[b"huggingface"], f"{name} (what datasets wrote into it)", "save it again")
    info = content.get("info") if isinstance(content, dict) else None
    features = info.get("features") if isinstance(info, dict) else None
    return features if isinstance(features, dict) else {}


def _columns_of(schema: Any, name: str) -> dict[str, Typed]:
    """The columns of a schema; ValueError where one has a name that is no text."""
    features = _features(schema.metadata or {}, name)
    return {field.name: _typed(field.type, features.get(field.name)) for field in schema}


def _columns_of_parquet(path: Path, name: str) -> dict[str, Typed]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    do = "write it again, or download it again"
    check_regular(path, do)
    try:
        return _columns_of(pq.read_schema(path), name)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(name, f"is not a whole Parquet file ({reason})", do) from None
