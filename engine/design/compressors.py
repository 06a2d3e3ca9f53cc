"""The names of compressors, what a budget of each is a share of, and the units in which people ask for it.

Pure: what stands behind a name, `compressors.loading` knows.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Axis = Literal["seconds", "duration", "bits", "bandwidth", "own"]  # what a budget is a share of
Stage = Literal["waves"]  # where a compressor acts

SAMPLE_BITS = 16  # of a sample that is sent as it is
RAW_KBPS = 256  # 16,000 samples a second
RAW_KHZ = 8  # bandwidth

AXIS_WORDS: Mapping[Axis, str] = {
    "seconds": "seconds that are kept",
    "duration": "the time that it lasts",
    "bits": f"bits, of {RAW_KBPS} kb/s",
    "bandwidth": f"bandwidth, of {RAW_KHZ} kHz",
    "own": "what the compressor itself counts",
}


class BudgetUnit(NamedTuple):
    """A unit in which budgets of a method may be given instead of shares."""

    key: str  # of [[methods]]
    word: str  # behind a value
    whole: float  # that is everything
    inverse: bool = False  # the more, the less is kept

    def share(self, value: float) -> float:
        """The share that a value is."""
        return self.whole / value if self.inverse else value / self.whole

    def value(self, share: float) -> float:
        """The value that a share is."""
        return self.whole / share if self.inverse else share * self.whole


BITRATES = BudgetUnit("bitrates", "kb/s", RAW_KBPS)
FACTORS = BudgetUnit("factors", "x", 1, inverse=True)
CUTOFFS = BudgetUnit("cutoffs", "kHz", RAW_KHZ)
UNITS = (BITRATES, FACTORS, CUTOFFS)


class CompressorKind(NamedTuple):
    """A kind of compressor."""

    axis: Axis
    units: tuple[BudgetUnit, ...] = ()  # that it may be asked in, beside shares
    only: float | None = None  # the one value that it can do


CHUNKS = "chunks"
AV = "av:"  # before the name of an encoder
BUILT_IN: Mapping[str, CompressorKind] = {
    CHUNKS: CompressorKind("seconds"),
    "frames": CompressorKind("seconds"),
    "opus": CompressorKind("bits", (BITRATES,)),
    "vorbis": CompressorKind("bits", (BITRATES,)),
    "mp3": CompressorKind("bits", (BITRATES,)),
    "gsm": CompressorKind("bits", (BITRATES,), only=26),
    "speed": CompressorKind("duration", (FACTORS,)),
    "lowpass": CompressorKind("bandwidth", (CUTOFFS,)),
}
_OF_PYAV = CompressorKind("bits", (BITRATES,))
_BROUGHT: Mapping[Axis, CompressorKind] = {
    "seconds": CompressorKind("seconds"),
    "duration": CompressorKind("duration", (FACTORS,)),
    "bits": CompressorKind("bits", (BITRATES,)),
    "bandwidth": CompressorKind("bandwidth", (CUTOFFS,)),
    "own": CompressorKind("own", UNITS),
}


def kind_of(compressor: str, axis: Axis) -> CompressorKind:
    """What is known of a compressor by its name; no name is a command. `axis` is what a user says of a brought one."""
    return _OF_PYAV if compressor.startswith(AV) else BUILT_IN.get(compressor, _BROUGHT[axis])


def is_brought(compressor: str) -> bool:
    """Whether a user brings it: a function, an entry point or a command."""
    return compressor not in BUILT_IN and not compressor.startswith(AV)
