"""The certificate that somebody names by its file or by its folder."""

import os
from pathlib import Path


def certificate_in(place: Path) -> Path:
    """The file: the place itself, or the certificate.json of a folder; InputError where a folder holds none."""
    from earmark.engine.errors import InputError
    from earmark.engine.signoff.certificate import CERTIFICATE_FILE

    if not place.is_dir():
        return place
    if not os.path.lexists(place / CERTIFICATE_FILE):
        raise InputError(place, f"holds no {CERTIFICATE_FILE}", f"make one with `earmark certify {place}`")
    return place / CERTIFICATE_FILE
