"""The means of groups of audio states, on their device. Knows no model."""

import numpy as np
import torch

from earmark.engine.compressors.tokens.reduction import Reduction


def means_of(states: torch.Tensor, reduction: Reduction) -> torch.Tensor:
    """(k, width) of the states (n, width); a group of one is as it was."""
    kept = np.flatnonzero(reduction.group >= 0)
    group = torch.from_numpy(reduction.group[kept]).to(states.device)
    sums = states.new_zeros(reduction.k, states.shape[1], dtype=torch.float32)
    sums.index_add_(0, group, states[torch.from_numpy(kept).to(states.device)].float())
    counts = torch.from_numpy(reduction.counts).to(states.device)
    return (sums / counts[:, None]).to(states.dtype)
