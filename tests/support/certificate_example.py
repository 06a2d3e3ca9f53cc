"""A certificate made of plain numbers, field by field as docs/certificate.md has it, for tests of the report.

The numbers are consistent with each other (counts, rates, worst families, decisions) but measured by nobody.
"""

import random
from itertools import combinations, pairwise
from statistics import fmean, median, stdev
from typing import Any

from claim_example import ALPHA, Json, claim_of, complete, family_of

FAMILIES = ("counting", "emotion", "music", "speech_content", "temporal order")
METHODS = ("energy", "learned_agnostic", "learned_conditioned", "uniform")
_STRENGTH = {"learned_conditioned": 0.35, "learned_agnostic": 0.55, "energy": 0.8}


def certificate(
    *,
    families: tuple[str, ...] = FAMILIES,
    methods: tuple[str, ...] = METHODS,
    seeds: tuple[int, ...] = (42,),
    budgets: tuple[float, ...] = (0.1, 0.2, 0.4, 0.6, 0.8),
    tolerances: tuple[float, ...] = (0.02, 0.05),
    answerers: tuple[str, ...] = ("qwen2_audio",),
    corpora: tuple[str, ...] = ("mmau",),
    partitions: tuple[str, ...] = ("query_family",),
    harm: float = 0.3,
    rule: str = "certified",
    loss: str = "zero-one",
    claim: str = "budget",
    candidates: tuple[str, ...] = (),
    hearing: dict[str, str] | None = None,
    allow_vacuous: tuple[str, ...] = (),
    shared: bool = False,
    withheld: tuple[str, ...] = (),
    plan: str | None = "5eed" * 16,
    follows: Json | None = None,
    deployable: bool = True,
    intervals: bool = True,
    comparisons: bool = True,
    implied: bool = True,
    rare: bool = False,
    warnings: tuple[str, ...] = (),
    errors: tuple[Json, ...] = (),
    preview: Json | None = None,
    flips: tuple[Json, ...] = (),
) -> Json:
    """A certificate; `harm` scales every excess, `rare` makes the second family too small to approve.

    `hearing` is of families that do not listen, `shared` lets rows share recordings, `withheld` says why nothing is
    approved.
    """
    heard = {family: (hearing or {}).get(family, "listens") for family in families}
    draw = random.Random(20240607)
    keys = [
        {"answerer": a, "corpus": c, "method": m, "seed": s, "partition": p}
        for a in answerers
        for c in corpora
        for m in methods
        for s in (seeds if m.startswith("learned") else seeds[:1])
        for p in partitions
    ]
    sizes = {f: 27 if rare and i == 1 else draw.randint(180, 900) for i, f in enumerate(families)}
    need = {f: draw.uniform(0.1, 1) ** 2 for f in families}
    results = [
        _result(key, draw, sizes, need, budgets, tolerances, harm, intervals, implied)
        | {"families": [family_of(f, sizes[f], heard[f], shared, rule, tolerances) for f in sorted(sizes)]}
        for key in keys
    ]
    stated = claim_of(results, tolerances, rule, claim, candidates, heard, allow_vacuous, withheld, deployable)
    for result in results:
        complete(result, stated, shared, rule)
    gains = _gains(results, tolerances) if comparisons else []
    return {
        "schema": "earmark.certificate/2",
        "made_by": {"earmark": "0.1.0", "python": "3.11.7", "numpy": "2.4.6", "pyarrow": "26.0.1", "scipy": "1.17.1"},
        "run": "runs/example",
        "rule": {
            "name": rule,
            "loss": loss,
            "alpha": ALPHA,
            "tolerances": list(tolerances),
            "tolerance_average": None,
            "clustering": "source",
            "replicates": 10000,
            "seed": 42,
            "gamma": 0.0005 if rule == "certified" else None,
            "min_family": 30,
            "parents": {"tiny": "music"},
            "max_error_rate": 0.01,
            "partitions": list(partitions),
            "reference_answerer": None,
            "in_domain": [],
            "claim": claim,
            "candidates": list(candidates),
            "looks": 1,
            "max_rows_per_recording": None,
            "source": None,
            "allow_vacuous": list(allow_vacuous),
        },
        **({} if preview is None else {"preview": preview}),
        "claim": stated,
        "declared": {"plan": plan, "differences": list(withheld) if plan and preview is None else []},
        "follows": follows,
        "warnings": [*withheld, *warnings],
        "inputs": [
            {
                "path": f"cells/answerer={a}/corpus={c}/method=uncompressed/budget=1.0/part-0.parquet",
                "sha256": f"{draw.getrandbits(256):064x}",
                "rows": 1607,
            }
            for a in answerers
            for c in corpora
        ],
        "answerers": [
            {
                "answerer": a,
                "model": f"openai:http://host/v1#{a}",
                "kind": "served",
                "identity": f"http://host/v1#{a} generate=0 canaries={'cafe' * 16}",
                "likelihoods": True,
                "models": [a],
                "fingerprints": ["fp_1"],
                "canaries": "cafe" * 16,
                "n_canaries": 20,
                "canaries_right": 17,
            }
            for a in answerers
        ],
        "selectors": [
            {
                "method": r["method"],
                "seed": r["seed"],
                "hash": "5ca1ab1e" * 8,
                "in_domain": False,
                "trained_on": [{"corpus": "audiomcq", "sources": 9_412}],
                "overlap": [{"corpus": "mmau", "sources": 12, "of": 800}],
            }
            for r in results
            if r["method"].startswith("learned")
        ],
        "errors": list(errors),
        "results": results,
        "gains": gains,
        "chains": [_chain(r, t, draw) for r in results for t in tolerances] if comparisons else [],
        "overlaps": [_overlap(r, t, draw) for r in results for t in tolerances]
        if comparisons and len(families) > 1
        else [],
        "flips": list(flips),
        "walks": [],
        "audits": _audits(results, gains, answerers, corpora) if comparisons else _NO_AUDITS,
    }


