"""A model folder, looked at before a library opens it: regular files, JSON, and weights that are safetensors.

Knows neither torch nor any architecture. A limit here keeps a library from building what no model is.
"""

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from earmark.engine.errors import InputError
from earmark.engine.reading import check_regular, open_regular, parse_json, read_json

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
_JSON = (
    CONFIG, INDEX, "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json",
    "generation_config.json",
)  # fmt: skip
WHAT_IT_TAKES = "name a folder with config.json, *.safetensors, a tokenizer and preprocessor_config.json"
_COPY = "copy the whole folder again"
_MOST_HEADER_BYTES = 1 << 27
_MOST_WEIGHTS_BYTES = 1 << 50
_MOST = {  # of numbers that say how much is built
    "num_hidden_layers": 1 << 10,
    "encoder_layers": 1 << 10,
    "depth": 1 << 10,
    "n_fft": 1 << 16,
    "hop_length": 1 << 16,
    "feature_size": 1 << 12,
    "chunk_length": 1 << 12,
}


def check_configuration(folder: Path) -> None:
    """InputError for a JSON file of a model's folder that is none, or says what no model has."""
    for name in _JSON:
        if name == CONFIG or (folder / name).exists():
            _check_content(read_json(folder / name, _COPY), folder / name)


def count_weights(folder: Path) -> int:
    """How many numbers the weights of a folder hold; InputError where they are no safetensors."""
    return sum(prod(shape) for path in _weight_files(folder) for shape in _shapes(path))


def _check_content(content: Any, path: Path) -> None:
    """InputError where a configuration is no object, or some number of it is none that a model has."""
    if not isinstance(content, dict):
        raise InputError(path, "is no JSON object", _COPY)
    for key, value in content.items():
        if isinstance(value, dict):
            _check_content(value, path)
        elif key in _MOST and not (type(value) is int and 1 <= value <= _MOST[key]):
            raise InputError(path, f"has {key} = {str(value)[:40]}, not 1 to {_MOST[key]:,}", _COPY)


def _weight_files(folder: Path) -> list[Path]:
    """One file, or those that an index names, which lie beside it."""
    names = [WEIGHTS]
    if not (folder / WEIGHTS).exists() and (folder / INDEX).exists():
        places = read_json(folder / INDEX, _COPY).get("weight_map")
        if not isinstance(places, dict) or not all(_is_name(name) for name in places.values()):
            raise InputError(folder / INDEX, "has no weight_map of weights and files", _COPY)
        names = sorted(set(places.values()))
    elif not (folder / WEIGHTS).exists():
        raise InputError(folder, f"has no {WEIGHTS}", f"{_COPY}; weights in pickles are not read")
    for name in names:
        check_regular(folder / name, _COPY)
    return [folder / name for name in names]


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and name.endswith(".safetensors") and Path(name).name == name


def _shapes(path: Path) -> Iterator[list[int]]:
    """The shape of every tensor in a file of safetensors."""
    with open_regular(path, _COPY, _MOST_WEIGHTS_BYTES) as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _MOST_HEADER_BYTES:
            raise InputError(path, f"is no file of safetensors (a header of {length:,} bytes)", _COPY)
        header = parse_json(file.read(length), path, _COPY)
    for name, tensor in header.items() if isinstance(header, dict) else ():
        shape = tensor.get("shape") if isinstance(tensor, dict) else None
        if name == "__metadata__":
            continue
        if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
            raise InputError(path, f"has no shape of '{name}'", _COPY)
        yield shape
