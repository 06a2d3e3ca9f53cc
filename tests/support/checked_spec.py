"""Specs that are read, and held against their schema: what parses is valid."""

import tomllib
from functools import cache
from pathlib import Path

from jsonschema import Draft202012Validator

from earmark.engine.design import spec, spec_schema


@cache
def validator() -> Draft202012Validator:
    """Of a spec."""
    Draft202012Validator.check_schema(spec_schema.schema())
    return Draft202012Validator(spec_schema.schema())


def parse(content: str) -> spec.Spec:
    parsed = spec.parse(content)
    validator().validate(tomllib.loads(content))
    return parsed


def read(path: Path) -> spec.Spec:
    whole = spec.read(path)
    validator().validate(tomllib.loads(path.read_text()))
    return whole
