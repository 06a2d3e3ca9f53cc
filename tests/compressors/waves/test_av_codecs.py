"""Encoders of FFmpeg: those that there are, as long as before and as early, the same twice; the others refused."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wave_signals import RATE, chirp, extremes, impulse, lag, noise

from earmark.engine.compressors.waves.av_codecs import AvCodec
from earmark.engine.compressors.waves.wave_method import CompressorError
from earmark.engine.errors import InputError
from earmark.engine.extras import MissingPackageError

pytest.importorskip("av", reason="an extra")

ENCODERS = ("libopus", "libmp3lame", "libopencore_amrnb", "aac", "ac3", "mp2", "g722")


@pytest.fixture(scope="module")
def codecs():
    return {name: AvCodec(name) for name in ENCODERS}


@pytest.mark.parametrize("name", ENCODERS)
@settings(max_examples=6, deadline=None)
@given(n=st.integers(RATE, 2 * RATE), kbps=st.sampled_from((8, 16, 24, 32, 64, 128, 224)))
def test_the_length_is_kept(codecs, name, n, kbps):
    sent = codecs[name].send(noise(n), kbps / 256)
    assert sent.samples.shape == (n,)
    assert sent.samples.dtype == np.float32
    assert sent.samples.flags.c_contiguous


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("kbps", [12, 16, 32, 128])
def test_nothing_comes_later(codecs, name, kbps):
    n = 2 * RATE + 1
    most = name == "libopus"  # its modes differ by two thirds of a sample
    assert abs(lag(chirp(n), codecs[name].send(chirp(n), kbps / 256).samples)) <= most
    assert abs(lag(impulse(n), codecs[name].send(impulse(n), kbps / 256).samples)) <= most


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("kind", sorted(extremes(1)))
def test_the_same_twice_whatever_is_heard(codecs, name, kind):
    samples = extremes(RATE + 1)[kind]
    before = samples.copy()
    once, again, anew = (codec.send(samples, 0.1) for codec in (codecs[name], codecs[name], AvCodec(name)))
    for other in (again, anew):
        np.testing.assert_array_equal(once.samples, other.samples)
        assert once.bits == other.bits
    assert np.isfinite(once.samples).all()
    np.testing.assert_array_equal(samples, before)


@pytest.mark.parametrize("name", ENCODERS)
def test_more_budget_is_no_fewer_bits(codecs, name):
    bits = [codecs[name].send(noise(2 * RATE), kbps / 256).bits for kbps in (6, 8, 12, 16, 24, 32, 64, 128, 224)]
    assert bits == sorted(bits)


@pytest.mark.parametrize(
    ("name", "kbps", "expected"),
    [
        ("libmp3lame", 24, 24),
        ("libmp3lame", 240, 160),
        ("mp2", 12.5, 16),
        ("libopencore_amrnb", 1, 5.2),  # 4.75 and a byte for each of 50 frames a second
        ("libopencore_amrnb", 9.2, 10.8),
        ("libopencore_amrnb", 64, 12.8),
        ("g722", 16, 64),
    ],
)
def test_bits_are_those_of_the_nearest_rate_that_there_is(codecs, name, kbps, expected):
    sent = codecs[name].send(noise(4 * RATE), kbps / 256)
    assert sent.bits / 4000 == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("kbps", [8, 16, 32, 128])
def test_opus_is_near_the_rate_that_was_asked_for(codecs, kbps):
    assert 0.65 * kbps < codecs["libopus"].send(noise(4 * RATE), kbps / 256).bits / 4000 < 1.1 * kbps


def test_two_minutes_are_a_clip_too(codecs):
    samples = np.resize(chirp(RATE), 120 * RATE)
    for name in ("libopus", "libopencore_amrnb"):
        sent = codecs[name].send(samples, 0.1)
        assert lag(samples[-RATE:], sent.samples[-RATE:]) in (-1, 0, 1)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("nonsense", "FFmpeg has no such encoder; choose one of 'lib"),
        ("png", "this encodes video, not audio; choose one of 'lib"),
        ("mp3", "this names a format; name its encoder, av:lib"),
        ("anull", r"cannot be used \(anull: nothing can be decoded\); choose"),
        ("comfortnoise", r"cannot be used \(comfortnoise: what arrives is not what was sent\); choose"),
        ("adpcm_argo", r"cannot be used \(adpcm_argo: .*\); choose"),
        ("wmav1", r"cannot be used \(wmav1: .*\); choose"),
    ],
)
def test_what_cannot_code_sound_is_refused(name, what):
    with pytest.raises(InputError, match=f"^av:{name}: {what}"):
        AvCodec(name)


def test_an_encoder_that_fails_at_a_rate_says_so():
    with pytest.raises(CompressorError, match=r"^eac3: "):
        AvCodec("eac3").send(noise(RATE), 8 / 256)


def test_it_says_the_versions(codecs):
    assert codecs["libopus"].identity.startswith("av:libopus, PyAV ")
    assert ", FFmpeg " in codecs["libopus"].identity


def test_a_missing_pyav_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingPackageError, match=r"needs av, which is not installed; pip install 'earmark\[codecs\]'"):
        AvCodec("libopus")
