"""A trained scorer of audio tokens: what an encoder makes of a clip in, one score per position out.

Its folder is that of a selector (docs/selectors.md, Audio tokens). Knows no answerer: it is given states, and says
whose it was trained on.
"""

import re
from pathlib import Path

import numpy as np

from earmark.engine.arrays import FloatArray, Scores
from earmark.engine.compressors.card import Card
from earmark.engine.compressors.chunks.features import FEATURES
from earmark.engine.compressors.chunks.learned import TrainedScorer, question_tokens, score
from earmark.engine.errors import InputError

TOKENS_AGNOSTIC, TOKENS_CONDITIONED = "tokens_agnostic", "tokens_conditioned"  # what trained methods are called
_STATES = re.compile(r"states-([1-9][0-9]{0,5})/1")


def states_features(width: int) -> str:
    """The name of features that are an encoder's states of this width."""
    return f"states-{width}/1"


class TokenScorer(TrainedScorer):
    """A trained scorer of audio tokens, by the states of one encoder."""

    @classmethod
    def width_of(cls, card: Card, path: Path) -> int:
        """The width of the states; InputError where it reads other features."""
        match = _STATES.fullmatch(card["features"])
        if match is None or not card.get("encoder"):
            if card["features"] == FEATURES:
                raise InputError(path, "is of a selector of seconds", 'set compressor = "chunks"')
            raise InputError(path, f"wants features {card['features'][:40]}", "train the selector again")
        return int(match[1])

    @property
    def encoder(self) -> str:
        """Identity of the model whose states it reads."""
        return str(self.card["encoder"])

    def position_scores(self, states: FloatArray, question: str) -> Scores:
        """Scores (n,) of states (n, width), whatever else is in a batch; ValueError where they are not finite."""
        tokens = None if self.tokenizer is None else [question_tokens(self.tokenizer, question)]
        (scores,) = score(self.scorer, [states.astype(np.float32)], tokens)
        return scores
