"""What drops something inside a Qwen2 decoder: the layers below and above, and a cache of which some is left.

Runs on layers in torch, anywhere: the compiled ones cannot be stopped between two of them. What stays of a cache is
read by either. States, keys and values are kept as bytes, a row for each position. Knows no text.
"""

from collections.abc import Sequence

import numpy as np
import torch

from earmark.engine.answerers.qwen.decoder import Decoder
from earmark.engine.answerers.qwen.kv import KV, Past, Placed
from earmark.engine.answerers.shared.audio_lm import EvictedPart, PrunedPart
from earmark.engine.answerers.shared.encodings import RawStates
from earmark.engine.arrays import FloatArray

Tensor = torch.Tensor
_ATTENTION_BYTES = 4  # of a head, beside a position's state


class OpenDecoder:
    """A decoder, entered between its layers."""

    def __init__(self, decoder: Decoder, n_layers: int, prefix: KV) -> None:
        self._decoder, self._n_layers = decoder, n_layers
        self._n_prefix = int(prefix.lengths[0])
        keys = prefix.keys
        if decoder.keys_are_transposed:
            keys = [k.transpose(2, 3).contiguous() for k in keys]
        self._plain_prefix = KV(keys, prefix.values, prefix.lengths)

    # Layers ----------------------------------------------------------------------------------------------------

    def below(self, x: Tensor, lengths: Tensor, layer: int) -> list[RawStates]:
        """States of each row x (rows, length, width) after so many layers, and what its last position attends to."""
        states, attended = self._decoder.open_layers.below(x, lengths, Past(self._plain_prefix), layer)
        beside = attended.transpose(1, 2).contiguous()
        return [
            np.concatenate([_bytes(states[row, :n]), _bytes(beside[row, :n])], axis=1)
            for row, n in enumerate(lengths.tolist())
        ]

    def attended(self, behind: RawStates) -> FloatArray:
        """(heads, positions) what the last position attended to."""
        beside = np.ascontiguousarray(behind[:, -_ATTENTION_BYTES * self._decoder.heads.heads :])
        return beside.view(np.float32).T.astype(np.float64)

    def above(self, parts: Sequence[PrunedPart], letters: Tensor) -> Tensor:
        """Logits after each row, of whose audio only some goes on: each position where it was."""
        layer = parts[0].layer
        rows, places, weights = [], [], []
        for part in parts:
            n, n_all = len(part.reduction.group), len(part.behind)
            kept = np.concatenate([np.flatnonzero(part.reduction.group >= 0), np.arange(n, n_all)])
            raw = np.ascontiguousarray(part.behind[kept, : -_ATTENTION_BYTES * self._decoder.heads.heads])
            rows.append(torch.from_numpy(raw).view(self._decoder.dtype))
            places.append(torch.from_numpy(kept).float())
            weights.append(torch.zeros(len(kept)))
            if part.sized:
                weights[-1][: part.reduction.k] = torch.from_numpy(np.log(part.reduction.sizes)).float()
        placed = Placed(_padded(places), _padded(weights), torch.tensor([len(part.behind) for part in parts]))
        lengths = torch.tensor([len(row) for row in rows])
        x = _padded(rows).to(self._decoder.device)
        return self._decoder.read_from(x, lengths, Past(self._plain_prefix), placed, layer, letters)

    # The cache -------------------------------------------------------------------------------------------------

    def entries(self, kv: KV) -> list[RawStates]:
        """(positions behind the prefix, bytes) keys and values in all layers, of each row."""
        keys = kv.keys
        if self._decoder.keys_are_transposed:
            keys = [k.transpose(2, 3) for k in keys]
        raws = []
        for row, end in enumerate(kv.lengths.tolist()):
            behind = slice(self._n_prefix, end)
            both = [
                torch.stack([k[row, :, behind], v[row, :, behind]]) for k, v in zip(keys, kv.values, strict=True)
            ]  # of each layer (2, kv heads, positions, head)
            raws.append(_bytes(torch.stack(both).permute(3, 0, 1, 2, 4).flatten(1)))
        return raws

    def keys(self, entries: RawStates, n: int) -> FloatArray:
        """(layers, kv heads, n, head) of the first n positions."""
        return self._unpacked(entries)[:, 0, :, :n].float().numpy().astype(np.float64)

    def watched(self, entries: Sequence[RawStates], n: Sequence[int], x: Tensor, lengths: Tensor) -> list[FloatArray]:
        """(layers, kv heads, n) how much all positions of each row x attend to the first n behind the prefix."""
        past = Past(self._context([self._unpacked(raw) for raw in entries], transposed=False))
        attended = self._decoder.open_layers.watched(x, lengths, past).cpu().numpy().astype(np.float64)
        first = self._n_prefix
        return [attended[:, row, :, first : first + n_audio] for row, n_audio in enumerate(n)]

    def evicted(self, parts: Sequence[EvictedPart]) -> KV:
        """A context of what stays of each audio and all behind it; what comes next is where it would have been."""
        rows, weights = [], []
        for part in parts:
            both = self._unpacked(part.entries)
            layers, heads, k = part.kept.shape
            at = torch.from_numpy(part.kept)[:, None, :, :, None].expand(layers, 2, heads, k, both.shape[-1])
            rows.append(torch.cat([both[:, :, :, : part.n].gather(3, at), both[:, :, :, part.n :]], dim=3))
            weights.append(torch.zeros(self._n_prefix + rows[-1].shape[3]))
            if part.sizes is not None:
                weights[-1][self._n_prefix : self._n_prefix + k] = torch.from_numpy(np.log(part.sizes)).float()
        kv = self._context(rows, self._decoder.keys_are_transposed)
        kv.ends = torch.tensor([self._n_prefix + len(part.entries) for part in parts])
        if any(part.sizes is not None for part in parts):
            kv.weights = _padded(weights).to(self._decoder.device)
        return kv

    def _unpacked(self, entries: RawStates) -> Tensor:
        """(layers, 2, kv heads, positions, head) keys and values, on the host."""
        heads = self._decoder.heads
        flat = torch.from_numpy(np.ascontiguousarray(entries)).view(self._decoder.dtype)
        return flat.view(len(entries), self._n_layers, 2, heads.kv_heads, heads.size).permute(1, 2, 3, 0, 4)

    def _context(self, rows: Sequence[Tensor], transposed: bool) -> KV:
        """Rows (layers, 2, kv heads, positions, head) behind the prefix, right-padded."""
        device = self._decoder.device
        longest = max(row.shape[3] for row in rows)
        padded = torch.stack([torch.nn.functional.pad(row, (0, 0, 0, longest - row.shape[3])) for row in rows])
        padded = padded.to(device)  # (rows, layers, 2, kv heads, longest, head)
        lengths = torch.tensor([self._n_prefix + row.shape[3] for row in rows])
        keys, values = [], []
        for layer in range(self._n_layers):
            before = [part.expand(len(rows), -1, -1, -1) for part in self._of_prefix(layer)]
            key, value = (torch.cat([old, padded[:, layer, at]], dim=2) for at, old in enumerate(before))
            keys.append(key.transpose(2, 3).contiguous() if transposed else key)
            values.append(value)
        valid = None
        if bool((lengths < self._n_prefix + longest).any()):
            valid = (torch.arange(self._n_prefix + longest)[None] < lengths[:, None]).to(device)
        return KV(keys, values, lengths, valid)

    def _of_prefix(self, layer: int) -> tuple[Tensor, Tensor]:
        return self._plain_prefix.keys[layer], self._plain_prefix.values[layer]


def _bytes(x: Tensor) -> RawStates:
    """(positions, bytes) of x (positions, width)."""
    return x.contiguous().cpu().view(torch.uint8).numpy().copy()


def _padded(rows: Sequence[Tensor]) -> Tensor:
    """(rows, longest, ...), zeros at the end."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
