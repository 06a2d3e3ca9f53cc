"""A Qwen2 decoder's layers in fp32 on a CPU: four matrix products a layer, and what lies between them compiled.

The norms' weights are folded into the projections, their scales applied after the products, in the kernels. Keys
come out of their product transposed, which is how attention reads them, and are kept so. Knows no tokens.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from earmark.engine.answerers.qwen.decoder_layers import AttentionHeads, LayerWeights
from earmark.engine.answerers.qwen.flat import NOTHING, flat, part, room, shaped
from earmark.engine.answerers.qwen.kv import KV, Past, Placed, extended
from earmark.kernels.neural import attention
from earmark.kernels.neural.gate import gated, inverse_rms
from earmark.kernels.neural.simd import LANES

Tensor = torch.Tensor

TOKENS = 2048  # at a time, through all layers: it bounds the memory they work in; 512 were slower, 1,024 as fast


class _CompiledDecoderLayer:
    """A layer's weights, folded and copied as products read them."""

    def __init__(self, w: LayerWeights, kv_size: int) -> None:
        q, k, v = w.qkv[: -2 * kv_size], w.qkv[-2 * kv_size : -kv_size], w.qkv[-kv_size:]
        self.q_size = len(q)
        self.qv = torch.cat([q, v]) * w.before
        self.k = k * w.before
        self.bias = flat(w.qkv_bias)
        self.o = w.o
        self.gate_up = torch.cat([w.gate, w.up]) * w.between
        self.down = w.down.t().contiguous()  # as the product reads it: some percent faster


