"""The readers of models: selectors with their cards, weights, tokenizers and graphs, their training, answerers."""

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import small_selectors
import torch
from fuzz_inputs import header, replacing
from fuzzing import Target

from earmark.engine.answerers import model_types
from earmark.engine.answerers.model_folder import INDEX, WEIGHTS, check_configuration, count_weights
from earmark.engine.answerers.shared.encodings import DIGEST_BYTES, Encodings, digest_of
from earmark.engine.answerers.tiny import EMBEDDED
from earmark.engine.compressors.card import CARD, read_card
from earmark.engine.compressors.chunks import learned
from earmark.engine.compressors.chunks.features import WIDTH
from earmark.engine.compressors.chunks.graph_file import check_whole, read_graph_file
from earmark.engine.compressors.chunks.graph_selector import OnnxSelector
from earmark.engine.compressors.chunks.selector import SelectorInput
from earmark.engine.compressors.chunks.tokenizer_file import open_tokenizer
from earmark.engine.compressors.waves.messages import MessageError, read_message, write_message
from earmark.engine.compressors.waves.wave_method import Sent
from earmark.engine.compressors.waves.wave_store import WaveKey, WaveStore
from earmark.engine.corpus.corpus import Corpus, open_corpus
from earmark.engine.making import oracle
from earmark.engine.making.edge import edge_folder
from earmark.engine.making.edge.device_check import DEVICE, DEVICE_SCHEMA, DeviceReport
from earmark.engine.making.edge.measure import Timed
from earmark.engine.making.export import export
from earmark.engine.making.release import device_report
from earmark.engine.making.training import checkpoint
from earmark.engine.making.training.lessons import make_lessons
from earmark.engine.making.training.token_lessons import make_token_lessons
from earmark.engine.progress import silent

_SLOW_S = 60  # a graph is tried in a process of its own, a model loaded whole
_BELONGS = {"lessons": "0" * 64, "seed": 1}
_CLIP = SelectorInput("clip", np.zeros(32_000, np.float32), "who speaks first ?")


def of_selectors(folder: Path) -> Iterator[Target]:
    """What a selector's folder holds, also where its hashes are those of the changed files."""
    trained = small_selectors.saved(folder / "selector", conditioned=True)
    yield replacing("card", trained / CARD, lambda: read_card(trained / CARD), structured=True)
    tokenizer, weights = trained / learned.TOKENIZER, trained / learned.WEIGHTS
    yield replacing("tokenizer", tokenizer, lambda: _tokens(tokenizer), structured=True)
    yield replacing("tokenizer of a selector", tokenizer, lambda: _scores(trained), structured=True, share=0.04)
    yield header("header of a selector", weights, lambda: _scores(trained), share=0.04)


def _tokens(path: Path) -> list[int]:
    tokenizer = open_tokenizer(path, hashlib.sha256(path.read_bytes()).hexdigest())
    return learned.question_tokens(tokenizer, "who speaks first ?")


def _scores(folder: Path) -> object:
    """What the selector says of a clip, after its card was made to name the files beside it."""
    whole = (folder / CARD).read_text()
    hashes = {"tokenizer": learned.TOKENIZER, "weights": learned.WEIGHTS}
    named = {key: hashlib.sha256((folder / name).read_bytes()).hexdigest() for key, name in hashes.items()}
    (folder / CARD).write_text(json.dumps(json.loads(whole) | named))
    try:
        return learned.LearnedSelector.load(folder).scores([_CLIP])
    finally:
        (folder / CARD).write_text(whole)


