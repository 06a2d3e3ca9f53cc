"""An exported folder by itself: what keep.py keeps, reads, refuses and finds, with NumPy and onnxruntime alone."""

import ast
import json
import os
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
import small_selectors
import soundfile
from click.testing import CliRunner
from onnx import numpy_helper
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from earmark.cli.score import score
from earmark.engine.answerers.tiny import EMBEDDED as ANSWERERS
from earmark.engine.compressors.chunks import cutting
from earmark.engine.compressors.loading import EMBEDDED
from earmark.engine.corpus import decode
from earmark.engine.corpus.clip import clip
from earmark.engine.making.edge.chunks import kept_chunks, top_chunks
from earmark.engine.making.edge.edge_error import EdgeError
from earmark.engine.making.edge.question_reader import QuestionReader
from earmark.engine.making.edge.wav import read_wav, wav_bytes
from earmark.engine.making.export import export, program

RATE = 16_000
QUESTION = "Which sound is heard first?"
SELECTORS = ("tiny-agnostic", "tiny-conditioned")
PACKAGES = ("numpy", "numpy.libs", "onnxruntime")  # with the libraries that NumPy's wheel brings


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which nothing but the standard library, NumPy and onnxruntime can be imported (with -S)."""
    packages = tmp_path_factory.mktemp("packages")
    for name in PACKAGES:
        for place in map(Path, sys.path):
            if (place / name).is_dir():
                (packages / name).symlink_to(place / name)
                break
    return os.environ | {"PYTHONPATH": str(packages), "PYTHONWARNINGS": "error", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of both embedded selectors."""
    root = tmp_path_factory.mktemp("exported")
    for name in SELECTORS:
        export(EMBEDDED[name], root / name)
    return {name: root / name for name in SELECTORS}


