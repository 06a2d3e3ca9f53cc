"""The one guarantee: candidates share alpha, seeds and partitions must all hold, and some approvals are withheld."""

import json
from pathlib import Path

import numpy as np
import pytest
import worlds
from as_json import certify, write
from commands import command
from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError
from earmark.engine.outcomes.store import write_partitions
from earmark.engine.report.verify import verify
from earmark.engine.signoff.rules import spending
from earmark.engine.signoff.rules.claim import Candidate, CandidateCurve, candidates
from earmark.kernels.statistics import exact

QUICK = Rule(replicates=200)
ARMS = [
    CandidateCurve("big", "sounds", method, seed) for method, seed in (("uniform", 0), ("a", 1), ("a", 2), ("b", 0))
]


def losses(n: int, errors: int) -> list[float]:
    return [1.0] * errors + [0.0] * (n - errors)


def run_of(path: Path, methods: dict[str, dict[float, int]], n: int = 200, **options: object) -> Path:
    """One family of n rows on raw audio that is all right; so many errors at each budget."""
    of = {name: {b: losses(n, errors) for b, errors in budgets.items()} for name, budgets in methods.items()}
    return worlds.write_run(path, [0.0] * n, of, ["x"] * n, **options)  # type: ignore[arg-type]


def test_candidates_are_every_method_but_the_baselines_with_all_of_its_seeds() -> None:
    assert candidates((), ARMS) == (
        Candidate("a", "big", "sounds", "a", (1, 2)),
        Candidate("b", "big", "sounds", "b", (0,)),
    )
    alone = candidates((), ARMS[:1])
    assert [candidate.name for candidate in alone] == ["uniform"]


def test_a_candidate_is_named_in_several_ways_and_counted_once() -> None:
    (one,) = candidates(("a", "big/a", "big/sounds/a"), ARMS)
    assert one.seeds == (1, 2)
    assert [c.name for c in candidates(("a@2", "uniform"), ARMS)] == ["a@2", "uniform"]
    with pytest.raises(InputError, match="candidate c: is no method of the run; choose from a, b, uniform"):
        candidates(("c",), ARMS)
    two = [*ARMS, CandidateCurve("small", "sounds", "b", 0)]
    assert [c.name for c in candidates(("b",), two)] == ["big/sounds/b", "small/sounds/b"]
    assert [c.name for c in candidates(("small/b",), two)] == ["small/sounds/b"]


@given(st.integers(1, 12), st.integers(1, 3), st.sampled_from(["budget", "routing", "both"]))
def test_alternatives_multiply(k: int, looks: int, kind: str) -> None:
    found = spending.levels(Rule(looks=looks, claim=kind), k)  # type: ignore[arg-type]
    assert found.look == pytest.approx(0.025 / looks)
    spent = k * ((found.budget or 0.0) + (found.routing if kind != "budget" else 0.0))
    assert spent == pytest.approx(found.look)


def test_the_headline_is_at_the_corrected_level(tmp_path: Path) -> None:
    n, rule = 200, QUICK
    (errors,) = (
        e for e in range(10)
        if exact.p_values(n, e, 0, 0.05, rule.gamma) <= 0.025 < exact.p_values(n, e + 1, 0, 0.05, rule.gamma)
    )  # fmt: skip
    run = run_of(tmp_path, {name: {0.5: errors} for name in ("a", "b", "c")})
    made = certify(run, rule)
    assert [r["certified"][0]["budget"] for r in made["results"]] == [0.5] * 3, "alone each passes"
    assert [r["corrected"]["budget"] for r in made["results"]] == [1.0] * 3
    assert (made["claim"]["k"], made["claim"]["approved"]) == (3, [])
    declared = certify(run, Rule(replicates=200, candidates=("b",)))
    assert declared["claim"]["approved"] == [{"candidate": "b", "kind": "budget", "budget": 0.5, "retained": 0.5}]
    assert [r["corrected"] is None for r in declared["results"]] == [True, False, True]


