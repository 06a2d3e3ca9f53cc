"""Where a served answerer is: `openai:http://host:port/v1#NAME`, taken apart. Knows neither HTTP nor keys."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

_PREFIX = "openai:"
FORM = "openai:http://HOST:PORT/v1#NAME"
_ADDED = "/chat/completions"
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_MOST_HOST = 253  # characters


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
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in ("http", "https") and _is_host(parts.hostname or "") and parts.port != 0
    except ValueError:  # brackets around no address, a port that is no number or beyond 65535
        raise ValueError("is no address of a server") from None
    if "@" in parts.netloc:
        raise ValueError("holds a name or a password")
    if parts.query or "?" in address:
        raise ValueError("has a query, where keys are put")
    if not is_address:
        raise ValueError("is no address of a server")
    url = address.rstrip("/")
    if url.endswith(_ADDED):
        raise ValueError(f"ends in {_ADDED}, which is added to it")
    return Endpoint(url, name)


def _is_host(host: str) -> bool:
    """Whether a host may be called so: urlsplit looked at what stands in brackets."""
    return ":" in host or (len(host) <= _MOST_HOST and _HOST.fullmatch(host) is not None)
