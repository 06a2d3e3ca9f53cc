r"""A tokenizer's regular expression, as Python's `re` can run it.

Tokenizers are written for Oniguruma, which has classes by Unicode category, as \p{L}, and another idea of a space. A
class need hold only those of its characters that stand in the text, so a pattern is translated for each text. What
means something else in Python, or is not known here, cannot be translated.
"""

import re
import unicodedata

_SPACES = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
_NO_CHARACTER = "\ud800"  # fills a class that would be empty: no text holds it
_PART = re.compile(
    r"\\p\{(?P<category>[A-Z][a-z]?)\}|(?P<space>\\s)|(?P<solid>\\S)|(?P<control>\\[rnt])"
    r"|(?P<group>\(\?(?:i?:|[=!]))|(?P<count>\{\d+(?:,\d*)?\})|(?P<literal>[^\\{}])"
)
_UNCLEAR = re.compile(r"[?*+]\+|\{\d[\d,]*\}\+|\[\^?\]")  # possessive, or a class with ]: not the same everywhere


def compiled(pattern: str, text: str) -> re.Pattern[str] | None:
    """The pattern for this text; None where it cannot be translated."""
    if _UNCLEAR.search(pattern):
        return None
    translated, inside, at = "", False, 0  # inside: between [ and ]
    while at < len(pattern):
        part = _PART.match(pattern, at)
        if part is None:
            return None
        at = part.end()
        words = part[0]
        if part["category"] or part["space"]:
            members = _members(part["category"], text) if part["category"] else re.escape(_SPACES)
            translated += members if inside else f"[{members}]"
        elif part["solid"] and not inside:
            translated += f"[^{re.escape(_SPACES)}]"
        elif part["control"] or ((part["group"] or part["count"]) and not inside):
            translated += words
        elif part["literal"] and words not in ("[&" if inside else ".^$#"):
            inside = words != "]" if inside else words == "["
            translated += words
        else:
            return None
    try:
        return re.compile(translated)
    except re.error:
        return None


def isolated(pattern: re.Pattern[str], text: str) -> list[str]:
    """The text in pieces: every match, and what stands between matches; nothing empty."""
    pieces, at = [], 0
    for match in pattern.finditer(text):
        pieces += [text[at : match.start()], match[0]]
        at = match.end()
    return [piece for piece in [*pieces, text[at:]] if piece]


def _members(category: str, text: str) -> str:
    """The characters of a text that are of a category, for a class."""
    members = (c for c in sorted(set(text)) if unicodedata.category(c).startswith(category))
    return "".join(map(re.escape, members)) or _NO_CHARACTER
