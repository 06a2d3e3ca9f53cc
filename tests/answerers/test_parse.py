"""The letter in a text: found where it is clear, never guessed; and what "settled" promises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.answerers import parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B", "B"),
        (" B.", "B"),
        ("(C) rain", "C"),
        ("**D**", "D"),
        ("b", "B"),
        ("b)", "B"),
        ("A", "A"),
        ("A. A dog", "A"),
        ("A dog barks", None),
        ("The answer is C", "C"),
        ("answer: (B) because", "B"),
        ("Option D, a bell", "D"),
        ("It is B.", "B"),
        ("It is B or C", None),
        ("The answer is a dog", None),
        ("rain", "A"),
        ("Rain!", "A"),
        ("a bell", "B"),
        ("thunder", None),
        ("", None),
        ("E", None),  # not one of four
        ("e", None),
        ("Dog", None),
        ("Because", None),
        ("B\nC", "B"),
        ("I think C", "C"),
        ("<|im_end|>", None),
        ("Audio", None),
        ("42", None),
    ],
)
def test_letters(text: str, expected: str | None) -> None:
    assert parse.letter(text, "ABCD", ("rain", "a bell", "wind", "wind")) == expected


def test_equal_choices_name_no_one() -> None:
    assert parse.letter("wind", "ABCD", ("rain", "a bell", "wind", "wind")) is None


def test_a_nine_option_i_is_a_letter_and_a_pronoun() -> None:
    assert parse.letter("I", "ABCDEFGHI") == "I"
    assert parse.letter("I think E", "ABCDEFGHI") == "E"


@given(text=st.text(alphabet="ABCDI abc.)(\n'é\ufffd", max_size=6), more=st.text(alphabet="ABCDI abz.)\né", max_size=8))
def test_what_is_settled_stays(text: str, more: str) -> None:
    """A text that is settled names the letter that every continuation of it names."""
    if parse.settled(text, "ABCDEFGHI"):
        assert parse.letter(text + more, "ABCDEFGHI") == parse.letter(text, "ABCDEFGHI") is not None
