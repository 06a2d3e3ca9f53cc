"""The parts of a model folder: safetensors weights, tokenizer, extractor. Runs no code that comes with a model."""

from typing import Any

import torch
import transformers

_hf: Any = transformers  # its classes are untyped


def parts(architecture: str, place: str, device: str, dtype: str) -> tuple[Any, Any, Any]:
    """Model, tokenizer and feature extractor of a folder or a hub name."""
    log = _hf.utils.logging
    shown = log.is_progress_bar_enabled()
    log.disable_progress_bar()  # progress is the command line's, and only on a terminal
    try:
        model = getattr(_hf, architecture).from_pretrained(
            place, dtype=getattr(torch, dtype), use_safetensors=True, trust_remote_code=False
        )
    finally:
        if shown:
            log.enable_progress_bar()
    tokenizer = _hf.AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    extractor = _hf.WhisperFeatureExtractor.from_pretrained(place)
    return model.to(device), tokenizer, extractor
