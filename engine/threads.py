"""How many threads compute: as many as this process may use, and for a model one where results must not depend on it.

torch splits sums among its threads, so another number of them changes last bits. The number comes from
OMP_NUM_THREADS or the machine, and other libraries change it on the way (numba, where it starts its own threads).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def usable_threads() -> int:
    """As many as numba uses, which need not be imported for it: NUMBA_NUM_THREADS, or the cores of this process."""
    declared = os.environ.get("NUMBA_NUM_THREADS", "")
    if declared.isdigit() and int(declared) > 0:
        return int(declared)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
