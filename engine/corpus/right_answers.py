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
    """What may be chosen, without the padding (null, empty) and without letters in front; raises Unusable.

    The letters are those that the table declares, else those in front of the options, else A, B, ... by their places:
    padding may stand anywhere and takes its place with it. The text "None" is an option like any other.
    """
    if not isinstance(choices, Sequence) or isinstance(choices, str | bytes):
        raise Unusable("not multiple choice: it has no list of options")
    if any(isinstance(choice, list | dict) for choice in choices):
        raise Unusable("an option is not a text")
    if len(choices) > len(ascii_uppercase):
        raise Unusable(f"{len(choices)} options, more than there are letters")
    named = ascii_uppercase if letters is None else [letter.upper() for letter in letters]
    found = [(letter, text) for letter, choice in zip(named, choices, strict=False) if (text := as_text(choice))]
    if not found:
        raise Unusable("not multiple choice: it has no options")
    if len(found) < 2:
        raise Unusable("has one option only")
    return _lettered([text for _, text in found], [letter for letter, _ in found], declared=letters is not None)


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


def resolve(answer: Any, among: LetteredOptions, *, texts_first: bool = False) -> int:
    """The index of the option that an answer names; raises Unusable where that is none or more than one.

    An answer may be an option's text (exactly, or but for case and blanks), its letter, or a letter and a text that
    agree. What is one option's text and another's letter is ambiguous, unless the benchmark answers by text
    (`texts_first`).
    """
    if isinstance(answer, list | dict):
        raise Unusable("the answer is not a text")
    said = as_text(answer)
    if said is None:
        raise Unusable("has no answer")
    by_text, by_letter = _by_text(said, among), _by_letter(said, among)
    if by_text is None and not any(among.letters) and _LETTER.fullmatch(said):
        raise Unusable(
            f"answer '{_short(said)}' is a letter, and the options' own letters are not those of their places"
        )
    if by_text is not None and by_letter not in (None, by_text) and not texts_first:
        raise Unusable(f"answer '{_short(said)}' is the text of one option and the letter of another")
    found = by_text if by_text is not None else by_letter if by_letter is not None else _by_both(said, among)
    if found is None:
        raise Unusable(f"answer '{_short(said)}' is none of the options")
    return found


def _by_text(said: str, among: LetteredOptions) -> int | None:
    for form in (_plain, lambda text: _plain(text).casefold()):
        found = [i for i, text in enumerate(among.texts) if form(text) == form(said)]
        if len(found) > 1:
            raise Unusable(f"answer '{_short(said)}' is the text of {len(found)} options")
        if found:
            return found[0]
    return None


def _by_letter(said: str, among: LetteredOptions) -> int | None:
    match = _LETTER.fullmatch(said)
    letter = match[1].upper() if match else ""
    return among.letters.index(letter) if match and letter in among.letters else None


def _by_both(said: str, among: LetteredOptions) -> int | None:
    match = _LETTERED.fullmatch(said)
    text = _by_text(match[2], among) if match else None
    if match and text is not None and among.letters[text] != match[1].upper():
        raise Unusable(f"answer '{_short(said)}' has the letter of one option and the text of another")
    return text


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
