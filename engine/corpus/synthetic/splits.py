"""The three splits and what keeps them apart: each has seeds and a sound bank of its own.

What the answerer was trained on never trains a selector, and neither ever certifies.
"""

from enum import Enum

from earmark.engine.errors import InputError

SEEDS_PER_SPLIT = 1_000_000


class Split(Enum):
    """A part of the synthetic world; the value numbers its seeds and its bank."""

    ANSWERER = 0  # trains the answerer
    SELECTOR = 1  # trains selectors
    CERTIFICATION = 2  # measures and certifies; nothing is ever trained on it

    @property
    def seeds(self) -> range:
        """The seeds that belong to this split, and to no other."""
        return range(self.value * SEEDS_PER_SPLIT, (self.value + 1) * SEEDS_PER_SPLIT)

    @property
    def title(self) -> str:
        """How the split is called in names of clips."""
        return self.name.lower()


def check_seed(split: Split, seed: int) -> None:
    """Raise InputError for a seed of another split."""
    if seed not in split.seeds:
        owner = next((candidate.title for candidate in Split if seed in candidate.seeds), "no split")
        raise InputError(
            f"synthetic corpus, split {split.title}",
            f"seed {seed} belongs to {owner}",
            f"take one from {split.seeds.start} to {split.seeds.stop - 1}, so that splits never share a clip",
        )


def check_bank(split: Split, bank: Split) -> None:
    """Raise InputError for the sounds of another split."""
    if bank is not split:
        raise InputError(
            f"synthetic corpus, split {split.title}",
            f"the sound bank belongs to {bank.title}",
            f"use the bank of {split.title}, so that splits never share a sound",
        )
