"""The semantic partition: k-means against plain loops, and real sentence embeddings of a tiny encoder, offline."""

import json
import subprocess
import sys
from pathlib import Path

import layouts
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_encoder import save_encoder

from earmark.engine.corpus.corpus import Corpus, open_corpus
from earmark.engine.corpus.example import Example, Question
from earmark.engine.corpus.kmeans import cosine_kmeans
from earmark.engine.corpus.semantic import PREFIX, embed, semantic
from earmark.engine.errors import InputError

QUESTIONS = [
    *[f"how many {what} are heard" for what in ("dogs", "cars", "bells", "steps")],
    *[f"what does the {who} feel" for who in ("speaker", "singer", "woman", "man")],
    *[f"which {what} is played" for what in ("instrument", "note", "chord", "song")],
]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = {word for text in [*QUESTIONS, PREFIX.replace(":", " :"), "?"] for word in text.split()}
    folder = save_encoder(tmp_path_factory.mktemp("encoder"), words)
    assert (folder / "model.safetensors").is_file()
    return folder


def asked(questions: list[str]) -> Corpus:
    return Corpus(
        "manifest",
        "c",
        tuple(Example(f"s{i}", f"s{i}", None, Question(q, ("a", "b"), 0)) for i, q in enumerate(questions)),  # type: ignore[arg-type]
    )


def test_an_embedding_is_the_mean_state_of_the_prefixed_text(encoder: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    texts = ["how many dogs are heard", "which song", "what"]
    rows, model = embed(texts, str(encoder))
    tokenizer, network = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder).eval()
    for text, row in zip(texts, rows, strict=True):  # alone, without padding
        with torch.no_grad():
            states = network(**tokenizer("query: " + text, return_tensors="pt")).last_hidden_state[0].numpy()
        expected = states.mean(axis=0)
        np.testing.assert_allclose(row, expected / np.linalg.norm(expected), atol=1e-5)
    assert rows.shape == (3, 32)
    assert model["name"] == encoder.name
    assert len(model["sha256"]) == 64


def test_clusters_are_the_same_again_and_named_by_size(encoder: Path) -> None:
    corpus = asked(QUESTIONS * 3)
    made = semantic(corpus, 3, encoder=str(encoder), least=1)
    again = semantic(corpus, 3, encoder=str(encoder), least=1)
    assert made == again
    assert set(made.partition.families) == {"cluster-00", "cluster-01", "cluster-02"}
    assert list(made.partition.sizes) == ["cluster-00", "cluster-01", "cluster-02"]
    assert made.partition.families[: len(QUESTIONS)] * 3 == made.partition.families, "equal questions, equal families"
    assert {made.partition.families[QUESTIONS.index(q)]: q for q in made.middle.values()} == made.middle
    recipe = dict(made.partition.recipe)
    assert recipe["encoder"]["name"] == encoder.name
    assert (recipe["k"], recipe["seed"], recipe["prefix"], recipe["least"]) == (3, 42, "query: ", 1)
    assert [entry["cluster"] for entry in recipe["clusters"]] == ["cluster-00", "cluster-01", "cluster-02"]
    assert {entry["family"] for entry in recipe["clusters"]} == set(made.partition.families)
    centroids = np.array([entry["centroid"] for entry in recipe["clusters"]], dtype=np.float32)
    questions = [example.question.text for example in corpus.examples]
    embeddings, _ = embed(questions, str(encoder))
    told = [recipe["clusters"][nearest]["family"] for nearest in (embeddings @ centroids.T).argmax(axis=1)]
    assert told == list(made.partition.families), "the centroids alone tell the family of a question"


def test_rare_clusters_are_merged(encoder: Path) -> None:
    corpus = asked([QUESTIONS[0]] * 40 + [QUESTIONS[5]] * 40 + QUESTIONS[8:10])
    made = semantic(corpus, 4, encoder=str(encoder), least=30)
    assert made.partition.sizes == {"cluster-00": 40, "cluster-01": 40, "other_rare": 2}
    assert [entry["family"] for entry in made.partition.recipe["clusters"]] == [
        "cluster-00", "cluster-01", "other_rare", "other_rare"
    ]  # fmt: skip
    assert made.middle["other_rare"] == "(2 clusters with fewer than 30 questions)"


@pytest.mark.parametrize("k", [-1, 0, 1, 13])
def test_k_is_declared_within_reason(k: int, encoder: Path) -> None:
    with pytest.raises(InputError, match="the corpus has 12 distinct questions"):
        semantic(asked(QUESTIONS), k, encoder=str(encoder))


def test_spoken_questions_have_no_semantic_partition(tmp_path: Path, encoder: Path) -> None:
    corpus = open_corpus(layouts.big_bench_audio(tmp_path))
    with pytest.raises(InputError, match="the corpus has 1 distinct questions"):
        semantic(corpus, 2, encoder=str(encoder))


