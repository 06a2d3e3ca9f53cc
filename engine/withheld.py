"""Keys that nobody else may see: while work goes on they are no longer in the environment, which every process that is
started gets a copy of, with the code of others in it.

Knows the names of environment variables, and not what their keys open.
"""

import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

_lock = threading.Lock()  # around these two, and the variables of the environment
_keys: dict[str, str] = {}
_users: Counter[str] = Counter()  # contexts that are open, by variable: the last one puts it back


@contextmanager
def withheld(variables: Iterable[str]) -> Iterator[None]:
    """While this context is open `value_of` alone knows what these environment variables hold."""
    names = set(variables)
    with _lock:
        for name in names:
            _users[name] += 1
            if name in os.environ:
                _keys[name] = os.environ.pop(name)
    try:
        yield
    finally:
        with _lock:
            for name in names:
                _users[name] -= 1
                if not _users[name] and name in _keys:
                    os.environ.setdefault(name, _keys.pop(name))


def value_of(variable: str) -> str:
    """What an environment variable holds, withheld or not; empty where it is not set."""
    with _lock:
        return _keys.get(variable) or os.environ.get(variable, "")
