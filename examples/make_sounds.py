"""Makes examples/sounds, a small run folder with simulated outcomes, in the layout that a real sweep writes.

Each of 1,200 simulated clips has ten one-second slots and one question that needs some of them. A compressor keeps the
slots it scores highest; the simulated answerer is right as on raw audio if every needed slot is kept, and guesses one
of four options otherwise, and about silence always. Nothing here was measured on a model: the example shows what the
sign-off makes of outcomes, not how good any selector is.

Usage: python examples/make_sounds.py [FOLDER]
"""

import hashlib
import sys
from pathlib import Path

import numpy as np

from earmark.engine.design.keys import SILENCE, UNCOMPRESSED, CellKey
from earmark.engine.outcomes.store import write_cell, write_partitions

ANSWERER, CORPUS = "simulated", "sounds"
SLOTS, PER_FAMILY, OPTIONS = 10, 200, "ABCD"
NEEDS = {"scene": 1, "event": 1, "sweep": 1, "order": 2, "pitch": 3, "count": 4}  # slots a question needs
LOUDNESS = {"scene": 1.5, "event": 3.0, "sweep": 0.6, "order": 2.5, "pitch": 1.2, "count": 2.0}  # of the needed slots
NEED_GROUP = {"scene": "one slot", "event": "one slot", "sweep": "one slot", "order": "two slots"}
BUDGETS = (0.2, 0.4, 0.6, 0.8)
TOKENS_PER_SLOT = 10
RAW_ACCURACY = 0.95


def main(run: Path) -> None:
    """Write every cell that is not there yet, and the partitions."""
    rng = np.random.default_rng(20)
    families = np.repeat(list(NEEDS), PER_FAMILY)
    n = len(families)
    needed = np.zeros((n, SLOTS), dtype=bool)
    for i, family in enumerate(families):
        needed[i, rng.choice(SLOTS, NEEDS[family], replace=False)] = True
    answer = rng.integers(4, size=n)
    heard = np.where(rng.random(n) < RAW_ACCURACY, answer, (answer + rng.integers(1, 4, size=n)) % 4)
    loudness = rng.normal(0, 1, (n, SLOTS)) + needed * np.array([LOUDNESS[f] for f in families])[:, None]

    scores = {("uniform", 0, "anchor"): np.tile(_spread_order(), (n, 1)), ("energy", 0, "anchor"): loudness}
    for seed in (42, 123, 456):
        noise = np.random.default_rng(seed).normal(0, 1, (3, n, SLOTS))
        scores["learned_agnostic", seed, "anchor"] = loudness + 1.0 * needed + noise[0]
        scores["learned_conditioned", seed, "anchor"] = 0.5 * loudness + 3.5 * needed + noise[1]
        another = needed[np.random.default_rng(1).permutation(n)]
        scores["learned_conditioned", seed, "permuted-global-0"] = 0.5 * loudness + 3.5 * another + noise[2]

    def outcome(keep: np.ndarray, seed: int, slots: np.ndarray) -> dict[str, list]:
        guess = np.random.default_rng([seed, int(keep.sum())]).integers(4, size=n)
        predicted = np.where((keep | ~needed).all(axis=1), heard, guess)
        right = predicted == answer
        return {
            "sample_id": [f"clip-{i:04d}" for i in range(n)],
            "source_id": [f"clip-{i:04d}" for i in range(n)],
            "query_family": families.tolist(),
            "loss": (1.0 - right).tolist(),
            "nll": np.where(right, 0.05, 2.5).tolist(),
            "seconds_heard": slots.astype(float).tolist(),  # a slot is a second
            "bits_sent": (256_000 * slots).tolist(),
            "num_audio_tokens": (TOKENS_PER_SLOT * slots).tolist(),
            "predicted_label": [OPTIONS[p] for p in predicted],
            "correct_label": [OPTIONS[a] for a in answer],
            "n_options": [len(OPTIONS)] * n,
            "chunks_total": [SLOTS] * n,
            "chunks_kept": keep.sum(axis=1).tolist(),
            "kept_hash": [hashlib.sha256(kept.tobytes()).hexdigest()[:8] for kept in keep],
        }

    everything, nothing = np.ones((n, SLOTS), dtype=bool), np.zeros((n, SLOTS), dtype=bool)
    cells = {
        CellKey(ANSWERER, CORPUS, UNCOMPRESSED): (everything, 0),
        CellKey(ANSWERER, CORPUS, SILENCE): (nothing, 0),  # every question is guessed
    }
    for (method, seed, stream), score in scores.items():
        ranked = np.argsort(-score, axis=1, kind="stable")
        for budget in BUDGETS:
            keep = np.zeros((n, SLOTS), dtype=bool)
            np.put_along_axis(keep, ranked[:, : round(budget * SLOTS)], True, axis=1)
            cells[CellKey(ANSWERER, CORPUS, method, seed, stream, budget)] = (keep, seed)
    for key, (keep, seed) in cells.items():
        if not (run / str(key)).exists():
            slots = everything if key.is_control else keep  # silence is as long as the clip
            write_cell(run, key, outcome(keep, seed, slots.sum(axis=1)))
    groups = [NEED_GROUP.get(family, "many slots") for family in families]
    ids = [f"clip-{i:04d}" for i in range(n)]
    write_partitions(run, CORPUS, ids, {"task": families.tolist(), "need": groups}, source_ids=ids)


def _spread_order() -> np.ndarray:
    """Scores that make the top k of ten evenly spaced for any k."""
    order = sorted(range(SLOTS), key=lambda slot: f"{slot:04b}"[::-1])
    return -np.argsort(order).astype(float)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "sounds")
