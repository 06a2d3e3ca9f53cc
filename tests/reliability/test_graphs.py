"""A graph of others is known by its bytes, loads nothing else, and cannot kill, hang or fill the command."""

import json
import os
import random
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from command_line import assert_refused, earmark
from onnx import TensorProto, helper, numpy_helper

MUTANTS = int(os.environ.get("EARMARK_MUTANTS", "6"))  # 300 took some minutes, and passed
NOTHING_APPROVED = 3
METADATA = {
    "earmark.selector": "ab" * 32,
    "earmark.reads": "chunks",
    "earmark.features": "logmel-768/1",
    "earmark.tokenizer": "",
    "earmark.version": "0",
}
SPEC = """
[corpus]
path = "synthetic:certification:2"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.5]
window = 1
[[methods]]
name = "edge"
selector = "edge/features.onnx"
[audits]
flip_rate = 0
"""


def graph(*nodes: onnx.NodeProto, tensors: tuple[onnx.TensorProto, ...] = ()) -> onnx.ModelProto:
    """A waveform graph of these nodes, which make `scores` of `chunks` and `place`."""
    inputs = [helper.make_tensor_value_info("chunks", TensorProto.FLOAT, ["batch", "chunks", 16_000])]
    inputs.append(helper.make_tensor_value_info("place", TensorProto.FLOAT, ["batch", "chunks"]))
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", "chunks"])]
    body = helper.make_graph(nodes, "graph", inputs, outputs, tensors)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, METADATA)
    return model


def external(name: str) -> onnx.TensorProto:
    """A number that another file holds."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.dims.append(1)
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", "4")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def add(name: str) -> onnx.NodeProto:
    return helper.make_node("Add", ["place", name], ["scores"])


def as_a_weight() -> onnx.ModelProto:
    return graph(add("x"), tensors=(external("x"),))


def in_a_subgraph() -> onnx.ModelProto:
    """In the branch of an If."""
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])
    branch = helper.make_graph([helper.make_node("Identity", ["w"], ["out"])], "branch", [], [output], [external("w")])
    choice = helper.make_node("If", ["yes"], ["x"], then_branch=branch, else_branch=branch)
    return graph(choice, add("x"), tensors=(numpy_helper.from_array(np.array(True), "yes"),))


def in_an_attribute() -> onnx.ModelProto:
    return graph(helper.make_node("Constant", [], ["x"], value=external("x")), add("x"))


def in_a_sparse_tensor() -> onnx.ModelProto:
    model = graph(add("x"))
    indices = numpy_helper.from_array(np.array([0]), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(external("x"), indices, [1]))
    return model


def in_a_function() -> onnx.ModelProto:
    model = graph(helper.make_node("Own", [], ["x"], domain="own"), add("x"))
    constant = helper.make_node("Constant", [], ["y"], value=external("y"))
    opsets = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("own", "Own", [], ["y"], [constant], opsets))
    model.opset_import.append(helper.make_opsetid("own", 1))
    return model


def compiled_elsewhere() -> onnx.ModelProto:
    return graph(helper.make_node("EPContext", ["place"], ["scores"], domain="com.microsoft", ep_cache_context="x.bin"))


def endless() -> onnx.ModelProto:
    """A loop of 2^62 steps."""
    inputs = [helper.make_tensor_value_info("i", TensorProto.INT64, [])]
    inputs += [helper.make_tensor_value_info("go", TensorProto.BOOL, [])]
    inputs += [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)]
    outputs = [helper.make_tensor_value_info("goes", TensorProto.BOOL, [])]
    outputs += [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    steps = [helper.make_node("Identity", ["go"], ["goes"]), helper.make_node("Identity", ["x"], ["y"])]
    body = helper.make_graph(steps, "body", inputs, outputs)
    tensors = (numpy_helper.from_array(np.array(2**62), "n"), numpy_helper.from_array(np.array(True), "yes"))
    return graph(helper.make_node("Loop", ["n", "yes", "place"], ["scores"], body=body), tensors=tensors)


def hungry() -> onnx.ModelProto:
    """16 GB of zeros."""
    zeros = helper.make_node("ConstantOfShape", ["shape"], ["zeros"])
    least = helper.make_node("ReduceMin", ["zeros"], ["x"], keepdims=0)
    return graph(zeros, least, add("x"), tensors=(numpy_helper.from_array(np.array([1 << 32]), "shape"),))


def not_finite() -> onnx.ModelProto:
    return graph(helper.make_node("Log", ["less"], ["scores"]), helper.make_node("Neg", ["place"], ["less"]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of five seconds, and a selector as it is exported."""
    path = tmp_path_factory.mktemp("graphs")
    with wave.open(str(path / "clip.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((np.random.default_rng(0).normal(0, 3_000, 80_000)).astype("<i2").tobytes())
    done = earmark("selector", "export", "tiny-agnostic", "--out", path / "edge")
    assert done.returncode == 0, done.stderr
    return path


def varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def scored(folder: Path, data: bytes):  # type: ignore[no-untyped-def]
    """What `earmark score` says of a graph."""
    (folder / "graph.onnx").write_bytes(data)
    return earmark("score", "clip.wav", "--selector", "graph.onnx", "--json", cwd=folder)


def test_an_exported_graph_and_a_sound_one_of_others_are_scored(folder: Path) -> None:
    for data in ((folder / "edge/waveform.onnx").read_bytes(), graph(add("place")).SerializeToString()):
        done = scored(folder, data)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["chunks"] == 5


@pytest.mark.parametrize("make", [as_a_weight, in_a_subgraph, in_an_attribute, in_a_sparse_tensor, in_a_function])
def test_data_in_other_files_is_refused(folder: Path, make: Callable[[], onnx.ModelProto]) -> None:
    np.ones(1, np.float32).tofile(folder / "weights.bin")
    assert_refused(scored(folder, make().SerializeToString()), "graph.onnx: loads tensors from another file")


def test_what_another_runtime_compiled_is_refused(folder: Path) -> None:
    assert_refused(scored(folder, compiled_elsewhere().SerializeToString()), "loads a compiled graph from another file")


@pytest.mark.parametrize(
    ("make", "words"), [(endless, "takes more than 10 s"), (hungry, "cannot be loaded"), (not_finite, "not finite")]
)
def test_what_would_hang_fill_or_mislead_is_refused(
    folder: Path, make: Callable[[], onnx.ModelProto], words: str
) -> None:
    assert_refused(scored(folder, make().SerializeToString()), "graph.onnx:", words)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (b"logmel-768/1", b"logmel-768/\xff", "metadata that are no text"),
        (b"logmel-768/1", b"\x1b]0;gotcha\x07", "wants features"),
        (b"earmark.reads", b"earmark.rides", "is no selector's graph"),
        (b"ab" * 32, b"../" * 21 + b"x", "a selector that is no SHA-256"),
    ],
)
def test_odd_metadata_are_one_line(folder: Path, before: bytes, after: bytes, words: str) -> None:
    data = graph(add("place")).SerializeToString()
    assert before in data
    done = scored(folder, data.replace(before, after))
    assert_refused(done)
    assert words in done.stderr.decode() or "cannot be loaded" in done.stderr.decode()
    assert b"\x1b" not in done.stderr


