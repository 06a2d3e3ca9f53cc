"""Questions as token ids: a reader of tokenizer.json that needs no package, for byte-level BPE.

That is what Qwen, Llama 3 and GPT-2 have. A file that asks for anything else is refused by the name of it.
"""

import re
import unicodedata
from itertools import pairwise
from typing import Any

from earmark.engine.making.edge.cutting_pattern import compiled, isolated
from earmark.engine.making.edge.edge_error import EdgeError

TOKENIZER = "tokenizer.json"
_FORMS = ("NFC", "NFD", "NFKC", "NFKD")
_GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"  # of ByteLevel with use_regex

TokenizerPart = dict[str, Any]


class QuestionReader:
    """Text as the ids that the package `tokenizers` gives by the same file, without special tokens around them."""

    def __init__(self, tokenizer: TokenizerPart) -> None:
        """`tokenizer` is the content of tokenizer.json; EdgeError where it has a part that is not known here."""
        for name in ("truncation", "padding"):
            if tokenizer.get(name) is not None:
                raise unknown(name)
        model = tokenizer["model"]
        if model.get("type") != "BPE":
            raise unknown(f"model {model.get('type')}")
        for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
            if model.get(name):
                raise unknown(f"model with {name}")
        self._forms = [_form(part) for part in _steps(tokenizer.get("normalizer"), "normalizers")]
        self._patterns = _patterns(_steps(tokenizer.get("pre_tokenizer"), "pretokenizers"))
        self._vocabulary: dict[str, int] = model["vocab"]
        self._words_whole: bool = model.get("ignore_merges", False)
        pairs = (tuple(pair.split(" ", 1) if isinstance(pair, str) else pair) for pair in model["merges"])
        self._ranks = {pair: rank for rank, pair in enumerate(pairs)}
        self._letters = _byte_letters()
        if not set(self._letters) <= self._vocabulary.keys():
            raise unknown("model without all bytes")
        self._added: dict[str, int] = {}  # looked for in the text as it is
        self._added_normalized: dict[str, int] = {}  # looked for in what the normalizer makes of the rest
        for token in tokenizer.get("added_tokens") or []:
            for name in ("single_word", "lstrip", "rstrip"):
                if token.get(name):
                    raise unknown(f"added token with {name}")
            if token.get("normalized"):
                self._added_normalized[self._normalized(token["content"])] = token["id"]
            else:
                self._added[token["content"]] = token["id"]

    def tokens(self, text: str) -> list[int]:
        """All ids of a text; EdgeError where this Python does not know a character, and so whether it is a letter."""
        for character in text:
            if (category := unicodedata.category(character)) in ("Cn", "Cs"):
                unicode = "UTF-8" if category == "Cs" else f"Unicode {unicodedata.unidata_version}, which Python has"
                what = f"holds U+{ord(character):04X}, which is not in {unicode}"
                raise EdgeError("question", what, "leave it out, or give the question as ids, with --tokens")
        ids: list[int] = []
        for part in _split_off(self._added, text):
            if isinstance(part, int):
                ids.append(part)
                continue
            for piece in _split_off(self._added_normalized, self._normalized(part)):
                ids += [piece] if isinstance(piece, int) else self._ids(piece)
        return ids

    def _normalized(self, text: str) -> str:
        for form in self._forms:
            text = unicodedata.normalize(form, text)
        return text

    def _ids(self, text: str) -> list[int]:
        """The ids of a text without added tokens."""
        pieces = [text]
        for pattern in self._patterns:
            pieces = [part for piece in pieces for part in isolated(_known(pattern, piece), piece)]
        return [token for piece in pieces for token in self._merged(piece)]

    def _merged(self, piece: str) -> list[int]:
        """A piece as bytes, of which the pair of lowest rank is joined again and again, the leftmost first."""
        symbols = [self._letters[byte] for byte in piece.encode()]
        if self._words_whole and (word := "".join(symbols)) in self._vocabulary:
            return [self._vocabulary[word]]
        while ranked := [(self._ranks[pair], i) for i, pair in enumerate(pairwise(symbols)) if pair in self._ranks]:
            _, i = min(ranked)
            symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
        return [self._vocabulary[symbol] for symbol in symbols]


def unknown(part: str) -> EdgeError:
    """The refusal of a part of tokenizer.json."""
    return EdgeError(TOKENIZER, f"has a {part}, which is not known here", "give the question as ids, with --tokens")


def _steps(part: TokenizerPart | None, key: str) -> list[TokenizerPart]:
    """A normalizer or pre-tokenizer as what it does one after the other."""
    if part is None:
        return []
    if part["type"] == "Sequence":
        return [step for inner in part[key] for step in _steps(inner, key)]
    return [part]


def _form(normalizer: TokenizerPart) -> Any:
    """The Unicode normal form that a normalizer makes; typed Any, for `unicodedata` wants its literal."""
    if normalizer["type"] not in _FORMS:
        raise unknown(f"normalizer {normalizer['type']}")
    return normalizer["type"]


def _patterns(pre_tokenizers: list[TokenizerPart]) -> list[str]:
    """The patterns by which a text is cut, one after the other; the last step turns the pieces into bytes."""
    patterns = []
    for part in pre_tokenizers[:-1]:
        if part["type"] != "Split" or part.get("invert") or part["behavior"] != "Isolated":
            raise unknown(f"pre-tokenizer {part['type']} {part.get('behavior', '')}".rstrip())
        if "Regex" not in part["pattern"]:
            raise unknown("pre-tokenizer Split without a regular expression")
        patterns.append(part["pattern"]["Regex"])
    last = pre_tokenizers[-1] if pre_tokenizers else {"type": "none"}
    if last["type"] != "ByteLevel":
        raise unknown(f"pre-tokenizer {last['type']}")
    if last.get("add_prefix_space"):
        raise unknown("pre-tokenizer ByteLevel with add_prefix_space")
    patterns += [_GPT_2] if last.get("use_regex", True) else []
    for pattern in patterns:
        _known(pattern, "")
    return patterns


def _known(pattern: str, text: str) -> re.Pattern[str]:
    translated = compiled(pattern, text)
    if translated is None:
        raise unknown(f"pattern {pattern}")
    return translated


def _split_off(added: dict[str, int], text: str) -> list[str | int]:
    """Added tokens as their ids, and the text between them; where several begin, the longest."""
    if not added:
        return [text] if text else []
    longest_first = "|".join(re.escape(content) for content in sorted(added, key=len, reverse=True))
    return [added.get(piece, piece) for piece in isolated(re.compile(longest_first), text)]


def _byte_letters() -> list[str]:
    """The letter that stands for each byte in a byte-level vocabulary: its own where it can be printed."""
    printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printed]
    return [chr(byte) if byte in printed else chr(256 + others.index(byte)) for byte in range(256)]
