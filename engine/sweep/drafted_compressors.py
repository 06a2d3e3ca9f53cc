"""The compressors of waves that a first spec may ask about, each with budgets from the gentle to the harsh.

Knows names and numbers; `draft` writes them down.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from earmark.engine.design.compressors import AV
from earmark.engine.errors import InputError

ALL, NONE = "all", "none"
_PYAV = "av"
_KEYS: Mapping[str, Mapping[str, Sequence[float]]] = {
    "frames": {"budgets": [0.9, 0.8, 0.7, 0.5]},
    "opus": {"bitrates": [32, 16, 12, 8]},
    "vorbis": {"bitrates": [48, 40, 32, 26]},
    "mp3": {"bitrates": [64, 32, 16, 8]},
    "gsm": {},
    "speed": {"factors": [1.25, 1.5, 2]},
    "lowpass": {"cutoffs": [6, 4, 3, 2]},
    f"{AV}libopus": {"bitrates": [32, 16, 12, 8, 6]},
    f"{AV}libopencore_amrnb": {"bitrates": [12.2, 7.95, 5.9, 4.75]},
}
_OF_ANY_ENCODER = {"bitrates": [64, 32, 16, 8]}


def compressors_named(text: str) -> list[str]:
    """The compressors in `all`, `none` or `a,b,c`; those of PyAV are among all where it is installed."""
    has_pyav = find_spec(_PYAV) is not None
    if text == NONE:
        return []
    if text == ALL:
        return [name for name in _KEYS if has_pyav or not name.startswith(AV)]
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in _KEYS and (not name.startswith(AV) or name == AV):
            known = ", ".join((ALL, NONE, *_KEYS))
            raise InputError(f"--compressors '{name}'", "is no compressor that can be drafted", f"choose from {known}")
        if name.startswith(AV) and not has_pyav:
            do = "pip install 'earmark[codecs]'"
            raise InputError(f"--compressors {name}", f"needs {_PYAV}, which is not installed", do)
    return names


def method_keys(compressor: str) -> dict[str, Any]:
    """The keys of a method that asks about a compressor."""
    named = {"name": compressor}
    if compressor.startswith(AV):
        named = {"name": compressor.replace(AV, "av-"), "compressor": compressor}
    return {**named, **_KEYS.get(compressor, _OF_ANY_ENCODER)}
