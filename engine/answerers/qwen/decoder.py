"""A Qwen2 decoder that does no work twice: keys and values that many questions share, and logits only where they are
read.

Reads the weights of a Hugging Face `Qwen2Model` or of the Omni thinker's text model (audio positions advance all
three of its axes alike, which is plain rotary embedding). Knows token embeddings, nothing of audio or text.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from earmark.engine.answerers.qwen.decoder_layers import AttentionHeads, DecoderLayers, fused
from earmark.engine.answerers.qwen.kv import KV, Past, Placed
from earmark.engine.answerers.qwen.ops import compilable
from earmark.engine.answerers.qwen.plain_decoder import PlainDecoder

Tensor = torch.Tensor


class Decoder:
    """The decoder and its vocabulary head."""

    def __init__(self, model: Any, lm_head: Any) -> None:
        config = model.config
        if getattr(config, "use_sliding_window", False) or model.rotary_emb.rope_type != "default":
            raise ValueError("sliding windows and scaled rotary embeddings are not supported")
        self.heads = AttentionHeads(
            heads=int(config.num_attention_heads),
            kv_heads=int(config.num_key_value_heads),
            size=int(getattr(config, "head_dim", None) or config.hidden_size // int(config.num_attention_heads)),
            eps=float(config.rms_norm_eps),
            frequencies=model.rotary_emb.inv_freq.float(),
        )
        self.embedding = model.embed_tokens.weight
        self.device = self.embedding.device
        self.dtype = self.embedding.dtype
        self._norm = model.norm.weight
        self._vocabulary = lm_head.weight
        weights = [fused(layer) for layer in model.layers]
        self._layers = self._layers_of(weights)
        self.open_layers = PlainDecoder(weights, self.heads)  # what drops something inside runs here

    @property
    def keys_are_transposed(self) -> bool:
        """Whether keys lie as compiled layers keep them."""
        return not isinstance(self._layers, PlainDecoder)

    @torch.inference_mode()
    def embed(self, tokens: Tensor) -> Tensor:
        """(..., width) of token ids on the host."""
        return F.embedding(tokens.to(self.device), self.embedding)

    @torch.inference_mode()
    def prefill(self, x: Tensor, lengths: Tensor, past: Past | None, placed: Placed | None = None) -> KV:
        """Keys and values of new positions x (rows, length, width), after a past that one row may share with all."""
        _, kv = self._layers.run(x, lengths, past, read=False, keep=True, placed=placed)
        assert kv is not None
        return kv

    @torch.inference_mode()
    def read(
        self,
        x: Tensor,
        lengths: Tensor,
        past: Past | None,
        letters: Tensor | None = None,
        keep: bool = False,
        placed: Placed | None = None,
        room: int = 0,
    ) -> tuple[Tensor, KV | None]:
        """Logits (rows, vocabulary) in fp32 at each row's last valid position; its keys and values where kept.

        In a format of fewer digits the best two letters would tie now and then: those of `letters` are computed in
        fp32. `room` is as in `DecoderLayers.run`.
        """
        hidden, kv = self._layers.run(x, lengths, past, read=True, keep=keep, placed=placed, room=room)
        assert hidden is not None
        return self._logits(hidden, letters), kv

    @torch.inference_mode()
    def read_from(
        self, x: Tensor, lengths: Tensor, past: Past, placed: Placed, first: int, letters: Tensor | None = None
    ) -> Tensor:
        """Logits as of `read`, of states that the first layers were run on before."""
        hidden, _ = self.open_layers.run(x, lengths, past, read=True, keep=False, placed=placed, first=first)
        assert hidden is not None
        return self._logits(hidden, letters)

    def _logits(self, hidden: Tensor, letters: Tensor | None) -> Tensor:
        normed = F.rms_norm(hidden, (hidden.shape[-1],), self._norm, self.heads.eps)
        logits = F.linear(normed, self._vocabulary).float()
        if letters is not None and self.dtype != torch.float32:
            logits[:, letters] = F.linear(normed.float(), self._vocabulary[letters].float())
        return logits

    def _layers_of(self, weights: list[Any]) -> DecoderLayers:
        if not compilable(self.embedding):
            return PlainDecoder(weights, self.heads)
        from earmark.engine.answerers.qwen.compiled_decoder import CompiledDecoder

        return CompiledDecoder(weights, self.heads)
