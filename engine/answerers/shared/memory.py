"""A store with a budget in bytes that forgets by known future use: what is needed last goes first (Belady).

Keys are compared by value. Knows neither what it holds nor how to make it again.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from earmark.engine.answerers.shared.audio_lm import Held

V = TypeVar("V", bound=Held)


@dataclass(slots=True)
class _Entry(Generic[V]):
    value: V
    nbytes: int
    next_use: int


class Store(Generic[V]):
    """Values by key; never holds more than `budget` bytes.

    `held_bytes == sum of entries' nbytes <= budget` after every call.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.held_bytes = 0
        self._entries: dict[object, _Entry[V]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def take(self, key: object, next_use: int | None) -> V | None:
        """The value, if it is held; it stays until its next use, and goes where there is none."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if next_use is None:
            self._drop(key)
        else:
            entry.next_use = next_use
        return entry.value

    def keep(self, key: object, value: V, next_use: int | None) -> None:
        """Hold a value for its next use, in place of what is needed later; not at all where all is needed sooner."""
        if key in self._entries:
            self._drop(key)
        nbytes = value.nbytes
        if next_use is None or nbytes > self.budget:
            return
        later = sorted((k for k, e in self._entries.items() if e.next_use > next_use), key=self._next_use)
        room = self.budget - self.held_bytes + sum(self._entries[k].nbytes for k in later)
        if nbytes > room:
            return
        while self.held_bytes + nbytes > self.budget:
            self._drop(later.pop())
        self._entries[key] = _Entry(value, nbytes, next_use)
        self.held_bytes += nbytes

    def _next_use(self, key: object) -> int:
        return self._entries[key].next_use

    def _drop(self, key: object) -> None:
        self.held_bytes -= self._entries.pop(key).nbytes