@pytest.fixture
def copied(exported: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the folder of the one that reads questions, to be damaged."""
    return Path(shutil.copytree(exported["tiny-conditioned"], tmp_path / "edge"))


Keep = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def keep(bare: dict[str, str], tmp_path: Path) -> Keep:
    """Runs keep.py of a folder in the bare environment, elsewhere."""

    def run(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-S", str(folder / "keep.py"), *map(str, arguments)]
        return subprocess.run(command, env=bare, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """Each second at another level, as 16-bit numbers."""
    rng = np.random.default_rng(seed)
    levels = np.repeat(10 ** rng.uniform(-2, 0, int(seconds) + 1), RATE)[: int(seconds * RATE)]
    return (levels * rng.uniform(-1, 1, len(levels)) * 32767).astype(np.int16)


def tones(seconds: float, seed: int) -> np.ndarray:
    """Each second at another pitch, or silent."""
    rng = np.random.default_rng(seed)
    pitches = np.repeat(rng.choice([0, *rng.uniform(50, 6_000, 6)], int(seconds) + 1), RATE)[: int(seconds * RATE)]
    return (16_000 * np.sin(2 * np.pi * pitches * np.arange(len(pitches)) / RATE)).astype(np.int16)


def refusal(done: subprocess.CompletedProcess[str], exit_code: int = 2) -> str:
    """The only line of a run that was refused."""
    assert done.returncode == exit_code, (done.stdout, done.stderr)
    (line,) = done.stderr.splitlines()
    return line.removeprefix("keep.py: ")


# The same as `earmark score` ---------------------------------------------------------------------------------


def test_the_environment_is_bare(bare: dict[str, str]) -> None:
    code = "import numpy, onnxruntime\ntry:\n    import click\nexcept ImportError:\n    print('bare')"
    done = subprocess.run([sys.executable, "-S", "-c", code], env=bare, capture_output=True, text=True, check=False)
    assert done.stdout == "bare\n", done.stderr


@pytest.mark.parametrize("name", SELECTORS)
def test_500_clips_keep_the_same_chunks(name: str, exported: dict[str, Path], keep: Keep, tmp_path: Path) -> None:
    """Against the selector in torch; clips of .3 to 12 s, and some of up to 40 and beyond 120 s."""
    rng = np.random.default_rng(0)
    paths = []
    for i in range(500):
        seconds = 125 if i == 7 else rng.uniform(8, 40) if i % 50 == 0 else rng.uniform(0.3, 12)
        paths.append(tmp_path / f"{i}.wav")
        soundfile.write(paths[-1], tones(seconds, i) if i % 5 else noise(seconds, i), RATE)
    asking = ["--question", QUESTION] if name == "tiny-conditioned" else []
    options = [*asking, "--budget", "0.3", "--json"]
    done = keep(exported[name], *paths, *options)
    assert (done.returncode, done.stderr) == (0, "")
    expected = CliRunner().invoke(score, [*map(str, paths), "--selector", name, *options])
    assert expected.exit_code == 0, expected.output
    ours, theirs = ([json.loads(line) for line in text.splitlines()] for text in (done.stdout, expected.stdout))
    assert len(ours) == len(theirs) == 500
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(our.pop("scores"), their.pop("scores"), atol=1e-4)
        assert our == their
    assert len({tuple(line["kept"]) for line in ours}) > 50, "sets that hardly differ would prove nothing"


def test_what_is_kept_is_written_byte_by_byte(exported: dict[str, Path], keep: Keep, tmp_path: Path) -> None:
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32"):
        soundfile.write(tmp_path / "clip.wav", noise(6.3), RATE, subtype=subtype)
        done = keep(exported["tiny-agnostic"], "clip.wav", "--budget", 0.5, "--out", "new/kept.wav", "--json")
        line = json.loads(done.stdout)
        whole, _ = soundfile.read(tmp_path / "clip.wav", dtype="int32")
        excerpt, rate = soundfile.read(tmp_path / "new" / "kept.wav", dtype="int32")
        assert (len(line["kept"]), rate, line["wav"]) == (3, RATE, "new/kept.wav")
        assert soundfile.info(tmp_path / "new" / "kept.wav").subtype == subtype
        assert np.array_equal(excerpt, np.concatenate([whole[i * RATE : (i + 1) * RATE] for i in line["kept"]]))
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", noise(0.5), RATE)
    done = keep(exported["tiny-agnostic"], "a.wav", "b.wav", "--budget", 1, "--out", "new")
    assert [line.split("  ")[2:] for line in done.stdout.splitlines()] == [
        ["keeps 0 of 1", f"-> new/{name}.wav"] for name in ("a", "b")
    ]
    padded, _ = soundfile.read(tmp_path / "new" / "b.wav", dtype="int16")
    assert np.array_equal(padded, np.pad(noise(0.5), (0, RATE // 2)))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32"])
@pytest.mark.parametrize("layout", ["WAV", "WAVEX"])
def test_samples_are_those_of_libsndfile(tmp_path: Path, subtype: str, layout: str) -> None:
    path = tmp_path / "clip.wav"
    for seconds in (0.01, 1, 2.7, 121):
        soundfile.write(path, noise(seconds), RATE, subtype=subtype, format=layout)
        expected = clip(decode.waveform(str(path)))
        recording = read_wav(path)
        assert recording.waveform.dtype == np.float32
        assert np.array_equal(recording.waveform, expected)
        again = tmp_path / "again.wav"
        again.write_bytes(wav_bytes(recording))
        assert read_wav(again) == recording
        assert np.array_equal(decode.waveform(str(again)), expected)


@pytest.mark.parametrize("length", [0x7FFF_0000, 0xFFFF_FFFF])
def test_a_recorder_need_not_know_the_length(tmp_path: Path, length: int) -> None:
    soundfile.write(tmp_path / "clip.wav", noise(2), RATE)
    data = (tmp_path / "clip.wav").read_bytes()
    at = data.index(b"data") + 4
    (tmp_path / "clip.wav").write_bytes(data[:at] + struct.pack("<I", length) + data[at + 4 :])
    assert np.array_equal(read_wav(tmp_path / "clip.wav").waveform, decode.waveform(str(tmp_path / "clip.wav")))


def test_ranks_and_budgets_are_earmarks() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2_000):
        count = int(rng.integers(1, 121))
        budget = round(float(rng.uniform(0.001, 1)), int(rng.integers(1, 4))) or 1.0
        k = cutting.kept_chunks(budget, count)
        assert kept_chunks(budget, count) == k
        tie = float(rng.choice([0, 0.1]))
        scores = np.round(rng.normal(0, 1, count), int(rng.integers(0, 4))).astype(np.float32)
        assert np.array_equal(top_chunks(scores, k, tie), cutting.top_chunks(scores, k, tie))
    assert kept_chunks(0.29, 100) == 29


# Questions ---------------------------------------------------------------------------------------------------

QWEN = json.loads((ANSWERERS["tiny"] / "tokenizer.json").read_text())["pre_tokenizer"]["pretokenizers"][0]["pattern"]
LLAMA_3 = QWEN["Regex"].replace(r"|\p{N}|", r"|\p{N}{1,3}|")
CASES = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz" * 2 + "ABCDEFGHIJ     '''?.,-/_0123456789",
    "àéîõüçñßøłőşğıİ ÀÉÎÕÜÇ’‘“”…–ſK",
    "e\u0301a\u0308o\u0302\u0323\u1100\u1161\u11a8\ufb01Å½²٣५Ⅷ",
    "最初に話すのは誰ですか何回鳴りました한국어안녕中文錄音カタカナ。、？ー",
    "🔔🎧👩‍🚀🏳️‍🌈👍🏽 ☎︎",
    "  \t\n\r\n\u00a0\u2003\u3000\x0b\x0c\x1c\x1f\x85\u200b\u2028",
    "приветКтоговоритпервымمرحباשלוםนี่คือเสียงनमस्ते",
    "'s't're've'm'll'd'S'LL'D<|im_end|><|AUDIO|>\x00\x7f",
)


def texts(n: int) -> list[str]:
    """Runs of words of one to four alphabets each."""
    draw = random.Random(0)
    drawn = []
    for _ in range(n):
        alphabets = draw.sample(ALPHABETS, draw.randint(1, 4))
        runs = (
            "".join(draw.choices(draw.choice(alphabets), k=draw.randint(1, 12))) for _ in range(draw.randint(0, 12))
        )
        drawn.append(draw.choice(["", " "]).join(runs))
    return ["", " ", QUESTION, "it's  <|im_end|> we'll\n\n", "a" * 300, *drawn][:n]


def trained(pattern: str | None, normalizer: normalizers.Normalizer | None = None, **more: bool) -> Tokenizer:
    """A byte-level BPE of 1,500 merges, learnt from such texts."""
    tokenizer = Tokenizer(models.BPE(**more))
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    steps = [] if pattern is None else [pre_tokenizers.Split(Regex(pattern), "isolated")]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*steps, level]) if steps else level
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1_756, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts(3_000), trainer)
    tokenizer.add_special_tokens(["<|im_end|>", "<|im_end|>\n"])
    tokenizer.add_tokens([AddedToken("caf\u00e9", normalized=True), AddedToken("bell", normalized=False)])
    return tokenizer


TOKENIZERS: dict[str, Callable[[], Tokenizer]] = {
    "of the embedded selector": lambda: Tokenizer.from_file(str(EMBEDDED["tiny-conditioned"] / "tokenizer.json")),
    "of the embedded answerer": lambda: Tokenizer.from_file(str(ANSWERERS["tiny"] / "tokenizer.json")),
    "like Qwen": lambda: trained(QWEN["Regex"], normalizers.NFC()),
    "like Llama 3": lambda: trained(LLAMA_3, ignore_merges=True),
    "like GPT-2": lambda: trained(None),
    "with cases": lambda: trained(CASES, normalizers.Sequence([normalizers.NFD(), normalizers.NFKC()])),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_1000_texts_have_the_tokens_of_the_package(name: str) -> None:
    tokenizer = TOKENIZERS[name]()
    reader = QuestionReader(json.loads(tokenizer.to_str()))
    lengths = []
    for text in texts(1_000):
        expected = tokenizer.encode(text, add_special_tokens=False).ids
        assert reader.tokens(text) == expected, repr(text)
        lengths.append(len(expected))
    assert sum(lengths) > 10_000


@pytest.mark.parametrize("written", ["a b", ["a", "b"]])
def test_merges_are_written_in_two_ways(written: object) -> None:
    tokenizer = json.loads((EMBEDDED["tiny-conditioned"] / "tokenizer.json").read_text())
    tokenizer["model"]["merges"] = [written]
    tokenizer["model"]["vocab"]["ab"] = 7_000
    assert 7_000 in QuestionReader(tokenizer).tokens("cab")


def set_in(path: str, value: object) -> Callable[[dict], None]:
    """Sets what stands at a path of a tokenizer.json."""

    def change(tokenizer: dict) -> None:
        *outer, last = path.split("/")
        part = tokenizer
        for key in outer:
            part = part[int(key) if isinstance(part, list) else key]
        part[int(last) if isinstance(part, list) else last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "part"),
    [
        ("truncation", {"max_length": 3}, "truncation"),
        ("model/type", "WordPiece", "model WordPiece"),
        ("model/byte_fallback", True, "model with byte_fallback"),
        ("model/dropout", 0.1, "model with dropout"),
        ("model/vocab", {"a": 0}, "model without all bytes"),
        ("normalizer", {"type": "Lowercase"}, "normalizer Lowercase"),
        ("pre_tokenizer", None, "pre-tokenizer none"),
        ("pre_tokenizer", {"type": "Metaspace"}, "pre-tokenizer Metaspace"),
        ("pre_tokenizer/pretokenizers/0/behavior", "Removed", "pre-tokenizer Split Removed"),
        ("pre_tokenizer/pretokenizers/0/pattern", {"String": " "}, "pre-tokenizer Split without a regular expression"),
        ("pre_tokenizer/pretokenizers/0", {"type": "Digits"}, "pre-tokenizer Digits"),
        ("pre_tokenizer/pretokenizers/1/add_prefix_space", True, "pre-tokenizer ByteLevel with add_prefix_space"),
        ("added_tokens/0/lstrip", True, "added token with lstrip"),
        *(
            ("pre_tokenizer/pretokenizers/0/pattern", {"Regex": regex}, f"pattern {regex}")
            for regex in (r"\w+", r"\p{Han}", "a++", "a{2}+", "[a[b]]", "[a&&b]", "^a", ".", "(a", r"[^\s\S]", "[]a]")
        ),
    ],
)
def test_what_the_reader_does_not_know_is_refused_by_name(path: str, value: object, part: str) -> None:
    tokenizer = json.loads((EMBEDDED["tiny-conditioned"] / "tokenizer.json").read_text())
    set_in(path, value)(tokenizer)
    with pytest.raises(EdgeError) as refused:
        QuestionReader(tokenizer)
    expected = f"tokenizer.json: has a {part}, which is not known here; give the question as ids, with --tokens"
    assert str(refused.value) == " ".join(expected.split())


def test_a_character_that_python_does_not_know_is_refused() -> None:
    reader = QuestionReader(json.loads((EMBEDDED["tiny-conditioned"] / "tokenizer.json").read_text()))
    for text, what in (("who \u0378?", "U+0378, which is not in Unicode"), ("\udcff", "U+DCFF, which is not in UTF-8")):
        with pytest.raises(EdgeError, match=what.replace("+", r"\+")):
            reader.tokens(text)


def test_a_question_may_come_as_text_or_as_tokens(exported: dict[str, Path], keep: Keep, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", noise(4), RATE)
    vectors = json.loads((exported["tiny-conditioned"] / "vectors.json").read_text())["vectors"]
    ids = ",".join(map(str, vectors[0]["tokens"]))
    outputs = [
        keep(exported["tiny-conditioned"], "clip.wav", *asking).stdout
        for asking in (("--question", vectors[0]["question"]), ("--tokens", ids), ("--question", ""), ("--tokens", ""))
    ]
    assert outputs[0] == outputs[1] != outputs[2] == outputs[3]


def test_a_selector_whose_tokenizer_is_not_known_takes_tokens(keep: Keep, tmp_path: Path) -> None:
    export(small_selectors.saved(tmp_path / "selector", conditioned=True), tmp_path / "edge")
    assert json.loads((tmp_path / "edge" / "edge.json").read_text())["reads_text"] is False
    done = keep(tmp_path / "edge", "--check", "--threads", 1)
    assert (done.returncode, done.stderr) == (0, "")
    soundfile.write(tmp_path / "clip.wav", noise(2), RATE)
    assert keep(tmp_path / "edge", "clip.wav", "--tokens", "1,4").returncode == 0
    refused = refusal(keep(tmp_path / "edge", "clip.wav", "--question", "who"))
    assert refused.startswith(
        "tokenizer.json: has a model WordLevel, which is not known here; give the question as ids"
    )


# What is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("audio", "options", "message"),
    [
        ("clip", "", "question: this selector reads one; give either --question or --tokens"),
        ("clip", "--tokens 1 --question who", "question: this selector reads one"),
        ("clip", "--tokens 1;2", "--tokens 1;2: is no list of token ids"),
        ("clip", "--tokens=-1", "--tokens -1: is no list of token ids"),
        ("clip", "--tokens 70000", "waveform.onnx: cannot be run ("),
        ("clip", "--tokens 1 --budget 0", "--budget 0: is not in (0, 1]"),
        ("clip", "--tokens 1 --budget 1.2", "--budget 1.2: is not in (0, 1]"),
        ("clip", "--tokens 1 --budget nan", "--budget nan: is not in (0, 1]"),
        ("clip", "--tokens 1 --budget few", "arguments: argument --budget: invalid float value: 'few'"),
        ("clip", "--tokens 1 --threads 0", "arguments: argument --threads: 0 is no number from 1"),
        ("clip", "--tokens 1 --out a.wav", "--out: needs a budget"),
        ("clip", "--tokens 1 --budget 1 --out clip.wav", "--out: would write over the recording clip.wav"),
        ("clip clip", "--tokens 1 --budget 1 --out new", "--out: two recordings have the same name"),
        ("clip", "--check", "--check: takes no audio"),
        ("", "", "arguments: name no recording"),
        ("none", "--tokens 1", "none.wav: cannot be read (No such file or directory)"),
        ("text", "--tokens 1", "text.wav: is no WAV file; convert it with: ffmpeg"),
        ("stereo", "--tokens 1", "stereo.wav: is 16000 Hz, 2 channels, 16-bit PCM, not 16000 Hz, 1 channel, PCM; conv"),
        ("quick", "--tokens 1", "quick.wav: is 44100 Hz, 1 channel, 16-bit PCM, not"),
        ("float", "--tokens 1", "float.wav: is 16000 Hz, 1 channel, 32-bit floating point, not"),
        ("law", "--tokens 1", "law.wav: is 16000 Hz, 1 channel, 8-bit coding 7, not"),
        ("empty", "--tokens 1", "empty.wav: is a WAV file without samples"),
        ("cut", "--tokens 1", "cut.wav: is truncated: 0.97 of 2.00 s are there"),
        ("headless", "--tokens 1", "headless.wav: is a damaged WAV file"),
    ],
)
def test_whatever_is_refused_is_one_line(
    exported: dict[str, Path], keep: Keep, tmp_path: Path, audio: str, options: str, message: str
) -> None:
    wave = noise(2)
    for name, data, rate, subtype in (
        ("clip", wave, RATE, "PCM_16"),
        ("stereo", np.stack([wave, wave], 1), RATE, "PCM_16"),
        ("quick", wave, 44_100, "PCM_16"),
        ("float", wave, RATE, "FLOAT"),
        ("law", wave, RATE, "ULAW"),
        ("empty", wave[:0], RATE, "PCM_16"),
    ):
        soundfile.write(tmp_path / f"{name}.wav", data, rate, subtype=subtype)
    whole = (tmp_path / "clip.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: 44 + 31_000])
    (tmp_path / "headless.wav").write_bytes(whole[:12] + whole[whole.index(b"data") :])
    (tmp_path / "text.wav").write_text("no sound")
    done = keep(exported["tiny-conditioned"], *(f"{name}.wav" for name in audio.split()), *options.split())
    assert refusal(done).startswith(message)
    assert done.stdout == ""


def test_a_selector_without_a_question_takes_none(exported: dict[str, Path], keep: Keep) -> None:
    refused = refusal(keep(exported["tiny-agnostic"], "clip.wav", "--question", "who"))
    assert refused == "--question: this selector reads no question; leave it out"


def test_what_is_missing_is_named(exported: dict[str, Path], tmp_path: Path) -> None:
    command = [sys.executable, "-S", str(exported["tiny-agnostic"] / "keep.py"), "clip.wav"]
    done = subprocess.run(command, env={}, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refusal(done) == "numpy and onnxruntime missing; pip install numpy onnxruntime"


# The check ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SELECTORS)
def test_an_exported_folder_passes_and_tells_what_it_takes(
    name: str, exported: dict[str, Path], keep: Keep, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(exported[name], tmp_path / "edge"))
    (folder / "features.onnx").unlink()  # which a device does not need
    done = keep(folder, "--check", "--threads", 2)
    assert (done.returncode, done.stderr) == (0, "")
    device = json.loads((folder / "device.json").read_text())
    assert (device["schema"], device["passes"], device["failure"]) == ("earmark.device/1", True, None)
    assert device["graph"] == sha256((folder / "waveform.onnx").read_bytes()).hexdigest()
    assert device["machine"].keys() > {"machine", "processor", "system", "cores", "python", "numpy", "onnxruntime"}
    assert [run["threads"] for run in device["runs"]] == [1, 2]
    for run in device["runs"]:
        assert (run["clips"], run["clip_s"], len(run["scores"])) == (50, 10.0, 7)
        assert 0 < run["p50_ms"] <= run["p95_ms"]
        assert 0 < run["cold_start_s"] < 60
        assert 10 < run["peak_mib"] < 300
    assert done.stdout.splitlines()[-2:] == ["edge/device.json", "pass"]


def change_one_weight(folder: Path) -> None:
    """Of some 300,000: the one with which the last product begins, by a fifth of the scale of all."""
    model = onnx.load(folder / "waveform.onnx")
    products = [node for node in model.graph.node if node.op_type == "MatMul"]
    (constant,) = (c for c in model.graph.initializer if c.name == products[-1].input[1])
    values = numpy_helper.to_array(constant).copy()
    values.reshape(-1)[0] += 0.2
    constant.CopyFrom(numpy_helper.from_array(values, constant.name))
    onnx.save(model, folder / "waveform.onnx")


def hash_again(folder: Path) -> None:
    """As whoever hides a change would."""
    manifest = json.loads((folder / "edge.json").read_text())
    manifest["files"] = {
        name: sha256((folder / name).read_bytes()).hexdigest() for name in manifest["files"] if (folder / name).exists()
    }
    (folder / "edge.json").write_text(json.dumps(manifest))


def test_one_changed_weight_is_found_by_the_hash(copied: Path, keep: Keep, tmp_path: Path) -> None:
    assert keep(copied, "--check", "--threads", 1).returncode == 0
    change_one_weight(copied)
    done = keep(copied, "--check")
    expected = "edge/waveform.onnx: is not the file that was exported (SHA-256 "
    assert refusal(done, 1).startswith(expected)
    assert done.stdout == ""
    assert not (copied / "device.json").exists(), "an older report would speak for the changed graph"
    soundfile.write(tmp_path / "clip.wav", noise(2), RATE)
    assert refusal(keep(copied, "clip.wav", "--tokens", "1")).startswith(expected), "nothing is scored with it either"


def test_one_changed_weight_is_found_by_the_scores(copied: Path, keep: Keep) -> None:
    change_one_weight(copied)
    hash_again(copied)
    done = keep(copied, "--check", "--threads", 1)
    failure = refusal(done, 1)
    assert failure.startswith("with 1 thread: scores of vector ")
    assert failure.endswith("of their spread, 0.0001 is allowed")
    device = json.loads((copied / "device.json").read_text())
    assert (device["passes"], device["failure"]) == (False, failure)


def other_chunks(folder: Path) -> None:
    vectors = json.loads((folder / "vectors.json").read_text())
    vectors["vectors"][0]["kept"][1] = [8, 9]
    (folder / "vectors.json").write_text(json.dumps(vectors))
    hash_again(folder)


def other_tokens(folder: Path) -> None:
    vectors = json.loads((folder / "vectors.json").read_text())
    vectors["vectors"][2]["tokens"][0] += 1
    (folder / "vectors.json").write_text(json.dumps(vectors))
    hash_again(folder)


def no_graph(folder: Path) -> None:
    data = b"no graph"
    (folder / "waveform.onnx").write_bytes(data)
    hash_again(folder)


def no_recording(folder: Path) -> None:
    (folder / "vectors" / "alike.wav").unlink()


def no_json(folder: Path) -> None:
    (folder / "edge.json").write_text("{")


def another_schema(folder: Path) -> None:
    (folder / "edge.json").write_text('{"schema": "earmark.edge/0"}')


def half_a_manifest(folder: Path) -> None:
    (folder / "edge.json").write_text('{"schema": "earmark.edge/1"}')


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (other_chunks, "with 1 thread: vector ten-seconds keeps ["),
        (other_tokens, "with 1 thread: tokenizer.json: gives the question of vector fraction other tokens here"),
        (no_graph, "with 1 thread: edge/waveform.onnx: cannot be loaded ("),
        (no_recording, "edge/vectors/alike.wav: cannot be read (No such file"),
        (no_json, "edge/edge.json: is not JSON"),
        (another_schema, "edge/edge.json: is no earmark.edge/1; export"),
        (half_a_manifest, "edge/edge.json: is not whole"),
    ],
)
def test_the_check_says_in_one_line_what_fails(
    copied: Path, keep: Keep, damage: Callable[[Path], None], message: str
) -> None:
    damage(copied)
    assert refusal(keep(copied, "--check", "--threads", 1), 1).startswith(message)


# What travels ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", program())
def test_what_travels_imports_nothing_of_earmark(name: str) -> None:
    """And is Python 3.10."""
    imported = set()
    for node in ast.walk(ast.parse(program()[name], feature_version=(3, 10))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported <= sys.stdlib_module_names | {"numpy", "onnxruntime", "earmark_edge"}
    assert b"earmark.engine" not in program()[name]
