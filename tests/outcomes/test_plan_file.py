"""plan.json as it is read: what a sweep wrote comes back, and everything malformed is refused on one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from earmark.engine.design.rule import Rule
from earmark.engine.design.steps import Arm
from earmark.engine.errors import InputError
from earmark.engine.outcomes.plan_file import (
    PLAN,
    SCHEMA,
    PlannedCorpus,
    PlannedMethod,
    differing,
    plan_hash,
    read_plan,
    rule_content,
)

Json = dict[str, Any]
CHUNKS = {"compressor": "chunks", "stage": "waves", "axis": "seconds"}


def content(**changes: Any) -> Json:
    """A plan of one answerer, one method and two budgets."""
    made = {
        "schema": SCHEMA,
        "spec": "0" * 64,
        "corpus": {"name": "sounds", "examples": 12, "recordings": 2, "windows": 1, "sha256": "1" * 64},
        "window": 64,
        "answerers": ["tiny"],
        "methods": {"uniform": dict(CHUNKS), "learned": dict(CHUNKS)},
        "compressors": {"learned/42": "abc"},
        "levels": [
            {"name": "raw", "budget": 1.0, "curves": [["uncompressed", 0, "anchor"]]},
            {"name": "silence", "budget": 1.0, "curves": [["silence", 0, "anchor"]]},
            {"name": "anchor-0.4", "budget": 0.4, "curves": [["uniform", 0, "anchor"], ["learned", 42, "anchor"]]},
            {"name": "anchor-5e-05", "budget": 5e-05, "curves": [["uniform", 0, "anchor"]]},
            {"name": "streams-1", "budget": 1.0, "curves": [["uncompressed", 0, "naive-global-1"]]},
            {"name": "streams-0.4", "budget": 0.4, "curves": [["learned", 42, "naive-global-1"]]},
        ],
        "labels": {"native": "2" * 64, "need": "3" * 64},
        "rule": rule_content(Rule(parents={"a": "b"}), ["native", "need"]),
    }
    return made | changes


def put(run: Path, made: object) -> None:
    (run / PLAN).write_text(json.dumps(made))


def test_a_plan_comes_back_in_its_parts(tmp_path: Path) -> None:
    assert read_plan(tmp_path) is None
    put(tmp_path, content())
    plan = read_plan(tmp_path)
    assert plan is not None
    assert plan.content == content()
    assert plan.corpus == PlannedCorpus("sounds", 12, 2, 1, "1" * 64)
    assert (plan.window, plan.answerers, plan.compressors) == (64, ("tiny",), {"learned/42": "abc"})
    assert [step.name for step in plan.steps][:3] == ["raw", "silence", "anchor-0.4"]
    assert plan.methods["learned"] == PlannedMethod("chunks", "waves", "seconds")
    assert [plan.budgets(arm) for arm in plan.arms] == [(0.4, 5e-05), (0.4,)]
    assert plan.arms == (Arm("uniform", 0, "anchor"), Arm("learned", 42, "anchor"))
    assert plan.partitions == ("native", "need")
    assert plan.rule == rule_content(Rule(parents={"a": "b"}), ["native", "need"])
    keys = plan.steps[2].keys("tiny", "sounds").values()
    assert [str(key).rpartition("/method=")[2] for key in keys] == [
        "uniform/seed=0/stream=anchor/budget=0.4",
        "learned/seed=42/stream=anchor/budget=0.4",
    ]


def test_the_hash_is_of_the_content_not_of_how_it_is_written(tmp_path: Path) -> None:
    put(tmp_path, content())
    first = read_plan(tmp_path)
    (tmp_path / PLAN).write_text(json.dumps(dict(reversed(content().items())), indent=3))
    again = read_plan(tmp_path)
    assert first is not None
    assert again is not None
    assert first.sha256 == again.sha256 == plan_hash(content())
    put(tmp_path, content(window=63))
    changed = read_plan(tmp_path)
    assert changed is not None
    assert changed.sha256 != first.sha256


def test_what_differs_is_named() -> None:
    other = content(window=3, corpus=content()["corpus"] | {"sha256": "2" * 64, "examples": 13})
    assert differing(content(), other) == ["corpus.examples", "corpus.sha256", "window"]
    assert differing(content(), {"schema": SCHEMA})[:2] == ["spec", "corpus"]


def levels(**changes: Any) -> Json:
    """The plan with its third level changed."""
    made = content()
    made["levels"][2] |= changes
    return made


def walk_of(*methods: str) -> Json:
    """The plan with its third level a walk of these methods at once."""
    name = "walk-0.4-uniform-0"
    return levels(name=name, curves=[[method, 0, "anchor"] for method in methods])


def without(key: str) -> Json:
    return {name: value for name, value in content().items() if name != key}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ([], "is not a plan that this Earmark reads"),
        ({"schema": "earmark.sweep/1"}, r"is not a plan that this Earmark reads \(earmark.sweep/3\)"),
        (without("rule"), "lacks rule"),
        (without("corpus"), "lacks corpus"),
        (
            walk_of("uniform", "learned"),
            r"has in levels\[2\] \(walk-0.4-uniform-0\) 2 curves, and such a level has one",
        ),
        (walk_of("learned"), r"has in levels\[2\] the name 'walk-0.4-uniform-0' for budget 0.4, which no level has"),
        (content(more=1), "has an unknown key more"),
        (content(spec="abc"), "has in spec something else than a SHA-256"),
        (content(corpus={"name": "x"}), "lacks corpus.examples"),
        (content(corpus=content()["corpus"] | {"name": ""}), "has in corpus.name something else than a name"),
        (content(corpus=content()["corpus"] | {"windows": 0}), "has in corpus.windows something else"),
        (content(corpus=content()["corpus"] | {"examples": True}), "has in corpus.examples something else"),
        (content(window="64"), "has in window something else than a whole number"),
        (content(answerers=[]), "has in answerers something else"),
        (content(answerers=["a", "a"]), "has in answerers something else than a list of different names"),
        (content(methods={"uniform": "chunks"}), "has in methods.uniform something else"),
        (content(methods={"uniform": CHUNKS | {"axis": "sides"}}), "has in methods.uniform.axis something else"),
        (content(compressors={"a": 1}), "has in compressors something else"),
        (content(levels=[]), "has in levels something else"),
        (content(levels=[3]), r"has in levels\[0\] no table"),
        (content(levels=[content()["levels"][0]] * 2), "has the level raw twice"),
        (levels(name="../../cells"), "has in levels\\[2\\] the name '../../cells' for budget 0.4, which no level has"),
        (levels(name="anchor-0.5"), "which no level has"),
        (levels(name="anchor-"), "which no level has"),
        (levels(name="raw"), r"has in levels\[2\] \(raw\) 2 curves, and such a level has one"),
        (levels(name="raw", curves=[["uniform", 0, "anchor"]]), "which no level has"),
        (levels(name="anchor-1", budget=1), "which no level has"),
        (levels(budget=1.5), r"has in levels\[2\].budget something else than in \(0, 1\]"),
        (levels(budget=0), "something else than in"),
        (levels(budget=True), "something else than in"),
        (levels(curves=[]), r"has in levels\[2\].curves something else"),
        (levels(curves=[["uniform", 0]]), "something else than .method, seed, stream."),
        (levels(curves=[["uniform", -1, "anchor"]]), "something else than .method, seed, stream."),
        (levels(curves=[["uniform", 0, "sideways"]]), "a cell that cannot be .*unknown stream 'sideways'"),
        (levels(curves=[["silence", 0, "anchor"]]), "a cell that cannot be .*method silence at budget 0.4"),
        (levels(curves=[["uniform", 0, "anchor"]] * 2), "a curve twice"),
        (content(rule=[]), "has in rule something else"),
        (content(rule={}), "has no list of names in rule.partitions"),
        (content(rule={"partitions": "native"}), "has no list of names in rule.partitions"),
    ],
)
def test_what_is_malformed_is_refused_on_one_line(made: object, expected: str, tmp_path: Path) -> None:
    put(tmp_path, made)
    with pytest.raises(InputError, match=expected) as refused:
        read_plan(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / PLAN}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-5],
        lambda text: text.replace('"window": 64', '"window": NaN'),
        lambda _: "[" * 100_000,
        lambda _: "\udcff",
    ],
    ids=["cut off", "NaN", "deep", "bytes"],
)
def test_what_is_no_json_is_refused(spoil: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / PLAN).write_bytes(spoil(json.dumps(content())).encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=r"plan.json: is not (JSON \(|UTF-8 text)"):
        read_plan(tmp_path)
