"""Whether the files that a certificate was made from are still the same. Knows hashes; parses none of them."""

import os
from pathlib import Path

from earmark.engine.reading import check_inside, sha256
from earmark.engine.signoff.certificate import Certificate


def changed_input(stated: Certificate, run: Path) -> str | None:
    """The first input that is gone or has another hash, in a sentence; None where all are as they were read."""
    for entry in stated.inputs:
        file = run / entry.path
        check_inside(file, run, "a certificate is made of files of its run folder: make it again")
        if not os.path.lexists(file):
            return f"{entry.path}: the file is gone"
        digest = sha256(file, "make it readable")
        if digest != entry.sha256:
            return f"{entry.path}: sha256 is {digest[:12]}..., the certificate was made from {entry.sha256[:12]}..."
    return None
