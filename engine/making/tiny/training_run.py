"""The training run: stage after stage, a gate after each, a checkpoint every few steps.

A gate that is missed stops the run with what was measured. Knows no command line.
"""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import transformers

from earmark.engine.errors import EarmarkError
from earmark.engine.making.tiny.architecture import save
from earmark.engine.making.tiny.stages import STAGES, TrainingStage, batch_of, seeds_of
from earmark.engine.making.tiny.state import Learner

STEPS_PER_CHECKPOINT = 100
STEPS_PER_REPORT = 50
WARMUP = 50
WEIGHT_DECAY = 0.02
CLIP_NORM = 1.0
RECORD = "training.json"  # beside the weights: the seed, and what every gate measured
VERSIONS = {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__}

Say = Callable[[str], None]


class GateError(EarmarkError):
    """A stage did not learn what the next one needs."""

    exit_code = 3


def train(
    seed: int, out: Path, work: Path, say: Say, stages: Sequence[TrainingStage] = STAGES, length: float = 1.0
) -> Learner:
    """Train from nothing, or from the checkpoint in `work`, and write the model's folder to `out`.

    `length` multiplies the steps of every stage.
    """
    work.mkdir(parents=True, exist_ok=True)
    stages = [replace(stage, steps=round(length * stage.steps)) for stage in stages]
    checkpoint = work / f"seed-{seed}.pt"
    learner = Learner.new(seed)
    if checkpoint.exists():
        learner.load(checkpoint)
        say(f"going on from {checkpoint}: stage {learner.stage}, step {learner.step}")
    while learner.stage < len(stages):
        run_stage(learner, stages[learner.stage], checkpoint, say)
    out.mkdir(parents=True, exist_ok=True)
    save(learner.model, learner.processor, out)
    record = {
        "seed": seed,
        "length": length,
        "minutes": learner.seconds / 60,
        "versions": VERSIONS,
        "stages": learner.reports,
    }
    (out / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    say(f"wrote {out} after {learner.seconds / 60:.1f} minutes of training")
    return learner


def run_stage(learner: Learner, stage: TrainingStage, checkpoint: Path, say: Say) -> None:
    """Finish the stage that the learner is in, check its gate and go on to the next."""
    began = time.perf_counter() - learner.seconds
    parameters = [p for p in dict.fromkeys(stage.parameters(learner)) if p.requires_grad]
    descent = torch.optim.AdamW(parameters, lr=stage.rate, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY)
    if learner.optimizer is not None:
        descent.load_state_dict(learner.optimizer)
    losses = []
    while learner.step < stage.steps:
        losses.append(_step(learner, stage, descent, parameters))
        learner.step += 1
        learner.seconds = time.perf_counter() - began
        if learner.step % STEPS_PER_REPORT == 0:
            mean = float(np.mean(losses[-STEPS_PER_REPORT:]))
            say(f"{learner.seconds / 60:5.1f} min  {stage.name}  step {learner.step} of {stage.steps}  loss {mean:.4f}")
        if learner.step % STEPS_PER_CHECKPOINT == 0:
            learner.optimizer = descent.state_dict()
            learner.save(checkpoint)
    with torch.no_grad():
        measured = stage.gate(learner)
    learner.seconds = time.perf_counter() - began
    figures = ", ".join(f"{name} {value:.3f}" for name, value in measured.items())
    say(f"{learner.seconds / 60:5.1f} min  {stage.name}  gate {stage.at_least}: {figures}")
    missed = [name for name, value in measured.items() if not value >= stage.at_least]
    if missed:
        raise GateError(
            f"stage {learner.stage} ({stage.name})",
            f"{', '.join(missed)} below {stage.at_least} ({figures})",
            "train with another --seed, or delete the checkpoint to start again",
        )
    spent = {"steps": stage.steps, "minutes": learner.seconds / 60}
    learner.reports.append({"stage": stage.name, **spent, "gate": stage.at_least, "measured": measured})
    learner.stage, learner.step, learner.optimizer = learner.stage + 1, 0, None
    learner.save(checkpoint)


def _step(
    learner: Learner, stage: TrainingStage, descent: torch.optim.Optimizer, parameters: list[torch.nn.Parameter]
) -> float:
    for group in descent.param_groups:
        group["lr"] = stage.rate * _schedule(learner.step, stage.steps)
    batch = batch_of(learner, learner.stage, learner.step, stage.n_clips, stage.audible)
    rng = np.random.default_rng((seeds_of(learner.seed)[0], learner.stage, learner.step, 3))
    loss = stage.loss(learner, batch, rng)
    descent.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
    descent.step()
    return float(loss.detach())


def _schedule(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to nothing."""
    warm = min(1.0, (step + 1) / min(WARMUP, max(1, steps // 4)))
    return warm * 0.5 * (1 + math.cos(math.pi * step / steps))
