"""Whole runs on a served answerer, as they are typed: without torch, killed, at the ceiling, with a key, and lost."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import base_installation as base
import pytest
from fake_server import FakeServer, Heard, Said, answers, completion, letter_of, serving

from earmark.engine.design.spec import parse
from earmark.engine.errors import InputError
from earmark.engine.withheld import value_of, withheld

KEY = "sk-Ab/c0123456789~z"
SPEC = """\
[corpus]
path = "synthetic:certification:4"
[[answerers]]
model = "MODEL"
connections = 6
wait_s = 1
[sweep]
budgets = [0.5]
window = 2
[[methods]]
name = "energy"
[[methods]]
name = "lowpass"
[rule]
replicates = 100
[audits]
flip_rate = 4
grid = 2
"""
SERVE = {  # the modules that the extra brings
    "httpx", "httpcore", "h11", "anyio", "certifi", "idna", "typing_extensions",
    "soundfile", "_soundfile", "_soundfile_data", "_cffi_backend", "cffi", "soxr",
}  # fmt: skip


def write_spec(folder: Path, server: FakeServer, **changes: str) -> Path:
    text = SPEC.replace("MODEL", server.model)
    for old, new in changes.items():
        text = text.replace(old, new)
    path = folder / "spec.toml"
    path.write_text(text)
    return path


def run(spec: Path, out: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "earmark.cli.main", "run", str(spec), "--out", str(out)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=spec.parent, env={**os.environ, **environment}
    )


def outcomes(run: Path) -> dict[str, bytes]:
    """What a run comes to; which requests it took is another matter."""
    paths = (path for path in sorted(run.rglob("*")) if path.is_file())
    return {str(p.relative_to(run)): p.read_bytes() for p in paths if p.relative_to(run).parts[0] != "served"}


def test_it_runs_without_torch(tmp_path: Path) -> None:
    with serving() as server:
        spec = write_spec(tmp_path, server)
        only = base.base_modules() | SERVE
        ended = base.earmark("run", spec, "--out", tmp_path / "run", only=only)
    assert ended.returncode == 3, ended.stderr
    certificate = json.loads((tmp_path / "run" / "certificate.json").read_text())
    (flips,) = certificate["audits"]["flip_rates"]
    assert (flips["answerer"], flips["compared"], flips["changed"]) == ("fake", 4, 0)


def test_a_run_that_is_killed_asks_nothing_again_that_was_answered(tmp_path: Path) -> None:
    with serving(lambda heard: answers(heard)._replace(after_s=0.05)) as server:
        spec = write_spec(tmp_path, server)
        assert run(spec, tmp_path / "undisturbed").returncode == 3
        alone = dict(server.bodies)
        canaries = list(alone)[:20]
        for counts in (server.bodies, server.answered):
            counts.clear()
        kills = 0
        for more in (60, 40):
            command = [sys.executable, "-m", "earmark.cli.main", "run", str(spec), "--out", str(tmp_path / "run")]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            enough = server.requests + more
            while server.requests < enough and process.poll() is None:
                time.sleep(0.01)
            kills += process.poll() is None
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        ended = run(spec, tmp_path / "run")
        assert ended.returncode == 3, ended.stderr
    assert kills == 2
    again = [n - alone[body] for body, n in server.bodies.items() if body not in canaries]
    assert sum(again) <= kills * 6  # what was under way
    assert server.bodies.keys() == alone.keys()
    assert outcomes(tmp_path / "run") == outcomes(tmp_path / "undisturbed")
    assert not list((tmp_path / "run").rglob("*.jsonl"))


def test_at_the_ceiling_a_run_stops_with_a_line_and_goes_on_later(tmp_path: Path) -> None:
    with serving() as server:
        spec = write_spec(tmp_path, server, **{"connections = 6": "connections = 6\nmost_requests = 50"})
        ended = run(spec, tmp_path / "run")
        assert ended.returncode == 2
        assert ended.stderr.strip().splitlines()[-1] == (
            "error: answerer fake: has sent 50 requests, and most_requests allows 50; "
            "raise it in the spec: the same command goes on"
        )
        assert server.requests == 50
        write_spec(tmp_path, server, **{"connections = 6": "connections = 2\nmost_requests = 5000"})
        assert run(spec, tmp_path / "run").returncode == 3
        assert sum(n - 1 for n in server.answered.values()) <= 20 + 4  # the canaries, and what is asked twice


def test_a_lost_server_stops_a_run_with_a_line(tmp_path: Path) -> None:
    with serving(lambda heard: Said(503) if heard.number > 60 else answers(heard)) as server:
        spec = write_spec(tmp_path, server)
        ended = run(spec, tmp_path / "run")
        assert ended.returncode == 2
        assert "error: answerer fake: is lost: 503 Service Unavailable, for " in ended.stderr
        assert ended.stderr.rstrip().endswith("the same command goes on")
        server.say = answers
        assert run(spec, tmp_path / "run").returncode == 3


def tells_everything(heard: Heard) -> Said:
    """A server that repeats the key wherever it can."""
    key = heard.headers["authorization"].removeprefix("Bearer ")
    if heard.number > 20 and heard.number % 7 == 0:
        return Said(400, b'{"error": {"message": "not with %s"}}' % key.replace("/", "\\/").encode())
    return completion(f"{letter_of(heard)} {key}", heard, system_fingerprint=key)


@pytest.mark.parametrize("say", [tells_everything, lambda heard: Said(401, heard.headers["authorization"].encode())])
def test_a_key_is_written_nowhere(say: Any, tmp_path: Path) -> None:
    with serving(say) as server:
        spec = write_spec(tmp_path, server, **{"wait_s = 1": 'wait_s = 1\nkey_env = "SERVER_KEY"'})
        ended = run(spec, tmp_path / "run", SERVER_KEY=KEY, EARMARK_DEBUG="1")
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > (1 if ended.returncode == 2 else 10)
    for text in [*written, ended.stdout.encode(), ended.stderr.encode()]:
        assert KEY.encode() not in text
        assert KEY.replace("/", "\\/").encode() not in text


TELLING = """
import os

