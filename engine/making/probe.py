"""What an encoder's states know of each family: how often simple classifiers of a whole clip find the right option.

The states of a clip are pooled over time (their mean and their largest values), and what is predicted is the text of
the right option; of a question's options the likeliest is the answer. Recordings are held out in turns. Knows an
answerer by what is shared of it; trains nothing that is kept.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from earmark.engine.answerers.shared.audio_lm import AudioLM
from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.compressors.compressor import audio_hash
from earmark.engine.corpus.corpus import Corpus
from earmark.engine.corpus.partition import Partition
from earmark.engine.corpus.stream import stream
from earmark.engine.errors import InputError
from earmark.engine.making.training.token_lessons import hears, states_of
from earmark.engine.progress import Report
from earmark.engine.threads import one_thread

SCHEMA = "earmark.probe/1"
FOLDS = 5
FEWEST = 2 * FOLDS  # recordings of a family that is probed
NEIGHBOURS = 15
_WIDE, _STEPS, _RATE, _DECAY = 64, 150, 3e-3, 0.05  # of the MLP
_Z = 1.959963984540054  # of 95%


class ProbeAccuracy(NamedTuple):
    """A share of right answers, and Wilson's 95% interval with as many trials as there are recordings."""

    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FamilyProbe:
    """What was found out about a family; no accuracies where it has fewer than FEWEST recordings."""

    family: str
    questions: int
    recordings: int
    chance: float  # mean of 1 / options
    no_audio: ProbeAccuracy | None = None  # what was right most often before, of equal questions
    knn: ProbeAccuracy | None = None
    mlp: ProbeAccuracy | None = None

    def content(self) -> dict[str, Any]:
        """As JSON has it."""
        accuracies = {name: getattr(self, name) for name in ("no_audio", "knn", "mlp")}
        shown = {name: None if value is None else value._asdict() for name, value in accuracies.items()}
        numbers = {"questions": self.questions, "recordings": self.recordings, "chance": self.chance}
        return {"family": self.family, **numbers, **shown}


class ProbeItem(NamedTuple):
    """A question, what is known of its clip, and its options as they are compared."""

    pooled: FloatArray  # (2 width,)
    source: str
    question: str
    options: tuple[str, ...]
    answer: int

    @property
    def right(self) -> str:
        """The text that is predicted."""
        return self.options[self.answer]


def probe(corpus: Corpus, partition: Partition, model: AudioLM, report: Report) -> tuple[list[FamilyProbe], int]:
    """Every family, the largest first, and how many questions are left out because nobody can hear their clip."""
    by_family: dict[str, list[ProbeItem]] = {family: [] for family in partition.sizes}
    pooled: dict[str, FloatArray] = {}
    n_unheard = 0
    for clip, family in zip(stream(corpus.examples, workers=0), partition.families, strict=True):
        if clip.audio is None or not hears(model, clip.audio):
            n_unheard += 1
            continue
        recording = audio_hash(clip.audio)
        if recording not in pooled:
            states = states_of(model, clip.audio, clip.example.sample_id).astype(np.float64)
            pooled[recording] = np.concatenate([states.mean(axis=0), states.max(axis=0)])
            report("states of recordings", len(pooled), 0)
        question = clip.example.question
        options = tuple(" ".join(choice.casefold().split()) for choice in question.choices)
        item = ProbeItem(pooled[recording], clip.example.source_id, question.text, options, question.answer)
        by_family[family].append(item)
    if not pooled:
        raise InputError(f"corpus {corpus.name}", "has no clip that the encoder hears at once", "name another one")
    return [probe_family(family, items) for family, items in by_family.items() if items], n_unheard


def probe_family(family: str, items: Sequence[ProbeItem]) -> FamilyProbe:
    """What neighbours, an MLP, and no audio at all come to with the questions of a family."""
    n_recordings = len({item.source for item in items})
    chance = float(np.mean([1 / len(item.options) for item in items]))
    if n_recordings < FEWEST:
        return FamilyProbe(family, len(items), n_recordings, chance)
    ways: Mapping[str, Callable[[Sequence[ProbeItem], Sequence[ProbeItem]], list[float]]] = {
        "no_audio": no_audio_credits,
        "knn": knn_credits,
        "mlp": mlp_credits,
    }
    credit = {name: np.zeros(len(items)) for name in ways}
    for held in folds([item.source for item in items]):
        kept = np.setdiff1d(np.arange(len(items)), held)
        training, testing = [items[i] for i in kept], [items[i] for i in held]
        for name, way in ways.items():
            credit[name][held] = way(training, testing)
    accuracies = {name: accuracy_of(float(values.mean()), n_recordings) for name, values in credit.items()}
    return FamilyProbe(family, len(items), n_recordings, chance, **accuracies)


