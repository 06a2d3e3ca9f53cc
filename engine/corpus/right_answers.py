"""Which option is the right one: by its text, its letter, or both; never by a guess.

Knows texts only: no table, no benchmark.
"""

import re
import unicodedata
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any, NamedTuple

from earmark.engine.corpus.table_files import Unusable, as_text

_LETTER = re.compile(r"\(?([A-Za-z])[.):]?\)?")  # C, c, (C), C., C)
_LETTERED = re.compile(  # A. Writing, (A) Writing, A: Writing; not U.S.
    r"\(?([A-Za-z])[.):]+(?![A-Za-z]\.)\s*(\S.*)", re.DOTALL
)


class LetteredOptions(NamedTuple):
    """The options of a question in their order, and the letter each has in its table."""

    texts: tuple[str, ...]
    letters: tuple[str, ...]  # all empty where nobody can say which letter means which option


def options(choices: Any, letters: Sequence[str] | None = None) -> LetteredOptions:
    """The options of a question without padding (null, empty) and without letters in front; raises Unusable.

    The letters are those that the table declares, else those in front of the options, else A, B, ... by their places:
    padding may stand anywhere, and counts when places are counted. The text "None" is an option like any other.
    """
    if not isinstance(choices, Sequence) or isinstance(choices, str | bytes):
        raise Unusable("not multiple choice: it has no list of options")
    if any(isinstance(choice, list | dict) for choice in choices):
        raise Unusable("an option is not a text")
    if len(choices) > len(ascii_uppercase):
        raise Unusable(f"{len(choices)} options, more than there are letters")
    place_letters = ascii_uppercase if letters is None else [letter.upper() for letter in letters]
    pairs = [
        (letter, text) for letter, choice in zip(place_letters, choices, strict=False) if (text := as_text(choice))
    ]
    if not pairs:
        raise Unusable("not multiple choice: it has no options")
    if len(pairs) < 2:
        raise Unusable("has one option only")
    return _lettered([text for _, text in pairs], [letter for letter, _ in pairs], declared=letters is not None)


def _lettered(texts: list[str], letters: list[str], *, declared: bool) -> LetteredOptions:
    """Options with their letters: `letters`, unless those in front of the texts say otherwise."""
    matches = [match for text in texts if (match := _LETTERED.fullmatch(text))]
    own = [match[1].upper() for match in matches]
    if len(own) == len(texts) and len(set(own)) == len(own) and (own == letters or not declared):
        if own == letters or sorted(own) == list(ascii_uppercase[: len(own)]):  # E. coli, S. aureus keep theirs
            texts = [match[2].strip() for match in matches]
        return LetteredOptions(tuple(texts), tuple(own))
    pairs = [(_LETTERED.fullmatch(text), letter) for text, letter in zip(texts, letters, strict=True)]
    disagree = any(match and match[1].upper() != letter for match, letter in pairs)
    unclear = disagree or len(set(letters)) < len(letters)
    return LetteredOptions(tuple(texts), tuple("" if unclear else letter for letter in letters))


def resolve(answer: Any, lettered: LetteredOptions, *, texts_first: bool = False) -> int:
    """The index of the option that an answer names; raises Unusable where that is none or more than one.

    An answer may be an option's text (exactly, or but for case and blanks), its letter, or a letter and a text that
    agree. What is one option's text and another's letter is ambiguous, unless the benchmark answers by text
    (`texts_first`).
    """
    if isinstance(answer, list | dict):
        raise Unusable("the answer is not a text")
    text = as_text(answer)
    if text is None:
        raise Unusable("has no answer")
    by_text, by_letter = _by_text(text, lettered), _by_letter(text, lettered)
    if by_text is None and not any(lettered.letters) and _LETTER.fullmatch(text):
        raise Unusable(
            f"answer '{_short(text)}' is a letter, and the options' own letters are not those of their places"
        )
    if by_text is not None and by_letter not in (None, by_text) and not texts_first:
        raise Unusable(f"answer '{_short(text)}' is the text of one option and the letter of another")
    index = by_text if by_text is not None else by_letter if by_letter is not None else _by_both(text, lettered)
    if index is None:
        raise Unusable(f"answer '{_short(text)}' is none of the options")
    return index


def _by_text(answer: str, lettered: LetteredOptions) -> int | None:
    """The option whose text the answer is: exactly, or else but for case and blanks; Unusable where there are two."""
    for form in (_plain, lambda text: _plain(text).casefold()):
        places = [i for i, text in enumerate(lettered.texts) if form(text) == form(answer)]
        if len(places) > 1:
            raise Unusable(f"answer '{_short(answer)}' is the text of {len(places)} options")
        if places:
            return places[0]
    return None


def _by_letter(answer: str, lettered: LetteredOptions) -> int | None:
    """The option whose letter the answer is."""
    match = _LETTER.fullmatch(answer)
    letter = match[1].upper() if match else ""
    return lettered.letters.index(letter) if match and letter in lettered.letters else None


def _by_both(answer: str, lettered: LetteredOptions) -> int | None:
    """The option whose letter and text the answer is; Unusable where they are those of two."""
    match = _LETTERED.fullmatch(answer)
    index = _by_text(match[2], lettered) if match else None
    if match and index is not None and lettered.letters[index] != match[1].upper():
        raise Unusable(f"answer '{_short(answer)}' has the letter of one option and the text of another")
    return index


def _plain(text: str) -> str:
    """The text in one Unicode form, with single blanks."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
