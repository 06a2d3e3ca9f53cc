"""The tokenizer.json beside a selector's weights or graph: opened only if it is the very file that those name.

Needs the package `tokenizers`, and no torch.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.engine.errors import InputError
from earmark.engine.reading import read_bytes

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_COPY = "copy it beside the graph or the weights, as it was written there"
_MOST_BYTES = 1 << 28
_MOST_WORDS = 1 << 22


def open_tokenizer(path: Path, expected: str) -> "Tokenizer":
    """The tokenizer in a file with this SHA-256; InputError where it is another, or none."""
    from tokenizers import Tokenizer

    data = read_bytes(path, _COPY, _MOST_BYTES)
    if hashlib.sha256(data).hexdigest() != expected:
        raise InputError(path, "is not the tokenizer of this selector", _COPY)
    try:
        tokenizer = Tokenizer.from_buffer(data)
    except BaseException as error:  # where its Rust panics, that is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise InputError(path, f"is no tokenizer ({str(error)[:80]})", "train the selector again") from None
    size = tokenizer.get_vocab_size()
    if size > _MOST_WORDS:
        raise InputError(path, f"has more than {_MOST_WORDS:,} words", "train the selector again")
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if largest >= size:  # an embedding has as many rows as there are words
        raise InputError(path, f"has a word {largest:,} and only {size:,} words", "train the selector again")
    return tokenizer
