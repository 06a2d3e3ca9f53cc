"""Claim: eight compressors of tokens at five budgets run the encoder as often as raw audio alone does, and are at least
1.4 times as fast as unshared with six questions a clip, 2 times with one. And what they do to answers.

`--table` says how many of 1,200 questions about 200 clips are answered right, for every method, plain and sized, with
the standard error over clips, and the locality effect: `ltbm` minus `global_merge`, paired, by family, with 95%
intervals over clips. Neither embedded answerer was trained on another token rate: rankings are not to be read off the
table, that the machinery tells methods apart is.

Unshared is the same scheduler with nothing kept between methods and budgets: each is answered by itself. Frames are
counted, answers compared first. CPU seconds of one thread.
"""

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import llvmlite.binding
import numpy as np
import torch

from earmark.engine.answerers.answer_all import answer_all
from earmark.engine.answerers.loading import load_model
from earmark.engine.answerers.request import Request
from earmark.engine.answerers.shared.encodings import Encodings
from earmark.engine.answerers.shared.shared_answerer import SharedAnswerer
from earmark.engine.answerers.tiny import FOLDERS
from earmark.engine.compressors.compressor import OpenedClip
from earmark.engine.compressors.tokens.reducing import ReductionSpec
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.synthetic.synthetic_corpus import examples
from earmark.engine.design.compressors import TOKEN_NAMES

TARGETS = {6: 1.4, 1: 2.0}
BUDGETS = (0.5, 0.4, 0.3, 0.2, 0.1)
TABLE_BUDGETS = (0.5, 0.3, 0.1)
TIMED = TOKEN_NAMES[:8]
ROOM = 1 << 30


class Asked(NamedTuple):
    """A question, its request on raw audio, and its family."""

    clip: str
    family: str
    request: Request


