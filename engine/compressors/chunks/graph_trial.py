"""A graph of others is opened in a process of its own first: what kills, hangs or fills that one leaves this one alone.

That process has so much memory and time, and once onnxruntime is there it can open no file and no connection. Where it
has scored silence and comes back, the same bytes are opened here. A system without limits (Windows) has the process
and its time alone.

    parent:  data ──stdin──►  load, score silence in the shapes that are used  ──exit code, a line──►  parent
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from earmark.engine.compressors.chunks.features import WIDTH
from earmark.engine.compressors.chunks.graph_file import EXPORT_AGAIN, GraphError, GraphFile
from earmark.engine.corpus.clip import CHUNK_SAMPLES

MOST_SECONDS_ALONE = 300.0  # of waiting, on a machine that others use too
MOST_CPU_S = 10  # that the graph itself may take; one that was exported takes some hundredths
MOST_MEMORY_BYTES = 2 << 30  # beside MEMORY_PER_BYTE for every byte of the graph
MEMORY_PER_BYTE = 8
CALL_SHAPES = {  # most chunks a call (with more, what lies between the nodes leaves the caches), and numbers of each
    "chunks": (8, CHUNK_SAMPLES),
    "features": (256, WIDTH),
}
_WORKER = "from earmark.engine.compressors.chunks.graph_trial import main; main()"
_REFUSED = 3  # its exit code
_LEAST_DESCRIPTORS = 3  # the standard ones, which are open already
_TYPES: dict[str, Any] = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}
_harmless: set[str] = set()  # SHA-256 of what came back here, or was made here


def vouch_for(sha256: str) -> None:
    """Let a graph be opened without a trial: this process made it, or its parent tried it."""
    _harmless.add(sha256)


def try_apart(graph: GraphFile) -> None:
    """GraphError where a process of its own does not survive the graph; the same bytes are tried once."""
    if graph.sha256 in _harmless:
        return
    # -P: a package of the working directory must not be imported instead of an installed one
    command = [sys.executable, "-P", "-c", _WORKER]
    try:
        done = subprocess.run(
            command,
            input=graph.data,
            capture_output=True,
            timeout=MOST_SECONDS_ALONE,
            check=False,
            start_new_session=True,  # an interrupt is the parent's, which would take it for a crash
        )
    except subprocess.TimeoutExpired:
        raise GraphError(graph.path, f"was not opened after {MOST_SECONDS_ALONE:g} s", EXPORT_AGAIN) from None
    if done.returncode:
        raise GraphError(graph.path, _complaint(done), EXPORT_AGAIN)
    vouch_for(graph.sha256)


def _complaint(done: "subprocess.CompletedProcess[bytes]") -> str:
    """Why a trial failed, as its exit code and its last line tell it."""
    if done.returncode == _REFUSED:
        return f"cannot be loaded ({done.stdout.decode(errors='replace').strip()[:200]})"
    if -done.returncode == getattr(signal, "SIGXCPU", None):
        return f"cannot be loaded (it takes more than {MOST_CPU_S} s of computing to score silence)"
    if done.returncode < 0:
        return f"cannot be loaded (it ends the process that opens it, by signal {-done.returncode})"
    last = (done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return f"cannot be loaded (a process of its own ends with: {last[:200]})"


# In the process of its own ---------------------------------------------------------------------------------


def main() -> None:
    """Read a graph from the standard input, score silence with it, and leave: 0, or _REFUSED with a line of why."""
    import onnxruntime

    data = sys.stdin.buffer.read()
    options = session_options(onnxruntime, threads=1)
    options.log_severity_level = 4  # what is raised is said once
    _confine(len(data))
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        session.get_modelmeta().custom_metadata_map  # noqa: B018 (texts that are none raise here)
        for feed in _silences(session):
            session.run(["scores"], feed)
    except Exception as error:  # onnxruntime has a class of its own for every cause
        print(first_line(error))
        sys.stdout.flush()
        sys.exit(_REFUSED)


def session_options(onnxruntime: Any, threads: int) -> Any:
    """How a graph is opened, there and here: as ONNX whatever its bytes say, which has nothing outside of them."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: they are raised as well
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return options


def first_line(error: Exception) -> str:
    """The first line of what an error says."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _confine(n_bytes: int) -> None:
    """From here on: so much memory and time, no core dump, and no file or connection that is not open already."""
    try:
        import resource
    except ImportError:
        return
    used_s = int(time.process_time()) + 1
    for name, most, beyond in (
        ("RLIMIT_AS", MOST_MEMORY_BYTES + MEMORY_PER_BYTE * n_bytes, 0),
        ("RLIMIT_CPU", used_s + MOST_CPU_S, 1),  # SIGXCPU first, a second later SIGKILL
        ("RLIMIT_CORE", 0, 0),
        ("RLIMIT_FSIZE", 0, 0),
        ("RLIMIT_NOFILE", _LEAST_DESCRIPTORS, 0),
    ):
        limit = getattr(resource, name, None)
        if limit is not None:
            hard = resource.getrlimit(limit)[1]
            lowest = most + beyond if hard == resource.RLIM_INFINITY else min(most + beyond, hard)
            with suppress(OSError, ValueError):  # systems differ in what they let be limited
                resource.setrlimit(limit, (min(most, lowest), lowest))


def _silences(session: Any) -> Iterator[dict[str, Any]]:
    """One second of silence, and the largest calls, of one clip and of several; none for inputs that are not ours."""
    nodes = {node.name: node for node in session.get_inputs()}
    reads = next((name for name in CALL_SHAPES if name in nodes), "")
    if not nodes.keys() <= {reads, "place", "tokens", "token_mask"}:
        return  # what its metadata say is refused before it is run
    most, width = CALL_SHAPES[reads]
    shapes: dict[str, Callable[[int, int], tuple[int, ...]]] = {
        reads: lambda clips, chunks: (clips, chunks, width),
        "place": lambda clips, chunks: (clips, chunks),
        "tokens": lambda clips, _: (clips, 16),
        "token_mask": lambda clips, _: (clips, 16),
    }
    for clips, chunks in ((1, 1), (1, most), (most, 1)):
        yield {
            name: np.zeros(shapes[name](clips, chunks), _TYPES.get(node.type, np.float32))
            for name, node in nodes.items()
        }
