"""Slow twins of the compressors of waves: plain loops, nothing from earmark."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


def likeness(frame: Doubles, wanted: Doubles) -> float:
    """The product of two frames over the size of the first; sums run in the order of time."""
    product = energy = 0.0
    for y, w in zip(frame.tolist(), wanted.tolist(), strict=True):
        product += w * y
        energy += y * y
    return product / float(np.sqrt(energy)) if energy > 0 else 0.0


def wsola(samples: npt.NDArray[np.float32], n_out: int, frame: int, search: int) -> npt.NDArray[np.float32]:
    """Frames of the clip, half a frame apart in what comes out, each from where it continues the one before best."""
    x = np.concatenate([samples.astype(np.float64), np.zeros(2 * frame + search)])
    window = [float(np.sin(np.pi * (i + 0.5) / frame) ** 2) for i in range(frame)]
    total, weight = [0.0] * n_out, [0.0] * n_out
    at = 0
    for begin in range(0, n_out, frame // 2):
        if begin:
            wanted = x[at + frame // 2 :][:frame]
            nominal = begin * len(samples) // n_out
            places = [nominal, *range(max(0, nominal - search), nominal + search + 1)]
            at = max(places, key=lambda place: likeness(x[place : place + frame], wanted))
        for i in range(min(frame, n_out - begin)):
            total[begin + i] += window[i] * float(x[at + i])
            weight[begin + i] += window[i]
    return np.array([t / w for t, w in zip(total, weight, strict=True)], dtype=np.float32)


def loud_frames(samples: Sequence[float], keep: int, frame: int) -> list[float]:
    """The `keep` loudest frames, joined in the order of time; the earlier of equals."""
    frames = [samples[i : i + frame] for i in range(0, len(samples), frame)]
    power = [sum(x * x for x in samples) / len(samples) for samples in frames]
    loudest = sorted(range(len(frames)), key=lambda i: (-power[i], i))[:keep]
    return [x for i in sorted(loudest) for x in frames[i]]
