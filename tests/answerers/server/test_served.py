"""A served answerer against a fake server: every question once, faults that pass, statuses, and a lost server."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from fake_server import FakeServer, Heard, Said, answers, completion, letter_of, serving

from earmark.engine.answerers import journal
from earmark.engine.answerers.answer_all import answer_all, flip_rate
from earmark.engine.answerers.answerer import Answerer, LostError
from earmark.engine.answerers.loading import load, loader
from earmark.engine.answerers.prompt import question_text
from earmark.engine.answerers.request import Answer, Request
from earmark.engine.answerers.server import patience
from earmark.engine.answerers.server.ledger import Ledger
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.synthetic.synthetic_corpus import examples
from earmark.engine.design.sections import AnswererSpec, MachineSpec
from earmark.engine.errors import InputError
from earmark.engine.progress import StoppedError


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(patience, "MOST_PAUSE_S", 0.1)


def requests(clips: int = 2, places: tuple[int, ...] = (1, 2)) -> list[Request]:
    return [
        Request(e.sample_id, Excerpt.of(e.audio, e.audio.waveform(), places), e.question)
        for e in examples(Split.CERTIFICATION, clips)
    ]


def text_of(request: Request) -> str:
    return question_text(request.question.text, request.question.choices)


SPEC = AnswererSpec("", "fake", timeout_s=5.0, wait_s=5.0, connections=8)


@contextmanager
def served(server: FakeServer, spec: AnswererSpec = SPEC, run: Path | None = None) -> Iterator[Answerer]:
    answerer = load(replace(spec, model=server.model), MachineSpec(), run)
    try:
        yield answerer
    finally:
        answerer.close()


def answered(answerer: Answerer, to_ask: list[Request], **more: Any) -> dict[str, Answer]:
    return {answer.id: answer for answer in answer_all(answerer, to_ask, **more)}


def sure(heard: Heard) -> Said:
    return completion(letter_of(heard), heard, likelihoods=True)


def refused_at_start(server: FakeServer, expected: str, run: Path, spec: AnswererSpec = SPEC) -> None:
    with pytest.raises(InputError, match=expected):
        load(replace(spec, model=server.model), MachineSpec(), run)


def about(request: Request, say: Any) -> Any:
    """A server that says something else to one question, once it was asked the canaries."""

    def other(heard: Heard) -> Said:
        return say(heard) if heard.text == text_of(request) and heard.samples is not None else answers(heard)

    return other


def test_every_question_is_asked_once_and_heard_as_it_is() -> None:
    heard: dict[str, Heard] = {}

    def say(request: Heard) -> Said:
        if request.samples is not None:
            heard[request.text] = request
        return answers(request)

    to_ask = requests()
    again = [replace(request, id=f"{request.id} again") for request in to_ask]
    with serving(say) as server, served(server) as answerer:
        assert not answerer.likelihoods
        results = answered(answerer, to_ask + again)
        assert set(server.bodies.values()) == {1}
        assert server.requests == 20 + len(to_ask) + len({text_of(request) for request in to_ask})
    assert len(results) == 2 * len(to_ask)
    for request in to_ask:
        sent = heard[text_of(request)]
        answer = results[request.id]
        assert answer.predicted_label == letter_of(sent) == results[f"{request.id} again"].predicted_label
        assert (answer.status, answer.nll, answer.flops) == ("ok", None, None)
        assert answer.num_audio_tokens == 2 * 25
        assert answer.lm_positions == 10 + len(text_of(request).split()) + 50
        assert sent.samples is not None
        assert len(sent.samples) == request.excerpt.wave.n_samples
    assert {k: sent.content[k] for k in ("model", "temperature", "seed", "max_tokens", "logprobs", "top_logprobs")} == {
        "model": "fake", "temperature": 0, "seed": 0, "max_tokens": 5, "logprobs": True, "top_logprobs": 20,
    }  # fmt: skip


def test_likelihoods_come_from_the_first_token_where_every_letter_is_there() -> None:
    with serving(sure) as server, served(server) as answerer:
        assert answerer.likelihoods
        results = answered(answerer, requests(1))
    assert {answer.nll for answer in results.values()} <= {0.1, 3.0}
    assert all((answer.nll == 0.1) == (answer.predicted_label == answer.correct_label) for answer in results.values())


def test_a_server_that_takes_no_request_for_likelihoods_is_asked_without() -> None:
    def say(heard: Heard) -> Said:
        return Said(400, b'{"error": {"message": "no logprobs"}}') if "logprobs" in heard.content else answers(heard)

    with serving(say) as server, served(server) as answerer:
        assert not answerer.likelihoods
        assert {answer.status for answer in answered(answerer, requests(1)).values()} == {"ok"}


@pytest.mark.parametrize(
    "fault",
    [
        Said(429, headers=("Retry-After: 1",)),
        Said(408),
        Said(409),
        Said(425),
        Said(500),
        Said(503, b"<html>"),
        Said(body=b"<html>maintenance"),
        Said(body=b'{"error": {"message": "backend down", "code": 502}}'),
        Said(raw=b""),
        Said(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
        Said(after_s=3),
    ],
)
def test_a_fault_that_passes_costs_nothing_but_time(fault: Said) -> None:
    """Every second question meets it once; each is asked once more, and no other one."""
    failed: set[str] = set()

    def say(heard: Heard) -> Said:
        if heard.samples is not None and heard.times == 1 and heard.number > 20 and len(failed) < 3:
            failed.add(heard.text)
            return fault
        return answers(heard)

    to_ask = requests(1)
    with serving() as server:
        want = {request.id: None for request in to_ask}
        with served(server, replace(SPEC, timeout_s=1.0)) as answerer:
            server.say = say
            results = answered(answerer, to_ask)
        assert max(server.bodies.values()) == 2
        assert sum(n - 1 for n in server.bodies.values()) == len(failed) == 3
    assert results.keys() == want.keys()
    assert {answer.status for answer in results.values()} == {"ok"}


@pytest.mark.parametrize(
    ("fault", "status", "times"),
    [
        (Said(500), "server: 500 Internal Server Error after 3 tries", 3),
        (Said(raw=b""), "server: the connection was cut after 3 tries", 3),
        (Said(after_s=2), "server: no answer within 0.5 s after 3 tries", 3),
        (Said(400, b'{"error": {"message": "too\\nlong"}}'), "server: 400 Bad Request: too long", 1),
        (Said(422, b"["), "server: 422 Unprocessable Entity", 1),
        (Said(302, headers=("Location: http://127.0.0.1:1/",)), "server: 302 Found", 1),
        (Said(403), "server: 403 Forbidden", 1),
        (Said(404, b'{"detail": "no such voice"}'), "server: 404 Not Found: no such voice", 1),
        (Said(body=b"{"), "server: its reply has no JSON after 3 tries", 3),
        (Said(body=b"[" * 100_000), "server: its reply has no JSON after 3 tries", 3),
        (Said(body=b'{"choices": []}'), "server: its reply has no choices after 3 tries", 3),
        (Said(body=b'{"error": {"message": "no"}}'), "server: its reply has no choices after 3 tries", 3),
        (Said(body=b'{"choices": [{"message": {"content": null}}]}'), "server: its reply has no text", 1),
        (Said(body=b'{"choices": [{"message": {"content": ["B"]}}]}'), "server: its reply has no text", 1),
        (Said(body=b" " * (1 << 22)), "server: its reply has more than 1,048,576 bytes after 3 tries", 3),
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_answered_has_a_status(fault: Said, status: str, times: int) -> None:
    to_ask = requests(1)
    spec = replace(SPEC, tries=3, timeout_s=0.5 if fault.after_s else 10.0, wait_s=60)
    with serving() as server, served(server, spec) as answerer:
        server.say = about(to_ask[0], lambda _: fault)
        results = answered(answerer, to_ask)
        assert max(server.bodies.values()) <= max(times, 2)  # a question that was answered before may be asked again
    assert results.pop(to_ask[0].id).status == status
    assert {answer.status for answer in results.values()} == {"ok"}


def test_text_without_a_letter_has_no_label_and_odd_numbers_are_none() -> None:
    def say(_: Heard) -> Said:
        content = {"choices": [{"message": {"content": "I cannot tell"}}], "usage": {"prompt_tokens": True}}
        return Said(body=json.dumps(content).encode())

    to_ask = requests(1)
    with serving() as server, served(server) as answerer:
        server.say = about(to_ask[0], say)
        answer = answered(answerer, to_ask)[to_ask[0].id]
    assert (answer.status, answer.predicted_label, answer.num_audio_tokens, answer.lm_positions) == (
        "ok", None, None, None,
    )  # fmt: skip


def test_a_server_that_comes_back_loses_nothing() -> None:
    to_ask = requests(4)
    with serving() as server, served(server, replace(SPEC, wait_s=20)) as answerer:
        server.say = lambda heard: answers(heard)._replace(after_s=0.05)
        timers = [Timer(0.3, server.down), Timer(1.5, server.up)]
        for timer in timers:
            timer.start()
        results = answered(answerer, to_ask)
        for timer in timers:
            timer.join()
        assert sum(server.answered.values()) <= 20 + 2 * len(to_ask) + 2
    assert {answer.status for answer in results.values()} == {"ok"}
    assert len(results) == len(to_ask)


def test_a_server_that_says_500_to_all_for_a_while_loses_nothing() -> None:
    to_ask = requests(3)
    with serving() as server, served(server, replace(SPEC, tries=2, wait_s=20)) as answerer:
        server.say = lambda _: Said(503)
        timer = Timer(1.0, lambda: setattr(server, "say", answers))
        timer.start()
        results = answered(answerer, to_ask)
        timer.join()
    assert {answer.status for answer in results.values()} == {"ok"}


@pytest.mark.parametrize("fault", ["down", "503", "429", "401"])
def test_a_server_that_is_gone_for_good_is_lost_and_what_was_answered_stands(fault: str, tmp_path: Path) -> None:
    to_ask = requests(2)
    results: dict[str, Answer] = {}
    with serving() as server:
        with served(server, replace(SPEC, tries=2, wait_s=0.5, connections=1), tmp_path) as answerer:
            waiting = answer_all(answerer, to_ask)
            results |= {answer.id: answer for answer in islice(waiting, 5)}
            if fault == "down":
                server.down()
            else:
                server.say = lambda _: Said(int(fault))
            with pytest.raises(LostError):
                results.update((answer.id, answer) for answer in waiting)
        assert 5 <= len(results) < len(to_ask)
        assert {answer.status for answer in results.values()} == {"ok"}
        if fault == "down":
            server.up()
        server.say = answers
        before = server.requests
        with served(server, SPEC, tmp_path) as answerer:
            assert len(answered(answerer, to_ask)) == len(to_ask)
        assert server.requests - before <= 20 + 2 * (len(to_ask) - len(results))


@pytest.mark.parametrize(
    "fault",
    [
        Said(400), Said(401), Said(403), Said(404), Said(429), Said(503), Said(body=b"<html>maintenance"),
        Said(body=b'{"error": {"message": "backend down"}}'), Said(body=b'{"choices": [{"message": {}}]}'),
    ],
)  # fmt: skip
def test_where_nobody_is_answered_nothing_becomes_a_status(fault: Said, tmp_path: Path) -> None:
    """With as many under way as can be, and whatever the server says instead."""
    to_ask = requests(8)
    spec = replace(SPEC, tries=2, wait_s=0.3, connections=64)
    with serving() as server:
        with served(server, spec, tmp_path) as answerer:
            server.say = lambda heard: answers(heard)._replace(after_s=0.05) if heard.number <= 40 else fault
            with pytest.raises(LostError):
                answered(answerer, to_ask)
        kept = [json.loads(line) for path in tmp_path.rglob("*.jsonl") for line in path.read_text().splitlines()]
        assert {line["result"]["status"] for line in kept if "result" in line} == {"ok"}
        server.say = answers
        with served(server, spec, tmp_path) as answerer:
            assert {answer.status for answer in answered(answerer, to_ask).values()} == {"ok"}
            assert len(answered(answerer, to_ask)) == len(to_ask)


def test_a_server_that_refuses_everybody_for_a_while_costs_nothing_but_time() -> None:
    to_ask = requests(2)
    with serving() as server, served(server, replace(SPEC, wait_s=20)) as answerer:
        server.say = lambda _: Said(400)
        timer = Timer(0.5, lambda: setattr(server, "say", answers))
        timer.start()
        results = answered(answerer, to_ask)
        timer.join()
    assert {answer.status for answer in results.values()} == {"ok"}


def test_whoever_stops_listening_ends_what_is_under_way() -> None:
    with serving() as server:
        with served(server) as answerer:
            server.say = lambda heard: answers(heard)._replace(after_s=0.1)
            waiting = answer_all(answerer, requests(4))
            next(waiting)
            waiting.close()
        assert server.requests < 20 + 24


def test_a_server_that_refuses_everything_is_lost() -> None:
    with serving() as server, served(server, replace(SPEC, wait_s=0)) as answerer:
        server.say = lambda _: Said(400)
        with pytest.raises(LostError, match="400 Bad Request"):
            answered(answerer, requests(4))


def test_no_more_are_under_way_than_there_are_connections() -> None:
    with serving(lambda heard: answers(heard)._replace(after_s=0.02)) as server:
        with served(server, replace(SPEC, connections=3)) as answerer:
            answered(answerer, requests(2))
        assert server.most_at_once == 3


def test_stopping_waits_for_what_is_under_way_and_the_next_run_goes_on(tmp_path: Path) -> None:
    to_ask = requests(3)
    with serving() as server:
        with served(server, SPEC, tmp_path) as answerer:
            results: dict[str, Answer] = {}
            for answer in answer_all(answerer, to_ask, stop=lambda: len(results) >= 3):
                results[answer.id] = answer
        assert 3 <= len(results) < len(to_ask)
        with served(server, SPEC, tmp_path) as answerer:
            assert len(answered(answerer, to_ask)) == len(to_ask)
        paid = {body: n for body, n in server.answered.items() if n > 1}
        assert len(paid) == 20  # the canaries alone
        assert set(paid.values()) == {2}


def test_the_ceiling_holds_for_all_runs_of_a_folder(tmp_path: Path) -> None:
    to_ask = requests(2)
    with serving() as server:
        expected = "answerer fake: has sent 30 requests, and most_requests allows 30; raise it in the spec"
        few = replace(SPEC, most_requests=30, connections=1)
        with served(server, few, tmp_path) as answerer, pytest.raises(InputError, match=expected):
            answered(answerer, to_ask)
        assert server.requests == 30
        refused_at_start(server, expected, tmp_path, few)
        assert server.requests == 30
        with served(server, replace(SPEC, most_requests=1000), tmp_path) as answerer:
            assert len(answered(answerer, to_ask)) == len(to_ask)
        assert set(server.answered.values()) == {1, 2}
        assert server.requests == 40 + 2 * len(to_ask) - (len(to_ask) - len({text_of(r) for r in to_ask}))


def test_another_model_under_the_same_name_is_refused(tmp_path: Path) -> None:
    def other(heard: Heard) -> Said:
        return completion("ABCD"[("ABCD".index(letter_of(heard)) + 1) % 4], heard)

    with serving() as server:
        with served(server, SPEC, tmp_path):
            pass
        server.say = other
        refused_at_start(server, "answers 20 of 20 canary questions otherwise than when the run was begun", tmp_path)
        server.say = lambda heard: other(heard) if heard.number % 20 == 0 else answers(heard)
        with served(server, SPEC, tmp_path):  # one that changes may be a flip
            pass


def test_likelihoods_that_come_and_go_and_other_words_are_no_other_model(tmp_path: Path) -> None:
    """Letters are compared with letters, and what was begun stands."""

    def chatty(heard: Heard) -> Said:
        said = json.loads(sure(heard).body)
        said["choices"][0]["message"]["content"] += ").:"[heard.number % 3] + " I think"
        if heard.number % 7 == 0:
            said["choices"][0]["logprobs"]["content"][0]["top_logprobs"].pop()
        return Said(body=json.dumps(said).encode())

    for first, second in ((sure, chatty), (answers, chatty), (chatty, answers)):
        run = tmp_path / f"{first.__name__} {second.__name__}"
        with serving(first) as server:
            with served(server, SPEC, run) as answerer:
                gave = answerer.likelihoods
            server.say = second
            with served(server, SPEC, run) as answerer:
                assert answerer.likelihoods == gave == (first is sure)


@pytest.mark.parametrize(
    ("name", "says"), [("system_fingerprint", "has the system_fingerprint"), ("model", "says that it is the model")]
)
def test_whoever_calls_itself_otherwise_is_refused(name: str, says: str, tmp_path: Path) -> None:
    def called(word: str) -> Any:
        return lambda heard: completion(letter_of(heard), heard, **{name: word})

    to_ask = requests(2)
    with serving(called("x1")) as server:
        with served(server, replace(SPEC, connections=2), tmp_path) as answerer:
            server.say = lambda heard: called("x1" if heard.number <= 30 else "x2\n\x1b[2J" + "x" * 100)(heard)
            with pytest.raises(InputError) as refused:
                answered(answerer, to_ask)
            assert server.requests <= 30 + 2 * 2  # no more is asked than was about to be
        line = str(refused.value)
        assert line.startswith(f"answerer fake: {says} x2 \\x1b[2Jxx")
        assert "x, and the run was begun with x1; name another folder" in line
        assert "\n" not in line
        assert len(line) < 300
        refused_at_start(server, says, tmp_path)
        server.say, before = called("x1"), server.requests
        with served(server, SPEC, tmp_path) as answerer:
            assert len(answered(answerer, to_ask)) == len(to_ask)
        assert server.requests - before <= 20 + 2 * len(to_ask) - 8  # what was answered stands
        assert server.answered.most_common(21)[-1][1] <= 2


@pytest.mark.parametrize("n", [2, 3, 1000])
def test_several_backends_behind_one_address_are_one_answerer(n: int, tmp_path: Path) -> None:
    """Or names that change with every reply, which say nothing."""
    with serving(lambda heard: completion(letter_of(heard), heard, system_fingerprint=f"{heard.number % n}")) as server:
        for _ in range(2):
            with served(server, SPEC, tmp_path) as answerer:
                assert {answer.status for answer in answered(answerer, requests(2)).values()} == {"ok"}


@pytest.mark.parametrize("fault", [Said(400), Said(500), Said(body=b"<html>"), Said(raw=b"")])
def test_a_server_that_takes_no_text_alone_is_not_asked_for_it_again_and_again(fault: Said) -> None:
    with serving(lambda heard: answers(heard) if heard.samples is not None else fault) as server:
        to_ask = requests(4)
        with served(server, replace(SPEC, connections=2)) as answerer:
            results = answered(answerer, to_ask).values()
            assert {(answer.status, answer.num_audio_tokens) for answer in results} == {("ok", None)}
            assert all(answer.lm_positions is not None for answer in results)
        assert server.requests <= 20 + len(to_ask) + 2 * 4  # each with the canary that shows that the server is well


def test_a_text_alone_that_meets_a_fault_of_all_is_asked_again() -> None:
    to_ask = requests(2)
    with serving() as server, served(server, replace(SPEC, wait_s=20)) as answerer:
        server.say = lambda _: Said(503)
        timer = Timer(0.4, lambda: setattr(server, "say", answers))
        timer.start()
        results = answered(answerer, to_ask)
        timer.join()
    assert {answer.num_audio_tokens for answer in results.values()} == {50}


def test_audio_that_takes_no_token_is_not_counted() -> None:
    def say(heard: Heard) -> Said:
        content = json.loads(answers(heard).body)
        content["usage"]["prompt_tokens"] = 12
        return Said(body=json.dumps(content).encode())

    with serving(say) as server, served(server) as answerer:
        assert {answer.num_audio_tokens for answer in answered(answerer, requests(1)).values()} == {None}


def test_a_ledger_that_somebody_changed(tmp_path: Path) -> None:
    to_ask = requests(1)
    with serving(sure) as server:
        with served(server, SPEC, tmp_path) as answerer:
            expected = answered(answerer, to_ask)
        (path,) = tmp_path.rglob("*.jsonl")
        header, *lines = path.read_text().splitlines()
        bodies = [json.loads(line)["result"] for line in lines]
        for body in bodies:
            body["option_nll"] = body["option_nll"][:1]
        checks = [journal._check(json.dumps(body, sort_keys=True)) for body in bodies]
        shorter = [json.dumps({"check": c, "result": body}) for c, body in zip(checks, bodies, strict=True)]
        path.write_text("\n".join([header, *shorter, ""]))
        before = server.requests
        with served(server, SPEC, tmp_path) as answerer:
            assert answered(answerer, to_ask) == expected
        assert server.requests == before + 20 + len(to_ask)  # texts alone have no likelihoods
        path.write_text("\n".join(["{}", *lines, ""]))
        refused_at_start(server, "is not a journal of answers; remove it, or name another --out", tmp_path)


def test_whoever_stops_at_the_start_does_not_wait_for_canaries(tmp_path: Path) -> None:
    with serving(lambda heard: answers(heard)._replace(after_s=4)) as server:
        began = time.monotonic()
        with loader(tmp_path, lambda: server.requests > 0) as load_for_run, pytest.raises(StoppedError):
            load_for_run(replace(SPEC, model=server.model), MachineSpec())
        assert time.monotonic() - began < 2


def test_two_processes_that_begin_a_folder_at_once_agree_on_who_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both see no canaries; the second to write them takes over what the first has written."""
    with serving() as server:
        with served(server, SPEC, tmp_path) as answerer:
            identity = answerer.identity
        begun = Ledger.begun
        seen: list[None] = []

        def not_yet(ledger: Ledger) -> Any:
            return begun(ledger) if seen else seen.append(None)

        monkeypatch.setattr(Ledger, "begun", not_yet)
        server.say = lambda heard: completion("no letter" if heard.number == 25 else letter_of(heard), heard)
        with served(server, SPEC, tmp_path) as answerer:
            assert answerer.identity == identity


