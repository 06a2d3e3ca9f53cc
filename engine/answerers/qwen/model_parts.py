"""The parts of a Qwen's folder: weights, tokenizer, extractor. Runs no code that comes with a model."""

from typing import Any

import transformers

from earmark.engine.answerers.whole_model import whole_model

_hf: Any = transformers  # its classes are untyped


def parts(architecture: str, place: str, device: str, dtype: str, unused: str = "") -> tuple[Any, Any, Any]:
    """Model, tokenizer and extractor of a folder or a hub name; weights that begin with `unused` may be absent."""
    model = whole_model(getattr(_hf, architecture), place, device, dtype, unused)
    tokenizer = _hf.AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    return model, tokenizer, _hf.WhisperFeatureExtractor.from_pretrained(place)
