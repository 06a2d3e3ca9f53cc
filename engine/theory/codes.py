"""From bits to tokens: Shannon's code over an alphabet of K tokens (Proposition E.8)."""

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import FloatArray

CodeWord = tuple[int, ...]


def shannon_lengths(law: FloatArray, n_tokens: int) -> npt.NDArray[np.int64]:
    """Word lengths of Shannon's code over K tokens: ceil(-log_K p), the smallest l with K^-l <= p, for every symbol."""
    if n_tokens < 2 or not ((law > 0).all() and abs(law.sum() - 1) <= 1e-9):
        raise ValueError("a code needs two tokens or more, and a law of symbols that occur")
    # The logarithm may round to one too many, so lengths start one lower and grow until they satisfy the definition.
    lengths = np.maximum(np.ceil(-np.log(law) / np.log(n_tokens)).astype(np.int64) - 1, 0)
    while (short := float(n_tokens) ** -lengths > law).any():
        lengths += short
    return np.asarray(lengths, dtype=np.int64)


def prefix_code(lengths: npt.NDArray[np.int64], n_tokens: int) -> list[CodeWord]:
    """Words of these lengths, none of which begins another; raises ValueError where Kraft's inequality forbids it."""
    words: list[CodeWord] = [()] * len(lengths)
    word, length = 0, 0  # the next free word, as a number of `length` digits
    for symbol in np.argsort(lengths, kind="stable"):
        word *= n_tokens ** (int(lengths[symbol]) - length)
        length = int(lengths[symbol])
        if word >= n_tokens**length:
            raise ValueError(f"no prefix code has lengths {lengths.tolist()} over {n_tokens} tokens")
        words[symbol] = tuple(word // n_tokens**digit % n_tokens for digit in range(length - 1, -1, -1))
        word += 1
    return words


def encode(symbols: npt.NDArray[np.int64], words: list[CodeWord]) -> list[int]:
    """The tokens of a sequence of symbols."""
    return [token for symbol in symbols for token in words[symbol]]


def decode(tokens: list[int], words: list[CodeWord]) -> list[int]:
    """The symbols of a sequence of tokens of a prefix code without empty words."""
    symbol_of = {word: symbol for symbol, word in enumerate(words)}
    symbols: list[int] = []
    word: CodeWord = ()
    for token in tokens:
        word = (*word, token)
        if word in symbol_of:
            symbols.append(symbol_of[word])
            word = ()
    if word:
        raise ValueError("the tokens end within a word")
    return symbols