def error_entry() -> Json:
    """A cell with rows that have no answer."""
    return {
        "answerer": "qwen2_audio",
        "corpus": "mmau",
        "method": "energy",
        "seed": 0,
        "stream": "anchor",
        "budget": 0.1,
        "rows": 1607,
        "errors": 3,
        "not_asked": 2,
        "too_short": 1,
        "first": ["mmau-17: out of memory", "mmau-23: raw failed"],
        "compressor": 4,
        "complaint": "compressor: not done after 60 s",
    }


def flip_entry(**changes: Any) -> Json:
    """What flipped in a family: of two questions one is kept with its clips; `changes` are of this one."""
    bare = {
        "sample_id": "mmau-17",
        "raw_answer": "A",
        "answer": None,
        "right_answer": "A",
        "raw_seconds": 5.0,
        "seconds": 4.0,
        "chunks": None,
        "kept_chunks": None,
        "raw_hash": None,
        "hash": None,
        "question": None,
        "options": None,
        "raw_clip": None,
        "clip": None,
    }
    kept = {
        "sample_id": "mmau-3",
        "raw_answer": "B",
        "answer": "A",
        "right_answer": "B",
        "raw_seconds": 5.0,
        "seconds": 3.0,
        "chunks": 5,
        "kept_chunks": [0, 1, 4],
        "raw_hash": "a" * 32,
        "hash": "b" * 32,
        "question": "How many bells?",
        "options": ["one", "two", "three"],
        "raw_clip": f"clips/{'a' * 32}.flac",
        "clip": f"clips/{'b' * 32}.flac",
    }
    return {
        "answerer": "qwen2_audio",
        "corpus": "mmau",
        "method": "energy",
        "seed": 42,
        "partition": "query_family",
        "tolerance": 0.02,
        "budget": 0.8,
        "families": [
            {"family": "counting", "n": 300, "to_wrong": 41, "to_right": 3, "questions": [kept | changes, bare]},
            {"family": "music", "n": 200, "to_wrong": 9, "to_right": 8, "questions": []},
        ],
    }


