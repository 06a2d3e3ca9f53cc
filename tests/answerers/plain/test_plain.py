"""Any audio model of transformers behind its own processor: families, the embedded folder's twin, and what is refused.

The families are tiny random models from configurations; nothing is downloaded.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import audio_families
import fakes
import numpy as np
import pytest
import torch
from audio_families import FAMILIES, Family
from cut import keep_chunks

from earmark.engine.answerers.answer_all import answer_all, flip_rate
from earmark.engine.answerers.answerer import LostError
from earmark.engine.answerers.loading import load
from earmark.engine.answerers.model_types import load_plain
from earmark.engine.answerers.plain.auto_model import AutoInputs, AutoModel
from earmark.engine.answerers.plain.plain_answerer import PlainAnswerer
from earmark.engine.answerers.request import Answer, Progress, Request
from earmark.engine.answerers.shared.audio_lm import OutOfMemoryError, Reply
from earmark.engine.answerers.shared.scheduler import AnswerOptions
from earmark.engine.answerers.tiny import TINY_A
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.corpus.clip import clip
from earmark.engine.corpus.example import Question
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.synthetic.synthetic_corpus import examples
from earmark.engine.design.keys import NOT_FINITE
from earmark.engine.design.sections import AnswererSpec
from earmark.engine.design.spec import parse
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.sweep.run import run

SPEC = """
[corpus]
path = "synthetic:certification:2"
[[answerers]]
model = "{model}"
generate = {generate}
[sweep]
budgets = [0.5]
window = 2
[[methods]]
name = "energy"
[audits]
flip_rate = 0
"""
NEEDS = {"voxtral": "mistral_common", "granite_speech": "torchaudio"}


def request(name: str, sound: fakes.Sound, text: str = "Which sound is heard?", options: int = 3) -> Request:
    choices = tuple("abcdefgh"[:options])
    return Request(name, Excerpt.of(sound, clip(sound.waveform())), Question(text, choices, 0))


def mixed(n: int = 8) -> list[Request]:
    """Three lengths of audio, four of questions, two to four options."""
    return [
        request(str(i), fakes.Sound(i, 2 + 0.5 * (i % 3)), fakes.QUESTIONS[i % 6] + " Now" * (i % 4), options=2 + i % 3)
        for i in range(n)
    ]


def answers(answerer: PlainAnswerer, requests: list[Request]) -> dict[str, Answer]:
    return {answer.id: answer for answer in answer_all(answerer, requests)}


def alike(some: dict[str, Answer], others: dict[str, Answer]) -> bool:
    """Whether all are answered, with the same letters and likelihoods."""
    return all(
        answer.status == others[name].status == "ok"
        and answer.predicted_label == others[name].predicted_label
        and answer.nll is not None
        and abs(answer.nll - (others[name].nll or 0)) < 1e-4
        for name, answer in some.items()
    )


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.__name__)
def family(request: Any, tmp_path_factory: Any) -> AutoModel:
    """A model of each family in turn, saved and loaded."""
    make: Callable[[], Family] = request.param
    if make.__name__ in NEEDS:
        pytest.importorskip(NEEDS[make.__name__])
    return load_plain(str(make().save(tmp_path_factory.mktemp(make.__name__))), "cpu", "float32")


def test_a_family_answers_in_batches_as_alone(family: AutoModel) -> None:
    answerer = PlainAnswerer(family)
    assert answerer.likelihoods
    assert family.reads_together
    together = answers(answerer, mixed())
    alone = answers(PlainAnswerer(family, AnswerOptions(batch_tokens=1)), mixed())
    assert alike(together, alone)
    assert alike(together, answers(answerer.in_other_batches(), mixed()[::-1]))
    assert all(answer.num_audio_tokens and answer.lm_positions for answer in together.values())


def test_a_family_hears_its_audio(family: AutoModel) -> None:
    answerer = PlainAnswerer(family)
    same_question = answers(answerer, [request(str(seed), fakes.Sound(seed, 2.0)) for seed in range(4)])
    assert len({round(answer.nll or 0, 4) for answer in same_question.values()}) == 4
    too_long = answers(answerer, [request("x", fakes.Sound(0, 31.0))])["x"].status
    heard = "too long: 31.0 s of audio, the answerer hears 30 s at once"
    assert (family.longest_s, too_long) in [(None, "ok"), (30.0, heard)]


def test_a_family_writes_letters_as_text(family: AutoModel) -> None:
    written = PlainAnswerer(family, AnswerOptions(generate=3))
    assert written.identity != PlainAnswerer(family).identity
    results = [result for _, result in written.answer(mixed(4), {})]
    alone = [result for _, result in PlainAnswerer(family, AnswerOptions(1, batch_tokens=1)).answer(mixed(4), {})]
    assert all(result.status == "ok" and result.text is not None for result in results)
    first = {result.key: result.text or "" for result in alone}
    assert all((result.text or "").startswith(first[result.key].rstrip("�")) for result in results)


def test_the_embedded_folder_answers_as_the_fast_one() -> None:
    rng = np.random.default_rng(0)
    rows = list(examples(Split.CERTIFICATION, 10, seed=Split.CERTIFICATION.seeds.start + 7))[:60]
    kept = [
        keep_chunks(row.audio.waveform(), np.sort(rng.permutation(10)[: rng.choice([1, 3, 10])])).chunks for row in rows
    ]
    requests = [
        Request(row.sample_id, Excerpt.of(row.audio, row.audio.waveform(), chunks), row.question)
        for row, chunks in zip(rows, kept, strict=True)
    ]
    assert len(requests) == 60
    plain, fast = load(AnswererSpec("plain:tiny")), load(AnswererSpec("tiny"))
    assert isinstance(plain, PlainAnswerer)
    ours = {answer.id: answer for answer in answer_all(plain, requests)}
    theirs = {answer.id: answer for answer in answer_all(fast, requests)}
    assert alike(ours, theirs)
    for name, answer in ours.items():
        assert answer.num_audio_tokens == theirs[name].num_audio_tokens
        assert answer.lm_positions == theirs[name].lm_positions
        assert answer.flops is None
    assert flip_rate(plain, requests[:12]).share == 0


def test_an_identity_is_of_what_answers_and_of_nothing_else(tmp_path: Path) -> None:
    shutil.copytree(TINY_A, tmp_path / "copy", ignore=shutil.ignore_patterns("b", "__pycache__"))
    first, copied = load_plain("tiny", "cpu", "float32"), load_plain(str(tmp_path / "copy"), "cpu", "float32")
    assert first.identity == copied.identity
    template = tmp_path / "copy" / "chat_template.jinja"
    template.write_text(template.read_text().replace("helpful", "terse"))
    others = [
        load_plain(str(tmp_path / "copy"), "cpu", "float32"),
        load_plain("tiny", "cpu", "bfloat16"),
        load_plain("tiny-b", "cpu", "float32"),
    ]
    assert len({first.identity, *(other.identity for other in others)}) == 4
    assert others[1].reads_together


def test_a_template_writes_the_same_day_every_day(broken: Path, flamingo: Path) -> None:
    template = (broken / "chat_template.jinja").read_text()
    (broken / "chat_template.jinja").write_text("Today: {{ strftime_now('%d %b %Y') }}." + template)
    model = load_plain(str(broken), "cpu", "float32")
    assert model._prompt("Q").startswith("Today: January 01, 2026.<|im_start|>user")
    assert load_plain(str(flamingo), "cpu", "float32").identity != model.identity


def test_a_name_on_the_hub_is_a_folder_of_its_snapshot(flamingo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for: list[Any] = []

    def snapshot(name: str, allow_patterns: list[str], **_: Any) -> str:
        asked_for.append((name, [pattern for pattern in allow_patterns if pattern.endswith(("bin", "py", "pt"))]))
        return str(flamingo)

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: None)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert load(AnswererSpec("plain:lab/flamingo")).name == "lab/flamingo"
    assert asked_for == [("lab/flamingo", [])]


def test_letters_that_are_no_tokens_are_written_and_parsed(tmp_path: Path) -> None:
    family = audio_families.audio_flamingo_3()
    tokenizer = json.loads(family.tokenizer.backend_tokenizer.to_str())
    tokenizer["normalizer"] = {"type": "Replace", "pattern": {"String": "C"}, "content": "C."}
    folder = family.save(tmp_path)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    answerer = PlainAnswerer(load_plain(str(folder), "cpu", "float32"))
    assert not answerer.likelihoods
    for _, result in answerer.answer(mixed(), {}):
        assert result.status == "ok"
        assert result.option_nll == ()
        assert result.text is not None


def test_a_model_that_minds_padding_is_asked_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_plain(str(audio_families.audio_flamingo_3().save(tmp_path)), "cpu", "float32")
    rows: list[int] = []
    generate = model._model.generate

    def careless(**inputs: Any) -> Any:
        rows.append(len(inputs["input_ids"]))
        return generate(**{**inputs, "attention_mask": torch.ones_like(inputs["attention_mask"])})

    monkeypatch.setattr(model._model, "generate", careless)
    assert not model.reads_together
    rows.clear()
    in_batches = answers(PlainAnswerer(model), mixed())
    assert alike(in_batches, answers(PlainAnswerer(model, AnswerOptions(batch_tokens=1)), mixed()))
    assert set(rows) == {1}


def test_a_sweep_runs_on_a_plain_model(flamingo: Path, tmp_path: Path) -> None:
    spec = parse(SPEC.format(model=f"plain:{flamingo}", generate=0))
    assert spec.answerers[0].name == flamingo.name
    assert run(spec, tmp_path).complete
    cells = {key: store.read_cell(tmp_path, key, paths) for key, paths in store.find_cells(tmp_path).items()}
    assert {(key.method, key.budget) for key in cells} == {("uncompressed", 1), ("silence", 1), ("energy", 0.5)}
    for cell in cells.values():
        assert set(cell.status.to_pylist()) == {"ok"}
        assert (cell.lm_positions > 0).all()
        assert np.isnan(cell.flops).all()


# Work, without weights -----------------------------------------------------------------------------------------


class FakeInputs(NamedTuple):
    positions: int
    audio_tokens: int
    shape: int
    nbytes: int
    heard: bytes


class FakeModel:
    """Answers by a hash of what is heard and asked; counts its batches, and fails as it is told."""

    name = identity = "fake"
    likelihoods, longest_s, most_positions = True, 8.0, 120

    def __init__(self, fails: Callable[[list[FakeInputs]], None] = lambda _: None) -> None:
        self.batches: list[list[FakeInputs]] = []
        self._fails = fails

    def inputs(self, waveform: Any, text: str) -> FakeInputs:
        heard = blake2b(waveform.tobytes() + text.encode(), digest_size=8).digest()
        if "unreadable" in text:
            raise ValueError("no prompt")
        return FakeInputs(len(text) // 3, len(waveform) // 20_000, len(waveform), len(waveform), heard)

    def replies(self, rows: Sequence[FakeInputs], options: Sequence[int], _: int) -> list[Reply]:
        self._fails(list(rows))
        self.batches.append(list(rows))
        return [Reply(np.frombuffer(row.heard, np.uint8)[:n] / 16.0) for row, n in zip(rows, options, strict=True)]


def test_equal_work_is_done_once_in_batches_of_one_shape() -> None:
    model = FakeModel()
    requests = mixed(12) * 2
    answerer = PlainAnswerer(model, AnswerOptions(batch_tokens=300, clip_bytes=200_000))
    pairs = list(answerer.answer(requests, {}))
    assert sorted(pair[0].id for pair in pairs) == sorted(request.id for request in requests)
    assert sum(map(len, model.batches)) == len({result.key for _, result in pairs}) == 12
    assert all(len({row.shape for row in rows}) == 1 for rows in model.batches)
    assert all(len(rows) * max(row.positions for row in rows) <= 300 or len(rows) == 1 for rows in model.batches)
    assert max(map(len, model.batches)) > 1
    model.batches.clear()
    again = list(answerer.answer(requests, {result.key: result for _, result in pairs}))
    assert not model.batches
    assert {(request.id, result) for request, result in again} == {(request.id, result) for request, result in pairs}


def test_what_cannot_be_answered_has_a_status_and_nobody_else_has() -> None:
    def out_of_memory(rows: list[FakeInputs]) -> None:
        if len(rows) > 2:
            raise OutOfMemoryError("no room")

    good = mixed(6)
    gone = good[0].excerpt.wave._replace(audio=fakes.Sound(1, 2.0, broken=True))
    bad = {
        "too long: 9.0 s of audio, the answerer hears 8 s at once": request("a", fakes.Sound(1, 9.0)),
        "too short: not one audio token": request("b", fakes.Sound(1, 1.0)),
        "too long: 208 positions, the answerer has 120": request("c", fakes.Sound(1, 2.0), "long " * 100),
        "audio: not a recording": Request("d", replace(good[0].excerpt, wave=gone, hash="x"), good[0].question),
        "failed: ValueError: no prompt": request("e", fakes.Sound(1, 2.0), "unreadable"),
    }  # fmt: skip
    reports: list[Progress] = []
    pairs = list(PlainAnswerer(FakeModel(out_of_memory)).answer([*bad.values(), *good], {}, reports.append))
    statuses = {request.id: result.status for request, result in pairs}
    assert {request.id: status for status, request in bad.items()} == {
        name: status for name, status in statuses.items() if status != "ok"
    }
    assert (reports[-1].answered, reports[-1].total, reports[-1].failed) == (11, 11, 5)


def test_likelihoods_that_are_no_numbers_are_a_status_and_a_broken_model_is_lost() -> None:
    class NotANumber(FakeModel):
        def replies(self, _: Sequence[FakeInputs], options: Sequence[int], __: int) -> list[Reply]:
            return [Reply(np.full(n, np.nan)) for n in options]

    assert {result.status for _, result in PlainAnswerer(NotANumber()).answer(mixed(3), {})} == {NOT_FINITE}

    def broken_model(_: list[FakeInputs]) -> None:
        raise RuntimeError("broken")

    with pytest.raises(LostError, match="16 requests in a row"):
        list(PlainAnswerer(FakeModel(broken_model)).answer(mixed(20), {}))


def test_it_stops_after_a_batch() -> None:
    model = FakeModel()
    answerer = PlainAnswerer(model, AnswerOptions(batch_tokens=1))
    assert len(list(answerer.answer(mixed(8), {}, stop=lambda: len(model.batches) >= 3))) == 3


# Refusals ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flamingo(tmp_path_factory: Any) -> Path:
    return audio_families.audio_flamingo_3().save(tmp_path_factory.mktemp("flamingo"))


@pytest.fixture
def broken(flamingo: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(flamingo, tmp_path / "broken"))


def change(name: str, folder: Path, **keys: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


def rewrite(folder: Path, drop: str = "", add: str = "") -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    if drop:
        del weights[drop]
    save_file({**weights, **({add: torch.zeros(3)} if add else {})}, path, {"format": "pt"})


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def adapter(folder: Path) -> None:
    (folder / "speech-lora").mkdir()
    (folder / "speech-lora" / "adapter_config.json").write_text("{}")


@pytest.mark.filterwarnings("ignore:At least one mel filter")
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (
            partial(change, "config.json", model_type="kimi_audio", auto_map={"AutoModel": "modeling.Kimi"}),
            "needs code that comes with it (auto_map), which is never run",
        ),
        (partial(change, "config.json", model_type="kimi_audio"), "'kimi_audio' is unknown to transformers"),
        (partial(change, "config.json", model_type="qwen2"), "'qwen2' answers no questions about audio"),
        (partial(change, "config.json", model_type="t5"), "'t5' hears no audio"),
        (partial(change, "config.json", model_type="qwen2_vl"), "'qwen2_vl' hears no audio"),
        (pickle_only, "weights in pickles are not read"),
        (partial(rewrite, drop="audio_tower.conv1.bias"), "lacks weights: 'model.audio_tower.conv1.bias'"),
        (partial(rewrite, add="surplus.weight"), "no place for: 'surplus.weight'"),
        (adapter, "hears through an adapter ('speech-lora/adapter_config.json'), which is not loaded"),
        (partial(change, "preprocessor_config.json", sampling_rate=24_000), "hears 24,000 samples a second"),
        (lambda folder: (folder / "chat_template.jinja").unlink(), "has no chat template"),
        (
            lambda folder: (folder / "chat_template.jinja").write_text("{{ messages[0]['content'][1]['text'] }}"),
            "writes no prompt with one audio and a question",
        ),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "is not JSON"),
    ],
)
def test_what_cannot_answer_is_refused_in_one_line(damage: Callable[[Path], None], reason: str, broken: Path) -> None:
    damage(broken)
    with pytest.raises(InputError) as refusal:
        load_plain(str(broken), "cpu", "float32")
    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_code_beside_a_model_is_not_run(broken: Path) -> None:
    """A class of transformers' own is used, whatever a folder offers in its place."""
    (broken / "modeling.py").write_text("raise SystemExit('was run')\n")
    change("config.json", broken, auto_map={"AutoConfig": "modeling.C", "AutoModel": "modeling.M"})
    change("processor_config.json", broken, auto_map={"AutoProcessor": "modeling.P"})
    change("tokenizer_config.json", broken, auto_map={"AutoTokenizer": ["modeling.T", None]})
    assert alike(*[answers(PlainAnswerer(load_plain(str(broken), "cpu", "float32")), mixed(2))] * 2)


