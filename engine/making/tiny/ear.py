"""From waveforms to log-mel frames as the Hugging Face extractor makes them, with or without disturbances.

A clip that does not fill the extractor's ten seconds gets two more frames of silence: the encoder's convolutions reach
no further, so a trimmed clip gives what a padded one would. Knows no model.
"""

import numpy as np
import torch
from transformers import WhisperFeatureExtractor

from earmark.engine.corpus.example import SAMPLE_RATE
from earmark.engine.making.tiny.architecture import FRAMES, HOP, N_FFT


class Ear:
    """Computes what the extractor does, for batches of clips of equal length."""

    def __init__(self, extractor: WhisperFeatureExtractor) -> None:
        self._filters = torch.from_numpy(np.ascontiguousarray(extractor.mel_filters.T)).float()  # (mels, bins)
        self._window = torch.hann_window(N_FFT)

    def frames(self, waves: torch.Tensor, response: torch.Tensor | None = None) -> torch.Tensor:
        """Log-mel frames (B, mels, frames) of (B, samples); `response` (B, bins) multiplies the power of each bin."""
        frames = min(waves.shape[1] // HOP + 2, FRAMES)
        if frames < FRAMES:
            waves = torch.nn.functional.pad(waves, (0, 2 * HOP))
        spectrum = torch.stft(waves, N_FFT, HOP, window=self._window, return_complex=True)[..., :frames]
        power = torch.view_as_real(spectrum).square().sum(-1)
        if response is not None:
            power = power * response[:, :, None]
        log = (self._filters @ power).clamp(min=1e-10).log10()
        log = torch.maximum(log, log.amax(dim=(1, 2), keepdim=True) - 8.0)
        return (log + 4.0) / 4.0


def disturb(waves: np.ndarray, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Disturbed clips (B, samples), and the response (B, bins) of the low-pass that `Ear.frames` then applies.

    Half of the clips get noise, half another level, half a low-pass and a fifth an offset: noise of -75 to -55 dB of
    full scale (before the gain), gain of -20 to +6 dB, cut-off of 3 to 8 kHz, offset up to .02.
    """
    n_clips = len(waves)
    disturbed = waves.copy()
    for i in range(n_clips):
        if rng.random() < 0.5:
            noise = rng.standard_normal(waves.shape[1], dtype=np.float32)
            disturbed[i] += noise * np.float32(10 ** (rng.uniform(-75, -55) / 20))
        if rng.random() < 0.5:
            disturbed[i] *= np.float32(10 ** (rng.uniform(-20, 6) / 20))
        if rng.random() < 0.2:
            disturbed[i] += np.float32(rng.uniform(-0.02, 0.02))
    hz = np.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    cut = np.where(rng.random(n_clips) < 0.5, rng.uniform(3_000, 8_000, size=n_clips), 1e6)
    response = 1 / (1 + (hz[None, :] / cut[:, None]) ** 8)
    return torch.from_numpy(disturbed), torch.from_numpy(response.astype(np.float32))
