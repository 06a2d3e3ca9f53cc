"""Sound in every declared format and container; and hostile files, each a reason, never a traceback."""

import io
import os
import pickle
import struct
import wave
from pathlib import Path

import layouts
import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import encoded, pitch, tone

from earmark.engine.corpus import decode
from earmark.engine.corpus.audio import BytesAudio, FileAudio, TableAudio, TarAudio, ZipAudio
from earmark.engine.corpus.clip import chunk_count
from earmark.engine.corpus.example import AudioError
from earmark.engine.corpus.stream import header_seconds, hear

FORMATS = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "PCM_U8"),
    ("WAV", "FLOAT"),
    ("WAV", "DOUBLE"),
    ("WAV", "IMA_ADPCM"),
    ("RF64", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


@pytest.mark.parametrize(("form", "subtype"), FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_is_told_by_its_content(form: str, subtype: str, channels: int, tmp_path: Path) -> None:
    data = encoded(440, form, seconds=1.5, rate=48_000, channels=channels, subtype=subtype)
    path = layouts.write(tmp_path / "is_no.wav", data)
    for source in (data, str(path)):
        heard = decode.waveform(source)
        assert heard.dtype == np.float32
        assert heard.flags.c_contiguous
        assert len(heard) == pytest.approx(24_000, abs=600)
        assert pitch(heard) == pytest.approx(440, abs=2)
        assert decode.seconds(source) == pytest.approx(1.5, abs=0.05)
    assert (decode.waveform(data) == decode.waveform(str(path))).all()


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_resampled_as_soxr_does(rate: int) -> None:
    samples = tone(500, 1.0, rate, 2)
    samples[:, 1] *= 0.5
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="FLOAT")
    mono = samples.mean(axis=1)
    expected = mono if rate == 16_000 else soxr.resample(mono, rate, 16_000)
    np.testing.assert_allclose(decode.waveform(file.getvalue()), expected, atol=1e-6)


def test_16_khz_mono_is_left_as_it_is() -> None:
    data = encoded(440, subtype="FLOAT")
    assert (decode.waveform(data) == tone(440)[:, 0]).all()


def test_no_more_is_decoded_than_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A two-hour file takes the time of two minutes."""
    path = str(tmp_path / "long.wav")
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, 8_000, 0, "NONE", ""))
        minute = (tone(300, 60, 8_000)[:, 0] * 32767).astype("<i2").tobytes()
        for _ in range(120):
            file.writeframes(minute)
    read = []
    plain = soundfile.SoundFile.read

    def counted(self, frames, **rest):
        block = plain(self, frames, **rest)
        read.append(len(block))
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    heard = decode.waveform(path)
    assert len(heard) == 120 * 16_000
    assert sum(read) <= 121 * 8_000
    assert decode.seconds(path) == 7_200
    assert chunk_count(hear(FileAudio(path, "long"))[0]) == 120
    half = decode.waveform(encoded(300, rate=8_000, seconds=130))
    np.testing.assert_allclose(heard[-16_000:], half[-16_000:], atol=1e-3)  # the cut has no edge


def test_a_header_that_claims_terabytes_costs_nothing() -> None:
    data = bytearray(encoded(440))
    data[40:44] = struct.pack("<I", 0xFFFFFFFF)  # as writers into a pipe do
    data[4:8] = struct.pack("<I", 0xFFFFFFFF)
    assert len(decode.waveform(bytes(data))) == 8_000


def test_a_flac_that_does_not_say_how_long_it_is_is_decoded_to_know() -> None:
    data = bytearray(encoded(440, "FLAC", 1.5))
    data[21] &= 0xF0
    data[22:26] = bytes(4)  # the number of samples in STREAMINFO
    assert len(decode.waveform(bytes(data))) == 24_000
    assert decode.seconds(bytes(data)) == 1.5


def test_an_mp3_without_a_header_of_its_length_is_whole() -> None:
    data = encoded(440, "MP3", 2.0)
    second = data.find(data[:2], 4)
    stripped = data[second:]  # the first frame only says how long the file is
    assert pitch(decode.waveform(stripped)) == pytest.approx(440, abs=2)


# Containers ----------------------------------------------------------------------------------------------


def test_every_place_pickles_and_is_heard_alike(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = encoded(440, "FLAC")
    file = layouts.write(tmp_path / "a.flac", data)
    archive = layouts.write_zip(tmp_path / "a.zip", {"x/a.flac": data})
    rows = [{"audio": {"bytes": data, "path": "a.flac"}, "raw": data} for _ in range(25)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=10)
    tars = {mode: layouts.write_tar(tmp_path / f"a{mode[-2:]}", {"a.flac": data}, mode) for mode in ("w:", "w:gz")}
    places = [
        FileAudio(str(file), "a"),
        BytesAudio(data, "a"),
        ZipAudio(str(archive), "x/a.flac", "a"),
        *[TarAudio(str(tar), 512, len(data), "a") for tar in tars.values()],
        TableAudio(str(tmp_path / "a.parquet"), 2, 3, "audio", "a"),
        TableAudio(str(tmp_path / "a.parquet"), 1, 9, "audio", "a"),  # backwards
        TableAudio(str(tmp_path / "a.parquet"), 1, 0, "raw", "a"),
    ]
    for place in places:
        again = pickle.loads(pickle.dumps(place))
        assert again == place
        assert hash(again) == hash(place)
        assert (again.waveform() == decode.waveform(data)).all()
        assert again.seconds() == 0.5


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    for hz in (300, 600):
        archive = layouts.write_zip(tmp_path / "a.zip", {"a.wav": encoded(hz, seconds=hz / 600)})
        assert pitch(ZipAudio(str(archive), "a.wav", "a").waveform()) == pytest.approx(hz, abs=4)


def test_broken_containers_are_a_reason(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = encoded(440)
    tar = layouts.write_tar(tmp_path / "a.tar.gz", {"a.wav": data})
    tar.write_bytes(tar.read_bytes()[:-200])
    flipped = layouts.write_zip(tmp_path / "a.zip", {"a.wav": data})
    broken = bytearray(flipped.read_bytes())
    broken[100] ^= 0xFF
    flipped.write_bytes(broken)
    pq.write_table(pa.table({"audio": pa.array([None], pa.binary())}), tmp_path / "null.parquet")
    layouts.write(tmp_path / "no.parquet", b"PAR1 no PAR1")
    for place, reason in [
        (TarAudio(str(tar), 512, len(data), "a"), "cannot be read from its tar archive"),
        (TarAudio(str(tmp_path / "a.zip"), 10**6, 100, "a"), "is cut off in its archive"),
        (TarAudio(str(tmp_path / "none.tar"), 0, 1, "a"), "the tar archive is gone"),
        (TarAudio(str(tar), 512, 2 << 30, "a"), "bytes in its archive, more than"),
        (ZipAudio(str(flipped), "a.wav", "a"), "cannot be read from its zip archive"),
        (ZipAudio(str(flipped), "b.wav", "a"), "cannot be read from its zip archive"),
        (ZipAudio(str(tmp_path / "none.zip"), "b.wav", "a"), "the zip archive is gone"),
        (TableAudio(str(tmp_path / "null.parquet"), 0, 0, "audio", "a"), "holds no bytes"),
        (TableAudio(str(tmp_path / "no.parquet"), 0, 0, "audio", "a"), "cannot be read from its Parquet file"),
        (TableAudio(str(tmp_path / "null.parquet"), 7, 0, "audio", "a"), "cannot be read from its Parquet file"),
        (TableAudio(str(tmp_path / "null.parquet"), 0, 9, "audio", "a"), "cannot be read from its Parquet file"),
    ]:
        with pytest.raises(AudioError, match=reason):
            place.waveform()


# Hostile files -------------------------------------------------------------------------------------------


def wav(samples: np.ndarray, rate: int = 16_000, subtype: str = "FLOAT") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype=subtype)
    return file.getvalue()


def patched(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


PCM, FLAC, OGG, MP3 = (encoded(440, form, 2.0) for form in ("WAV", "FLAC", "OGG", "MP3"))
LOUD = tone(440)
LOUD_NAN, LOUD_INF = LOUD.copy(), LOUD.copy()
LOUD_NAN[10], LOUD_INF[10] = np.nan, np.inf
HUGE = np.full((100, 2), 3e38, dtype=np.float32)  # the sum of the channels overflows

HOSTILE = {
    "empty": (b"", "is empty"),
    "one byte": (b"R", "is not WAV, FLAC, OGG or MP3"),
    "zeros": (bytes(1000), "is not WAV, FLAC, OGG or MP3"),
    "text": (b"hello, this is no sound", "is not WAV, FLAC, OGG or MP3"),
    "git lfs pointer": (layouts.LFS, "is a Git LFS pointer"),
    "web page": (b"<!DOCTYPE html><html>404", "is a web page"),
    "web page after blanks": (b"\n  <html>", "is a web page"),
    "mp4": (b"\x00\x00\x00\x20ftypM4A \x00\x00", "is MP4"),
    "zip": (b"PK\x03\x04" + bytes(100), "is not WAV, FLAC, OGG or MP3"),
    "aac": (b"\xff\xf1\x50\x80" + bytes(100), "is not WAV, FLAC, OGG or MP3"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(50), "is not WAV, FLAC, OGG or MP3"),
    "riff that is no wave": (b"RIFF\x10\x00\x00\x00AVI " + bytes(50), "is not WAV, FLAC, OGG or MP3"),
    "wav header only": (PCM[:12], "cannot be opened as WAV"),
    "wav without samples chunk": (PCM[:36], "cannot be opened as WAV"),
    "wav of no samples": (wav(np.zeros((0, 1))), "has no samples"),
    "wav cut in half": (PCM[: len(PCM) // 2], "is truncated: 1.00 of 2.00 s are there"),
    "wav cut before its samples": (PCM[:46], "is truncated: 0.00 of 2.00 s are there"),
    "wav of no channels": (patched(PCM, 22, b"\x00\x00"), "cannot be opened as WAV"),
    "wav of 65535 channels": (patched(PCM, 22, b"\xff\xff"), "cannot be opened as WAV"),
    "wav of 0 Hz": (patched(PCM, 24, bytes(4)), ""),
    "wav of 1 Hz": (patched(PCM, 24, b"\x01\x00\x00\x00"), "claims a sample rate of 1 Hz"),
    "wav of 2 GHz": (patched(PCM, 24, b"\x00\x00\x00\x70"), "claims a sample rate of 1879048192 Hz"),
    "wav of 0 bits": (patched(PCM, 34, b"\x00\x00"), ""),
    "wav of an unknown codec": (patched(PCM, 20, b"\x99\x99"), "cannot be opened as WAV"),
    "wav that holds mp3": (patched(PCM, 20, b"\x55\x00"), ""),
    "wav of NaN": (wav(LOUD_NAN), "holds samples that are NaN or infinite"),
    "wav of infinity": (wav(LOUD_INF), "holds samples that are NaN or infinite"),
    "wav whose mean overflows": (wav(HUGE), "holds samples that are NaN or infinite"),
    "flac cut in half": (FLAC[: len(FLAC) // 2], "is damaged"),
    "flac header only": (FLAC[:42], ""),
    "flac of four letters": (b"fLaC", "cannot be opened as FLAC"),
    "flac with broken frames": (FLAC[:5000] + bytes(2000) + FLAC[7000:], ""),
    "ogg cut in half": (OGG[: len(OGG) // 2], "is truncated: the last page"),
    "ogg of four letters": (b"OggS", "is truncated: the last page"),
    "ogg of garbage": (b"OggS\x00\x04" + bytes(100), "cannot be opened as OGG"),
    "mp3 cut in half": (MP3[: len(MP3) // 2], "is truncated"),
    "mp3 header only": (MP3[:4], "cannot be opened as MP3"),
    "mp3 tag without sound": (b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(200), ""),
    "mp3 tag of 256 MiB": (b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + bytes(200), ""),
    "one sample of 48 kHz": (wav(LOUD[:1], 48_000), "is shorter than one sample"),
    "rf64 without its sizes": (b"RF64\xff\xff\xff\xffWAVE" + bytes(30), "cannot be opened as WAV"),
}
FINE = {  # not nice, but audible
    "8 kHz stereo": (encoded(440, rate=8_000, channels=2), 8_000),
    "24-bit": (encoded(440, subtype="PCM_24"), 8_000),
    "eight channels": (encoded(440, channels=8), 8_000),
    "mp3 named .wav": (encoded(440, "MP3", 1.0), 16_000),
    "silence": (wav(np.zeros((8_000, 1))), 8_000),
    "one sample": (wav(LOUD[:1]), 1),
    "many chunks before the samples": (PCM[:36] + (b"note" + bytes(4)) * 200 + PCM[36:], 32_000),
    "bytes after the samples": (PCM + b"LIST" + bytes(300), 32_000),
    "a few bytes short": (PCM[:-200], 31_900),
    "louder than full scale": (wav(LOUD * 1e6), 8_000),
}


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 40


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_a_status(name: str, tmp_path: Path) -> None:
    data, reason = HOSTILE[name]
    path = layouts.write(tmp_path / "hostile.wav", data)
    for audio in (FileAudio(str(path), name), BytesAudio(data, name)):
        heard, status = hear(audio)
        assert heard is None
        assert reason in status
        assert 0 < len(status) < 200
        assert "\n" not in status
        length, _ = header_seconds(audio)
        assert length is None or length > 0


@pytest.mark.parametrize("name", FINE)
def test_an_odd_file_is_heard(name: str) -> None:
    data, samples = FINE[name]
    heard, status = hear(BytesAudio(data, name))
    assert status == "ok"
    assert len(heard) == max(samples, 16_000)


def test_what_is_no_file_is_a_status(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, reason in [
        (tmp_path, "is not a file"),
        (tmp_path / "pipe", "is not a file"),
        (tmp_path / "none.wav", "there is no such file"),
        (tmp_path / "loop", "cannot be read"),
        (tmp_path / ("x" * 300), "cannot be read"),
        ("a\x00b", "cannot be read"),
    ]:
        heard, status = hear(FileAudio(str(path), "x"))
        assert heard is None
        assert reason in status


@settings(max_examples=300)
@given(
    which=st.sampled_from([PCM, FLAC, OGG, MP3, encoded(440, "OGG", subtype="OPUS")]),
    at=st.floats(0, 1),
    junk=st.binary(max_size=64),
    cut=st.floats(0, 1),
)
def test_fuzzed_files_are_heard_or_have_a_reason(which: bytes, at: float, junk: bytes, cut: float) -> None:
    place = int(at * min(len(which), 400)) if at < 0.7 else int(at * len(which))
    data = patched(which, place, junk)[: int(len(which) * (1 if cut > 0.5 else 2 * cut))]
    heard, status = hear(BytesAudio(data, "fuzzed"))
    assert (heard is None) == (status != "ok")
    assert status
    assert "\n" not in status
    assert not status.startswith(("TypeError", "AttributeError", "IndexError", "struct.error")), status
    if heard is not None:
        assert 16_000 <= len(heard) <= 120 * 16_000
        assert np.isfinite(heard).all()


@given(st.binary(max_size=300))
def test_random_bytes_have_a_reason(data: bytes) -> None:
    heard, status = hear(BytesAudio(data, "random"))
    assert heard is None
    assert status


def test_samples_that_only_resampling_makes_infinite_are_refused() -> None:
    samples = np.where(np.arange(88_200) % 100 < 50, 3.4e38, -3.4e38).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, samples, 44_100, format="WAV", subtype="FLOAT")
    assert hear(BytesAudio(file.getvalue(), "loud")) == (None, "holds samples that are too large to be resampled")


def test_bytes_that_make_no_sense_are_damaged_not_missing() -> None:
    audio, status = hear(BytesAudio(encoded(440, "MP3", 3.0, 44_100)[:500], "cut"))
    assert audio is None
    assert "is damaged" in status
    assert "exist" not in status
