"""Selectors of audio tokens: what they learn from, what they keep in a run, and who is refused."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import fakes
import numpy as np
import pytest
import torch
from command_line import earmark
from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.answerers.loading import load_model
from earmark.engine.answerers.request import Request
from earmark.engine.answerers.shared.scheduler import AnswerOptions
from earmark.engine.answerers.shared.shared_answerer import SharedAnswerer
from earmark.engine.compressors.chunks.learned import AGNOSTIC, LearnedSelector
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.compressors.tokens.reducing import ReductionSpec, reduction_of
from earmark.engine.compressors.tokens.token_scorer import TOKENS_AGNOSTIC, TOKENS_CONDITIONED, TokenScorer
from earmark.engine.corpus.corpus import open_corpus
from earmark.engine.corpus.example import Example
from earmark.engine.design.keys import OK, CellKey
from earmark.engine.design.rule import Rule
from earmark.engine.design.spec import parse
from earmark.engine.errors import InputError
from earmark.engine.making import oracle
from earmark.engine.making.oracle import Oracle
from earmark.engine.making.training import token_lessons
from earmark.engine.making.training.jobs import jobs, query_tokenizer, train_all
from earmark.engine.making.training.lessons import Lessons, make_lessons
from earmark.engine.making.training.token_lessons import make_token_lessons, position_relevance
from earmark.engine.making.training.train import Recipe
from earmark.engine.outcomes import store
from earmark.engine.signoff.audits.leakage import LeakageError
from earmark.engine.signoff.certify import certify
from earmark.engine.sweep.blocks import Shard
from earmark.engine.sweep.merge import merge
from earmark.engine.sweep.run import run

PLACE = "synthetic-two-factor:selector:12"
QUICK = Recipe(epochs=3, batch=8)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


class Trained(NamedTuple):
    """Selectors that were trained on a few clips, and what they were trained on."""

    folder: Path
    table: Oracle
    lessons: Lessons


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("token-selectors")
    corpus, model = open_corpus(Path(PLACE)), load_model("tiny")
    answerer = SharedAnswerer(model)
    rows = oracle.measure(corpus, answerer)
    assert rows is not None
    oracle.write(rows, oracle.description(corpus, PLACE, answerer), folder / "oracle.parquet")
    table = oracle.read(folder / "oracle.parquet")
    lessons = make_token_lessons(table, corpus, model, folder, lambda *_: None)
    wanted = jobs(folder, [TOKENS_AGNOSTIC, TOKENS_CONDITIONED], [0.5], [1, 2])
    train_all(wanted, lessons, QUICK, table.origin, query_tokenizer("tiny"))
    of_seconds = make_lessons(table, corpus, folder, lambda *_: None)
    train_all(jobs(folder, [AGNOSTIC], [0.5], [1]), of_seconds, QUICK, table.origin, None)
    return Trained(folder, table, lessons)


# Lessons ---------------------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 130_000))
def test_a_position_is_worth_what_the_second_of_its_middle_is(positions: int, samples: int) -> None:
    n_seconds = -(-samples // 16_000)
    relevance = np.arange(n_seconds, dtype=np.float32)
    expected = []
    for position in range(positions):
        middle = (position + 0.5) / positions * samples
        expected.append([second for second in range(n_seconds) if 16_000 * second <= middle + 1e-6][-1])
    assert position_relevance(relevance, positions, samples).tolist() == expected


def test_states_are_those_of_the_encoder_and_relevance_that_of_the_table(trained: Trained) -> None:
    lessons, model = trained.lessons, load_model("tiny")
    example = next(iter(open_corpus(Path(PLACE)).examples))
    audio = example.audio.waveform()
    encoded = model.encode([model.open(audio)], [range(-(-len(audio) // 16_000))])
    np.testing.assert_array_equal(lessons.features[0], model.states(encoded, 0).astype(np.float32))
    assert lessons.width == model.shape.decoder.width
    n_positions = model.shape.audio_tokens(len(audio))
    assert [len(entry) for entry in lessons.relevance] == [len(entry) for entry in lessons.features]
    per_second = n_positions // len(lessons.rows[0].relevance or ())
    np.testing.assert_array_equal(lessons.relevance[0][::per_second], np.float32(lessons.rows[0].relevance))


def test_states_are_computed_once(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(token_lessons, "states_of")
    corpus, model = open_corpus(Path(PLACE)), load_model("tiny")
    again = make_token_lessons(trained.table, corpus, model, trained.folder, lambda *_: None)
    assert again.hash == trained.lessons.hash
    for one, other in zip(again.features, trained.lessons.features, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("ending", "content", "words"),
    [
        ("json", b"[]", "is no index of these recordings"),
        ("json", b'{"a": [1, 2]}', "is no index of these recordings"),
        ("f32", b"\0" * 8, "does not hold .* states of"),
    ],
)
def test_a_file_of_states_that_was_changed_is_refused(
    trained: Trained, tmp_path: Path, ending: str, content: bytes, words: str
) -> None:
    corpus, model = open_corpus(Path(PLACE)), load_model("tiny")
    for path in trained.folder.glob("states-*"):
        (tmp_path / path.name).write_bytes(content if path.suffix == f".{ending}" else path.read_bytes())
    with pytest.raises(InputError, match=words):
        make_token_lessons(trained.table, corpus, model, tmp_path, lambda *_: None)


def test_the_corpus_must_have_the_recordings_and_none_of_the_certification_split(
    trained: Trained, tmp_path: Path
) -> None:
    model = load_model("tiny")
    with pytest.raises(InputError, match=r"lacks \d+ of 12 recordings"):
        make_token_lessons(
            trained.table, open_corpus(Path("synthetic-two-factor:selector:3")), model, tmp_path, lambda *_: None
        )
    with pytest.raises(InputError, match="nothing is trained"):
        make_token_lessons(
            trained.table, open_corpus(Path("synthetic:certification:3")), model, tmp_path, lambda *_: None
        )


@pytest.mark.parametrize("make", [lambda: fakes.qwen2_audio(tiny_mel=True), fakes.qwen25_omni])
def test_there_is_a_state_for_every_audio_token(make: Callable[[], Any]) -> None:
    model = make()
    for seconds in (1.0, 3.3, 7.02):
        audio = fakes.sound(1, seconds)
        states = token_lessons.states_of(model, audio, "a clip")
        assert states.shape == (model.shape.audio_tokens(len(audio)), model.shape.decoder.width)


def test_a_clip_beyond_the_window_is_refused() -> None:
    with pytest.raises(InputError, match=r"sample a clip: has 11.0 s, the encoder hears up to 10 s"):
        token_lessons.states_of(fakes.qwen2_audio(tiny_mel=True), fakes.sound(1, 11.0), "a clip")


def test_the_command_trains_them_and_says_how_a_spec_names_them(trained: Trained, tmp_path: Path) -> None:
    words = ("selector", "train", trained.folder / "oracle.parquet", "--out", tmp_path, "--method", "agnostic")
    done = earmark(*words, "--seed", 1, "--epochs", 1, "--tokens")
    assert done.returncode == 0, done.stderr
    assert b'compressor = "learned_tokens"' in done.stdout
    assert TokenScorer.load(tmp_path / TOKENS_AGNOSTIC / "seed=1").card["data"] == trained.lessons.hash
    done = earmark(*words, "--dtype", "bfloat16")
    assert (done.returncode, b"--tokens" in done.stderr) == (2, True)


# The trained scorer ----------------------------------------------------------------------------------------


def scorer_of(trained: Trained, method: str) -> TokenScorer:
    return TokenScorer.load(trained.folder / method / "seed=1")


def test_the_card_says_whose_states_it_reads_and_what_it_was_trained_on(trained: Trained) -> None:
    scorer = scorer_of(trained, TOKENS_CONDITIONED)
    assert scorer.card["features"] == f"states-{trained.lessons.width}/1"
    assert scorer.encoder == load_model("tiny").identity
    assert scorer.card["data"] == trained.lessons.hash
    assert len(scorer.card["trained_on"][0]["sources"]) == 12
    assert scorer.card["relevance"]["answerer"] == "tiny"


@pytest.mark.parametrize("budget", [0.1, 0.3, 0.77])
def test_it_keeps_the_positions_with_the_best_scores(trained: Trained, budget: float) -> None:
    scorer, states = scorer_of(trained, TOKENS_CONDITIONED), np.asarray(trained.lessons.features[0], np.float64)
    for question in trained.lessons.questions[:2]:
        spec = ReductionSpec("learned_tokens", budget, True, scorer=scorer, question=question)
        reduction = reduction_of(spec, states, 10.0, "a clip")
        scores = scorer.position_scores(states, question).tolist()
        k = int(budget * len(states) + 1e-9)
        kept = {i for i, group in enumerate(reduction.group) if group >= 0}
        assert len(kept) == k
        assert min(scores[i] for i in kept) >= max(scores[i] for i in range(len(scores)) if i not in kept) - scorer.tie


def naive_scores(weights: dict[str, Any], states: list[list[float]]) -> list[float]:
    """Scores of an agnostic scorer, position by position."""

    def linear(name: str, x: list[float]) -> list[float]:
        rows, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return [sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in zip(rows, shift, strict=True)]

    def normed(name: str, x: list[float]) -> list[float]:
        mean = sum(x) / len(x)
        spread = math.sqrt(sum((v - mean) ** 2 for v in x) / len(x) + 1e-5)
        scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return [(v - mean) / spread * s + b for v, s, b in zip(x, scale, shift, strict=True)]

    def positive(x: list[float]) -> list[float]:
        return [max(v, 0.0) for v in x]

    scores = []
    for i, state in enumerate(states):
        x = [(v - m) / d for v, m, d in zip(state, weights["mean"], weights["deviation"], strict=True)]
        x = positive(normed("chunk.1", linear("chunk.0", x)))
        x = positive(normed("chunk.4", linear("chunk.3", x)))
        (score,) = linear("head.2", positive(linear("head.0", x)))
        scores.append(score + weights["pos_scale"] * i / max(1, len(states) - 1))
    return scores


def test_scores_are_those_of_a_slow_twin(trained: Trained) -> None:
    scorer = scorer_of(trained, TOKENS_AGNOSTIC)
    weights = {name: tensor.tolist() for name, tensor in scorer.scorer.state_dict().items()}
    states = np.asarray(trained.lessons.features[0][:6], np.float64)
    np.testing.assert_allclose(scorer.position_scores(states, ""), naive_scores(weights, states.tolist()), atol=1e-4)


def test_only_a_conditioned_one_reads_the_question(trained: Trained) -> None:
    states = np.asarray(trained.lessons.features[0], np.float64)
    first, second = trained.lessons.questions[:2]
    for method, differs in ((TOKENS_AGNOSTIC, False), (TOKENS_CONDITIONED, True)):
        scorer = scorer_of(trained, method)
        scores = [scorer.position_scores(states, question) for question in (first, second)]
        assert (scores[0] != scores[1]).any() == differs
        alike = [ReductionSpec("learned_tokens", 0.3, False, scorer=scorer, question=q).words for q in (first, first)]
        assert alike[0] == alike[1]
        assert str(scorer.identity) in alike[0]


def test_a_folder_is_of_seconds_or_of_audio_tokens(trained: Trained) -> None:
    with pytest.raises(InputError, match='set compressor = "learned_tokens"'):
        LearnedSelector.load(trained.folder / TOKENS_AGNOSTIC / "seed=1")
    with pytest.raises(InputError, match='is of a selector of seconds; set compressor = "chunks"'):
        TokenScorer.load(trained.folder / AGNOSTIC / "seed=1")


# In a run --------------------------------------------------------------------------------------------------

SPEC = """
[corpus]
path = "{corpus}"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.5, 0.2]
window = 2
[[methods]]
name = "learned_tokens"
selector = "{folder}/tokens_agnostic/seed={{seed}}"
seeds = [1, 2]
[[methods]]
name = "x_agnostic"
compressor = "learned_tokens"
selector = "{folder}/tokens_agnostic/seed=1"
sized = true
[[methods]]
name = "x_conditioned"
compressor = "learned_tokens"
selector = "{folder}/tokens_conditioned/seed=1"
sized = true
[[methods]]
name = "after_chunks"
compressor = "learned_tokens"
selector = "{folder}/tokens_agnostic/seed=1"
after = "uniform@0.5"
[[methods]]
name = "random_tokens"
[streams]
permuted_global = 1
[audits]
flip_rate = 0
"""


def spec_text(trained: Trained, corpus: str = "synthetic-two-factor:certification:4") -> str:
    return SPEC.format(corpus=corpus, folder=trained.folder)


@pytest.fixture(scope="module")
def swept(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    (out / "spec.toml").write_text(spec_text(trained))
    done = earmark("run", out / "spec.toml", "--out", out / "run")
    assert done.returncode in (0, 3), done.stderr
    return out / "run"


def cell(run_folder: Path, method: str, budget: float, seed: int = 0, stream: str = "anchor") -> Any:
    return store.read_rows(run_folder, CellKey("tiny", "synthetic-two-factor", method, seed, stream, budget))


def test_a_run_certifies_and_verifies(swept: Path) -> None:
    assert earmark("verify", swept / "certificate.json").returncode == 0
    assert (swept / "selectors" / "x_conditioned" / "seed=0.json").exists()
    assert not (swept / "audits" / "grid").exists(), "they score inside the answerer"


def test_it_keeps_as_many_positions_as_a_budget_pays_for(swept: Path) -> None:
    whole = cell(swept, "uncompressed", 1.0)["num_audio_tokens"].to_numpy()
    for method, seed in (("learned_tokens", 1), ("x_conditioned", 0), ("x_agnostic", 0)):
        for budget in (0.5, 0.2):
            rows = cell(swept, method, budget, seed)
            assert set(rows["status"].to_pylist()) == {OK}
            np.testing.assert_array_equal(rows["num_audio_tokens"].to_numpy(), np.maximum(1, whole * budget // 1))


def test_what_is_heard_depends_on_the_question_only_where_it_is_read(swept: Path) -> None:
    def by_recording(method: str, seed: int = 0) -> list[int]:
        rows = cell(swept, method, 0.2, seed)
        recordings: dict[str, set[str]] = {}
        for row in rows.select(["source_id", "kept_hash"]).to_pylist():
            recordings.setdefault(row["source_id"], set()).add(row["kept_hash"])
        return [len(hashes) for hashes in recordings.values()]

    assert set(by_recording("learned_tokens", 1)) == set(by_recording("x_agnostic")) == {1}
    assert set(by_recording("x_conditioned")) == {2}  # two questions about each
    own = cell(swept, "x_conditioned", 0.2)["kept_hash"].to_pylist()
    permuted = cell(swept, "x_conditioned", 0.2, stream="permuted-global-1")["kept_hash"].to_pylist()
    assert own != permuted
    assert cell(swept, "learned_tokens", 0.2, 1)["kept_hash"] != cell(swept, "learned_tokens", 0.2, 2)["kept_hash"]


def bytes_of(folder: Path) -> dict[str, bytes]:
    paths = sorted((folder / "cells").rglob("*.parquet"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_shards_have_the_same_bytes(trained: Trained, swept: Path, tmp_path: Path) -> None:
    for index in range(2):
        run(parse(spec_text(trained)), tmp_path / f"shard-{index}", shard=Shard(index, 2))
    merge(tmp_path / "shard-0", [tmp_path / "shard-1"])
    assert bytes_of(tmp_path / "shard-0") == bytes_of(swept)


def test_a_walk_asks_about_what_they_keep(trained: Trained, tmp_path: Path) -> None:
    spec = spec_text(trained).replace("window = 2", 'window = 2\nuntil = "decided"')
    (tmp_path / "spec.toml").write_text(spec)
    assert earmark("run", tmp_path / "spec.toml", "--out", tmp_path / "run").returncode == 3
    assert earmark("verify", tmp_path / "run" / "certificate.json").returncode == 0


def test_shared_and_alone_are_equal(trained: Trained) -> None:
    model = load_model("tiny")
    scorer = scorer_of(trained, TOKENS_CONDITIONED)

    def asked(example: Example, sized: bool) -> Request:
        spec = ReductionSpec("learned_tokens", 0.3, sized, scorer=scorer, question=example.question.text)
        excerpt = Excerpt.of(example.audio, example.audio.waveform()).reduced(spec)
        return Request(f"{example.sample_id} {sized}", excerpt, example.question)

    examples = list(open_corpus(Path("synthetic-two-factor:certification:3")).examples)
    requests = [asked(example, sized) for example in examples for sized in (False, True)]
    shared = {request.id: result for request, result in SharedAnswerer(model).answer(requests, {})}
    alone = SharedAnswerer(model, AnswerOptions(reuse=False)).answer(requests, {})
    for request, result in alone:
        assert result.status == OK
        np.testing.assert_allclose(result.option_nll, shared[request.id].option_nll, atol=2e-4)


def test_it_is_not_certified_on_what_it_was_trained_on_unless_that_is_declared(
    trained: Trained, tmp_path: Path
) -> None:
    text = spec_text(trained, "synthetic-two-factor:selector:4")
    run(parse(text), tmp_path / "run")
    with pytest.raises(LeakageError, match="was trained on"):
        certify(tmp_path / "run", Rule())
    of_tokens = [method.name for method in parse(text).methods if method.selector]
    certificate = certify(tmp_path / "run", Rule(in_domain=tuple(of_tokens)))
    assert {card.method for card in certificate.selectors} == {*of_tokens}
    assert all(card.in_domain for card in certificate.selectors)


def test_another_answerer_is_refused_by_name(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"answerer tiny-b: is not the one whose encoder the selector of .* trained on"
    ):
        run(parse(spec_text(trained).replace('"tiny"', '"tiny-b"')), tmp_path / "run")


def test_training_goes_on_where_it_was_killed_with_the_same_bits(trained: Trained, tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, [TOKENS_AGNOSTIC], [0.5], [1])
    stops = iter([False] * 3 + [True] * 9)
    assert train_all([job], trained.lessons, QUICK, trained.table.origin, None, stop=lambda: next(stops)) is None
    train_all([job], trained.lessons, QUICK, trained.table.origin, None)
    first = trained.folder / TOKENS_AGNOSTIC / "seed=1" / "selector.safetensors"
    assert (job.folder / "selector.safetensors").read_bytes() == first.read_bytes()
