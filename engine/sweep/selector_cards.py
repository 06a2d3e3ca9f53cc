"""Copies the cards of trained compressors into the run folder: the sign-off looks there for what trained them."""

from collections.abc import Mapping
from pathlib import Path

from earmark.engine.compressors.compressor import Compressor
from earmark.engine.outcomes.run_cards import write_card


def write(compressors: Mapping[tuple[str, int], Compressor], run: Path) -> None:
    """RUN/selectors/METHOD/seed=S.json for every one that has a card."""
    for (method, seed), compressor in compressors.items():
        if compressor.card is not None:
            write_card(run, method, seed, compressor.card)
