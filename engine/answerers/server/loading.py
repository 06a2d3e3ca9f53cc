"""A served answerer as a spec describes it: reached, and asked its canaries before anything else."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from earmark.engine.answerers import prompt
from earmark.engine.answerers.request import Request
from earmark.engine.answerers.server.canaries import Canaries, canaries_of, canary_requests, check_names, check_same
from earmark.engine.answerers.server.chat import Asking, Completion, option_nll, wav_base64
from earmark.engine.answerers.server.http_client import HttpClient, key_in
from earmark.engine.answerers.server.ledger import Ledger
from earmark.engine.answerers.server.patience import Patience, PatientServer, RefusedError, UnansweredError
from earmark.engine.answerers.server.served_answerer import EventLoop, ServedAnswerer, label_of
from earmark.engine.design.endpoint import Endpoint
from earmark.engine.design.sections import AnswererSpec
from earmark.engine.errors import InputError
from earmark.engine.progress import Stop, never

_ASKED_AS = "audio and question_text/1, temperature 0"  # another way of asking is another answerer


def load_served(
    answerer: AnswererSpec, endpoint: Endpoint, run: Path | None = None, stop: Stop = never
) -> ServedAnswerer:
    """The answerer behind an endpoint; what it was paid for is kept in the folder of a run.

    InputError where it does not answer, or where another one answers than the one that the folder was begun with;
    StoppedError where `stop` says so before it is there.
    """
    name = answerer.name or endpoint.model
    client = HttpClient(endpoint, key_in(answerer.key_env), answerer.timeout_s)
    ledger = Ledger(run, name, answerer.most_requests)
    patience = Patience(answerer.tries, answerer.wait_s)
    server = PatientServer(client, answerer.connections, patience, ledger.spend)
    loop = EventLoop()
    try:
        asking = Asking(endpoint.model, answerer.generate, likelihoods=True)
        asking, now = loop.wait(_canaries(f"answerer {name}", asking, server), stop)
        content = ledger.begun()
        content = ledger.begin(now.as_json()) if content is None else content
        begun = canaries_of(content, f"canaries of answerer {name}")
        identity = _identity(endpoint, asking, begun)
        ledger.resume(identity)
        check_same(f"answerer {name}", begun, now, ledger.asked_twice())
        server.check = lambda reply: check_names(f"answerer {name}", begun, [reply.model], [reply.fingerprint])
    except BaseException:
        loop.close(client.close())
        ledger.close()
        raise
    return ServedAnswerer(name, identity, begun, asking, server, ledger, loop)


def _identity(endpoint: Endpoint, asking: Asking, canaries: Canaries) -> str:
    """Where it is, what it is called, how it is asked, and what it answered when the folder was begun."""
    return f"{endpoint.url}#{endpoint.model} generate={asking.generate} {_ASKED_AS} canaries={canaries.sha256}"


async def _canaries(where: str, asking: Asking, server: PatientServer) -> tuple[Asking, Canaries]:
    """What the canaries come to, and how to ask: without likelihoods, where a server takes no request for them."""
    requests = canary_requests()
    bodies = [_body(asking, request) for request in requests]
    try:
        try:
            first = await server.ask(bodies[0], asyncio.Event())
        except RefusedError:
            asking = asking._replace(likelihoods=False)
            bodies = [_body(asking, request) for request in requests]
            first = await server.ask(bodies[0], asyncio.Event())
        server.known_good = bodies[0]
        rest = await asyncio.gather(*(server.ask(body, asyncio.Event()) for body in bodies[1:]))
    except UnansweredError as error:
        do = "see that it runs, hears input_audio and has this model, and that key_env names its key"
        raise InputError(where, f"does not answer a question about synthetic sounds ({error})", do) from None
    return asking, _came_to(asking, requests, [first, *rest])


def _body(asking: Asking, request: Request) -> bytes:
    text = prompt.question_text(request.question.text, request.question.choices)
    return asking.body(text, wav_base64(request.excerpt.wave.audio.waveform()))


def _came_to(asking: Asking, requests: Sequence[Request], completions: Sequence[Completion]) -> Canaries:
    choices = [request.question.choices for request in requests]
    pairs = [*zip(completions, choices, strict=True)]
    return Canaries(
        answers=tuple(label_of(reply, options, asking.reads_text) or "" for reply, options in pairs),
        fingerprints=tuple(sorted({reply.fingerprint for reply in completions} - {""})),
        likelihoods=all(option_nll(reply.first, prompt.letters(len(options))) for reply, options in pairs),
        models=tuple(sorted({reply.model for reply in completions} - {""})),
    )
