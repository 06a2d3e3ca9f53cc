"""The names of compressors, what a budget of each is a share of, and the units in which people ask for it.

A built-in one is a line of BUILT_IN: the words of a spec, `--help`, drafted specs and docs/compressors.md follow.
Pure: what stands behind a name, `compressors.loading` knows.
"""

import math
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from earmark.engine.errors import InputError

# what a budget is a share of
Axis = Literal["seconds", "duration", "bits", "bandwidth", "positions", "layers", "cache", "own"]
# where a compressor acts: on audio, on what an encoder makes of it, or inside a decoder, on its layers or its cache
Stage = Literal["waves", "tokens", "layers", "cache"]

SAMPLE_BITS = 16  # of a sample that is sent as it is
RAW_KBPS = 256  # 16,000 samples a second
RAW_KHZ = 8  # bandwidth

AXIS_WORDS: Mapping[Axis, str] = {
    "seconds": "seconds that are kept",
    "duration": "the time that it lasts",
    "bits": f"bits, of {RAW_KBPS} kb/s",
    "bandwidth": f"bandwidth, of {RAW_KHZ} kHz",
    "positions": "audio positions that enter the language model",
    "layers": "audio positions that go on after a layer",
    "cache": "keys and values of the audio that stay in each layer and head",
    "own": "what the compressor itself counts",
}


class BudgetUnit(NamedTuple):
    """A unit in which budgets of a method may be given instead of shares."""

    key: str  # of [[methods]]
    word: str  # behind a value
    typed: str  # behind a value on the command line
    whole: float  # that is everything
    inverse: bool = False  # the more, the less is kept

    def share(self, value: float) -> float:
        """The share that a value is."""
        return self.whole / value if self.inverse else value / self.whole

    def value(self, share: float) -> float:
        """The value that a share is."""
        return self.whole / share if self.inverse else share * self.whole


BITRATES = BudgetUnit("bitrates", "kb/s", "kbps", RAW_KBPS)
FACTORS = BudgetUnit("factors", "x", "x", 1, inverse=True)
CUTOFFS = BudgetUnit("cutoffs", "kHz", "khz", RAW_KHZ)
UNITS = (BITRATES, FACTORS, CUTOFFS)


class CompressorKind(NamedTuple):
    """A kind of compressor."""

    axis: Axis
    units: tuple[BudgetUnit, ...] = ()  # that it may be asked in, beside shares
    only: float | None = None  # the one value that it can do
    about: str = ""  # what it does, in a line of Markdown
    sent: str = f"{SAMPLE_BITS} bits a sample"
    drafted: tuple[float, ...] = ()  # budgets of a first spec from the gentle to the harsh, in its first unit
    stage: Stage = "waves"
    asks: bool = False  # what is left depends on the question, whatever selector there is
    may_be_sized: bool = False  # what is left may weigh as much as it stands for

    @property
    def budget_keys(self) -> list[str]:
        """The keys of a method that may give its budgets, those that people think in first."""
        return [*(unit.key for unit in self.units), "budgets"]


def _tokens(about: str) -> CompressorKind:
    """A compressor of tokens."""
    return CompressorKind("positions", about=about, sent="as raw audio", stage="tokens", may_be_sized=True)


def _layers(about: str, asks: bool) -> CompressorKind:
    """A compressor of layers, after which less of the audio goes on."""
    return CompressorKind("layers", about=about, sent="as raw audio", stage="layers", asks=asks, may_be_sized=not asks)


def _cache(about: str, asks: bool = False, may_be_sized: bool = False) -> CompressorKind:
    """A compressor of the cache, in which less of the audio stays."""
    return CompressorKind(
        "cache", about=about, sent="as raw audio", stage="cache", asks=asks, may_be_sized=may_be_sized
    )


