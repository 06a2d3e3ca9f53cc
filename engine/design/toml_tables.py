"""TOML tables whose every refusal says where: file, line, section, key and value, and what is wanted instead.

`tomllib` keeps no lines, so they are looked up in the text. Knows no spec: `fields` says what a key may hold.
"""

import re
import tomllib
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from earmark.engine.design.fields import NEEDED, Check, Either, Field, Word, default_of, fields_of, shown
from earmark.engine.errors import InputError, choose, instead

MOST_SECTIONS = 256  # that an array of sections may have
_MOST_DOTS = 400  # in a line: what a nested key costs to be read grows with their square
_SECTION = re.compile(r"\s*(\[\[?)([^\[\]]+)\]\]?\s*(?:#.*)?$")  # no two blanks that could share a run of them
_KEY = re.compile(r"\s*(?:\"([^\"]+)\"|'([^']+)'|([\w-]+))\s*(?:\.|=)")


class TomlTable:
    """One section of a file, which a dataclass describes."""

    def __init__(
        self, file: str, section: str, values: Mapping[str, Any], line_of: Callable[[str | None], int]
    ) -> None:
        self.section = section
        self._file = file
        self.values = dict(values)
        self._line_of = line_of  # of a key, or of the header; 0 where the file has no such section

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def read(self, described: Any, without: Container[str] = ()) -> dict[str, Any]:
        """The keys that are given, each as its field's check returns it; what else stands here is refused."""
        fields = {key: field for key, field in fields_of(described).items() if key not in without}
        self._refuse_renamed(fields)
        self._refuse_unknown(list(fields))
        for key, field in fields.items():
            if key not in self.values and default_of(described, key) is NEEDED:
                raise InputError(self.where(None), f"lacks {key}", f"add {key} = {field.check.wanted}")
        return {key: self._value(key, field) for key, field in fields.items() if key in self.values}

    def _value(self, key: str, field: Field) -> Any:
        value = self.values[key]
        if isinstance(field.check, Either) and isinstance(value, list):
            return self._each(key, field.check.each)
        if field.many:
            return self._each(key, field.check)
        try:
            return field.check(value)
        except (ValueError, TypeError):
            raise self.refusal(key, f"must be {field.check.wanted}", _instead(field.check, value)) from None

    def _each(self, key: str, check: Check) -> tuple[Any, ...]:
        """A list, every item checked."""
        value = self.values[key]
        if not isinstance(value, list) or not value:
            raise self.refusal(key, f"must be a list of {check.wanted}", "write at least one, in brackets")
        items: list[Any] = []
        different: set[Any] = set()
        for place, item in enumerate(value):
            try:
                items.append(check(item))
            except (ValueError, TypeError):
                raise self.refusal(f"{key}[{place}]", f"must be {check.wanted}", "change it", item) from None
            if items[-1] in different:
                raise self.refusal(f"{key}[{place}]", "stands twice", "give each once", item)
            different.add(items[-1])
        return tuple(items)

    def _refuse_renamed(self, fields: Mapping[str, Field]) -> None:
        """Refuse a key by a name that it had, and say its name of today."""
        for key, field in fields.items():
            for name in field.formerly:
                if name in self.values:
                    raise self.refusal(name, f"is called {key} now", f"write {key} = ...")

    def _refuse_unknown(self, known: list[str]) -> None:
        for key in self.values:
            if key not in known:
                raise self.refusal(key, "is an unknown key", choose(key, known))

    def refusal(self, key: str | None, what: str, do: str, value: object = None) -> InputError:
        """An error at a key (`budgets[2]` is one too), with its value."""
        shown = "" if key is None else f" {key}"
        name = (key or "").partition("[")[0]
        written = self.values.get(name) if value is None else value
        if written is not None and not isinstance(written, Mapping):
            shown += f" = {_written(written)}"
        return InputError(self.where(name or None) + shown, what, do)

    def where(self, key: str | None) -> str:
        """`spec.toml line 12 [sweep]`."""
        line = self._line_of(key)
        return f"{self._file}{f' line {line}' if line else ''} [{self.section}]"