_NO_AUDITS: Json = {
    "seeds": [],
    "query_use": [],
    "contamination": [],
    "label_noise": [],
    "coarsening": [],
    "architecture_gap": [],
    "family_gains": [],
    "kept_chunks": [],
    "score_shares": [],
    "flip_rates": [],
}


def _interval(center: float, n: int, known: bool = True) -> Json:
    half = 1.96 * (0.06 / n) ** 0.5
    return {"lower": center - half if known else None, "upper": center + half if known else None}


# Results ---------------------------------------------------------------------------------------------------


def _result(
    key: Json,
    draw: random.Random,
    sizes: dict[str, int],
    need: dict[str, float],
    budgets: tuple[float, ...],
    tolerances: tuple[float, ...],
    harm: float,
    intervals: bool,
    implied: bool,
) -> Json:
    strength = harm * _STRENGTH.get(key["method"], 1) * draw.uniform(0.9, 1.1)
    evaluated = [*budgets, 1.0] if implied and 1.0 not in budgets else list(budgets)
    entries = [
        _budget(
            b,
            implied and b == 1.0,
            sizes,
            {g: strength * need[g] * (1 - b) ** 2 - 0.004 for g in sizes},
            tolerances,
            intervals,
            draw,
        )
        for b in evaluated
    ]
    rare = [g for g in sizes if sizes[g] < 30]
    certified = [_certify(t, i, entries) for i, t in enumerate(tolerances)]
    return {
        **key,
        **dict.fromkeys(("compressor", "stage", "axis")),
        "reference": "uncompressed",
        "n": sum(sizes.values()),
        "sources": sum(sizes.values()),
        "resampling": "example",
        "raw_loss": 0.3125,
        "merged_families": [{"family": "tiny", "n": 7, "into": min(sizes)}],
        "rare_families": rare,
        "budgets": entries,
        "frontiers": [_frontier(entries, t) for t in tolerances],
        "certified": certified,
        "routing": [_routing(t, entries) for t in tolerances] if len(entries[0]["families"]) > 1 else [],
    }


def _routing(tolerance: float, entries: list[Json]) -> Json:
    routes = []
    for f, family in enumerate(entries[0]["families"]):
        passing = [e["budget"] for e in entries if e["budget"] < 1 and (e["families"][f]["upper"] or 0) <= tolerance]
        budget = min(passing, default=1.0)
        p, tested = None if budget == 1 else 0.004, family["n"] >= 30
        routes.append({"family": family["family"], "n": family["n"], "budget": budget, "p": p, "tested": tested})
    retained = sum(r["n"] * r["budget"] for r in routes) / sum(r["n"] for r in routes)
    each = ALPHA / len(routes)
    return {"tolerance": tolerance, "alpha_each": each, "retained": retained, "families": routes}


def _certify(tolerance: float, i: int, entries: list[Json]) -> Json:
    approved = [e["budget"] for e in entries if e["decisions"][i]["decision"] == "approve"]
    budget = min(approved, default=None)
    if budget is not None and budget < 1:
        reason = f"both intervals at {budget:g} end below {tolerance:g}"
        following = {"action": "ship", "families": [], "text": f"ship at budget {budget:g}"}
    else:
        worst = entries[0]["worst_family"]
        reason = f"no budget below 1 passes; '{worst}' may be above {tolerance:g}"
        following = {"action": "route", "families": [worst], "text": f"harm is local: route '{worst}' to raw audio"}
    return {"tolerance": tolerance, "budget": budget, "reason": reason, "first_failure": None, "next": following}


