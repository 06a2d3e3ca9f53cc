"""Encoders of FFmpeg by PyAV, an extra: a clip is encoded at the rate nearest to its budget, and decoded again.

What was sent is the packets, without a container. Knows samples and bit rates.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import soxr

from earmark.engine.arrays import Waveform
from earmark.engine.compressors.waves.codecs import of_length
from earmark.engine.compressors.waves.wave_method import CompressorError, Sent
from earmark.engine.corpus.example import SAMPLE_RATE
from earmark.engine.design.compressors import AV, RAW_KBPS
from earmark.engine.errors import InputError, first_few
from earmark.engine.extras import needs_extra

_FRAME = 1_024  # samples that an encoder is handed at a time where it does not care
_ALIKE = 0.3  # a tone that arrives has at least this correlation with the one that was sent; those of codecs have .8


class _EncoderRates(NamedTuple):
    """What an encoder takes and does not say."""

    rate_hz: int
    bitrates: tuple[int, ...]  # bits a second


_LIMITS: Mapping[str, _EncoderRates] = {
    "libopencore_amrnb": _EncoderRates(8_000, (4_750, 5_150, 5_900, 6_700, 7_400, 7_950, 10_200, 12_200)),
    "g723_1": _EncoderRates(8_000, (6_300,)),
}
_KBPS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 192, 224, 256)  # what has only some rates has these


class AvCodec:
    """An encoder of FFmpeg by its name there, and the decoder that FFmpeg has for it. A budget is a share of 256 kb/s.

    Made, it has been tried: what cannot be encoded or decoded at all is an InputError.
    """

    keeps_length = True

    @needs_extra("encoding with PyAV", "codecs")
    def __init__(self, encoder: str) -> None:
        import av

        self._encoder = _encoder_named(encoder)
        self._decoder = _decoder_of(self._encoder)
        self._rate_hz = _rate_of(self._encoder)
        self.identity = f"{AV}{encoder}, PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}"
        self._delay = self._measured_delay()

    def send(self, samples: Waveform, budget: float) -> Sent:
        decoded, bits = self._coded(samples, RAW_KBPS * 1000 * budget)
        return Sent(of_length(decoded[self._delay :], len(samples)), bits)

    def _measured_delay(self) -> int:
        """How many samples later a rising tone arrives.

        Decoders take away what they know of an encoder's padding; not all know all of it, and some filter themselves.
        """
        t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
        tone = (0.5 * np.sin(2 * np.pi * (100 + 1_500 * t) * t)).astype(np.float32)  # 100 to 3,100 Hz
        try:
            decoded, _ = self._coded(tone, RAW_KBPS * 125)  # an eighth
            delay = max(0, _lag(tone, decoded))
            arrived = of_length(decoded[delay:], len(tone))
            if float(tone @ arrived) < _ALIKE * float(np.linalg.norm(tone) * np.linalg.norm(arrived)):
                raise CompressorError(f"{self._encoder.name}: what arrives is not what was sent")
        except CompressorError as error:
            raise InputError(f"{AV}{self._encoder.name}", f"cannot be used ({error})", _advice()) from None
        return delay

    def _coded(self, samples: Waveform, bits_per_s: float) -> tuple[Waveform, int]:
        """What comes out of the decoder, at 16 kHz, and the bits of the packets."""
        import av

        try:
            context = self._encoding(bits_per_s)
            packets = list(_packets(context, _at_rate(samples, SAMPLE_RATE, self._rate_hz)))
            bits = 8 * sum(packet.size for packet in packets)
            decoded, rate_hz = self._decoded(packets, context.extradata)
        except (av.error.FFmpegError, ValueError, NotImplementedError) as error:
            raise CompressorError(" ".join(f"{self._encoder.name}: {error}".split())) from None
        return _at_rate(decoded, rate_hz, SAMPLE_RATE), bits

    def _encoding(self, bits_per_s: float) -> Any:
        """An open encoder of one channel, on one thread, at the nearest bit rate that it has."""
        import av

        limits = _LIMITS.get(self._encoder.name)
        rates = limits.bitrates if limits else (round(bits_per_s), *(1000 * kbps for kbps in _KBPS))
        for rate in sorted(rates, key=lambda rate: abs(rate - bits_per_s)):
            context: Any = av.CodecContext.create(self._encoder, "w")
            context.sample_rate = self._rate_hz
            context.time_base = Fraction(1, self._rate_hz)
            context.layout = "mono"
            context.format = (self._encoder.audio_formats or [av.AudioFormat("s16")])[0]
            context.bit_rate = rate
            context.thread_count = 1
            with suppress(av.error.FFmpegError, NotImplementedError):  # it does not have this rate
                context.open()
                return context
        raise ValueError(f"it opens at no bit rate with one channel at {self._rate_hz} Hz")

    def _decoded(self, packets: Iterable[Any], extradata: bytes | None) -> tuple[Waveform, int]:
        """The samples in the packets and their rate."""
        import av

        context: Any = av.CodecContext.create(self._decoder, "r")
        context.sample_rate = self._rate_hz
        context.layout = "mono"
        context.thread_count = 1
        if extradata:
            context.extradata = extradata
        frames = [frame for packet in packets for frame in context.decode(packet)]
        frames += context.decode(None)
        if not frames:
            raise ValueError("nothing can be decoded")
        blocks = [block.to_ndarray()[0] for block in _converted(frames, "fltp", frames[0].sample_rate)]
        return np.concatenate(blocks), frames[0].sample_rate


def _encoder_named(name: str) -> Any:
    """FFmpeg's encoder; an InputError where there is none of sound by that name."""
    import av

    try:
        codec: Any = av.Codec(name, "w")
    except ValueError:
        raise InputError(f"{AV}{name}", "FFmpeg has no such encoder", _advice()) from None
    if codec.name != name:  # whatever encoder this FFmpeg has for a format: another has another
        raise InputError(f"{AV}{name}", "this names a format", f"name its encoder, {AV}{codec.name} here")
    if codec.type != "audio":
        raise InputError(f"{AV}{name}", f"this encodes {codec.type}, not audio", _advice())
    return codec


