"""Where a served answerer is: `openai:http://host:port/v1#NAME`, taken apart. Knows neither HTTP nor keys."""

from typing import NamedTuple
from urllib.parse import urlsplit

_PREFIX = "openai:"
FORM = "openai:http://HOST:PORT/v1#NAME"


class Endpoint(NamedTuple):
    """A server of chat completions, and what it calls the model."""

    url: str  # what /chat/completions follows
    model: str


def is_served(model: str) -> bool:
    """Whether an answerer's `model` names a server, be it well or badly."""
    return model.startswith(_PREFIX)


def endpoint_of(model: str) -> Endpoint | None:
    """The endpoint that an answerer's `model` names; None where it names something else. ValueError says what is wrong,
    in words that never repeat the address: it may hold a password.
    """
    if not is_served(model):
        return None
    address, _, name = model.removeprefix(_PREFIX).partition("#")
    if not (address.isascii() and address.isprintable()) or set(address) & set(" \\\"'<>"):
        raise ValueError("has a character that no address has")
    if not name.strip() or not name.isprintable():
        raise ValueError("names no model behind a #")
    parts = urlsplit(address)
    if "@" in parts.netloc:
        raise ValueError("holds a name or a password")
    if parts.query or "?" in address:
        raise ValueError("has a query, where keys are put")
    try:
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or beyond 65535
        is_address = False
    if not is_address:
        raise ValueError("is no address of a server")
    return Endpoint(address.rstrip("/"), name)
