"""The audio encoder that Qwen2-Audio and Qwen2.5-Omni share (Whisper's layers), with fused projections.

Knows mel frames in and states out: neither how a model cuts its audio into windows nor how it pads.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F  # noqa: N812

from earmark.engine.answerers.qwen.ops import compilable, linear

Tensor = torch.Tensor


@dataclass(slots=True)
class _EncoderLayer:
    qkv: Tensor
    qkv_bias: Tensor
    module: Any


class EncoderLayers(Protocol):
    """The transformer layers of an audio tower."""

    def run(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        """x (rows, length, width) -> the same shape; positions beyond a row's length are not looked at."""


def encoder_layers(tower: Any) -> EncoderLayers:
    """The layers of a tower: compiled where kernels can do it, in torch elsewhere."""
    if tower.config.activation_function != "gelu":
        raise ValueError(f"activation {tower.config.activation_function} is not supported")
    layers, heads = [_fused(layer) for layer in tower.layers], int(tower.config.encoder_attention_heads)
    if not compilable(layers[0].qkv):
        return PlainEncoder(layers, heads)
    from earmark.engine.answerers.qwen.compiled_encoder import CompiledEncoder

    return CompiledEncoder([(layer.qkv, layer.qkv_bias, layer.module) for layer in layers], heads)


class PlainEncoder:
    """The layers in torch, on any device and in any number format."""

    def __init__(self, layers: Sequence[_EncoderLayer], heads: int) -> None:
        self._layers = layers
        self.heads = heads

    def run(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        """x (rows, length, width) -> the same shape; positions beyond a row's length are not looked at."""
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


def convolution(module: Any) -> Callable[[Tensor], Tensor]:
    """GELU of a convolution of width 3: x (rows, frames, in) -> (rows, states, out)."""
    weight = module.weight.detach().transpose(1, 2).flatten(1).contiguous()  # (out, 3 x in)
    bias, stride = module.bias.detach(), int(module.stride[0])
    if not compilable(bias):
        return PlainConvolution(weight, bias, stride)
    from earmark.engine.answerers.qwen.compiled_encoder import CompiledConvolution

    return CompiledConvolution(weight, bias, stride)


class PlainConvolution:
    """In torch: over (rows, frames, channels), zeros at both ends, as one matrix product."""

    def __init__(self, weight: Tensor, bias: Tensor, stride: int) -> None:
        self._weight, self._bias, self._stride = weight, bias, stride

    def __call__(self, x: Tensor) -> Tensor:
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
