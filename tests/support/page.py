"""A rendered report taken apart with the standard library. The page is written so that XML parsers read it too."""

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

HEAD = "<!doctype html>\n"


class Page:
    """Refuses a page that is not well-formed; tables are rows of cells, the first row is the head.

    A timeline is no figure: what it shows stands in words above it.
    """

    def __init__(self, source: str) -> None:
        assert source.startswith(HEAD)
        self.root = ElementTree.fromstring(source.removeprefix(HEAD))
        self.elements = list(self.root.iter())
        self.tables = {words(t.find("caption")): _rows(t) for t in self.root.iter("table")}
        self.figures = [svg for svg in self.root.iter("svg") if svg.get("class") != "timeline"]

    @property
    def text(self) -> str:
        return words(self.root.find("body"))

    @property
    def headline(self) -> str:
        return words(next(self.root.iter("h1")))

    def texts(self, tag: str) -> list[str]:
        return [words(element) for element in self.root.iter(tag)]

    def by_id(self, ident: str) -> Element:
        """The one element with an id."""
        (element,) = [element for element in self.elements if element.get("id") == ident]
        return element

    def column(self, caption: str, head: str) -> list[str]:
        """The cells under one head."""
        heads, *rows = self.tables[caption]
        return [row[heads.index(head)] for row in rows]


def words(element: Element | None) -> str:
    """What one reads in an element, small print and line breaks set off by a bar."""
    assert element is not None
    return " ".join(_text(element).split())


def _text(element: Element) -> str:
    inside = (element.text or "") + "".join(_text(child) + (child.tail or "") for child in element)
    return f" | {inside}" if element.tag in ("small", "br") else inside


def _rows(table: Element) -> list[list[str]]:
    return [[words(cell) for cell in row] for row in table.iter("tr")]
