"""Who answered is written down, stated by the certificate, and the same throughout a run and its shards."""

import json
from pathlib import Path
from typing import Any

import pytest
import seams
import sweeps
from command_line import earmark
from fake_server import Heard, Said, answers, completion, letter_of, serving
from sweeps import after

from earmark.engine.design.spec import Spec, parse
from earmark.engine.errors import InputError
from earmark.engine.signoff.certify import certify
from earmark.engine.sweep.blocks import Shard
from earmark.engine.sweep.merge import merge
from earmark.engine.sweep.run import run

SPEC = """
[corpus]
path = "synthetic:certification:3"
[[answerers]]
model = "MODEL"
[sweep]
budgets = [0.5]
window = 1
[[methods]]
name = "energy"
[rule]
replicates = 100
[audits]
flip_rate = 0
"""


def spec_of(model: str) -> Spec:
    return parse(SPEC.replace("MODEL", model))


def other(heard: Heard) -> Said:
    return completion("ABCD"["ABCD".index(letter_of(heard)) - 1], heard)


def test_the_certificate_names_a_server(tmp_path: Path) -> None:
    with serving(lambda heard: completion(letter_of(heard), heard, system_fingerprint="fp_\x1b1")) as server:
        spec = spec_of(server.model)
        run(spec, tmp_path / "run")
    made = certify(tmp_path / "run", spec.rule)
    (entry,) = made.answerers
    assert (entry.answerer, entry.model, entry.kind) == ("fake", server.model, "served")
    assert entry.fingerprints == ("fp_\\x1b1",)
    assert entry.canaries is not None
    assert entry.identity.endswith(f"canaries={entry.canaries}")
    assert (entry.likelihoods, entry.n_canaries) == (False, 20)
    assert 0 <= entry.canaries_right <= 20
    assert "answerers/answerer=fake.json" in [file.path for file in made.inputs]


def test_a_change_of_the_file_is_seen(tmp_path: Path) -> None:
    spec = sweeps.spec(sweeps.SMALLER)
    run(spec, tmp_path, load=sweeps.answerers(), load_compressor=sweeps.compressor)
    made = certify(tmp_path, spec.rule)
    assert [(entry.kind, entry.identity[:4]) for entry in made.answerers] == [("shared", "one ")]
    assert earmark("certify", str(tmp_path)).returncode in (0, 3)
    assert earmark("verify", str(tmp_path / "certificate.json")).returncode == 0
    path = tmp_path / "answerers" / "answerer=one.json"
    path.write_text(path.read_text().replace("one generate", "two generate"))
    assert b"answerers/answerer=one.json" in earmark("verify", str(tmp_path / "certificate.json")).stdout
    for content in ("{", "[]", path.read_text().replace('"kind": "shared"', '"kind": "else"')):
        path.write_text(content)
        with pytest.raises(InputError, match=r"answerers/answerer=one\.json"):
            certify(tmp_path, spec.rule)


def test_a_user_s_own_answerer_says_what_it_is(tmp_path: Path) -> None:
    spec = spec_of("mine")
    run(spec, tmp_path, load=lambda *_: seams.Hasher())
    (entry,) = certify(tmp_path, spec.rule).answerers
    assert (entry.kind, entry.identity, entry.canaries) == ("brought", "hasher", None)


def test_a_run_is_not_gone_on_with_by_another_answerer(tmp_path: Path) -> None:
    spec = spec_of("mine")

    def another(*_: Any) -> Any:
        answerer = seams.Hasher()
        answerer.identity = "another"
        return answerer

    run(spec, tmp_path, load=another, stop=after(2))  # before there is an answer, another may begin it
    run(spec, tmp_path, limit=1, load=lambda *_: seams.Hasher())
    with pytest.raises(InputError, match="answerer mine: is another one, or answers in another way"):
        run(spec, tmp_path, load=another)


def test_shards_of_another_answerer_are_not_merged(tmp_path: Path) -> None:
    spec = spec_of("mine")
    for number in range(3):
        answerer = seams.Hasher()
        answerer.identity = "hasher" if number < 2 else "another"
        run(spec, tmp_path / str(number), shard=Shard(number, 3), load=lambda *_, a=answerer: a)
    merge(tmp_path / "all", [tmp_path / "0", tmp_path / "1"])
    with pytest.raises(InputError, match=r"2 answerer mine: is another one"):
        merge(tmp_path / "all", [tmp_path / "2"])
    (path,) = (tmp_path / "all" / "answerers").iterdir()
    assert json.loads(path.read_text())["entry"]["identity"] == "hasher"


@pytest.mark.parametrize(("differing", "is_merged"), [(1, True), (20, False)])
def test_shards_of_a_server_are_merged_where_flips_explain_its_canaries(
    differing: int, is_merged: bool, tmp_path: Path
) -> None:
    with serving() as server:
        spec = spec_of(server.model)
        run(spec, tmp_path / "0", shard=Shard(0, 2))
        sent = server.requests
        server.say = lambda heard: other(heard) if heard.number - sent <= differing else answers(heard)
        run(spec, tmp_path / "1", shard=Shard(1, 2))
        shards = [tmp_path / "0", tmp_path / "1"]
        if is_merged:
            assert merge(tmp_path / "all", shards).complete
            assert len(certify(tmp_path / "all", spec.rule).answerers) == 1
        else:
            with pytest.raises(InputError, match="1 answerer fake: answers 20 of 20 canary questions otherwise"):
                merge(tmp_path / "all", shards)


def test_shards_of_a_server_are_merged_where_one_missed_a_likelihood(tmp_path: Path) -> None:
    with serving() as server:
        spec = spec_of(server.model)
        for number in range(2):
            run(spec, tmp_path / str(number), shard=Shard(number, 2))
    (path,) = (tmp_path / "1" / "answerers").iterdir()
    content = json.loads(path.read_text())
    content["entry"]["likelihoods"] = not content["entry"]["likelihoods"]
    path.write_text(json.dumps(content))
    assert merge(tmp_path / "all", [tmp_path / "0", tmp_path / "1"]).complete
