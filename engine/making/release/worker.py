"""A process of its own that scores clips with a model and times itself: `python -c ... main()` of `device`.

Says a line when the first clip has its chunks (by which `device` takes the cold start), and one of JSON at the end.
Imports what an edge device would, no more.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from earmark.engine.compressors.chunks.cutting import kept_chunks
from earmark.engine.compressors.chunks.graph_file import GraphError, GraphFile, read_graph_file
from earmark.engine.compressors.chunks.graph_selector import OnnxSelector
from earmark.engine.compressors.chunks.graph_trial import vouch_for
from earmark.engine.compressors.chunks.selector import SelectorInput
from earmark.engine.making.edge.machine import peak_mib

_WARM_UP = 2  # clips


def main() -> None:
    """Run the task in the file named by the only argument."""
    task = json.loads(Path(sys.argv[1]).read_text())
    with np.load(task["clips"]) as held:
        first = _clip(held, 0, task)
        model = OnnxSelector(_graph(task), task["provider"], task["threads"])
        scores = [_timed(model, first, task)[0]]
        print("first", flush=True)
        for i in range(min(_WARM_UP, len(task["questions"]))):
            _timed(model, _clip(held, i, task), task)
        milliseconds = [_timed(model, first, task)[1]]
        for i in range(1, len(task["questions"])):
            clip_scores, taken = _timed(model, _clip(held, i, task), task)
            scores.append(clip_scores)
            milliseconds.append(taken)
    print(json.dumps({"ms": milliseconds, "peak_mib": peak_mib(), "scores": scores}))


def _graph(task: dict[str, Any]) -> GraphFile:
    """The graph, which the parent has opened: a trial here would be timed too."""
    graph = read_graph_file(Path(task["model"]))
    if graph.sha256 != task["sha256"]:
        raise GraphError(graph.path, "was exchanged while it was checked", "check it again")
    vouch_for(graph.sha256)
    return graph


def _clip(held: Any, i: int, task: dict[str, Any]) -> SelectorInput:
    return SelectorInput(str(i), held[str(i)], task["questions"][i])


def _timed(model: OnnxSelector, clip: SelectorInput, task: dict[str, Any]) -> tuple[list[float], float]:
    """Scores, and milliseconds from samples to kept chunks."""
    began = time.perf_counter()
    (scores,) = model.scores([clip])
    model.keep(scores, kept_chunks(task["budget"], len(scores)))
    return scores.tolist(), 1e3 * (time.perf_counter() - began)
