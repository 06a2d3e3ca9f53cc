"""How long work says where it stands and is asked to stop: one signature for all of it.

`report` gets what is being done, how much of it is done, and of how much (0: nobody knows; `AtMost`: or of less); how
fast that goes, who prints it works out. `stop` says whether somebody asked to stop.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Report = Callable[[str, int, int], None]
Stop = Callable[[], bool]


class AtMost(int):
    """How much there is to do at most: less may turn out to be enough."""


class StoppedError(Exception):
    """Somebody asked to stop: what is left is for the next run."""


def silent(*_: object) -> None:
    """A `report` that says nothing."""


def never() -> bool:
    """A `stop` that nobody asks for."""
    return False


@contextmanager
def stopping_on_signals(acknowledge: Callable[[], None] = silent) -> Iterator[Stop]:
    """For `stop`: SIGINT and SIGTERM let the batch finish, a second SIGINT interrupts it.

    `acknowledge` is called when the first of them comes, inside the signal's handler: it may wait for nothing. The
    exit code that says so is 130. Only in the main thread.
    """
    seen: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if not seen:
            acknowledge()
        seen.append(number)
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