CHUNKS = "chunks"
LTBM, DART, RANDOM_TOKENS, LEARNED_TOKENS = "ltbm", "dart", "random_tokens", "learned_tokens"
RANDOM_LAYERS, KV_RANDOM = "random_layers", "kv_random"
BY_CHANCE = (RANDOM_TOKENS, RANDOM_LAYERS, KV_RANDOM)  # those whose seeds draw
_FILE = "the encoded file"
AV = "av:"  # before the name of an encoder
BUILT_IN: Mapping[str, CompressorKind] = {
    CHUNKS: CompressorKind("seconds", about="keeps whole seconds, chosen by a [selector](selectors.md)"),
    "frames": CompressorKind("seconds", about="keeps the loudest 20-ms frames, joined", drafted=(0.9, 0.8, 0.7, 0.5)),
    "opus": CompressorKind("bits", (BITRATES,), None, "Opus, by libsndfile", _FILE, (32, 16, 12, 8)),
    "vorbis": CompressorKind("bits", (BITRATES,), None, "Vorbis, by libsndfile", _FILE, (48, 40, 32, 26)),
    "mp3": CompressorKind("bits", (BITRATES,), None, "MP3, by libsndfile", _FILE, (64, 32, 16, 8)),
    "gsm": CompressorKind("bits", (BITRATES,), 26, "GSM 06.10, by libsndfile, at one rate", "the encoded samples"),
    "speed": CompressorKind(
        "duration", (FACTORS,), about="speech and sounds faster at their own pitch (WSOLA)", drafted=(1.25, 1.5, 2)
    ),
    "lowpass": CompressorKind(
        "bandwidth", (CUTOFFS,), None, "less bandwidth", "the samples at the lower rate", (6, 4, 3, 2)
    ),
    "pool": _tokens("means of equal runs of audio tokens"),
    "sample": _tokens("every so many-th audio token"),
    "segment": _tokens("means of runs that begin where neighbours differ the most"),
    "adjacent": _tokens("the most alike neighbours merged, pair by pair"),
    LTBM: _tokens("the most alike tokens within `window_s` merged (a reconstruction)"),
    "global_merge": _tokens("the most alike tokens merged, wherever they are (ToMe's matching)"),
    "divprune": _tokens("tokens that are far apart from one another (a reconstruction)"),
    DART: _tokens("tokens that are least like each of `pivots` of them (a reconstruction)"),
    RANDOM_TOKENS: _tokens("tokens drawn by chance"),
    LEARNED_TOKENS: _tokens("the audio tokens that a trained [selector](selectors.md#audio-tokens) scores best"),
    "fastv": _layers("the audio positions that the last position attends to most at `layer`", asks=True),
    "heads": _layers("the same, heads weighted by how much and how selectively (a reconstruction)", asks=True),
    "uniform_layers": _layers("every so many-th audio position after `layer`", asks=False),
    RANDOM_LAYERS: _layers("audio positions drawn by chance after `layer`", asks=False),
    "kv_uniform": _cache("every so many-th key and value", may_be_sized=True),
    KV_RANDOM: _cache("keys and values drawn by chance"),
    "kv_snap": _cache("keys that the question attends to most (SnapKV, the question as its window)", asks=True),
    "kv_keydiff": _cache("keys that are least like the mean key (KeyDiff)"),
}
CHOOSING = (CHUNKS, LEARNED_TOKENS)  # those that a selector tells what to keep
WAVE_NAMES = tuple(name for name, kind in BUILT_IN.items() if kind.stage == "waves" and name not in CHOOSING)
TOKEN_NAMES = tuple(name for name, kind in BUILT_IN.items() if kind.stage == "tokens" and name not in CHOOSING)
LAYER_NAMES = tuple(name for name, kind in BUILT_IN.items() if kind.stage == "layers")
CACHE_NAMES = tuple(name for name, kind in BUILT_IN.items() if kind.stage == "cache")
_OF_PYAV = CompressorKind("bits", (BITRATES,))
BROUGHT: Mapping[Axis, CompressorKind] = {
    "seconds": CompressorKind("seconds"),
    "duration": CompressorKind("duration", (FACTORS,)),
    "bits": CompressorKind("bits", (BITRATES,)),
    "bandwidth": CompressorKind("bandwidth", (CUTOFFS,)),
    "own": CompressorKind("own", UNITS),
}
_TYPED = re.compile(r"([0-9]*\.?[0-9]+)\s*([a-z/]*)")  # 0.1, 12kbps


def kind_of(compressor: str, axis: Axis) -> CompressorKind:
    """What is known of a compressor by its name; no name is a command. `axis` is what a user says of a brought one."""
    return _OF_PYAV if compressor.startswith(AV) else BUILT_IN.get(compressor, BROUGHT[axis])


def share_of(budget: str, kind: CompressorKind) -> float:
    """The share that a budget is as it is typed: 0.1, or in a unit of the compressor, 12kbps, 1.5x or 4khz."""
    value, unit = _parsed(budget, kind)
    if unit is not None and unit not in kind.units:
        raise InputError(f"budget {budget}", f"the compressor is not counted in {unit.word}", _budgets_of(kind))
    share = unit.share(value) if unit is not None and value > 0 else value
    if not 0 < share <= 1:
        raise InputError(f"budget {budget}", "is no share in (0, 1]", _budgets_of(kind))
    if kind.only is not None and not math.isclose(share, kind.units[0].share(kind.only)):
        raise InputError(f"budget {budget}", "is not the one that the compressor has", _budgets_of(kind))
    return share


def budget_name(budget: str, kind: CompressorKind) -> str:
    """A budget for the name of a file, the same however it is typed: `0.1` for .1 and 0.10, `12kbps` for 12 kb/s."""
    value, unit = _parsed(budget, kind)
    return repr(value).removesuffix(".0") + (unit.typed if unit else "")


def _parsed(budget: str, kind: CompressorKind) -> tuple[float, BudgetUnit | None]:
    """The number and the unit of a budget as it is typed, None for a share."""
    units = {word.lower(): unit for unit in UNITS for word in (unit.typed, unit.word)}
    typed = _TYPED.fullmatch(budget.strip().lower())
    if typed is None or typed[2] not in {"", *units}:
        raise InputError(f"budget {budget}", "is no budget", _budgets_of(kind))
    return float(typed[1]), units.get(typed[2])


def _budgets_of(kind: CompressorKind) -> str:
    """What budgets a compressor may be given."""
    if kind.only is not None:
        return f"give {kind.only:g}{kind.units[0].typed}"
    examples = ", ".join(f"{unit.value(0.5):g}{unit.typed}" for unit in kind.units)
    return f"give a share such as 0.5{f', or {examples}' if examples else ''}"


def is_brought(compressor: str) -> bool:
    """Whether a user brings it: a function, an entry point or a command."""
    return compressor not in BUILT_IN and not compressor.startswith(AV)


def compressors_table() -> str:
    """The rows of the built-in compressors in docs/compressors.md."""
    return "\n".join(
        f"| `{name}` | {kind.about} | {AXIS_WORDS[kind.axis]} |{_asked_in(kind)} | {kind.sent} | |"
        for name, kind in BUILT_IN.items()
    )


def _asked_in(kind: CompressorKind) -> str:
    """The units that a compressor may be asked in, as the keys of a spec; a blank before any."""
    if kind.only is not None:
        return f" `{kind.units[0].key} = [{kind.only:g}]`"
    return ",".join(f" `{unit.key}` ({unit.word})" for unit in kind.units)
