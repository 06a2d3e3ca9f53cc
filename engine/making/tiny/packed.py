"""Questions as tokens: several of one clip packed behind one audio, and where in them the heads look.

All questions share the prompt up to "Question:", so it is computed once; what follows stands side by side, each piece
seeing the shared part and itself. Knows tokens, not audio.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from transformers import Qwen2Tokenizer

from earmark.engine.answerers.prompt import QWEN2_AUDIO, letters
from earmark.engine.corpus.synthetic.questions import OPTIONS, SyntheticQuestion

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Packed:
    """The questions of a batch: Q pieces of S tokens for each of B clips."""

    ids: torch.Tensor  # (B, Q, S), padded on the right
    option_at: torch.Tensor  # (B, Q, OPTIONS) the last token of each option
    answer_at: torch.Tensor  # (B, Q) the token that the answer follows


class Asker:
    """Turns questions into tokens, one by one or packed; tokens of words that come again are kept."""

    def __init__(self, tokenizer: Qwen2Tokenizer) -> None:
        marker = "\0"
        whole = QWEN2_AUDIO.prompt(marker, [marker] * OPTIONS)
        self._tokenizer = tokenizer
        self._stem, options = whole.question.split(f" {marker}", 1)
        self._tail = options[options.index(marker, options.rindex(". ")) + 1 :]
        self.pad = int(tokenizer.pad_token_id)
        self.end = int(tokenizer.eos_token_id)
        self.before = self._ids(QWEN2_AUDIO.prefix)
        self.shared = self._ids(self._stem)
        self.tail = self._ids(self._tail)
        self.letters = [self._ids(letter)[0] for letter in letters(OPTIONS)]
        self._piece = lru_cache(maxsize=None)(self._ids)

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text)["input_ids"])

    def question(self, question: SyntheticQuestion) -> tuple[list[int], list[int]]:
        """The tokens after the shared part, and the places of the options' last tokens."""
        ids = list(self._piece(f" {question.text}\n\n"))
        places = []
        for letter, choice in zip(letters(OPTIONS), question.choices, strict=True):
            ids += self._piece(f"{letter}. {choice}")
            places.append(len(ids) - 1)
            if len(places) < OPTIONS:
                ids += self._piece("\n")
        return [*ids, *self.tail], places

    def pack(self, clip_questions: Sequence[Sequence[SyntheticQuestion]], answers: Ids) -> Packed:
        """The questions of each clip, each with a letter at its end: `answers` is (B, Q)."""
        rows = [[self.question(question) for question in row] for row in clip_questions]
        longest = max(len(ids) for row in rows for ids, _ in row) + 1
        shape = (len(rows), len(rows[0]))
        packed = np.full((*shape, longest), self.pad, dtype=np.int64)
        option_at = np.zeros((*shape, OPTIONS), dtype=np.int64)
        answer_at = np.zeros(shape, dtype=np.int64)
        for b, row in enumerate(rows):
            for q, (ids, places) in enumerate(row):
                packed[b, q, : len(ids)] = ids
                packed[b, q, len(ids)] = self.letters[answers[b, q]]
                option_at[b, q] = places
                answer_at[b, q] = len(ids) - 1
        return Packed(torch.from_numpy(packed), torch.from_numpy(option_at), torch.from_numpy(answer_at))
