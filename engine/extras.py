"""Packages that only some tasks need, and the extras that bring them: a missing one is one line with the pip command.

The base installation certifies, and has none of them. Imports none of them either.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from earmark.engine.errors import InputError

# As pyproject.toml declares them, the smallest extra first: it is what to install for the package alone.
EXTRAS_OF = {
    "soundfile": ("audio", "run", "edge", "serve", "codecs"),
    "soxr": ("audio", "run", "edge", "serve", "codecs"),
    "av": ("codecs",),
    "onnxruntime": ("edge",),
    "tokenizers": ("edge", "run", "export"),
    "torch": ("run", "export"),
    "transformers": ("run",),
    "safetensors": ("run", "export"),
    "onnx": ("export",),
    "httpx": ("serve",),
    "ray": ("ray",),
    "fsspec": ("remote",),
    "aiohttp": ("remote",),
    "huggingface_hub": ("remote",),
}


class MissingPackageError(InputError):
    """A task needs a package that is not installed, and an extra of Earmark brings it."""

    def __init__(self, task: str, package: str, extra: str, otherwise: str = "") -> None:
        chosen = extra if extra in EXTRAS_OF[package] else EXTRAS_OF[package][0]
        command = f"pip install 'earmark[{chosen}]'"
        if package == "onnxruntime":  # the two install the same files
            command += f" (or 'earmark[{chosen}-gpu]' for CUDA, never both)"
        super().__init__(task, f"needs {package}, which is not installed", command + otherwise)
        self.package = package


@contextmanager
def needs_extra(task: str, extra: str, otherwise: str = "") -> Iterator[None]:
    """Around an import, or as a function's decorator: a missing package of an extra is a `MissingPackageError`.

    `task` is what the packages are for; `extra` is advised where it brings the one that is missing, and `otherwise`
    ends the line (", or ..."). Where several are around one another the outermost speaks, which knows the whole task.
    Any other module that is missing is a defect, and passes as it is.
    """
    try:
        yield
    except MissingPackageError as error:
        raise MissingPackageError(task, error.package, extra, otherwise) from error
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS_OF:
            raise
        raise MissingPackageError(task, error.name, extra, otherwise) from error
