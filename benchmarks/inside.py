"""Claim: what a decoder computes before something is dropped inside it is computed once for all methods and budgets.
With layers that takes at most .5 of the time of sharing nothing, with the cache .7; the encoder runs once.

`--table` says how many questions are answered right (72 clips, six questions each), with the standard error over clips:
layers after 1 and 2, and the cache, each score beside uniform and random. Neither embedded answerer was trained on
dropped audio: rankings are not to be read off the table, that the machinery tells methods apart is.

Unshared is the same scheduler with nothing kept between methods and budgets: each is answered by itself. Answers are
compared first, what was computed is counted. CPU seconds of one thread.
"""

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import llvmlite.binding
import torch
from tokens import TABLE_BUDGETS, Asked, cell_words, questions, right

from earmark.engine.answerers.loading import load_model
from earmark.engine.answerers.request import Request
from earmark.engine.answerers.shared.encodings import Encodings
from earmark.engine.answerers.shared.shared_answerer import SharedAnswerer
from earmark.engine.answerers.tiny import FOLDERS
from earmark.engine.compressors.tokens.reducing import ReductionSpec
from earmark.engine.design.compressors import BUILT_IN, CACHE_NAMES, LAYER_NAMES

TARGETS = {"layers": 0.5, "cache": 0.7}  # of the time with nothing shared
BUDGETS = (0.5, 0.4, 0.3, 0.2, 0.1)
ROOM = 1 << 31


def specs(kinds: Sequence[str], budgets: Sequence[float], layer: int, sized: bool) -> Iterator[ReductionSpec]:
    """Every method at every budget."""
    for kind in kinds:
        if BUILT_IN[kind].may_be_sized or not sized:
            for budget in budgets:
                yield ReductionSpec(kind, budget, sized, layer=layer if kind in LAYER_NAMES else 0)


def requests_of(asked: Sequence[Asked], spec: ReductionSpec) -> list[Request]:
    """The same questions, with something dropped inside the decoder."""
    requests = []
    for question in asked:
        own = spec
        if BUILT_IN[spec.kind].asks:
            text, choices, _ = question.request.question
            own = spec._replace(question=text, choices=tuple(choices))
        excerpt = question.request.excerpt.reduced(own)
        requests.append(Request(question.request.id, excerpt, question.request.question))
    return requests


def counting(model: Any) -> Counter[str]:
    """Rows that a model computes from now on, by what it computes of them."""
    rows: Counter[str] = Counter()
    for name in ("encode", "below", "cached"):
        run = getattr(type(model), name).__get__(model)

        def counted(items: Sequence[Any], *arguments: Any, name: str = name, run: Any = run) -> Any:
            rows[name] += len(items)
            return run(items, *arguments)

        setattr(model, name, counted)
    return rows


def timed(stage: str, n_clips: int, a_clip: int) -> dict[str, Any]:
    """Shared against unshared: seconds, and rows that were computed before anything was dropped."""
    asked = questions(n_clips, a_clip)
    every = list(specs(LAYER_NAMES if stage == "layers" else CACHE_NAMES, BUDGETS, 2, sized=False))
    model = load_model("tiny")
    for spec in every:
        right(SharedAnswerer(model), requests_of(asked[:a_clip], spec))  # what a first call costs once
    took, rows, answers = {}, {}, {}
    for kind in ("shared", "unshared"):
        rows[kind], began = counting(model), time.process_time()
        encodings = Encodings(ROOM) if kind == "shared" else None
        answers[kind] = [right(SharedAnswerer(model, encodings=encodings), requests_of(asked, spec)) for spec in every]
        took[kind] = time.process_time() - began
    assert answers["shared"] == answers["unshared"]
    once = {"encode": n_clips} | ({"below": n_clips * a_clip} if stage == "layers" else {"cached": n_clips})
    assert rows["shared"] == once, (rows, once)
    return {
        "stage": stage,
        "questions_a_clip": a_clip,
        "shared_s": round(took["shared"], 2),
        "unshared_s": round(took["unshared"], 2),
        "share": round(took["shared"] / took["unshared"], 2),
        "rows": rows["shared"],
        "rows_unshared": rows["unshared"],
    }


def table(name: str, n_clips: int) -> None:
    """What every method leaves of the answers."""
    asked = questions(n_clips, 6)
    model, encodings = load_model(name), Encodings(ROOM)
    print(f"\n{name}, {len(asked):,} questions about {n_clips} clips: % right (standard error over clips; count)")
    for kinds, layer in ((LAYER_NAMES, 1), (LAYER_NAMES, 2), (CACHE_NAMES, 0)):
        for sized in (False, True):
            cells: dict[str, list[str]] = {}
            for spec in specs(kinds, TABLE_BUDGETS, layer, sized):
                answers = right(SharedAnswerer(model, encodings=encodings), requests_of(asked, spec))
                cells.setdefault(spec.kind, []).append(cell_words(asked, answers))
            for kind, row in cells.items():
                after = f" after {layer}" if layer else ""
                print(f"| {kind}{after}{', sized' if sized else ''} | {' | '.join(row)} |", flush=True)


def main() -> None:
    """Time, and with --table, answer everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--clips", type=int, default=72, help="of the table")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cases = [timed(stage, *size) for stage in TARGETS for size in ((16, 6), (32, 1))]
    for case in cases:
        print(case)
    if arguments.table:
        for name in sorted(FOLDERS):
            table(name, arguments.clips)
    cpu = os.environ.get("NUMBA_CPU_NAME") or llvmlite.binding.get_host_cpu_name()
    holds = all(case["share"] <= TARGETS[case["stage"]] for case in cases)
    claim = "what comes before a drop inside the decoder is computed once for all methods and budgets"
    print(json.dumps({"claim": claim, "targets": TARGETS, "cases": cases, "holds": holds, "cpu": cpu}))


if __name__ == "__main__":
    main()
