"""A crew of Ray actors, one a device: GPUs where the spec names CUDA, else a share of the cores each.

The one file that imports Ray, and only when a crew is opened. Knows jobs, not what is in them.
"""

import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from earmark.engine.answerers.answerer import LostError
from earmark.engine.cores import usable_threads
from earmark.engine.errors import EarmarkError, InputError
from earmark.engine.extras import needs_extra
from earmark.engine.sweep.crew import Died, Ended
from earmark.engine.sweep.station import BlockJob, BlockOutcome, Charge, Files, Introduction, Station

T = TypeVar("T")
_LOOK_S = 5.0  # how often a cluster is looked at for devices that have joined
_REACHED_S = 5.0  # for a cluster to be heard of
_TRIES = 3  # workers that may die while they are made ready, before the run is given up


@dataclass(frozen=True, slots=True)
class RayWorkers:
    """How many workers, and where: `run(open_crew=RayWorkers(...).open)`."""

    count: int | None  # None: one a device that the cluster has, also those that join later
    address: str | None  # None: a cluster of this machine alone, which ends with the run
    note: Callable[[str], None]

    def open(self, charge: Charge) -> "RayCrew":
        """Start the workers; a missing Ray is one line."""
        with needs_extra("a run with --workers or --ray", "ray"):
            import ray
        del ray
        return RayCrew(charge, self)


@dataclass(slots=True)
class _Member:
    """One worker, and the job that it has."""

    actor: Any
    number: int = 0  # of the job
    outcome: Any = None  # what Ray will give back for it; None: it has none


class RayCrew:
    """Workers in other processes, here or on other machines."""

    def __init__(self, charge: Charge, workers: RayWorkers) -> None:
        import ray

        self._ray: Any = ray  # which is untyped
        self._on_gpus = charge.spec.machine.device.startswith("cuda")
        self._wanted, self._note = workers.count, workers.note
        _start(workers)
        n_devices = self._devices()
        n_workers = workers.count or max(1, n_devices)
        if self._on_gpus and not n_devices:
            raise InputError("[machine] device", "is cuda, and Ray knows of no GPU", 'set device = "cpu"')
        threads = 1 if self._on_gpus else max(1, usable_threads() // n_workers)
        share = {"num_gpus": 1, "num_cpus": 1} if self._on_gpus else {"num_cpus": min(1.0, self._cores() / n_workers)}
        environment = {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._remote = ray.remote(_Actor).options(
            **share, max_restarts=0, max_task_retries=0, runtime_env={"env_vars": environment}
        )
        self._charge = ray.put((charge, n_workers))
        self._members = [self._joined() for _ in range(n_workers)]
        self._looked = time.monotonic()
        workers.note(f"{n_workers} workers, {'a GPU each' if self._on_gpus else f'{threads} threads each'}")

    @property
    def size(self) -> int:
        return len(self._members)

    def has_room(self) -> bool:
        return any(member.outcome is None for member in self._members)

    def submit(self, number: int, job: BlockJob) -> None:
        member = next(member for member in self._members if member.outcome is None)
        member.number, member.outcome = number, member.actor.carry_out.remote(job)

    def ended(self, timeout_s: float) -> list[Ended]:
        self._look_for_more()
        member_of = {member.outcome: member for member in self._members if member.outcome is not None}
        if not member_of:
            time.sleep(timeout_s)
            return []
        ready, _ = self._ray.wait(list(member_of), num_returns=1, timeout=timeout_s)
        return [self._ended(member_of[reference]) for reference in ready]

    def _ended(self, member: _Member) -> Ended:
        """What came of a worker's job; another takes the place of a dead one."""
        reference, member.outcome = member.outcome, None
        try:
            return Ended(member.number, self._ray.get(reference))
        except self._ray.exceptions.RayActorError:
            member.actor = self._remote.remote(self._charge)
            return Ended(member.number, Died())

    def introduce(self, name: str) -> Introduction:
        introduction: Introduction = self._asked("introduce", name)
        return introduction

    def flips(self, name: str) -> Files:
        files: Files = self._asked("flips", name)
        return files

    def close(self) -> None:
        for member in self._members:
            with suppress(Exception):  # a cluster that is gone already
                self._ray.kill(member.actor)
        self._ray.shutdown()

    def _asked(self, what: str, name: str) -> Any:
        """What the first worker says that lives to say it."""
        for _ in range(_TRIES):
            member = self._members[0]
            try:
                reply = self._ray.get(getattr(member.actor, what).remote(name))
            except self._ray.exceptions.RayActorError:
                self._members[0] = self._joined()
                continue
            if isinstance(reply, EarmarkError):
                raise reply
            return reply
        raise InputError(
            f"answerer {name}", f"{_TRIES} workers died of loading it", "load it in one process: leave --workers out"
        )

    def _joined(self) -> _Member:
        return _Member(self._remote.remote(self._charge))

    def _look_for_more(self) -> None:
        """Take in devices that have joined the cluster, where nobody said how many workers there are."""
        if self._wanted is None and time.monotonic() - self._looked > _LOOK_S:
            self._looked = time.monotonic()
            self._members += [self._joined() for _ in range(self._devices() - len(self._members))]

    def _devices(self) -> int:
        """GPUs where the spec asks for them, else nodes."""
        if self._on_gpus:
            return int(self._ray.cluster_resources().get("GPU", 0))
        return len([node for node in self._ray.nodes() if node["Alive"]])

    def _cores(self) -> float:
        return float(self._ray.cluster_resources().get("CPU", 1))


class _Actor:
    """A station behind Ray. What is refused comes back as a value: others are faults of ours."""

    def __init__(self, charge_and_workers: tuple[Charge, int]) -> None:
        self._given = charge_and_workers
        self._station: Station | None = None

    def introduce(self, name: str) -> Introduction | EarmarkError:
        return self._refused(lambda station: station.introduce(name))

    def flips(self, name: str) -> Files | EarmarkError:
        return self._refused(lambda station: station.flips(name))

    def carry_out(self, job: BlockJob) -> BlockOutcome | EarmarkError:
        return self._refused(lambda station: station.carry_out(job))

    def _refused(self, run: Callable[[Station], T]) -> T | EarmarkError:
        try:
            if self._station is None:
                self._station = Station(*self._given)
            return run(self._station)
        except EarmarkError as error:
            return error
        except LostError:  # its device failed: another worker may have a better one
            os._exit(1)


def _start(workers: RayWorkers) -> None:
    """Join a cluster, or begin one of this machine that ends with this process."""
    import ray

    if ray.is_initialized():
        return
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if workers.address is not None:
        try:
            _reach(workers.address)
            ray.init(address=workers.address, **quiet)
        except (OSError, ValueError, RuntimeError) as error:
            what = f"no Ray cluster answers there ({' '.join(str(error).split())[:100]})"
            raise InputError(f"--ray {workers.address}", what, "start one with `ray start --head`") from error
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ray.init(include_dashboard=False, num_cpus=max(usable_threads(), workers.count or 1), **quiet)


def _reach(address: str) -> None:
    """OSError where nobody listens at HOST:PORT, on which Ray would wait for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=_REACHED_S).close()