class CompiledDecoder:
    """The layers, on copies of the weights that are rearranged for the kernels."""

    def __init__(self, layers: Sequence[LayerWeights], heads: AttentionHeads) -> None:
        self._layers = [_CompiledDecoderLayer(weights, heads.kv_heads * heads.size) for weights in layers]
        self._heads, self._kv_heads, self._size = heads.heads, heads.kv_heads, heads.size
        self._eps = heads.eps
        self._frequencies = heads.frequencies
        self._rotation = attention.NO_ROTATION

    def run(
        self,
        x: Tensor,
        lengths: Tensor,
        past: Past | None,
        read: bool,
        keep: bool,
        placed: Placed | None = None,
        room: int = 0,  # noqa: ARG002
    ) -> tuple[Tensor | None, KV | None]:
        """As `DecoderLayers.run`; the kernels take keys and values in one piece, without room."""
        rows, new, width = x.shape
        final = torch.empty(rows, width) if read else None
        kv = self._kept(past, lengths, rows, new, placed) if keep else None
        ends = torch.zeros(rows, dtype=torch.int64) if past is None else past.ends.expand(rows)
        context = _Context(past, rows, lengths, *self._turns(ends, new, placed), new, placed)
        at_once = max(1, TOKENS // new)
        scratch = _DecoderScratch(min(rows, at_once) * new, self._layers[0])
        for start in range(0, rows, at_once):
            these = slice(start, min(rows, start + at_once))
            last = self._through(x[these].reshape(-1, width).clone(), these, new, context, scratch, read, kv)
            if final is not None:
                final[these] = last
        return final, kv

    def _through(
        self,
        x: Tensor,
        these: slice,
        new: int,
        context: "_Context",
        scratch: "_DecoderScratch",
        read: bool,
        kv: KV | None,
    ) -> Tensor:
        """Some rows' new positions x (n, width) through all layers; the last valid position of each row."""
        n, rows = len(x), these.stop - these.start
        for index, layer in enumerate(self._layers):
            at_end = index == len(self._layers) - 1
            asking = new if not at_end else int(read)
            inverse_rms(x.numpy(), self._eps, scratch.scale.numpy())
            torch.mm(layer.k, x.t(), out=shaped(scratch.keys, len(layer.k), n))
            queries, values = layer.qv[: layer.q_size], layer.qv[layer.q_size :]
            if at_end:  # keys and values of all positions, everything else of the last ones
                torch.mm(x, values.t(), out=shaped(scratch.values, n, len(values)))
                x = x[torch.arange(rows) * new + context.lengths[these] - 1]
                if read:
                    torch.mm(x, queries.t(), out=shaped(scratch.queries, rows, len(queries)))
                products = part(scratch.queries, rows * asking * len(queries)), part(scratch.values, n * len(values))
            else:
                torch.mm(x, layer.qv.t(), out=shaped(scratch.queries, n, len(layer.qv)))
                products = (part(scratch.queries, n * len(layer.qv)),) * 2
            attention.attend(
                attention.Projected(
                    products[0], scratch.keys.numpy(), products[1], scratch.scale.numpy(), layer.bias.numpy()
                ),
                context.rotation,
                context.old(index, these),
                context.lengths[these].numpy(),
                context.turns[these],
                context.weights(these),
                attention.AttentionShape(rows, new, asking, self._heads, self._kv_heads, self._size, causal=True),
                scratch.out.numpy(),
                *(NOTHING if kv is None else (_flat(kv.keys[index][these]), _flat(kv.values[index][these]))),
            )  # fmt: skip
            if asking:
                x.addmm_(shaped(scratch.out, rows * asking, layer.q_size), layer.o.t())
                self._mlp(x, layer, scratch)
        return x

    def _mlp(self, x: Tensor, layer: _CompiledDecoderLayer, scratch: "_DecoderScratch") -> None:
        """What the layer's second half adds to x (n, width), written over x."""
        n, inner = len(x), len(layer.down)
        inverse_rms(x.numpy(), self._eps, scratch.scale.numpy())
        torch.mm(x, layer.gate_up.t(), out=shaped(scratch.both, n, 2 * inner))
        gated(scratch.both.numpy(), scratch.scale.numpy(), n, inner, scratch.inner.numpy())
        x.addmm_(shaped(scratch.inner, n, inner), layer.down)

    def _kept(self, past: Past | None, lengths: Tensor, rows: int, new: int, placed: Placed | None) -> KV:
        """Keys and values with room for the new ones, after those of the past."""
        before = 0 if past is None else past.length
        keys, values = [], []
        for index in range(len(self._layers)):
            keys.append(torch.empty(rows, self._kv_heads, self._size, before + new))
            values.append(torch.empty(rows, self._kv_heads, before + new, self._size))
            if past is not None:
                keys[-1][..., :before] = past.of(past.kv.keys[index])
                values[-1][..., :before, :] = past.of(past.kv.values[index])
        return KV(keys, values, *extended(past, lengths, new, lengths.device, placed))

    def _turns(self, ends: Tensor, new: int, placed: Placed | None) -> tuple[attention.Rotation, npt.NDArray[np.int64]]:
        """Tables of rotations, and where in them each row's new positions begin."""
        if placed is None:
            return self._rotations(int(ends.max()) + new), ends.numpy()
        spare = torch.zeros(new + LANES)
        places = torch.cat([(ends[:, None] + placed.places).flatten().float(), spare])
        return attention.rotation_at(self._frequencies.numpy(), places.numpy()), np.arange(len(ends)) * new

    def _rotations(self, positions: int) -> attention.Rotation:
        if self._rotation.positions < positions + LANES:
            self._rotation = attention.rotation(self._frequencies.numpy(), max(1024, 2 * positions) + LANES)
        return self._rotation


def _flat(x: Tensor) -> npt.NDArray[np.float32]:
    return x.numpy().reshape(-1)  # a view: keys and values lie in one piece


class _Context:
    """What rows come after, as the kernels take it."""

    def __init__(
        self,
        past: Past | None,
        rows: int,
        lengths: Tensor,
        rotation: attention.Rotation,
        turns: npt.NDArray[np.int64],
        n_new: int,
        placed: Placed | None,
    ) -> None:
        self.lengths = lengths
        self.rotation = rotation
        self.turns = np.ascontiguousarray(turns)
        self._n_new = n_new
        self._new = None if placed is None else placed.weights
        self._old = None if past is None else past.kv.weights
        self._kv = None if past is None else past.kv
        self._at = np.zeros(rows, dtype=np.int64) if past is None else past.index(rows)
        if past is None:
            self._valid = np.zeros((1, 0), dtype=bool)
        elif past.kv.valid is None:
            self._valid = np.ones((len(past.kv.lengths), past.length), dtype=bool)
        else:
            self._valid = past.kv.valid.numpy()

    def weights(self, part: slice) -> attention.KeyWeights:
        """What is added to the scores of the keys of some rows."""
        if self._new is None and self._old is None:
            return attention.NO_WEIGHTS
        old = np.zeros(self._valid.size, np.float32) if self._old is None else _flat(self._old)
        n_rows = part.stop - part.start
        new = np.zeros(n_rows * self._n_new, np.float32) if self._new is None else _flat(self._new[part])
        return attention.KeyWeights(old, np.ascontiguousarray(new))

    def old(self, layer: int, part: slice) -> attention.Old:
        """The past of some rows in a layer."""
        if self._kv is None:
            return attention.Old(*NOTHING, self._valid, self._at[part])
        return attention.Old(_flat(self._kv.keys[layer]), _flat(self._kv.values[layer]), self._valid, self._at[part])


class _DecoderScratch:
    """Room for what a layer makes of so many positions, used over and over."""

    def __init__(self, n: int, layer: _CompiledDecoderLayer) -> None:
        self.queries = room(n * len(layer.qv))  # and values, but in the last layer
        self.values = room(n * len(layer.k))
        self.keys = room(n * len(layer.k))
        self.out = torch.zeros(n * layer.q_size + LANES)
        self.both = room(n * len(layer.gate_up))
        self.inner = room(n * len(layer.down))
        self.scale = room(n)
