"""The exported graphs: what they say about themselves, what they take, and that they compute what was trained."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import small_selectors
from click.testing import CliRunner

from earmark.cli.selector import selector as commands
from earmark.engine.compressors.chunks.features import FEATURES, WIDTH, chunks_of
from earmark.engine.compressors.chunks.graph_selector import FEATURES_GRAPH, WAVEFORM_GRAPH, OnnxSelector
from earmark.engine.compressors.chunks.learned import LearnedSelector
from earmark.engine.compressors.chunks.selector import SelectorInput
from earmark.engine.compressors.loading import load_selector
from earmark.engine.corpus.clip import CHUNK_SAMPLES
from earmark.engine.errors import InputError
from earmark.engine.making.export import export
from earmark.engine.making.graph import OPSET

NOISE = np.random.default_rng(0).normal(0, 0.1, 6 * CHUNK_SAMPLES).astype(np.float32)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("conditioned", [False, True])
def test_a_graph_says_what_it_is(tmp_path: Path, conditioned: bool) -> None:
    folder = small_selectors.saved(tmp_path / "selector", conditioned)
    written = export(folder, tmp_path / "edge")
    beside = ["card.json", *(["tokenizer.json"] if conditioned else [])]
    names = [str(path.relative_to(tmp_path / "edge")) for path in written]
    assert {*beside, FEATURES_GRAPH, WAVEFORM_GRAPH, "keep.py", "vectors.json"} < set(names)
    assert names[-1] == "edge.json"
    hashes = {name: sha256(tmp_path / "edge" / name) for name in names[:-1]}
    assert json.loads(written[-1].read_text())["files"] == hashes
    for name in beside:
        assert sha256(tmp_path / "edge" / name) == sha256(folder / name)
    for name, reads, width in ((FEATURES_GRAPH, "features", WIDTH), (WAVEFORM_GRAPH, "chunks", CHUNK_SAMPLES)):
        model = onnx.load(tmp_path / "edge" / name)
        onnx.checker.check_model(model, full_check=True)
        said = {entry.key: entry.value for entry in model.metadata_props}
        assert said["earmark.selector"] == sha256(folder / "selector.safetensors")
        assert said["earmark.tokenizer"] == (sha256(folder / "tokenizer.json") if conditioned else "")
        assert (said["earmark.features"], said["earmark.reads"]) == (FEATURES, reads)
        assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
        shapes = {
            entry.name: [size.dim_param or size.dim_value for size in entry.type.tensor_type.shape.dim]
            for entry in [*model.graph.input, *model.graph.output]
        }
        expected = {reads: ["batch", "chunks", width], "place": ["batch", "chunks"], "scores": ["batch", "chunks"]}
        if conditioned:
            expected |= {"tokens": ["batch", "tokens"], "token_mask": ["batch", "tokens"]}
        assert shapes == expected


def test_onnxruntime_alone_takes_any_number_of_clips_and_chunks(tmp_path: Path) -> None:
    """What a device without this package does: chunks and places in, scores out."""
    folder = small_selectors.saved(tmp_path, pos_scale=0.5)
    export(folder)
    session = onnxruntime.InferenceSession(folder / WAVEFORM_GRAPH, providers=["CPUExecutionProvider"])
    chunks = NOISE.reshape(6, CHUNK_SAMPLES)
    (expected,) = LearnedSelector.load(folder).scores([SelectorInput("", NOISE)])
    place = (np.arange(6) / 5).astype(np.float32)
    for batch, length in ((1, 6), (6, 1), (2, 3)):
        feed = {"chunks": chunks.reshape(batch, length, -1), "place": place.reshape(batch, length)}
        (scores,) = session.run(None, feed)
        assert scores.shape == (batch, length)
        np.testing.assert_allclose(scores.reshape(-1), expected, atol=1e-4)


def test_the_card_and_the_folder_stay_as_they_are(tmp_path: Path) -> None:
    folder = small_selectors.saved(tmp_path, conditioned=True)
    before = {path.name: (sha256(path), path.stat().st_mtime_ns) for path in folder.iterdir()}
    written = export(folder)
    assert {name: (sha256(folder / name), (folder / name).stat().st_mtime_ns) for name in before} == before
    exported = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert exported == before.keys() | {str(path.relative_to(folder)) for path in written}


def test_the_same_selector_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = small_selectors.saved(tmp_path / "selector")
    for name in ("one", "other"):
        export(folder, tmp_path / name)
    for path in export(folder, tmp_path / "one"):
        assert sha256(path) == sha256(tmp_path / "other" / path.relative_to(tmp_path / "one"))


def test_a_selector_has_many_names(tmp_path: Path) -> None:
    folder = small_selectors.saved(tmp_path)
    export(folder)
    clip = [SelectorInput("a", NOISE)]
    expected = load_selector(str(folder)).scores(clip)[0]
    for graph in (FEATURES_GRAPH, WAVEFORM_GRAPH):
        opened = load_selector(str(folder / graph), threads=2)
        assert isinstance(opened, OnnxSelector)
        np.testing.assert_allclose(opened.scores(clip)[0], expected, atol=1e-4)
    for name in ("uniform", "random", "energy"):
        assert len(load_selector(name, seed=3).scores(clip)[0]) == len(chunks_of(NOISE))
    with pytest.raises(InputError, match="selector loudest: there is no such selector"):
        load_selector("loudest")


def test_the_command_writes_a_folder_and_says_how_large_its_parts_are(tmp_path: Path) -> None:
    folder = small_selectors.saved(tmp_path / "selector", conditioned=True)
    done = CliRunner().invoke(commands, ["export", str(folder), "--out", str(tmp_path / "edge")])
    assert done.exit_code == 0, done.output
    *sizes, following = done.stdout.splitlines()
    assert following == f"next: python {tmp_path / 'edge' / 'keep.py'} --check"
    assert [line.partition(" MB  ")[2] for line in sizes] == [
        str(tmp_path / "edge" / name)
        for name in (
            FEATURES_GRAPH,
            WAVEFORM_GRAPH,
            "card.json",
            "tokenizer.json",
            "keep.py",
            "earmark_edge",
            "vectors",
            "vectors.json",
            "edge.json",
        )
    ]
    assert done.stderr == "keep.py does not know this tokenizer: it takes questions as ids, with --tokens\n"
    assert json.loads((tmp_path / "edge" / "card.json").read_text())["features"] == FEATURES
    refused = CliRunner().invoke(commands, ["export", str(tmp_path / "edge" / "none")])
    assert isinstance(refused.exception, InputError)


def test_a_selector_that_comes_with_earmark_is_exported_by_its_name(tmp_path: Path) -> None:
    done = CliRunner().invoke(commands, ["export", "tiny-conditioned", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert load_selector(str(tmp_path / WAVEFORM_GRAPH)).weights == load_selector("tiny-conditioned").weights
    refused = CliRunner().invoke(commands, ["export", "tiny-conditioned"])
    assert (refused.exit_code, "give --out" in refused.output) == (2, True)