def test_a_package_that_a_family_needs_is_named(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("TimmWrapperModel requires the timm library")

    monkeypatch.setattr("transformers.AudioFlamingo3ForConditionalGeneration.__init__", missing)
    with pytest.raises(InputError, match=r"requires the timm library.*; install what it names"):
        load_plain(str(broken), "cpu", "float32")


def test_a_plain_model_hears_one_audio() -> None:
    with pytest.raises(InputError, match="is true, but a plain model hears one audio"):
        parse(SPEC.format(model="plain:tiny", generate="0\nsplit = true"))


def test_a_plain_model_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r'model = "plain:": names no model'):
        parse(SPEC.format(model="plain:", generate="0"))
    with pytest.raises(InputError, match=r"^answerer plain:: names no model"):
        load(AnswererSpec("plain:"))


def test_whatever_a_processor_says_of_what_is_too_long_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    def inputs(_: AutoModel, waveform: np.ndarray, __: str) -> AutoInputs:
        if len(waveform) > 12 * 16_000:
            raise KeyError("a table that ends there")
        return AutoInputs({"heard": torch.as_tensor(waveform)}, 1)

    monkeypatch.setattr(AutoModel, "inputs", inputs)
    assert AutoModel.__new__(AutoModel).longest_s == 12.0


@pytest.mark.parametrize("error", [LostError("gone"), OutOfMemoryError("no room")])
def test_a_device_that_fails_says_nothing_of_a_window(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def inputs(*_: object) -> AutoInputs:
        raise error

    monkeypatch.setattr(AutoModel, "inputs", inputs)
    with pytest.raises(type(error)):
        _ = AutoModel.__new__(AutoModel).longest_s


def test_a_granite_hears_through_an_adapter() -> None:
    from transformers import GraniteSpeechConfig

    assert GraniteSpeechConfig().has_lora_adapter  # what auto_loading asks it for, where config.json is silent
