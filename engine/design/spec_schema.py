"""The JSON Schema of a spec, from the same fields that check it and that docs/run.md lists: for editors.

What does not go together, only reading it finds. Opens no file.
"""

import re
from collections.abc import Mapping
from typing import Any

from earmark.engine.design.fields import NEEDED, Field, default_of, many_schema
from earmark.engine.design.spec import SECTIONS, keys_in

Json = dict[str, Any]

_LINK = re.compile(r"\[[^\]]*\]\(([^)]*)\)")  # of docs/run.md, beside which it leads to


def schema() -> Json:
    """The JSON Schema (2020-12) of a spec; docs/schema/spec.json holds it."""
    properties, needed = {}, []
    for section, described in SECTIONS.items():
        name = section.strip("[]")
        keys = keys_in(described)
        content = {"description": _first_sentence(described), **_section(described, keys)}
        if section.startswith("[["):
            content = {"type": "array", "items": content, "minItems": 1}
        properties[name] = content
        if any(default_of(described, key) is NEEDED for key in keys):
            needed.append(name)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A spec of Earmark",
        "description": "What a sweep evaluates and what counts as safe: `earmark run SPEC.toml`.",
        "type": "object",
        "properties": properties,
        "required": needed,
        "additionalProperties": False,
    }


def _first_sentence(described: Any) -> str:
    """Of what a class says of itself."""
    return " ".join(described.__doc__.split()).partition(". ")[0].removesuffix(".") + "."


def _section(described: Any, keys: Mapping[str, Field]) -> Json:
    """A section as an object: its keys, and which of them must be given."""
    return {
        "type": "object",
        "properties": {key: _key(described, key, field) for key, field in keys.items()},
        "required": [key for key in keys if default_of(described, key) is NEEDED],
        "additionalProperties": False,
    }


def _key(described: Any, key: str, field: Field) -> Json:
    """What may stand at a key, what it is for, and what holds where nothing stands there."""
    value = default_of(described, key)
    about = _LINK.sub(r"docs/\1", field.about) + (f" (default: {field.default})" if field.default else "")
    what = many_schema(field.check) if field.many else field.check.schema()
    if value is NEEDED or field.default or value is None:
        return {"description": about, **what}
    return {"description": about, **what, "default": list(value) if isinstance(value, tuple) else value}
