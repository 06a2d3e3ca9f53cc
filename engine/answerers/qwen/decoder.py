"""A Qwen2 decoder that does no work twice: fused projections, no masks where none are needed, keys and values that
many questions share, and in the last layer only the rows that are read. In fp32 on a CPU its layers are compiled.

Reads the weights of a Hugging Face `Qwen2Model` or of the Omni thinker's text model (audio positions advance all
three of its axes alike, which is plain rotary embedding). Knows token embeddings, nothing of audio or text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from earmark.engine.answerers.qwen.kv import KV, Past, extended
from earmark.engine.answerers.qwen.ops import attend_causally, compilable, linear

Tensor = torch.Tensor
Rotation = tuple[Tensor, Tensor]  # cosine and sine


@dataclass(slots=True)
class _DecoderLayer:
    qkv: Tensor
    qkv_bias: Tensor
    o: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor
    before: Tensor  # the norms' weights
    between: Tensor


class Decoder:
    """The decoder and its vocabulary head."""

    def __init__(self, model: Any, lm_head: Any) -> None:
        config = model.config
        if getattr(config, "use_sliding_window", False) or model.rotary_emb.rope_type != "default":
            raise ValueError("sliding windows and scaled rotary embeddings are not supported")
        self.heads = int(config.num_attention_heads)
        self.kv_heads = int(config.num_key_value_heads)
        self.head = int(getattr(config, "head_dim", None) or config.hidden_size // self.heads)
        self.eps = float(config.rms_norm_eps)
        self.embedding = model.embed_tokens.weight
        self.device = self.embedding.device
        self.dtype = self.embedding.dtype
        self._layers = [self._layer(layer) for layer in model.layers]
        self._norm = model.norm.weight
        self._vocabulary = lm_head.weight
        self._frequencies = model.rotary_emb.inv_freq.float()
        self._rotations: Rotation | None = None
        self._run = self._compiled() if compilable(self.embedding) else self._run_plainly

    @torch.inference_mode()
    def embed(self, tokens: Tensor) -> Tensor:
        """(..., width) of token ids on the host."""
        return F.embedding(tokens.to(self.device), self.embedding)

    @torch.inference_mode()
    def prefill(self, x: Tensor, lengths: Tensor, past: Past | None) -> KV:
        """Keys and values of new positions x (rows, length, width), after a past that one row may share with all."""
        return self._run(x, lengths, past, read=False, keep=True)[1]  # type: ignore[return-value]

    @torch.inference_mode()
    def read(self, x: Tensor, lengths: Tensor, past: Past | None, keep: bool = False) -> tuple[Tensor, KV | None]:
        """Logits (rows, vocabulary) in fp32 at each row's last valid position; its keys and values where kept."""
        hidden, kv = self._run(x, lengths, past, read=True, keep=keep)
        assert hidden is not None
        return F.linear(self._normed(hidden, self._norm), self._vocabulary).float(), kv

    def _run_plainly(
        self, x: Tensor, lengths: Tensor, past: Past | None, read: bool, keep: bool
    ) -> tuple[Tensor | None, KV | None]:
        rows, length, width = x.shape
        rotation = self._rotation(past, rows, length)
        mask = self._mask(past, length, x)
        last = (lengths - 1).to(self.device)
        final: Tensor | None = None
        keys: list[Tensor] = []
        values: list[Tensor] = []
        for index, layer in enumerate(self._layers):
            at_end = index == len(self._layers) - 1
            h = self._normed(x, layer.before)
            q_size = self.heads * self.head
            if at_end:  # keys and values of all positions, everything else of the last ones
                kv = linear(h, layer.qkv[q_size:], layer.qkv_bias[q_size:])
                k, v = torch.split(kv.view(rows, length, 2 * self.kv_heads, self.head), self.kv_heads, dim=2)
                k = self._rotate(k, rotation)
            else:
                qkv = linear(h, layer.qkv, layer.qkv_bias).view(rows, length, -1, self.head)
                qk = self._rotate(qkv[:, :, : self.heads + self.kv_heads], rotation)
                q, k = torch.split(qk, [self.heads, self.kv_heads], dim=2)
                v = qkv[:, :, self.heads + self.kv_heads :]
            k, v = k.transpose(1, 2), v.transpose(1, 2)
            if past is not None:
                k, v = past.before(past.kv.keys[index], k), past.before(past.kv.values[index], v)
            if keep:
                keys.append(k)
                values.append(v)
            if not at_end:
                out = self._attend(q.transpose(1, 2), k, v, mask).transpose(1, 2).reshape(-1, q_size)
                x = torch.addmm(x.view(-1, width), out, layer.o.t()).view(x.shape)
                x = self._mlp(x.view(-1, width), layer).view(x.shape)
            elif read:
                every = torch.arange(rows, device=self.device)
                cos, sin = (part.expand(rows, -1, -1, -1)[every, last][:, None] for part in rotation)
                q = linear(h[every, last], layer.qkv[:q_size], layer.qkv_bias[:q_size])
                q = self._rotate(q.view(rows, 1, self.heads, self.head), (cos, sin))
                out = self._attend(q.transpose(1, 2), k, v, self._row_mask(mask, lengths, k))
                final = x[every, last] + F.linear(out.reshape(rows, q_size), layer.o)
                final = self._mlp(final, layer)
        return final, KV(keys, values, *extended(past, lengths, length, self.device)) if keep else None

    # The parts of a layer --------------------------------------------------------------------------------------

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), weight, self.eps)

    def _mlp(self, x: Tensor, layer: _DecoderLayer) -> Tensor:
        """x (n, width) and what the layer adds to it, written over x."""
        h = self._normed(x, layer.between)
        h = F.silu(F.linear(h, layer.gate), inplace=True).mul_(F.linear(h, layer.up))
        return x.addmm_(h, layer.down.t())

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        if self.kv_heads != self.heads:
            k = k.repeat_interleave(self.heads // self.kv_heads, dim=1)
            v = v.repeat_interleave(self.heads // self.kv_heads, dim=1)
        return attend_causally(q, k, v, mask)

    # Masks and positions ---------------------------------------------------------------------------------------

    def _mask(self, past: Past | None, length: int, x: Tensor) -> Tensor | None:
        """(1 or rows, 1, length, past + length), added to the scores; None where nothing is hidden."""
        before = 0 if past is None else past.length
        valid = None if past is None else past.valid
        if valid is None and (length == 1 or x.is_cuda):
            return None  # on CUDA the kernel that needs no mask is the fast one
        hidden = torch.ones(length, before + length, dtype=torch.bool, device=x.device).triu_(before + 1)[None, None]
        if valid is not None:
            hidden = hidden | F.pad(~valid, (0, length))[:, None, None, :]
        return torch.zeros(hidden.shape, dtype=x.dtype, device=x.device).masked_fill_(hidden, -torch.inf)

    def _row_mask(self, mask: Tensor | None, lengths: Tensor, keys: Tensor) -> Tensor | None:
        """(rows, 1, 1, keys) for the last valid query of each row."""
        length = int(lengths.max())
        if mask is not None:
            every = torch.arange(len(lengths), device=self.device)
            last = (lengths - 1).to(self.device)
            return mask.expand(len(lengths), -1, -1, -1)[every, 0, last][:, None, None, :]
        if bool((lengths == length).all()):
            return None
        seen = keys.shape[2] - length + lengths.to(self.device)
        hidden = torch.arange(keys.shape[2], device=self.device)[None] >= seen[:, None]
        mask = torch.zeros(hidden.shape, dtype=keys.dtype, device=self.device).masked_fill_(hidden, -torch.inf)
        return mask[:, None, None, :]

    def _rotation(self, past: Past | None, rows: int, length: int) -> Rotation:
        """The rotations of the new positions (1 or rows, length, 1, ...): each row goes on where its past ended."""
        start = torch.zeros(1, dtype=torch.int64) if past is None else past.lengths
        if bool((start == start[0]).all()):
            start = start[:1]
        assert len(start) in (1, rows)
        at = (start[:, None] + torch.arange(length)[None]).to(self.device)
        table = self._table(int(start.max()) + length)
        cos, sin = (part[at][:, :, None] for part in table)
        return cos, sin

    def _rotate(self, x: Tensor, rotation: Rotation) -> Tensor:
        """Rotary embedding of x (rows, length, heads, head)."""
        cos, sin = rotation
        first, second = x.chunk(2, dim=-1)
        return x * cos + torch.cat((-second, first), dim=-1) * sin

    def _table(self, positions: int) -> Rotation:
        """One rotation a position, as many as are needed and some more."""
        if self._rotations is None or len(self._rotations[0]) < positions:
            angles = torch.arange(max(1024, 2 * positions), device=self.device)[:, None].float() * self._frequencies
            twice = torch.cat((angles, angles), dim=-1)
            self._rotations = (twice.cos().to(self.dtype), twice.sin().to(self.dtype))
        return self._rotations

    # Weights ---------------------------------------------------------------------------------------------------

    def _layer(self, layer: Any) -> _DecoderLayer:
        attention, mlp = layer.self_attn, layer.mlp
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        weights = [p.weight.detach() for p in projections]
        biases = [p.bias.detach() for p in projections]
        gate, up = mlp.gate_proj.weight.detach(), mlp.up_proj.weight.detach()
        before, between = layer.input_layernorm.weight.detach(), layer.post_attention_layernorm.weight.detach()
        qkv, bias = torch.cat(weights), torch.cat(biases)
        start = 0
        for projection in projections:  # the model goes on working, on slices of the fused weights
            end = start + projection.weight.shape[0]
            projection.weight.data, projection.bias.data = qkv[start:end], bias[start:end]
            start = end
        return _DecoderLayer(
            qkv, bias, attention.o_proj.weight.detach(), gate, up, mlp.down_proj.weight.detach(), before, between
        )

    def _compiled(self) -> Callable[..., tuple[Tensor | None, KV | None]]:
        """The layers as kernels, on copies of the weights that are rearranged for them."""
        from earmark.engine.answerers.qwen.compiled_decoder import CompiledDecoder, DecoderWeights

        kv_size = self.kv_heads * self.head
        weights = []
        for w in self._layers:
            q, k, v = w.qkv[: -2 * kv_size], w.qkv[-2 * kv_size : -kv_size], w.qkv[-kv_size:]
            weights.append(DecoderWeights(q, k, v, w.qkv_bias, w.o, w.gate, w.up, w.down, w.before, w.between))
        return CompiledDecoder(weights, self.heads, self.kv_heads, self.eps, self._frequencies).run
