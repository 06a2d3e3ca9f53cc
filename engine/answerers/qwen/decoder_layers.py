"""The seam between a Qwen2 decoder and what computes its layers: the weights, the heads, and one method.

Two classes implement `DecoderLayers`: `PlainDecoder` in torch, anywhere; `CompiledDecoder` in fp32 on a CPU, about half
again as fast there (docs/decisions has the figures).
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch

from earmark.engine.answerers.qwen.kv import KV, Past, Placed

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """The weights of one layer, with the three projections of its attention as one."""

    qkv: Tensor
    qkv_bias: Tensor
    o: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor
    before: Tensor  # the norms' weights
    between: Tensor


@dataclass(frozen=True, slots=True)
class AttentionHeads:
    """How attention is divided, and what else all layers share."""

    heads: int
    kv_heads: int
    size: int  # of a head
    eps: float  # of the norms
    frequencies: Tensor  # of the rotary embedding


class DecoderLayers(Protocol):
    """All layers of a decoder, from embeddings to the last hidden state."""

    def run(
        self,
        x: Tensor,
        lengths: Tensor,
        past: Past | None,
        read: bool,
        keep: bool,
        placed: Placed | None = None,
        room: int = 0,
    ) -> tuple[Tensor | None, KV | None]:
        """New positions x (rows, length, width), of which `lengths` are valid, after a past; one after the other
        unless they are `placed`.

        The hidden state (rows, width) at each row's last valid position, where `read`; the keys and values of the past
        and the new positions, where `keep`, with `room` for so many positions more where later passes can use it.
        """


def fused(layer: Any) -> LayerWeights:
    """The weights of a Hugging Face layer. The model goes on working, on slices of the fused projections."""
    attention, mlp = layer.self_attn, layer.mlp
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    qkv = torch.cat([projection.weight.detach() for projection in projections])
    bias = torch.cat([projection.bias.detach() for projection in projections])
    start = 0
    for projection in projections:
        end = start + projection.weight.shape[0]
        projection.weight.data, projection.bias.data = qkv[start:end], bias[start:end]
        start = end
    return LayerWeights(
        qkv=qkv,
        qkv_bias=bias,
        o=attention.o_proj.weight.detach(),
        gate=mlp.gate_proj.weight.detach(),
        up=mlp.up_proj.weight.detach(),
        down=mlp.down_proj.weight.detach(),
        before=layer.input_layernorm.weight.detach(),
        between=layer.post_attention_layernorm.weight.detach(),
    )
