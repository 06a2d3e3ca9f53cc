"""The compressors of waves that a first spec may ask about, each with budgets from the gentle to the harsh.

Knows names and numbers; `draft` writes them down.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from earmark.engine.design.compressors import AV, BITRATES, BUILT_IN, WAVE_NAMES
from earmark.engine.errors import InputError, choose

ALL, NONE = "all", "none"
_PYAV = "av"
_ENCODERS: Mapping[str, Sequence[float]] = {  # of PyAV, and bit rates that they can do
    f"{AV}libopus": (32, 16, 12, 8, 6),
    f"{AV}libopencore_amrnb": (12.2, 7.95, 5.9, 4.75),
}
_OF_ANY_ENCODER = (64, 32, 16, 8)
_DRAFTED = (*WAVE_NAMES, *_ENCODERS)


def compressors_named(text: str) -> list[str]:
    """The compressors in `all`, `none` or `a,b,c`; those of PyAV are among all where it is installed."""
    if text == NONE:
        return []
    has_pyav = find_spec(_PYAV) is not None
    if text == ALL:
        return [name for name in _DRAFTED if has_pyav or not name.startswith(AV)]
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in _DRAFTED and (not name.startswith(AV) or name == AV):
            do = choose(name, (ALL, NONE, *_DRAFTED))
            raise InputError(f"--compressors '{name}'", "is no compressor that can be drafted", do)
        if name.startswith(AV) and not has_pyav:
            do = "pip install 'earmark[codecs]'"
            raise InputError(f"--compressors {name}", f"needs {_PYAV}, which is not installed", do)
    return names


def method_keys(compressor: str) -> dict[str, Any]:
    """The keys of a method that asks about a compressor."""
    if compressor.startswith(AV):
        rates = [*_ENCODERS.get(compressor, _OF_ANY_ENCODER)]
        return {"name": compressor.replace(AV, "av-"), "compressor": compressor, BITRATES.key: rates}
    kind = BUILT_IN[compressor]
    return {"name": compressor, **({kind.budget_keys[0]: [*kind.drafted]} if kind.drafted else {})}
