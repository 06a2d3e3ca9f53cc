"""What a compressor of waves is: samples and a budget in, the samples that arrive and what was sent out."""

from typing import NamedTuple, Protocol

from earmark.engine.arrays import Waveform


class Sent(NamedTuple):
    """What became of a clip."""

    samples: Waveform  # float32 at 16 kHz, one channel: what is heard on the other side
    bits: int | None  # that were sent; None: nobody said


class WaveRecipe(NamedTuple):
    """How a spec describes a compressor of waves; the process that carries it out is told this."""

    compressor: str  # a name of ours, av:ENCODER, package.module:function or an entry point; empty: the command
    command: str = ""  # with {in} and {out}, perhaps {budget}, {kbps}
    timeout_s: float = 60.0  # for one clip
    axis: str = "own"  # what a budget is a share of


class CompressorError(Exception):
    """Why nothing was made of a clip, in one line: the status of its rows says it."""


class WaveMethod(Protocol):
    """A way to send another wave than the recording.

    To bring one, write a function of samples, rate and budget instead (docs/compressors.md).
    """

    identity: str  # what its waves depend on beside samples and budget: its parameters, the version of a library
    keeps_length: bool  # so that another length is a fault

    def send(self, samples: Waveform, budget: float) -> Sent:
        """What arrives of a clip within a budget in (0, 1); CompressorError where nothing can be made of it."""
