"""The files of a sign-off, which belong together: certificate.json, report.html and, where it routes, policy.json.

All of them are made before any is written, and the certificate is written last. The page names the SHA-256 of its
certificate. Knows no outcomes; `verify` compares what lies there with what the certificate gives.
"""

import os
from dataclasses import replace
from pathlib import Path

from earmark.engine import files
from earmark.engine.remote import beside, local
from earmark.engine.report.html import render
from earmark.engine.report.played import played_from
from earmark.engine.signoff import policy
from earmark.engine.signoff.certificate import CERTIFICATE_FILE, Certificate, to_bytes
from earmark.engine.signoff.follow import check_kept
from earmark.engine.urls import url_in, url_of_copy

REPORT = "report.html"
BESIDE = (policy.POLICY_FILE, REPORT)  # a certificate.json


def write(certificate: Certificate, run: Path, out: Path) -> Path:
    """Write the files of a sign-off of `run` into `out`; returns the path of certificate.json.

    Nothing is written where one of them cannot be replaced: what is a folder, a link or read-only, and a policy.json
    that was changed, and the certificate that this one follows.
    """
    if certificate.follows is not None:
        check_kept(Path(certificate.follows.certificate), out)
    placed = _placed(certificate, run, out)
    data = to_bytes(placed)
    contents = {
        policy.POLICY_FILE: policy.content(placed),
        REPORT: render(placed, data, played_from(placed, run)).encode(),
        CERTIFICATE_FILE: data,
    }
    check_replaceable(out)
    policy.check_ours(out, contents[policy.POLICY_FILE])
    files.write_files(out, contents)
    return out / CERTIFICATE_FILE


def certificate_here(place: Path) -> Path:
    """The certificate that a path or a URL names by its file or by its folder, with what lies beside it.

    A folder that holds none is returned as it is.
    """
    here = local(place, _is_of_a_signing)
    if os.path.lexists(here / CERTIFICATE_FILE):
        return here / CERTIFICATE_FILE
    if here.name == CERTIFICATE_FILE and url_of_copy(here) is not None:
        for name in BESIDE:
            beside(here.parent, name)
    return here


def _is_of_a_signing(name: str) -> bool:
    return name in (*BESIDE, CERTIFICATE_FILE)


def folder_of(path: Path) -> Path | None:
    """Where the files beside a certificate are; a link to certificate.json is one. None for a copy of another name."""
    for certificate in (path, Path(os.path.realpath(path))):
        if certificate.name == CERTIFICATE_FILE:
            return certificate.parent
    return None


def check_replaceable(out: Path) -> None:
    """Refuse a folder in which a file of a sign-off cannot be replaced."""
    for name in (*BESIDE, CERTIFICATE_FILE):
        files.check_replaceable(out / name)


def _placed(certificate: Certificate, run: Path, out: Path) -> Certificate:
    """The certificate with the ways from its folder to the run and to the certificate that it follows."""
    follows = certificate.follows
    if follows is not None:
        follows = follows._replace(certificate=_way(Path(follows.certificate), out))
    return replace(certificate, run=_way(run, out), follows=follows)


def _way(to: Path, start: Path) -> str:
    """The relative path from one folder to another path, with forward slashes; a URL, for what was read from one."""
    url = url_of_copy(to) or url_in(to)
    if url is not None:
        return url
    return Path(os.path.relpath(os.path.realpath(to), os.path.realpath(start))).as_posix()
