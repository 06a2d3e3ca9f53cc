"""What an answerer says of itself before it is asked: what it shares, how much it hears, what its replies will hold.

Each of our kinds of answerers has `abilities`; one that a user brings needs none to answer.
"""

from typing import NamedTuple, Protocol

from earmark.engine.answerers.answerer import Answerer
from earmark.engine.answerers.server.canaries import Canaries


class ServerAbilities(NamedTuple):
    """What is known of a server once it has answered its canaries."""

    canaries: int  # questions that it was asked at its start
    canaries_right: int
    requests: int  # that were sent to it until now, all counted
    came_to: Canaries  # what they came to when its folder was begun


class Abilities(NamedTuple):
    """What an answerer can do."""

    shares: bool  # questions about equal audio share its keys and values
    no_likelihoods: str  # why its answers have none; empty: they have
    letters_are_tokens: bool | None  # each letter is one token after the prompt; None: nobody says
    window_s: float | None  # that it hears at once; None: nobody says
    beyond: str  # what becomes of a longer clip
    server: ServerAbilities | None = None  # None: it runs in this process


class AbleAnswerer(Answerer, Protocol):
    """An answerer that says what it can do."""

    @property
    def abilities(self) -> Abilities:
        """What it can do, as far as it knows now."""
