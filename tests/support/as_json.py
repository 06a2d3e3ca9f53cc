"""Sign-off and report as JSON, for tests that look into it; every certificate is held against the schema."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from earmark.engine.report import html, signed_files
from earmark.engine.signoff import certificate as certificates
from earmark.engine.signoff import certify as signoff
from earmark.engine.signoff.json_form import to_json

Json = dict[str, Any]


@cache
def validator() -> Draft202012Validator:
    """Of certificate.json."""
    Draft202012Validator.check_schema(certificates.schema())
    return Draft202012Validator(certificates.schema())


def certify(*arguments: Any) -> Json:
    """What `certify` makes, as its file holds it."""
    content = to_json(signoff.certify(*arguments))
    validator().validate(content)
    return content


def write(content: Json, run: Path, out: Path) -> Path:
    return signed_files.write(typed(content), run, out)


def render(content: Json) -> str:
    return page_of(typed(content))


def page_of(certificate: certificates.Certificate, played: Mapping[str, str] | None = None) -> str:
    return html.render(certificate, certificates.to_bytes(certificate), played)


def typed(content: Json) -> certificates.Certificate:
    """The certificate that a file with this content would be read as."""
    return certificates.from_content(content, certificates.CERTIFICATE_FILE)