def of_exports(folder: Path) -> Iterator[Target]:
    """What is exported for devices, and what a device reports."""
    device = folder / "device"
    trained = small_selectors.saved(folder / "exported")
    export(trained, device)
    again = folder / "device-again"
    yield replacing(
        "card that is exported",
        trained / CARD,
        lambda: export(trained, again),
        structured=True,
        share=0.003,
        limit_s=_SLOW_S,
    )
    edge, vectors, graph = (device / name for name in (edge_folder.EDGE, edge_folder.VECTORS, edge_folder.GRAPH))
    yield replacing(
        edge.name,
        edge,
        lambda: edge_folder.check_files(device, edge_folder.read_manifest(device)),
        structured=True,
        share=0.5,
    )
    yield replacing(vectors.name, vectors, lambda: edge_folder.read_vectors(device), structured=True)
    yield replacing("graph", graph, lambda: check_whole(read_graph_file(graph)), share=0.5)
    yield replacing(
        "graph that is tried", graph, lambda: OnnxSelector(graph).scores([_CLIP]), share=0.005, limit_s=_SLOW_S
    )
    report, sha256 = device / DEVICE, hashlib.sha256(graph.read_bytes()).hexdigest()
    report.write_text(json.dumps(_report(device, sha256)))
    yield replacing(
        report.name, report, lambda: device_report.reported(report, graph, sha256), structured=True, share=0.2
    )
    yield replacing(
        "vectors of a report", vectors, lambda: _reported(report, graph, sha256), structured=True, share=0.2
    )


def _report(device: Path, sha256: str) -> dict[str, object]:
    """What a device reports that does what it should."""
    vectors = edge_folder.read_vectors(device).vectors
    digest = hashlib.sha256((device / edge_folder.VECTORS).read_bytes()).hexdigest()
    timed = Timed(1, len(vectors), 10.0, 0.5, 2.0, 3.0, 100.0, [vector.scores for vector in vectors])
    report = DeviceReport(DEVICE_SCHEMA, True, None, sha256, digest, {"system": "Linux"}, [timed])
    return report._asdict() | {"runs": [timed._asdict()]}


def _reported(report: Path, graph: Path, sha256: str) -> object:
    """What a report says, after it was made to name the vectors that are there."""
    whole = report.read_text()
    digest = hashlib.sha256((graph.parent / edge_folder.VECTORS).read_bytes()).hexdigest()
    report.write_text(json.dumps(json.loads(whole) | {"vectors": digest}))
    try:
        return device_report.reported(report, graph, sha256)
    finally:
        report.write_text(whole)


def of_training(folder: Path) -> Iterator[Target]:
    """The table of an oracle, the features of its recordings, and how far a training run is."""
    measured, home = folder / "oracle.parquet", folder / "training"
    row = oracle.Relevance("a", "b", "c", "d", "e" * 32, 2, [0.5, 0.25], "ok")
    oracle.write([row], dict.fromkeys(("answerer", "identity", "corpus", "kind", "path"), "c"), measured)
    yield replacing("oracle", measured, lambda: oracle.read(measured))
    known, corpus = oracle.read(measured), open_corpus(Path("synthetic:selector:1"))
    home.mkdir()
    features = home / f"features-{hashlib.sha256(f'{learned.FEATURES} {row.recording}'.encode()).hexdigest()[:16]}.npy"
    np.save(features, np.zeros((2, WIDTH), np.float32))
    yield replacing("features", features, lambda: make_lessons(known, corpus, home, silent))
    yield from _of_token_training(home, known, corpus, str(row.recording))
    begun = home / "checkpoint"
    scorer = learned.ChunkScorer()
    descent = torch.optim.AdamW(scorer.parameters())
    best = {name: value.clone() for name, value in scorer.state_dict().items()}

    def restored() -> object:
        return checkpoint.restore_checkpoint(begun, scorer, descent, best, _BELONGS)

    scorer(torch.zeros(1, 1, WIDTH), torch.ones(1)).sum().backward()
    descent.step()
    curve = checkpoint.LearningCurve(1, [checkpoint.Epoch(1, 0.5, 0.25, {"0.2": 0.5})])
    checkpoint.save_checkpoint(begun, scorer, descent, best, curve, _BELONGS)
    yield header("header of a checkpoint", begun, restored, share=0.1)
    yield _state("state of a checkpoint", begun, restored)


def _of_token_training(home: Path, known: oracle.Oracle, corpus: Corpus, recording: str) -> Iterator[Target]:
    """States of recordings, and the index beside them."""
    model: Any = SimpleNamespace(identity="m", shape=SimpleNamespace(decoder=SimpleNamespace(width=4)))
    name = hashlib.sha256(f"{model.identity} {recording}".encode()).hexdigest()[:16]
    states, index = home / f"states-{name}.f32", home / f"states-{name}.json"
    states.write_bytes(np.zeros((6, 4), np.float32).tobytes())
    index.write_text(json.dumps({recording: [6, 32_000]}))

    def read() -> object:
        return make_token_lessons(known, corpus, model, home, silent)

    yield replacing("states", states, read)
    yield replacing("index of states", index, read, structured=True)


