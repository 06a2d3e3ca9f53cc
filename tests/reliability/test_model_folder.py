"""A model's folder that is not whole is refused by what is missing: nothing is made up in its place, and certified."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import assert_refused, earmark
from safetensors.numpy import load_file, save_file

EMBEDDED = Path(__file__).parents[2] / "engine" / "answerers" / "tiny"
SPEC = """
[corpus]
path = "synthetic:certification:1"
[[answerers]]
model = "{model}"
[sweep]
budgets = [0.5]
[[methods]]
name = "energy"
[audits]
flip_rate = 0
"""


def weight_name(weights: dict[str, np.ndarray]) -> str:
    """The weight as the file calls it."""
    return next(name for name in weights if name.endswith("layers.1.mlp.up_proj.weight"))


def drop_weight(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    del weights[weight_name(weights)]
    save_file(weights, model / "model.safetensors", {"format": "pt"})


def cut_weight(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    weights[weight_name(weights)] = weights[weight_name(weights)][:-1].copy()
    save_file(weights, model / "model.safetensors", {"format": "pt"})


def enlarge(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config["text_config"]["hidden_size"] = 4 << 20
    (model / "config.json").write_text(json.dumps(config))


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (drop_weight, "layers.1.mlp.up_proj.weight"),
    (cut_weight, "layers.1.mlp.up_proj.weight"),
    (enlarge, "describes a model of"),
    (lambda model: (model / "config.json").write_text("[" * 100_000), "config.json"),
]


@pytest.mark.parametrize(("damage", "word"), DAMAGES)
def test_a_damaged_model_is_refused(tmp_path: Path, damage: Callable[[Path], object], word: str) -> None:
    model = tmp_path / "model"
    shutil.copytree(EMBEDDED, model, ignore=shutil.ignore_patterns("__pycache__", "b", "*.py"))
    damage(model)
    (tmp_path / "spec.toml").write_text(SPEC.format(model=model))
    assert_refused(earmark("run", "spec.toml", "--out", "run", cwd=tmp_path), word)
    assert not (tmp_path / "run" / "certificate.json").exists()


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    device = "mps" if torch.cuda.is_available() else "cuda"
    (tmp_path / "spec.toml").write_text(SPEC.format(model="tiny") + f'[machine]\ndevice = "{device}"\n')
    assert_refused(earmark("run", "spec.toml", "--out", "run", cwd=tmp_path), f"device {device}", "cpu")