def test_canaries_that_somebody_changed_are_refused(tmp_path: Path) -> None:
    with serving() as server:
        with served(server, SPEC, tmp_path):
            pass
        (path,) = tmp_path.rglob("canaries.json")
        for content in ("{", "[]", '{"answers": ["A"], "fingerprints": [], "likelihoods": false}'):
            path.write_text(content)
            with pytest.raises(InputError) as refused, served(server, SPEC, tmp_path):
                pass
            assert "\n" not in str(refused.value)


def test_raw_questions_are_asked_twice_for_the_rate_of_flips_and_paid_for_once_more_only(tmp_path: Path) -> None:
    flipped = {text_of(request) for request in requests(1)[:2]}

    def say(heard: Heard) -> Said:
        said = completion("A", heard)
        return completion("B", heard) if heard.text in flipped and heard.times == 2 else said

    to_ask = requests(1)
    with serving(say) as server:
        with served(server, SPEC, tmp_path) as answerer:
            rate = flip_rate(answerer, to_ask)
            assert (rate.compared, rate.changed) == (len(to_ask), 2)
            sent = server.requests
            answered(answerer, to_ask)
            assert server.requests == sent
        with served(server, SPEC, tmp_path) as answerer:
            assert flip_rate(answerer, to_ask).changed == 2
        assert server.requests == sent + 20


