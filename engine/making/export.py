"""A trained selector as two ONNX files: features -> scores, and waveform -> scores with everything inside.

Beside them lie the card and, where the selector reads questions, its tokenizer. Knows the learned selector and its
graph; how the files are run, `onnx` knows.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from earmark.engine.compressors.card import CARD
from earmark.engine.compressors.chunks.features import FEATURES, WIDTH
from earmark.engine.compressors.chunks.graph_selector import FEATURES_GRAPH, WAVEFORM_GRAPH
from earmark.engine.compressors.chunks.learned import TOKENIZER, LearnedSelector
from earmark.engine.corpus.clip import CHUNK_SAMPLES
from earmark.engine.files import make_folder, write_file
from earmark.engine.making import graph


def export(folder: Path, out: Path | None = None) -> list[Path]:
    """Write a selector's two graphs into its folder, or into `out` with the card and tokenizer; the paths."""
    selector = LearnedSelector.load(folder)
    out = folder if out is None else out
    make_folder(out)
    files = graphs(selector)
    if out.resolve() != folder.resolve():
        files |= {name: (folder / name).read_bytes() for name in (CARD, TOKENIZER)[: 1 + selector.asks]}
    for name, data in files.items():
        write_file(out / name, data)
    return [out / name for name in files]


def graphs(selector: LearnedSelector) -> dict[str, bytes]:
    """Both graphs of a selector by the names of their files, checked, with metadata that says what they are."""
    weights = {name: value.detach().numpy() for name, value in selector.scorer.state_dict().items()}
    place = graph.floats_input("place", "batch", "chunks")
    found = {}
    for name, of, width in ((FEATURES_GRAPH, "features", WIDTH), (WAVEFORM_GRAPH, "chunks", CHUNK_SAMPLES)):
        nodes = graph.Nodes()
        inputs: list[Any] = [graph.floats_input(of, "batch", "chunks", width), place]
        question = None
        if selector.asks:
            inputs += graph.question_inputs()
            question = ("tokens", "token_mask")
        flat = nodes.add("Reshape", of, nodes.whole([-1, width]))
        if of == "chunks":
            flat = nodes.add("Reshape", graph.log_mel(nodes, flat), nodes.whole([-1, WIDTH]))
        graph.scorer(nodes, flat, weights, "place", question)
        metadata = {
            "selector": selector.card.get("weights", ""),
            "reads": of,
            "features": FEATURES,
            "tokenizer": selector.card.get("tokenizer", ""),
            "version": version("earmark"),
        }
        said = {f"earmark.{key}": value for key, value in metadata.items()}
        found[name] = nodes.model(f"earmark {of} to scores", inputs, said).SerializeToString()
    return found
