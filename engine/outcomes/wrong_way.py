"""Outcomes that may be the wrong way round: accuracies where losses are expected turn harm into gain.

Compressed audio that is far better than raw audio, which is mostly wrong, looks like that. Knows counts; no logs and no
rule.
"""

import math

_MOSTLY_WRONG = 0.5
_FAR = 3.0  # standard errors of a difference


def doubt(raw_loss: float, loss: float, n_better: int, n_worse: int) -> str | None:
    """What to check where raw audio is mostly wrong and compressed audio far better; None anywhere else.

    `n_better` and `n_worse` count the rows whose loss fell and rose.
    """
    if raw_loss <= _MOSTLY_WRONG or n_better - n_worse < _FAR * math.sqrt(n_better + n_worse) or not n_better:
        return None
    return (
        f"raw audio is wrong in {raw_loss:.1%} and this in {loss:.1%}, far less: are the losses accuracies? 0 is right "
        "and 1 is wrong; `earmark import --metric NAME` takes an accuracy"
    )
