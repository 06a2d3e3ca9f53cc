"""The ONNX nodes of a selector: log-mel features with a factorised Fourier transform, and the scorer on top.

The same definition as `features` and `learned`, for a runtime that has neither. Knows arrays of weights; no torch,
no files.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from earmark.engine.compressors.chunks import features as f
from earmark.engine.corpus.clip import CHUNK_SAMPLES

OPSET, IR = 18, 9  # what LayerNormalization and the axes of reductions need: any runtime since early 2023
_MEL_BLOCKS = 6  # dense pieces of the filter bank, which is a band along its diagonal: 15% of the products
_TAPS = 3  # hops that a frame reaches over

Array = npt.NDArray[Any]
Weights = Mapping[str, Array]


class Nodes:
    """A graph in the making: nodes return the name of what they compute."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self.several(kind, 1, *inputs, **attributes)[0]

    def several(self, kind: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        names = [f"{kind}_{len(self._nodes)}" + (f"_{i}" if i else "") for i in range(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names

    def floats(self, values: Any) -> str:
        return self._constant(np.asarray(values, np.float32))

    def whole(self, values: Any) -> str:
        return self._constant(np.asarray(values, np.int64))

    def _constant(self, values: Array) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def model(self, name: str, inputs: Sequence[onnx.ValueInfoProto], metadata: Mapping[str, str]) -> onnx.ModelProto:
        """The checked model; the last node's output is `scores`."""
        self._nodes[-1].output[0] = "scores"
        scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", "chunks"])
        graph = helper.make_graph(self._nodes, name, inputs, [scores], self._constants)
        model = helper.make_model(
            graph, producer_name="earmark", ir_version=IR, opset_imports=[helper.make_opsetid("", OPSET)]
        )
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model


# Features ----------------------------------------------------------------------------------------------------


def log_mel(nodes: Nodes, chunks: str) -> str:
    """Chunks (n, 16000) -> features (n, 128, 6)."""
    size = nodes.add("ReduceMax", nodes.add("Abs", chunks), nodes.whole([1]))
    level = nodes.add("Max", size, nodes.floats(f.SOFTEST))  # (n, 1)
    inverse = nodes.add("Reciprocal", level)
    power = _power(nodes, nodes.add("Mul", chunks, inverse))
    floor = nodes.add(
        "Max", nodes.add("Mul", nodes.floats(f.FLOOR), nodes.add("Mul", inverse, inverse)), nodes.floats(f.RANGE)
    )
    mel = nodes.add("Max", _mel(nodes, power), nodes.add("Unsqueeze", floor, nodes.whole([2])))
    loudness = nodes.add("Mul", nodes.add("Log", level), nodes.floats(2 / np.log(10)))
    means = nodes.add("Add", _means_of_logs(nodes, mel), nodes.add("Unsqueeze", loudness, nodes.whole([2])))
    return nodes.add("Transpose", means, perm=[0, 2, 1])


def _power(nodes: Nodes, chunks: str) -> str:
    """Chunks (n, 16000) -> power (n, 200, 100) of _bins().

    Sample 20 m + r of a frame: a transform over m (a convolution for each r), then one over r for each bin modulo 20.
    """
    hops = f.FRAMES + _TAPS - 1
    mirrored = nodes.add(
        "Pad", chunks, nodes.whole([0, f.MIRRORED, 0, hops * f.HOP - f.MIRRORED - CHUNK_SAMPLES]), mode="reflect"
    )
    columns = nodes.add("Transpose", nodes.add("Reshape", mirrored, nodes.whole([-1, hops, f.HOP])), perm=[0, 2, 1])
    by_rest = np.arange(f.HOP).reshape(-1, 20).T.reshape(-1)  # the samples of a hop, those with one r together
    sorted_ = nodes.add("Gather", columns, nodes.whole(by_rest), axis=1)
    first = nodes.add("Conv", sorted_, nodes.floats(_outer_transform()), group=20)
    split = nodes.add("Reshape", first, nodes.whole([-1, 20, 10, 2 * f.FRAMES]))
    grouped = nodes.add("Transpose", split, perm=[0, 2, 1, 3])
    inputs = nodes.add("Reshape", grouped, nodes.whole([-1, 10, 40, f.FRAMES]))
    real, imaginary = (nodes.add("MatMul", nodes.floats(part), inputs) for part in _inner_transform())
    power = nodes.add("Add", nodes.add("Mul", real, real), nodes.add("Mul", imaginary, imaginary))
    return nodes.add("Reshape", power, nodes.whole([-1, 200, f.FRAMES]))


def _outer_transform() -> Array:
    """(400, 8, 3): for each r, over m: bins 0 and 10, which are real, then the real and imaginary parts of 1 to 9."""
    m = np.arange(20)
    angle = 2 * np.pi * m * np.arange(11)[:, None] / 20
    rows = [np.cos(angle[0]), np.cos(angle[10])]
    for k in range(1, 10):
        rows += [np.cos(angle[k]), -np.sin(angle[k])]
    window = f.hann().reshape(20, 20).T  # [r, m]
    taps = np.zeros((20, 20, 8 * _TAPS))
    taps[:, :, :20] = window[:, None, :] * np.array(rows)  # [r, row, m = 8 tap + rest]
    return taps.reshape(400, _TAPS, 8).transpose(0, 2, 1)


def _bins() -> Array:
    """The bin (10, 20) of each row of the inner transform's power. Bin 200 shares bin 0's: neither is in any band."""
    k = np.arange(20)
    bins = [np.concatenate([20 * np.arange(10), 20 * np.arange(10) + 10])]
    for low in range(1, 10):
        raw = low + 20 * k
        bins.append(np.where(raw <= 200, raw, 400 - raw))
    return np.array(bins)


def _inner_transform() -> tuple[Array, Array]:
    """Real and imaginary part, (10, 20, 40) each, over r, twiddles included."""
    r = np.arange(20)
    out = np.zeros((10, 40, 40))  # [group, real parts then imaginary parts, (r, part)]
    for row, k in enumerate(_bins()[0]):
        part = 0 if row < 10 else 1  # inputs: the real transforms of bins 0 and 10
        out[0, row, part::2] = np.cos(2 * np.pi * r * k / 400)
        out[0, 20 + row, part::2] = -np.sin(2 * np.pi * r * k / 400)
    for low in range(1, 10):
        for row in range(20):
            angle = 2 * np.pi * r * (low + 20 * row) / 400  # beyond 200 it is the conjugate of 400 - k: equal power
            out[low, row, 0::2], out[low, row, 1::2] = np.cos(angle), np.sin(angle)
            out[low, 20 + row, 0::2], out[low, 20 + row, 1::2] = -np.sin(angle), np.cos(angle)
    return out[:, :20], out[:, 20:]


def _mel(nodes: Nodes, power: str) -> str:
    """Power (n, 200, 100) of _bins() -> (n, 100, 128), in dense blocks along the diagonal of the filter bank."""
    row_of_bin = np.argsort(_bins().reshape(-1))
    filters = f.mel_filters()[:, :200]
    blocks = []
    for bands in _blocks(filters):
        heard = np.flatnonzero(filters[bands].any(axis=0))
        bins = np.arange(heard[0], heard[-1] + 1)
        part = nodes.add("Transpose", nodes.add("Gather", power, nodes.whole(row_of_bin[bins]), axis=1), perm=[0, 2, 1])
        blocks.append(nodes.add("MatMul", part, nodes.floats(filters[bands][:, bins].T)))
    return nodes.add("Concat", *blocks, axis=2)


def _blocks(filters: Array) -> list[slice]:
    """Bands in _MEL_BLOCKS runs that hear about as many bins each."""
    centres = (filters * np.arange(filters.shape[1])).sum(1) / np.maximum(filters.sum(1), 1e-9)
    centres = np.maximum.accumulate(centres)
    edges = np.searchsorted(centres, np.linspace(0, filters.shape[1], _MEL_BLOCKS + 1)[1:-1])
    return [slice(a, b) for a, b in zip([0, *edges], [*edges, len(filters)], strict=True)]


def _means_of_logs(nodes: Nodes, mel: str) -> str:
    """Power (n, 100, 128) -> means (n, 6, 128) of its log10, one logarithm for each group of frames."""
    groups = f.frame_groups()
    members = [np.flatnonzero(groups.of_frame == group) for group in range(len(groups.share[0]))]
    fours = [i for i, frames in enumerate(members) if len(frames) == 4]
    ones = [i for i, frames in enumerate(members) if len(frames) == 1]
    assert len(fours) + len(ones) == len(members)
    a, b, c, d = (nodes.add("Gather", mel, nodes.whole([members[i][j] for i in fours]), axis=1) for j in range(4))
    product = nodes.add("Mul", nodes.add("Mul", a, b), nodes.add("Mul", c, d))
    single = nodes.add("Gather", mel, nodes.whole([members[i][0] for i in ones]), axis=1)
    logs = nodes.add("Log", nodes.add("Concat", product, single, axis=1))
    return nodes.add("MatMul", nodes.floats(groups.share[:, fours + ones] / np.log(10)), logs)


# The scorer --------------------------------------------------------------------------------------------------


def scorer(nodes: Nodes, features: str, weights: Weights, place: str, question: tuple[str, str] | None) -> str:
    """Features (n, 768) of batch x chunks, `place` (batch, chunks) and tokens and mask -> scores (batch, chunks)."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    centred = nodes.add("Sub", features, nodes.floats(w["mean"]))  # folded into the bias it would cost digits
    hidden = _linear(nodes, centred, w["chunk.0.weight"] / w["deviation"], w["chunk.0.bias"])
    hidden = nodes.add("Relu", _norm(nodes, hidden, w, "chunk.1"))
    hidden = _linear(nodes, hidden, w["chunk.3.weight"], w["chunk.3.bias"])
    hidden = nodes.add("Relu", _norm(nodes, hidden, w, "chunk.4"))
    width = len(w["chunk.3.bias"])
    hidden = _linear(nodes, hidden, w["head.0.weight"][:, :width], w["head.0.bias"])
    hidden_width = len(w["head.0.bias"])
    shape = nodes.add("Shape", place)
    if question is not None:  # the head reads chunk and question: a sum of two products
        from_question = nodes.add("MatMul", _query(nodes, *question, w), nodes.floats(w["head.0.weight"][:, width:].T))
        by_clip = nodes.add("Reshape", hidden, nodes.add("Concat", shape, nodes.whole([hidden_width]), axis=0))
        hidden = nodes.add("Add", by_clip, nodes.add("Unsqueeze", from_question, nodes.whole([1])))
    out = nodes.add("MatMul", nodes.add("Relu", hidden), nodes.floats(w["head.2.weight"].T))
    out = nodes.add("Add", nodes.add("Reshape", out, shape), nodes.floats(w["head.2.bias"]))
    return nodes.add("Add", out, nodes.add("Mul", place, nodes.floats(w["pos_scale"])))


def _query(nodes: Nodes, tokens: str, mask: str, w: Weights) -> str:
    """Tokens and mask (batch, tokens) -> (batch, 128)."""
    seen = nodes.add("Unsqueeze", nodes.add("Cast", mask, to=TensorProto.FLOAT), nodes.whole([2]))
    length = nodes.add("Shape", tokens, start=1)
    places = nodes.add("Slice", nodes.floats(w["query.positions.weight"]), nodes.whole([0]), length, nodes.whole([0]))
    embedded = nodes.add("Add", nodes.add("Gather", nodes.floats(w["query.tokens.weight"]), tokens, axis=0), places)
    total = nodes.add("ReduceSum", nodes.add("Mul", embedded, seen), nodes.whole([1]), keepdims=0)
    count = nodes.add("Max", nodes.add("ReduceSum", seen, nodes.whole([1]), keepdims=0), nodes.floats(1.0))
    hidden = nodes.add("Div", total, count)
    hidden = nodes.add("Relu", _linear(nodes, hidden, w["query.mlp.0.weight"], w["query.mlp.0.bias"]))
    return _linear(nodes, hidden, w["query.mlp.2.weight"], w["query.mlp.2.bias"])


def _linear(nodes: Nodes, x: str, weight: Array, bias: Array) -> str:
    return nodes.add("Gemm", x, nodes.floats(weight), nodes.floats(bias), transB=1)


def _norm(nodes: Nodes, x: str, w: Weights, name: str) -> str:
    scale, bias = nodes.floats(w[f"{name}.weight"]), nodes.floats(w[f"{name}.bias"])
    return nodes.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-5)


# Inputs ------------------------------------------------------------------------------------------------------


def floats_input(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def question_inputs() -> list[onnx.ValueInfoProto]:
    """`tokens` and `token_mask`, both (batch, tokens)."""
    shape = ["batch", "tokens"]
    return [
        helper.make_tensor_value_info("tokens", TensorProto.INT64, shape),
        helper.make_tensor_value_info("token_mask", TensorProto.BOOL, shape),
    ]
