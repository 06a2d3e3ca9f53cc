"""Accuracy of a learner: per family of questions, and per audio token.

Measures whole or compressed clips of any split; trains nothing.
"""

from collections.abc import Sequence

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


def whole_batch(split: Split, seed: int, first: int, n_clips: int, audible: bool = True) -> TrainingBatch:
    """A batch of the whole clips `first` to `first + n_clips` of a seed."""
    drawn = [draw(split, seed, i) for i in range(first, first + n_clips)]
    kept_slots = [list(range(SLOTS))] * n_clips
    still = np.zeros(n_clips, dtype=np.int64)
    return make_batch(drawn, bank(split), kept_slots, still, still > 0, np.random.default_rng((seed, first)), audible)


@torch.inference_mode()
def answer_options(
    learner: Learner, audio: torch.Tensor, clip_questions: Sequence[Sequence[SyntheticQuestion]]
) -> np.ndarray:
    """The option answered to each question (B, Q), from audio embeddings; -1 where the likeliest token is no letter."""
    blank = np.zeros((len(clip_questions), len(clip_questions[0])), dtype=np.int64)
    packed = learner.asker.pack(clip_questions, blank)
    states = decode(learner.model, learner.asker, audio, packed)
    likeliest = learner.model.lm_head(gather(states.final, packed.answer_at)).argmax(-1).numpy()
    letters = np.array(learner.asker.letters)
    return np.where(np.isin(likeliest, letters), (likeliest[..., None] == letters).argmax(-1), -1)


@torch.inference_mode()
def embed_audio(learner: Learner, waves: np.ndarray) -> torch.Tensor:
    """Audio embeddings of clips of equal length (B, samples)."""
    states = encode(learner.model, learner.ear.frames(torch.from_numpy(np.ascontiguousarray(waves))))
    embedded: torch.Tensor = learner.model.model.multi_modal_projector(states)
    return embedded


@torch.inference_mode()
def accuracies(learner: Learner, seed: int, n_clips: int, audible: bool) -> dict[str, float]:
    """Raw accuracy per family on the answerer's own split: from audio where `audible`, else from symbols."""
    right = []
    for first in range(0, n_clips, CLIPS_AT_ONCE):
        batch = whole_batch(Split.ANSWERER, seed, first, min(CLIPS_AT_ONCE, n_clips - first), audible)
        audio = embed_audio(learner, batch.waves) if audible else learner.symbols(*token_tensors(batch.tokens))
        right.append(answer_options(learner, audio, batch.questions) == batch.answers)
    return dict(zip(FAMILIES, np.concatenate(right).mean(axis=0).tolist(), strict=True))


@torch.inference_mode()
def token_accuracy(learner: Learner, seed: int, n_clips: int) -> dict[str, float]:
    """Shares of audio tokens whose class, background and onset the heads recognise."""
    hits: dict[str, list[np.ndarray]] = {"class": [], "background": [], "onset": []}
    for first in range(0, n_clips, CLIPS_AT_ONCE):
        batch = whole_batch(Split.ANSWERER, seed, first, min(CLIPS_AT_ONCE, n_clips - first))
        states = encode(learner.model, learner.ear.frames(torch.from_numpy(batch.waves)))
        clear = batch.tokens.classes != UNCLEAR
        heads = learner.heads
        hits["class"].append((heads.classes(states).argmax(-1).numpy() == batch.tokens.classes)[clear])
        hits["background"].append((heads.backgrounds(states).argmax(-1).numpy() == batch.tokens.backgrounds).ravel())
        hits["onset"].append((heads.onsets(states).argmax(-1).numpy() == batch.tokens.onsets).ravel())
    return {name: float(np.concatenate(rights).mean()) for name, rights in hits.items()}
