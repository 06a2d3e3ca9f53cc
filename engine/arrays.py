"""The kinds of array that rooms hand to one another. Shapes stand in docstrings: (B,) or (families, budgets)."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.floating]  # (T,) one a chunk, as a selector makes them
Waveform = npt.NDArray[np.float32]  # (samples,) mono at 16 kHz, finite