def questions(n_clips: int, a_clip: int) -> list[Asked]:
    """The first questions about some clips, each clip opened once."""
    opened: dict[str, OpenedClip] = {}
    asked: list[Asked] = []
    for example in examples(Split.CERTIFICATION, n_clips):
        clip = opened.setdefault(example.audio.name, OpenedClip(example.audio.name, example.audio.waveform()))
        if sum(other.clip == example.audio.name for other in asked[-a_clip:]) < a_clip:
            whole = clip.seconds(range(-(-len(clip.audio) // 16_000)))
            family = example.labels["family"]
            asked.append(Asked(example.audio.name, family, Request(example.sample_id, whole, example.question)))
    return asked


def requests_of(asked: Sequence[Asked], spec: ReductionSpec) -> list[Request]:
    """The same questions about reduced audio."""
    return [Request(one.request.id, one.request.excerpt.reduced(spec), one.request.question) for one in asked]


def specs(budgets: Sequence[float], kinds: Sequence[str], sized: Sequence[bool]) -> Iterator[ReductionSpec]:
    """Every method at every budget."""
    for kind in kinds:
        for is_sized in sized:
            for budget in budgets:
                yield ReductionSpec(kind, budget, is_sized, 1.0, 8)


def right(answerer: SharedAnswerer, requests: Sequence[Request]) -> dict[str, bool]:
    """Whether each question is answered right."""
    answers = answer_all(answerer, requests)
    return {answer.id: answer.predicted_label == answer.correct_label for answer in answers}


def timed(name: str, n_clips: int, a_clip: int) -> dict[str, float]:
    """Shared against unshared: seconds, and frames that the encoder ran."""
    asked = questions(n_clips, a_clip)
    every = list(specs(BUDGETS, TIMED, [False]))
    model = load_model(name)
    right(SharedAnswerer(model), [one.request for one in asked])  # what a first call costs once
    took, frames, answers = {}, {}, {}
    for kind in ("shared", "unshared"):
        before, began = model.counted.encoder_frames, time.process_time()
        encodings = Encodings(ROOM) if kind == "shared" else None
        answers[kind] = [right(SharedAnswerer(model, encodings=encodings), requests_of(asked, spec)) for spec in every]
        took[kind], frames[kind] = time.process_time() - began, model.counted.encoder_frames - before
    assert answers["shared"] == answers["unshared"]
    before = model.counted.encoder_frames
    right(SharedAnswerer(model), [one.request for one in asked])
    once = model.counted.encoder_frames - before
    assert frames["shared"] == once, (frames, once)
    return {
        "questions_a_clip": a_clip,
        "shared_s": round(took["shared"], 2),
        "unshared_s": round(took["unshared"], 2),
        "times": round(took["unshared"] / took["shared"], 2),
        "frames_of_one_pass": once,
        "frames_unshared": frames["unshared"],
    }


def table(name: str, n_clips: int) -> None:
    """What every method leaves of the answers, and where merging near by differs from merging everywhere."""
    asked = questions(n_clips, 6)
    model, encodings = load_model(name), Encodings(ROOM)
    results: dict[tuple[str, bool, float], dict[str, bool]] = {}
    for spec in specs(TABLE_BUDGETS, TOKEN_NAMES, [False, True]):
        results[spec.kind, spec.sized, spec.budget] = right(
            SharedAnswerer(model, encodings=encodings), requests_of(asked, spec)
        )
    print(f"\n{name}, {len(asked):,} questions about {n_clips} clips: % right (standard error over clips; count)")
    for sized in (False, True):
        for kind in TOKEN_NAMES:
            cells = [cell_words(asked, results[kind, sized, budget]) for budget in TABLE_BUDGETS]
            print(f"| {kind}{', sized' if sized else ''} | {' | '.join(cells)} |")
    print("locality: ltbm - global_merge, points (95% interval over clips)")
    for sized in (False, True):
        for budget in TABLE_BUDGETS:
            near, everywhere = results["ltbm", sized, budget], results["global_merge", sized, budget]
            effects = [
                f"{family} {mean:+.1f} [{mean - 1.96 * error:+.1f}, {mean + 1.96 * error:+.1f}]"
                for family in sorted({one.family for one in asked})
                for mean, error in [_mean(asked, {k: near[k] - everywhere[k] for k in near}, family)]
            ]
            print(f"{'sized' if sized else 'plain'}, {budget:g}: {', '.join(effects)}")


def cell_words(asked: Sequence[Asked], answers: dict[str, bool]) -> str:
    """The share that is right, its standard error over clips, and that of counting."""
    mean, error = _mean(asked, answers)
    return f"{mean:.1f} ({error:.1f}; {_mean(asked, answers, 'count')[0]:.0f})"


def _mean(
    asked: Sequence[Asked], values: dict[str, bool] | dict[str, int], family: str | None = None
) -> tuple[float, float]:
    """The mean in percent, and its standard error over clips."""
    by_clip: dict[str, list[float]] = defaultdict(list)
    for one in asked:
        if family in (None, one.family):
            by_clip[one.clip].append(100.0 * values[one.request.id])
    means = np.array([np.mean(of_clip) for of_clip in by_clip.values()])
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means)))


def main() -> None:
    """Time, and with --table, answer everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--clips", type=int, default=200, help="of the table")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cases = [timed("tiny", 24, 6), timed("tiny", 48, 1)]
    for case in cases:
        print(case)
    if arguments.table:
        for name in sorted(FOLDERS):
            table(name, arguments.clips)
    cpu = os.environ.get("NUMBA_CPU_NAME") or llvmlite.binding.get_host_cpu_name()
    holds = all(case["times"] >= TARGETS[int(case["questions_a_clip"])] for case in cases)
    claim = "an encoding is made once for all methods and budgets"
    print(json.dumps({"claim": claim, "targets": TARGETS, "cases": cases, "holds": holds, "cpu": cpu}))


if __name__ == "__main__":
    main()
