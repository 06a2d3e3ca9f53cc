"""How an inequality deviates: by what it is violated."""

from itertools import pairwise


def over(*values: float) -> float:
    """The largest fall from one value to the next, for values that should never fall; 0 if none does."""
    return max(0.0, *(low - high for low, high in pairwise(values)))
