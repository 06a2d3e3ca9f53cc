"""A key by a name that it had is refused with its name of today, and an unknown section with what was meant."""

from dataclasses import dataclass

import pytest

from earmark.engine.design import spec
from earmark.engine.design.fields import Text, Whole, field
from earmark.engine.design.toml_tables import TomlDocument
from earmark.engine.errors import InputError


@dataclass(frozen=True)
class Instrument:
    """A made-up section."""

    bow: str = field(Text("a kind of bow"), "what it is played with", formerly=("stick", "rod"))
    strings: int = field(Whole(1, 12), "how many", 4)


@pytest.mark.parametrize("name", ["stick", "rod"])
def test_an_old_key_is_refused_with_its_new_name(name: str) -> None:
    document = TomlDocument(f'[instrument]\nstrings = 6\n{name} = "heavy"\n', "spec.toml", ["instrument"])
    with pytest.raises(InputError) as refused:
        document.table("instrument").read(Instrument)
    expected = f'spec.toml line 3 [instrument] {name} = "heavy": is called bow now; write bow = ...'
    assert str(refused.value) == expected


def test_the_new_name_is_taken() -> None:
    table = TomlDocument('[instrument]\nbow = "light"\n', "spec.toml", ["instrument"]).table("instrument")
    assert table.read(Instrument) == {"bow": "light"}


@pytest.mark.parametrize(("section", "meant"), [("method", "methods"), ("answerer", "answerers")])
def test_an_unknown_section_is_named_before_what_is_missing(section: str, meant: str) -> None:
    with pytest.raises(InputError) as refused:
        spec.parse(f'[corpus]\npath = "x"\n[[{section}]]\nname = "uniform"\n')
    assert str(refused.value) == f"spec.toml line 3 [{section}]: is an unknown section; did you mean {meant}?"