def test_all_seeds_and_all_partitions_must_hold(tmp_path: Path) -> None:
    n = 400
    worlds.write_run(tmp_path, [0.0] * n, {"m": {0.5: losses(n, 2), 0.8: losses(n, 0)}}, ["x"] * n, seed=1)
    worlds.write_run(tmp_path, None, {"m": {0.5: losses(n, 30), 0.8: losses(n, 0)}}, ["x"] * n, seed=2)
    ids = [f"s{i:05d}" for i in range(n)]
    write_partitions(tmp_path, "sounds", ids, {"whole": ["l"] * 200 + ["r"] * 200, "odd": ["o", "e"] * 200})
    (one,) = certify(tmp_path, QUICK)["claim"]["candidates"]
    assert (one["seeds"], one["budget"], one["retained"]) == ([1, 2], 0.8, 0.8)
    assert (one["stopped"]["seed"], one["stopped"]["partition"]) == (2, "whole")
    (alone,) = certify(tmp_path, Rule(replicates=200, candidates=("m@1",)))["claim"]["candidates"]
    assert (alone["name"], alone["budget"]) == ("m@1", 0.5)


def test_a_seed_that_lacks_a_budget_stops_the_candidate_there(tmp_path: Path) -> None:
    run_of(tmp_path, {"m": {0.3: 0, 0.6: 0, 0.9: 0}}, seed=1)
    of = {"m": {0.3: losses(200, 0), 0.9: losses(200, 0)}}
    worlds.write_run(tmp_path, None, of, ["x"] * 200, seed=2)
    (one,) = certify(tmp_path, QUICK)["claim"]["candidates"]
    assert one["budget"] == 0.9
    assert one["reason"] == "every family passes at 0.9 and every larger budget, at level 0.025"
    assert (one["stopped"]["budget"], one["stopped"]["missing"]) == (0.6, True)


def test_routing_is_offered_where_the_walk_refuses_and_claimed_where_it_was_declared(tmp_path: Path) -> None:
    n = 600
    harmed = [1.0] * 60 + [0.0] * (n - 60)
    labels = ["pitch"] * 200 + ["event"] * 200 + ["scene"] * 200
    run = worlds.write_run(tmp_path / "run", [0.0] * n, {"m": {0.5: harmed}}, labels)
    made = certify(run, QUICK)
    assert (made["claim"]["approved"], made["claim"]["policies"]) == ([], [])
    (offer,) = made["claim"]["not_made"]
    assert (offer["candidate"], round(offer["retained"], 3)) == ("m", round((1 + 0.5 + 0.5) / 3, 3))
    assert 'claim = "routing"' in offer["declare"]
    routed = certify(run, Rule(replicates=200, claim="routing"))
    (approved,) = routed["claim"]["approved"]
    assert (approved["kind"], approved["budget"]) == ("routing", None)
    (policy,) = routed["claim"]["policies"]
    assert policy["families"] == [
        {"family": "event", "budget": 0.5}, {"family": "pitch", "budget": 1.0}, {"family": "scene", "budget": 0.5}
    ]  # fmt: skip
    assert (policy["unknown"], policy["deployable"]) == (1.0, False)
    write(routed, run, tmp_path / "out")
    path = tmp_path / "out" / "policy.json"
    assert json.loads(path.read_bytes())["policies"] == routed["claim"]["policies"]
    assert verify(tmp_path / "out" / "certificate.json") is None
    path.write_text(path.read_text().replace("0.5", "0.1"))
    assert verify(tmp_path / "out" / "certificate.json") == "policy.json: differs from the policies of the certificate"
    again = command("certify", run, "--claim", "routing", "--out", tmp_path / "out")
    assert again.code == 2
    assert "policy.json: is not what the certificate.json beside it made: it was changed" in again.err
    path.unlink()
    assert verify(tmp_path / "out" / "certificate.json") == "policy.json: the file is gone"


def test_a_certificate_that_routes_nothing_takes_its_old_policy_away(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", {"m": {0.5: 0}}, n=400)
    labels = {"half": ["a"] * 200 + ["b"] * 200}
    write_partitions(run, "sounds", [f"s{i:05d}" for i in range(400)], labels)
    write(certify(run, Rule(replicates=200, claim="both")), run, run)
    assert (run / "policy.json").exists()
    write(certify(run, QUICK), run, run)
    assert not (run / "policy.json").exists()
    assert verify(run / "certificate.json") is None


def test_the_papers_rule_claims_without_a_guarantee_and_nothing_that_was_seen_to_harm(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"a": {0.5: 0}, "b": {0.5: 12}})
    made = certify(run, Rule(name="paper", replicates=200))
    assert made["claim"]["guaranteed"] is False
    assert [one["candidate"] for one in made["claim"]["approved"]] == ["a"]
    for result in made["results"]:
        for budget in result["budgets"]:
            for decision in budget["decisions"]:
                assert decision["decision"] != "approve" or budget["excess_family"]["estimate"] <= 0.05


