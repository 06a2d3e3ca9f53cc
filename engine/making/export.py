"""A trained selector as a folder that runs by itself: two ONNX files, what runs them on a device, and test vectors.

features.onnx takes features, for `earmark`; waveform.onnx has everything inside. Knows the learned selector and what an
exported folder holds; how the graphs are run, `graph_selector` knows here and `edge` on a device.
"""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from earmark.engine.compressors.card import CARD
from earmark.engine.compressors.chunks.features import FEATURES, WIDTH
from earmark.engine.compressors.chunks.graph_selector import FEATURES_GRAPH, WAVEFORM_GRAPH
from earmark.engine.compressors.chunks.graph_trial import vouch_for
from earmark.engine.compressors.chunks.learned import TOKENIZER, LearnedSelector, question_tokens
from earmark.engine.corpus.clip import CHUNK_SAMPLES
from earmark.engine.files import write_files
from earmark.engine.making import edge, graph
from earmark.engine.making.edge.edge_error import EdgeError
from earmark.engine.making.edge.edge_folder import EDGE, EDGE_SCHEMA, Manifest
from earmark.engine.making.edge.question_reader import QuestionReader
from earmark.engine.making.vectors import QUESTIONS, vector_files
from earmark.engine.reading import MOST_JSON_BYTES, read_bytes

_LAUNCHER, _PROGRAM = "keep.py", "earmark_edge"  # in an exported folder


def export(folder: Path, out: Path | None = None) -> list[Path]:
    """Write the files of a selector into its folder, or into `out`; their paths. edge.json, the last, names the others.

    Raises InputError where the folder holds no selector, or `out` cannot be written.
    """
    selector = LearnedSelector.load(folder)
    out = folder if out is None else out
    names = (CARD, TOKENIZER)[: 1 + selector.asks]
    beside = {name: read_bytes(folder / name, "copy the whole folder", MOST_JSON_BYTES) for name in names}
    both_graphs = graphs(selector)
    for data in both_graphs.values():
        vouch_for(hashlib.sha256(data).hexdigest())
    files = both_graphs | beside | program() | vector_files(selector)
    files[EDGE] = _manifest(selector, files)
    there = beside.keys() if out.resolve() == folder.resolve() else set()
    write_files(out, {name: data for name, data in files.items() if name not in there})
    return [out / name for name in files]


def program() -> dict[str, bytes]:
    """What runs an exported folder, by the names of its files there."""
    sources = {
        path.name: path.read_text(encoding="utf-8").replace(edge.__name__, _PROGRAM).encode()
        for path in sorted(Path(edge.__file__).parent.glob("*.py"))
    }
    return {_LAUNCHER: sources.pop(_LAUNCHER)} | {f"{_PROGRAM}/{name}": data for name, data in sources.items()}


def graphs(selector: LearnedSelector) -> dict[str, bytes]:
    """Both graphs of a selector by the names of their files, checked, with metadata that says what they are."""
    weights = {name: value.detach().numpy() for name, value in selector.scorer.state_dict().items()}
    place = graph.floats_input("place", "batch", "chunks")
    files = {}
    for name, reads, width in ((FEATURES_GRAPH, "features", WIDTH), (WAVEFORM_GRAPH, "chunks", CHUNK_SAMPLES)):
        nodes = graph.Nodes()
        inputs: list[Any] = [graph.floats_input(reads, "batch", "chunks", width), place]
        question = None
        if selector.asks:
            inputs += graph.question_inputs()
            question = ("tokens", "token_mask")
        flat = nodes.add("Reshape", reads, nodes.whole([-1, width]))
        if reads == "chunks":
            flat = nodes.add("Reshape", graph.log_mel(nodes, flat), nodes.whole([-1, WIDTH]))
        graph.scorer(nodes, flat, weights, "place", question)
        metadata = {
            "earmark.selector": selector.card.get("weights", ""),
            "earmark.reads": reads,
            "earmark.features": FEATURES,
            "earmark.tokenizer": selector.card.get("tokenizer", ""),
            "earmark.version": version("earmark"),
        }
        files[name] = nodes.model(f"earmark {reads} to scores", inputs, metadata).SerializeToString()
    return files


def _manifest(selector: LearnedSelector, files: dict[str, bytes]) -> bytes:
    """edge.json: what the folder is, and the hash of every file."""
    manifest = Manifest(
        schema=EDGE_SCHEMA,
        selector=selector.card.get("weights", ""),
        features=FEATURES,
        reads_question=selector.asks,
        reads_text=selector.asks and _reads_text(selector, files[TOKENIZER]),
        tie=selector.tie,
        made_with={name: version(name) for name in ("earmark", "torch", "numpy")},
        files={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    )
    return (json.dumps(manifest._asdict(), indent=1) + "\n").encode()


def _reads_text(selector: LearnedSelector, tokenizer: bytes) -> bool:
    """Whether a device's own reader of questions knows the tokenizer, and agrees with it."""
    assert selector.tokenizer is not None
    try:
        reader = QuestionReader(json.loads(tokenizer))
        return all(reader.tokens(text) == question_tokens(selector.tokenizer, text) for text in QUESTIONS)
    except EdgeError:
        return False
