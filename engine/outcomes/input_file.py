"""What a certificate says of a file that was read. Knows no format, and opens nothing."""

from typing import Annotated, NamedTuple

from earmark.engine.design.fields import COUNT, SHA256


class InputFile(NamedTuple):
    """One file that was read, as a certificate names it."""

    path: Annotated[str, "relative to the run folder"]
    sha256: Annotated[str, "of its bytes", SHA256]
    rows: Annotated[int, "how many it holds", COUNT]