def _decoder_of(encoder: Any) -> Any:
    """The decoder of the same library, or else FFmpeg's own for the format."""
    import av

    for name in (encoder.name, encoder.canonical_name):
        with suppress(ValueError):
            return av.Codec(name, "r")
    raise InputError(f"{AV}{encoder.name}", "FFmpeg cannot decode what it makes", _advice())


def _advice() -> str:
    return f"choose one of {first_few(_audio_encoders(), 8)}"


def _audio_encoders() -> list[str]:
    """The encoders of sound by their names, those of libraries first; without those that only store samples."""
    import av

    names = []
    for name in sorted(av.codecs_available):
        try:
            codec = av.Codec(name, "w")
        except ValueError:
            continue
        if codec.type == "audio" and codec.name == name and not name.startswith("pcm_"):
            names.append(name)
    return sorted(names, key=lambda name: not name.startswith("lib"))


def _rate_of(encoder: Any) -> int:
    """The lowest rate of an encoder that is 16 kHz or more, or its highest."""
    if encoder.name in _LIMITS:
        return _LIMITS[encoder.name].rate_hz
    rates: list[int] = sorted(encoder.audio_rates or [SAMPLE_RATE])
    return next((rate for rate in rates if rate >= SAMPLE_RATE), rates[-1])


def _packets(context: Any, samples: Waveform) -> Iterator[Any]:
    """What an open encoder makes of samples at its rate."""
    import av

    frame: Any = av.AudioFrame.from_ndarray(samples[np.newaxis], format="fltp", layout="mono")
    frame.sample_rate = context.sample_rate
    frame.time_base = context.time_base
    frame.pts = 0
    for part in _converted([frame], context.format.name, context.sample_rate, context.frame_size or _FRAME):
        yield from context.encode(part)
    yield from context.encode(None)


def _converted(frames: Iterable[Any], form: str, rate_hz: int, frame_size: int = 0) -> Iterator[Any]:
    """The same samples in another format, in frames of `frame_size` where that is given; the last may be short."""
    import av

    converter: Any = av.AudioResampler(format=form, layout="mono", rate=rate_hz, frame_size=frame_size or None)
    for frame in frames:
        frame.pts = frame.pts if frame_size else None  # gaps between the times of decoded frames are no silence
        yield from converter.resample(frame)
    yield from converter.resample(None)


def _at_rate(samples: Waveform, from_hz: int, to_hz: int) -> Waveform:
    """Samples at another rate."""
    if from_hz == to_hz:
        return samples
    return np.asarray(soxr.resample(samples, from_hz, to_hz), dtype=np.float32)


def _lag(first: Waveform, second: Waveform) -> int:
    """By how many samples `second` is later: the peak of the cross-correlation."""
    n = 1 << (len(first) + len(second)).bit_length()
    peak = int(np.argmax(np.fft.irfft(np.fft.rfft(second, n) * np.conj(np.fft.rfft(first, n)), n)))
    return peak if peak < n // 2 else peak - n
