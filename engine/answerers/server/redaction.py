"""The key in what a server writes: a reply may repeat it, and what is kept of a reply must not.

Works on texts that were read already, never on a body: there a key could be a part of anything.
"""

import re

LEAST_KEY = 8  # characters: a shorter one is a placeholder ("EMPTY", "x"), guards nothing, and stands in many words
REDACTED = "[key]"


class Redaction:
    """Texts without a key, however it is spelt: as it is, or with \\u002B, \\/ or %2B for some of its characters."""

    def __init__(self, key: str) -> None:
        """`key` is ASCII; where it is empty or a placeholder, texts stay as they are."""
        self._key = re.compile("".join(map(_spellings, key))) if len(key) >= LEAST_KEY else None

    def of(self, text: str) -> str:
        """A text with `[key]` in place of the key."""
        return text if self._key is None else self._key.sub(REDACTED, text)


def _spellings(char: str) -> str:
    """A pattern of one character of a key, in JSON and in addresses too."""
    digits = "".join(f"[{digit}{digit.upper()}]" for digit in f"{ord(char):02x}")
    return rf"(?:\\?{re.escape(char)}|\\u00{digits}|%{digits})"
