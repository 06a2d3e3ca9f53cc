"""How many threads may compute here: what numba would use, which need not be imported to know it."""

import os


def usable_threads() -> int:
    """NUMBA_NUM_THREADS, or the cores that this process may use."""
    declared = os.environ.get("NUMBA_NUM_THREADS", "")
    if declared.isdigit() and int(declared) > 0:
        return int(declared)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
