"""The report's compiled templates: loaded where they were kept, never trusted where they are damaged."""

from pathlib import Path

import certificate_example
import jinja2
import pytest

from earmark.engine.report import html
from earmark.engine.signoff.certificate import Certificate, from_content, to_bytes


@pytest.fixture
def certificate() -> Certificate:
    return from_content(certificate_example.certificate(), "certificate.json")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EARMARK_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the templates that Jinja compiles, as it does."""
    names: list[str] = []
    compiles = jinja2.Environment.compile

    def counted(self: jinja2.Environment, source: str, name: str, *rest: object) -> object:
        names.append(name)
        return compiles(self, source, name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(jinja2.Environment, "compile", counted)
    return names


def page(certificate: Certificate) -> str:
    return html.render(certificate, to_bytes(certificate))


def test_a_second_page_compiles_nothing_and_is_the_same(
    certificate: Certificate, cache: Path, compiled: list[str]
) -> None:
    first = page(certificate)
    assert "report.html.j2" in compiled
    compiled.clear()
    assert page(certificate) == first
    assert compiled == []
    assert len(list(cache.glob("templates-*/*"))) > 0


@pytest.mark.parametrize("left", [0, 3, 30, 60, 2000])
def test_what_is_cut_is_compiled_again(left: int, certificate: Certificate, cache: Path, compiled: list[str]) -> None:
    first = page(certificate)
    names = sorted(compiled)
    for kept in cache.glob("templates-*/*"):
        kept.write_bytes(kept.read_bytes()[:left])
    compiled.clear()
    assert page(certificate) == first
    assert sorted(compiled) == names


def test_a_folder_that_others_can_write_into_is_not_read(
    certificate: Certificate, cache: Path, compiled: list[str]
) -> None:
    first = page(certificate)
    names = sorted(compiled)
    next(cache.glob("templates-*")).chmod(0o777)
    compiled.clear()
    assert page(certificate) == first
    assert sorted(compiled) == names
