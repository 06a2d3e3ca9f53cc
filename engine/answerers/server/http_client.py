"""One request to a server, and what came of it: what its reply says, or a fault in words of ours.

What httpx says of an error may hold headers and addresses, and so a key: none of it is handed on. Redirects are not
followed, compressed and endless bodies not read. Knows nothing of questions and of trying again.
"""

import asyncio
import ssl
import time
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import NamedTuple

import httpx

from earmark.engine.answerers.server.chat import (
    Completion,
    NoTextError,
    UnreadableError,
    complaint_of,
    completion_of,
)
from earmark.engine.answerers.server.redaction import Redaction
from earmark.engine.design.endpoint import FORM, Endpoint
from earmark.engine.errors import InputError
from earmark.engine.withheld import value_of

MOST_BODY_BYTES = 1 << 20  # of a reply
_MOST_COMPLAINT = 200  # characters of what a server says of a request
_ABOUT_KEYS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)  # what servers say then may repeat the key
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


class ReplyKind(Enum):
    """What a reply is worth."""

    ANSWER = auto()
    UNREADABLE = auto()  # it says that all is well, and is no completion
    REFUSED = auto()  # the same request will never be answered
    PASSING = auto()  # it may be answered later


class Posted(NamedTuple):
    """What came of one request."""

    kind: ReplyKind
    completion: Completion | None = None  # of an answer
    fault: str = ""  # in words, where it is none
    delivered: bool = True  # a server read it
    code: int | None = None  # None: there was no reply
    pause_s: float = 0.0  # that the server asks for


class HttpClient:
    """The connections to a server. The key is in their headers, and nowhere else. Proxies and passwords that the
    environment names (HTTP_PROXY, .netrc) are not used: the key goes to this server alone.

    Each is a client of its own: to choose among n connections of one takes the time of n squared.
    """

    def __init__(self, endpoint: Endpoint, key: str, timeout_s: float) -> None:
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._trusted = _trusted_certificates()
        self._idle: list[httpx.AsyncClient] = []
        self._url = _checked(f"{endpoint.url}/chat/completions")
        self._redaction = Redaction(key)
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
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return Posted(ReplyKind.PASSING, fault=_unconnected(error), delivered=False)
        except (TimeoutError, httpx.TimeoutException):
            return Posted(ReplyKind.PASSING, fault=f"no answer within {self._timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
            return Posted(ReplyKind.PASSING, fault="the connection was cut")
        finally:
            self._idle.append(client)

    def _connected(self) -> httpx.AsyncClient:
        """A client with one connection."""
        limits = httpx.Limits(max_connections=1)
        return httpx.AsyncClient(
            headers=self._headers, limits=limits, timeout=self._timeout_s, verify=self._trusted, trust_env=False
        )

    def _posted(self, response: httpx.Response, body: bytes) -> Posted:
        """Of which kind a response is, and what is kept of it: without the key, where a server repeats it."""
        code = response.status_code
        if 200 <= code < 300:
            return self._read(body)
        pause_s = _pause_s(response.headers.get("Retry-After", ""))
        kind = ReplyKind.PASSING if code in _PASSING or code >= 500 else ReplyKind.REFUSED
        return Posted(kind, fault=self._fault(code, body), code=code, pause_s=pause_s)

    def _read(self, body: bytes) -> Posted:
        """The body of a reply that says that all is well."""
        try:
            if len(body) > MOST_BODY_BYTES:
                raise UnreadableError(f"more than {MOST_BODY_BYTES:,} bytes")
            completion = completion_of(body)
        except UnreadableError as error:
            kind = ReplyKind.REFUSED if isinstance(error, NoTextError) else ReplyKind.UNREADABLE
            return Posted(kind, fault=f"its reply has {error}", code=HTTPStatus.OK)
        return Posted(ReplyKind.ANSWER, completion.kept(self._redaction.of), code=HTTPStatus.OK)

    def _fault(self, code: int, body: bytes) -> str:
        """The code, its name, and what the server says where it is about the request."""
        name = f"{code} {HTTPStatus(code).phrase}" if code in set(HTTPStatus) else str(code)
        if not 400 <= code < 500 or code in _ABOUT_KEYS or code == HTTPStatus.TOO_MANY_REQUESTS:
            return name
        complaint = self._redaction.of(complaint_of(body))[:_MOST_COMPLAINT]
        return f"{name}: {complaint}" if complaint else name

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


def _trusted_certificates() -> ssl.SSLContext:
    """Whom to trust: what SSL_CERT_FILE or SSL_CERT_DIR name, else certifi's."""
    try:
        return httpx.create_ssl_context()
    except (OSError, ValueError):
        do = "see what SSL_CERT_FILE and SSL_CERT_DIR name"
        raise InputError("certificates of servers", "cannot be read", do) from None


def _checked(url: str) -> str:
    """An address that requests can be sent to; InputError, without the address, where it is none."""
    try:
        bool(httpx.URL(url).host)
    except (httpx.InvalidURL, ValueError):
        raise InputError("a served answerer's model", "names a host that cannot be", f"write {FORM}") from None
    return url


def _unconnected(error: BaseException) -> str:
    """Why there is no connection, in words of ours."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in causes):
        return "no connection: its certificate is not trusted (TLS)"
    return "no connection: TLS fails" if any(isinstance(each, ssl.SSLError) for each in causes) else "no connection"


def _pause_s(retry_after: str) -> float:
    """The seconds of a Retry-After, which names seconds or a date; 0 where it names neither."""
    seconds = retry_after.strip()
    if seconds.isdecimal():
        return float(seconds[:9])
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
