"""One selector in torch, as a features graph and as a waveform graph: the same scores, the same chunks."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import onnxruntime
import pytest
import small_selectors

from earmark.engine.compressors.chunks.cutting import kept_chunks
from earmark.engine.compressors.chunks.graph_selector import (
    FEATURES_GRAPH,
    PROVIDERS,
    WAVEFORM_GRAPH,
    OnnxSelector,
)
from earmark.engine.compressors.chunks.learned import LearnedSelector
from earmark.engine.compressors.chunks.selector import LEARNED_TIE, Selector, SelectorInput
from earmark.engine.compressors.loading import EMBEDDED
from earmark.engine.corpus.clip import CHUNK_SAMPLES, clip
from earmark.engine.errors import InputError
from earmark.engine.making.export import export
from earmark.kernels.neural.logmel import mel_products

QUESTIONS = ["who speaks first?", "how many bells", "where?", "zzz", ""]
BUDGETS = (0.1, 0.4, 0.8)
AT_ONCE = 40
BANK = np.random.default_rng(1).normal(0, 0.25, 140 * CHUNK_SAMPLES).astype(np.float32)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Where others have the second core, every small clip would wait for it."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


@pytest.fixture(scope="module", params=["tiny-agnostic", "tiny-conditioned", "of random weights"])
def backends(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Selector]:
    """What training made, and a selector without a term for the position: there, chunks that are alike tie."""
    folder = tmp_path_factory.mktemp("selector")
    trained = EMBEDDED.get(request.param) or small_selectors.saved(folder)
    export(trained, folder)
    return {
        "torch": LearnedSelector.load(trained),
        "features": OnnxSelector(folder / FEATURES_GRAPH),
        "waveform": OnnxSelector(folder / WAVEFORM_GRAPH),
    }


def audio(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A stretch of noise whose level changes, made difficult in one of ten ways."""
    samples = max(1, int(seconds * CHUNK_SAMPLES))
    start = rng.integers(len(BANK) - samples + 1)
    wave = BANK[start : start + samples].copy()
    for at in range(0, samples, CHUNK_SAMPLES):
        wave[at : at + CHUNK_SAMPLES] *= 10.0 ** rng.uniform(-3, 0)
    times = np.arange(samples) / CHUNK_SAMPLES
    match rng.integers(10):
        case 0:
            wave[:] = 0
        case 1:  # mostly silence
            quiet = rng.random(-(-samples // CHUNK_SAMPLES)) < 0.7
            wave *= ~np.repeat(quiet, CHUNK_SAMPLES)[:samples]
        case 2:
            wave = np.clip(30 * wave, -1, 1)
        case 3:
            wave += np.float32(rng.uniform(-0.9, 0.9))
        case 4:
            wave *= np.float32(1e-8 / np.abs(wave).max())
        case 5:  # the same second again and again
            wave = np.resize(wave[:CHUNK_SAMPLES], samples)
        case 6:
            wave = np.sin(2 * np.pi * rng.uniform(50, 7_900) * times)
        case 7:
            wave = np.sign(np.sin(2 * np.pi * rng.uniform(50, 1_000) * times))
    return clip(wave.astype(np.float32))


def clips(n: int) -> Iterator[list[SelectorInput]]:
    """Of 20 clips 19 last .1 to 8 s and one 8 to 130 s, both uniform in the logarithm; AT_ONCE together."""
    rng = np.random.default_rng(0)
    for first in range(0, n, AT_ONCE):
        batch = []
        for i in range(first, first + AT_ONCE):
            low, high = (8, 130) if i % 20 == 0 else (0.1, 8)
            seconds = float(np.exp(rng.uniform(np.log(low), np.log(high))))
            batch.append(SelectorInput(str(i), audio(rng, seconds), QUESTIONS[i % len(QUESTIONS)]))
        yield batch


@pytest.mark.parametrize("n", [400, pytest.param(2_000, marks=pytest.mark.validity)])
def test_all_backends_keep_the_same_chunks(backends: dict[str, Selector], n: int) -> None:
    worst, decisions, spread = dict.fromkeys(backends, 0.0), 0, []
    for batch in clips(n):
        found = {name: selector.scores(batch) for name, selector in backends.items()}
        for i, one in enumerate(batch):
            expected = found["torch"][i]
            spread.append(np.ptp(expected))
            kept = [backends["torch"].keep(expected, kept_chunks(b, len(expected))).tolist() for b in BUDGETS]
            decisions += len(kept)
            for name, selector in backends.items():
                got = found[name][i]
                assert got.shape == expected.shape
                worst[name] = max(worst[name], float(np.abs(got - expected).max()))
                again = [selector.keep(got, kept_chunks(b, len(got))).tolist() for b in BUDGETS]
                assert again == kept, f"{name}, clip {one.sample_id}"
    assert decisions == len(spread) * len(BUDGETS)
    assert np.quantile(spread, 0.8) > 0.2, "scores that hardly differ would prove nothing"
    assert max(worst.values()) < 1e-4, worst


def test_silence_ties_and_goes_to_the_earlier_chunk(tmp_path: Path) -> None:
    export(small_selectors.saved(tmp_path))
    silence = np.zeros(120 * CHUNK_SAMPLES, np.float32)
    soft = 1e-8 * np.sign(BANK[: len(silence)])
    heard = silence.copy()
    heard[50 * CHUNK_SAMPLES : 51 * CHUNK_SAMPLES] = BANK[:CHUNK_SAMPLES]
    for selector in (
        LearnedSelector.load(tmp_path),
        *(OnnxSelector(tmp_path / g) for g in (FEATURES_GRAPH, WAVEFORM_GRAPH)),
    ):
        for wave in (silence, soft.astype(np.float32)):
            (scores,) = selector.scores([SelectorInput("", wave)])
            assert np.ptp(scores) < LEARNED_TIE / 50
            assert selector.keep(scores, 5).tolist() == [0, 1, 2, 3, 4]
        (scores,) = selector.scores([SelectorInput("", heard)])
        best = scores[50] > scores[0]
        assert selector.keep(scores, 3).tolist() == ([0, 1, 50] if best else [0, 1, 2])


def test_scores_do_not_depend_on_the_batch(backends: dict[str, Selector]) -> None:
    (batch, *_) = clips(AT_ONCE)
    for selector in backends.values():
        together = selector.scores(batch)
        for one, scores in zip(batch[:5], together, strict=False):
            (alone,) = selector.scores([one])
            assert np.abs(alone - scores).max() < LEARNED_TIE / 50


def test_a_question_matters_where_it_is_read_and_is_asked_for(tmp_path: Path) -> None:
    export(small_selectors.saved(tmp_path, conditioned=True))
    (batch, *_) = clips(AT_ONCE)
    wave = batch[0].audio
    for graph in (FEATURES_GRAPH, WAVEFORM_GRAPH):
        selector = OnnxSelector(tmp_path / graph)
        assert selector.asks
        one, other, long = selector.scores(
            [SelectorInput("", wave, q) for q in ("who speaks", "how many dogs", "who " * 400)]
        )
        assert not np.array_equal(one, other)
        assert np.isfinite(long).all()
        with pytest.raises(InputError, match="sample x: has no question"):
            selector.scores([SelectorInput("x", wave)])
        given = OnnxSelector(tmp_path / graph, encode=lambda _: [1, 4])
        assert np.array_equal(given.scores([SelectorInput("", wave, "ignored")])[0], one)


@pytest.mark.parametrize("broken", [np.nan, -np.inf])
def test_audio_that_is_no_number_is_refused_by_name(backends: dict[str, Selector], broken: float) -> None:
    wave = BANK[: 3 * CHUNK_SAMPLES].copy()
    wave[20_000] = broken
    for selector in backends.values():
        with pytest.raises(InputError, match="sample b: has audio with NaN or infinite samples; leave it out"):
            selector.scores([SelectorInput("a", BANK[:CHUNK_SAMPLES], "who"), SelectorInput("b", wave, "who")])


def test_the_features_of_a_graph_run_on_its_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(small_selectors.saved(tmp_path))
    seen = []

    def watched(*arguments: Any) -> Any:
        seen.append(arguments[-1])
        return mel_products(*arguments)

    monkeypatch.setattr("earmark.kernels.neural.logmel.mel_products", watched)
    OnnxSelector(tmp_path / FEATURES_GRAPH, threads=1).scores([SelectorInput("", BANK[:CHUNK_SAMPLES])])
    assert seen == [1]


@pytest.mark.parametrize(("provider", "first"), [("cuda", "CUDA"), ("tensorrt", "Tensorrt")])
def test_a_gpu_that_does_not_start_is_no_silent_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str, first: str
) -> None:
    export(small_selectors.saved(tmp_path))
    taken = []
    real = onnxruntime.InferenceSession

    def fallen_back(path: str, options: Any, providers: list[Any]) -> onnxruntime.InferenceSession:
        taken.extend(providers)
        return real(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "get_available_providers", PROVIDERS.values)
    monkeypatch.setattr(onnxruntime, "InferenceSession", fallen_back)
    with pytest.raises(InputError, match=f"provider {provider}: cannot be started, onnxruntime took CPUExecution"):
        OnnxSelector(tmp_path / WAVEFORM_GRAPH, provider)
    assert str(taken[0]).strip("('").startswith(first)
    assert taken[-1] == ("CUDAExecutionProvider", {"use_tf32": 0})


CODE = """
import sys
for name in ("torch", "transformers", "pyarrow", "numba", "tokenizers", "scipy"):
    sys.modules[name] = None  # importing it fails
import numpy as np
from pathlib import Path
from earmark.engine.compressors.chunks.graph_selector import OnnxSelector
from earmark.engine.compressors.chunks.selector import SelectorInput
selector = OnnxSelector(Path(sys.argv[1]), encode=lambda question: [1, 2, 3])
(scores,) = selector.scores([SelectorInput("", np.ones(100_000, np.float32), "who?")])
print(len(scores), np.isfinite(scores).all())
"""


@pytest.mark.parametrize("conditioned", [False, True])
def test_an_edge_device_needs_onnxruntime_and_numpy_only(tmp_path: Path, conditioned: bool) -> None:
    export(small_selectors.saved(tmp_path, conditioned))
    command = [sys.executable, "-c", CODE, str(tmp_path / WAVEFORM_GRAPH)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "7 True\n"), done.stderr


def test_what_cannot_be_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(small_selectors.saved(tmp_path, conditioned=True))
    graph = tmp_path / WAVEFORM_GRAPH
    wave = [SelectorInput("", BANK[:CHUNK_SAMPLES], "who")]
    with pytest.raises(InputError, match="no such file; name a graph"):
        OnnxSelector(tmp_path / "none.onnx")
    with pytest.raises(InputError, match="provider npu: is unknown; choose one of cpu, cuda, tensorrt"):
        OnnxSelector(graph, provider="npu")
    with pytest.raises(InputError, match=r"not part of the onnxruntime installed here; .*earmark\[edge-gpu\]"):
        OnnxSelector(graph, provider="cuda")
    (tmp_path / "broken.onnx").write_bytes(graph.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be loaded"):
        OnnxSelector(tmp_path / "broken.onnx")
    other = tmp_path / "other.onnx"
    other.write_bytes(graph.read_bytes().replace(b"logmel-768/1", b"logmel-768/0"))
    with pytest.raises(InputError, match="wants features logmel-768/0"):
        OnnxSelector(other)
    other.write_bytes(graph.read_bytes().replace(b"earmark.reads", b"earmark.rides"))
    with pytest.raises(InputError, match="is no selector's graph"):
        OnnxSelector(other)
    tokenizer = (tmp_path / "tokenizer.json").read_text()
    (tmp_path / "tokenizer.json").write_text(tokenizer.replace("bells", "balls"))
    with pytest.raises(InputError, match="is not the tokenizer of this selector"):
        OnnxSelector(graph).scores(wave)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="copy it beside the graph"):
        OnnxSelector(graph).scores(wave)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InputError, match=r"needs tokenizers, which is not installed; pip .*\[edge\].*give token ids"):
        OnnxSelector(graph).scores(wave)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"needs onnxruntime, .*; pip install 'earmark\[edge\]' \(.*never both\)"):
        OnnxSelector(graph)
