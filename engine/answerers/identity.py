"""What a model's answers depend on, added to a hash: every weight and its number format, and the tokenizer.

Equal hashes answer alike. Knows no architecture.
"""

import json
from typing import Any, Protocol

import torch


class Digest(Protocol):
    """A hash that takes bytes."""

    def update(self, data: bytes, /) -> None: ...


def add_weights(digest: Digest, model: Any) -> None:
    """Every weight by its name, shape and number format."""
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def add_words(digest: Digest, tokenizer: Any) -> None:
    """A fast tokenizer, but for how it was last called."""
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    words = {key: part for key, part in content.items() if key not in ("padding", "truncation")}
    digest.update(json.dumps(words, sort_keys=True).encode())
