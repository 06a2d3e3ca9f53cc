"""A certificate that comes after another: on new rows alone, or as a look that was declared, and what both may spend.

Two certificates each hold at their alpha; that either of them is wrong has at most the sum. Rows that were judged
before may only be judged again where the plan declared it. Reads certificates and the names of recordings.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes import store
from earmark.engine.remote import beside
from earmark.engine.signoff import sources
from earmark.engine.signoff.certificate import CERTIFICATE_FILE, Certificate, Follows, StatedRule, read, read_data

_SAME_RULE = ("alpha", "tolerances", "tolerance_average", "claim", "candidates", "looks")


def follow(path: Path, certificate: Certificate, run: Path, rule: Rule) -> Follows:
    """What a certificate made of `run` now must say of the one before.

    Raises InputError where rows are judged again, unless that look was declared by the same rule.
    """
    chain = list(_chain(path, certificate))
    stated = certificate.rule
    declared = rule.looks > 1 and stated.looks == rule.looks
    look = 1
    if declared:
        look = 1 + (certificate.follows.look if certificate.follows else 1)
        _check_declared(path, stated, rule, look)
    recordings = _recordings(run, rule.source)
    checked = True
    for earlier_path, earlier_certificate in chain:
        earlier_run = beside(earlier_path.parent, earlier_certificate.run, store.is_signed_off)
        if not os.path.isdir(earlier_run / store.CELLS):
            checked = False
            continue
        earlier_recordings = _recordings(earlier_run, earlier_certificate.rule.source)
        if declared and earlier_path == path and not earlier_recordings <= recordings:
            raise InputError(
                path, "judged recordings that are not here", "a look that was declared adds rows to the first"
            )
        if not declared:
            _refuse_shared(path, earlier_recordings, recordings)
    spent = sum(earlier_certificate.rule.look_alpha for _, earlier_certificate in chain) + rule.look_alpha
    return Follows(os.path.realpath(path), hashlib.sha256(read_data(path)).hexdigest(), look, spent, checked)


def check_kept(followed: Path, out: Path) -> None:
    """Refuse a folder in which a certificate would replace the one that it follows."""
    if os.path.realpath(followed) == os.path.realpath(out / CERTIFICATE_FILE):
        what = "would be replaced by the certificate that follows it"
        raise InputError(followed, what, "name another folder with --out")


def _chain(path: Path, certificate: Certificate) -> Iterator[tuple[Path, Certificate]]:
    """A certificate and all those before it; raises InputError where one cannot be read or leads back."""
    seen: set[str] = set()
    while True:
        real = os.path.realpath(path)
        if real in seen:
            raise InputError(path, "follows itself", "name the certificate before with --follows")
        seen.add(real)
        yield path, certificate
        if certificate.follows is None:
            return
        path = beside(path.parent, certificate.follows.certificate)
        certificate = read(path)


def _check_declared(path: Path, stated: StatedRule, rule: Rule, look: int) -> None:
    """Refuse a look by another rule than the look before, or beyond the declared number of looks."""
    if look > rule.looks:
        reason = f"was look {look - 1} of {rule.looks} that were declared"
        raise InputError(path, reason, "certify new rows alone, under a new plan")
    for name in _SAME_RULE:
        if getattr(stated, name) != getattr(rule, name):
            raise InputError(path, f"declared another {name}", "looks at rows that grow are judged by one rule")


def _refuse_shared(path: Path, earlier: set[str], recordings: set[str]) -> None:
    """Raise InputError where recordings were judged before."""
    shared = sorted(recordings & earlier)
    if shared:
        raise InputError(
            path,
            f"was made of {len(shared)} of the {len(recordings)} recordings ({first_few(shared)})",
            "certify new rows alone; rows may only be added where the plan declares looks = 2",
        )


def _recordings(run: Path, source: str | None) -> set[str]:
    """Names of the recordings of a run, from a raw cell of each corpus where there is one."""
    cells = store.find_cells(run)
    chosen = {key.corpus: key for key in sorted(cells, key=lambda key: key.is_reference)}  # a raw cell is the last
    recordings: set[str] = set()
    for key in chosen.values():
        cell = store.read_cell(run, key, cells[key])
        recordings |= set(sources.of_cell(cell, cells[key], source).source_id.to_pylist())
    return recordings


def doubts(follows: Follows | None) -> Sequence[str]:
    """A sentence where the rows of a chain cannot be compared, so that nothing can be approved; else none."""
    if follows is None or follows.checked:
        return []
    return ["A run that was certified before is not here: whether these rows are new cannot be checked."]


def warnings(follows: Follows | None, rule: Rule) -> Sequence[str]:
    """A sentence on the error of the whole chain, where the certificate follows another."""
    if follows is None:
        return []
    return [
        f"This follows another certificate: alone it errs with a chance of at most {rule.look_alpha:g}, "
        f"the chain with at most {follows.alpha_spent:g}."
    ]
