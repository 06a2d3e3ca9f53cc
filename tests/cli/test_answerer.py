"""`earmark answerer`: what an answerer can do here, from a few questions, and what `earmark init` says of it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import audio_families
import base_installation as base
import pytest
from commands import Done, command
from fake_server import FakeServer, Heard, Said, answers, completion, letter_of, serving

from earmark.engine.answerers.server import patience

KEY = "sk-very-secret-1"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(patience, "MOST_PAUSE_S", 0.1)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving() as started:
        yield started


def sure(heard: Heard) -> Said:
    return completion(letter_of(heard), heard, likelihoods=True)


def shown(done: Done) -> dict[str, str]:
    """What is printed of each ability."""
    return {line[2:16].strip(): line[16:] for line in done.out.splitlines()[1:]}


def as_json(*arguments: object, code: int = 0) -> dict[str, Any]:
    done = command("answerer", *arguments, "--json")
    assert (done.code, done.err) == (code, "")
    content: dict[str, Any] = json.loads(done.out)
    return content


def refusal(*arguments: object) -> str:
    done = command("answerer", *arguments)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    return done.err.strip()


def test_the_embedded_one_both_ways() -> None:
    shared, plain = as_json("tiny"), as_json("plain:tiny")
    alike = {
        "answerer": "tiny", "dtype": "float32", "device": "cpu", "hears": "waves", "window_seconds": 10.0,
        "beyond_the_window": "a status (too long)", "letters_are_tokens": True, "likelihoods": True,
        "no_likelihoods": None, "questions": 12, "answered": 12, "right": 12, "failures": {},
        "audio_tokens_per_second": 10.0, "server": None,
    }  # fmt: skip
    for content in (shared, plain):
        assert {key: content[key] for key in alike} == alike
        assert content["questions_per_second"] > 0 < content["first_seconds"]
    assert (shared["shares_keys_and_values"], plain["shares_keys_and_values"]) == (True, False)
    assert shared["identity"] != plain["identity"]


@pytest.mark.filterwarnings("ignore:At least one mel filter")
def test_a_model_whose_letters_are_no_tokens(tmp_path: Path) -> None:
    family = audio_families.audio_flamingo_3()
    tokenizer = json.loads(family.tokenizer.backend_tokenizer.to_str())
    tokenizer["normalizer"] = {"type": "Replace", "pattern": {"String": "C"}, "content": "C."}
    folder = family.save(tmp_path)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    done = command("answerer", f"plain:{folder}")
    assert (done.code, done.err) == (0, "")
    lines = shown(done)
    assert lines["hears"] == "waves, whatever made them; each question is asked with its audio anew"
    assert lines["letters"] == "some letter is not one token"
    why = "some letter is not one token after the prompt; letters are read in 5 written tokens"
    assert lines["likelihoods"] == f"none: {why}"
    assert lines["answers"].startswith("12 of 12, ")


def test_the_page_shows_what_is_printed() -> None:
    page = (base.ROOT / "docs" / "answerers.md").read_text()
    (sample,) = re.findall(r"```\n\$ earmark answerer tiny\n(.*?)```", page, re.DOTALL)
    speed = re.compile(r"(?m)^(  speed +)[\d.]+( questions a second; the first took )[\d.]+ s$")
    masked = [speed.sub(r"\1N\2N s", text) for text in (sample, command("answerer", "tiny").out)]
    assert "N questions a second" in masked[0]
    assert masked[0] == masked[1]


def test_options_are_those_of_a_spec() -> None:
    done = command("answerer", "tiny", "--generate", 3, "--split", "--dtype", "bfloat16")
    assert done.out.startswith("tiny: bfloat16 on cpu\n")
    assert shown(done)["window"] == "10 s; beyond: several audios in one prompt"
    assert shown(done)["identity"].endswith("generate=3 split=True")


@pytest.mark.parametrize(
    ("say", "letters", "likelihoods", "n_requests"),
    [
        (sure, "each is one token", "of every letter", 38),
        (
            answers,
            "nobody says whether each is one token",
            "none: it did not give that of every letter (logprobs) with every canary's answer",
            38,
        ),
        (
            lambda heard: Said(400) if "logprobs" in heard.content else answers(heard),
            "nobody says whether each is one token",
            "none: it refuses requests for them (logprobs)",
            39,
        ),
    ],
)
def test_a_server_is_asked_few_requests(
    say: Any, letters: str, likelihoods: str, n_requests: int, server: FakeServer
) -> None:
    server.say = say
    done = command("answerer", server.model, "--connections", 4)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("fake: its number format and device are the server's\n")
    lines = shown(done)
    assert (lines["letters"], lines["likelihoods"]) == (letters, likelihoods)
    assert re.fullmatch(r"6 of 6, \d right \(chance is a quarter\)", lines["answers"])
    assert re.fullmatch(r"[\d.]+ questions a second, 4 under way at once", lines["speed"])
    assert re.fullmatch(r"20 answered, \d+ right", lines["canaries"])
    assert (lines["audio tokens"], lines["usage"]) == ("25 for a second of audio", "given")
    assert lines["asked twice"] == "6 questions, 0 answered otherwise"
    assert lines["requests"] == f"{n_requests} were sent for this; where the server is paid, they cost money"
    assert server.requests == n_requests <= 40
    assert sorted(set(server.bodies.values())) == [1, 2]


def test_a_server_that_flips_and_says_no_usage(server: FakeServer) -> None:
    def say(heard: Heard) -> Said:
        content = json.loads(answers(heard).body)
        del content["usage"]
        content["choices"][0]["message"]["content"] = "AB"[heard.times - 1]
        return Said(body=json.dumps(content).encode())

    server.say = say
    content = as_json(server.model)
    assert content["server"].pop("canaries_right") in range(21)
    assert content["server"] == {
        "canaries": 20, "requests": 38, "gives_usage": False, "asked_twice": 6, "changed": 6,
    }  # fmt: skip
    assert content["audio_tokens_per_second"] is None
    assert content["first_seconds"] is None
    assert "dtype" not in content
    assert content["window_seconds"] is None


def test_questions_without_an_answer_are_counted_and_the_exit_code_is_1() -> None:
    def say(heard: Heard) -> Said:
        refuses = heard.number > 20 and heard.samples is not None and "background" in heard.text
        return Said(422, b'{"message": "no"}') if refuses else answers(heard)

    with serving(say) as server:
        content = as_json(server.model, code=1)
    assert content["failures"] == {"server: 422 Unprocessable Entity: no": 1}
    assert (content["answered"], content["questions"], content["server"]["asked_twice"]) == (5, 6, 5)
    with serving(say) as server:
        done = command("answerer", server.model)
    assert (done.code, done.err) == (1, "")
    assert "                1 without one: server: 422 Unprocessable Entity: no\n" in done.out


def test_a_server_that_has_to_be_asked_often_is_asked_no_more(server: FakeServer) -> None:
    server.say = lambda heard: Said(503) if heard.number > 20 and heard.number % 2 else answers(heard)
    line = refusal(server.model)
    assert line == "error: answerer fake: has sent 40 requests, and most_requests allows 40; allow more"
    assert server.requests == 40


def test_a_server_that_goes_away_is_one_line(server: FakeServer) -> None:
    server.say = lambda heard: Said(401) if heard.number > 20 else answers(heard)
    assert "answerer fake: is lost: 401 Unauthorized" in refusal(server.model)


def test_a_key_is_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: set[str] = set()
    texts: list[str] = []

    def say(heard: Heard) -> Said:
        keys.add(heard.headers.get("authorization", ""))
        repeated = json.dumps({"message": f"wrong key {KEY}"}).encode()
        texts.extend([heard.text] if heard.number == 21 else [])
        refused = heard.number > 20 and heard.text in texts and heard.samples is not None
        return Said(422, repeated) if refused else answers(heard)

    monkeypatch.setenv("EARMARK_TEST_KEY", KEY)
    for option in ([], ["--json"]):
        with serving(say) as server:
            done = command("answerer", server.model, "--key-env", "EARMARK_TEST_KEY", *option)
        assert done.code == 1
        assert "422 Unprocessable Entity: wrong key [key]" in done.out
        assert KEY not in done.out + done.err
    assert keys == {f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["/nowhere/model"],
            "answerer /nowhere/model: there is no folder /nowhere/model; name a folder with config.json",
        ),
        (["plain:/nowhere/model"], "there is no folder /nowhere/model"),
        (["openai:http://127.0.0.1:9/v1#x", "--tries", "1"], "answerer x: does not answer a question about synthetic"),
        (["openai:http://me:secret@host/v1#x"], "earmark answerer [answerers] model: holds a name or a password"),
        (["openai:http://host/v1#x", "--dtype", "float32"], "says nothing: a server decides it; leave it out"),
        (["tiny", "--connections", "3"], "connections = 3: says nothing: the answerer is not served; leave it out"),
        (["plain:tiny", "--split"], "split = true: is true, but a plain model hears one audio; leave it out"),
        (["tiny", "--device", "cuda:99"], "device cuda:99: "),
        (["tiny", "--generate", "65"], "'65' must be a whole number of tokens from 0 to 64"),
        ([""], 'model = "": must be "tiny", a folder, or a name on the hub'),
        ([], "Missing argument 'NAME'; see `earmark answerer --help`"),
    ],
)
def test_what_cannot_be_tried_is_refused_in_one_line(arguments: list[str], expected: str) -> None:
    line = refusal(*arguments)
    assert expected in line
    assert "secret" not in line


def test_without_its_extra_it_is_one_line() -> None:
    for name, package, extra in (("tiny", "torch", "run"), ("openai:http://host/v1#x", "httpx", "serve")):
        done = base.earmark("answerer", name)
        line = f"error: earmark answerer: needs {package}, which is not installed; pip install 'earmark[{extra}]'\n"
        assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


# What init says -----------------------------------------------------------------------------------------------


def test_init_says_what_its_answerer_can_do(tmp_path: Path, server: FakeServer) -> None:
    corpus = ("init", "synthetic:certification:2", "--out", tmp_path / "spec.toml", "--force")
    able = "answers 12 of 12 questions about synthetic clips, 12 right (chance is a quarter), hears 10 s at once"
    done = command(*corpus, "--answerer", "plain:tiny")
    assert f"tiny: {able}, with likelihoods\n" in done.out
    assert "evaluations" in done.out
    assert "minutes here" in done.out
    counted = command(*corpus, "--answerer", server.model)
    assert f"a server may cost money: `earmark answerer {server.model}` tries it" in counted.out
    assert server.requests == 0
    measured = command(*corpus, "--answerer", server.model, "--measure")
    assert re.search(r"fake: answers 6 of 6 .* right \(chance is a quarter\), without likelihoods\n", measured.out)
    assert "minutes here" in measured.out
