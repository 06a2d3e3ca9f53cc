"""The JSON Schema (2020-12) of a class whose values `json_form` writes and reads; a field's words are its description.

Knows no certificate.
"""

from typing import Any, Literal, get_args, get_origin

from earmark.engine.design.fields import default_of
from earmark.engine.signoff.json_form import Json, JsonField, alternatives, fields_in, is_class, kind_where_it_stands

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def schema_of(kind: type, title: str) -> Json:
    """The JSON Schema (2020-12) of the documents that `from_json` reads as `kind`."""
    definitions: Json = {}
    top = _object_schema(kind, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **top,
        "$defs": dict(sorted(definitions.items())),
    }


def _object_schema(kind: Any, definitions: Json) -> Json:
    """A class as an object: its properties, which of them are needed, and which only come together."""
    fields = fields_in(kind)
    properties = {}
    for field in fields:
        about = {"description": field.words} if field.words else {}
        entry = _schema(kind_where_it_stands(field), definitions)
        properties[field.key] = {**about, **_bounded(entry, field, kind)}
    together: dict[str, list[str]] = {}
    for field in fields:
        if field.beside not in (None, field.name):
            together.setdefault(str(field.beside), []).append(field.key)
            together[field.key] = [str(field.beside)]
    return {
        "description": " ".join((kind.__doc__ or "").split("\n\n")[0].split()),
        "type": "object",
        "properties": properties,
        "required": [field.key for field in fields if field.beside is None and not field.gained],
        **({"dependentRequired": together} if together else {}),
        **getattr(kind, "TOGETHER", {}),
        "additionalProperties": False,
    }


def _bounded(entry: Json, field: JsonField, kind: Any) -> Json:
    """The schema of a field's type within what its check allows, and within what a spec may say of its key."""
    described = field.described
    check = field.check if described is None else described.check
    if check is None or "enum" in entry:
        return entry
    bounds = {name: bound for name, bound in check.schema().items() if name != "type"}
    if "items" in entry:
        listed = {**entry, "items": {**entry["items"], **bounds}}
        if described is None:
            return listed
        return {**listed, "uniqueItems": True, **({"minItems": 1} if default_of(kind, field.name) else {})}
    return {**entry, **bounds}


def _schema(kind: Any, definitions: Json) -> Json:
    """The schema of a field's type; classes go into `definitions`, each once."""
    if kind is Any:
        return {}
    if kind in _TYPES:
        return {"type": _TYPES[kind]}
    if is_class(kind):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}  # a place, in case it holds itself
            definitions[kind.__name__] = _object_schema(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if get_origin(kind) is Literal:
        words = get_args(kind)
        return {"const": words[0]} if len(words) == 1 else {"enum": list(words)}
    if len(alternatives(kind)) > 1:
        (some,) = (alternative for alternative in alternatives(kind) if alternative is not type(None))
        entry = _schema(some, definitions)
        if "type" in entry and "enum" not in entry and isinstance(entry["type"], str):
            return {**entry, "type": [entry["type"], "null"]}
        return {"enum": [*entry["enum"], None]} if "enum" in entry else {"anyOf": [entry, {"type": "null"}]}
    if get_origin(kind) in (list, tuple):
        return {"type": "array", "items": _schema(get_args(kind)[0], definitions)}
    return {"type": "object", "additionalProperties": _schema(get_args(kind)[1], definitions)}
