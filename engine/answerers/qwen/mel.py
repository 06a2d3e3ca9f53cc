"""Log-mel frames of what may be heard, equal to WhisperFeatureExtractor's on the padded window, without the padding.

The frames of a whole clip are computed once and kept without the clamp; a subset of its chunks takes them over and
recomputes only those that reach over a join, the start or the end, then clamps to its own maximum (the clamp and the
joins are why nothing later than this can be shared between subsets). Knows no model.

    frame t looks at samples [t hop - n_fft / 2, t hop + n_fft / 2); before 0 and beyond the window the audio is
    mirrored, between its end and the window's end it is silent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from earmark.engine.arrays import Waveform
from earmark.engine.corpus.clip import CHUNK_SAMPLES

SILENCE = -10.0  # log10 of the extractor's floor, 1e-10


@dataclass(frozen=True, slots=True)
class ClipFrames:
    """A clip as its subsets need it."""

    samples: torch.Tensor  # (N,) on the host
    log: torch.Tensor  # (frames, mels), not clamped, on the device

    @property
    def nbytes(self) -> int:
        return self.samples.nbytes + self.log.nbytes


class Mel:
    """One extractor's parameters, and its frames."""

    def __init__(self, extractor: Any, device: torch.device) -> None:
        if extractor.dither or extractor.padding_value:
            raise ValueError("an extractor with dither, or that pads with anything but silence, is not supported")
        if CHUNK_SAMPLES % extractor.hop_length or extractor.n_fft > 4 * extractor.hop_length:
            raise ValueError(f"hop {extractor.hop_length} and n_fft {extractor.n_fft} do not fit one-second chunks")
        self.hop = int(extractor.hop_length)
        self.n_fft = int(extractor.n_fft)
        self.window_samples = int(extractor.n_samples)
        self.device = device
        filters = torch.from_numpy(extractor.mel_filters).to(device, torch.float32)  # (bins, mels)
        self.mels = int(filters.shape[1])
        self._filters = filters.repeat_interleave(2, dim=0)  # one row for the real part's square, one for the other's
        self._hann = torch.hann_window(self.n_fft, device=device)

    def clip(self, waveform: Waveform) -> ClipFrames:
        """The frames of a whole clip, mirrored at its start, silent after its end."""
        half = self.n_fft // 2
        samples = torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32))
        mirrored = samples[1 : half + 1].flip(0)
        padded = torch.cat([mirrored.new_zeros(half - len(mirrored)), mirrored, samples, samples.new_zeros(self.n_fft)])
        frames = -(-len(samples) // self.hop)
        return ClipFrames(samples, self._log(padded.to(self.device).unfold(0, self.n_fft, self.hop)[:frames]))

    def subsets(self, heard: Sequence[tuple[ClipFrames, Sequence[int]]], frames: int) -> torch.Tensor:
        """(subsets, frames, mels) of so many chunks of so many clips, clamped and scaled; silence fills the rest."""
        out = torch.full((len(heard), frames, self.mels), SILENCE, device=self.device)
        anew: list[int] = []
        windows: list[Waveform] = []
        for row, (clip, chunks) in enumerate(heard):
            kept = _KeptFrames(clip.samples.numpy(), chunks, self)
            at = 0
            for first, last in kept.frames():
                out[row, at : at + last - first] = clip.log[first:last]
                at += last - first
            stale = kept.stale(frames)
            anew += [row * frames + t for t in stale]
            windows += [kept.window(t) for t in stale]
        if windows:
            places = torch.tensor(anew, device=self.device)
            out.view(-1, self.mels)[places] = self._log(torch.from_numpy(np.stack(windows)).to(self.device))
        highest = out.amax(dim=(1, 2), keepdim=True)
        return torch.maximum(out, highest - 8.0, out=out).add_(4.0).mul_(0.25)

    def _log(self, windows: torch.Tensor) -> torch.Tensor:
        """(n, n_fft) samples -> (n, mels) log10 of the mel power."""
        parts = torch.view_as_real(torch.fft.rfft(windows * self._hann)).flatten(1)
        return (parts.square_() @ self._filters).clamp_(min=1e-10).log10_()


class _KeptFrames:
    """Some chunks of a clip, in order, as samples and frames of that clip."""

    def __init__(self, samples: Waveform, chunks: Sequence[int], mel: Mel) -> None:
        self._clip = samples
        self._hop, self._half, self._window = mel.hop, mel.n_fft // 2, mel.window_samples
        self._runs: list[tuple[int, int, int]] = []  # [start, end) in what is kept, start in the clip
        at = 0
        for chunk in chunks:
            begin = chunk * CHUNK_SAMPLES
            length = min(CHUNK_SAMPLES, len(samples) - begin)
            if self._runs and self._runs[-1][2] + at - self._runs[-1][0] == begin:
                self._runs[-1] = (self._runs[-1][0], at + length, self._runs[-1][2])
            else:
                self._runs.append((at, at + length, begin))
            at += length
        self._samples = at

    def frames(self) -> list[tuple[int, int]]:
        """The clip's frames [first, last) for those that begin within the kept audio, run by run."""
        hop = self._hop
        return [(clip // hop, clip // hop - (-(end - at) // hop)) for at, end, clip in self._runs]

    def stale(self, frames: int) -> list[int]:
        """Frames that hear more or less than the clip's: over a join, at the start, at the end and after it."""
        hop, half, samples = self._hop, self._half, self._samples
        # the last frame that hears any of it; the extractor drops the one that begins where the window ends
        heard = min(frames, (samples + half - 1) // hop + 1, self._window // hop)
        stale: set[int] = set(range(-(-samples // hop), heard))
        for at, _, _ in self._runs[1:]:
            stale.update(range((at - half) // hop + 1, (at + half - 1) // hop + 1))
        if self._runs[0][2] != 0:
            stale.update(range((half - 1) // hop + 1))
        at, end, clip = self._runs[-1]
        edge = self._window if clip + end - at == len(self._clip) else samples
        stale.update(range(max(0, (edge - half) // hop + 1), heard))
        return sorted(t for t in stale if 0 <= t < heard)

    def window(self, frame: int) -> Waveform:
        """The samples that a frame hears: mirrored before the start and beyond the window, silent after the end."""
        start = frame * self._hop - self._half
        end = start + 2 * self._half
        out = self._read(max(start, 0), min(end, self._window))
        if start < 0:
            out = np.concatenate([self._read(1, 1 - start)[::-1], out])
        if end > self._window:
            out = np.concatenate([out, self._read(2 * self._window - 1 - end, self._window - 1)[::-1]])
        return out

    def _read(self, start: int, end: int) -> Waveform:
        """Kept samples [start, end), silence where there are none."""
        out = np.zeros(end - start, dtype=np.float32)
        for at, stop, clip in self._runs:
            low, high = max(start, at), min(end, stop)
            if low < high:
                out[low - start : high - start] = self._clip[clip + low - at : clip + high - at]
        return out