class TomlDocument:
    """A parsed file, section by section."""

    def __init__(self, text: str, file: str, sections: Sequence[str]) -> None:
        """InputError for what is no TOML, or has other sections than these."""
        self.text = text
        self._file = file
        for number, line in enumerate(text.split("\n"), 1):
            if line.count(".") > _MOST_DOTS:
                raise InputError(f"{file} line {number}", f"has more than {_MOST_DOTS} dots", "break the line")
        try:
            self._data = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # a number of 4301 digits is no TOMLDecodeError
            raise InputError(file, f"is not TOML ({error})", "correct that line") from None
        self._places = _places(text)
        self._refuse_unknown(sections)

    def table(self, section: str) -> TomlTable:
        """A section; empty where the file has none."""
        values = self._data.get(section, {})
        if not isinstance(values, Mapping):
            raise self._misplaced(section, f"[{section}]")
        return self._table(section, 0, [values])

    def tables(self, section: str) -> list[TomlTable]:
        """The sections of an array, `[[section]]`, in order."""
        values = self._data.get(section, [])
        if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
            raise self._misplaced(section, f"[[{section}]]")
        if len(values) > MOST_SECTIONS:
            what = f"stands {len(values):,} times, more than {MOST_SECTIONS}"
            raise InputError(f"{self._file} [[{section}]]", what, "part it into several specs")
        return [self._table(section, number, values) for number in range(len(values))]

    def _refuse_unknown(self, sections: Sequence[str]) -> None:
        for section in self._data:
            if section not in sections:
                line = self._places.get((section, 0), (_line_of(self.text, section), {}))[0]
                where = f"{self._file} line {line} [{section}]"
                raise InputError(where, "is an unknown section", choose(section, sections))

    def _table(self, section: str, number: int, tables: Sequence[Mapping[str, Any]]) -> TomlTable:
        """The section of this number among those of its name."""
        values = tables[number]
        header, lines = self._places.get((section, number), (0, {}))

        def line_of(key: str | None) -> int:
            if header or not values:
                return lines.get(key or "", header)
            line = _line_of(self.text, section)  # dotted or inline: no header
            if key is None or key not in values:
                return line
            return _inline(self.text, section, line, key, sum(key in table for table in tables[:number]))

        return TomlTable(self._file, section, values, line_of)

    def _misplaced(self, section: str, wanted: str) -> InputError:
        line = self._places.get((section, 0), (_line_of(self.text, section), {}))[0]
        where = f"{self._file} line {line} {section}"
        return InputError(where, f"must be a section {wanted}", f"begin it with {wanted}")


def _instead(check: Check, value: object) -> str:
    """What to do about a value that is refused: the word that was meant, where the check knows words."""
    words = check.words if isinstance(check, Word | Either) else ()
    return instead(f'"{value}"', [f'"{word}"' for word in words], "change it")


def _places(text: str) -> dict[tuple[str, int], tuple[int, dict[str, int]]]:
    """(section, its number among those of its name) -> the line of its header and of its keys."""
    places: dict[tuple[str, int], tuple[int, dict[str, int]]] = {}
    keys: dict[str, int] = {}
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _SECTION.match(line):
            name = header[2].strip().strip("\"' ")
            top, _, rest = name.partition(".")
            if rest:  # [rule.parents]: a key of its section
                place = places.setdefault((top, max(0, seen.get(top, 1) - 1)), (number, {}))
                place[1].setdefault(rest.partition(".")[0], number)
                keys = {}
                continue
            keys = {}
            places[name, seen.get(name, 0)] = (number, keys)
            seen[name] = seen.get(name, 0) + 1
        elif key := _KEY.match(line):
            keys.setdefault(key[1] or key[2] or key[3], number)
    return places


def _line_of(text: str, key: str) -> int:
    place = re.search(rf"^[ \t]*+\[*+[ \t]*+{re.escape(key)}\b", text, re.MULTILINE)
    return text.count("\n", 0, place.end()) + 1 if place else 1


def _inline(text: str, section: str, line: int, key: str, number: int) -> int:
    """The line of a key in a section without a header, or the section's; `number` tables before it have that key."""
    name = rf"[\"']?{re.escape(key)}\b[\"']?[ \t]*+[.=]"
    dotted = re.search(rf"^[ \t]*+[\"']?{re.escape(section)}[\"']?[ \t]*+\.[ \t]*+{name}", text, re.MULTILINE)
    if dotted:
        return text.count("\n", 0, dotted.end()) + 1
    start = sum(map(len, text.splitlines(keepends=True)[: line - 1]))
    places = [match.end() for match in re.finditer(rf"(?<![\w-]){name}", text[start:])]
    return line + text.count("\n", start, start + places[number]) if number < len(places) else line


def _written(value: object) -> str:
    """As TOML writes it, cut short."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return shown(f'"{value}"' if isinstance(value, str) else value)
