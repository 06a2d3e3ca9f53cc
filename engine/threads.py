"""How many threads a model computes on, where its results must not depend on it, and whether there are any.

torch splits sums among its threads, so another number of them changes last bits. The number comes from
OMP_NUM_THREADS or the machine, and other libraries change it on the way (numba, where it starts its own threads).
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from earmark.engine.errors import InputError

_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@contextmanager
def one_thread() -> Iterator[None]:
    """While this context is open torch computes on the calling thread alone, afterwards on as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_room() -> None:
    """InputError where this process may not start the threads that the libraries start, which end it without a word."""
    done = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(_most_threads()):
            thread = threading.Thread(target=done.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:  # of Thread.start
        names = " ".join(f"{name}=1" for name in _SETTINGS)
        do = f"end some, raise the limit (ulimit -u, or the container's), or set {names}"
        raise InputError("threads", f"the limit on threads and processes leaves room for {len(started)}", do) from None
    finally:
        done.set()
        for thread in started:
            thread.join()


def _most_threads() -> int:
    """How many NumPy, SciPy, the kernels and torch start between them, and two for reading files."""
    cores = os.cpu_count() or 1
    counts = [int(value) if value.isdecimal() else cores for value in map(os.environ.get, _SETTINGS, [""] * 3)]
    return 3 * min(max(counts), cores) + 2
