"""A run is the same bytes on any number of threads, and resumed on another number of them."""

import hashlib
from pathlib import Path

import pytest
from command_line import earmark

SPEC = """
[corpus]
path = "synthetic:certification:3"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.2, 0.6]
window = 1
[[methods]]
name = "energy"
[[methods]]
name = "learned_conditioned"
selector = "tiny-conditioned"
[streams]
permuted_global = 1
"""
NOTHING_APPROVED = 3


def threads(torch: int, numba: int) -> dict[str, str]:
    """The variables that say how many threads the libraries may use."""
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(torch)) | {
        "NUMBA_NUM_THREADS": str(numba)
    }


def hashes(run: Path) -> dict[str, str]:
    """Every file of a run folder by its path in it."""
    return {
        path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with the spec, and the hashes of a run of it where every library had one thread."""
    folder = tmp_path_factory.mktemp("threads")
    (folder / "spec.toml").write_text(SPEC)
    done = earmark("run", "spec.toml", "--out", "single", cwd=folder, env=threads(1, 1))
    assert done.returncode == NOTHING_APPROVED, done.stderr
    return folder, hashes(folder / "single")


def test_a_run_is_the_same_bytes_on_any_number_of_threads(single: tuple[Path, dict[str, str]]) -> None:
    folder, expected = single
    done = earmark("run", "spec.toml", "--out", "double", cwd=folder, env=threads(2, 2))
    assert done.returncode == NOTHING_APPROVED, done.stderr
    assert hashes(folder / "double") == expected


def test_a_run_is_resumed_on_another_number_of_threads(single: tuple[Path, dict[str, str]]) -> None:
    folder, expected = single
    done = earmark("run", "spec.toml", "--shard", "1/2", "--out", "resumed", cwd=folder, env=threads(2, 1))
    assert done.returncode == 0, done.stderr
    assert len(hashes(folder / "resumed")) not in (0, len(expected))
    done = earmark("run", "spec.toml", "--out", "resumed", cwd=folder, env=threads(1, 2))
    assert done.returncode == NOTHING_APPROVED, done.stderr
    assert hashes(folder / "resumed") == expected


def test_a_run_that_stops_when_it_is_decided_is_the_same_bytes_on_any_number_of_threads(tmp_path: Path) -> None:
    of_many = SPEC.replace("certification:3", "certification:16").replace("window = 1", 'window = 5\nuntil = "decided"')
    without_streams, _, _ = of_many.partition("[streams]")
    (tmp_path / "spec.toml").write_text(f"{without_streams}[rule]\ntolerances = [0.5]\n")
    for n_threads in (1, 2):
        done = earmark("run", "spec.toml", "--out", str(n_threads), cwd=tmp_path, env=threads(n_threads, n_threads))
        assert done.returncode == 0, done.stderr
        assert b"decided after" in done.stdout
    assert hashes(tmp_path / "1") == hashes(tmp_path / "2")
