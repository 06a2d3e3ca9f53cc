"""An exported selector on onnxruntime: what an edge device runs. Needs NumPy and onnxruntime, nothing else.

A waveform graph takes samples; a features graph takes what the compiled kernel makes of them, the quicker way where
there is much audio and numba. Questions come as token ids, or as text where the package `tokenizers` is at hand.
Knows neither torch nor how a graph is made.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import Scores
from earmark.engine.compressors.chunks.features import FEATURES, chunks_of, features_of
from earmark.engine.compressors.chunks.selector import LEARNED_TIE, Selector, SelectorInput, check_finite
from earmark.engine.errors import InputError
from earmark.engine.extras import needs_extra

if TYPE_CHECKING:
    import onnxruntime

FEATURES_GRAPH, WAVEFORM_GRAPH = "features.onnx", "waveform.onnx"
TOKENIZER = "tokenizer.json"
MOST_TOKENS = 256  # of a question; what comes after is not read
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_CHUNKS_A_CALL = {"chunks": 8, "features": 256}  # with more, what lies between the nodes leaves the caches

Encode = Callable[[str], Sequence[int]]


class GraphError(InputError):
    """A graph, or what lies beside it, that is not what an export wrote: it must not be shipped."""


@dataclass(frozen=True, slots=True)
class Graph:
    """What a graph's metadata says."""

    selector: str  # SHA-256 of the weights it was made from
    reads: str  # chunks or features
    features: str  # their version
    tokenizer: str  # SHA-256 of its tokenizer.json; empty where it reads no question
    version: str  # of earmark, that wrote it


class OnnxSelector(Selector):
    """A features or waveform graph as a selector."""

    tie = LEARNED_TIE

    def __init__(self, path: Path, provider: str = "cpu", threads: int = 1, encode: Encode | None = None) -> None:
        """`encode` turns a question into token ids, where that is not left to the tokenizer.json beside the graph."""
        self.session = open_session(path, provider, threads)
        self.graph = read_graph(self.session, path)
        self.asks = bool(self.graph.tokenizer)
        self.path = path
        self.threads = threads
        self._encode = encode

    @property
    def weights(self) -> str | None:
        """Those that the graph was made from."""
        return self.graph.selector

    def scores(self, clips: Sequence[SelectorInput]) -> list[Scores]:
        """Scores (T,) of each clip, in calls of a size that suits the graph."""
        if self.graph.reads == "chunks":
            check_finite(clips)
            read = [chunks_of(clip.audio) for clip in clips]
        else:
            read = features_of(clips, self.threads)
        tokens = [self._tokens(clip) for clip in clips] if self.asks else None
        return self.run(read, tokens)

    def run(
        self, read: Sequence[npt.NDArray[np.float32]], tokens: Sequence[Sequence[int]] | None = None
    ) -> list[Scores]:
        """What the graph says of clips, given as chunks (T, 16000) or features (T, 768)."""
        counts = [len(clip) for clip in read]
        scores: list[Scores] = [np.empty(count, np.float32) for count in counts]
        for rows, start, stop in _calls(counts, _CHUNKS_A_CALL[self.graph.reads]):
            place = np.arange(start, stop, dtype=np.float32) / np.float32(max(counts[rows[0]] - 1, 1))
            feed = {
                self.graph.reads: _stacked([read[row][start:stop] for row in rows]),
                "place": np.tile(place, (len(rows), 1)),
            }
            if tokens is not None:
                feed["tokens"], feed["token_mask"] = _padded([tokens[row] for row in rows])
            for row, scored in zip(rows, self._run(feed, (len(rows), stop - start)), strict=True):
                scores[row][start:stop] = scored
        return scores

    def _run(self, feed: dict[str, Any], shape: tuple[int, int]) -> Scores:
        try:
            scores: Scores = self.session.run(["scores"], feed)[0]
        except Exception as error:  # onnxruntime has a class of its own for every cause
            raise GraphError(self.path, f"cannot be run ({_first_line(error)})", "export the selector again") from None
        if scores.shape != shape:
            raise GraphError(self.path, f"has scores {scores.shape} for {shape}", "export the selector again")
        return scores

    def _tokens(self, clip: SelectorInput) -> Sequence[int]:
        if clip.question is None:
            raise InputError(
                f"sample {clip.sample_id}", "has no question, and the selector reads one", "ask, or use an agnostic one"
            )
        if self._encode is None:
            self._encode = _tokenizer(self.path.parent / TOKENIZER, self.graph.tokenizer)
        return self._encode(clip.question)[:MOST_TOKENS]


