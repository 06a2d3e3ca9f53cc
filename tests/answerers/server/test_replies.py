"""Replies of servers one by one: what is read of them, whose fault they are, and the key that they may repeat."""

import json
import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from earmark.engine.answerers.server.chat import NoTextError, UnreadableError, completion_of, option_nll
from earmark.engine.answerers.server.http_client import HttpClient, Posted, ReplyKind
from earmark.engine.answerers.server.redaction import Redaction
from earmark.engine.design.endpoint import Endpoint, endpoint_of
from earmark.engine.errors import InputError

KEY = "sk+Ab<c>/&'d%9\"q\\z"


def reply(text: Any = "B", **more: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}}], **more}).encode()


def with_logprobs(logprobs: Sequence[Any]) -> bytes:
    top = [{"token": letter, "logprob": log} for letter, log in zip("ABCD", logprobs, strict=True)]
    choice = {"message": {"content": "B"}, "logprobs": {"content": [{"top_logprobs": top}]}}
    return json.dumps({"choices": [choice]}).encode()


def posted(code: int, body: bytes, key: str = KEY) -> Posted:
    client = HttpClient(Endpoint("http://127.0.0.1:9/v1", "m"), key, 1.0)
    return client._posted(httpx.Response(code), body)


@pytest.mark.parametrize(
    "spelt",
    [
        KEY,
        json.dumps(KEY)[1:-1],
        json.dumps(KEY)[1:-1].replace("/", "\\/"),
        "".join(f"\\u{ord(char):04X}" if not char.isalnum() else char for char in KEY),
        "".join(f"\\u{ord(char):04x}" for char in KEY),
        quote(KEY, safe=""),
        quote(KEY).lower().replace("ab", "Ab"),
    ],
)
def test_a_key_is_redacted_however_it_is_spelt(spelt: str) -> None:
    assert Redaction(KEY).of(f"not with {spelt}, no") == "not with [key], no"
    said = posted(200, reply(f"B {spelt}", system_fingerprint=f"fp-{spelt}", model=f"m {spelt}")).completion
    assert said is not None
    assert (said.text, said.fingerprint, said.model) == ("B [key]", "fp-[key]", "m [key]")
    assert (
        posted(400, json.dumps({"error": {"message": f"bad {spelt}"}}).encode()).fault == "400 Bad Request: bad [key]"
    )


def test_a_key_is_redacted_before_a_text_is_cut() -> None:
    said = posted(200, reply("x" * 995 + KEY)).completion
    assert said is not None
    assert said.text == "x" * 995 + "[key]"
    complaint = posted(400, json.dumps({"detail": "x" * 195 + KEY}).encode()).fault
    assert complaint.endswith("x[key]")


@pytest.mark.parametrize("key", ["A", "B", "0", "EMPTY", "token", "content", "choices", "logprob", "top_logprobs"])
def test_a_key_that_is_a_word_of_replies_destroys_none(key: str) -> None:
    body = with_logprobs([-1.0, -0.5, -2.0, -3.0])
    said = posted(200, body, key).completion
    assert said == completion_of(body)
    assert said is not None
    assert option_nll(said.first, "ABCD") == (1.0, 0.5, 2.0, 3.0)


@pytest.mark.parametrize(
    ("code", "body", "verdict", "fault"),
    [
        (200, reply(), ReplyKind.ANSWER, ""),
        (200, b"<html>", ReplyKind.UNREADABLE, "its reply has no JSON"),
        (200, b'{"error": {"message": "backend down"}}', ReplyKind.UNREADABLE, "its reply has no choices"),
        (200, b'{"choices": [{"error": {"code": 502}}]}', ReplyKind.UNREADABLE, "its reply has no message"),
        (200, reply(None), ReplyKind.REFUSED, "its reply has no text"),
        (200, b" " * (1 << 22), ReplyKind.UNREADABLE, "its reply has more than 1,048,576 bytes"),
        (204, b"", ReplyKind.UNREADABLE, "its reply has no JSON"),
        (302, b"", ReplyKind.REFUSED, "302 Found"),
        (400, b"{", ReplyKind.REFUSED, "400 Bad Request"),
        (403, b"{", ReplyKind.REFUSED, "403 Forbidden"),
        *((code, b"", ReplyKind.PASSING, None) for code in (408, 409, 425, 429, 500, 502, 503, 504, 529)),
        (503, b" " * (1 << 22), ReplyKind.PASSING, "503 Service Unavailable"),
    ],
)
def test_every_reply_has_a_verdict(code: int, body: bytes, verdict: ReplyKind, fault: str | None) -> None:
    said = posted(code, body)
    assert said.kind is verdict
    assert (said.completion is not None) == (verdict is ReplyKind.ANSWER)
    assert fault is None or said.fault == fault


