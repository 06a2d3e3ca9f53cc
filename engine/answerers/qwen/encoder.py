"""The audio encoder that Qwen2-Audio and Qwen2.5-Omni share (Whisper's layers), with fused projections.

Knows mel frames in and states out: neither how a model cuts its audio into windows nor how it pads.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from earmark.engine.answerers.qwen.ops import compilable, linear

Tensor = torch.Tensor


@dataclass(slots=True)
class _EncoderLayer:
    qkv: Tensor
    qkv_bias: Tensor
    module: Any


class EncoderLayers:
    """The transformer layers of an audio tower."""

    def __init__(self, tower: Any) -> None:
        if tower.config.activation_function != "gelu":
            raise ValueError(f"activation {tower.config.activation_function} is not supported")
        self.heads = int(tower.config.encoder_attention_heads)
        self._layers = [_fused(layer) for layer in tower.layers]
        self._compiled: Any = None
        if compilable(self._layers[0].qkv):
            from earmark.engine.answerers.qwen.compiled_encoder import CompiledEncoder

            self._compiled = CompiledEncoder([(w.qkv, w.qkv_bias, w.module) for w in self._layers], self.heads)

    def run(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        """x (rows, length, width) -> the same shape; positions beyond a row's length are not looked at."""
        if self._compiled is not None:
            return self._compiled.run(x, lengths)  # type: ignore[no-any-return]
        rows, length, width = x.shape
        mask = key_mask(lengths, length, x.device)
        for layer in self._layers:
            module = layer.module
            h = F.layer_norm(x, (width,), module.self_attn_layer_norm.weight, module.self_attn_layer_norm.bias)
            qkv = linear(h, layer.qkv, layer.qkv_bias).view(rows, length, 3, self.heads, width // self.heads)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(x.shape)
            x = x + linear(out, module.self_attn.out_proj.weight, module.self_attn.out_proj.bias)
            h = F.layer_norm(x, (width,), module.final_layer_norm.weight, module.final_layer_norm.bias)
            h = F.gelu(linear(h, module.fc1.weight, module.fc1.bias))
            x = x + linear(h, module.fc2.weight, module.fc2.bias)
            if x.dtype == torch.float16:
                limit = torch.finfo(x.dtype).max - 1000
                x = x.clamp(min=-limit, max=limit)
        return x


def key_mask(lengths: Iterable[int], length: int, device: torch.device) -> Tensor | None:
    """(rows, 1, 1, length) True where a key may be seen; None where every row is full."""
    valid = torch.tensor(list(lengths))
    if bool((valid == length).all()):
        return None
    return (torch.arange(length)[None] < valid[:, None])[:, None, None].to(device)


class Convolution:
    """GELU of a 1-d convolution of width 3 over (rows, frames, channels), zeros at both ends, as one matrix product."""

    def __init__(self, module: Any) -> None:
        self._weight = module.weight.detach().transpose(1, 2).flatten(1).contiguous()  # (out, 3 x in)
        self._bias = module.bias.detach()
        self._compiled: Any = None
        if compilable(self._bias):
            from earmark.engine.answerers.qwen.compiled_encoder import CompiledConvolution

            self._compiled = CompiledConvolution(self._weight, self._bias, int(module.stride[0]))
        self._stride = int(module.stride[0])

    def __call__(self, x: Tensor) -> Tensor:
        if self._compiled is not None:
            return self._compiled(x)  # type: ignore[no-any-return]
        rows, frames, channels = x.shape
        padded = F.pad(x, (0, 0, 1, 1))
        out = (frames - 1) // self._stride + 1
        strides = ((frames + 2) * channels, self._stride * channels, 1)
        windows = padded.as_strided((rows, out, 3 * channels), strides)
        return F.gelu(linear(windows, self._weight, self._bias))


def _fused(layer: Any) -> _EncoderLayer:
    attention = layer.self_attn
    q, k, v = attention.q_proj, attention.k_proj, attention.v_proj
    qkv = torch.cat([q.weight.detach(), k.weight.detach(), v.weight.detach()])
    bias = torch.cat([q.bias.detach(), torch.zeros_like(v.bias), v.bias.detach()])
    for projection, start in ((q, 0), (k, len(qkv) // 3), (v, 2 * len(qkv) // 3)):
        projection.weight.data = qkv[start : start + len(qkv) // 3]  # the model goes on working, on slices
    return _EncoderLayer(qkv, bias, layer)
