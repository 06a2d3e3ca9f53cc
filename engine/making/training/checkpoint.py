"""A training run on disk after every epoch: what is learnt so far, in a safetensors file, with a hash of all of it.

A checkpoint belongs to its data, recipe, seed and vocabulary; another one's is refused, and so is one that was changed.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from earmark.engine.compressors.card import is_epoch
from earmark.engine.compressors.chunks.learned import ChunkScorer, check_tensors
from earmark.engine.errors import InputError
from earmark.engine.files import write_file
from earmark.engine.reading import parse_json, read_bytes

_BEGIN_AGAIN = "delete it to begin again"
_MOST_BYTES = 1 << 33
_STATE = "earmark.training"  # a line of JSON in the file's metadata


class Epoch(NamedTuple):
    """One point of the curves: the losses of one epoch."""

    epoch: int
    train_loss: float
    loss: float  # validation, without noise
    captured: dict[str, float]  # by budget: share of the relevance kept, of what could be kept


class LearningCurve(NamedTuple):
    """How far a run is, beside its tensors."""

    best_epoch: int
    curves: list[Epoch]


def save_checkpoint(
    path: Path,
    scorer: ChunkScorer,
    descent: torch.optim.Optimizer,
    best: Mapping[str, Tensor],
    curve: LearningCurve,
    belongs: Mapping[str, Any],
) -> None:
    """Write a checkpoint, whole or not at all; `belongs` says which data, recipe, seed and vocabulary it is of."""
    tensors = _tensors(scorer, descent, best)
    state = {"belongs": belongs, "best_epoch": curve.best_epoch, "curves": [e._asdict() for e in curve.curves]}
    text = json.dumps(state, sort_keys=True)
    write_file(path, save_tensors(tensors, {_STATE: text, "sha256": _digest(text, tensors)}))


def restore_checkpoint(
    path: Path,
    scorer: ChunkScorer,
    descent: torch.optim.Optimizer,
    best: Mapping[str, Tensor],
    belongs: Mapping[str, Any],
) -> LearningCurve:
    """Set scorer, optimizer and best weights to a checkpoint; InputError where it is damaged or another run's."""
    data = read_bytes(path, _BEGIN_AGAIN, _MOST_BYTES)
    try:
        header = parse_json(data[8 : 8 + int.from_bytes(data[:8], "little")], path, _BEGIN_AGAIN)
        tensors, metadata = load_tensors(data), header["__metadata__"]
        text, digest = metadata[_STATE], metadata["sha256"]
    except InputError:
        raise
    except Exception as error:  # safetensors raises classes of its own
        what = f"is no checkpoint that can be read ({str(error)[:200] or type(error).__name__})"
        raise InputError(path, what, _BEGIN_AGAIN) from None
    if digest != _digest(text, tensors):
        raise InputError(path, "is damaged: its hash is another", _BEGIN_AGAIN)
    state = parse_json(text, path, _BEGIN_AGAIN)
    curve = _curve(state)
    if curve is None:
        raise InputError(path, "does not say how far it is", _BEGIN_AGAIN)
    if state.get("belongs") != belongs:
        what = "is of other data, another recipe, seed or tokenizer"
        raise InputError(path, what, f"{_BEGIN_AGAIN}, or train as it was begun")
    _begin_moments(descent)
    check_tensors(tensors, _tensors(scorer, descent, best), path, _BEGIN_AGAIN)
    with torch.no_grad():
        for name, tensor in _tensors(scorer, descent, best).items():
            tensor.copy_(tensors[name])
    return curve


def _curve(state: Any) -> LearningCurve | None:
    """The epochs that are done and the best of them; None where that is not what is there."""
    if not isinstance(state, dict) or not isinstance(state.get("curves"), list):
        return None
    curves, best = state["curves"], state.get("best_epoch")
    if not all(is_epoch(entry) and entry.keys() == {*Epoch._fields} for entry in curves):
        return None
    if [entry["epoch"] for entry in curves] != [*range(1, len(curves) + 1)]:
        return None
    if not isinstance(best, int) or not 1 <= best <= len(curves):
        return None
    return LearningCurve(best, [Epoch(**entry) for entry in curves])


def _tensors(scorer: ChunkScorer, descent: torch.optim.Optimizer, best: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All that training changes, by name; not copies."""
    tensors = {f"weights.{name}": tensor for name, tensor in scorer.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    for name, parameter in scorer.named_parameters():
        tensors |= {f"descent.{name}.{key}": moment for key, moment in descent.state[parameter].items()}
    return tensors


def _begin_moments(descent: torch.optim.Optimizer) -> None:
    """What AdamW makes in its first step, to be overwritten."""
    for group in descent.param_groups:
        for parameter in group["params"]:
            moments = {key: torch.zeros_like(parameter) for key in ("exp_avg", "exp_avg_sq")}
            descent.state[parameter] = {"step": torch.tensor(0.0), **moments}


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the state and of every tensor, in the order of their names."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().contiguous().numpy().tobytes())
    return digest.hexdigest()
