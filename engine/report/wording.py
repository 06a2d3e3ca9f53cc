"""The certificate's own sentences in the units of page and card: budgets in percent, excess in points or nats.

A certificate writes shares (`above 0.05`), as specs do. Names in quotes are left as they are, whatever they hold, and
isolated. Knows phrases of sentences, and nothing of what is said.
"""

import re
from collections.abc import Iterable, Iterator

from markupsafe import Markup

from earmark.engine.report.numbers import Unit, percent, unit_of
from earmark.engine.report.words import isolated
from earmark.engine.signoff.certificate import Certificate

_END = r"(?![\w%]|\.\d)"
_FRACTION = rf"(?P<number>0?\.\d+|\d(?:\.\d+)?e-\d+){_END}"
_EXCESS = re.compile(rf"\b(?P<before>above|within|bound|end|seen is) (?P<number>\d*\.?\d+){_END}")
_SHARE = re.compile(rf"\b(?P<before>[Aa]t|budget|below|approves|level|have|and) {_FRACTION}")
_WHOLE = re.compile(rf"\b(?P<before>at|budget|below) (?P<number>1){_END}(?! of \d)")
_LISTED = re.compile(rf"(?P<before>%, ){_FRACTION}")


class Wording:
    """Writes the sentences of one certificate."""

    def __init__(self, unit: Unit, families: Iterable[str]) -> None:
        self.unit = unit
        longest_first = sorted(set(families), key=lambda name: (-len(name), name))
        self._quoted = re.compile("(" + "|".join(re.escape(f"'{name}'") for name in longest_first) + ")")
        self._any_name = bool(longest_first)

    def words(self, text: str) -> Markup:
        """The text with its numbers in the units of page and card."""
        return Markup("").join(
            Markup("'{}'").format(isolated(piece[1:-1])) if quoted else piece for piece, quoted in self._pieces(text)
        )

    def unmarked(self, text: str) -> str:
        """The same without markup, for what is no page."""
        return "".join(piece for piece, _ in self._pieces(text))

    def sentence(self, text: str) -> Markup:
        """The same with a capital in front and a full stop behind."""
        full = text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
        return self.words(full)

    def _pieces(self, text: str) -> Iterator[tuple[str, bool]]:
        """The text piece by piece, and of each whether it is the name of a family, in its quotes."""
        for i, piece in enumerate(self._quoted.split(text) if self._any_name else [text]):
            quoted = i % 2 == 1
            yield piece if quoted else self._numbers(piece), quoted

    def _numbers(self, piece: str) -> str:
        piece = _EXCESS.sub(lambda match: f"{match['before']} {self._excess(float(match['number']))}", piece)
        for pattern in (_SHARE, _WHOLE):
            piece = pattern.sub(lambda match: f"{match['before']} {percent(float(match['number']))}", piece)
        while _LISTED.search(piece):  # further budgets of a list
            piece = _LISTED.sub(lambda match: match["before"] + percent(float(match["number"])), piece)
        return piece

    def _excess(self, value: float) -> str:
        return self.unit.tolerance(value)


def wording_of(certificate: Certificate) -> Wording:
    """The wording that knows the unit and the families of a certificate."""
    families = {family.family for result in certificate.results for family in result.families}
    return Wording(unit_of(certificate.rule.loss), families)
