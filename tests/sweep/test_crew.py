"""A sweep over many workers ends with the bytes of one process, whatever order blocks end in and whoever dies."""

import pickle
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import decided
import pytest
import sweeps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earmark.engine.design.keys import OK
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.sweep.crew import DIED, MOST_DEATHS, Died, Ended
from earmark.engine.sweep.run import Swept, run
from earmark.engine.sweep.station import BlockJob, Charge, Files, Introduction, Station
from earmark.engine.sweep.sweep_folder import SURPLUS

Choose = Callable[[int], int]  # one of so many
SMALL = sweeps.SMALLER


class FakeCrew:
    """Stations in this process: jobs end in any order, and some workers die of them."""

    size = 3

    def __init__(self, charge: Charge, choose: Choose, deaths: Callable[[BlockJob], bool]) -> None:
        self._station = Station(pickle.loads(pickle.dumps(charge)), self.size)
        self._choose, self._deaths = choose, deaths
        self._jobs: deque[tuple[int, BlockJob]] = deque()
        self.carried_out: list[BlockJob] = []

    def has_room(self) -> bool:
        return len(self._jobs) < self.size

    def submit(self, number: int, job: BlockJob) -> None:
        self._jobs.append((number, pickle.loads(pickle.dumps(job))))

    def ended(self, timeout_s: float) -> list[Ended]:
        assert timeout_s > 0
        if not self._jobs:
            return []
        self._jobs.rotate(self._choose(len(self._jobs)))
        number, job = self._jobs.popleft()
        if self._deaths(job):
            return [Ended(number, Died())]
        self.carried_out.append(job)
        try:
            return [Ended(number, pickle.loads(pickle.dumps(self._station.carry_out(job))))]
        except InputError as error:
            return [Ended(number, pickle.loads(pickle.dumps(error)))]

    def introduce(self, name: str) -> Introduction:
        return self._station.introduce(name)

    def flips(self, name: str) -> Files:
        return self._station.flips(name)

    def close(self) -> None:
        self._station.close()


def nobody(_: BlockJob) -> bool:
    return False


def last(n: int) -> int:
    return n - 1


def crewed(
    out: Path, spec: Any, load: Any, choose: Choose, deaths: Callable[[BlockJob], bool] = nobody, **more: Any
) -> Swept:
    """A sweep with a fake crew."""

    def opened(charge: Charge) -> FakeCrew:
        return FakeCrew(charge, choose, deaths)

    return run(spec, out, load=load, load_compressor=sweeps.compressor, open_crew=opened, **more)


def files(folder: Path) -> dict[str, bytes]:
    """All files of a run but what lies beside comparisons."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: path.read_bytes() for name, path in named.items() if not name.startswith((SURPLUS, ".filling"))}


def load_all(answerer: Any, machine: Any) -> Any:
    return sweeps.answerers()(answerer, machine)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone")
    assert run(sweeps.spec(SMALL), out, load=load_all, load_compressor=sweeps.compressor).complete
    return out


@pytest.fixture(scope="module")
def decided_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("decided")
    assert decided.sweep(out).complete
    return out


@given(st.randoms(use_true_random=False))
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_blocks_in_any_order_and_workers_that_die_change_no_byte(
    alone: Path, tmp_path_factory: Any, random: Any
) -> None:
    out, died = tmp_path_factory.mktemp("crew"), Counter[str]()

    def deaths(job: BlockJob) -> bool:
        name = f"{job.tasks[0].step.name} {job.tasks[0].block}"
        died[name] += 1
        return died[name] < MOST_DEATHS and random.random() < 0.3

    assert crewed(out, sweeps.spec(SMALL), load_all, random.randrange, deaths).complete
    assert files(out) == files(alone)


@given(st.randoms(use_true_random=False))
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_walk_that_workers_run_ahead_of_ends_with_the_bytes_of_one_process(
    decided_alone: Path, tmp_path_factory: Any, random: Any
) -> None:
    out = tmp_path_factory.mktemp("crew")
    assert crewed(out, decided.spec(), decided.load, random.randrange).complete
    assert files(out) == files(decided_alone)
    assert list((out / SURPLUS).rglob("*.parquet"))


def test_a_stop_in_between_loses_nothing_and_one_process_goes_on(alone: Path, tmp_path: Path) -> None:
    assert crewed(tmp_path, sweeps.spec(SMALL), load_all, last, stop=sweeps.after(6)).stopped
    loads: dict[str, Any] = {"load": load_all, "load_compressor": sweeps.compressor}
    assert run(sweeps.spec(SMALL), tmp_path, stop=sweeps.after(6), **loads).stopped
    assert crewed(tmp_path, sweeps.spec(SMALL), load_all, last).complete
    assert files(tmp_path) == files(alone)


def test_a_block_that_kills_three_workers_becomes_statuses_and_the_run_goes_on(tmp_path: Path) -> None:
    died = Counter[str]()

    def deaths(job: BlockJob) -> bool:
        poison = job.tasks[0].block == 1
        died["poison"] += poison
        return poison

    done = crewed(tmp_path, sweeps.spec(SMALL), load_all, last, deaths)
    assert done.complete
    statuses: dict[str, set[str]] = {}
    for key in store.find_cells(tmp_path):
        rows = store.read_rows(tmp_path, key)
        statuses.setdefault(key.method, set()).update(rows["status"].to_pylist())
    assert statuses["uncompressed"] == {OK, DIED}
    assert all(OK in of_method for of_method in statuses.values())
    assert died["poison"] >= MOST_DEATHS


def test_workers_that_die_of_everything_end_the_run_before_statuses_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the workers: die of every window that they are given"):
        crewed(tmp_path, sweeps.spec(SMALL), load_all, last, lambda _: True)
    assert not list(tmp_path.rglob("window-*.parquet"))
    assert crewed(tmp_path, sweeps.spec(SMALL), load_all, last).complete


def test_a_worker_that_reads_another_corpus_is_refused(tmp_path: Path) -> None:
    def opened(charge: Charge) -> FakeCrew:
        return FakeCrew(charge._replace(plan={**charge.plan, "corpus": {}}), last, nobody)

    with pytest.raises(InputError, match="a worker: reads another corpus, or other compressors"):
        run(sweeps.spec(SMALL), tmp_path, load=load_all, load_compressor=sweeps.compressor, open_crew=opened)
    assert not list(tmp_path.rglob("*.parquet"))


def test_what_an_answerer_cannot_do_is_refused_with_workers_too(tmp_path: Path) -> None:
    spec = sweeps.spec(SMALL, {"replicates = 200": 'replicates = 200\nname = "paper"\nloss = "nll"'})
    with pytest.raises(InputError, match="answerer one: has no likelihoods"):
        crewed(tmp_path, spec, silent_load, last)


def silent_load(answerer: Any, machine: Any) -> Any:
    loaded = sweeps.answerers()(answerer, machine)
    loaded.likelihoods = False
    return loaded
