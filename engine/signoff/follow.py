"""A certificate that comes after another: on new rows alone, or as a look that was declared, and what both may spend.

Two certificates each hold at their alpha; that either of them is wrong has at most the sum. Rows that were judged
before may only be judged again where the plan declared it. Reads certificates and the names of recordings.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes import store
from earmark.engine.signoff import sources
from earmark.engine.signoff.certificate import read

_SAME_RULE = ("alpha", "tolerances", "tolerance_average", "claim", "candidates", "partitions", "looks")


class Follows(NamedTuple):
    """The certificate before, and what the chain has spent with this one."""

    certificate: str
    sha256: str
    look: int  # of those that were declared; 1 where rows are new
    alpha_spent: float
    checked: bool  # whether the runs before are there, so that their recordings could be compared


def follow(path: Path, certificate: dict[str, Any], run: Path, rule: Rule) -> Follows:
    """What a certificate made of `run` now must say of the one before.

    Raises InputError where rows are judged again, unless that look was declared by the same rule.
    """
    chain = list(_chain(path, certificate))
    stated, followed = certificate["rule"], certificate.get("follows")
    declared = rule.looks > 1 and stated.get("looks") == rule.looks
    look = 1
    if declared:
        look = 1 + (followed["look"] if followed else 1)
        _check_declared(path, stated, rule, look)
    recordings = _recordings(run, rule.source)
    checked = True
    for earlier_path, earlier_certificate in chain:
        earlier_run = earlier_path.parent / str(earlier_certificate["run"])
        if not (earlier_run / store.CELLS).is_dir():
            checked = False
            continue
        earlier_recordings = _recordings(earlier_run, earlier_certificate["rule"].get("source"))
        if declared and earlier_path == path and not earlier_recordings <= recordings:
            raise InputError(
                path, "judged recordings that are not here", "a look that was declared adds rows to the first"
            )
        if not declared:
            _refuse_shared(path, earlier_recordings, recordings)
    spent = sum(_alone(earlier_certificate["rule"]) for _, earlier_certificate in chain) + rule.look_alpha
    return Follows(str(path.resolve()), hashlib.sha256(path.read_bytes()).hexdigest(), look, spent, checked)


def _chain(path: Path, certificate: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A certificate and all those before it; raises InputError where one cannot be read or leads back."""

    seen: set[Path] = set()
    while True:
        _check_form(path, certificate)
        if path.resolve() in seen:
            raise InputError(path, "follows itself", "name the certificate before with --follows")
        seen.add(path.resolve())
        yield path, certificate
        followed = certificate.get("follows")
        if followed is None:
            return
        path = path.parent / followed["certificate"]
        certificate = read(path)


def _check_form(path: Path, certificate: dict[str, Any]) -> None:
    """Raise InputError where a certificate lacks what a chain is computed from."""
    rule, followed = certificate["rule"], certificate.get("follows")
    numbers = isinstance(rule.get("alpha"), float) and isinstance(rule.get("looks"), int) and rule["looks"] >= 1
    chained = followed is None or (
        isinstance(followed, dict)
        and isinstance(followed.get("certificate"), str)
        and isinstance(followed.get("look"), int)
        and isinstance(followed.get("alpha_spent"), float)
    )
    if not (numbers and chained):
        raise InputError(path, "rule or follows cannot be read", "it was cut or edited: certify again")


def _check_declared(path: Path, stated: dict[str, Any], rule: Rule, look: int) -> None:
    """Refuse a look by another rule than the look before, or beyond the declared number of looks."""
    if look > rule.looks:
        reason = f"was look {look - 1} of {rule.looks} that were declared"
        raise InputError(path, reason, "certify new rows alone, under a new plan")
    for name in _SAME_RULE:
        value = getattr(rule, name)
        if name != "partitions" and stated.get(name) != (list(value) if isinstance(value, tuple) else value):
            raise InputError(path, f"declared another {name}", "looks at rows that grow are judged by one rule")


def _alone(rule: dict[str, Any]) -> float:
    """The alpha that one certificate of a chain spends."""
    return float(rule["alpha"] / rule["looks"])


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
