"""Claim: the first sign-off on a machine takes 5 s, with nothing compiled, and every later one 1.5 s.

Every command is typed in a process of its own, in small cases: cold, with an empty folder of kernels, and warm, with
the one that was filled so (the median of three). `earmark certify examples/sounds` has the targets, which must hold
without AVX-512 too: NUMBA_CPU_NAME=haswell, and NumPy's features beyond AVX2 disabled. Its certificates must be the
same bytes, cold and warm, on either instruction set. Python's bytecode is kept, as an installed package has it.

Wall time counts, on two cores that have nothing else to do; where they have, CPU time is the one to read. The ceiling
is importing NumPy, pyarrow and click alone. Not typed are `selector ...`, which is minutes of work, and `merge`, which
copies files.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import NamedTuple

import llvmlite.binding
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SOUNDS = ROOT / "examples" / "sounds"
TARGETS = {"cold_s": 5.0, "warm_s": 1.5}
IMPORTS = "import numpy, pyarrow.parquet, click"
REPEATS = 3
BEYOND_AVX2 = ("AVX512", "X86_V4")  # how the features of NumPy begin that are left out
CODES = (0, 3)


class Command(NamedTuple):
    """What is typed in a folder where the commands before it have been typed."""

    name: str
    typed: tuple[str, ...]


class Took(NamedTuple):
    """Seconds, with nothing compiled and with what that compiled: wall time, and CPU time of all threads."""

    name: str
    cold_s: float
    warm_s: float
    cold_cpu_s: float
    warm_cpu_s: float


CERTIFY = Command("certify", ("certify", str(SOUNDS), "--tolerance", "0.05", "--out", "signed"))
COMMANDS = (
    Command("help", ("--help",)),
    Command("schema", ("schema", "certificate")),
    CERTIFY,
    Command("verify", ("verify", "signed", "--run", str(SOUNDS))),
    Command("plan-alone", ("plan",)),
    Command("plan", ("plan", str(SOUNDS), "--tolerance", "0.05", "--flips", "0.08")),
    Command(
        "import", ("import", "csv", "raw.csv", "opus@0.1=opus.csv", "--corpus", "c", "--answerer", "a", "--out", "i")
    ),
    Command("certify-imported", ("certify", "i")),
    Command("corpus", ("corpus", "synthetic:certification:4")),
    Command("init", ("init", "synthetic:certification:4", "--no-measure", "--out", "spec.toml", "--force")),
    Command("answerer", ("answerer", "tiny")),
    Command("run", ("run", str(ROOT / "examples" / "demo.toml"), "--limit", "4", "--out", "run")),
    Command("status", ("status", "run")),
    Command("compress", ("compress", "clip.wav", "--with", "speed", "--budget", "0.8", "--out", "heard", "--force")),
    Command("score", ("score", "clip.wav", "--selector", "tiny-agnostic")),
    Command("theory", ("theory",)),
    Command("warm", ("warm",)),
)


def lay_out(folder: Path) -> None:
    """A recording and two tables."""
    noise = np.random.default_rng(0).integers(-3000, 3000, 48_000).astype("<i2")
    with wave.open(str(folder / "clip.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(noise.tobytes())
    for name, wrong in (("raw", 10), ("opus", 9)):
        rows = [f"q{i:03d},{'pitch' if i % 2 else 'count'},{int(i % wrong == 0)}" for i in range(300)]
        (folder / f"{name}.csv").write_text("\n".join(["sample_id,query_family,loss", *rows]) + "\n")


def seconds(command: Command, folder: Path, cache: Path, environment: dict[str, str]) -> tuple[float, float]:
    """The wall time and the CPU time of a command in a process of its own."""
    cpu_before, began = children_cpu_s(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "earmark.cli.main", *command.typed],
        cwd=folder,
        env=environment | {"EARMARK_CACHE_DIR": str(cache)},
        capture_output=True,
        check=False,
    )
    took = time.perf_counter() - began
    assert done.returncode in CODES, (command.name, done.returncode, done.stderr.decode()[-2000:])
    return took, children_cpu_s() - cpu_before


def children_cpu_s() -> float:
    """CPU seconds of all processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def timed(command: Command, folder: Path, cache: Path, environment: dict[str, str]) -> Took:
    """Cold, then warm; a certificate is the same both times."""
    certificate = folder / "signed" / "certificate.json"
    cold = seconds(command, folder, cache, environment)
    before = certificate.read_bytes() if command is CERTIFY else b""
    warm = [seconds(command, folder, cache, environment) for _ in range(REPEATS)]
    assert command is not CERTIFY or certificate.read_bytes() == before
    medians = [statistics.median(times) for times in zip(*warm, strict=True)]
    return Took(command.name, *(round(s, 2) for s in (cold[0], medians[0], cold[1], medians[1])))


