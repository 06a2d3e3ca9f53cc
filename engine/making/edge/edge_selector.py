"""The exported selector: samples and a question in, scores and chunks out, on onnxruntime and one CPU."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from earmark.engine.making.edge.chunks import CHUNK_SAMPLES, ChunkNumbers, kept_chunks, top_chunks
from earmark.engine.making.edge.edge_error import EdgeError
from earmark.engine.making.edge.edge_folder import GRAPH, exported, read_manifest
from earmark.engine.making.edge.question_reader import TOKENIZER, QuestionReader, unknown
from earmark.engine.making.edge.wav import Samples

PROVIDER = "CPUExecutionProvider"
MOST_TOKENS = 256  # of a question; what comes after is not read
_CHUNKS_A_CALL = 8  # with more, what lies between the nodes of the graph leaves the caches


class EdgeSelector:
    """An exported folder, opened."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """EdgeError where the graph is not the one that was exported, or onnxruntime cannot load it."""
        import onnxruntime

        self.manifest = read_manifest(folder)
        self._folder = folder
        self._reader: QuestionReader | None = None
        data = exported(folder, self.manifest, GRAPH)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # not even errors: they are raised, and said in one line
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=[PROVIDER])
        except Exception as error:  # onnxruntime has a class of its own for every cause
            raise EdgeError(folder / GRAPH, f"cannot be loaded ({_first_line(error)})", "update onnxruntime") from None

    def tokens(self, question: str) -> list[int]:
        """The ids of a question, by the tokenizer.json beside the graph."""
        if self._reader is None:
            data = exported(self._folder, self.manifest, TOKENIZER)
            try:
                self._reader = QuestionReader(json.loads(data))
            except (ValueError, LookupError, TypeError, AttributeError):
                raise unknown("layout") from None
            if not self.manifest.reads_text:
                raise unknown("way to read text")
        return self._reader.tokens(question)

    def scores(self, waveform: Samples, tokens: Sequence[int] | None = None) -> Samples:
        """Scores (T,) of the chunks of a clip (samples,); `tokens` are the question's, where the selector reads one."""
        count = math.ceil(len(waveform) / CHUNK_SAMPLES)
        chunks = np.zeros((count, CHUNK_SAMPLES), np.float32)
        chunks.reshape(-1)[: len(waveform)] = waveform
        places = np.arange(count, dtype=np.float32) / np.float32(max(count - 1, 1))
        calls = -(-count // _CHUNKS_A_CALL)  # of lengths as equal as they can be
        parts = []
        for i in range(calls):
            stretch = slice(count * i // calls, count * (i + 1) // calls)
            feed = {"chunks": chunks[stretch][None], "place": places[stretch][None]}
            try:
                parts.append(self._session.run(["scores"], feed | _question_feed(tokens))[0][0])
            except Exception as error:  # as above
                raise EdgeError(GRAPH, f"cannot be run ({_first_line(error)})", "check the token ids") from None
        scores: Samples = np.concatenate(parts)
        if not np.isfinite(scores).all():
            raise EdgeError(GRAPH, "gives scores that are not finite", "run the check")
        return scores

    def keep(self, scores: npt.NDArray[Any], budget: float) -> ChunkNumbers:
        """The chunks (rising) that a budget keeps of a clip with these scores (T,)."""
        return top_chunks(scores, kept_chunks(budget, len(scores)), self.manifest.tie)


def _question_feed(tokens: Sequence[int] | None) -> dict[str, npt.NDArray[Any]]:
    """Tokens and mask (1, L), at least one column."""
    if tokens is None:
        return {}
    read = list(tokens[:MOST_TOKENS])
    return {"tokens": np.array([read or [0]], np.int64), "token_mask": np.array([[True] * len(read) or [False]])}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
