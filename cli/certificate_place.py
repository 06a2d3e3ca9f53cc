"""The certificate that somebody names by its file or by its folder."""

from pathlib import Path


def certificate_in(place: Path) -> Path:
    """The file: the place itself, or the certificate.json of a folder; InputError where a folder holds none."""
    from earmark.engine.errors import InputError
    from earmark.engine.report.signed_files import certificate_here
    from earmark.engine.signoff.certificate import CERTIFICATE_FILE

    file = certificate_here(place)
    if file.is_dir():
        raise InputError(place, f"holds no {CERTIFICATE_FILE}", f"make one with `earmark certify {place}`")
    return file
