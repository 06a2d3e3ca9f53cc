"""policy.json: which budget a deployment gives to which question, where routing was claimed and is approved.

It says how a family is told from a question, or that it cannot be, and sends what it does not know to raw audio. Knows
the claim and how partitions were made; no outcomes.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from earmark.engine.errors import InputError
from earmark.engine.outcomes.recipes import read_recipes
from earmark.engine.reading import read_bytes, read_json
from earmark.engine.signoff.certificate import CERTIFICATE_FILE, MOST_BYTES, Certificate
from earmark.engine.signoff.claim_entry import ClaimCandidate, DeployedPolicy, FamilyBudget, Shipped
from earmark.engine.signoff.json_form import to_json

POLICY_FILE = "policy.json"
SCHEMA = "earmark.policy/1"


def policies(
    candidates: Sequence[ClaimCandidate], approved: Sequence[Shipped], tolerance: float, run: Path
) -> list[DeployedPolicy]:
    """A policy for every candidate that routing is approved for, as policy.json and the certificate have it."""
    recipes = read_recipes(run)
    by_name = {candidate.name: candidate for candidate in candidates}
    approved_policies = []
    for approval in approved:
        if approval.kind != "routing":
            continue
        candidate = by_name[approval.candidate]
        assert candidate.policy is not None, "it is approved"
        corpus_recipes, partition = recipes.get(candidate.corpus), candidate.policy.partition
        recipe = None if corpus_recipes is None else corpus_recipes.partitions.get(str(partition))
        deployable, tell = _tell(recipe)
        approved_policies.append(
            DeployedPolicy(
                answerer=candidate.answerer,
                corpus=candidate.corpus,
                method=candidate.method,
                seeds=candidate.seeds,
                tolerance=tolerance,
                partition=partition,
                retained=approval.retained,
                families=tuple(FamilyBudget(route.family, route.budget) for route in candidate.policy.families),
                unknown=1.0,
                deployable=deployable,
                tell=tell,
            )
        )
    return approved_policies


def _tell(recipe: Mapping[str, Any] | None) -> tuple[bool, dict[str, Any]]:
    """Whether a family can be told from a question, and by what."""
    rule = None if recipe is None else recipe.get("rule")
    if recipe is not None and rule == "keyword":
        return True, {**recipe, "of": "the category text that a question comes with"}
    if recipe is not None and rule == "semantic" and "clusters" in recipe:
        return True, {**recipe, "of": "the embedding of the question"}
    why = "families are labels of the benchmark, which no question carries when it is asked"
    return False, {"rule": rule, "reason": why}


def content(certificate: Certificate) -> bytes | None:
    """What policy.json holds beside a certificate; None where nothing is routed."""
    return _content([to_json(policy) for policy in certificate.claim.policies])


def _content(policies: Sequence[Any]) -> bytes | None:
    """The same, of policies that are JSON already."""
    if not policies:
        return None
    return (json.dumps({"schema": SCHEMA, "policies": policies}, indent=1, ensure_ascii=False) + "\n").encode()


def difference(certificate: Certificate, folder: Path) -> str | None:
    """How the policy.json beside a certificate differs from what the certificate states; None where it does not."""
    path, wanted = folder / POLICY_FILE, content(certificate)
    there = os.path.lexists(path)
    if wanted is None:
        return f"{POLICY_FILE}: the certificate routes nothing" if there else None
    if not there:
        return f"{POLICY_FILE}: the file is gone"
    return None if _read(path) == wanted else f"{POLICY_FILE}: differs from the policies of the certificate"


def check_ours(folder: Path, wanted: bytes | None) -> None:
    """Refuse to replace a policy that is neither what the certificate beside it made nor what is `wanted` now."""
    path = folder / POLICY_FILE
    if os.path.lexists(path) and not _is_ours(_read(path), folder / CERTIFICATE_FILE, wanted):
        raise InputError(
            path,
            f"is not what the {CERTIFICATE_FILE} beside it made: it was changed",
            "move it away, and certify again",
        )


def _read(path: Path) -> bytes:
    return read_bytes(path, "move it away, and certify again", MOST_BYTES)


def _is_ours(there: bytes, certificate: Path, wanted: bytes | None) -> bool:
    if there == wanted:
        return True
    try:
        stated = read_json(certificate, "certify again", MOST_BYTES)  # of any version
        return _content(stated["claim"]["policies"]) == there
    except (InputError, KeyError, TypeError):
        return False