def test_huge_metadata_are_not_repeated(folder: Path) -> None:
    model = graph(add("place"))
    helper.set_model_props(model, METADATA | {"earmark.features": "x" * 20_000_000})
    done = scored(folder, model.SerializeToString())
    assert_refused(done, "wants features")
    assert len(done.stderr) < 1_000


def test_a_graph_of_something_else_is_one_line(folder: Path) -> None:
    assert_refused(scored(folder, b""), "graph.onnx")
    assert_refused(scored(folder, b"\x08\x08" + b"\xff" * 50), "is no ONNX graph")
    nodes = b"\x0a\x00" * 20_000_000  # looked through one by one they took minutes
    about = b"\x3a" + varint(len(nodes)) + nodes
    assert_refused(scored(folder, about), "is no ONNX graph: more than 1,048,576 fields")


def test_mutated_graphs_are_scored_or_refused_in_one_line(folder: Path) -> None:
    rng = random.Random(7)
    outcomes = set()
    for _ in range(MUTANTS):
        data = bytearray((folder / "edge/features.onnx").read_bytes())
        for _ in range(rng.randrange(1, 6)):  # what a graph is made of stands at both ends, its weights between
            place = rng.choice((rng.randrange(3_000), len(data) - 1 - rng.randrange(3_000), rng.randrange(len(data))))
            data[place] = rng.randrange(256)
        done = scored(folder, bytes(data))
        outcomes.add(done.returncode)
        if done.returncode:
            assert_refused(done, "graph.onnx")
    assert outcomes <= {0, 2}


def test_a_graph_that_was_exchanged_in_mid_run_is_refused(folder: Path) -> None:
    (folder / "spec.toml").write_text(SPEC)
    path = folder / "edge/features.onnx"
    before = path.read_bytes()
    begun = earmark("run", "spec.toml", "--limit", "1", "--out", "run", cwd=folder)
    assert begun.returncode == NOTHING_APPROVED, begun.stderr
    model = onnx.load_from_string(before)
    last = max(range(len(model.graph.initializer)), key=lambda i: model.graph.initializer[i].dims[:] == [128, 256])
    negated = -numpy_helper.to_array(model.graph.initializer[last])
    model.graph.initializer[last].CopyFrom(numpy_helper.from_array(negated, model.graph.initializer[last].name))
    path.write_bytes(model.SerializeToString())
    assert_refused(
        earmark("run", "spec.toml", "--out", "run", cwd=folder), "edge/features.onnx", "was begun with", "exchanged"
    )
