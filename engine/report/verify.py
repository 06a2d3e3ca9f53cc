"""Recomputes a certificate from its run folder and finds the first difference, if any.

`certificate` knows how to read one and `certify` how to make one.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earmark.engine.errors import InputError
from earmark.engine.progress import Report, silent
from earmark.engine.signoff import policy
from earmark.engine.signoff.certificate import Certificate, Follows, read, rule_of
from earmark.engine.signoff.certify import certify
from earmark.engine.signoff.follow import follow
from earmark.engine.signoff.json_form import Json, to_json

_NOT_COMPARED = ("made_by", "run")


def verify(path: Path, run: Path | None = None, progress: Report = silent) -> str | None:
    """The first difference between the certificate and what the files give, or None where it holds."""
    stated = read(path)
    run = run or path.parent / stated.run
    if not run.is_dir():
        raise InputError(run, "there is no such run folder", "name it with --run")
    change = _changed_input(stated, run)
    if change:
        return change
    follows, gap = _followed(stated, path, run)
    if gap is not None:
        return gap
    recomputed = certify(run, rule_of(stated), progress, follows)
    difference = next(_differences(_compared(stated), _compared(recomputed), ""), None)
    return difference or policy.difference(recomputed, path.parent)


def _followed(stated: Certificate, path: Path, run: Path) -> tuple[Follows | None, str | None]:
    """What the certificate says of the one that it follows, or a sentence where that one is gone."""
    before = stated.follows
    if before is None:
        return None, None
    followed_path = path.parent / before.certificate
    if not followed_path.is_file():
        return None, f"follows: {before.certificate} is gone"
    follows = follow(followed_path, read(followed_path), run, rule_of(stated))
    return follows._replace(checked=follows.checked or before.checked), None  # it was there then


def _changed_input(stated: Certificate, run: Path) -> str | None:
    """The first input that is gone or has another hash, in a sentence."""
    for entry in stated.inputs:
        file = run / entry.path
        if not file.is_file():
            return f"{entry.path}: the file is gone"
        try:
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError as error:
            raise InputError(file, f"cannot be read ({error.strerror})", "make it readable") from error
        if digest != entry.sha256:
            return f"{entry.path}: sha256 is {digest[:12]}..., the certificate was made from {entry.sha256[:12]}..."
    return None


def _compared(certificate: Certificate) -> Json:
    """The part of a certificate that has to be the same wherever and by whatever version it is recomputed."""
    compared = {name: value for name, value in to_json(certificate).items() if name not in _NOT_COMPARED}
    if compared["follows"] is not None:  # wherever it lies; its hash is compared
        compared["follows"] = {name: value for name, value in compared["follows"].items() if name != "certificate"}
    return compared


def _differences(stated: Any, recomputed: Any, where: str) -> Iterator[str]:
    """Every place where two JSON values differ, in reading order."""
    if isinstance(stated, dict) and isinstance(recomputed, dict):
        for name in dict.fromkeys([*recomputed, *stated]):
            place = f"{where}.{name}" if where else name
            if name not in stated or name not in recomputed:
                yield f"{place}: only in {'the files' if name in recomputed else 'the certificate'}"
            else:
                yield from _differences(stated[name], recomputed[name], place)
    elif isinstance(stated, list) and isinstance(recomputed, list):
        if len(stated) != len(recomputed):
            yield f"{where}: the certificate has {len(stated)} entries, the files give {len(recomputed)}"
        for i, (stated_item, recomputed_item) in enumerate(zip(stated, recomputed, strict=False)):
            yield from _differences(stated_item, recomputed_item, f"{where}[{i}]")
    elif stated != recomputed or type(stated) is not type(recomputed):
        yield f"{where}: the certificate says {stated!r}, the files give {recomputed!r}"
