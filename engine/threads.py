"""One thread for a model whose results must not depend on their number.

torch splits sums among its threads, so another number of them changes last bits. The number comes from
OMP_NUM_THREADS or the machine, and other libraries change it on the way (numba, where it starts its own threads).
"""

from collections.abc import Iterator
from contextlib import contextmanager


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
