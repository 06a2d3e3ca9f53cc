"""The tokenizer.json beside a selector's weights or graph: opened only if it is the very file that those name.

Needs the package `tokenizers`, and no torch.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.engine.errors import InputError
from earmark.engine.reading import read_bytes

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_COPY = "copy it beside the graph or the weights, as it was written there"
_TRAIN = "train the selector again"
_MOST_BYTES = 1 << 28
_MOST_WORDS = 1 << 22


def open_tokenizer(path: Path, expected: str) -> "Tokenizer":
    """The tokenizer in a file with this SHA-256; InputError where it is another, or none."""
    from tokenizers import Tokenizer

    data = read_bytes(path, _COPY, _MOST_BYTES)
    if hashlib.sha256(data).hexdigest() != expected:
        raise InputError(path, "is not the tokenizer of this selector", _COPY)
    with _refusing(path, "is no tokenizer"):
        tokenizer = Tokenizer.from_buffer(data)
    size = tokenizer.get_vocab_size()
    if size > _MOST_WORDS:
        raise InputError(path, f"has more than {_MOST_WORDS:,} words", _TRAIN)
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if largest >= size:  # an embedding has as many rows as there are words
        raise InputError(path, f"has a word {largest:,} and only {size:,} words", _TRAIN)
    return tokenizer


def token_ids(tokenizer: "Tokenizer", question: str) -> list[int]:
    """The tokens of a question, no special ones around them; InputError where a tokenizer does not get through it."""
    with _refusing("a selector's tokenizer", f"cannot read the question {question[:80]!r}"):
        ids: list[int] = tokenizer.encode(question, add_special_tokens=False).ids
    return ids


@contextmanager
def _refusing(where: object, what: str) -> Iterator[None]:
    """InputError for whatever the package raises meanwhile: where its Rust panics, that is no Exception."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise InputError(where, f"{what} ({str(error)[:80]})", _TRAIN) from None
