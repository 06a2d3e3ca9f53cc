"""Tables on a terminal: as wide as it is, names cut in the middle, figures never."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.design.rule import Rule
from earmark.engine.printable import shortened
from earmark.engine.report.terminal import aligned, decision_table
from earmark.engine.signoff.certify import certify

SOUNDS = Path(__file__).parents[2] / "examples" / "sounds"
NAMES = st.text("abcdefgh ", min_size=1, max_size=40).map(lambda text: "n" + text.strip())
FIGURES = st.floats(-1, 1).map(lambda value: f"{value:+.4f}")


@given(st.lists(st.tuples(NAMES, FIGURES, NAMES, FIGURES), min_size=1, max_size=5), st.integers(44, 120))
def test_rows_fit_and_no_figure_is_cut(rows: list[tuple[str, ...]], width: int) -> None:
    lines = aligned(rows, width)
    assert all(len(line) <= width for line in lines)
    for row, line in zip(rows, lines, strict=True):
        assert row[1] in line
        assert line.endswith(row[3])
        assert line.startswith(f"  {row[0][:2].strip()}")


@given(st.text("abcdef", max_size=30), st.integers(4, 40))
def test_a_name_that_is_too_long_keeps_beginning_and_end(text: str, width: int) -> None:
    short = shortened(text, width)
    assert len(short) <= width
    if len(text) <= width:
        assert short == text
    else:
        beginning, end = short.split("..")
        assert text.startswith(beginning)
        assert text.endswith(end)
        assert abs(len(beginning) - len(end)) <= 1


@pytest.fixture(scope="module")
def certificate() -> object:
    return certify(SOUNDS, Rule(replicates=100))


@pytest.mark.parametrize("width", [60, 80])
def test_the_table_of_verdicts_fits(certificate: object, width: int) -> None:
    lines = decision_table(certificate, width)  # type: ignore[arg-type]
    first = next(i for i, line in enumerate(lines) if line.strip().startswith("method"))
    table = lines[first : lines.index("", first)]
    assert len(table) == 1 + 16
    assert all(len(line) <= width for line in table)
    if width == 80:  # as wide as most terminals: nothing is cut
        assert not any(".." in line for line in table)
        assert "  learned_conditioned@123  task       passes  0.6  sweep         +0.0050  0.0042" in table
