"""Counter-based random words: a word is a function of a key and a counter, so no order of evaluation matters.

SplitMix64's output function over key + counter * golden ratio (Steele, Lea, Flood 2014); `plain/draws.py` draws
the same words. Knows numba only.
"""

import numpy as np

from earmark.kernels._jit import jit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)


@jit
def mix(z):
    """A bijection of 64 bits that looks random."""
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@jit
def word(key, counter):
    """The `counter`-th 64-bit word of a key."""
    return mix(key + np.uint64(counter) * _GOLDEN)


@jit
def stream_key(seed, stream):
    """The key of one independent stream (a replicate, a draw) of a seed."""
    return mix(mix(np.uint64(seed)) + np.uint64(stream) * _GOLDEN)


@jit
def below(bits, n):
    """A whole number in [0, n) from the upper half of a word, n < 2^31."""
    return np.int64(((bits >> _S32) * np.uint64(n)) >> _S32)
