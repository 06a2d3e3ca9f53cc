"""How an inequality deviates: by what it is violated."""

from itertools import pairwise


def over(*values: float) -> float:
    """By how much values that should rise fall at most."""
    return max(0.0, *(low - high for low, high in pairwise(values)))
