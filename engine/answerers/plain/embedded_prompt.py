"""Prompts as embeddings: what a model puts in the places of its audio is read, shortened, and answered after.

    embeddings of a prompt   [ text | audio, group by group | text ]    beside each its place and, if sized, its weight

Knows no architecture. Whether a class takes embeddings with places and weights is tried on it, not looked up.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch

from earmark.engine.answerers.means import means_of
from earmark.engine.answerers.shared.encodings import RawStates
from earmark.engine.arrays import FloatArray
from earmark.engine.compressors.tokens.reduction import Reduction

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class EmbeddedPrompt:
    """One row: a prompt whose audio takes fewer positions than its processor gave it."""

    embeddings: Tensor  # (n, width)
    places: Tensor  # (n,) float32, whole or not
    weights: Tensor | None  # (n,) float32, added to the scores of the keys; None: nothing is
    audio_tokens: int

    @property
    def positions(self) -> int:
        return len(self.embeddings)

    @property
    def shape(self) -> tuple[str, bool]:
        """Rows with equal ones may be read together."""
        return "embeddings", self.weights is not None

    @property
    def nbytes(self) -> int:
        return self.embeddings.nbytes + self.places.nbytes


class _EmbeddingsReadError(Exception):
    """Ends a pass where embeddings enter the decoder: nothing behind it is run."""


class Embedder:
    """A model's class, as one that answers after embeddings."""

    def __init__(self, model: Any, audio_token: int, example: Mapping[str, Tensor]) -> None:
        """ValueError where the class hands its decoder no embeddings of an example."""
        self._model = model
        self._audio_token = audio_token
        parameter = next(model.parameters())
        self._device, self._dtype = parameter.device, parameter.dtype
        _, places = self._entering(example)
        self._axes = places.shape[:-2] if places is not None else ()  # of places that turn in several ways

    def audio_states(self, inputs: Mapping[str, Tensor]) -> RawStates:
        """(n, bytes) what is in the places of the audio of one row as it enters the decoder; no layer is run."""
        embeddings, _ = self._entering(inputs)
        states = embeddings[0, inputs["input_ids"][0] == self._audio_token]
        return states.contiguous().cpu().view(torch.uint8).numpy().copy()

    def states_of(self, raw: RawStates) -> Tensor:
        """(n, width) the same as numbers."""
        return torch.from_numpy(raw).view(self._dtype).to(self._device)

    def prompt(self, ids: Tensor, states: Tensor, reduction: Reduction, sized: bool) -> EmbeddedPrompt:
        """The prompt (positions,) with the means of groups of its audio states (n, width) in their places.

        A sized one stands at the centre of its group, as heavy as that is large; the text after it leaves room for it.
        """
        is_audio = (ids == self._audio_token).cpu().numpy()
        audio, text = np.flatnonzero(is_audio), np.flatnonzero(~is_audio)
        groups = reduction.group
        firsts = audio[[int(np.flatnonzero(groups == group)[0]) for group in range(reduction.k)]]
        order = np.argsort(np.concatenate([text, firsts]), kind="stable")
        embedded = self._model.get_input_embeddings()(ids[~torch.from_numpy(is_audio)].to(self._device))
        both = torch.cat([embedded, means_of(states, reduction).to(embedded.dtype)])
        places, weights = np.arange(len(order), dtype=np.float64), None
        if sized:
            centres = np.interp(reduction.centres, np.arange(len(audio)), audio)
            places = np.concatenate([text, centres])[order]
            weights = _float32(np.concatenate([np.zeros(len(text)), np.log(reduction.sizes)])[order])
        return EmbeddedPrompt(both[torch.from_numpy(order).to(self._device)], _float32(places), weights, reduction.k)

    def written(
        self, rows: Sequence[EmbeddedPrompt], limit: int, ends: Collection[int]
    ) -> tuple[Tensor, list[list[int]]]:
        """Logits (rows, vocabulary) of the answer's first position, and at most `limit` greedy tokens of each row."""
        batch = _Batch(rows, self._dtype)
        states = self._model.get_input_embeddings().weight.new_zeros(
            len(rows), batch.length, rows[0].embeddings.shape[1]
        )
        for row, length, prompt in zip(states, batch.lengths, rows, strict=True):
            row[batch.length - length :] = prompt.embeddings
        out = self._run(states, batch.mask(), batch.places, None)
        first = out.logits[:, -1].float()
        picked = first.argmax(-1)
        tokens: list[list[int]] = [[] for _ in rows]
        going = set(range(len(rows)))
        for step in range(limit):
            going = {row for row in going if int(picked[row]) not in ends}
            for row in going:
                tokens[row].append(int(picked[row]))
            if not going or step == limit - 1:
                break
            batch.append()
            embedded = self._model.get_input_embeddings()(picked[:, None])
            out = self._run(embedded, batch.mask(last=True), batch.places[:, -1:], out.past_key_values)
            picked = out.logits[:, -1].argmax(-1)
        return first, tokens

    # Inside ----------------------------------------------------------------------------------------------------

    def _run(self, embeddings: Tensor, mask: Tensor, places: Tensor, past: Any) -> Any:
        of_axes = places.expand(*self._axes, *places.shape)
        return self._model(
            inputs_embeds=embeddings, attention_mask=mask.to(self._device), position_ids=of_axes.to(self._device),
            past_key_values=past, use_cache=True,
        )  # fmt: skip

    def _entering(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Embeddings (1, positions, width) and places, where they enter the decoder."""
        entering: dict[str, Any] = {}

        def read(_: Any, __: Any, kwargs: dict[str, Any]) -> NoReturn:
            entering.update(kwargs)
            raise _EmbeddingsReadError

        hook = self._model.get_decoder().register_forward_pre_hook(read, with_kwargs=True)
        try:
            self._model(**inputs, use_cache=False)
        except _EmbeddingsReadError:
            pass
        finally:
            hook.remove()
        if entering.get("inputs_embeds") is None:
            raise ValueError("its decoder is handed no embeddings")
        return entering["inputs_embeds"], entering.get("position_ids")


class _Batch:
    """Where the positions of rows are that are padded on the left to one length, and what they weigh."""

    def __init__(self, rows: Sequence[EmbeddedPrompt], dtype: torch.dtype) -> None:
        self.lengths = [row.positions for row in rows]
        self.length = max(self.lengths)
        self._dtype = dtype
        is_sized = rows[0].weights is not None
        self.places = self._padded([row.places for row in rows])
        self._weights = self._padded([row.weights for row in rows if row.weights is not None]) if is_sized else None
        self._valid = self._padded([torch.ones(n) for n in self.lengths]).bool()
        if not is_sized:
            self.places = self.places.long()

    def append(self) -> None:
        """One more position of every row."""
        self.places = torch.cat([self.places, self.places[:, -1:] + 1], dim=1)
        self._valid = torch.nn.functional.pad(self._valid, (0, 1), value=True)
        if self._weights is not None:
            self._weights = torch.nn.functional.pad(self._weights, (0, 1))

    def mask(self, last: bool = False) -> Tensor:
        """(rows, positions), or, where keys have weights, what is added to scores: (rows, 1, queries, positions)."""
        if self._weights is None:
            return self._valid.long()
        n = self._valid.shape[1]
        seen = torch.ones(n, n, dtype=torch.bool).tril_()[None, None] & self._valid[:, None, None]
        added = self._weights[:, None, None].expand(-1, 1, n, -1).to(self._dtype)
        hidden = torch.finfo(self._dtype).min  # a finite one: padding that sees nothing must not become NaN
        whole = torch.where(seen, added, torch.tensor(hidden, dtype=self._dtype))
        return whole[:, :, -1:] if last else whole

    def _padded(self, parts: Sequence[Tensor]) -> Tensor:
        longest = self.length
        return torch.stack([torch.nn.functional.pad(part, (longest - len(part), 0)) for part in parts])


def _float32(values: FloatArray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
