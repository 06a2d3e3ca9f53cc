"""The certificate's file: its schema, how one is read, and the rule that it states. Knows no outcomes."""

import json
import operator
from dataclasses import fields
from pathlib import Path
from typing import Any

from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError

SCHEMA = "earmark.certificate/2"
CERTIFICATE_FILE = "certificate.json"

Certificate = dict[str, Any]


def read(path: Path) -> Certificate:
    """A certificate from its file; raises InputError for anything else, and where main fields are missing."""
    try:
        certificate = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(path, "there is no such file", "name a certificate.json") from None
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(path, f"is not a certificate ({error})", "name a certificate.json") from None
    if not isinstance(certificate, dict) or certificate.get("schema") != SCHEMA:
        schema = certificate.get("schema") if isinstance(certificate, dict) else None
        raise InputError(path, f"schema is {schema!r}", f"this Earmark reads {SCHEMA}")
    missing = [name for name in ("run", "rule", "claim", "inputs", "results") if name not in certificate]
    if missing:
        raise InputError(path, f"lacks {', '.join(missing)}", "it was cut or edited: certify again")
    inputs = certificate["inputs"]
    well_formed = (
        isinstance(certificate["run"], str)
        and isinstance(certificate["rule"], dict)
        and isinstance(inputs, list)
        and all(isinstance(i, dict) and all(isinstance(i.get(k), str) for k in ("path", "sha256")) for i in inputs)
    )
    if not well_formed:
        raise InputError(path, "run, rule or inputs cannot be read", "it was cut or edited: certify again")
    return certificate


def rule_of(stated: Certificate, path: Path) -> Rule:
    """The rule that a certificate states; raises InputError where it cannot be read."""
    known = {field.name for field in fields(Rule)}
    declared = {name: value for name, value in stated["rule"].items() if name != "gamma"}  # follows from alpha
    unknown = sorted(declared.keys() - known)
    if unknown:
        raise InputError(path, f"rule has unknown fields {', '.join(unknown)}", "it was made by another version")
    try:
        for name in ("tolerances", "partitions", "in_domain", "candidates", "allow_vacuous"):
            declared[name] = tuple(declared.get(name, ()))
        whole = {name: operator.index(declared[name]) for name in ("replicates", "seed", "min_family", "looks")}
        return Rule(**{**declared, **whole, "parents": dict(declared["parents"])})
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(path, f"rule cannot be read ({error})", "it was cut or edited: certify again") from None