def open_session(path: Path, provider: str = "cpu", threads: int = 1) -> "onnxruntime.InferenceSession":
    """A session on one provider, with so many threads; InputError where that cannot be.

    cuda and tensorrt were run on no machine yet: what they take and how they fail is as onnxruntime documents it.
    """
    with needs_extra(str(path), "edge"):
        import onnxruntime
    if provider not in PROVIDERS:
        raise InputError(f"provider {provider}", "is unknown", f"choose one of {', '.join(PROVIDERS)}")
    if PROVIDERS[provider] not in onnxruntime.get_available_providers():
        raise InputError(
            f"provider {provider}",
            "is not part of the onnxruntime installed here",
            "pip uninstall onnxruntime, then pip install 'earmark[edge-gpu]'; the two cannot live together",
        )
    if not path.is_file():
        raise InputError(path, "there is no such file", "name a graph that `earmark selector export` wrote")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: they are raised as well
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=_providers(provider))
    except Exception as error:  # onnxruntime has a class of its own for every cause
        raise GraphError(path, f"cannot be loaded ({_first_line(error)})", "export the selector again") from None
    started = session.get_providers()[0]
    if started != PROVIDERS[provider]:  # onnxruntime falls back to another without an error
        raise InputError(
            f"provider {provider}",
            f"cannot be started, onnxruntime took {started}",
            "see that this machine has the device and the libraries that onnxruntime wants, or take --provider cpu",
        )
    return session


def _providers(provider: str) -> list[Any]:
    """What to ask onnxruntime for: on a GPU full float32 products, and CUDA for what TensorRT does not know."""
    cuda = (PROVIDERS["cuda"], {"use_tf32": 0})
    if provider == "cuda":
        return [cuda]
    return [PROVIDERS[provider], cuda] if provider == "tensorrt" else [PROVIDERS[provider]]


def read_graph(session: Any, path: Path) -> Graph:
    """The metadata of a graph; GraphError where it is none of ours, of other features, or has other inputs."""
    metadata = session.get_modelmeta().custom_metadata_map
    try:
        graph = Graph(**{name: metadata[f"earmark.{name}"] for name in Graph.__slots__})
    except KeyError:
        raise GraphError(path, "is no selector's graph", "name one that `earmark selector export` wrote") from None
    if graph.features != FEATURES:
        raise GraphError(path, f"wants features {graph.features}, this is {FEATURES}", "export the selector again")
    if graph.reads not in _CHUNKS_A_CALL:
        known = " or ".join(_CHUNKS_A_CALL)
        raise GraphError(path, f"reads {graph.reads}, which is not {known}", "export the selector again")
    inputs = {node.name for node in session.get_inputs()}
    expected = {graph.reads, "place"} | ({"tokens", "token_mask"} if graph.tokenizer else set())
    if inputs != expected:
        named, wanted = (", ".join(sorted(names)) for names in (inputs, expected))
        raise GraphError(path, f"has inputs {named}, its metadata wants {wanted}", "export the selector again")
    return graph


def _calls(counts: Sequence[int], most: int) -> Iterator[tuple[list[int], int, int]]:
    """Which clips go together, and which of their chunks: clips of one length, or a stretch of a long one."""
    alike: dict[int, list[int]] = {}
    for row, count in enumerate(counts):
        alike.setdefault(count, []).append(row)
    for count, rows in alike.items():
        at_once = max(1, most // count)
        for first in range(0, len(rows), at_once):
            stretches = -(-count // most)  # of lengths as equal as they can be
            for i in range(stretches):
                yield rows[first : first + at_once], count * i // stretches, count * (i + 1) // stretches


def _stacked(rows: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """As one array, without a copy where there is only one."""
    return np.stack(rows) if len(rows) > 1 else rows[0][None]


def _padded(tokens: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Tokens (B, L) and which of them count (B, L); at least one column."""
    longest = max(1, *(len(row) for row in tokens)) if tokens else 1
    padded = np.zeros((len(tokens), longest), np.int64)
    mask = np.zeros((len(tokens), longest), np.bool_)
    for i, row in enumerate(tokens):
        padded[i, : len(row)] = row
        mask[i, : len(row)] = True
    return padded, mask


def _tokenizer(path: Path, expected: str) -> Encode:
    """The tokenizer that the graph was trained with."""
    with needs_extra(str(path), "edge", ", or give token ids"):
        from tokenizers import Tokenizer
    if not path.is_file():
        raise GraphError(path, "there is no such file", "copy it beside the graph, as the export wrote it")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != expected:
        raise GraphError(path, "is not the tokenizer of this graph", "copy the one that the export wrote")
    tokenizer = Tokenizer.from_buffer(data)
    return lambda question: list(tokenizer.encode(question, add_special_tokens=False).ids)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
