"""The thinker of Qwen2.5-Omni: its audio tower restarts every two seconds, so windows are encoded as one batch.

Equal windows of a batch (by the bytes of their mel frames) are encoded once. Speech and vision parts are not loaded;
nor is the processor, which pads to five minutes.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from earmark.engine.answerers import prompt
from earmark.engine.answerers.qwen.encoder import convolution, encoder_layers
from earmark.engine.answerers.qwen.model_parts import parts
from earmark.engine.answerers.qwen.qwen_family import Qwen
from earmark.engine.answerers.shared.cost import Cost, EncoderShape

Tensor = torch.Tensor


class Qwen25Omni(Qwen):
    """The thinker, any size."""

    between = "<|audio_eos|><|audio_bos|>"

    def __init__(
        self, model: Any, tokenizer: Any, extractor: Any, name: str, template: prompt.Template = prompt.QWEN25_OMNI
    ) -> None:
        self._tower = model.model.audio_tower
        self._conv1, self._conv2 = convolution(self._tower.conv1), convolution(self._tower.conv2)
        self._layers = encoder_layers(self._tower)
        self._window = 2 * int(self._tower.n_window)  # mel frames
        if self._window % 4:
            raise ValueError(f"windows of {self._window} frames do not pool into whole tokens")
        super().__init__(model, tokenizer, extractor, template, name)

    @classmethod
    def load(cls, place: str, name: str, device: str, dtype: str) -> "Qwen25Omni":
        """From a folder or the hub."""
        model, tokenizer, extractor = parts(
            "Qwen2_5OmniThinkerForConditionalGeneration", place, device, dtype, unused="model.visual."
        )
        model.model.visual = None
        return cls(model, tokenizer, extractor, name=name)

    def _encoder_shape(self) -> EncoderShape:
        config = self._tower.config
        return EncoderShape(
            layers=config.encoder_layers,
            width=config.d_model,
            ffn=config.encoder_ffn_dim,
            mels=config.num_mel_bins,
            out=config.output_dim,
            hop=self.mel.hop,
            longest_samples=self.mel.window_samples,
            window_frames=self._window,
        )

    def _encode(self, mel: Tensor, valid: list[int]) -> Tensor:
        rows, frames, mels = mel.shape
        window = self._window
        windows = -(-frames // window)
        padded = F.pad(mel, (0, 0, 0, windows * window - frames)).view(rows, windows, window, mels)
        of_row = [-(-n // window) for n in valid]
        lengths = [min(window, n - i * window) for n, count in zip(valid, of_row, strict=True) for i in range(count)]
        used = torch.cat([padded[i, :count] for i, count in enumerate(of_row)])
        used = used.masked_fill(_beyond(lengths, window, mel.device)[:, :, None], 0.0)  # as Hugging Face pads
        first, inverse = _distinct(used, lengths)
        states = self._encode_windows(used[first], [lengths[i] for i in first])[inverse]
        # A window's states are pooled in pairs; every window but a row's last has an even number of them.
        out = states.new_zeros(rows, max(1, windows * (window // 2) // 2), states.shape[-1])
        at = 0
        for row, count in enumerate(of_row):
            tokens = states[at : at + count].flatten(0, 1)
            out[row, : min(len(tokens), out.shape[1])] = tokens[: out.shape[1]]
            at += count
        return out

    def _encode_windows(self, mel: Tensor, lengths: list[int]) -> Tensor:
        """(windows, tokens of a whole window, width of the decoder)."""
        longest = max(lengths)
        longest += longest % 2
        mel = mel[:, :longest]
        beyond = _beyond(lengths, longest, mel.device)[:, :, None]
        x = self._conv1(mel).masked_fill(beyond, 0.0)
        x = self._conv2(x)
        x = x + self._tower.positional_embedding.positional_embedding[: x.shape[1]].to(x.dtype)
        x = self._layers.run(x, [(n - 1) // 2 + 1 for n in lengths])
        x = x[:, : x.shape[1] // 2 * 2]
        x = (x[:, 0::2] + x[:, 1::2]) / 2
        norm = self._tower.ln_post
        x = self._tower.proj(F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias))
        self.counted += Cost(len(lengths) * longest, 0, len(lengths) * self.shape.encoder.flops(longest))
        return F.pad(x, (0, 0, 0, self._window // 4 - x.shape[1]))


def _beyond(lengths: list[int], length: int, device: torch.device) -> Tensor:
    """(rows, length) True after each row's length."""
    return (torch.arange(length)[None] >= torch.tensor(lengths)[:, None]).to(device)


def _distinct(windows: Tensor, lengths: list[int]) -> tuple[list[int], Tensor]:
    """The first of each set of equal windows, and which of those each window equals."""
    seen: dict[tuple[int, bytes], int] = {}
    first: list[int] = []
    inverse: list[int] = []
    host = windows.float().cpu().numpy()
    for i, length in enumerate(lengths):
        key = (length, np.ascontiguousarray(host[i]).tobytes())
        if key not in seen:
            seen[key] = len(first)
            first.append(i)
        inverse.append(seen[key])
    return first, torch.tensor(inverse, device=windows.device)
