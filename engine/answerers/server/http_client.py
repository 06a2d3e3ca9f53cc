"""One request to a server, and what came of it: a body, or a fault in words of ours.

What httpx says of an error may hold headers and addresses, and so a key: none of it is handed on. Redirects are not
followed, compressed and endless bodies not read. Knows nothing of questions and of trying again.
"""

import asyncio
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NamedTuple

import httpx

from earmark.engine.answerers.server.chat import complaint_of
from earmark.engine.design.endpoint import Endpoint
from earmark.engine.errors import InputError
from earmark.engine.withheld import value_of

MOST_BODY_BYTES = 1 << 20  # of a reply
_MOST_COMPLAINT = 200  # characters of what a server says of a request
_ABOUT_KEYS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)  # what servers say then may repeat the key
NOBODYS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.NOT_FOUND)  # no question is at fault


class Posted(NamedTuple):
    """What came of one request."""

    body: bytes = b""
    fault: str = ""  # empty: the body is the reply
    delivered: bool = True  # a server read it
    code: int = HTTPStatus.OK
    pause_s: float = 0.0  # that the server asks for

    @property
    def is_passing(self) -> bool:
        """Whether the same request may be answered later."""
        return self.fault != "" and (self.code in (HTTPStatus.OK, HTTPStatus.TOO_MANY_REQUESTS) or self.code >= 500)


class HttpClient:
    """The connections to a server. The key is in their headers, and nowhere else.

    Each is a client of its own: to choose among n connections of one takes the time of n squared.
    """

    def __init__(self, endpoint: Endpoint, key: str, timeout_s: float) -> None:
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._trusted = httpx.create_ssl_context()
        self._idle: list[httpx.AsyncClient] = []
        self._url = f"{endpoint.url}/chat/completions"
        self._spellings = {key.encode(), key.replace("/", "\\/").encode()} if key else set()
        self._timeout_s = timeout_s

    async def post(self, body: bytes) -> Posted:
        """Send a request, and wait for all of the reply."""
        client = self._idle.pop() if self._idle else self._connected()
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                client.stream("POST", self._url, content=body) as response,
            ):
                return self._posted(response, await _body(response))
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return Posted(fault="no connection", delivered=False)
        except (TimeoutError, httpx.TimeoutException):
            return Posted(fault=f"no answer within {self._timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            return Posted(fault="the connection was cut")
        finally:
            self._idle.append(client)

    def _connected(self) -> httpx.AsyncClient:
        """A client with one connection."""
        limits = httpx.Limits(max_connections=1)
        return httpx.AsyncClient(headers=self._headers, limits=limits, timeout=self._timeout_s, verify=self._trusted)

    def _posted(self, response: httpx.Response, body: bytes) -> Posted:
        """What a response says, without the key where a server repeats it."""
        for spelling in self._spellings:
            body = body.replace(spelling, b"[key]")
        code = response.status_code
        if len(body) > MOST_BODY_BYTES:
            return Posted(fault=f"more than {MOST_BODY_BYTES:,} bytes", code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if code == HTTPStatus.OK:
            return Posted(body)
        return Posted(fault=_fault(code, body), code=code, pause_s=_pause_s(response.headers.get("Retry-After", "")))

    async def close(self) -> None:
        """Give the connections up."""
        for client in self._idle:
            await client.aclose()


async def _body(response: httpx.Response) -> bytes:
    """The body as it comes, and a byte more than is read where it is longer."""
    parts, size = [], 0
    async for part in response.aiter_raw():
        parts.append(part)
        size += len(part)
        if size > MOST_BODY_BYTES:
            break
    return b"".join(parts)[: MOST_BODY_BYTES + 1]


def _fault(code: int, body: bytes) -> str:
    """The code, its name, and what the server says where it is about the request."""
    name = f"{code} {HTTPStatus(code).phrase}" if code in set(HTTPStatus) else str(code)
    if not 400 <= code < 500 or code in _ABOUT_KEYS or code == HTTPStatus.TOO_MANY_REQUESTS:
        return name
    complaint = complaint_of(body)[:_MOST_COMPLAINT]
    return f"{name}: {complaint}" if complaint else name


def _pause_s(retry_after: str) -> float:
    """The seconds of a Retry-After, which names seconds or a date; 0 where it names neither."""
    if retry_after.strip().isdecimal():
        return float(retry_after[:9])
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def key_in(variable: str | None) -> str:
    """The key in an environment variable; empty where none is named. InputError names the variable alone."""
    if variable is None:
        return ""
    key = value_of(variable).strip()
    if not key:
        raise InputError(f"key_env {variable}", "holds no key", f"type `export {variable}=...` before")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InputError(f"key_env {variable}", "holds what no key is", "let it hold the key alone")
    return key
