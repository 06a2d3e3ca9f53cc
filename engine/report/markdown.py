"""Markdown with names of others in it: what would be markup, or a link, is shown as it is. Knows no certificate."""

import re
from collections.abc import Sequence

from earmark.engine.printable import printable

_MARKUP = re.compile(r"[\\`*_\[\]<>|~$&]|(?<=:)/(?=/)|(?<=www)\.")
_LIST_OR_HEADING = re.compile(r"^(\d*)([-+.)]|#+)(?=\s|$)")


def markdown(text: object) -> str:
    """A text as one line of Markdown that shows it as it is."""
    escaped = _MARKUP.sub(lambda match: "\\" + match[0], printable(text).strip())
    return _LIST_OR_HEADING.sub(r"\1\\\2", escaped)


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """The lines of a table; every cell is shown as it is."""
    return [
        "| " + " | ".join(map(markdown, columns)) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(map(markdown, row)) + " |" for row in rows),
    ]
