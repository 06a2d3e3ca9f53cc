"""The network and the folder of a learned selector."""

import json

import numpy as np
import pytest
import torch
from fakes import sound
from tokenizers import Tokenizer

from earmark.engine.answerers.tiny import TINY_A
from earmark.engine.compressors.card import CARD, SCHEMA
from earmark.engine.compressors.chunks.features import FEATURES, WIDTH, chunk_features
from earmark.engine.compressors.chunks.learned import (
    MOST_TOKENS,
    TOKENIZER,
    WEIGHTS,
    ChunkScorer,
    LearnedSelector,
    pad_features,
    pad_tokens,
    question_tokens,
    score,
)
from earmark.engine.compressors.chunks.selector import SelectorInput
from earmark.engine.errors import InputError
from earmark.engine.making.training.jobs import query_tokenizer


def selector(conditioned, seed=0):
    tokenizer = Tokenizer.from_file(str(TINY_A / "tokenizer.json")) if conditioned else None
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        scorer = ChunkScorer(tokenizer.get_vocab_size() if tokenizer else None)
        scorer.pos_scale.data.fill_(0.3)
    card = {"schema": SCHEMA, "features": FEATURES, "conditioned": conditioned}
    return LearnedSelector(scorer, card, tokenizer)


@pytest.fixture(params=[False, True], ids=["agnostic", "conditioned"])
def made(request):
    return selector(request.param)


CLIPS = [
    SelectorInput(f"s{i}", sound(i, seconds), f"Which sound is number {i}?") for i, seconds in enumerate((3, 1, 7.4, 2))
]


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_chunk_mlp_has_the_papers_number_of_weights():
    linear = [layer for layer in ChunkScorer().chunk if isinstance(layer, torch.nn.Linear)]
    assert sum(size(layer) for layer in linear) == 229_760


def test_the_query_tables_have_the_papers_shapes():
    query = ChunkScorer(151_644).query
    assert tuple(query.tokens.weight.shape) == (151_644, 128)
    assert query.tokens.weight.numel() == 19_410_432
    assert tuple(query.positions.weight.shape) == (256, 128)


def test_the_number_of_tensors_is_the_papers():
    assert len(list(ChunkScorer().parameters())) == 13
    assert ChunkScorer().head[0].in_features == 128
    assert ChunkScorer(434).head[0].in_features == 256


def test_the_embedded_answerers_vocabulary_is_its_own_tokenizers():
    made, tokenizer = selector(True), query_tokenizer("tiny")
    assert made.scorer.query.tokens.num_embeddings == tokenizer.get_vocab_size()
    question = "Which of these sounds is heard?"
    assert question_tokens(made.tokenizer, question) == question_tokens(tokenizer, question)


def test_a_clip_scores_the_same_alone_and_among_others(made):
    together = made.scores(CLIPS)
    for clip, found in zip(CLIPS, together, strict=True):
        assert np.array_equal(made.scores([clip])[0], found)
    assert [len(found) for found in together] == [3, 1, 8, 2]


def test_only_a_conditioned_selector_hears_the_question(made):
    one, other = made.scores([CLIPS[0], SelectorInput("s0", CLIPS[0].audio, "How many?")])
    assert np.array_equal(one, other) != made.asks


def test_position_counts_from_zero_to_one_within_the_clip():
    scorer = selector(False).scorer
    features = np.zeros((5, WIDTH), np.float32)
    (found,) = score(scorer, [features])
    np.testing.assert_allclose(np.diff(found), 0.3 / 4, atol=1e-6)
    assert len(score(scorer, [features[:1]])[0]) == 1


def test_the_mean_over_tokens_leaves_padding_out():
    query = selector(True).scorer.query
    alone = query(*pad_tokens([[5, 6, 7]]))
    tokens, mask = pad_tokens([[5, 6, 7], [1] * 40])
    tokens[0, 3:] = 9
    torch.testing.assert_close(query(tokens, mask)[0], alone[0])


def test_a_padded_batch_scores_like_its_clips(made):
    features = [chunk_features(clip.audio) for clip in CLIPS]
    tokens = [question_tokens(made.tokenizer, clip.question) for clip in CLIPS] if made.asks else None
    padded, lengths = pad_features(features)
    with torch.no_grad():
        together = made.scorer(padded, lengths, *(pad_tokens(tokens) if tokens else ())).numpy()
    for row, alone in zip(together, score(made.scorer, features, tokens), strict=True):
        np.testing.assert_allclose(row[: len(alone)], alone, atol=1e-5)


def test_an_empty_question_has_scores():
    made = selector(True)
    assert np.isfinite(made.scores([SelectorInput("s", CLIPS[0].audio, "")])[0]).all()


def test_a_long_question_is_read_to_its_limit():
    tokenizer = selector(True).tokenizer
    assert len(question_tokens(tokenizer, "Which sound? " * 400)) == MOST_TOKENS


def test_features_are_standardised_by_the_buffers():
    scorer = selector(False).scorer
    features = chunk_features(CLIPS[2].audio)
    before = score(scorer, [features])[0]
    scorer.mean.fill_(1.0)
    scorer.deviation.fill_(2.0)
    np.testing.assert_allclose(score(scorer, [2 * features + 1])[0], before, atol=1e-4)


def test_a_folder_gives_the_selector_back(made, tmp_path):
    made.save(tmp_path)
    again = LearnedSelector.load(tmp_path)
    assert again.asks == made.asks
    for one, other in zip(made.scores(CLIPS), again.scores(CLIPS), strict=True):
        assert np.array_equal(one, other)
    assert (tmp_path / TOKENIZER).exists() == made.asks


def test_a_conditioned_selector_without_a_question_is_refused():
    with pytest.raises(InputError, match="s9: has no question"):
        selector(True).scores([SelectorInput("s9", CLIPS[0].audio, None)])


def test_other_weights_than_the_cards_are_refused(tmp_path):
    selector(False, seed=0).save(tmp_path)
    selector(False, seed=1).save(tmp_path / "other")
    (tmp_path / WEIGHTS).write_bytes((tmp_path / "other" / WEIGHTS).read_bytes())
    with pytest.raises(InputError, match=r"is not the file that card\.json describes"):
        LearnedSelector.load(tmp_path)


@pytest.mark.parametrize("damage", [{"schema": "other/1"}, {"features": "logmel-768/0"}, {"conditioned": True}])
def test_a_card_that_does_not_fit_is_refused(damage, tmp_path):
    selector(False).save(tmp_path)
    card = json.loads((tmp_path / CARD).read_text())
    (tmp_path / CARD).write_text(json.dumps(card | damage))
    with pytest.raises(InputError):
        LearnedSelector.load(tmp_path)


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
def test_a_folder_that_is_not_whole_is_refused(name, tmp_path):
    selector(False).save(tmp_path)
    (tmp_path / name).write_bytes(b"{")
    with pytest.raises(InputError):
        LearnedSelector.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError):
        LearnedSelector.load(tmp_path)
