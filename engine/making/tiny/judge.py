"""Accuracy of a learner: per family of questions, and per audio token.

Measures whole or compressed clips of any split; trains nothing.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from earmark.engine.corpus.synthetic.bank import bank
from earmark.engine.corpus.synthetic.clips import SLOTS, draw
from earmark.engine.corpus.synthetic.questions import FAMILIES, SyntheticQuestion
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.making.tiny.network import decode, encode, gather, token_tensors
from earmark.engine.making.tiny.state import Learner
from earmark.engine.making.tiny.training_batches import UNCLEAR, TrainingBatch, make_batch

CLIPS_AT_ONCE = 16
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def whole_batch(split: Split, seed: int, first: int, clips: int, audible: bool = True) -> TrainingBatch:
    """Clips `first` to `first + clips` of a seed, all of each."""
    drawn = [draw(split, seed, i) for i in range(first, first + clips)]
    kept = [list(range(SLOTS))] * clips
    still = np.zeros(clips, dtype=np.int64)
    return make_batch(drawn, bank(split), kept, still, still > 0, np.random.default_rng((seed, first)), audible)


@torch.inference_mode()
def say(learner: Learner, audio: torch.Tensor, asked: Sequence[Sequence[SyntheticQuestion]]) -> np.ndarray:
    """The option answered to each question (B, Q), -1 where the likeliest token is no letter; audio is embedded."""
    blank = np.zeros((len(asked), len(asked[0])), dtype=np.int64)
    packed = learner.asker.pack(asked, blank)
    thought = decode(learner.model, learner.asker, audio, packed)
    token = learner.model.lm_head(gather(thought.final, packed.answer_at)).argmax(-1).numpy()
    letters = np.array(learner.asker.letters)
    return np.where(np.isin(token, letters), (token[..., None] == letters).argmax(-1), -1)


@torch.inference_mode()
def listen(learner: Learner, waves: np.ndarray) -> torch.Tensor:
    """Audio embeddings of clips of equal length (B, samples)."""
    states = encode(learner.model, learner.ear.frames(torch.from_numpy(np.ascontiguousarray(waves))))
    embedded: torch.Tensor = learner.model.model.multi_modal_projector(states)
    return embedded


@torch.inference_mode()
def accuracies(learner: Learner, seed: int, clips: int, audible: bool) -> dict[str, float]:
    """Raw accuracy per family on the answerer's own split, from audio or from symbols."""
    right = []
    for first in range(0, clips, CLIPS_AT_ONCE):
        batch = whole_batch(Split.ANSWERER, seed, first, min(CLIPS_AT_ONCE, clips - first), audible)
        audio = listen(learner, batch.waves) if audible else learner.symbols(*token_tensors(batch.tokens))
        right.append(say(learner, audio, batch.asked) == batch.answers)
    return dict(zip(FAMILIES, np.concatenate(right).mean(axis=0).tolist(), strict=True))


@torch.inference_mode()
def token_accuracy(learner: Learner, seed: int, clips: int) -> dict[str, float]:
    """Share of audio tokens whose class, background and onset the heads name rightly."""
    hits: dict[str, list[np.ndarray]] = {"class": [], "background": [], "onset": []}
    for first in range(0, clips, CLIPS_AT_ONCE):
        batch = whole_batch(Split.ANSWERER, seed, first, min(CLIPS_AT_ONCE, clips - first))
        states = encode(learner.model, learner.ear.frames(torch.from_numpy(batch.waves)))
        clear = batch.tokens.classes != UNCLEAR
        heads = learner.heads
        hits["class"].append((heads.classes(states).argmax(-1).numpy() == batch.tokens.classes)[clear])
        hits["background"].append((heads.backgrounds(states).argmax(-1).numpy() == batch.tokens.backgrounds).ravel())
        hits["onset"].append((heads.onsets(states).argmax(-1).numpy() == batch.tokens.onsets).ravel())
    return {name: float(np.concatenate(found).mean()) for name, found in hits.items()}
