"""How many chunks a budget keeps: the one place that knows (SPEC 1)."""

from fractions import Fraction


def kept_chunks(budget: float, chunks: int) -> int:
    """k = max(1, floor(budget x chunks)), in exact decimals: .29 of 100 chunks is 29."""
    if not 0 < budget <= 1:
        raise ValueError(f"budget {budget} is not in (0, 1]")
    if chunks < 1:
        raise ValueError(f"{chunks} chunks: a clip has at least one")
    return max(1, int(Fraction(repr(float(budget))) * chunks))
