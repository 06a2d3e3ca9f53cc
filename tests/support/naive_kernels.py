"""Slow twins of the kernels that draw: whole numbers and plain loops, nothing from earmark."""

from collections import Counter, defaultdict
from collections.abc import Sequence

WORD = 2**64
GOLDEN = 0x9E3779B97F4A7C15


def mix(z: int) -> int:
    """SplitMix64's output function."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WORD
    return z ^ (z >> 31)


def word(key: int, counter: int) -> int:
    return mix((key + counter * GOLDEN) % WORD)


def stream_key(seed: int, stream: int) -> int:
    return mix((mix(seed) + stream * GOLDEN) % WORD)


def below(bits: int, n: int) -> int:
    return ((bits >> 32) * n) >> 32


def collapse(rows: Sequence[Sequence[float]], sources: Sequence[int] | None) -> Counter[tuple[tuple[float, ...], ...]]:
    """How many rows (or sources) there are of each kind; a source's kind is the sorted multiset of its rows."""
    if sources is None:
        return Counter((tuple(row),) for row in rows)
    of_source: dict[int, list[tuple[float, ...]]] = defaultdict(list)
    for row, source in zip(rows, sources, strict=True):
        of_source[source].append(tuple(row))
    return Counter(tuple(sorted(kind)) for kind in of_source.values())


def noisy_labels(code: Sequence[int], n_families: int, rate: float, draws: int, seed: int) -> list[list[int]]:
    """Each row another family with probability `rate`, from the words 2 i + 1 and 2 i + 2 of a draw."""
    labels = []
    for draw in range(draws):
        key = stream_key(seed, draw) ^ 0xA0761D6478BD642F
        labels.append(
            [
                (c + (1 + below(word(key, 2 * i + 2), n_families - 1))) % n_families
                if word(key, 2 * i + 1) < int(rate * 2.0**64)
                else c
                for i, c in enumerate(code)
            ]
        )
    return labels
