"""An audio encoder's convolutions and layers in fp32 on a CPU: matrix products, and what lies between them compiled.

Knows frames, states and lengths; not how a model cuts its audio.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from earmark.engine.answerers.qwen.flat import NOTHING, flat, part, room, shaped
from earmark.kernels.neural import attention
from earmark.kernels.neural.gate import gelu
from earmark.kernels.neural.simd import LANES

Tensor = torch.Tensor

TOKENS = 2048  # at a time, through all layers: it bounds the memory they work in; 512 were slower, 1,024 as fast


class CompiledConvolution:
    """GELU of a convolution of width 3, as products of its taps with shifted views of the padded frames: no copies.

    padded    0 x0 x1 x2 ... 0 | 0 x0 ...      rows one behind the other, so that a window over two of them gives
    stride 1  y0 y1 y2 ... ? ?                 a state between theirs that nobody looks at
    """

    def __init__(self, weight: Tensor, bias: Tensor, stride: int) -> None:
        taps = weight.view(len(weight), 3, -1).transpose(0, 1)  # (3, out, in)
        pair = torch.cat([taps[0], taps[1]], dim=1)
        self._taps = (taps[0], taps[1], taps[2]) if stride == 1 else (pair, taps[2])
        self._stride, self._bias = stride, flat(bias)

    def __call__(self, x: Tensor) -> Tensor:
        """x (rows, frames, in) -> (rows, states, out), a view."""
        rows, frames, channels = x.shape
        stride, out = self._stride, len(self._taps[0])
        padded = F.pad(x, (0, 0, 1, 1 + frames % stride)).view(-1, stride * channels)
        count = len(padded) - (3 - stride)
        product = room(len(padded) * out)
        states = shaped(product, len(padded), out)
        states[count:] = 0.0
        torch.mm(padded[:count], self._taps[0].t(), out=states[:count])
        for shift, tap in enumerate(self._taps[1:], 1):
            states[:count].addmm_(padded[shift : shift + count, : tap.shape[1]], tap.t())
        gelu(product.numpy(), self._bias.numpy(), len(padded), out)
        return states.view(rows, -1, out)[:, : (frames - 1) // stride + 1]


class _CompiledEncoderLayer:
    """Weights of one layer, rearranged: keys come out of their product transposed."""

    def __init__(self, qkv: Tensor, bias: Tensor, module: Any) -> None:
        width = len(qkv) // 3
        self.qv = torch.cat([qkv[:width], qkv[2 * width :]])
        self.k = qkv[width : 2 * width]
        self.bias = flat(bias)
        self.module = module
        self.inner_bias = flat(module.fc1.bias.detach())
        self.fc2 = module.fc2.weight.detach().t().contiguous()  # as the product reads it: some percent faster


class CompiledEncoder:
    """All layers."""

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor, Any]], heads: int) -> None:
        self._layers = [_CompiledEncoderLayer(*layer) for layer in layers]
        self._heads = heads

    def run(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        """x (rows, length, width) -> the same shape; positions beyond a row's length are not looked at."""
        rows, length, width = x.shape
        valid = np.array(lengths, dtype=np.int64)
        at_once = max(1, TOKENS // length)
        states = x.reshape(-1, width).clone()
        scratch = _EncoderScratch(min(rows, at_once) * length, self._layers[0])
        for start in range(0, rows, at_once):
            end = min(rows, start + at_once)
            self._through(states[start * length : end * length], valid[start:end], scratch)
        return states.view(x.shape)

    def _through(self, x: Tensor, lengths: np.ndarray, scratch: "_EncoderScratch") -> None:
        """Some rows x (n, width) through all layers, in place."""
        n, width = x.shape
        rows = len(lengths)
        shape = attention.AttentionShape(
            rows, n // rows, n // rows, self._heads, self._heads, width // self._heads, causal=False
        )
        old = attention.Old(*NOTHING, np.zeros((1, 0), dtype=bool), np.zeros(rows, dtype=np.int64))
        values = part(scratch.values, 2 * n * width)
        for layer in self._layers:
            module = layer.module
            h = F.layer_norm(x, (width,), module.self_attn_layer_norm.weight, module.self_attn_layer_norm.bias)
            torch.mm(layer.k, h.t(), out=shaped(scratch.keys, width, n))
            torch.mm(h, layer.qv.t(), out=shaped(scratch.values, n, 2 * width))
            attention.attend(
                attention.Projected(values, scratch.keys.numpy(), values, scratch.ones.numpy(), layer.bias.numpy()),
                attention.NO_ROTATION, old, lengths, np.zeros(len(lengths), dtype=np.int64), attention.NO_WEIGHTS,
                shape, scratch.out.numpy(), *NOTHING,
            )  # fmt: skip
            x.addmm_(shaped(scratch.out, n, width), module.self_attn.out_proj.weight.t())
            x += module.self_attn.out_proj.bias
            h = F.layer_norm(x, (width,), module.final_layer_norm.weight, module.final_layer_norm.bias)
            inner = shaped(scratch.inner, n, len(module.fc1.weight))
            torch.mm(h, module.fc1.weight.t(), out=inner)
            gelu(scratch.inner.numpy(), layer.inner_bias.numpy(), *inner.shape)
            x.addmm_(inner, layer.fc2)
            x += module.fc2.bias


class _EncoderScratch:
    """Room for what a layer makes of so many positions, used over and over."""

    def __init__(self, n: int, layer: _CompiledEncoderLayer) -> None:
        self.values = room(n * len(layer.qv))  # and queries
        self.keys = room(n * len(layer.k))
        self.out = torch.zeros(n * len(layer.k) + LANES)
        self.inner = room(n * len(layer.inner_bias))
        self.ones = torch.ones(n + LANES)
