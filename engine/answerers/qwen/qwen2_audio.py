"""Qwen2-Audio: the encoder without the padding that Hugging Face's insists on.

Its outputs are those of the padded window: padding is masked there, and reaches valid positions only through the
convolutions' edges, which two more frames of what follows the audio reproduce.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from earmark.engine.answerers import prompt
from earmark.engine.answerers.qwen.encoder import convolution, encoder_layers
from earmark.engine.answerers.qwen.model_parts import parts
from earmark.engine.answerers.qwen.qwen_family import Qwen
from earmark.engine.answerers.shared.cost import Cost, EncoderShape

Tensor = torch.Tensor


class Qwen2Audio(Qwen):
    """Qwen2-Audio, any size."""

    between = "<|audio_eos|>\nAudio {}: <|audio_bos|>"

    def __init__(
        self, model: Any, tokenizer: Any, extractor: Any, name: str, template: prompt.Template = prompt.QWEN2_AUDIO
    ) -> None:
        self._tower = model.model.audio_tower
        self._conv1, self._conv2 = convolution(self._tower.conv1), convolution(self._tower.conv2)
        self._layers = encoder_layers(self._tower)
        super().__init__(model, tokenizer, extractor, template, name)

    @classmethod
    def load(cls, place: str, name: str, device: str, dtype: str) -> "Qwen2Audio":
        """From a folder or the hub."""
        return cls(*parts("Qwen2AudioForConditionalGeneration", place, device, dtype), name=name)

    def _encoder_shape(self) -> EncoderShape:
        config = self._tower.config
        if config.max_source_positions * 2 != self.mel.window_samples // self.mel.hop:
            raise ValueError("the extractor's window is not the encoder's")
        return EncoderShape(
            layers=config.encoder_layers,
            width=config.d_model,
            ffn=config.encoder_ffn_dim,
            mels=config.num_mel_bins,
            out=self.model.config.text_config.hidden_size,
            hop=self.mel.hop,
            longest_samples=self.mel.window_samples,
            window_frames=None,
        )

    def _encode(self, mel: Tensor, valid: list[int]) -> Tensor:
        frames = mel.shape[1]
        x = self._conv1(mel)
        x = self._conv2(x) + self._tower.embed_positions.weight[: frames // 2]
        x = self._layers.run(x, [(n - 1) // 2 + 1 for n in valid])
        x = (x[:, 0::2][:, : frames // 4] + x[:, 1::2][:, : frames // 4]) / 2
        norm = self._tower.layer_norm
        x = F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias)
        self.counted += Cost(mel.shape[0] * frames, 0, mel.shape[0] * self.shape.encoder.flops(frames))
        return self.model.model.multi_modal_projector(x)  # type: ignore[no-any-return]
