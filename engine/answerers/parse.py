"""The letter in what an answerer wrote.

Never guesses: a text without a clear letter has no answer. Knows no model.
"""

import re
from collections.abc import Sequence

_WORD = re.compile(r"\w+")
_LEADING = re.compile(r"[\W_]*([A-Z])(?!\w)")
_ARTICLE = re.compile(r"[AI]\s+[a-z]")  # "A dog barks", "I think"
_CUE = re.compile(r"(?:answer|option|choice)\s*(?:is|:)?[\s(\[\"'*]*([A-Z])(?!\w)", re.IGNORECASE)
_UNFINISHED = "�"  # the first bytes of a character whose rest is in the next token


def letter(text: str, letters: str, choices: Sequence[str] = ()) -> str | None:
    """The option (one of `letters`) that a text names, or None.

    The first of these that holds: it begins with a letter ("B", "(B) rain", but not "A dog"); it is one small letter;
    a letter follows "answer", "option" or "choice"; one capital letter alone stands in it; it is the wording of
    exactly one choice.
    """
    leading = _LEADING.match(text)
    if leading and leading[1] in letters and not _ARTICLE.match(text, leading.start(1)):
        return str(leading[1])
    words = _WORD.findall(text)
    if len(words) == 1 and len(words[0]) == 1 and words[0].upper() in letters:
        return str(words[0]).upper()
    cue = _CUE.search(text)
    if cue and cue[1] in letters and not _ARTICLE.match(text, cue.start(1)):
        return str(cue[1])
    alone = {
        str(capital[0])
        for capital in re.finditer(r"(?<!\w)[A-Z](?!\w)", text)
        if capital[0] in letters and not _ARTICLE.match(text, capital.start())
    }
    if len(alone) == 1:
        return alone.pop()
    word = _plain(text)
    same = [name for name, choice in zip(letters, choices, strict=False) if word and _plain(choice) == word]
    return same[0] if len(same) == 1 else None


def settled(text: str, letters: str) -> bool:
    """Whether no further token can change the letter: it leads, and what follows it is there and no article's noun."""
    leading = _LEADING.match(text)
    if leading is None or leading[1] not in letters or leading.end() == len(text):
        return False
    after = text[leading.end()]
    return after != _UNFINISHED and not (leading[1] in "AI" and after.isspace())


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))
