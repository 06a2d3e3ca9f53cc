"""What a reply says: the letter that was written, or the likeliest one where nothing was. Knows no model."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from earmark.engine.answerers import parse, prompt
from earmark.engine.answerers.shared.audio_lm import Reply
from earmark.engine.design.keys import NOT_FINITE, OK


class Spoken(NamedTuple):
    """The letter, the likelihoods of all letters, and the status of a result."""

    label: str | None
    option_nll: tuple[float, ...]
    status: str = OK


def spoken_letter(reply: Reply, choices: Sequence[str]) -> Spoken:
    """What a reply to a question with these choices says; likelihoods that are no numbers are a status."""
    nll = tuple(float(x) for x in reply.option_nll)
    letters = prompt.letters(len(choices))
    if not all(math.isfinite(x) for x in nll):
        return Spoken(None, (), NOT_FINITE)
    if reply.text is None:
        return Spoken(letters[min(range(len(nll)), key=nll.__getitem__)], nll)
    return Spoken(parse.letter(reply.text, letters, choices), nll)
