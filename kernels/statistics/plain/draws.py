"""Counter-based random words: a word is a function of a key and a counter, so no order of evaluation matters.

SplitMix64's output function over key + counter * golden ratio (Steele, Lea, Flood 2014); `compiled/draws.py` draws the
same words. Knows arrays only.
"""

import numpy as np
import numpy.typing as npt

from earmark.kernels.statistics.collapse import IntArray, WordArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)


def mix(z: WordArray) -> WordArray:
    """Bijections of 64 bits that look random."""
    z = z ^ (z >> _S30)
    z *= _M1
    z ^= z >> _S27
    z *= _M2
    z ^= z >> _S31
    return z


def words(keys: WordArray, counters: npt.NDArray[np.integer]) -> WordArray:
    """The `counters`-th 64-bit words of keys."""
    return mix(keys + counters.astype(np.uint64) * _GOLDEN)


def stream_keys(seed: int, streams: IntArray) -> WordArray:
    """The keys of independent streams (replicates, draws) of a seed."""
    return words(mix(np.array([seed], np.uint64)), streams)


def below(bits: WordArray, n: int) -> IntArray:
    """Whole numbers in [0, n) from the upper halves of words, n < 2^31."""
    return (((bits >> _S32) * np.uint64(n)) >> _S32).astype(np.int64)
