"""The semantic partition: questions clustered by the direction of their sentence embeddings (method 6).

The one place of the corpus that needs a model: any BERT-like encoder, from safetensors, never with code of its own.
torch and transformers are imported when a partition is made, not before.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.engine.corpus.corpus import Corpus
from earmark.engine.corpus.kmeans import RESTARTS, cosine_kmeans
from earmark.engine.corpus.partition import Partition
from earmark.engine.corpus.partitions import OTHER_RARE, merge_rare
from earmark.engine.design.fields import default_of
from earmark.engine.design.sections import PartitionsSpec
from earmark.engine.errors import InputError
from earmark.engine.extras import needs_extra
from earmark.engine.progress import Report, silent
from earmark.engine.threads import one_thread

ENCODER: str = default_of(PartitionsSpec, "encoder")
PREFIX = "query: "  # e5 was trained with it
_MOST_TOKENS = 512
_BATCH = 64

Embeddings = npt.NDArray[np.float32]  # (questions, d)


class Semantic(NamedTuple):
    """The partition, and the question in the middle of each family (for `other_rare` how many clusters it holds)."""

    partition: Partition
    middle: dict[str, str]


def semantic(
    corpus: Corpus,
    k: int,
    *,
    encoder: str = ENCODER,
    least: int = default_of(PartitionsSpec, "min_family"),
    seed: int = default_of(PartitionsSpec, "seed"),
    report: Report = silent,
) -> Semantic:
    """Cluster a corpus's questions into k families; those with fewer than `least` examples become `other_rare`."""
    n_examples_of = Counter(example.question.text for example in corpus.examples)
    questions = sorted(n_examples_of)
    if not 2 <= k <= len(questions):
        raise InputError(
            f"{k} clusters", f"the corpus has {len(questions)} distinct questions", "declare 2 or more, but not more"
        )
    embeddings, model = embed(questions, encoder, report=report)
    clusters = cosine_kmeans(embeddings, [n_examples_of[question] for question in questions], k, seed)
    cluster_of = {q: _cluster_name(c) for q, c in zip(questions, clusters.cluster.tolist(), strict=True)}
    families = merge_rare([cluster_of[example.question.text] for example in corpus.examples], least)
    closeness = np.einsum("nd,nd->n", embeddings.astype(np.float64), clusters.centres[clusters.cluster])
    middle: dict[str, str] = {}
    for i in np.argsort(-closeness, kind="stable").tolist():
        middle.setdefault(cluster_of[questions[i]], questions[i])
    recipe = {
        "rule": "semantic",
        "encoder": model,
        "prefix": PREFIX,
        "pooling": "mean",
        "k": k,
        "seed": seed,
        "restarts": RESTARTS,
        "least": least,
        "clusters": [
            {
                "cluster": name,
                "family": name if name in families else OTHER_RARE,
                "centroid": [float(str(value)) for value in centre.astype(np.float32)],  # reads back as that float32
            }
            for name, centre in ((_cluster_name(number), centre) for number, centre in enumerate(clusters.centres))
        ],
    }
    middle_of_family = {family: question for family, question in middle.items() if family in set(families)}
    rare = sorted(set(middle) - set(middle_of_family))
    if rare:
        middle_of_family[OTHER_RARE] = f"({len(rare)} clusters with fewer than {least} questions)"
    return Semantic(Partition("semantic", families, recipe), middle_of_family)


def _cluster_name(number: int) -> str:
    return f"cluster-{number:02d}"


@needs_extra("semantic families", "run")
def embed(
    texts: Sequence[str], encoder: str = ENCODER, *, report: Report = silent
) -> tuple[Embeddings, dict[str, str]]:
    """Unit vectors (texts, d), the mean of the encoder's last states over a text's tokens; and the encoder's card.

    The card has the encoder's `name` and the `sha256` of its weights.
    """
    import torch

    tokenizer, model = _load(encoder)
    rows = np.zeros((len(texts), int(model.config.hidden_size)), dtype=np.float32)
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))  # batches of like length: little padding
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        tokens = tokenizer(
            [PREFIX + texts[i] for i in batch],
            padding=True,
            truncation=True,
            max_length=min(_MOST_TOKENS, int(model.config.max_position_embeddings)),
            return_tensors="pt",
        )
        with torch.inference_mode(), one_thread():
            states = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(dim=1) / mask.sum(dim=1)
        rows[batch] = torch.nn.functional.normalize(mean, dim=1).float().numpy()
        report("embedding questions", min(start + _BATCH, len(order)), len(order))
    if not np.isfinite(rows).all():
        raise InputError(encoder, "embeds a question as NaN", "use another encoder")
    return rows, {"name": _name(encoder), "sha256": _weights_hash(model)}


def _load(encoder: str) -> tuple[Any, Any]:
    """Tokenizer and model, from a folder or what was downloaded before: nothing is fetched behind one's back."""
    from transformers import AutoModel, AutoTokenizer

    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(encoder, trust_remote_code=False, local_files_only=True)
            model = AutoModel.from_pretrained(
                encoder, trust_remote_code=False, local_files_only=True, use_safetensors=True
            )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise InputError(
            f"encoder {encoder}",
            f"cannot be loaded ({reason.rstrip('.')})",
            f"`hf download {ENCODER}`, or name a folder with its safetensors and tokenizer",
        ) from None
    return tokenizer, model.eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """While this context is open transformers draws no progress bars."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _name(encoder: str) -> str:
    """What a recipe calls the encoder: a folder by its last name, since its place differs between machines."""
    return Path(encoder).name if Path(encoder).is_dir() else encoder


def _weights_hash(model: Any) -> str:
    """SHA-256 of the weights in the order of their names."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().view(-1).numpy().tobytes())
    return digest.hexdigest()
