"""The one exception that a person at the device reads: one line of where, what is wrong and what to do."""


class EdgeError(Exception):
    """A refusal as one line: where, what is wrong, and what to do where `what` does not say it."""

    def __init__(self, where: object, what: str, do: str = "") -> None:
        super().__init__(" ".join(f"{where}: {what}{'; ' * bool(do)}{do}".split()))
