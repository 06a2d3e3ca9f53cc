"""An exported selector on onnxruntime: what an edge device runs. Needs NumPy and onnxruntime, nothing else.

A waveform graph takes samples; a features graph takes what the compiled kernel makes of them, the quicker way where
there is much audio and numba. Questions come as token ids, or as text where the package `tokenizers` is at hand.
Knows neither torch nor how a graph is made.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import Scores
from earmark.engine.compressors.chunks.features import FEATURES, chunks_of, features_of
from earmark.engine.compressors.chunks.graph_file import (
    EXPORT_AGAIN,
    GraphError,
    GraphFile,
    check_whole,
    read_graph_file,
)
from earmark.engine.compressors.chunks.graph_trial import CALL_SHAPES, first_line, session_options, try_apart
from earmark.engine.compressors.chunks.selector import LEARNED_TIE, Selector, SelectorInput, check_finite
from earmark.engine.compressors.chunks.tokenizer_file import open_tokenizer, token_ids
from earmark.engine.errors import InputError
from earmark.engine.extras import needs_extra

if TYPE_CHECKING:
    import onnxruntime

FEATURES_GRAPH, WAVEFORM_GRAPH = "features.onnx", "waveform.onnx"
TOKENIZER = "tokenizer.json"
MOST_TOKENS = 256  # of a question; what comes after is not read
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_HASH = re.compile(r"[0-9a-f]{64}")
_QUESTION = {"tokens": "tensor(int64)", "token_mask": "tensor(bool)"}  # inputs of a graph that reads it

Encode = Callable[[str], Sequence[int]]


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

    def __init__(
        self, graph: Path | GraphFile, provider: str = "cpu", threads: int = 1, encode: Encode | None = None
    ) -> None:
        """`encode` turns a question into token ids, where that is not left to the tokenizer.json beside the graph."""
        self.file = graph if isinstance(graph, GraphFile) else read_graph_file(graph)
        self.session = open_session(self.file, provider, threads)
        self.graph = read_graph(self.session, self.file.path)
        self.asks = bool(self.graph.tokenizer)
        self.threads = threads
        self._encode = encode

    @property
    def weights(self) -> str | None:
        """Those that the graph was made from."""
        return self.graph.selector

    @property
    def identity(self) -> str:
        """SHA-256 of the graph, which names its tokenizer by hash: its metadata say only what it was made from."""
        return self.file.sha256

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
        for rows, start, stop in _calls(counts, CALL_SHAPES[self.graph.reads][0]):
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
            raise GraphError(self.file.path, f"cannot be run ({first_line(error)})", EXPORT_AGAIN) from None
        if scores.shape != shape:
            raise GraphError(self.file.path, f"has scores {scores.shape} for {shape}", EXPORT_AGAIN)
        if not np.isfinite(scores).all():
            raise GraphError(self.file.path, "has scores that are not finite", EXPORT_AGAIN)
        return scores

    def _tokens(self, clip: SelectorInput) -> Sequence[int]:
        if clip.question is None:
            raise InputError(
                f"sample {clip.sample_id}", "has no question, and the selector reads one", "ask, or use an agnostic one"
            )
        if self._encode is None:
            self._encode = _tokenizer(self.file.path.parent, self.graph.tokenizer)
        return self._encode(clip.question)[:MOST_TOKENS]


def open_session(graph: GraphFile, provider: str = "cpu", threads: int = 1) -> "onnxruntime.InferenceSession":
    """A session on one provider, with so many threads, of a graph that a process of its own came back from.

    InputError where that cannot be.

    cuda and tensorrt were run on no machine yet: what they take and how they fail is as onnxruntime documents it.
    """
    with needs_extra(str(graph.path), "edge"):
        import onnxruntime
    if provider not in PROVIDERS:
        raise InputError(f"provider {provider}", "is unknown", f"choose one of {', '.join(PROVIDERS)}")
    if PROVIDERS[provider] not in onnxruntime.get_available_providers():
        raise InputError(
            f"provider {provider}",
            "is not part of the onnxruntime installed here",
            "pip uninstall onnxruntime, then pip install 'earmark[edge-gpu]'; the two cannot live together",
        )
    check_whole(graph)
    try_apart(graph)
    options = session_options(onnxruntime, threads)
    try:
        session = onnxruntime.InferenceSession(graph.data, options, providers=_providers(provider))
    except Exception as error:  # onnxruntime has a class of its own for every cause
        raise GraphError(graph.path, f"cannot be loaded ({first_line(error)})", EXPORT_AGAIN) from None
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
    graph = _metadata(session, path)
    if graph.features != FEATURES:
        raise GraphError(path, f"wants features {graph.features[:40]}, this is {FEATURES}", EXPORT_AGAIN)
    if graph.reads not in CALL_SHAPES:
        raise GraphError(path, f"reads {graph.reads[:40]}, which is not {' or '.join(CALL_SHAPES)}", EXPORT_AGAIN)
    for name in ("selector", "tokenizer"):
        if not _HASH.fullmatch(getattr(graph, name)) and getattr(graph, name):
            raise GraphError(path, f"has in its metadata a {name} that is no SHA-256", EXPORT_AGAIN)
    expected = {graph.reads: "tensor(float)", "place": "tensor(float)"} | (_QUESTION if graph.tokenizer else {})
    inputs = {node.name: node.type for node in session.get_inputs()}
    if inputs.keys() != expected.keys():
        named, wanted = (", ".join(sorted(names)) for names in (inputs, expected))
        raise GraphError(path, f"has inputs {named[:200]}, its metadata wants {wanted}", EXPORT_AGAIN)
    types = {**inputs, **{node.name: node.type for node in session.get_outputs()}}
    for name, kind in {**expected, "scores": "tensor(float)"}.items():
        if types.get(name) != kind:
            raise GraphError(path, f"has {name} of {types.get(name, 'no type')}, not of {kind}", EXPORT_AGAIN)
    return graph


def _metadata(session: Any, path: Path) -> Graph:
    try:
        metadata = session.get_modelmeta().custom_metadata_map
        return Graph(**{name: metadata[f"earmark.{name}"] for name in Graph.__slots__})
    except KeyError:
        raise GraphError(path, "is no selector's graph", "name one that `earmark selector export` wrote") from None
    except UnicodeDecodeError:
        raise GraphError(path, "has metadata that are no text", EXPORT_AGAIN) from None


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


def _tokenizer(folder: Path, expected: str) -> Encode:
    """The tokenizer that the graph was trained with, from the file beside it."""
    path = folder / TOKENIZER
    with needs_extra(str(path), "edge", ", or give token ids"):
        try:
            tokenizer = open_tokenizer(path, expected)
        except InputError as error:
            raise GraphError(path, error.what, error.do) from None
    return lambda question: token_ids(tokenizer, question)