def test_a_recording_that_cannot_be_heard_is_not_asked_about() -> None:
    class Broken:
        name = "broken"

        def waveform(self) -> Any:
            raise OSError("no\nsuch file")

    first = requests(1)[0]
    broken = replace(first, excerpt=replace(first.excerpt, wave=first.excerpt.wave._replace(audio=Broken()), hash="x"))
    with serving() as server, served(server) as answerer:
        assert answered(answerer, [broken])[first.id].status == "audio: OSError: no such file"
        assert server.requests == 20


@pytest.mark.parametrize(
    ("say", "expected"),
    [
        (Said(401, b'{"error": {"message": "Incorrect key secret-1"}}'), "(server: 401 Unauthorized)"),
        (Said(404, b'{"message": "no model fake"}'), "(server: 404 Not Found: no model fake)"),
        (Said(302, headers=("Location: /v2",)), "(server: 302 Found)"),
        (Said(body=b"<html>"), "(server: its reply has no JSON after 2 tries)"),
        (Said(raw=b"x"), "(server: the connection was cut after 2 tries)"),
    ],
)
def test_a_server_that_does_not_answer_is_refused_in_one_line(say: Said, expected: str) -> None:
    with serving(lambda _: say) as server, pytest.raises(InputError) as refused:
        load(replace(SPEC, model=server.model, tries=2))
    line = str(refused.value)
    assert line.startswith("answerer fake: does not answer a question about synthetic sounds")
    assert expected in line
    assert "\n" not in line
    assert "secret-1" not in line


def test_nobody_listens() -> None:
    spec = replace(SPEC, model="openai:http://127.0.0.1:9/v1#x", tries=2)
    with pytest.raises(InputError, match="no connection after 2 tries"):
        load(spec)


def test_a_loader_gives_up_connections_in_the_end(tmp_path: Path) -> None:
    with serving() as server, loader(tmp_path) as load_for_run:
        answerer = load_for_run(replace(SPEC, model=server.model), MachineSpec())
        assert len(answered(answerer, requests(1))) == 6
    assert (tmp_path / "served" / "answerer=fake" / "requests").stat().st_size == 20 + 12