def test_an_encoder_that_is_not_there_or_pickled_or_brings_code_is_refused(encoder: Path, tmp_path: Path) -> None:
    import torch
    from transformers import BertModel

    pickled = tmp_path / "pickled"
    for name in encoder.iterdir():
        layouts.write(pickled / name.name, name.read_bytes())
    (pickled / "model.safetensors").unlink()
    torch.save(BertModel.from_pretrained(encoder).state_dict(), pickled / "pytorch_model.bin")
    code = tmp_path / "code"
    config = json.loads((encoder / "config.json").read_text()) | {"model_type": "evil"}
    config["auto_map"] = {"AutoModel": "evil.Evil", "AutoConfig": "evil.EvilConfig"}
    layouts.write_json(code / "config.json", config)
    layouts.write(code / "evil.py", f"open({str(tmp_path / 'ran')!r}, 'w')\n".encode())
    for folder in (tmp_path / "none", tmp_path, pickled, code):
        with pytest.raises(InputError, match=r"cannot be loaded .*; `hf download") as refused:
            semantic(asked(QUESTIONS), 3, encoder=str(folder))
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "ran").exists()


def test_nothing_else_of_the_corpus_imports_torch() -> None:
    code = (
        "import sys, earmark.engine.corpus.describe, earmark.engine.corpus.semantic, earmark.cli.corpus\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "[]"


# k-means -------------------------------------------------------------------------------------------------


def blobs(k: int, each: int, rng: np.random.Generator) -> np.ndarray:
    """Directions that lie close to one of k axes, of any length."""
    centres = np.eye(k, 8)
    points = np.repeat(centres, each, axis=0) + rng.normal(0, 0.05, (k * each, 8))
    return points * rng.uniform(0.1, 10, (k * each, 1))


@pytest.mark.parametrize("k", [1, 2, 5, 8])
def test_clusters_that_are_there_are_found(k: int) -> None:
    rng = np.random.default_rng(k)
    points = blobs(k, 20, rng)
    order = rng.permutation(len(points))
    found = cosine_kmeans(points[order], np.ones(len(points)), k, 42).cluster
    truth = np.repeat(np.arange(k), 20)[order]
    assert len({(a, b) for a, b in zip(found.tolist(), truth.tolist(), strict=True)}) == k


@settings(max_examples=50)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 6), n=st.integers(6, 40))
def test_every_point_is_with_its_nearest_centre_by_a_slow_loop(seed: int, k: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    points, weights = rng.normal(size=(n, 5)), rng.integers(1, 4, n)
    found = cosine_kmeans(points, weights, k, seed)
    for point, cluster in zip(points, found.cluster, strict=True):
        cosines = [sum(a * b for a, b in zip(point, centre, strict=True)) for centre in found.centres]
        assert cosines[cluster] >= max(cosines) - 1e-9
    sizes = [int(weights[found.cluster == j].sum()) for j in range(k)]
    assert sizes == sorted(sizes, reverse=True)
    again = cosine_kmeans(points, weights, k, seed)
    assert (again.cluster == found.cluster).all()
    assert again.centres.tobytes() == found.centres.tobytes()


def test_a_weight_counts_like_so_many_points() -> None:
    rng = np.random.default_rng(0)
    points = blobs(3, 4, rng)
    weights = np.array([5, 1, 1, 1] * 3)
    weighted = cosine_kmeans(points, weights, 3, 1).cluster
    repeated = cosine_kmeans(np.repeat(points, weights, axis=0), np.ones(weights.sum()), 3, 1).cluster
    assert len(set(zip(np.repeat(weighted, weights).tolist(), repeated.tolist(), strict=True))) == 3


def test_fewer_directions_than_clusters_still_end() -> None:
    found = cosine_kmeans([[1, 0]] * 3 + [[0, 1]] * 2, np.ones(5), 4, 42)
    assert len(set(found.cluster[:3].tolist())) == len(set(found.cluster[3:].tolist())) == 1


@pytest.mark.parametrize(("points", "k"), [([[1.0, 0.0]], 2), ([[0.0, 0.0]], 1), ([[np.nan, 1.0]], 1), ([[1.0]], 0)])
def test_what_cannot_be_clustered_is_a_bug(points: list[list[float]], k: int) -> None:
    with pytest.raises(ValueError, match=r"clusters of|not finite"):
        cosine_kmeans(points, np.ones(len(points)), k, 42)


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    code = (
        "import numpy as np, hashlib\n"
        "from earmark.engine.corpus.kmeans import cosine_kmeans\n"
        "points = np.random.default_rng(1).normal(size=(400, 256))\n"
        "found = cosine_kmeans(points, np.ones(400), 7, 42)\n"
        "print(hashlib.sha256(found.centres.tobytes()).hexdigest())\n"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
            cwd="/",
        ).stdout
        for threads in ("1", "2", "8")
    }
    assert len(hashes) == 1
