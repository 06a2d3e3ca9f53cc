"""A certificate that comes after another: on new rows alone, or as a look that was declared, and what both may spend.

Two certificates each hold at their alpha; that either of them is wrong has at most the sum. Rows that were judged
before may only be judged again where the plan declared it. Reads certificates and the names of recordings.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes import store
from earmark.engine.signoff.rule import Rule


class Follows(NamedTuple):
    """The certificate before, and what the chain has spent with this one."""

    certificate: str
    sha256: str
    look: int  # of those that were declared; 1 where rows are new
    alpha_spent: float
    checked: bool  # whether the run before is there, so that its recordings could be compared


def follow(path: Path, certificate: dict[str, Any], run: Path, rule: Rule) -> Follows:
    """What stands behind a certificate that is made of `run` now; raises InputError where rows are judged again."""
    before = certificate.get("follows")
    declared = certificate["rule"].get("looks") == rule.looks > 1
    look = 1 + (before["look"] if before and declared else 1) if declared else 1
    if look > rule.looks:
        raise InputError(
            path, f"was look {look - 1} of {rule.looks} that were declared", "certify new rows alone, under a new plan"
        )
    earlier = path.parent / str(certificate["run"])
    checked = earlier.is_dir()
    if checked and not declared:
        _refuse_shared(path, _recordings(earlier), _recordings(run))
    spent = (before["alpha_spent"] if before else spent_alone(certificate["rule"])) + rule.look_alpha
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Follows(str(path.resolve()), digest, look, spent, checked)


def spent_alone(rule: dict[str, Any]) -> float:
    """What one certificate spends."""
    return float(rule["alpha"]) / int(rule.get("looks", 1))


def _refuse_shared(path: Path, before: dict[str, set[str]], now: dict[str, set[str]]) -> None:
    for corpus, names in now.items():
        shared = sorted(names & before.get(corpus, set()))
        if shared:
            raise InputError(
                path,
                f"was made of {len(shared)} of the {len(names)} recordings of {corpus} ({first_few(shared)})",
                "certify new rows alone; rows may only be added where the plan declares looks = 2",
            )


def _recordings(run: Path) -> dict[str, set[str]]:
    """Names of the recordings of every corpus, from one cell of each."""
    found: dict[str, set[str]] = {}
    for key, files in store.find_cells(run).items():
        if key.corpus not in found:
            found[key.corpus] = set(store.read_cell(run, key, files).source_id.to_pylist())
    return found


def entry(follows: Follows | None) -> dict[str, Any] | None:
    """The `follows` of a certificate."""
    return None if follows is None else follows._asdict()


def warnings(follows: Follows | None, rule: Rule) -> Sequence[str]:
    """What a reader of one certificate of a chain must know."""
    if follows is None:
        return []
    found = [
        f"This follows another certificate: alone it errs with a chance of at most {rule.look_alpha:g}, "
        f"the chain with at most {follows.alpha_spent:g}."
    ]
    if not follows.checked:
        found.append("The run of the certificate before is not here: whether these rows are new could not be checked.")
    return found
