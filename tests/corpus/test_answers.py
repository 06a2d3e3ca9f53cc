"""An answer is resolved exactly or not at all."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.corpus.right_answers import options, resolve
from earmark.engine.corpus.table_files import Unusable


@pytest.mark.parametrize(
    ("choices", "texts", "letters"),
    [
        (["a dog", "a cat"], ("a dog", "a cat"), "AB"),
        ([None, "yes", None, "no"], ("yes", "no"), "BD"),
        (["yes", "no", None, None], ("yes", "no"), "AB"),
        (["x", "", "  ", "y"], ("x", "y"), "AD"),
        (["None", "one", None], ("None", "one"), "AB"),
        (["A. Writing", "B. Singing"], ("Writing", "Singing"), "AB"),
        (["(A) 1", "(B) 2", "(C) 3"], ("1", "2", "3"), "ABC"),
        ([None, "B: left", "C: right"], ("left", "right"), "BC"),
        (["B. second", "A. first"], ("second", "first"), "BA"),  # its own letters, whatever their order
        ([None, "A. x", "B. y"], ("x", "y"), "AB"),
        (["a. x", "b. y"], ("x", "y"), "AB"),
        (["E. coli", "S. aureus"], ("E. coli", "S. aureus"), "ES"),
        (["U.S.", "U.K."], ("U.S.", "U.K."), "AB"),
        (["Jones", "A. Smith"], ("Jones", "A. Smith"), ("", "")),
        (["A. x", "A. y"], ("A. x", "A. y"), ("", "")),
        (["A. Smith", "Jones"], ("A. Smith", "Jones"), "AB"),
        ([1, 2.0, 2.5, True], ("1", "2", "2.5", "true"), "ABCD"),
        ([" spaced ", "out\n"], ("spaced", "out"), "AB"),
        (["same", "same", "other"], ("same", "same", "other"), "ABC"),
    ],
)
def test_options(choices: list[Any], texts: tuple[str, ...], letters: str) -> None:
    assert options(choices) == (texts, tuple(letters))


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        (None, "not multiple choice: it has no list of options"),
        ("a, b", "not multiple choice: it has no list of options"),
        ({"A": "x"}, "not multiple choice: it has no list of options"),
        ([], "not multiple choice: it has no options"),
        ([None, None], "not multiple choice: it has no options"),
        (["only"], "has one option only"),
        (["only", None, ""], "has one option only"),
        ([["a"], ["b"]], "an option is not a text"),
        ([str(i) for i in range(27)], "27 options, more than there are letters"),
        (["ok", "\ud800"], "holds text that is not Unicode"),
    ],
)
def test_what_cannot_be_chosen_from(choices: Any, reason: str) -> None:
    with pytest.raises(Unusable) as refused:
        options(choices)
    assert str(refused.value) == reason


ANIMALS = ["a dog", "a cat", "a Cat", "Bird"]
NOTES = ["C", "D", "A"]
LETTERS = "is a letter, and the options' own letters are not those of their places"


@pytest.mark.parametrize(
    ("answer", "choices", "index"),
    [
        ("a dog", ANIMALS, 0),
        ("a cat", ANIMALS, 1),  # exact before any case
        ("a Cat", ANIMALS, 2),
        ("bird", ANIMALS, 3),
        ("  a   dog ", ANIMALS, 0),
        ("B", ANIMALS, 1),
        ("d", ANIMALS, 3),
        ("(C)", ANIMALS, 2),
        ("D.", ANIMALS, 3),
        ("C)", ANIMALS, 2),
        ("A. a dog", ANIMALS, 0),
        ("(D) bird", ANIMALS, 3),
        ("d: BIRD", ANIMALS, 3),
        ("B. Singing", ["A. Writing", "B. Singing"], 1),
        ("Singing", ["A. Writing", "B. Singing"], 1),
        ("D", [None, "yes", None, "no"], 1),  # letters belong to columns, not to places
        ("A", ["B. x", "A. y"], 1),
        ("B", [None, "A. x", "B. y"], 1),
        ("B. x", ["B. x", "A. y"], 0),
        ("A. Smith", ["Jones", "A. Smith"], 1),
        ("None", ["um", "None"], 1),
        (7, ["5", "6", "7"], 2),
        (7.0, ["5", "6", "7"], 2),
        (True, ["true", "false"], 0),
        ("e\u0301", ["é", "e"], 0),  # one letter, however it is composed
    ],
)
def test_resolved(answer: Any, choices: list[Any], index: int) -> None:
    assert resolve(answer, options(choices)) == index


@pytest.mark.parametrize(
    ("answer", "choices", "reason"),
    [
        ("a fish", ANIMALS, "answer 'a fish' is none of the options"),
        ("E", ANIMALS, "answer 'E' is none of the options"),
        ("A CAT", ANIMALS, "answer 'A CAT' is the text of 2 options"),
        ("x", ["x", "x", "y"], "answer 'x' is the text of 2 options"),
        ("A", NOTES, "answer 'A' is the text of one option and the letter of another"),
        ("B. a dog", ANIMALS, "answer 'B. a dog' has the letter of one option and the text of another"),
        ("A. a fish", ANIMALS, "answer 'A. a fish' is none of the options"),
        ("A", [None, "yes", None, "no"], "answer 'A' is none of the options"),
        ("a dog or a cat", ANIMALS, "answer 'a dog or a cat' is none of the options"),
        (1, ANIMALS, "answer '1' is none of the options"),  # whether that counts from 0 or 1, nobody knows
        ("A", ["Jones", "A. Smith"], LETTERS),
        ("B", ["Jones", "A. Smith"], LETTERS),
        ("A", ["A. x", "A. y"], LETTERS),
        ("A", ["E. coli", "S. aureus"], "answer 'A' is none of the options"),
        (None, ANIMALS, "has no answer"),
        ("", ANIMALS, "has no answer"),
        (float("nan"), ANIMALS, "has no answer"),
        (["a dog"], ANIMALS, "the answer is not a text"),
        ({"A": 1}, ANIMALS, "the answer is not a text"),
    ],
)
def test_never_guessed(answer: Any, choices: list[Any], reason: str) -> None:
    with pytest.raises(Unusable) as refused:
        resolve(answer, options(choices))
    assert str(refused.value).endswith(reason)


def test_declared_letters_are_those_of_the_table() -> None:
    among = options(["dog", None, "cat"], ["B", "C", "d"])
    assert among == (("dog", "cat"), ("B", "D"))
    assert [resolve(answer, among) for answer in ("B", "D", "d. cat")] == [0, 1, 1]
    assert options(["B. dog", "C. cat"], ["B", "C"]) == (("dog", "cat"), ("B", "C"))
    for choices, letters in ((["B. x", "A. y"], "AB"), (["x", "y"], "aA")):
        with pytest.raises(Unusable, match=LETTERS):
            resolve("A", options(choices, list(letters)))


def test_where_answers_are_texts_a_note_is_no_letter() -> None:
    assert resolve("A", options(NOTES), texts_first=True) == 2
    assert resolve("B", options(NOTES), texts_first=True) == 1  # no option says B, so it can only be a letter


SAID = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from("ABCDabcd")


@given(answer=SAID, choices=st.lists(SAID, max_size=8), texts_first=st.booleans())
def test_whatever_comes_it_is_an_option_or_a_reason(answer: Any, choices: list[Any], texts_first: bool) -> None:
    try:
        among = options(choices)
        index = resolve(answer, among, texts_first=texts_first)
    except Unusable as unusable:
        reason = str(unusable)
    else:
        assert 0 <= index < len(among.texts)
        assert len(among.texts) == len(among.letters) >= 2
        return
    assert reason


@given(st.lists(st.text("xyz", min_size=2, max_size=4), min_size=2, max_size=6, unique=True), st.data())
def test_text_letter_and_both_agree(choices: list[str], data: st.DataObject) -> None:
    right = data.draw(st.integers(0, len(choices) - 1))
    letter, among = "ABCDEF"[right], options(choices)
    for answer in (choices[right], letter, f"({letter})", f"{letter}. {choices[right]}"):
        assert resolve(answer, among) == right
