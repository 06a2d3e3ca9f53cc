"""Texts of others on a terminal: what would steer it, hide or reorder text becomes a visible escape such as \\x1b.

Letters of every script stay. Knows no terminal.
"""

import json
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Any

WIDTH = 80  # characters of a line, where no terminal says otherwise
_VISIBLE_FORMATS = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
_JOINERS = "\u200c\u200d"  # between letters of scripts that join, or parts of one emoji, they belong to the text
_FIRST_JOINING = 0x0590  # Latin, Greek and Cyrillic come before
_SUSPECT = re.compile(r"[^ -~]")


def printable(text: object) -> str:
    """A text as one line that a terminal shows as it is; doing it twice changes nothing."""
    return escape_hidden(str(text), lambda char: char.encode("unicode_escape", "surrogatepass").decode("ascii"))


def printable_json(content: Any, indent: int | None = None) -> str:
    """Content as JSON whose lines a terminal shows as they are, and which reads back to the same content."""
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    return escape_hidden(text, lambda char: char if char == "\n" else json.dumps(char)[1:-1])


def shortened(text: str, width: int) -> str:
    """A text of at most so many characters: of a longer one its beginning and its end, `learned_..seed 42`."""
    if len(text) <= width:
        return text
    kept = max(width - 2, 2)
    return f"{text[: kept - kept // 2]}..{text[len(text) - kept // 2 :]}"


def shortened_apart(texts: Iterable[str], width: int) -> dict[str, str] | None:
    """Each text, and what stays of it in so many characters, another of every other text.

    All are cut at the same places, or around the first place where they differ. None where that leaves two the same.
    """
    texts = set(texts)
    for cut in (*_cuts(width), _around_differences(texts, width)):
        short = {text: text if len(text) <= width else cut(text) for text in texts}
        if len(set(short.values())) == len(texts):
            return short
    return None


def wrapped(text: str, width: int) -> list[str]:
    """A text as lines that end where words do, and that have at most so many characters unless one word has more.

    Lines after the first are indented by two more.
    """
    indent = " " * (len(text) - len(text.lstrip(" ")) + 2)
    lines = textwrap.wrap(
        printable(text), width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return lines or [""]


def columns_of(words: str) -> int:
    """Width in columns of a terminal: wide characters are two, combining ones none."""
    if words.isascii():
        return len(words)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in words)


def escape_hidden(text: str, escape: Callable[[str], str]) -> str:
    """A text with `escape` of every character that steers a terminal, hides or reorders what is beside it."""
    return _SUSPECT.sub(lambda match: match[0] if _shows(text, match.start()) else escape(match[0]), text)


def _cuts(width: int) -> Iterator[Callable[[str], str]]:
    """Ways to cut a text: its beginning and its end, first as long as each other, then ever less so."""
    yield lambda text: shortened(text, width)
    half = (width - 2) // 2
    for n_end in sorted(range(width - 2), key=lambda n: abs(n - half)):
        yield lambda text, n_end=n_end: f"{text[: width - 2 - n_end]}..{text[len(text) - n_end :]}"  # type: ignore[misc]


def _around_differences(texts: set[str], width: int) -> Callable[[str], str]:
    """Cut texts that begin and end alike to a letter, `..`, and what is around the first place where they differ."""
    alike: dict[str, list[str]] = {}
    for text in texts:
        alike.setdefault(shortened(text, width), []).append(text)
    room = width - 5  # a letter, two dots before, two after

    def cut(text: str) -> str:
        begin = _first_difference(alike[shortened(text, width)]) - room // 2
        return f"{text[:1]}..{text[begin : begin + room]}.."

    return cut


def _first_difference(texts: list[str]) -> int:
    """The first place where they have different letters, or where one ends."""
    columns = enumerate(zip(*texts, strict=False))
    return next((i for i, letters in columns if len(set(letters)) > 1), min(map(len, texts)))


def _shows(text: str, place: int) -> bool:
    """Whether the character there is one that people see, or that forms those beside it."""
    char = text[place]
    if char in _JOINERS:
        return 0 < place < len(text) - 1 and _joins(text[place - 1]) and _joins(text[place + 1])
    # controls, formats, surrogates, separators of lines and paragraphs
    return char in _VISIBLE_FORMATS or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _joins(char: str) -> bool:
    return ord(char) >= _FIRST_JOINING and unicodedata.category(char)[0] in "LMS"


def more_families(n: int) -> str:
    """So many that are not named: `1 more family`."""
    return f"{n:,} more famil{'y' if n == 1 else 'ies'}"
