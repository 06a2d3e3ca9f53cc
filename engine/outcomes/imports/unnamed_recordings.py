"""Which fields of a log look like the recording of a question and repeat, where nobody has named the recording.

Questions about one recording are not independent, so a recording that repeats and is not named is a doubt. No row is
changed. Knows rows and the names that people give to recordings; no harness.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from earmark.engine.outcomes.imports.rows import Log, LogRow, by_task

_DEPTH = 5  # keys and places: input.0.content.1.audio of inspect
_LIST_ITEMS = 8  # as many items of a list are looked at
_OUTCOMES = (  # keys of the harnesses that hold answers, not questions
    "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "scores", "output",
    "doc_hash", "prompt_hash", "target_hash", "token_counts",
)  # fmt: skip

# A name says recording where it is made of such nouns and of words that say which of its properties: audio_path,
# originalFileName, youtube_id. Any other word makes it something else: audio_duration, source_language.
_NOUN = (
    "recording|audio|sound|clip|file|wave|wav|waveform|flac|mp3|video|track|url|uri|utterance|utt|segment|speaker|spk|"
    "session|source|src|path|youtube|yt|song|conversation|dialogue|dialog|episode|meeting|lecture|podcast|interview"
)
_OF = "id|uid|uuid|idx|index|name|title|key|hash|md5|sha1|sha256|basename|stem|original|orig|raw|input|parent|base|full"
_NAME = re.compile(rf"(?:{_OF}|\d)*(?:{_NOUN})s?(?:{_OF}|{_NOUN}|s|\d)*")
_PROPERTY = re.compile(rf"(?:{_OF})+")
_NAME_LENGTH = 60
_AUDIO = re.compile(
    r"\S.*\.(?:wav|flac|mp3|ogg|oga|opus|m4a|aac|wma|aiff?|mp4|webm|mkv)(?:[?#]\S*)?"
    r"|(?:\S*/)?(?:audios?|wavs?|clips?|recordings?)/\S+",
    re.IGNORECASE,
)
_PATH_LENGTH = 500  # a longer text is no path

_ID = re.compile(r"(?P<recording>.+)[/#:|._-](?P<question>[^/#:|._-]+)")
_QUESTIONS = (
    20  # most questions a recording may have for q1, q2, ... to be a doubt where recordings are fewer than those
)
_QUESTION = re.compile(r"(?:q|question|qa|turn)\d+", re.IGNORECASE)


def doubts(log: Log) -> list[str]:
    """A sentence for each field of the log that looks like a recording and repeats, and for ids that do."""
    return [*_fields(log), *(doubt for task, part in by_task(log).items() for doubt in _ids(part, task))]


def _fields(log: Log) -> Iterator[str]:
    values: dict[str, dict[int, str]] = defaultdict(dict)  # by path, then by the place of the row
    names: dict[str, tuple[str, str]] = {}
    for i, record in enumerate(log.records):
        data = {key: value for key, value in record.data.items() if key not in _OUTCOMES}
        for path, keys, text in _texts(data, "", ("", ""), _DEPTH):
            values[path][i] = text
            names[path] = keys
    for path, texts in values.items():
        rows = [log.rows[i] for i in texts]
        # Compared with the sources, not the rows: the epochs of a question share their source already.
        different, sources = len(set(texts.values())), len({row.source_id for row in rows})
        if not 1 < different < sources or not _looks_like_recording(names[path], texts.values()):
            continue
        if path == log.fields.family or _says_something_else(list(texts.values()), rows):
            continue
        yield (
            f"field '{path}' looks like the recording of a question and repeats: {different} values in {len(texts)} "
            f"rows. Rows of one recording are not independent: name it with --source {path}, or --source none"
        )


def _texts(value: Any, path: str, keys: tuple[str, str], depth: int) -> Iterator[tuple[str, tuple[str, str], str]]:
    """Path, last two keys (parent, key) and text of everything in a row that could name a recording."""
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        value = ", ".join(value)  # as `Record.text` reads it
    if isinstance(value, str | int) and not isinstance(value, bool):
        if value != "":
            yield path, keys, str(value)
    elif isinstance(value, Mapping) and depth:
        for key, inner in value.items():
            yield from _texts(inner, f"{path}.{key}" if path else str(key), (keys[1], str(key)), depth - 1)
    elif isinstance(value, list) and depth:
        for place, inner in enumerate(value[:_LIST_ITEMS]):
            if not isinstance(inner, int):  # samples of a waveform, say
                yield from _texts(inner, f"{path}.{place}", keys, depth - 1)


def _looks_like_recording(keys: tuple[str, str], texts: Collection[str]) -> bool:
    parent, last = (re.sub(r"[\s_.-]", "", key).lower()[:_NAME_LENGTH] for key in keys)
    # clip.id says as much as clip_id.
    if _NAME.fullmatch(last) or (_PROPERTY.fullmatch(last) and _NAME.fullmatch(parent)):
        return True
    like = sum(len(text) <= _PATH_LENGTH and _AUDIO.fullmatch(text) is not None for text in texts)
    return like > len(texts) / 2


def _says_something_else(texts: Sequence[str], rows: Sequence[LogRow]) -> bool:
    """Whether a field only repeats the family, the right answer or the answer."""
    return any(
        all(text == known for text, known in zip(texts, known_values, strict=True))
        for known_values in (
            [row.family for row in rows],
            [row.correct for row in rows],
            [row.predicted for row in rows],
        )
    )


def _ids(log: Log, task: str | None) -> Iterator[str]:
    """A doubt where ids such as clip12/q3 may begin with the recording."""
    ids = sorted({row.source_id.removeprefix(f"{task}/") for row in log.rows})
    matches = [match for sample_id in ids if (match := _ID.fullmatch(sample_id)) is not None]
    if len(matches) < len(ids) or not ids:
        return
    rows_of = Counter(match["recording"] for match in matches)
    questions = {match["question"] for match in matches}
    repeating = sum(n > 1 for n in rows_of.values())
    if len(rows_of) < 2 or repeating < len(rows_of) / 2:
        return
    # Either the ends are q1, q2, ..., or the beginnings are numbered and there are more of them than of ends, so that
    # item-0001, MMAR_12, v2-0007 and 2024-01-31 are no doubt.
    questions_are_counted = all(_QUESTION.fullmatch(question) for question in questions)
    recordings_are_numbered = all(re.search(r"\d", recording) for recording in rows_of)
    if len(rows_of) > len(questions):
        doubtful = questions_are_counted or recordings_are_numbered
    else:
        doubtful = questions_are_counted and len(questions) <= _QUESTIONS
    if doubtful:
        yield (
            f"sample ids such as '{ids[0]}' may begin with the recording: {len(rows_of)} beginnings in {len(ids)} "
            "rows. Rows of one recording are not independent: name it with --source, or --source none"
        )
