"""Answerers from folders: by the model type that the configuration names, safetensors only, no code that comes along.

Knows which architectures there are whose computations are shared; nothing of what they compute. Any other audio model
is loaded behind its own processor.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import transformers

from earmark.engine.answerers.hub_models import downloaded, folder_here
from earmark.engine.answerers.model_folder import WHAT_IT_TAKES, check_configuration
from earmark.engine.answerers.plain.auto_loading import load_auto
from earmark.engine.answerers.plain.auto_model import AutoModel
from earmark.engine.answerers.qwen.qwen2_audio import Qwen2Audio
from earmark.engine.answerers.qwen.qwen25_omni import Qwen25Omni
from earmark.engine.answerers.shared.audio_lm import AudioLM
from earmark.engine.design.keys import DTYPES
from earmark.engine.errors import EarmarkError, InputError

T = TypeVar("T")
KINDS: dict[str, type[Qwen2Audio] | type[Qwen25Omni]] = {
    "qwen2_audio": Qwen2Audio,
    "qwen2_5_omni": Qwen25Omni,
    "qwen2_5_omni_thinker": Qwen25Omni,
}
_MOST_REASON = 300  # characters of what a library says

_hf: Any = transformers  # its classes are untyped


def load(name: str, device: str, dtype: str) -> AudioLM:
    """An embedded answerer, a folder, or a name on the Hugging Face hub."""
    return _opened(_of_known_type, name, device, dtype)


def load_plain(name: str, device: str, dtype: str) -> AutoModel:
    """The same, behind its own processor: any audio model of transformers."""
    return _opened(load_auto, name, device, dtype)


def _opened(opened: Callable[[str, str, str, str], T], name: str, device: str, dtype: str) -> T:
    """What `opened` makes of a folder, a name, a device and a number format; InputError whatever it raises."""
    where = f"answerer {name}"
    if dtype not in DTYPES:
        raise InputError(where, f"number format '{dtype}' is unknown", f"use {', '.join(DTYPES)}")
    folder = folder_here(name)
    _check_device(device)
    try:
        with _quiet():
            folder = folder or downloaded(name)
            check_configuration(folder)
            return opened(str(folder), name, device, dtype)
    except (EarmarkError, ModuleNotFoundError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # of any class, and where the Rust of tokenizers panics that is no Exception
        reason = (" ".join(str(error).split()) or type(error).__name__)[:_MOST_REASON].rstrip(".")
        do = "install what it names" if isinstance(error, ImportError) else WHAT_IT_TAKES
        raise InputError(where, f"cannot be loaded ({reason})", do) from error


def _of_known_type(place: str, name: str, device: str, dtype: str) -> AudioLM:
    """A model of a type whose computations are shared."""
    kind = str(_hf.AutoConfig.from_pretrained(place, trust_remote_code=False).model_type)
    if kind in KINDS:
        return KINDS[kind].load(place, name, device, dtype)
    do = f"use one of {', '.join(KINDS)}, or plain:{name} where transformers has a class for it"
    raise InputError(f"answerer {name}", f"model type '{kind}' is unknown", do)


def _check_device(device: str) -> None:
    """InputError for a device that this machine, or this torch, does not have."""
    kind, _, number = device.partition(":")
    reason = ""
    if kind == "cuda":
        n = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number or 0) >= n:
            reason = f"torch {torch.__version__} sees {n or 'no'} CUDA device{'s' * (n > 1)} here"
    elif kind == "mps" and not torch.backends.mps.is_available():
        reason = f"torch {torch.__version__} sees no Metal here"
    if reason:
        raise InputError(f"device {device}", reason, "use cpu, or a machine and a torch that have it")


@contextmanager
def _quiet() -> Iterator[None]:
    """While this context is open transformers draws no progress bars and reports nothing: what is wrong is refused."""
    log = _hf.utils.logging
    shown, level = log.is_progress_bar_enabled(), log.get_verbosity()
    log.disable_progress_bar()  # progress is the command line's, and only on a terminal
    log.set_verbosity(log.CRITICAL)
    try:
        yield
    finally:
        log.set_verbosity(level)
        if shown:
            log.enable_progress_bar()
