"""Codecs of libsndfile: as long as before and as early, the same twice, and as many bits as their bytes say."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from wave_signals import RATE, chirp, extremes, impulse, lag, noise, sine

from earmark.engine.compressors.waves.codecs import CODECS, SndfileCodec
from earmark.engine.compressors.waves.wave_method import CompressorError
from earmark.engine.corpus.clip import as_16_bits
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.synthetic.synthetic_corpus import SyntheticAudio

KBPS = (8, 16, 24, 32, 40, 64, 128, 224)
NAMES = sorted(CODECS)


def rate_kbps(sent):
    return sent.bits * RATE / len(sent.samples) / 1000


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8, deadline=None)
@given(n=st.integers(RATE, 3 * RATE), kbps=st.sampled_from(KBPS))
def test_the_length_is_kept(name, n, kbps):
    sent = SndfileCodec(name).send(noise(n), kbps / 256)
    assert sent.samples.shape == (n,)
    assert sent.samples.dtype == np.float32
    assert sent.samples.flags.c_contiguous


@pytest.mark.parametrize("name", NAMES)
def test_two_minutes_are_a_clip_too(name):
    n = 120 * RATE
    sent = SndfileCodec(name).send(np.resize(chirp(RATE), n), 0.25)
    assert len(sent.samples) == n
    assert np.abs(sent.samples[-RATE:]).max() > 0.1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kbps", [8, 16, 32, 160])
def test_nothing_comes_later(name, kbps):
    n = 2 * RATE + 1
    codec = SndfileCodec(name)
    assert lag(chirp(n), codec.send(chirp(n), kbps / 256).samples) == 0
    # at its lowest rate Opus codes an impulse as a pitch pulse, on a grid of its own
    assert abs(lag(impulse(n), codec.send(impulse(n), kbps / 256).samples)) <= (name == "opus" and kbps < 10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", sorted(extremes(1)))
def test_the_same_twice_whatever_is_heard(name, kind):
    samples = extremes(RATE + 1)[kind]
    before = samples.copy()
    for budget in (8 / 256, 0.25):
        once, again = (SndfileCodec(name).send(samples, budget) for _ in range(2))
        np.testing.assert_array_equal(once.samples, again.samples)
        assert once.bits == again.bits
        assert np.isfinite(once.samples).all()
    np.testing.assert_array_equal(samples, before)


@pytest.mark.parametrize("name", NAMES)
def test_more_budget_is_no_fewer_bits_and_no_worse(name):
    clip = SyntheticAudio(Split.CERTIFICATION, Split.CERTIFICATION.seeds.start, 0).waveform()[: 3 * RATE]
    clips = [SndfileCodec(name).send(clip, kbps / 256) for kbps in KBPS]
    bits = [sent.bits for sent in clips]
    assert bits == sorted(bits)
    errors = [float(np.square(sent.samples - clip).mean()) for sent in clips]
    assert errors[-1] <= errors[0] < float(np.square(clip).mean())


@pytest.mark.parametrize("kbps", KBPS)
def test_opus_and_mp3_are_near_the_rate_that_was_asked_for(kbps):
    clip = noise(4 * RATE)
    assert 0.7 * kbps < rate_kbps(SndfileCodec("opus").send(clip, kbps / 256)) < 1.25 * kbps
    assert rate_kbps(SndfileCodec("mp3").send(clip, kbps / 256)) == pytest.approx(min(kbps, 160), rel=0.05)


def test_vorbis_is_near_the_rate_that_was_asked_for_within_what_it_can():
    codec = SndfileCodec("vorbis")
    start = Split.CERTIFICATION.seeds.start
    clips = [SyntheticAudio(Split.CERTIFICATION, start, i).waveform() for i in range(3)]
    clips += [noise(10 * RATE)]
    for kbps in (30, 45, 60):
        mean = np.mean([rate_kbps(codec.send(clip, kbps / 256)) for clip in clips])
        assert 0.6 * kbps < mean < 1.4 * kbps
    assert codec.send(clips[0], 8 / 256).bits == codec.send(clips[0], 25 / 256).bits


@pytest.mark.parametrize("n", [RATE, RATE + 1, 10 * RATE])
def test_gsm_has_one_rate_and_its_header_is_not_counted(n):
    blocks = -(-n // 320)  # of 65 bytes for two frames
    assert {SndfileCodec("gsm").send(noise(n), budget).bits for budget in (0.03, 0.1, 0.9)} == {blocks * 65 * 8}


def test_gsm_clips_what_is_beyond_full_scale():
    loud = SndfileCodec("gsm").send(sine(RATE, height=1.7), 0.1).samples
    clipped = SndfileCodec("gsm").send(np.clip(sine(RATE, height=1.7), -1, 1), 0.1).samples
    np.testing.assert_array_equal(loud, clipped)


def test_16_bits_hold_what_they_can():
    np.testing.assert_array_equal(
        as_16_bits(np.array([0, 1, -1, 2, 2**-15, 3 * 2**-17], dtype=np.float32)), [0, 32767, -32768, 32767, 1, 1]
    )


def test_what_libsndfile_refuses_is_one_line(monkeypatch):
    def refuse(*_args, **_options):
        raise soundfile.LibsndfileError(666, "Writing: ")

    monkeypatch.setattr(soundfile, "write", refuse)
    with pytest.raises(CompressorError, match=r"^opus: Writing: \S.*$"):
        SndfileCodec("opus").send(noise(RATE), 0.1)


@pytest.mark.parametrize("name", NAMES)
def test_who_it_is_says_the_library(name):
    assert SndfileCodec(name).identity.startswith(f"{name}, soundfile ")
