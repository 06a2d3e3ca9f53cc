"""A model from a folder or the hub, of a class of transformers: safetensors weights only, none missing, none made up.

Every weight of the model is in its files, in its shape: what transformers would make up for a weight that is missing
is refused. Runs no code that comes with a model.
"""

import re
from pathlib import Path
from typing import Any

import torch

from earmark.engine.answerers.model_folder import count_weights
from earmark.engine.errors import InputError, first_few

# Omni's voice, which only writes sound; what follows from the configuration
_ELSEWHERE = re.compile(r"(talker|token2wav|code2wav)\.|.*rotary_emb\.inv_freq$")


def whole_model(kind: Any, place: str, device: str, dtype: str, unused: str = "") -> Any:
    """The model of this class on a device; weights that begin with `unused` may be absent.

    InputError by name for weights that are missing, have another shape, or are not the model's.
    """
    if Path(place).is_dir():
        _check_size(kind, Path(place))
    model, loading = kind.from_pretrained(
        place,
        dtype=getattr(torch, dtype),
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are refused below, by name
    )
    _check_whole(place, loading, unused)
    return model.to(device)


def _check_size(kind: Any, folder: Path) -> None:
    """InputError where the configuration describes a larger model than there are weights: it is not even allocated."""
    weights = count_weights(folder)
    with torch.device("meta"):
        model = kind(kind.config_class.from_pretrained(folder))
    needed = sum(tensor.numel() for tensors in (model.parameters(), model.buffers()) for tensor in tensors)
    if needed > 2 * weights + (1 << 24):  # what is tied or computed is not in the files
        what = f"describes a model of {needed:,} numbers, the weights hold {weights:,}"
        raise InputError(folder / "config.json", what, "copy the whole folder again")


def _check_whole(place: str, loading: dict[str, Any], unused: str) -> None:
    """InputError for the first weights that are missing, of another shape, or not the model's."""
    missing = sorted(name for name in loading["missing_keys"] if not (unused and name.startswith(unused)))
    other = sorted(f"{name} {tuple(got)}, not {tuple(needed)}" for name, got, needed in loading["mismatched_keys"])
    surplus = sorted(name for name in loading["unexpected_keys"] if not _ELSEWHERE.match(name))
    for what, names in (("lacks weights", missing), ("has weights of another shape", other)):
        if names:
            raise InputError(place, f"{what}: {first_few(names)}", "copy the whole folder again")
    if surplus:
        what = f"has weights that its config.json leaves no place for: {first_few(surplus)}"
        raise InputError(place, what, "copy the whole folder again")