def folds(sources: Sequence[str]) -> list[IntArray]:
    """Places of items that are held out together: whole sources, in an order that depends on their names alone."""
    order = sorted(set(sources), key=lambda source: hashlib.blake2b(source.encode(), digest_size=8).digest())
    fold = {source: number % FOLDS for number, source in enumerate(order)}
    of_items = np.array([fold[source] for source in sources])
    return [np.flatnonzero(of_items == number) for number in range(FOLDS)]


def accuracy_of(share: float, trials: int) -> ProbeAccuracy:
    """A share with Wilson's interval."""
    z2 = _Z * _Z / trials
    middle = (share + z2 / 2) / (1 + z2)
    half = _Z * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials)) / (1 + z2)
    return ProbeAccuracy(share, min(share, max(0.0, float(middle - half))), max(share, min(1.0, float(middle + half))))


# Classifiers -----------------------------------------------------------------------------------------------


def no_audio_credits(training: Sequence[ProbeItem], testing: Sequence[ProbeItem]) -> list[float]:
    """Of each held-out item the credit for the option that was right most often."""
    comparable = _comparable(training)
    return [_credit(item, _votes(training[i] for i in comparable(item))) for item in testing]


def knn_credits(training: Sequence[ProbeItem], testing: Sequence[ProbeItem]) -> list[float]:
    """Of each held-out item the credit for the option that most of its neighbours had; near is what is alike in every
    number, measured in its deviation.
    """
    comparable, (mean, deviation) = _comparable(training), _moments(training)
    known = np.stack([(item.pooled - mean) / deviation for item in training])
    credits = []
    for item in testing:
        others = comparable(item)
        distance = np.square(known[others] - (item.pooled - mean) / deviation).sum(axis=1)
        near = others[np.argsort(distance, kind="stable")[:NEIGHBOURS]]
        credits.append(_credit(item, _votes(training[i] for i in near)))
    return credits


def mlp_credits(training: Sequence[ProbeItem], testing: Sequence[ProbeItem]) -> list[float]:
    """Of each held-out item the credit for the option that a small network of pooled states and of the question's words
    finds likeliest.
    """
    classes = {text: i for i, text in enumerate(sorted({item.right for item in training}))}
    words = {word: i for i, word in enumerate(sorted({w for item in training for w in item.question.split()}))}
    mean, deviation = _moments(training)

    def inputs(items: Sequence[ProbeItem]) -> torch.Tensor:
        table = np.zeros((len(items), len(mean) + len(words)))
        for row, item in zip(table, items, strict=True):
            row[: len(mean)] = (item.pooled - mean) / deviation
            row[[len(mean) + words[word] for word in item.question.split() if word in words]] = 1.0
        return torch.from_numpy(table).float()

    with one_thread(), torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(len(mean) + len(words), _WIDE), nn.ReLU(), nn.Linear(_WIDE, len(classes)))
        descent = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=_DECAY)
        heard, right = inputs(training), torch.tensor([classes[item.right] for item in training])
        for _ in range(_STEPS):
            loss = nn.functional.cross_entropy(net(heard), right)
            descent.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            descent.step()
        with torch.inference_mode():
            likely = net(inputs(testing)).softmax(-1).double().numpy()
    return [
        _credit(item, {text: row[i] for text, i in classes.items()}) for item, row in zip(testing, likely, strict=True)
    ]


def _comparable(training: Sequence[ProbeItem]) -> Callable[[ProbeItem], IntArray]:
    """What gives the places of those that were asked the same as an item, where there are enough; of all otherwise."""
    by_question: dict[str, list[int]] = {}
    for i, item in enumerate(training):
        by_question.setdefault(item.question, []).append(i)
    places = {question: np.array(alike) for question, alike in by_question.items() if len(alike) >= NEIGHBOURS}
    everybody = np.arange(len(training))
    return lambda item: places.get(item.question, everybody)


def _votes(items: Iterable[ProbeItem]) -> dict[str, float]:
    return dict(Counter(item.right for item in items))


def _credit(item: ProbeItem, score: Mapping[str, float]) -> float:
    """1 where the right option has the best score, a share of it where several have; what never was right has none."""
    scores = np.array([score.get(option, 0.0) for option in item.options])
    best = scores == scores.max()
    return float(best[item.answer] / best.sum())


def _moments(items: Sequence[ProbeItem]) -> tuple[FloatArray, FloatArray]:
    """Mean and deviation of every number of the pooled states."""
    pooled = np.stack([item.pooled for item in items])
    return pooled.mean(axis=0), np.maximum(pooled.std(axis=0), 1e-6)