@pytest.mark.parametrize("log", [-(10**400), 10**400, 7.5, 1e-9, -9999, -9999.0, -1e5, math.nan, math.inf, -math.inf])
def test_a_likelihood_that_cannot_be_is_not_given(log: float) -> None:
    said = completion_of(with_logprobs([log, -0.5, -2.0, -3.0]))
    assert said.text == "B"
    assert said.first == {"B": -0.5, "C": -2.0, "D": -3.0}
    assert option_nll(said.first, "ABCD") == ()


@pytest.mark.parametrize("log", [None, "-1", True, [], {}])
def test_a_likelihood_that_is_no_number_is_not_given(log: Any) -> None:
    assert completion_of(with_logprobs([log, 0, 0.0, -0.0])).first == {"B": 0, "C": 0, "D": 0}


def test_a_text_may_come_in_parts() -> None:
    parts = [{"type": "text", "text": "(B"}, {"type": "other"}, {"type": "text", "text": ")"}]
    assert completion_of(reply(parts)).text == "(B)"
    for none in ([], ["B"], [{"type": "text"}], [{"type": "text", "text": 1}], 1, {}):
        with pytest.raises(NoTextError):
            completion_of(reply(none))


def test_a_reply_without_a_message_is_unreadable() -> None:
    for body in (b"[]", b"1", b'{"choices": {}}', b'{"choices": [1]}', b"\xff", b'{"choices": [{"text": "B"}]}'):
        with pytest.raises(UnreadableError):
            completion_of(body)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_that_cannot_be_read_are_refused_in_one_line(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "file").write_text("no certificate")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "file"))
    if variable == "SSL_CERT_FILE":
        with pytest.raises(InputError, match="SSL_CERT_FILE and SSL_CERT_DIR") as refused:
            posted(200, reply())
        assert KEY not in str(refused.value)
    else:
        posted(200, reply())


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"])
@pytest.mark.parametrize("value", ["http://127.0.0.1:9", "ftp://u:pass@h:1", "socks5://h:1", "http://h:no", "[::1"])
def test_proxies_of_the_environment_are_not_used(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    client = HttpClient(Endpoint("http://127.0.0.1:9/v1", "m"), KEY, 1.0)
    assert not client._connected().trust_env


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://[secret]/v1", "is no address of a server"),
        ("http://[::1/v1", "is no address of a server"),
        ("http://h..x/v1", "is no address of a server"),
        (f"http://{'a' * 64}/v1", "is no address of a server"),
        ("http://h;pass/v1", "is no address of a server"),
        ("http://%41/v1", "is no address of a server"),
        ("http://h:99999/v1", "is no address of a server"),
        ("http://h/v1/chat/completions", "ends in /chat/completions, which is added to it"),
        ("http://h/v1/chat/completions/", "ends in /chat/completions, which is added to it"),
    ],
)
def test_an_address_that_cannot_be_is_not_repeated(url: str, expected: str) -> None:
    with pytest.raises(ValueError, match="^" + expected + "$"):
        endpoint_of(f"openai:{url}#m")


@pytest.mark.parametrize("host", ["h", "h.", "gpu_box-1.org", "127.0.0.1", "[::1]", "[fe80::1]", "localhost"])
def test_hosts_that_can_be(host: str) -> None:
    assert endpoint_of(f"openai:http://{host}:8000/v1/#m") == Endpoint(f"http://{host}:8000/v1", "m")


def test_a_host_that_httpx_does_not_take_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="names a host that cannot be") as refused:
        HttpClient(Endpoint("http://xn--a/v1", "m"), KEY, 1.0)
    assert KEY not in str(refused.value)
