"""Answerers from folders: by the model type that the configuration names, safetensors only, no code that comes along.

Knows which architectures there are; nothing of what they compute.
"""

from pathlib import Path
from typing import Any

import transformers

from earmark.engine.answerers.qwen.qwen2_audio import Qwen2Audio
from earmark.engine.answerers.qwen.qwen25_omni import Qwen25Omni
from earmark.engine.answerers.shared.audio_lm import AudioLM
from earmark.engine.answerers.tiny import FOLDERS
from earmark.engine.design.keys import DTYPES
from earmark.engine.errors import InputError

KINDS: dict[str, type[Qwen2Audio] | type[Qwen25Omni]] = {
    "qwen2_audio": Qwen2Audio,
    "qwen2_5_omni": Qwen25Omni,
    "qwen2_5_omni_thinker": Qwen25Omni,
}
EMBEDDED = {"tiny": next(iter(FOLDERS.values())), **FOLDERS}
WHAT_IT_TAKES = "name a folder with config.json, *.safetensors, a tokenizer and preprocessor_config.json"

_hf: Any = transformers  # its classes are untyped


def load(name: str, device: str, dtype: str) -> AudioLM:
    """An embedded answerer, a folder, or a name on the Hugging Face hub."""
    where = f"answerer {name}"
    if dtype not in DTYPES:
        raise InputError(where, f"number format '{dtype}' is unknown", f"use {', '.join(DTYPES)}")
    folder = EMBEDDED.get(name, Path(name).expanduser())
    if not folder.is_dir() and (name in EMBEDDED or name.startswith((".", "/", "~"))):
        raise InputError(where, f"there is no folder {folder}", WHAT_IT_TAKES)
    place = str(folder) if folder.is_dir() else name
    try:
        kind = str(_hf.AutoConfig.from_pretrained(place, trust_remote_code=False).model_type)
        if kind in KINDS:
            return KINDS[kind].load(place, name, device, dtype)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(where, f"cannot be loaded ({reason.rstrip('.')})", WHAT_IT_TAKES) from error
    raise InputError(where, f"model type '{kind}' is unknown", f"use one of {', '.join(KINDS)}")
