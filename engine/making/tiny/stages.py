"""The four stages: what each learns from a batch, and the gate it must pass.

0 the decoder, on symbols instead of audio: to read options, compare, count and answer with a letter;
1 the encoder, on audio alone: to say what sounds in each token;
2 the projector, by ridge regression: from what the encoder says to the symbols the decoder reads;
3 all of it together, on audio.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy, log_softmax

from earmark.engine.corpus.synthetic.bank import bank
from earmark.engine.corpus.synthetic.questions import FAMILIES
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.making.tiny.ear import disturb
from earmark.engine.making.tiny.judge import accuracies, token_accuracy
from earmark.engine.making.tiny.network import DecoderStates, decode, encode, gather, token_loss, token_tensors
from earmark.engine.making.tiny.packed import Packed
from earmark.engine.making.tiny.state import Learner
from earmark.engine.making.tiny.training_batches import UNCLEAR, TrainingBatch, training_batch

SMOOTHING = 0.05  # share of an answer's target that is spread over all letters
ORDER = FAMILIES.index("order")
RIDGE = 1e-2  # penalty of the projector's regression, times the number of tokens
RIDGE_BATCHES = 40  # that the regression is made from


@dataclass(frozen=True, slots=True)
class TrainingStage:
    """A stage of training: `steps` steps down `loss` for some parameters, then a gate that it must pass."""

    name: str
    steps: int
    n_clips: int  # per step
    rate: float  # the highest learning rate
    parameters: Callable[[Learner], Iterator[torch.nn.Parameter]]
    loss: Callable[[Learner, TrainingBatch, np.random.Generator], torch.Tensor]
    audible: bool  # whether batches have waveforms
    gate: Callable[[Learner], dict[str, float]]  # what is measured, by name
    at_least: float  # what each of them must reach


def seeds_of(seed: int) -> tuple[int, int]:
    """The seed of the clips a run learns from, and of those its gates measure: both of the answerer's split."""
    first = Split.ANSWERER.seeds.start + 2 * seed
    return first, first + 1


def batch_of(learner: Learner, stage: int, step: int, n_clips: int, audible: bool) -> TrainingBatch:
    """The batch of a step; no two stages share one."""
    return training_batch(bank(Split.ANSWERER), seeds_of(learner.seed)[0], stage * 100_000 + step, n_clips, audible)


def symbolic_loss(learner: Learner, batch: TrainingBatch, _rng: np.random.Generator) -> torch.Tensor:
    """The loss of stage 0: answers from symbols in the place of audio."""
    packed = learner.asker.pack(batch.questions, batch.answers)
    states = decode(learner.model, learner.asker, learner.symbols(*token_tensors(batch.tokens)), packed)
    return answer_loss(learner, states, packed, batch)


def hearing_loss(learner: Learner, batch: TrainingBatch, rng: np.random.Generator) -> torch.Tensor:
    """The loss of stage 1: naming what sounds in each token of disturbed audio."""
    return token_loss(learner.heads, _disturbed_states(learner, batch, rng), batch.tokens)


def joint_loss(learner: Learner, batch: TrainingBatch, rng: np.random.Generator) -> torch.Tensor:
    """The loss of stage 3: answers from disturbed audio, and naming what sounds in each token of it."""
    packed = learner.asker.pack(batch.questions, batch.answers)
    encoder_states = _disturbed_states(learner, batch, rng)
    states = decode(learner.model, learner.asker, learner.model.model.multi_modal_projector(encoder_states), packed)
    return answer_loss(learner, states, packed, batch) + 0.3 * token_loss(learner.heads, encoder_states, batch.tokens)


def answer_loss(learner: Learner, states: DecoderStates, packed: Packed, batch: TrainingBatch) -> torch.Tensor:
    """The loss of an answer: its letter, the end of text after it, and what the heads read on the way."""
    likely = torch.from_numpy(batch.likely)
    target = (1 - SMOOTHING) * likely + SMOOTHING / likely.shape[-1]
    logits = learner.model.lm_head(gather(states.final, packed.answer_at))
    letters = log_softmax(logits, dim=-1)[..., learner.asker.letters]
    ends = learner.model.lm_head(gather(states.final, packed.answer_at + 1))
    correct = log_softmax(learner.heads.option(gather(states.options, packed.option_at)).squeeze(-1), dim=-1)
    places = learner.heads.option_slot(gather(states.positions, packed.option_at)[:, ORDER])
    tones = learner.heads.tones_so_far(states.audio)
    return (
        -(target * letters).sum(-1).mean()
        + 0.1 * cross_entropy(ends.flatten(0, 1), torch.full((ends.shape[0] * ends.shape[1],), learner.asker.end))
        - 0.5 * (likely * correct).sum(-1).mean()
        + 0.3 * cross_entropy(places.flatten(0, 1), torch.from_numpy(batch.option_slots[:, ORDER]).flatten())
        + 0.3 * cross_entropy(tones.flatten(0, 1), torch.from_numpy(batch.tokens.tones_so_far).flatten())
    )


