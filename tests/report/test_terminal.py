"""Tables on a terminal: as wide as it is, names cut in the middle, figures never."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.design.rule import Rule
from earmark.engine.printable import shortened, shortened_apart
from earmark.engine.report.terminal import aligned, decision_table
from earmark.engine.signoff.certify import certify

SOUNDS = Path(__file__).parents[2] / "examples" / "sounds"
NAMES = st.text("abcdefgh ", min_size=1, max_size=40).map(lambda text: "n" + text.strip())
LIKE_NAMES = st.builds(
    "{}{}{}@{}".format,
    st.sampled_from(["learned_", "a" * 20]),
    st.text("ab", max_size=20),
    st.sampled_from(["", "e" * 20]),
    st.integers(0, 500),
)
FIGURES = st.floats(-1, 1).map(lambda value: f"{value:+.4f}")


@given(st.lists(st.tuples(NAMES, FIGURES, NAMES, FIGURES), min_size=1, max_size=5), st.integers(44, 120))
def test_rows_fit_and_no_figure_is_cut(rows: list[tuple[str, ...]], width: int) -> None:
    lines = aligned(rows, width)
    assert all(len(line) <= width for line in lines)
    for row, line in zip(rows, lines, strict=True):
        assert row[1] in line
        assert line.endswith(row[3])
        assert line.startswith(f"  {row[0][:1]}")


@given(st.lists(LIKE_NAMES, min_size=1, max_size=6), st.integers(30, 80))
def test_names_that_differ_stay_different_and_figures_whole(names: list[str], width: int) -> None:
    cells = [line.split() for line in aligned([(name, name[::-1], "+0.1000") for name in names], width)]
    for column in (0, 1):
        assert len({row[column] for row in cells}) == len(set(names))
    assert all(row[2] == "+0.1000" for row in cells)


@given(st.sets(LIKE_NAMES | st.text("ab.", min_size=1, max_size=40), min_size=1), st.integers(8, 40))
def test_texts_that_are_cut_apart_differ_and_fit(texts: set[str], width: int) -> None:
    short = shortened_apart(texts, width)
    if short is not None:
        assert set(short) == texts
        assert len(set(short.values())) == len(texts)
        assert all(len(text) <= width for text in short.values())
        assert all(short[text] == text for text in texts if len(text) <= width)


def test_names_that_differ_in_the_middle_keep_where_they_differ() -> None:
    names = [f"a_long_name_of_a_selector_{middle}_with_a_long_end" for middle in ("speech", "sounds")]
    assert shortened_apart(names, 16) == {names[0]: "a..tor_speech_..", names[1]: "a..tor_sounds_.."}
    seeds = ["learned_agnostic@42", "learned_conditioned@42", "learned_conditioned@123"]
    assert shortened_apart(seeds, 8) == dict(zip(seeds, ("le..c@42", "le..d@42", "le..@123"), strict=True))
    assert shortened_apart([f"{'a' * 40}{end}" for end in ("x" * 40, "yx" + "x" * 38)], 8) is not None


def test_a_line_is_rather_too_wide_than_two_names_alike() -> None:
    names = [f"{'a' * 20}{x}{'b' * 20}{y}{'c' * 20}" for x in "pq" for y in "rs"]
    lines = aligned([(name, "0.1") for name in names], 20)
    assert len({line.split()[0] for line in lines}) == len(names)
    assert all(len(line) > 20 for line in lines)


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


def test_wide_letters_take_the_two_columns_that_a_terminal_gives_them() -> None:
    assert aligned([("音乐 计数", "0.1"), ("counting", "0.2")]) == ["  音乐 计数  0.1", "  counting   0.2"]


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
    assert len({line.split()[0] for line in table[1:]}) == 1 + 3 + 3 + 1  # methods, of two of them three seeds
    if width == 80:  # as wide as most terminals: nothing is cut
        assert not any(".." in line for line in table)
        assert "  learned_conditioned@123  task       passes  0.6  sweep         +0.0050  0.0042" in table
