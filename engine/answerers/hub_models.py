"""The folder of a model: an embedded answerer's, one that is named, or what was downloaded from the Hugging Face hub.

The hub is asked once whether it has a model; where it cannot be reached, an earlier download does. Opens no weights.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from earmark.engine.answerers.model_folder import WHAT_IT_TAKES
from earmark.engine.answerers.tiny import EMBEDDED
from earmark.engine.errors import InputError, instead

_FILES = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
_NAME_ON_THE_HUB = re.compile(r"[\w.-]+/[\w.-]+")
_PATIENCE_S = 10.0


def folder_here(name: str) -> Path | None:
    """The folder of an embedded answerer, or one that is named; None for what can only be a name on the hub.

    InputError where it can be none of the three.
    """
    folder = EMBEDDED.get(name, Path(name).expanduser())
    if folder.is_dir():
        return folder
    where = f"answerer {name}"
    if name in EMBEDDED or name.startswith((".", "/", "~")):
        raise InputError(where, f"there is no folder {folder}", WHAT_IT_TAKES)
    if not _NAME_ON_THE_HUB.fullmatch(name):
        what = "is no folder here, no embedded answerer and no name on the hub, which is OWNER/NAME"
        raise InputError(where, what, instead(name, EMBEDDED, WHAT_IT_TAKES))
    return None


def downloaded(name: str, files: Sequence[str] = _FILES) -> Path:
    """The folder of a model of the hub; InputError where there is no such model, or nobody can tell."""
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

    where = f"answerer {name}"
    try:
        huggingface_hub.HfApi().model_info(name, timeout=_PATIENCE_S)
        is_reached = True
    except RepositoryNotFoundError:
        do = "correct the name, or log in with `hf auth login` if it is private"
        raise InputError(where, "is no folder here, and the hub shows no such model", do) from None
    except Exception:  # no network, a proxy in the way, a fault of the hub's, or offline by HF_HUB_OFFLINE
        is_reached = False
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=[*files], local_files_only=not is_reached))
    except GatedRepoError:
        do = f"ask for access at https://huggingface.co/{name}, then log in with `hf auth login`"
        raise InputError(where, "is given only to who was granted access", do) from None
    except LocalEntryNotFoundError:
        if is_reached:
            raise
        do = f"name its folder, or fetch it with `hf download {name}` where there is a network"
        raise InputError(where, "is no folder here, and the hub cannot be reached", do) from None
