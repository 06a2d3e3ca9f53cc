"""The machine that this runs on: what it is, and the most memory that a process of it has held."""

import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

from earmark.engine.making.edge.edge_selector import PROVIDER


def machine() -> dict[str, Any]:
    """What this machine is, without its name in the network, and what runs on it."""
    import onnxruntime

    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": cores(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "provider": PROVIDER,
    }


def described(machine: dict[str, Any]) -> str:
    """Processor, cores and versions of a machine, in one line."""
    versions = ", ".join(f"{name} {machine.get(name, 'unknown')}" for name in ("python", "numpy", "onnxruntime"))
    return f"{machine.get('machine')}, {machine.get('processor')}, {machine.get('cores')} cores; {versions}"


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_mib() -> float | None:
    """The most memory that this process has held; None where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError):  # no Linux; there, the figure below would include the parent's
        try:
            import resource
        except ImportError:
            return None
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def _processor() -> str:
    """Its name, or that of the board, as the system tells it."""
    for path, pattern in (("/proc/cpuinfo", r"model name\s*:\s*(.+)"), ("/proc/device-tree/model", r"([^\0]+)")):
        try:
            match = re.search(pattern, Path(path).read_text(errors="replace"))
        except OSError:
            continue
        if match:
            return match[1].strip()
    return platform.processor() or "unknown processor"