def with_bytecode() -> dict[str, str]:
    """The environment in which Python keeps what it compiled of our sources."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def without_avx512() -> dict[str, str]:
    """The environment in which neither kernels nor NumPy go beyond AVX2."""
    simd = np.show_config(mode="dicts")["SIMD Extensions"]  # type: ignore[call-overload,index]
    beyond = [name for name in simd.get("found", []) if name.startswith(BEYOND_AVX2)]
    return {**with_bytecode(), "NUMBA_CPU_NAME": "haswell", "NPY_DISABLE_CPU_FEATURES": " ".join(beyond)}


def importing_s() -> float:
    """The ceiling: seconds that a process takes to import what a sign-off needs."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", IMPORTS], check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    """Print a table and, last, one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", choices=[command.name for command in COMMANDS], nargs="+", help="some of the commands"
    )
    only = parser.parse_args().only
    ceiling = importing_s()
    cpu = os.environ.get("NUMBA_CPU_NAME") or llvmlite.binding.get_host_cpu_name()
    sets = {cpu: with_bytecode(), "haswell (no AVX-512)": without_avx512()}
    cases: dict[str, list[Took]] = {}
    certificates = set()
    print(
        f"importing NumPy, pyarrow and click takes {ceiling:.2f} s\n{'':<24}{'command':<20}{'cold, s':>9}{'warm, s':>9}"
    )
    compiled = [sys.executable, "-m", "compileall", "-q", *(str(ROOT / room) for room in ("engine", "cli", "kernels"))]
    subprocess.run(compiled, env=with_bytecode(), check=True)
    with tempfile.TemporaryDirectory() as temporary:
        for name, environment in sets.items():
            folder = Path(temporary) / name.split()[0]
            folder.mkdir()
            lay_out(folder)
            cases[name] = []
            for number, command in enumerate(COMMANDS if len(cases) == 1 else (CERTIFY,)):
                if only and command.name not in only:
                    continue
                cases[name].append(timed(command, folder, folder / f"kernels{number}", environment))
                took = cases[name][-1]
                print(f"{name:<24}{took.name:<20}" + "".join(f"{figure:>9.2f}" for figure in took[1:]), flush=True)
                if command is CERTIFY:
                    certificates.add((folder / "signed" / "certificate.json").read_bytes())
    assert len(certificates) <= 1, "a certificate depends on the instruction set"
    signed = [took for case in cases.values() for took in case if took.name == CERTIFY.name]
    worst = {key: max((getattr(took, key) for took in signed), default=None) for key in TARGETS}
    print(
        json.dumps(
            {
                "claim": "the first sign-off on a machine takes 5 s, and every later one 1.5 s",
                "targets": TARGETS,
                "worst": worst,
                "holds": all(worst[key] is not None and worst[key] <= target for key, target in TARGETS.items()),
                "ceiling_s": round(ceiling, 2),
                "cpu": cpu,
                "cores": os.cpu_count(),
                "cases": {name: [took._asdict() for took in case] for name, case in cases.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
