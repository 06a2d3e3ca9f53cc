"""Training: targets, the loss, bits that survive a kill, and selectors that are worth having."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from torch.nn import functional
from two_factor import HEURISTICS, SHUFFLED, accuracy, sweep

from earmark.engine.answerers.loading import load
from earmark.engine.compressors.card import CARD, fingerprints
from earmark.engine.compressors.chunks.features import WIDTH
from earmark.engine.compressors.chunks.learned import AGNOSTIC, CONDITIONED, WEIGHTS, LearnedSelector
from earmark.engine.corpus.corpus import open_corpus
from earmark.engine.design.rule import Rule
from earmark.engine.design.sections import AnswererSpec
from earmark.engine.errors import InputError
from earmark.engine.making import oracle
from earmark.engine.making.oracle import Relevance
from earmark.engine.making.training import loss as teaching
from earmark.engine.making.training.jobs import SEEDS, jobs, query_tokenizer, train_all
from earmark.engine.making.training.lessons import Lessons, make_lessons
from earmark.engine.making.training.train import Recipe, Vocabulary, train
from earmark.engine.signoff.certify import certify

QUICK = Recipe(epochs=4, batch=8)
QUESTIONS = ("Which sound is heard?", "How many tones are heard?")
MADE = {"answerer": "tiny", "corpus": "made-up"}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def lessons(n=40, questions=QUESTIONS):
    """What matters is one feature for the first question, another for the second; clips of 1 to 7 chunks."""
    rng = np.random.default_rng(0)
    rows, features, relevance = [], [], []
    for i in range(n):
        heard = rng.normal(size=(1 + i % 7, WIDTH)).astype(np.float32)
        worth = np.maximum(heard[:, i % len(questions)], 0).astype(np.float32)
        rows.append(Relevance(f"s{i}", f"r{i // 2}", "made-up", "?", f"h{i // 2}", len(heard), worth.tolist(), "ok"))
        features.append(heard)
        relevance.append(worth)
    return Lessons(features, [questions[i % len(questions)] for i in range(n)], relevance, rows, "hash")


# Targets and loss ------------------------------------------------------------------------------------------


def test_the_target_is_a_distribution_that_clips_what_is_too_sure():
    share = teaching.distribution(np.array([9.0, 2.0, 0.0, -3.0], np.float32))
    assert share.sum() == pytest.approx(1)
    assert share[0] == share[1]
    assert share[2] == share[3] == pytest.approx(0.02 / 4.08)


def test_without_relevance_the_target_is_undecided():
    np.testing.assert_allclose(teaching.distribution(np.array([-1.0, 0.0], np.float32)), 0.5)
    assert not teaching.membership(np.array([0.001, -0.2], np.float32)).any()


def test_membership_is_the_share_of_budgets_that_keep_a_chunk():
    relevance = np.linspace(1, 0.1, 10).astype(np.float32)
    np.testing.assert_allclose(teaching.membership(relevance), [1, 0.8, 0.6, 0.4, 0.2, 0.2, 0, 0, 0, 0], atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_the_loss_is_its_three_parts_and_padding_changes_nothing(alpha):
    relevance = np.array([1.0, 0.3, 0.0], np.float32)
    share, member = (torch.from_numpy(f(relevance)) for f in (teaching.distribution, teaching.membership))
    scores = torch.tensor([0.2, -0.4, 1.0])
    soft = scores.softmax(0)
    expected = alpha * (share * (share / soft).log()).sum()
    expected += (1 - alpha) * functional.binary_cross_entropy(scores.sigmoid(), member)
    expected += 0.1 * (soft * soft.log()).sum()
    padded = [functional.pad(each, (0, 2), value=0.0)[None] for each in (share, member)]
    inside = torch.tensor([[True, True, True, False, False]])
    scores = functional.pad(scores, (0, 2), value=7.0)[None].requires_grad_()
    found = teaching.loss(scores, teaching.Targets(*padded, inside), alpha, 0.1)
    assert float(found.detach()) == pytest.approx(float(expected), rel=1e-5)
    found.backward()
    assert torch.isfinite(scores.grad).all()
    assert (scores.grad[0, 3:] == 0).all()


def test_gumbel_noise_is_centred_and_repeats():
    one, other = (teaching.gumbel(torch.Size([200_000]), torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, other)
    assert abs(float(one.mean())) < 0.01
    assert float(one.var()) == pytest.approx(np.pi**2 / 6, rel=0.02)


def test_captured_is_the_share_of_what_a_budget_could_hold():
    relevance = np.array([0.0, 1.0, 0.5, 0.0, 0.0], np.float32)
    assert teaching.captured(-relevance, relevance, 0.4) == 0.0
    assert teaching.captured(np.array([1, 5, 0, 2, 0], np.float32), relevance, 0.4) == pytest.approx(1 / 1.5)
    assert teaching.captured(relevance, np.zeros(5, np.float32), 0.4) is None


# Runs ------------------------------------------------------------------------------------------------------


def test_sources_are_never_on_both_sides():
    made = lessons()
    training, validation = made.split(0.2)
    assert sorted([*training, *validation]) == list(range(40))
    assert not {made.rows[i].source_id for i in training} & {made.rows[i].source_id for i in validation}
    assert len({made.rows[i].source_id for i in validation}) == 4


def test_the_moments_are_of_the_training_part_alone():
    made = lessons()
    training, _ = made.split(QUICK.validation)
    run = train(made, replace(QUICK, epochs=1), 42)
    heard = np.concatenate([made.features[i] for i in training])
    np.testing.assert_allclose(run.scorer.mean.numpy(), heard.mean(0), atol=1e-5)
    np.testing.assert_allclose(run.scorer.deviation.numpy(), heard.std(0), rtol=1e-4)


@pytest.mark.parametrize("conditioned", [False, True])
def test_a_run_that_is_killed_and_resumed_ends_with_the_same_bits(conditioned, tmp_path):
    made, seen = lessons(), []
    tokens = [[i % 2] for i in range(len(made))] if conditioned else None
    vocabulary = Vocabulary(2, "ab" * 32) if conditioned else None
    whole = train(made, QUICK, 42, tokens, vocabulary)
    resumed = None
    for left in (9, 7, 6, 100):  # batches until it is stopped; an epoch has five
        counter = iter(range(left))
        resumed = train(
            made, QUICK, 42, tokens, vocabulary, tmp_path / "c.pt", seen.append, lambda c=counter: next(c, None) is None
        )
    assert [point.epoch for point in seen] == [1, 2, 3, 4]
    assert resumed.curves == whole.curves
    for name, value in whole.scorer.state_dict().items():
        assert torch.equal(value, resumed.scorer.state_dict()[name]), name


def test_seeds_differ_and_repeat():
    made = lessons()
    one, again, other = (train(made, QUICK, seed).scorer.state_dict()["head.0.weight"] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_it_stops_early_and_keeps_the_best():
    made = lessons()
    run = train(made, Recipe(epochs=60, batch=4, patience=3, rate=3e-3), 42)
    losses = [point.loss for point in run.curves]
    assert len(losses) == run.best_epoch + 3 < 60
    assert losses[run.best_epoch - 1] == min(losses)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    train(lessons(), QUICK, 42, checkpoint=tmp_path / "c.pt")
    with pytest.raises(InputError, match="of other data, another recipe, seed or"):
        train(lessons(), replace(QUICK, alpha=1.0), 42, checkpoint=tmp_path / "c.pt")
    tokens = [[0]] * len(lessons())
    train(lessons(), QUICK, 42, tokens, Vocabulary(2, "ab" * 32), tmp_path / "conditioned.pt")
    with pytest.raises(InputError, match="or tokenizer; delete it"):
        train(lessons(), QUICK, 42, tokens, Vocabulary(2, "cd" * 32), tmp_path / "conditioned.pt")
    (tmp_path / "c.pt").write_bytes(b"no")
    with pytest.raises(InputError, match="delete it"):
        train(lessons(), QUICK, 42, checkpoint=tmp_path / "c.pt")


@pytest.mark.parametrize("bad", [{"alpha": 1.1}, {"epochs": 0}, {"validation": 0.0}, {"rate": -1.0}])
def test_a_recipe_that_cannot_be_is_refused(bad):
    with pytest.raises(InputError):
        Recipe(**bad)


def test_cards_say_where_each_selector_comes_from(tmp_path):
    made, tokenizer = lessons(), query_tokenizer("tiny")
    asked = jobs(tmp_path, [AGNOSTIC, CONDITIONED], [0.0, 1.0], [7])
    assert [job.folder.relative_to(tmp_path).as_posix() for job in asked] == [
        f"alpha={alpha}/{method}/seed=7" for alpha in (0, 1) for method in (AGNOSTIC, CONDITIONED)
    ]
    trained = train_all(asked, made, QUICK, MADE, tokenizer)
    for job, card in trained:
        assert (card["method"], card["seed"], card["data"]) == (job.method, 7, "hash")
        assert card["recipe"] == asdict(replace(QUICK, alpha=job.alpha))
        assert card["trained_on"][0]["sources"] == fingerprints(f"r{i}" for i in range(20))
        assert card["trained_on"][0]["recordings"] == fingerprints(f"h{i}" for i in range(20))
        assert card["best"] == min(card["curves"], key=lambda point: point["loss"])
        assert LearnedSelector.load(job.folder).asks == (job.method == CONDITIONED)
        assert sorted(path.name for path in job.folder.iterdir())[-1] != "checkpoint.safetensors"


def test_what_is_trained_is_not_trained_again(tmp_path):
    asked = jobs(tmp_path, [AGNOSTIC], [0.5], [7])
    (first,) = train_all(asked, lessons(), QUICK, MADE, None)
    before = (first.job.folder / WEIGHTS).stat().st_mtime_ns
    assert train_all(asked, lessons(), QUICK, MADE, None, stop=lambda: True) == [first]
    assert (first.job.folder / WEIGHTS).stat().st_mtime_ns == before
    with pytest.raises(InputError, match="of other data, another recipe"):
        train_all(asked, lessons(), replace(QUICK, rate=1e-4), MADE, None)


def test_a_selector_that_reads_in_other_tokens_is_another(tmp_path):
    asked, tokenizer = jobs(tmp_path, [CONDITIONED], [0.5], [7]), query_tokenizer("tiny")
    quick = replace(QUICK, epochs=1)
    (first,) = train_all(asked, lessons(), quick, MADE, tokenizer)
    assert train_all(asked, lessons(), quick, MADE, query_tokenizer("tiny")) == [first]
    other = Tokenizer.from_str(tokenizer.to_str())
    other.add_tokens(["earmark"])
    with pytest.raises(InputError, match="another recipe or tokenizer"):
        train_all(asked, lessons(), quick, MADE, other)


# What they are worth ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Three seeds of both selectors from a few clips, then held-out clips answered under everything."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("two-factor")
    place = "synthetic-two-factor:selector:80"
    corpus, answerer = open_corpus(Path(place)), load(AnswererSpec("tiny"))
    rows = oracle.measure(corpus, answerer)
    oracle.write(rows, oracle.description(corpus, place, answerer), folder / "oracle.parquet")
    table = oracle.read(folder / "oracle.parquet")
    made = make_lessons(table, corpus, folder, lambda *_: None)
    asked = jobs(folder / "selectors", [AGNOSTIC, CONDITIONED], [0.5], SEEDS)
    trained = train_all(asked, made, Recipe(epochs=16), table.origin, query_tokenizer("tiny"))
    selectors = {(name, 0, "anchor"): heuristic for name, heuristic in HEURISTICS.items()}
    for job, _ in trained:
        own = LearnedSelector.load(job.folder)
        selectors |= {(job.method, job.seed, stream): own for stream in ("anchor", SHUFFLED)[: 1 + own.asks]}
    held_out = list(open_corpus(Path("synthetic-two-factor:certification:30")).examples)
    cells = sweep(held_out, answerer, selectors, folder / "run", budgets=(0.2, 0.4))
    return folder, trained, cells, certify(folder / "run", Rule(name="paper", tolerances=(0.1,), replicates=500))


def test_trained_selectors_beat_heuristics_on_held_out_sources(world):
    _, _, cells, _ = world
    for budget in (0.2, 0.4):
        by_rule = max(accuracy(cells, name, budget) for name in HEURISTICS)
        agnostic = accuracy(cells, AGNOSTIC, budget)
        conditioned = accuracy(cells, CONDITIONED, budget, lambda key: key.stream == "anchor")
        assert by_rule < agnostic < conditioned, budget


def test_knowing_the_question_has_a_gain_that_is_surely_positive_for_each_seed(world):
    *_, certificate = world
    found = [g for g in certificate.gains if (g.axis, g.variant) == ("interpolated", "average")]
    assert [gain.seed for gain in found] == list(SEEDS)
    assert all(gain.direction == "positive" for gain in found), found


def test_with_shuffled_questions_the_gain_vanishes(world):
    *_, certificate = world
    (gain,) = (g for g in certificate.audits.seeds if (g.axis, g.variant) == ("interpolated", "average"))
    (use,) = (u for u in certificate.audits.query_use if u.variant == "average")
    assert gain.mean - use.mean <= 0  # phi is the gain less that with shuffled questions
    assert use.band == "PHI3"


def test_features_are_computed_once(world, monkeypatch):
    folder, trained, *_ = world
    monkeypatch.delattr("earmark.engine.making.training.lessons.chunk_features")
    table = oracle.read(folder / "oracle.parquet")
    again = make_lessons(table, open_corpus(Path(table.origin["path"])), folder, lambda *_: None)
    assert again.hash == trained[0].card["data"]


def test_the_corpus_must_have_the_recordings_of_the_table(world, tmp_path):
    table = oracle.read(world[0] / "oracle.parquet")
    with pytest.raises(InputError, match=r"lacks \d+ of 80 recordings"):
        make_lessons(table, open_corpus(Path("synthetic-two-factor:selector:3")), tmp_path, lambda *_: None)


def test_the_certification_split_never_trains(world, tmp_path):
    table = oracle.read(world[0] / "oracle.parquet")
    with pytest.raises(InputError, match="nothing is trained"):
        make_lessons(table, open_corpus(Path("synthetic:certification:3")), tmp_path, lambda *_: None)


def test_the_card_names_the_vocabulary_and_the_answerer(world):
    _, trained, *_ = world
    card = json.loads((trained[-1].job.folder / CARD).read_text())
    assert card["relevance"]["answerer"] == "tiny"
    assert card["trained_on"][0]["corpus"] == "synthetic-two-factor"
    assert len(card["trained_on"][0]["sources"]) == 80