def _budget(
    budget: float,
    implied: bool,
    sizes: dict[str, int],
    risk: dict[str, float],
    tolerances: tuple[float, ...],
    intervals: bool,
    draw: random.Random,
) -> Json:
    families = []
    for name, n in sorted(sizes.items()):
        net = 0 if implied else round(n * risk[name])
        minus = 0 if implied else draw.randint(0, max(n // 20, 1)) + max(-net, 0)
        interval = {"lower": 0.0, "upper": 0.0} if implied else _interval(net / n, n, intervals)
        families.append(
            {
                "family": name,
                "n": n,
                "plus": minus + net,
                "minus": minus,
                "excess": net / n,
                **interval,
                "p": None,
                "rare": n < 30,
            }
        )
    n, plus, minus = (sum(f[field] for f in families) for field in ("n", "plus", "minus"))
    worst = max(families, key=lambda f: f["excess"])
    average = {"estimate": (plus - minus) / n, **_interval((plus - minus) / n, n, intervals)}
    family = {"estimate": worst["excess"], "lower": worst["lower"], "upper": worst["upper"]}
    if implied:
        average = family = {"estimate": 0.0, "lower": 0.0, "upper": 0.0}
    mass = sorted((f["n"] * max(f["excess"], 0) for f in families), reverse=True)
    return {
        "budget": budget,
        "implied": implied,
        "n": n,
        "plus": plus,
        "minus": minus,
        "mean_audio_tokens": None if implied else 750 * budget,
        "used": dict.fromkeys(("seconds", "bits", "positions", "lm_positions", "flops")),
        "copies_of_raw": 1.0 if budget == 1 else 0.0,
        "answers_of_silence": 0.25 if budget == 1 else 0.3125,
        "loss": 0.3125 + (plus - minus) / n,
        "excess_average": average,
        "excess_family": family,
        "worst_family": worst["family"],
        "hidden_damage": family["estimate"] - average["estimate"],
        "concentration_top2": sum(mass[:2]) / sum(mass) if sum(mass) else None,
        "answer_consistency": 1 - (plus + minus) / n,
        "consistency_paradox": budget == 0.2,
        "families": families,
        "decisions": [
            _decide(average, family, t, implied, any(f["rare"] for f in families)) | {"p": None, "p_adjusted": None}
            for t in tolerances
        ],
    }


def _decide(average: Json, family: Json, tolerance: float, implied: bool, rare: bool) -> Json:
    if implied:
        return {"tolerance": tolerance, "decision": "approve", "reason": "keeping everything is the raw audio itself"}
    if rare:
        return {"tolerance": tolerance, "decision": "inconclusive", "reason": "a family has too few rows"}
    uppers, lowers = ([e[end] for e in (average, family)] for end in ("upper", "lower"))
    if None in uppers:
        return {"tolerance": tolerance, "decision": "inconclusive", "reason": "there is no interval"}
    if max(uppers) <= tolerance:
        return {"tolerance": tolerance, "decision": "approve", "reason": f"the largest upper end is {max(uppers):.4f}"}
    if max(lowers) > tolerance:
        return {"tolerance": tolerance, "decision": "reject", "reason": f"a lower end is {max(lowers):.4f}"}
    return {"tolerance": tolerance, "decision": "inconclusive", "reason": f"{tolerance:g} lies within an interval"}


def _frontier(entries: list[Json], tolerance: float) -> Json:
    grid, interpolated = {}, {}
    for variant in ("average", "family"):
        excess = [(e["budget"], e[f"excess_{variant}"]["estimate"]) for e in entries]
        grid[variant] = next((b for b, d in excess if d <= tolerance), None)
        interpolated[variant] = excess[0][0] if excess[0][1] <= tolerance else 1.0
        for (b0, d0), (b1, d1) in pairwise(excess):
            if interpolated[variant] == 1.0 and d0 > tolerance >= d1:
                interpolated[variant] = b0 + (b1 - b0) * (d0 - tolerance) / (d0 - d1)
    return {
        "tolerance": tolerance,
        "tolerance_average": tolerance,
        "grid": grid,
        "interpolated": interpolated,
        "tokens": {v: 750 * b for v, b in interpolated.items()},
        "intervals": {
            v: {"lower": max(b - 0.07, 0.1), "upper": min(b + 0.09, 1.0), "at_smallest": 0.0125, "at_full": 0.004}
            for v, b in interpolated.items()
        },
    }


# Comparisons -----------------------------------------------------------------------------------------------


def _gains(results: list[Json], tolerances: tuple[float, ...]) -> list[Json]:
    by_key = {(r["answerer"], r["corpus"], r["partition"], r["method"], r["seed"]): r for r in results}
    gains = []
    for (answerer, corpus, partition, method, seed), conditioned in by_key.items():
        agnostic = by_key.get((answerer, corpus, partition, "learned_agnostic", seed))
        if method != "learned_conditioned" or agnostic is None:
            continue
        for i, tolerance in enumerate(tolerances):
            for axis in ("interpolated", "grid", "tokens"):
                for variant in ("average", "family"):
                    a, c = (r["frontiers"][i][axis][variant] for r in (agnostic, conditioned))
                    half = 40.0 if axis == "tokens" else 0.05
                    point = None if a is None or c is None else a - c
                    known = point is not None and axis != "grid"
                    lower, upper = (point - half, point + half) if known else (None, None)
                    gains.append(
                        {
                            "kind": "same-backbone",
                            "answerer": answerer,
                            "reference_answerer": answerer,
                            "corpus": corpus,
                            "seed": seed,
                            "partition": partition,
                            "agnostic": "learned_agnostic",
                            "conditioned": "learned_conditioned",
                            "tolerance": tolerance,
                            "axis": axis,
                            "variant": variant,
                            "agnostic_frontier": a,
                            "conditioned_frontier": c,
                            "point": point,
                            "lower": lower,
                            "upper": upper,
                            "p": 0.0004 if known else None,
                            "direction": "inconclusive"
                            if not known or lower <= 0 <= upper
                            else "positive"
                            if lower > 0
                            else "negative",
                            "at_smallest": 0.0,
                            "at_full": 0.0313,
                            "tolerance_average": tolerance,
                        }
                    )
    return gains


def _key(result: Json) -> Json:
    return {field: result[field] for field in ("answerer", "corpus", "method", "seed", "partition")}


def _chain(result: Json, tolerance: float, draw: random.Random) -> Json:
    families = sorted(result["budgets"][0]["families"], key=lambda f: (f["n"], f["family"]))
    steps: list[Json] = []
    before, rows = 0.0, 0
    for i, f in enumerate(families):
        frontier = min(max(before, 0.1) + (draw.uniform(0, 1.2 / len(families)) if draw.random() < 0.5 else 0), 1.0)
        rows += f["n"]
        steps.append(
            {
                "step": i + 1,
                "family": f["family"],
                "n": f["n"],
                "n_cumulative": rows,
                "frontier": frontier,
                "lower": max(frontier - 0.06, 0.1),
                "upper": min(frontier + 0.08, 1.0),
                "increment": frontier - before if i else None,
                "increment_lower": 0.0 if i else None,
                "increment_upper": frontier - before + 0.03 if i else None,
            }
        )
        before = frontier
    bottleneck = max(steps, key=lambda s: s["increment"] or 0)["family"]
    return {**_key(result), "tolerance": tolerance, "steps": steps, "bottleneck": bottleneck}


def _overlap(result: Json, tolerance: float, draw: random.Random) -> Json:
    pairs = []
    for a, b in combinations([f["family"] for f in result["budgets"][0]["families"]], 2):
        ratio = draw.uniform(0.5, 1)
        pairs.append({"families": [a, b], "ratio": ratio, "lower": ratio - 0.05, "upper": ratio + 0.05})
    ratios = [p["ratio"] for p in pairs]
    summary = {"pairs": len(ratios)} | {
        name: of(ratios) for name, of in (("min", min), ("median", median), ("mean", fmean), ("max", max))
    }
    return {**_key(result), "tolerance": tolerance, "pairs": pairs, "summary": summary}


# Audits ----------------------------------------------------------------------------------------------------


def _over_seeds(values: list[float]) -> Json:
    mean = fmean(values)
    if len(values) < 2:
        return {"values": values, "mean": mean, "sd": None, "lower": None, "upper": None, "direction": "ZERO"}
    sd = stdev(values)
    return {"values": values, "mean": mean, "sd": sd, "lower": mean - sd, "upper": mean + sd, "direction": "MIXED"}


def _audits(results: list[Json], gains: list[Json], answerers: tuple[str, ...], corpora: tuple[str, ...]) -> Json:
    pair = {"agnostic": "learned_agnostic", "conditioned": "learned_conditioned"}
    over: dict[tuple[Any, ...], list[Json]] = {}
    names = ("answerer", "reference_answerer", "corpus", "partition", "tolerance", "axis", "variant")
    for g in gains:
        if g["point"] is not None:
            over.setdefault(tuple(g[name] for name in names), []).append(g)
    seeds = [
        {"kind": "same-backbone", **pair, **dict(zip(names, key, strict=True)), "seeds": [g["seed"] for g in entries]}
        | _over_seeds([g["point"] for g in entries])
        | {"tolerance_average": entries[0]["tolerance_average"]}
        for key, entries in over.items()
        if len(entries) > 1
    ]
    regime = {
        "answerer": answerers[0],
        "corpus": corpora[0],
        "partition": results[0]["partition"],
        **pair,
        "tolerance": 0.05,
        "variant": "family",
        "regime": "global",
        "tolerance_average": 0.05,
    }
    one = {"seeds": [42], **_over_seeds([0.0312])}
    three = {"seeds": [42, 123, 456], **_over_seeds([0.0712, 0.0401, -0.0033])}
    below = [(r, b) for r in results for b in r["budgets"] if b["budget"] < 1]
    return {
        "seeds": seeds,
        "query_use": [
            {**regime, "protocol": "decoupled", "permutations": [4, 4, 4], **three, "band": "PHI2"},
            {**regime, "protocol": "naive", "permutations": [4], **one, "band": "PHI2"},
        ],
        "contamination": [{**regime, "protocol": "naive - decoupled", **one, "ratio": 1.84}],
        "label_noise": [
            {
                **_key(r),
                "budget": b["budget"],
                "rate": 0.2,
                "draws": 100,
                "bottleneck": b["worst_family"],
                "preserved": 0.87,
            }
            for r, b in below
        ],
        "coarsening": [
            {
                **_key(r),
                "budget": b["budget"],
                "groups": [[f["family"] for f in b["families"][i::2]] for i in (0, 1)],
                "hidden_damage_fine": b["hidden_damage"],
                "hidden_damage_coarse": b["hidden_damage"] / 3,
                "share_destroyed": 2 / 3 if b["hidden_damage"] else None,
            }
            for r, b in below
        ],
        "architecture_gap": [
            {
                "answerers": list(answerers[:2]),
                "corpus": corpora[0],
                "interface": "clean",
                "cells": [
                    {"method": r["method"], "seed": r["seed"], "budget": b["budget"], "gap": -0.0271}
                    for r, b in below[:6]
                ],
                "mean": -0.0271,
                "sd": 0.0,
            }
        ]
        if len(answerers) > 1
        else [],
        "family_gains": [
            {
                **{name: g[name] for name in ("kind", "answerer", "reference_answerer", "corpus", "partition")},
                **{name: g[name] for name in ("agnostic", "conditioned", "tolerance")},
                "seeds": [42, 123],
                "families": [
                    {"family": f["family"], "n": f["n"], "values": [0.1, -0.02], **_over_seeds([0.1, -0.02])}
                    for f in results[0]["budgets"][0]["families"]
                ],
            }
            for g in gains[:1]
        ],
        "kept_chunks": [
            {
                **_key(r),
                "regime": "global",
                "budget": b["budget"],
                "permutations": 3,
                "jaccard": 0.571,
                "random": 0.111,
                "families": [
                    {"family": f["family"], "n": f["n"], "jaccard": 0.5 + i / 50, "random": 0.111}
                    for i, f in enumerate(b["families"])
                ],
            }
            for r, b in below[:2]
        ],
        "score_shares": [
            {"method": r["method"], "seed": r["seed"], "audios": 20, "questions": 20}
            | {"chunk": 0.4, "question": 0.35, "interaction": 0.25}
            for r, _ in below[:1]
        ],
        "flip_rates": [{"answerer": answerers[0], "compared": 200, "changed": 3, "share": 0.015}],
    }
