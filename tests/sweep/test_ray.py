"""Workers that are Ray actors: the bytes of one process, whoever is killed; one cluster for all tests of this file."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

EARMARK = [sys.executable, "-m", "earmark.cli.main"]
ray: Any = pytest.importorskip("ray")  # the extra `dev` has it

SPEC = """
[corpus]
path = "synthetic:certification:16"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.5]
window = 2
[[methods]]
name = "energy"
[[methods]]
name = "tiny_conditioned"
selector = "tiny-conditioned"
[streams]
permuted_global = 1
[audits]
flip_rate = 6
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of two cores, which outlives runs."""
    context = ray.init(include_dashboard=False, num_cpus=2, log_to_driver=False, namespace="earmark-tests")
    yield context.address_info["address"]
    ray.shutdown()


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ray") / "spec.toml"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def alone(spec: Path) -> dict[str, bytes]:
    assert earmark("run", spec, "--out", spec.parent / "alone").returncode == 3
    return files(spec.parent / "alone")


def earmark(*arguments: object, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [*EARMARK, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, cwd="/")


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def begun(spec: Path, out: Path, cluster: str) -> subprocess.Popen[str]:
    command = [*EARMARK, "run", str(spec), "--out", str(out), "--workers", "2", "--ray", cluster]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/")


def has_answers(out: Path) -> bool:
    return any(name.startswith("window-") for _, _, names in os.walk(out / "pending") for name in names)


def workers() -> list[int]:
    """The processes of our actors."""
    pids = []
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if status.read_bytes().startswith(b"ray::_Actor"):
                pids.append(int(status.parent.name))
        except OSError:
            continue
    return pids


def killed_after_answers(running: subprocess.Popen[str], out: Path, n_kills: int) -> None:
    """Kill some worker, again and again, each time once there are more answers than at the time before."""
    before: tuple[int, int] | None = None
    for number in range(n_kills):
        while running.poll() is None and not (has_answers(out) and workers() and progress(out) != before):
            time.sleep(0.02)
        before = progress(out)
        for pid in workers()[number % 2 :][:1] if running.poll() is None else ():
            os.kill(pid, signal.SIGKILL)


def progress(out: Path) -> tuple[int, int]:
    """Cells that are there, and windows."""
    names = [name for _, _, files_of in os.walk(out) for name in files_of]
    return sum(name.startswith("part-") for name in names), sum(name.startswith("window-") for name in names)


def test_a_run_folder_of_two_workers_is_that_of_one_process(spec: Path, alone: dict[str, bytes], cluster: str) -> None:
    done = earmark("run", spec, "--out", spec.parent / "two", "--workers", 2, "--ray", cluster)
    assert done.returncode == 3, done.stderr
    assert files(spec.parent / "two") == alone
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("n_kills", [1, pytest.param(10, marks=pytest.mark.soak)])
def test_workers_that_are_killed_change_no_byte(
    spec: Path, alone: dict[str, bytes], cluster: str, tmp_path: Path, n_kills: int
) -> None:
    with begun(spec, tmp_path / "run", cluster) as running:
        killed_after_answers(running, tmp_path / "run", n_kills)
        _, errors = running.communicate()
    assert running.returncode == 3, errors
    assert files(tmp_path / "run") == alone


@pytest.mark.soak
@pytest.mark.parametrize("n_kills", [5])
def test_a_driver_that_is_killed_goes_on_with_the_same_bytes(
    spec: Path, alone: dict[str, bytes], cluster: str, tmp_path: Path, n_kills: int
) -> None:
    for _ in range(n_kills):
        with begun(spec, tmp_path / "run", cluster) as running:
            before = sum(len(names) for _, _, names in os.walk(tmp_path / "run"))
            while running.poll() is None and sum(len(names) for _, _, names in os.walk(tmp_path / "run")) < before + 6:
                time.sleep(0.02)
            running.kill()
            running.communicate()
    done = earmark("run", spec, "--out", tmp_path / "run", "--workers", 2, "--ray", cluster)
    assert done.returncode == 3, done.stderr
    assert files(tmp_path / "run") == alone


def test_a_cluster_that_is_not_there_is_one_line(spec: Path, tmp_path: Path) -> None:
    done = earmark("run", spec, "--out", tmp_path / "run", "--ray", "127.0.0.1:1")
    assert done.returncode == 2
    assert "no Ray cluster answers there" in done.stderr
    assert done.stderr.count("\n") <= 4


def test_a_server_is_not_given_workers(tmp_path: Path) -> None:
    (tmp_path / "served.toml").write_text(SPEC.replace('"tiny"', '"openai:http://127.0.0.1:1/v1#m"'))
    done = earmark("run", tmp_path / "served.toml", "--out", tmp_path / "run", "--workers", 2)
    assert done.returncode == 2
    assert "is a server, which answers many requests at once by itself" in done.stderr


def test_without_ray_workers_say_what_to_install(spec: Path, tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ModuleNotFoundError('no ray', name='ray')\n")
    places = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = earmark("run", spec, "--out", tmp_path / "run", "--workers", 2, PYTHONPATH=places)
    assert done.returncode == 2
    assert done.stderr == "error: earmark run: needs ray, which is not installed; pip install 'earmark[ray]'\n"
    assert not (tmp_path / "run").exists()


def test_under_srun_rank_and_size_are_the_shard(spec: Path, tmp_path: Path) -> None:
    slurm = {"SLURM_PROCID": "1", "SLURM_NTASKS": "4", "SLURM_STEP_ID": "0"}
    done = earmark("run", spec, "--out", tmp_path / "run", **slurm)
    assert done.returncode == 0, done.stderr
    assert "shard 2/4 is done" in done.stdout
    assert json.loads((tmp_path / "run" / "plan.json").read_text())["corpus"]["recordings"] == 16
