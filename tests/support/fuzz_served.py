"""The readers of what a served answerer leaves in a run, of who answered, and of what a server replies."""

import hashlib
import json
import math
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import httpx
import pyarrow as pa
from fuzz_inputs import replacing
from fuzzing import Target

from earmark.engine.answerers import prompt
from earmark.engine.answerers.request import Result
from earmark.engine.answerers.server import canaries
from earmark.engine.answerers.server.chat import option_nll
from earmark.engine.answerers.server.http_client import HttpClient, Posted
from earmark.engine.answerers.server.ledger import SERVED, Ledger
from earmark.engine.answerers.server.served_answerer import label_of
from earmark.engine.design.endpoint import Endpoint
from earmark.engine.signoff import answerer_files
from earmark.engine.sweep.who_answers import check_shards

_NAME, _IDENTITY, _KEY = "a", "a server", "sk-a/key+of-16"
_RESULTS = 2
_CHOICES = ("a dog", "rain", "a train", "speech")
_BEGUN = canaries.Canaries(("A",) * canaries.N_CANARIES, ("fp_1",), True, ("m-2025",))


def of_ledgers(folder: Path) -> Iterator[Target]:
    """What was paid for: requests, canaries, and the answers of an earlier process, also with checksums that hold."""
    run = folder / "served"
    ledger = Ledger(run, _NAME, None)
    ledger.spend()
    ledger.begin(_BEGUN.as_json())
    ledger.resume(_IDENTITY)
    for again in (False, True):
        for number in range(_RESULTS):
            ledger.keep(Result(f"{number}", "A", (0.1, 2.0, 3.0, 4.0), 25, "A", lm_positions=40), again)
    ledger.close()
    paid = run / SERVED / f"answerer={_NAME}"
    yield replacing("requests that were sent", paid / "requests", lambda: _spent(run), share=0.05)
    yield replacing("canaries", paid / "canaries.json", lambda: _began(run), structured=True, share=0.1)
    (answers,) = (paid / "answers").glob("*.jsonl")
    yield replacing("answers of a server", answers, lambda: _resumed(run), structured=True, share=0.2)
    header, *lines = answers.read_bytes().splitlines()

    def written(data: bytes) -> bytes:
        return b"\n".join([header, *map(_with_checksum, data.splitlines())]) + b"\n"

    results = [json.loads(line)["result"] for line in lines]
    odd = [results[0] | change for change in ({"flops": 1 << 64}, {"flops": True}, {"option_nll": [math.nan]})]
    bodies = tuple(b"\n".join(json.dumps(result).encode() for result in each) for each in (results, odd))
    yield replacing(
        "results of a server",
        answers,
        lambda: _resumed(run),
        seeds=bodies,
        structured=True,
        share=0.2,
        written=written,
    )


def _with_checksum(line: bytes) -> bytes:
    """The line of a result as a journal has it, where it is one."""
    try:
        body = json.loads(line)
        check = hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=4).hexdigest()
    except (ValueError, RecursionError):
        return line
    return json.dumps({"check": check, "result": body}).encode()


def _spent(run: Path) -> None:
    ledger = Ledger(run, _NAME, 2)
    try:
        ledger.spend()
    finally:
        ledger.close()


def _began(run: Path) -> None:
    begun = canaries.canaries_of(Ledger(run, _NAME, None).begun(), "canaries")
    canaries.n_right(begun)
    canaries.check_same("an answerer", begun, _BEGUN, ())


def _resumed(run: Path) -> None:
    """Take over the answers, and make of each what an outcome row has of it."""
    ledger = Ledger(run, _NAME, None)
    ledger.resume(_IDENTITY)
    canaries.check_same("an answerer", _BEGUN, _BEGUN, ledger.asked_twice())
    for number, again in product(range(_RESULTS), (False, True)):
        result = ledger.result(f"{number}", again)
        if result is not None:
            pa.array([result.label, result.status, result.text], pa.string())
            pa.array([result.audio_tokens, result.lm_positions, result.flops], pa.int64())
            assert all(map(math.isfinite, result.option_nll))


def of_replies(_: Path) -> Iterator[Target]:
    """The bodies of replies, good and bad, and how long a server asks to be left alone."""
    client = HttpClient(Endpoint("http://127.0.0.1:9/v1", "m"), _KEY, 1.0)
    logs = [{"token": letter, "logprob": -number - 0.5} for number, letter in enumerate("ABCD")]
    choice = {"message": {"content": "(B) rain"}, "logprobs": {"content": [{"token": "B", "top_logprobs": logs}]}}
    parts = {"message": {"content": [{"type": "text", "text": "The answer is "}, {"type": "text", "text": "B"}]}}
    replies = tuple(
        json.dumps(
            {"choices": [each], "usage": {"prompt_tokens": 40}, "model": "m", "system_fingerprint": "f"}
        ).encode()
        for each in (choice, parts)
    )
    yield Target("reply of a server", replies, lambda data: _said(client, data), True, 0.5)
    complaints = tuple(
        json.dumps(each).encode() for each in ({"error": {"message": "no audio"}}, {"detail": "no"}, {"error": "no"})
    )
    yield Target("complaint of a server", complaints, lambda data: _posted(client, 400, {}, data), True, 0.2)
    pauses = (b"120", b"Wed, 21 Oct 2015 07:28:00 GMT", b"\xa0" * 9 + b"5")
    yield Target("pause that a server asks for", pauses, lambda data: _paused(client, data), share=0.2)


def _posted(client: HttpClient, code: int, headers: dict[str, str], body: bytes) -> Posted:
    """What comes of a response, without a connection."""
    return client._posted(httpx.Response(code, headers=headers), body)


def _said(client: HttpClient, body: bytes) -> None:
    """The letter that a reply says, and its likelihoods."""
    completion = _posted(client, 200, {}, body).completion
    if completion is not None:
        option_nll(completion.first, prompt.letters(len(_CHOICES)))
        for reads_text in (False, True):
            label_of(completion, _CHOICES, reads_text)
        json.dumps(completion._asdict()).encode()


def _paused(client: HttpClient, header: bytes) -> None:
    """The seconds of a Retry-After, as a client of HTTP lets it through."""
    pause_s = client._posted(httpx.Response(429, headers=[(b"Retry-After", header)]), b"").pause_s
    assert 0 <= pause_s < math.inf


def of_who_answered(folder: Path) -> Iterator[Target]:
    """Who answered a run, and another shard of it."""
    shards = folder / "shard-1", folder / "shard-2"
    entry = answerer_files.AnswererEntry(
        _NAME, "openai:http://127.0.0.1:9/v1#m", "served", f"m {_BEGUN.sha256}", True, _BEGUN.models,
        _BEGUN.fingerprints, _BEGUN.sha256, canaries.N_CANARIES, 5,
    )  # fmt: skip
    file = answerer_files.AnswererFile(entry, _BEGUN.as_json())
    for shard in shards:
        path = answerer_files.path_of(shard, _NAME)
        path.parent.mkdir(parents=True)
        path.write_bytes(answerer_files.to_bytes(file))
    yield replacing("who answered", path, lambda: _who_answered(shards), structured=True, share=0.3)


def _who_answered(shards: tuple[Path, ...]) -> None:
    answerer_files.answerers(shards[-1])
    check_shards(shards, [_NAME])