def test_the_same_bytes_for_any_order_of_rows_and_files_and_any_seed_of_the_tests(tmp_path: Path) -> None:
    rng, n = np.random.default_rng(1), 600
    sources = [f"r{i // 3}" for i in range(300)] + [f"q{i}" for i in range(300)]
    change = {b: (rng.random(n) < 0.02).astype(float).tolist() for b in (0.3, 0.6)}
    labels = ["x"] * 300 + ["y"] * 300
    made = []
    for order in (np.arange(n), rng.permutation(n), np.arange(n)[::-1]):
        run = tmp_path / str(len(made))
        for key, of in (("uncompressed", {1.0: [0.0] * n}), ("m", change)):
            for budget, values in of.items():
                folder = run / f"cells/answerer=tiny/corpus=sounds/method={key}/seed=0/stream=anchor/budget={budget}"
                worlds.write_parts(folder, {
                    "sample_id": [f"s{i:05d}" for i in order], "source_id": [sources[i] for i in order],
                    "query_family": [labels[i] for i in order], "loss": [values[i] for i in order],
                }, parts=1 + len(made))  # fmt: skip
        made.append(certify(run, QUICK))
    for other in made[1:]:
        assert other["results"] == made[0]["results"]
        assert other["claim"] == made[0]["claim"]
    reseeded = certify(tmp_path / "0", Rule(replicates=200, seed=7))
    assert reseeded["claim"] == made[0]["claim"]
    for one, other in zip(reseeded["results"], made[0]["results"], strict=True):
        assert (one["budgets"], one["certified"], one["families"]) == (
            other["budgets"], other["certified"], other["families"]
        )  # fmt: skip


def test_routing_holds_no_tighter_average(tmp_path: Path) -> None:
    done = command("certify", run_of(tmp_path, {"m": {0.5: 0}}), "--claim", "routing", "--tolerance-average", 0.01)
    assert done.code == 2
    assert "cannot hold a tighter one of the average" in done.err


def test_shared_recordings_that_are_ignored_have_no_guarantee(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"m": {0.5: 0}}, columns={"source_id": [f"r{i // 4}" for i in range(200)]})
    done = command("certify", run, "--clustering", "ignore", "--replicates", 200)
    assert done.out.startswith("approved: m at budget 0.5; every family within 0.05 (no guarantee)\n")
    assert "the chance of any false approval" not in done.out
    none = command("certify", run, "--source", "none", "--replicates", 200)
    assert "names 50 recordings of 200 rows, and --source none declares every row independent" in none.out


def test_families_join_a_parent_where_they_have_too_few_recordings(tmp_path: Path) -> None:
    labels = ["a"] * 200 + ["b"] * 200
    sources = [f"{label}{i // 4}" for i, label in enumerate(labels)]
    columns = {"source_id": sources}
    run = worlds.write_run(tmp_path, [0.0] * 400, {"m": {0.5: [0.0] * 400}}, labels, columns=columns)
    assert "'a' (50 of 77 recordings)" in certify(run, QUICK)["results"][0]["certified"][0]["next"]["text"]
    joined = certify(run, Rule(replicates=200, parents={"a": "ab", "b": "ab"}))
    assert joined["claim"]["approved"][0]["budget"] == 0.5


def test_a_parent_that_is_no_family_and_joins_no_two_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    labels = ["rare"] * 20 + ["counting"] * 100 + ["other"] * 100
    run = worlds.write_run(tmp_path, [0.0] * 220, {"m": {0.5: [0.0] * 220}}, labels)

    def refusal(*parents: str) -> str:
        done = command("certify", run, *(word for parent in parents for word in ("--parent", parent)))
        assert (done.code, done.out) == (2, "")
        return done.err

    assert "no family 'foo', and a new one joins two families or more; choose from counting, other" in refusal(
        "rare=foo"
    )
    assert "did you mean counting?" in refusal("rare=countin")
    assert "did you mean other?" in refusal("rare=new", "new=othr")
    assert "there is no family 'rar'; did you mean rare?" in refusal("rar=other")
    for parents in ({"rare": "new", "other": "new"}, {"rare": "new", "new": "other"}):
        (result,) = certify(run, Rule(replicates=200, parents=parents))["results"]
        assert result["merged_families"][0] == {"family": "rare", "n": 20, "into": "new"}
