"""Memory as the commands that compute need it: taken once, not anew for every array."""


def keep_memory() -> None:
    """Let the process keep memory that arrays give back, some 60 MB at most, for those that come next.

    glibc hands large blocks back to the system, which clears every page before it lends it again, until a block as
    large as this one (the largest that counts) was freed. Its pages are never touched; elsewhere nothing changes.
    """
    import numpy as np

    np.empty(31 << 20, np.uint8)
