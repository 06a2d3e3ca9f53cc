"""A built-in compressor is a line of one table: documentation, help, drafts and loading agree with it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from earmark.cli.main import earmark
from earmark.engine.compressors.waves.loading import wave_method
from earmark.engine.compressors.waves.wave_method import WaveRecipe
from earmark.engine.design.compressors import BUILT_IN, WAVE_NAMES, compressors_table
from earmark.engine.sweep.drafted_compressors import compressors_named, method_keys

ROOT = Path(__file__).parents[2]


def test_the_table_of_the_documentation_is_that_of_the_code() -> None:
    page = (ROOT / "docs" / "compressors.md").read_text()
    assert compressors_table() in page
    assert page.index("| `chunks`") < page.index("| `av:ENCODER`") < page.index("| `package.module:function`")


def test_help_names_every_one() -> None:
    printed = " ".join(CliRunner().invoke(earmark, ["compress", "--help"]).output.split())
    assert ", ".join(WAVE_NAMES) in printed


@pytest.mark.parametrize("name", WAVE_NAMES)
def test_each_can_be_loaded_and_is_drafted_from_the_gentle_to_the_harsh(name: str) -> None:
    kind = BUILT_IN[name]
    assert wave_method(WaveRecipe(name, "", 60.0, kind.axis), lambda _: None).identity
    assert name in compressors_named("all")
    keys = method_keys(name)
    assert keys["name"] == name
    values = keys.get(kind.budget_keys[0], [])
    assert bool(values) == (kind.only is None)
    shares = [kind.units[0].share(value) if kind.units else value for value in values]
    assert shares == sorted(shares, reverse=True)
    assert all(0 < share < 1 for share in shares)
