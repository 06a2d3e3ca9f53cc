"""Recomputes a certificate from its run folder and the files beside it; finds the first difference, if any.

`certificate` knows how to read one, `certify` how to make one, `signed_files` what lies beside it. It is in this room
since it renders the page, which nothing that signs off knows.
"""

import os
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from earmark.engine.errors import EarmarkError, InputError
from earmark.engine.outcomes.store import is_signed_off
from earmark.engine.progress import Report, silent
from earmark.engine.reading import read_bytes
from earmark.engine.remote import beside, local
from earmark.engine.report.html import MARK, render
from earmark.engine.report.played import played_from
from earmark.engine.report.signed_files import REPORT, folder_of
from earmark.engine.signoff import policy
from earmark.engine.signoff.certificate import (
    MOST_BYTES,
    Certificate,
    Follows,
    parse,
    read,
    read_data,
    rule_of,
    to_bytes,
)
from earmark.engine.signoff.certify import certify
from earmark.engine.signoff.changed_input import changed_input
from earmark.engine.signoff.follow import follow
from earmark.engine.signoff.json_form import Json, to_json

_NOT_COMPARED = ("made_by", "run")
_MARKED = re.compile(rf'<meta name="{MARK}" content="([0-9a-f]{{64}})"/>'.encode())


def verify(path: Path, run: Path | None = None, progress: Report = silent) -> str | None:
    """The first difference between the certificate and what the files give, or None where it holds.

    Files first, then every field, then the bytes of the certificate, and policy.json and report.html beside it: these
    belong to certificate.json, by whatever link it was named, and are not compared with a copy of another name.
    """
    data = read_data(path)
    stated = parse(data, path)
    home = folder_of(path)
    folder = path.parent if home is None else home
    run = beside(folder, stated.run, is_signed_off, progress) if run is None else local(run, is_signed_off, progress)
    if not os.path.isdir(run):
        raise InputError(run, "there is no such run folder", "name it with --run")
    change = changed_input(stated, run)
    if change:
        return f"{change}{_of_walks(stated, run)}"
    follows, gap = _followed(stated, folder, run)
    if gap is not None:
        return gap
    recomputed = certify(run, rule_of(stated), progress, follows)
    difference = next(_differences(_compared(stated), _compared(recomputed), ""), None)
    difference = difference or _other_bytes(path.name, data, to_bytes(stated))
    if home is not None:
        difference = difference or policy.difference(stated, home) or _other_page(stated, data, home, run)
    return difference


def _of_walks(stated: Certificate, run: Path) -> str:
    """What changed files do to the walks of a sweep that stopped when it was decided, behind a semicolon: which row
    they lack, or have beyond what was needed; empty where that cannot be told.
    """
    if not stated.walks:
        return ""
    try:
        warnings = certify(run, rule_of(stated)).warnings
    except EarmarkError as error:
        return f"; {error}"
    new = next((warning for warning in warnings if warning not in stated.warnings), None)
    return "" if new is None else f"; {new}"


def _followed(stated: Certificate, folder: Path, run: Path) -> tuple[Follows | None, str | None]:
    """What the certificate says of the one that it follows, or a sentence where that one is gone."""
    before = stated.follows
    if before is None:
        return None, None
    followed_path = beside(folder, before.certificate)
    if not os.path.isfile(followed_path):
        return None, f"follows: {before.certificate} is gone"
    follows = follow(followed_path, read(followed_path), run, rule_of(stated))
    return follows._replace(checked=follows.checked or before.checked), None  # it was there then


def _other_page(stated: Certificate, data: bytes, folder: Path, run: Path) -> str | None:
    """How the report.html beside a certificate differs from its page; None where it does not.

    InputError where it differs and another Earmark made it, whose pages this one does not render.
    """
    path = folder / REPORT
    if not os.path.lexists(path):
        return f"{REPORT}: the file is gone"
    page = read_bytes(path, "move it away, and certify again", MOST_BYTES)
    wanted = render(stated, data, played_from(stated, run)).encode()
    if page == wanted:
        return None
    maker, here = stated.made_by.get("earmark"), version("earmark")
    if maker != here:
        what = f"was made by Earmark {maker}, whose pages Earmark {here} does not render, so it cannot be compared"
        raise InputError(path, what, f"verify with Earmark {maker}, or certify again")
    mark, own_mark = _MARKED.search(page), _MARKED.search(wanted)
    if mark is not None and own_mark is not None and mark[1] != own_mark[1]:
        return f"{REPORT}: is the page of another certificate ({mark[1].decode()[:12]}...): certify again"
    return _other_bytes(REPORT, page, wanted)


def _other_bytes(name: str, data: bytes, wanted: bytes) -> str | None:
    """Where the bytes of a file stop to be those that Earmark writes; None where they do not."""
    if data == wanted:
        return None
    pairs = enumerate(zip(data, wanted, strict=False))
    same = next((i for i, (byte, other) in pairs if byte != other), min(len(data), len(wanted)))
    line = data.count(b"\n", 0, same) + 1
    return f"{name}: from byte {same:,} on (line {line:,}) it is not what Earmark writes: it was edited"


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
