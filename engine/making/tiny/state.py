"""What training changes, and its checkpoints: a killed run that is started again ends as if it had not been killed.

Knows nothing of batches or losses.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2AudioForConditionalGeneration, Qwen2AudioProcessor

from earmark.engine.making.tiny.architecture import make_model, make_processor
from earmark.engine.making.tiny.ear import Ear
from earmark.engine.making.tiny.network import Heads, Symbols
from earmark.engine.making.tiny.packed import Asker


@dataclass(slots=True)
class Learner:
    """The model, the heads and symbols that training adds to it, and how far the training is."""

    seed: int
    processor: Qwen2AudioProcessor
    model: Qwen2AudioForConditionalGeneration
    heads: Heads
    symbols: Symbols
    asker: Asker
    ear: Ear
    stage: int = 0  # the stage it is in
    step: int = 0  # steps of that stage that are done
    seconds: float = 0.0  # spent so far, interruptions left out
    reports: list[dict[str, Any]] = field(default_factory=list)  # of the stages that passed their gates
    optimizer: dict[str, Any] | None = None  # its state inside a stage

    @classmethod
    def new(cls, seed: int) -> "Learner":
        """A learner with random weights, before its first step."""
        processor = make_processor()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            heads, symbols = Heads(), Symbols()
        model = make_model(processor.tokenizer, seed)
        return cls(seed, processor, model, heads, symbols, Asker(processor.tokenizer), Ear(processor.feature_extractor))

    @classmethod
    def opened(cls, folder: Path) -> "Learner":
        """A finished model from its folder, to be measured."""
        processor = Qwen2AudioProcessor.from_pretrained(folder)
        model = Qwen2AudioForConditionalGeneration.from_pretrained(folder)
        model.train(False)
        asker, ear = Asker(processor.tokenizer), Ear(processor.feature_extractor)
        return cls(0, processor, model, Heads(), Symbols(), asker, ear)

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        parts = {name: getattr(self, name).state_dict() for name in ("model", "heads", "symbols")}
        progress = {name: getattr(self, name) for name in ("seed", "stage", "step", "seconds", "reports", "optimizer")}
        part = path.with_suffix(".part")
        torch.save(parts | progress, part)
        os.replace(part, path)

    def load(self, path: Path) -> None:
        """Set the learner to a checkpoint of the same seed; ValueError for one of another seed."""
        saved = torch.load(path, weights_only=True)
        if saved["seed"] != self.seed:
            raise ValueError(f"{path}: a checkpoint of seed {saved['seed']}, not of {self.seed}")
        for name in ("model", "heads", "symbols"):
            getattr(self, name).load_state_dict(saved[name])
        for name in ("stage", "step", "seconds", "reports", "optimizer"):
            setattr(self, name, saved[name])
