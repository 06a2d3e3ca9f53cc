"""A Qwen2 decoder's layers in torch, on any device and in any number format. Knows no tokens."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812

from earmark.engine.answerers.qwen.decoder_layers import AttentionHeads, LayerWeights
from earmark.engine.answerers.qwen.kv import KV, Past, Placed, extended, key_weights
from earmark.engine.answerers.qwen.ops import attend_causally, linear

Tensor = torch.Tensor
CosineAndSine = tuple[Tensor, Tensor]  # cosine and sine


class PlainDecoder:
    """The layers: fused projections, and no masks where none are needed."""

    def __init__(self, layers: Sequence[LayerWeights], heads: AttentionHeads) -> None:
        self._layers = layers
        self._heads = heads
        self._device, self._dtype = layers[0].o.device, layers[0].o.dtype
        self._rotations: CosineAndSine | None = None

    def run(
        self,
        x: Tensor,
        lengths: Tensor,
        past: Past | None,
        read: bool,
        keep: bool,
        placed: Placed | None = None,
        room: int = 0,
        first: int = 0,
    ) -> tuple[Tensor | None, KV | None]:
        """As `DecoderLayers.run`; in the last layer only the rows that are read are computed whole. The first layers
        may have been run before.
        """
        if first == len(self._layers):
            return x[torch.arange(len(x), device=self._device), (lengths - 1).to(self._device)], None
        rows, length, _ = x.shape
        rotation = self._rotation(past, rows, length, placed)
        mask = self._mask(past, length, x, key_weights(past, lengths, length, x.device, placed))
        last = (lengths - 1).to(self._device)
        final: Tensor | None = None
        keys: list[Tensor] = []
        values: list[Tensor] = []
        for index in range(first, len(self._layers)):
            layer = self._layers[index]
            at_end = index == len(self._layers) - 1
            q_size = self._heads.heads * self._heads.size
            if at_end:  # keys and values of all positions, everything else of the last ones
                h = self._normed(x, layer.before)
                kv = linear(h, layer.qkv[q_size:], layer.qkv_bias[q_size:])
                k, v = torch.split(
                    kv.view(rows, length, 2 * self._heads.kv_heads, self._heads.size), self._heads.kv_heads, dim=2
                )
                k = self._rotate(k, rotation)
            else:
                q, k, v = self._projected(x, layer, rotation)
            k, v = k.transpose(1, 2), v.transpose(1, 2)
            if past is not None:
                k, v = past.before(past.kv.keys[index], k, room), past.before(past.kv.values[index], v, room)
            if keep:
                keys.append(k)
                values.append(v)
            if not at_end:
                x = self._mixed(x, q, k, v, layer, mask)
            elif read:
                every = torch.arange(rows, device=self._device)
                cos, sin = (part.expand(rows, -1, -1, -1)[every, last][:, None] for part in rotation)
                q = linear(h[every, last], layer.qkv[:q_size], layer.qkv_bias[:q_size])
                q = self._rotate(q.view(rows, 1, self._heads.heads, self._heads.size), (cos, sin))
                out = self._attend(q.transpose(1, 2), k, v, self._row_mask(mask, lengths, k))
                final = x[every, last] + F.linear(out.reshape(rows, q_size), layer.o)
                final = self._mlp(final, layer)
        if not keep:
            return final, None
        left = 0 if past is None else past.kv.room - length if past.kv.room >= length else room
        return final, KV(keys, values, *extended(past, lengths, length, self._device, placed), left)

    def below(self, x: Tensor, lengths: Tensor, past: Past, n_layers: int) -> tuple[Tensor, Tensor]:
        """The states (rows, length, width) of new positions after so many layers, and how much each row's last position
        attends to each of them in the last of these layers (rows, heads, length), in single precision; 0 where there
        is no layer.
        """
        rows, length, _ = x.shape
        rotation = self._rotation(past, rows, length, None)
        mask = self._mask(past, length, x, None)
        attended = torch.zeros(rows, self._heads.heads, length)
        every, last = torch.arange(rows, device=self._device), (lengths - 1).to(self._device)
        for index in range(n_layers):
            q, k, v = self._projected(x, self._layers[index], rotation)
            k = past.before(past.kv.keys[index], k.transpose(1, 2), 0)
            v = past.before(past.kv.values[index], v.transpose(1, 2), 0)
            if index == n_layers - 1:  # of one query by hand: no attention of everything to everything is kept
                row_mask = self._row_mask(mask, lengths, k)
                attended = self._weights(q[every, last][:, :, None], k, row_mask)[:, :, 0, past.length :]
            x = self._mixed(x, q, k, v, self._layers[index], mask)
        return x, attended

    def watched(self, x: Tensor, lengths: Tensor, past: Past) -> Tensor:
        """(layers, rows, kv heads, past) how much all new positions together attend to each of the past, summed over
        the queries that share a key, in single precision.
        """
        rows, length, _ = x.shape
        rotation = self._rotation(past, rows, length, None)
        mask = self._mask(past, length, x, None, always=True)
        is_new = (torch.arange(length)[None] < lengths[:, None]).to(self._device)
        sums = []
        for index, layer in enumerate(self._layers):
            q, k, v = self._projected(x, layer, rotation)
            k = past.before(past.kv.keys[index], k.transpose(1, 2), 0)
            v = past.before(past.kv.values[index], v.transpose(1, 2), 0)
            weights = self._weights(q.transpose(1, 2), k, mask)[..., : past.length] * is_new[:, None, :, None]
            shared = weights.sum(dim=2).view(rows, self._heads.kv_heads, -1, past.length)
            sums.append(shared.sum(dim=2))
            if index < len(self._layers) - 1:
                x = self._mixed(x, q, k, v, layer, mask)
        return torch.stack(sums)

    # The parts of a layer --------------------------------------------------------------------------------------

    def _projected(self, x: Tensor, layer: LayerWeights, rotation: CosineAndSine) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (rows, length, their heads, head) of x (rows, length, width)."""
        heads = self._heads
        qkv = linear(self._normed(x, layer.before), layer.qkv, layer.qkv_bias).view(*x.shape[:2], -1, heads.size)
        qk = self._rotate(qkv[:, :, : heads.heads + heads.kv_heads], rotation)
        q, k = torch.split(qk, [heads.heads, heads.kv_heads], dim=2)
        return q, k, qkv[:, :, heads.heads + heads.kv_heads :]

    def _mixed(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, layer: LayerWeights, mask: Tensor | None) -> Tensor:
        """What a layer makes of x (rows, length, width): queries (rows, length, heads, head), all keys and values."""
        width = x.shape[-1]
        out = self._attend(q.transpose(1, 2), k, v, mask).transpose(1, 2).reshape(-1, self._heads.heads * q.shape[-1])
        x = torch.addmm(x.reshape(-1, width), out, layer.o.t())
        return self._mlp(x, layer).view(*q.shape[:2], width)

    def _weights(self, q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
        """(rows, heads, queries, keys) attention in single precision."""
        k = k.repeat_interleave(self._heads.heads // self._heads.kv_heads, dim=1)
        scores = (q.float() @ k.float().transpose(2, 3)) / self._heads.size**0.5
        return torch.softmax(scores if mask is None else scores + mask.float(), dim=-1)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), weight, self._heads.eps)

    def _mlp(self, x: Tensor, layer: LayerWeights) -> Tensor:
        """x (n, width) and what the layer adds to it, written over x."""
        h = self._normed(x, layer.between)
        h = F.silu(F.linear(h, layer.gate), inplace=True).mul_(F.linear(h, layer.up))
        return x.addmm_(h, layer.down.t())

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        if self._heads.kv_heads != self._heads.heads:
            k = k.repeat_interleave(self._heads.heads // self._heads.kv_heads, dim=1)
            v = v.repeat_interleave(self._heads.heads // self._heads.kv_heads, dim=1)
        return attend_causally(q, k, v, mask)

    # Masks and positions ---------------------------------------------------------------------------------------

    def _mask(
        self, past: Past | None, length: int, x: Tensor, weights: Tensor | None, *, always: bool = False
    ) -> Tensor | None:
        """(1 or rows, 1, length, past + length), added to the scores; None where nothing is hidden or added, or it is
        known what is, but for `always`.
        """
        before = 0 if past is None else past.length
        valid = None if past is None else past.valid
        if valid is None and weights is None and not always and (length == 1 or x.is_cuda):
            return None  # on CUDA the kernel that needs no mask is the fast one
        hidden = torch.ones(length, before + length, dtype=torch.bool, device=x.device).triu_(before + 1)[None, None]
        if valid is not None:
            hidden = hidden | F.pad(~valid, (0, length))[:, None, None, :]
        if weights is not None:
            added = weights.to(x.dtype)[:, None, None, :].expand(-1, -1, length, -1)
            return torch.where(hidden, -torch.inf, added)
        return torch.zeros(hidden.shape, dtype=x.dtype, device=x.device).masked_fill_(hidden, -torch.inf)

    def _row_mask(self, mask: Tensor | None, lengths: Tensor, keys: Tensor) -> Tensor | None:
        """(rows, 1, 1, keys) for the last valid query of each row."""
        length = int(lengths.max())
        if mask is not None:
            every = torch.arange(len(lengths), device=self._device)
            last = (lengths - 1).to(self._device)
            return mask.expand(len(lengths), -1, -1, -1)[every, 0, last][:, None, None, :]
        if bool((lengths == length).all()):
            return None
        seen = keys.shape[2] - length + lengths.to(self._device)
        hidden = torch.arange(keys.shape[2], device=self._device)[None] >= seen[:, None]
        mask = torch.zeros(hidden.shape, dtype=keys.dtype, device=self._device).masked_fill_(hidden, -torch.inf)
        return mask[:, None, None, :]

    def _rotation(self, past: Past | None, rows: int, length: int, placed: Placed | None) -> CosineAndSine:
        """The rotations of the new positions (1 or rows, length, 1, ...): each row goes on where its past ended."""
        start = torch.zeros(1, dtype=torch.int64) if past is None else past.ends
        if placed is not None:
            angles = (start[:, None] + placed.places).to(self._device)[..., None] * self._heads.frequencies
            twice = torch.cat((angles, angles), dim=-1)[:, :, None]
            return twice.cos().to(self._dtype), twice.sin().to(self._dtype)
        if bool((start == start[0]).all()):
            start = start[:1]
        assert len(start) in (1, rows)
        at = (start[:, None] + torch.arange(length)[None]).to(self._device)
        table = self._table(int(start.max()) + length)
        cos, sin = (part[at][:, :, None] for part in table)
        return cos, sin

    def _rotate(self, x: Tensor, rotation: CosineAndSine) -> Tensor:
        """Rotary embedding of x (rows, length, heads, head)."""
        cos, sin = rotation
        first, second = x.chunk(2, dim=-1)
        return x * cos + torch.cat((-second, first), dim=-1) * sin

    def _table(self, positions: int) -> CosineAndSine:
        """One rotation a position, as many as are needed and some more."""
        if self._rotations is None or len(self._rotations[0]) < positions:
            angles = (
                torch.arange(max(1024, 2 * positions), device=self._device)[:, None].float() * self._heads.frequencies
            )
            twice = torch.cat((angles, angles), dim=-1)
            self._rotations = (twice.cos().to(self._dtype), twice.sin().to(self._dtype))
        return self._rotations
