"""The one exception that a person at the device reads: one line of where, what is wrong and what to do."""


class EdgeError(Exception):
    """What cannot be done, as one line."""

    def __init__(self, where: object, what: str, do: str = "") -> None:
        """Without `do`, `what` says that already."""
        super().__init__(" ".join(f"{where}: {what}{'; ' * bool(do)}{do}".split()))