def raises(waveform, rate, budget): raise ValueError(f"{os.environ.get('SERVER_KEY')} of {sorted(os.environ)}")
def shows(waveform, rate, budget): raise ValueError(f"key {os.environ.get('SERVER_KEY')}")
"""


def test_code_of_others_sees_no_key(tmp_path: Path) -> None:
    (tmp_path / "telling.py").write_text(TELLING)
    method = '[[methods]]\nname = "lowpass"\n'
    methods = [
        'name = "shown"\ncompressor = "telling:shows"\n',
        'name = "raised"\ncompressor = "telling:raises"\n',
        """name = "echoed"\ncommand = 'sh -c "echo key $SERVER_KEY >&2; exit 3" {in} {out}'\n""",
    ]
    with serving() as server:
        changes = {
            "wait_s = 1": 'wait_s = 1\nkey_env = "SERVER_KEY"',
            method: "".join(f"[[methods]]\n{text}" for text in methods),
            "[audits]": "[machine]\ndecoders = 1\n[audits]",
        }
        ended = run(write_spec(tmp_path, server, **changes), tmp_path / "run", SERVER_KEY=KEY, EARMARK_DEBUG="1")
        assert server.answered
    certificate = json.loads((tmp_path / "run" / "certificate.json").read_text())
    complaints = {entry["method"]: entry["complaint"] for entry in certificate["errors"]}
    assert complaints["shown"] == "compressor: ValueError: key None"
    assert complaints["echoed"] == "compressor: left with exit code 3: key"
    assert complaints["raised"].startswith("compressor: ValueError: None of [")
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert all(KEY.encode() not in text for text in [*written, ended.stdout.encode(), ended.stderr.encode()])


def test_a_key_is_back_in_the_environment_when_the_last_run_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_KEY", KEY)
    with withheld(["SERVER_KEY", "NOT_SET"]):
        with withheld(["SERVER_KEY"]):
            assert "SERVER_KEY" not in os.environ
        assert "SERVER_KEY" not in os.environ
        assert value_of("SERVER_KEY") == KEY
        assert value_of("NOT_SET") == ""
    assert os.environ["SERVER_KEY"] == KEY == value_of("SERVER_KEY")
    assert "NOT_SET" not in os.environ


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({}, "holds no key"), ({"SERVER_KEY": " "}, "holds no key"), ({"SERVER_KEY": "sk a\nb"}, "holds what no key is")],
)
def test_a_key_that_is_none_is_refused_by_its_name(environment: dict[str, str], expected: str, tmp_path: Path) -> None:
    with serving() as server:
        spec = write_spec(tmp_path, server, **{"wait_s = 1": 'wait_s = 1\nkey_env = "SERVER_KEY"'})
        ended = run(spec, tmp_path / "run", **environment)
        assert server.requests == 0
    assert ended.returncode == 2
    assert f"error: key_env SERVER_KEY: {expected};" in ended.stderr
    assert "sk a" not in ended.stderr


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("openai:http://me:pass@host/v1#m", "holds a name or a password"),
        ("openai:http://host/v1?key=pass#m", "has a query, where keys are put"),
        ("openai:http://host/v1", "names no model behind a #"),
        ("openai:ftp://host/v1#m", "is no address of a server"),
        ("openai:http://host:pass/v1#m", "is no address of a server"),
        ("openai:host/v1#m", "is no address of a server"),
        ("openai:http://ho st/v1#m", "has a character that no address has"),
    ],
)
def test_an_address_that_is_none_is_refused_without_being_repeated(model: str, expected: str) -> None:
    with pytest.raises(InputError) as refused:
        parse(SPEC.replace("MODEL", model))
    assert str(refused.value).startswith(f"spec.toml line 4 [answerers] model: {expected};")
    assert "pass@" not in str(refused.value)
    assert "=pass" not in str(refused.value)
    assert ":pass" not in str(refused.value)


def test_a_rule_about_likelihoods_stops_where_an_answer_has_none(tmp_path: Path) -> None:
    """At the first block: nothing else is asked, and paid for, in vain."""

    def say(heard: Heard) -> Said:
        return completion(letter_of(heard), heard, likelihoods=heard.number <= 20 or heard.number % 5 > 0)

    with serving(say) as server:
        spec = write_spec(
            tmp_path, server, **{"[rule]": '[rule]\nname = "paper"\nloss = "nll"', "flip_rate = 4": "flip_rate = 0"}
        )
        ended = run(spec, tmp_path / "run")
        assert server.requests <= 20 + 2 * 2 * 6
    assert ended.returncode == 2
    (line,) = (line for line in ended.stderr.splitlines() if line.startswith("error: "))
    assert re.fullmatch(
        r"error: answerer fake: gave no likelihood of every letter with \d of 12 answers of a block; "
        r'set loss = "zero-one" in \[rule\]',
        line,
    )


def test_keys_that_say_nothing_are_refused() -> None:
    for key in ('dtype = "float32"', "split = true"):
        with pytest.raises(InputError, match="says nothing: a server decides it"):
            parse(SPEC.replace("MODEL", "openai:http://host/v1#m").replace("wait_s = 1", key))
    with pytest.raises(InputError, match="connections = 6: says nothing: the answerer is not served"):
        parse(SPEC.replace("MODEL", "tiny"))


def test_a_first_spec_for_a_server_is_a_spec(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "earmark.cli.main", "init", "synthetic:certification:3", "--out", "spec.toml"]
    command += ["--answerer", "openai:http://host/v1#m"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert parse((tmp_path / "spec.toml").read_text()).answerers[0].name == "m"


def test_how_a_server_is_reached_changes_no_outcome() -> None:
    spec = parse(SPEC.replace("MODEL", "openai:https://host/v1#org/m"))
    other = parse(SPEC.replace("MODEL", "openai:https://host/v1#org/m").replace("connections = 6", "tries = 2"))
    assert spec.answerers[0].name == "m"
    assert spec.sha256() == other.sha256()
    assert spec.differing(other) == []


def test_the_example_of_the_documentation_is_a_spec() -> None:
    page = (base.ROOT / "docs" / "answerers.md").read_text()
    (example,) = (text for text in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "openai:" in text)
    spec = parse(example)
    assert spec.answerers[0].name == "Qwen2-Audio-7B-Instruct"
    assert spec.answerers[0].key_env == "VLLM_KEY"
