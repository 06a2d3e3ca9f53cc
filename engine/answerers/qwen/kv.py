"""Keys and values that many rows share, and what each row of a pass comes after.

    row b of a pass:  [ past: prefix, audio, stem | pad ][ new tokens | pad ]     pads are masked or never looked at

Knows which positions are valid, where they are and what they weigh; not what keys are made of, nor whether they are
kept transposed.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

Tensor = torch.Tensor


@dataclass(slots=True)
class Placed:
    """New positions that are not one after the other, or stand for several: (rows, new), on the host."""

    places: Tensor  # float32, from where each row goes on; whole or not
    weights: Tensor  # float32, added to the scores of the keys
    spans: Tensor  # (rows,) how far on what follows is


@dataclass(slots=True)
class KV:
    """Keys and values of `rows` sequences, right-padded to one length."""

    keys: list[Tensor]  # per layer (rows, kv heads, length, head), or (rows, kv heads, head, length) where compiled
    values: list[Tensor]  # (rows, kv heads, length, head)
    lengths: Tensor  # (rows,) valid positions, on the host
    valid: Tensor | None = None  # (rows, length) bool; None: no padding anywhere
    ends: Tensor | None = (
        None  # (rows,) the place of what comes next, on the host; None: `lengths`, nothing is left out
    )
    weights: Tensor | None = None  # (rows, length) float32, added to the scores of the keys; None: nothing is
    room: int = 0  # positions after them that the one pass which comes next may write into, not kept transposed

    @property
    def nbytes(self) -> int:
        return sum(t.nbytes for t in self.keys) + sum(t.nbytes for t in self.values)

    def take(self, rows: Tensor) -> "KV":
        """A copy of these rows, which may repeat, with as much room."""
        at = rows.to(self.keys[0].device)
        return KV(
            [_with_room(k, at, self.room) for k in self.keys],
            [_with_room(v, at, self.room) for v in self.values],
            self.lengths[rows],
            None if self.valid is None else self.valid[at],
            None if self.ends is None else self.ends[rows],
            None if self.weights is None else self.weights[at],
            self.room,
        )


def _with_room(old: Tensor, rows: Tensor, room: int) -> Tensor:
    """A copy of some rows of keys or values, in memory that has so many more positions."""
    if not room:
        return old.index_select(0, rows)
    _, heads, length, size = old.shape
    both = old.new_empty(len(rows), heads, length + room, size)[:, :, :length]
    return torch.index_select(old, 0, rows, out=both)


@dataclass(slots=True)
class Past:
    """What each row of a pass comes after: row `rows[b]` of kv (None: row b, or the only one for all)."""

    kv: KV
    rows: Tensor | None = None  # on the host
    _at: Tensor | None = None  # the same on the device

    def __post_init__(self) -> None:
        if self.rows is not None:
            self._at = self.rows.to(self.kv.keys[0].device)

    @property
    def length(self) -> int:
        """Padded positions."""
        return self.kv.values[0].shape[2]

    @property
    def lengths(self) -> Tensor:
        return self.kv.lengths if self.rows is None else self.kv.lengths[self.rows]

    @property
    def ends(self) -> Tensor:
        """(rows,) or (1,): the place at which each row goes on."""
        ends = self.kv.lengths if self.kv.ends is None else self.kv.ends
        return ends if self.rows is None else ends[self.rows]

    @property
    def weights(self) -> Tensor | None:
        """(rows, length) or (1, length) of the keys of each row."""
        if self._at is None or self.kv.weights is None:
            return self.kv.weights
        return self.kv.weights[self._at]

    @property
    def valid(self) -> Tensor | None:
        if self._at is None or self.kv.valid is None:
            return self.kv.valid
        return self.kv.valid[self._at]

    def of(self, old: Tensor) -> Tensor:
        """Keys or values of each row, or the only ones for all."""
        return old if self._at is None else old.index_select(0, self._at)

    def index(self, rows: int) -> npt.NDArray[np.int64]:
        """The row of kv for each of `rows` rows."""
        if self.rows is not None:
            return self.rows.numpy()
        return np.arange(rows) if len(self.kv.lengths) > 1 else np.zeros(rows, dtype=np.int64)

    def before(self, old: Tensor, new: Tensor, room: int) -> Tensor:
        """[old, new] along the positions: old (kv rows, heads, p, head), new (rows, heads, n, head).

        Written after the old, where there is room; else a copy, with `room` for so many positions more.
        """
        rows, heads, length, size = new.shape
        past = old.shape[2]
        if self.kv.room >= length:
            assert self._at is None, "room is for all rows that have it"
            both = old.as_strided((rows, heads, past + length, size), old.stride(), old.storage_offset())
            both[:, :, past:] = new
            return both
        both = new.new_empty(rows, heads, past + length + room, size)[:, :, : past + length]
        if self._at is None:
            both[:, :, :past] = old
        else:
            torch.index_select(old, 0, self._at, out=both[:, :, :past])
        both[:, :, past:] = new
        return both


def extended(
    past: Past | None, lengths: Tensor, new: int, device: torch.device, placed: Placed | None
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """What is known of keys and values after a pass over rows of these lengths, padded to `new`: KV's last fields."""
    return (
        *_valid(past, lengths, new, device),
        _ends(past, lengths, placed),
        key_weights(past, lengths, new, device, placed),
    )


def _ends(past: Past | None, lengths: Tensor, placed: Placed | None) -> Tensor | None:
    if placed is None and (past is None or past.kv.ends is None):
        return None
    return (lengths if placed is None else placed.spans) + (0 if past is None else past.ends)


def key_weights(
    past: Past | None, lengths: Tensor, new: int, device: torch.device, placed: Placed | None
) -> Tensor | None:
    """(rows, past + new) of all keys of a pass, on the device; None where nothing is added to their scores."""
    before = None if past is None else past.weights
    if placed is None and before is None:
        return None
    rows, length = len(lengths), 0 if past is None else past.length
    old = torch.zeros(rows, length, device=device) if before is None else before.expand(rows, -1)
    ours = torch.zeros(rows, new, device=device) if placed is None else placed.weights.to(device)
    return torch.cat([old, ours], dim=1)


def _valid(past: Past | None, lengths: Tensor, new: int, device: torch.device) -> tuple[Tensor, Tensor | None]:
    total = lengths.clone() if past is None else lengths + past.lengths
    before = None if past is None else past.valid
    if before is None and bool((lengths == new).all()):
        return total, None
    valid = (torch.arange(new)[None] < lengths[:, None]).to(device)
    if past is not None:
        if before is None:
            before = torch.ones(1, past.length, dtype=torch.bool, device=device)
        valid = torch.cat([before.expand(len(lengths), -1), valid], dim=1)
    return total, valid
