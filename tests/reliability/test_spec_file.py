"""An absurd spec is refused in a second, whatever is too much in it: size, depth, sections, names, blanks."""

import time
from pathlib import Path

import pytest
from command_line import assert_refused, earmark

SPEC = """\
[corpus]
path = "synthetic:certification:2"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.5]
[[methods]]
name = "uniform"
"""
AT_MOST_S = 30  # each takes about a second of one core, which others may share


def refused(tmp_path: Path, text: str | bytes, *words: str) -> None:
    path = tmp_path / "spec.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    began = time.monotonic()
    assert_refused(earmark("run", path, "--out", tmp_path / "run"), "spec.toml", *words)
    assert time.monotonic() - began < AT_MOST_S
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = '''\n[" + " " * 30_000, ""),
        (SPEC + "[x" + " " * 30_000 + "\n]", ""),
        (SPEC + "\n" * 30_000 + "[unknown]\nx = 1\n", "unknown"),
        (SPEC + "".join(f'[[methods]]\nname = "m{i}"\n' for i in range(20_000)), "[[methods]]: stands 20,001 times"),
        ("methods = [" + "{name = 'uniform'}, " * 20_000 + "]\n" + SPEC[: SPEC.index("[[methods]]")], "[[methods]]"),
        (SPEC + ".".join(["a"] * 100_000) + " = 1\n", "more than 400 dots"),
        (SPEC + "x = " + "[" * 100_000, ""),
        (SPEC + "# " + "x" * (1 << 20), "more than 1,048,576"),
    ],
    ids=["blanks", "header", "lines", "sections", "inline", "dots", "depth", "size"],
)
def test_a_text_that_would_take_for_ever_is_refused(tmp_path: Path, text: str, words: str) -> None:
    refused(tmp_path, text, words)


def test_a_spec_that_asks_for_more_cells_than_anybody_can_answer_is_refused(tmp_path: Path) -> None:
    budgets = ", ".join(f"{i / 1000:.3f}" for i in range(1, 400))
    seeds = ", ".join(map(str, range(1000)))
    text = SPEC.replace("[0.5]", f"[{budgets}]").replace('"uniform"', f'"random"\nseeds = [{seeds}]')
    refused(tmp_path, text, "399,000 cells", "100,000")


def test_budgets_that_differ_in_their_last_bits_are_refused_by_both_names(tmp_path: Path) -> None:
    text = SPEC.replace("[0.5]", "[0.3, 0.30000000000000004]")
    refused(tmp_path, text, "line 6 [sweep] budgets", "0.3 and 0.30000000000000004")


def test_a_name_that_no_folder_can_have_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, SPEC.replace('"uniform"', f'"{"x" * 241}"\nselector = "energy"'), "line 8", "241 characters")


def test_what_is_not_utf8_is_refused_as_that(tmp_path: Path) -> None:
    refused(tmp_path, SPEC.encode() + b'x = "\xff"\n', "is not UTF-8")


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    refused(tmp_path, b"\xef\xbb\xbf" + SPEC.encode() + b"[rule]\nx = 1\n", "spec.toml line 10 [rule] x = 1")