def fit_projector(learner: Learner, n_batches: int = RIDGE_BATCHES) -> float:
    """Set the projector by ridge regression of the symbols on the encoder's states (stage 2).

    Returns the squared error that is left, as a share of the error without a fit.
    """
    inputs, targets = [], []
    with torch.no_grad():
        for step in range(n_batches):
            batch = batch_of(learner, 2, step, 24, audible=True)
            states = encode(learner.model, learner.ear.frames(torch.from_numpy(batch.waves)))
            symbols = learner.symbols(*token_tensors(batch.tokens))
            clear = torch.from_numpy(batch.tokens.classes) != UNCLEAR
            inputs.append(states[clear])
            targets.append(symbols[clear])
        x, y = torch.cat(inputs).double(), torch.cat(targets).double()
        mean_x, mean_y = x.mean(0), y.mean(0)
        x, y = x - mean_x, y - mean_y
        weight = torch.linalg.solve(x.T @ x + RIDGE * len(x) * torch.eye(x.shape[1]), x.T @ y)
        linear = learner.model.model.multi_modal_projector.linear
        linear.weight.copy_(weight.T)
        linear.bias.copy_(mean_y - mean_x @ weight)
        return float((y - x @ weight).square().sum() / y.square().sum())


def _disturbed_states(learner: Learner, batch: TrainingBatch, rng: np.random.Generator) -> torch.Tensor:
    """Encoder states (B, tokens, AUDIO_WIDTH) of a batch whose audio is disturbed."""
    waves, response = disturb(batch.waves, rng)
    return encode(learner.model, learner.ear.frames(waves, response))


def _decoder(learner: Learner) -> Iterator[torch.nn.Parameter]:
    for part in (learner.model.model.language_model, learner.model.lm_head, learner.heads, learner.symbols):
        yield from part.parameters()


def _encoder(learner: Learner) -> Iterator[torch.nn.Parameter]:
    for part in (learner.model.model.audio_tower, learner.heads):
        yield from part.parameters()


def _everything(learner: Learner) -> Iterator[torch.nn.Parameter]:
    for part in (learner.model, learner.heads):
        yield from part.parameters()


def _projector(learner: Learner) -> Iterator[torch.nn.Parameter]:
    yield from learner.model.model.multi_modal_projector.parameters()


def _gate_symbols(learner: Learner) -> dict[str, float]:
    return accuracies(learner, seeds_of(learner.seed)[1], n_clips=200, audible=False)


def _gate_hearing(learner: Learner) -> dict[str, float]:
    return token_accuracy(learner, seeds_of(learner.seed)[1], n_clips=200)


def _gate_projector(learner: Learner) -> dict[str, float]:
    return {"explained": 1 - fit_projector(learner)}


def _gate_joint(learner: Learner) -> dict[str, float]:
    return accuracies(learner, seeds_of(learner.seed)[1], n_clips=500, audible=True)


def _nothing(_learner: Learner, _batch: TrainingBatch, _rng: Any) -> torch.Tensor:
    raise AssertionError("the projector is solved for, not descended to")


STAGES = (
    TrainingStage("decoder on symbols", 1_800, 16, 1e-3, _decoder, symbolic_loss, False, _gate_symbols, 0.95),
    TrainingStage("encoder on tokens", 960, 16, 2e-3, _encoder, hearing_loss, True, _gate_hearing, 0.92),
    TrainingStage("projector by ridge", 0, 24, 0.0, _projector, _nothing, True, _gate_projector, 0.75),
    TrainingStage("everything on audio", 2_160, 12, 1.2e-3, _everything, joint_loss, True, _gate_joint, 0.95),
)