def _state(name: str, path: Path, read: Callable[[], object]) -> Target:
    """A target whose input is the JSON in a checkpoint, with the hash that belongs to it."""
    from safetensors.numpy import load, save

    whole = path.read_bytes()
    tensors = load(whole)
    metadata = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])["__metadata__"]
    (key,) = metadata.keys() - {"sha256"}

    def written(data: bytes) -> bytes:
        text = data.decode(errors="replace")
        digest = hashlib.sha256(text.encode())
        for tensor in sorted(tensors):
            digest.update(tensor.encode() + tensors[tensor].tobytes())
        return save(tensors, {key: text, "sha256": digest.hexdigest()})

    return replacing(name, path, read, seeds=(metadata[key].encode(),), structured=True, share=0.1, written=written)


def of_answerers(folder: Path) -> Iterator[Target]:
    """The folder of a model: as it is looked at before it is opened, and a few that are loaded whole."""
    model, parts = folder / "model", folder / "model-in-parts"
    for place in (model, parts):
        shutil.copytree(EMBEDDED["tiny"], place, ignore=shutil.ignore_patterns("__pycache__", "b", "*.py", "*.md"))
    names = sorted(path.name for path in model.glob("*.json") if path.name != "training.json")
    for name in names:
        yield replacing(f"{name} of a model", model / name, lambda: _looked_at(model), structured=True, share=0.3)
        yield replacing(
            f"{name}, loaded", model / name, lambda: _loaded(model), structured=True, share=0.003, limit_s=_SLOW_S
        )
    yield header("header of a model", model / WEIGHTS, lambda: _looked_at(model), share=0.5)
    yield header("header of a model, loaded", model / WEIGHTS, lambda: _loaded(model), share=0.003, limit_s=_SLOW_S)
    for name in names:
        yield replacing(
            f"{name}, loaded plain",
            model / name,
            lambda: _loaded_plain(model),
            structured=True,
            share=0.003,
            limit_s=_SLOW_S,
        )
    part = (parts / WEIGHTS).rename(parts / "model-1-of-1.safetensors")
    index = parts / INDEX
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": {"lm_head.weight": part.name}}))
    yield replacing("index of a model", index, lambda: _looked_at(parts), structured=True, share=0.3)


def _looked_at(folder: Path) -> int:
    check_configuration(folder)
    return count_weights(folder)


def _loaded(folder: Path) -> str:
    return model_types.load(str(folder), "cpu", "float32").identity


def _loaded_plain(folder: Path) -> str:
    return model_types.load_plain(str(folder), "cpu", "float32").identity


def of_waves(folder: Path) -> Iterator[Target]:
    """What is kept of compressed waves, and what the process of a compressor sends."""
    store, key = WaveStore(folder / "waves", 1 << 20), WaveKey("a codec", 0.5, "0" * 32)
    store.put({key: Sent(np.ones(100, np.float32), 800)})
    yield replacing("wave", folder / "waves" / key.file, lambda: store.get(key), share=0.3)
    pipe = io.BytesIO()
    write_message(pipe, {"bits": 800, "seconds": 0.5}, np.ones(100, np.float32))
    yield Target("message of a compressor", (pipe.getvalue(),), _message, share=0.5)


def of_encodings(folder: Path) -> Iterator[Target]:
    """What is kept of an encoder's output: as it lies there, and with a digest that holds."""
    place, key = folder / "encodings", "0" * 32
    Encodings(0, place, 1 << 20).put(key, np.arange(96, dtype=np.uint8).reshape(12, 8))
    (path,) = place.iterdir()

    def read() -> None:
        kept = Encodings(1 << 20, place, 1 << 20).get(key, 8)
        assert kept is None or kept.shape[1] == 8

    yield replacing("encoding", path, read, share=0.2)
    yield replacing(
        "states of an encoding",
        path,
        read,
        seeds=(path.read_bytes()[DIGEST_BYTES:],),
        share=0.2,
        written=lambda data: digest_of(key, data) + data,
    )


def _message(data: bytes) -> None:
    with suppress(MessageError):
        read_message(io.BytesIO(data))
