"""One spec with eight compressors of waves and more certifies and verifies; what fails is a row with a status."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import sweeps
from command_line import earmark

from earmark.engine.design.keys import COMPRESSOR, OK, CellKey
from earmark.engine.design.spec import Spec, parse
from earmark.engine.outcomes import store
from earmark.engine.outcomes.plan_file import read_plan
from earmark.engine.sweep.blocks import Shard
from earmark.engine.sweep.merge import merge
from earmark.engine.sweep.run import run

SPEC = f"""
[corpus]
path = "synthetic:certification:4"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.5, 0.2]
window = 2
[[methods]]
name = "uniform"
[[methods]]
name = "frames"
[[methods]]
name = "opus"
bitrates = [24, 8]
[[methods]]
name = "vorbis"
[[methods]]
name = "mp3"
bitrates = [32, 16, 8]
[[methods]]
name = "gsm"
[[methods]]
name = "speed"
factors = [1.25, 2]
[[methods]]
name = "lowpass"
cutoffs = [4]
[[methods]]
name = "coarse"
compressor = "heard_worse:coarse"
axis = "bits"
[[methods]]
name = "copied"
command = '''{sys.executable} -c "import shutil, sys; shutil.copy(*sys.argv[1:])" {{in}} {{out}}'''
budgets = [0.5]
[audits]
flip_rate = 0
"""
FAILING = """
[[methods]]
name = "moody"
compressor = "heard_worse:moody"
axis = "bits"
budgets = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
timeout_s = 1
[[methods]]
name = "broken"
command = "false {in} {out}"
budgets = [0.5]
"""
MODULE = """
import os
import time

import numpy as np


def coarse(waveform, rate, budget):
    levels = 2 ** int(16 * budget)
    return np.round(waveform * levels) / levels, int(16 * budget) * len(waveform)


def moody(waveform, rate, budget):
    if budget == 0.9:
        raise RuntimeError("not today")
    if budget == 0.8:
        time.sleep(60)
    if budget == 0.7:
        return np.zeros_like(waveform)
    if budget == 0.6:
        return waveform * np.nan
    if budget == 0.5:
        os._exit(3)
    return waveform[::2]
"""


@pytest.fixture(scope="module", autouse=True)
def brought(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A module of a user's, where the processes of compressors find it."""
    folder = tmp_path_factory.mktemp("brought")
    (folder / "heard_worse.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder


@pytest.fixture(scope="module")
def spec() -> Spec:
    return parse(SPEC)


@pytest.fixture(scope="module")
def whole(spec: Spec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("waves") / "whole"
    assert run(spec, out).complete
    return out


def after(batches: int) -> Callable[[], bool]:
    left = iter(range(batches))
    return lambda: next(left, None) is None


def test_every_row_says_what_was_really_used(whole: Path, spec: Spec) -> None:
    assert not (whole / "waves").exists(), "a complete run needs no waves any more"
    plan = read_plan(whole)
    assert plan is not None
    assert {name: method.axis for name, method in plan.methods.items()} == {
        **dict.fromkeys(("uniform", "frames"), "seconds"),
        **dict.fromkeys(("opus", "vorbis", "mp3", "gsm", "coarse"), "bits"),
        "speed": "duration",
        "lowpass": "bandwidth",
        "copied": "own",
    }
    cells = {key: store.read_rows(whole, key).to_pydict() for key in store.find_cells(whole)}
    raw = cells[CellKey("tiny", "synthetic", "uncompressed")]
    assert set(raw["bits_sent"]) == {16 * 16_000 * seconds for seconds in raw["seconds_heard"]}
    for key, rows in cells.items():
        assert set(rows["status"]) == {OK}, key
        assert all(flops > 0 for flops in rows["flops"]), key
        assert all(
            positions > audio for positions, audio in zip(rows["lm_positions"], rows["num_audio_tokens"], strict=True)
        )
        method = plan.methods.get(key.method)
        if method is not None and method.axis in ("bits", "bandwidth"):
            assert rows["seconds_heard"] == raw["seconds_heard"], key
            share = np.array(rows["bits_sent"]) / np.array(raw["bits_sent"])
            assert (share < 0.6).all(), key
            if key.method != "vorbis":  # which has no rate that it keeps to
                assert np.allclose(share, key.budget, rtol=0.5, atol=0.02), (key, share)
        if key.method == "speed":
            assert np.allclose(np.array(rows["seconds_heard"]) / raw["seconds_heard"], key.budget, atol=0.01)
            assert sum(rows["flops"]) < sum(raw["flops"])
    assert len(cells) == 2 + sum(len(method.budgets) for method in spec.methods)


def test_stopped_again_and_again_or_in_shards_it_is_the_same_bytes(whole: Path, spec: Spec, tmp_path: Path) -> None:
    resumed = tmp_path / "resumed"
    for _ in range(40):
        if run(spec, resumed, stop=after(9)).complete:
            break
    assert sweeps.contents(resumed) == sweeps.contents(whole)
    shards = [tmp_path / str(i) for i in range(2)]
    for i, shard in enumerate(shards):
        run(spec, shard, shard=Shard(i, 2))
    assert merge(tmp_path / "all", shards).complete
    assert sweeps.contents(tmp_path / "all") == sweeps.contents(whole)


def test_waves_are_not_made_again(spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a second answerer, and after a stop: each clip once at each budget."""
    from earmark.engine.compressors.waves.wave_pool import WavePool

    jobs: list[tuple[str, float, bytes]] = []
    original = WavePool.map

    def counted(pool: WavePool, asked: Iterator) -> Iterator:
        for job in list(asked):
            jobs.append((str(job.recipe), job.budget, job.samples.tobytes()))
            yield from original(pool, [job])

    monkeypatch.setattr(WavePool, "map", counted)
    two = parse(SPEC.replace('model = "tiny"', 'model = "tiny"\n[[answerers]]\nmodel = "tiny-b"'))
    assert not run(two, tmp_path / "run", stop=after(7)).complete
    assert run(two, tmp_path / "run").complete
    assert len(jobs) == len(set(jobs)) == 4 * sum(len(method.budgets) for method in spec.methods[1:])


def test_what_a_users_compressor_does_wrong_is_a_status(tmp_path: Path, brought: Path) -> None:
    others = SPEC.index('name = "frames"') - len("[[methods]]\n"), SPEC.index("[audits]")
    content = SPEC[: others[0]] + FAILING + SPEC[others[1] :]
    (tmp_path / "spec.toml").write_text(content.replace("certification:4", "certification:2"))
    done = earmark("run", tmp_path / "spec.toml", "--out", tmp_path / "run", cwd=brought)
    assert done.returncode == 3, done.stderr.decode()  # nothing is approved: there are two clips
    expected = {
        ("moody", 0.9): "RuntimeError: not today",
        ("moody", 0.8): "not done after 1 s",
        ("moody", 0.7): "returned silence",
        ("moody", 0.6): "returned NaN or infinity",
        ("moody", 0.5): "its process died (exit code 3)",
        ("moody", 0.4): "returned another rate or length",
        ("broken", 0.5): "exit code 1",
    }
    for (method, budget), words in expected.items():
        rows = store.read_rows(tmp_path / "run", CellKey("tiny", "synthetic", method, budget=budget)).to_pydict()
        assert all(status.startswith(COMPRESSOR) and words in status for status in rows["status"]), rows["status"][:2]
        assert set(rows["loss"]) == {None}
    verified = earmark("verify", tmp_path / "run" / "certificate.json")
    assert verified.returncode == 0, verified.stderr.decode()
