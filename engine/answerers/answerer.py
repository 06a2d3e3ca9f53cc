"""What an answerer is to everybody who asks: excerpts and questions in, results out. Knows no model and no batches."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from earmark.engine.answerers.request import Progress, Request, Result
from earmark.engine.progress import Stop, never


class LostError(Exception):
    """The answerer cannot go on at all (a device that failed); what was answered before stands."""


def unheard(_: Progress) -> None:
    """A `report` that nobody listens to."""


class Answerer(Protocol):
    """An audio language model, whatever stands behind it: one in this process, or a server.

    To bring one: give it a name and an identity, and write `answer`. A fake of thirty lines in `tests/support/seams.py`
    runs a sweep. Work that was done before comes in `known`, by the key that the answerer itself gave its results;
    equal requests may share a result, and a request that cannot be answered has one with a status.

    One that carries out what an excerpt says of tokens (its `reduction`) has two more words, `cannot_reduce` and
    `cannot_weigh`: why it cannot, plain or sized, or nothing. Without them methods of tokens are refused by its name.
    So are methods of layers without `cannot_prune` and `layers`, and those of the cache without `cannot_evict`.
    """

    name: str
    likelihoods: bool  # whether results have option_nll; a rule about them refuses an answerer that has none

    @property
    def identity(self) -> str:
        """What its results depend on: weights, number format, prompts, way of answering. Equal ones answer alike."""

    def answer(
        self,
        requests: Iterable[Request],
        known: Mapping[str, Result],
        report: Callable[[Progress], None] = unheard,
        stop: Stop = never,
    ) -> Iterator[tuple[Request, Result]]:
        """Every request once, in no particular order; known results at once. `stop` is asked now and then."""

    def in_other_batches(self) -> "Answerer":
        """The same answerer, which works in other batches: what then changes is noise. Itself where nothing differs."""

    def close(self) -> None:
        """Give up what it holds; it is not asked again."""
