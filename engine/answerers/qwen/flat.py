"""Memory that kernels work in: flat arrays with room for sixteen values after the last, which they take at once."""

import numpy as np
import numpy.typing as npt
import torch

from earmark.kernels.neural.simd import LANES

Tensor = torch.Tensor

NOTHING = (np.zeros(0, np.float32), np.zeros(0, np.float32))


def room(count: int) -> Tensor:
    """A flat array of so many values."""
    return torch.empty(count + LANES)


def flat(x: Tensor) -> Tensor:
    """A flat copy."""
    out = torch.zeros(x.numel() + LANES)
    out[: x.numel()] = x.reshape(-1)
    return out


def shaped(array: Tensor, rows: int, columns: int) -> Tensor:
    """The first values of a flat array as a matrix."""
    return array[: rows * columns].view(rows, columns)


def part(array: Tensor, count: int) -> npt.NDArray[np.float32]:
    """The first values of a flat array, with that room, for a kernel."""
    return array[: count + LANES].numpy()
