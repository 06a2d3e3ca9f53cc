"""The certified rule on run folders: what passes, where the walk stops, and what it says then."""

import hashlib
import json
from pathlib import Path

import numba
import numpy as np
import pytest
import worlds
from as_json import certify, write
from mirrored import lower_bounds

import earmark
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError
from earmark.engine.outcomes.store import write_partitions
from earmark.engine.report.terminal import decision_table
from earmark.engine.report.verify import verify
from earmark.engine.signoff import power
from earmark.engine.signoff.rules import group_tests
from earmark.kernels.statistics import betting, bounds, exact

QUICK = Rule(replicates=200)
FEWEST = exact.testable_size(0.05, QUICK.alpha, QUICK.gamma)


def rising(n: int, errors: int) -> list[float]:
    return [1.0] * errors + [0.0] * (n - errors)


def run_of(path: Path, by_budget: dict[float, int], n: int = 400, **options: object) -> Path:
    """One method on two families of n / 2 rows; so many errors at each budget, all in the family 'a'."""
    labels = ["a"] * (n // 2) + ["b"] * (n // 2)
    losses = {budget: rising(n, errors) for budget, errors in by_budget.items()}
    return worlds.write_run(path, [0.0] * n, {"energy": losses}, labels, **options)  # type: ignore[arg-type]


def test_the_walk_stops_at_the_first_failure_and_says_where(tmp_path: Path) -> None:
    made = certify(run_of(tmp_path, {0.2: 0, 0.4: 60, 0.6: 2, 0.8: 0}), QUICK)
    (result,) = made["results"]
    decisions = {b["budget"]: b["decisions"][0] for b in result["budgets"]}
    assert [decisions[b]["decision"] for b in (0.2, 0.4, 0.6, 0.8, 1.0)] == [
        *("inconclusive", "reject", "approve", "approve", "approve")
    ]
    assert "passes by itself, but the walk from the largest budget stopped at 0.4" in decisions[0.2]["reason"]
    assert "'a' is above 0.05" in decisions[0.4]["reason"]
    assert decisions[0.2]["p"] < QUICK.alpha < decisions[0.2]["p_adjusted"] == decisions[0.4]["p"]
    (found,) = result["certified"]
    assert found["budget"] == 0.6
    reason = "the excess of 'a' that was seen is 0.3000, above 0.05"
    assert found["first_failure"] == {
        "budget": 0.4, "family": "a", "n": 200, "plus": 60, "minus": 0, "p": 1.0, "units": 200, "unit": "rows",
        "needed": None, "reason": reason, "missing": False, "undecided": False,
    }  # fmt: skip
    assert made["rule"]["gamma"] == QUICK.alpha / 50
    assert made["rule"]["min_family"] == FEWEST == 73


def test_p_and_bounds_are_the_kernels(tmp_path: Path) -> None:
    (result,) = certify(run_of(tmp_path, {0.5: 4}), Rule(replicates=200, tolerances=(0.05, 0.1)))["results"]
    half = result["budgets"][0]
    a, b = half["families"]
    for family, plus in ((a, 4), (b, 0)):
        assert family["p"] == [float(exact.p_values(200, plus, 0, eps, QUICK.gamma)) for eps in (0.05, 0.1)]
        assert family["upper"] == float(bounds.upper_bounds(200, plus, 0, QUICK.alpha, QUICK.gamma))
        assert family["lower"] == float(lower_bounds(200, plus, 0, QUICK.alpha / 2, QUICK.gamma / 2))
    assert half["excess_family"]["upper"] == max(a["upper"], b["upper"])
    assert half["decisions"][0]["p"] == max(a["p"][0], b["p"][0])  # the average follows from the families


def test_the_bounds_of_all_curves_and_partitions_are_searched_for_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def upper_bounds(*arguments: np.ndarray) -> np.ndarray:
        calls.append(len(arguments[0]))
        return search(*arguments)

    search = bounds.upper_bounds
    monkeypatch.setattr(group_tests.bounds, "upper_bounds", upper_bounds)
    losses = {"energy": {0.5: rising(400, 4)}, "uniform": {0.2: rising(400, 9), 0.5: [0.0] * 400}}
    worlds.write_run(tmp_path, [0.0] * 400, losses, ["a"] * 200 + ["b"] * 200)
    ids = [f"s{i:05d}" for i in range(400)]
    write_partitions(tmp_path, "sounds", ids, {"task": ["a", "b"] * 200, "need": ["x", "y", "y", "z"] * 100})
    results = certify(tmp_path, QUICK)["results"]
    assert {result["partition"] for result in results} == {"task", "need"}
    assert calls == [2 * (3 + 4) * (2 + 3)]  # sides, groups of both partitions, budgets of both curves with raw audio


def test_a_family_too_small_to_pass_is_untestable_until_it_has_a_parent(tmp_path: Path) -> None:
    labels = ["tempo"] * (FEWEST - 1) + ["music"] * 300
    n = len(labels)
    worlds.write_run(tmp_path, [0.0] * n, {"energy": {0.5: [0.0] * n}}, labels)
    (alone,) = certify(tmp_path, QUICK)["results"]
    assert alone["rare_families"] == ["tempo"]
    assert "'tempo' has 72 rows; 73 are needed even if no answer changes" in alone["certified"][0]["reason"]
    assert alone["certified"][0]["next"]["text"].startswith("untestable whatever the answers: 'tempo' (72 of 73 rows)")
    (merged,) = certify(tmp_path, Rule(replicates=200, parents={"tempo": "music"}))["results"]
    assert merged["certified"][0]["budget"] == 0.5
    (enough,) = certify(run_of(tmp_path / "enough", {0.5: 0}, n=2 * FEWEST), QUICK)["results"]
    assert enough["certified"][0]["budget"] == 0.5


def test_the_average_has_its_own_tolerance(tmp_path: Path) -> None:
    run = run_of(tmp_path, {0.5: 8}, n=2000)
    loose, strict = (
        certify(run, Rule(replicates=200, tolerance_average=limit))["results"][0]["certified"][0]
        for limit in (None, 0.004)
    )
    assert (loose["budget"], strict["budget"]) == (0.5, 1.0)
    assert "the average may be above 0.004" in strict["reason"]
    assert strict["first_failure"]["family"] is None


def test_advice_counts_the_rows_that_would_do(tmp_path: Path) -> None:
    (result,) = certify(run_of(tmp_path, {0.5: 6}, n=400), QUICK)["results"]
    (found,) = result["certified"]
    needed = power.needed_rows(0.03, 0.03, 0.05, QUICK.alpha)
    assert found["first_failure"]["needed"] == needed
    assert found["next"]["text"].endswith(f"certify about {needed} new rows of 'a', alone, for 90% power")


def test_untestable_comes_before_everything_else(tmp_path: Path) -> None:
    labels = ["tempo"] * 60 + ["music"] * 300
    losses = rising(60, 30) + [0.0] * 300
    worlds.write_run(tmp_path, [0.0] * 360, {"energy": {0.5: losses}}, labels)
    (result,) = certify(tmp_path, QUICK)["results"]
    found = result["certified"][0]["next"]
    assert (found["action"], found["families"]) == ("collect", ["tempo"])


@pytest.mark.parametrize("errors", [0, 30])
def test_a_family_too_small_to_pass_is_not_sent_to_raw_audio_and_the_terminal_says_how_small(
    tmp_path: Path, errors: int
) -> None:
    losses = rising(60, errors) + [0.0] * 300
    worlds.write_run(tmp_path, [0.0] * 360, {"energy": {0.5: losses}}, ["general"] * 60 + ["music"] * 300)
    certificate = earmark.certify(tmp_path, tolerance=0.05, replicates=200)
    (line,) = (line for line in decision_table(certificate) if line.startswith("  energy (query_family"))
    assert "'general' (60 of 73 rows)" in line
    assert "are needed" not in line
    assert "(--parent general=OTHER)" in line
    assert "raw audio" not in line


def test_harm_that_was_seen_comes_before_families_that_are_too_small(tmp_path: Path) -> None:
    labels = ["counting"] * 200 + ["music"] * 300 + ["rare one"] * 5
    losses = rising(200, 20) + [0.0] * 305
    worlds.write_run(tmp_path, [0.0] * 505, {"energy": {0.5: losses}}, labels)
    certificate = earmark.certify(tmp_path, tolerance=0.05, replicates=200)
    (entry,) = certificate.results[0].certified
    assert (entry.next.action, entry.next.families) == ("route", ["counting"])
    assert entry.next.text == (
        "harm at 0.5 is local: route 'counting' to raw audio, or change the method for them; besides, untestable "
        "whatever the answers: 'rare one' (5 of 73 rows): certify new rows with more of them, or declare a parent "
        "beforehand (--parent 'rare one'=OTHER)"
    )


def test_a_line_of_advice_has_the_rows_that_the_claim_needs_and_no_other_number(tmp_path: Path) -> None:
    n = 420
    losses = {name: {0.5: [0.0] * n} for name in ("energy", "fixed")}
    worlds.write_run(tmp_path, [0.0] * n, losses, ["music"] * 400 + ["other"] * 20)
    lines = decision_table(earmark.certify(tmp_path, tolerance=0.05, replicates=200))
    advised = [line for line in lines if "untestable whatever the answers" in line]
    assert [("'other' (20 of 86 rows)" in line, "73" in line) for line in advised] == [(True, False)] * 2


def test_each_family_has_the_test_that_its_recordings_allow(tmp_path: Path) -> None:
    n = 1600
    sources = [f"r{i // 4}" for i in range(800)] + [f"r{i}" for i in range(800)]  # the second family shares none inside
    run = run_of(tmp_path, {0.5: 0}, n=n, columns={"source_id": sources})
    of = {
        clustering: certify(run, Rule(replicates=200, clustering=clustering))["results"][0]
        for clustering in ("source", "one-row", "ignore")
    }
    first = {c: r["budgets"][0]["families"][0] for c, r in of.items()}
    assert first["source"]["p"] == [betting.p_value(np.zeros(200), np.ones(200), 0.05)]
    assert first["one-row"]["p"] == [float(exact.p_values(200, 0, 0, 0.05, QUICK.gamma))]
    assert first["ignore"]["p"] == [float(exact.p_values(800, 0, 0, 0.05, QUICK.gamma))]
    assert first["source"]["n"] == first["one-row"]["n"] == 800  # the rows there are, whatever the tests use of them
    assert {c: of[c]["resampling"] for c in of} == {"source": "source", "one-row": "source", "ignore": "example"}
    tests = [(f["test"], f["estimand"], f["units"], f["fewest"]) for f in of["source"]["families"]]
    assert tests == [("bets", "recordings", 200, [77]), ("exact", "rows", 800, [73])]


def shared(tmp_path: Path, sizes: list[int], harm: list[int], name: str = "run", **rule: object) -> dict:
    """One family of recordings with so many rows each, and so many rows of each newly wrong at budget .5."""
    sources = [f"r{i}" for i, size in enumerate(sizes) for _ in range(size)]
    losses = [float(row < bad) for size, bad in zip(sizes, harm, strict=True) for row in range(size)]
    run = worlds.write_run(
        tmp_path / name, [0.0] * len(sources), {"energy": {0.5: losses}}, ["a"] * len(sources),
        columns={"source_id": sources},
    )  # fmt: skip
    return certify(run, Rule(replicates=200, **rule))["results"][0]  # type: ignore[arg-type]


def test_recordings_count_alike_and_both_excesses_are_shown(tmp_path: Path) -> None:
    result = shared(tmp_path, [20] + [3] * 199, [1] + [0] * 199)
    family = result["budgets"][0]["families"][0]
    assert family["excess"] == pytest.approx(1 / 617)
    assert family["excess_recordings"] == pytest.approx(1 / 20 / 200)
    assert result["families"][0]["estimand"] == "recordings"


def test_nothing_passes_whose_observed_excess_is_above_tolerance_in_rows_or_recordings(tmp_path: Path) -> None:
    giant = shared(tmp_path, [400] + [3] * 299, [100] + [0] * 299)  # .077 of rows, .0008 of recordings
    family = giant["budgets"][0]["families"][0]
    assert (family["excess"] > 0.05, family["excess_recordings"] < 0.001) == (True, True)
    assert family["p"] == [1.0]
    assert family["upper"] >= family["excess"]
    assert giant["certified"][0]["budget"] == 1.0


def test_rows_are_weighed_only_where_their_most_was_declared(tmp_path: Path) -> None:
    sizes, harm = [10] * 100 + [2] * 200, [0] * 300
    declared = shared(tmp_path, sizes, harm, "declared", max_rows_per_recording=10)
    assert declared["families"][0]["estimand"] == "rows"
    values, weights = np.zeros(300), np.array(sizes) / 10
    expected = [betting.p_value(values, weights[order_of(300)], 0.05)]
    assert declared["budgets"][0]["families"][0]["p"] == expected
    with pytest.raises(InputError, match="a recording has 10 rows"):
        shared(tmp_path, sizes, harm, "exceeded", max_rows_per_recording=9)


def order_of(n: int) -> list[int]:
    """Recordings r0, r1, ... in the constant order."""
    return sorted(range(n), key=lambda i: hashlib.sha256(f"earmark order 1|r{i}".encode()).digest())


def test_bets_and_draws_follow_the_constant_order_whatever_ids_and_seeds_say(tmp_path: Path) -> None:
    sizes = [3] * 120
    harm = [0] * 116 + [3] * 4
    found = shared(tmp_path, sizes, harm)["budgets"][0]["families"][0]
    means = np.array([bad / 3 for bad in harm])[order_of(120)]
    assert found["p"] == [betting.p_value(means, np.ones(120), 0.05)]
    drawn = [
        shared(tmp_path, [2] * 90 + [1] * 30, [1] * 20 + [0] * 100, f"seed {seed}", seed=seed) for seed in (1, 2, 3)
    ]
    assert drawn[0]["families"][0]["test"] == "one-row"
    assert len({json.dumps(d["budgets"][0]["families"]) for d in drawn}) == 1


def test_losses_between_0_and_1_are_bet_on(tmp_path: Path) -> None:
    losses = {0.5: [0.02] * 200 + [0.0] * 200}
    worlds.write_run(tmp_path, [0.0] * 400, {"energy": losses}, ["a"] * 200 + ["b"] * 200)
    (result,) = certify(tmp_path, QUICK)["results"]
    a = result["budgets"][0]["families"][0]
    assert a["p"] == pytest.approx([betting.p_value(np.full(200, 0.02), np.ones(200), 0.05)])
    assert 0.02 < a["upper"] < 0.08


def test_a_method_s_own_full_budget_passes_by_definition(tmp_path: Path) -> None:
    worlds.write_run(tmp_path, None, {"energy": {0.5: [0.0] * 40, 1.0: [0.0] * 40}}, ["a", "b"] * 20)
    (result,) = certify(tmp_path, QUICK)["results"]
    assert [b["decisions"][0]["decision"] for b in result["budgets"]] == ["inconclusive", "approve"]


def test_a_full_budget_beside_raw_audio_is_raw_audio_or_an_error(tmp_path: Path) -> None:
    (result,) = certify(run_of(tmp_path / "same", {0.5: 0, 1.0: 0}), QUICK)["results"]
    assert (result["budgets"][-1]["implied"], result["certified"][0]["budget"]) == (True, 0.5)
    with pytest.raises(InputError, match=r"keeps everything, and yet differs from .* in 30 rows"):
        certify(run_of(tmp_path / "differs", {0.5: 0, 1.0: 30}), QUICK)


def test_the_same_bytes_on_one_and_two_threads_and_again(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", {0.2: 40, 0.5: 3})
    before = numba.get_num_threads()
    written = []
    try:
        for i, threads in enumerate((1, before, before)):
            numba.set_num_threads(threads)
            written.append(write(certify(run, Rule()), run, tmp_path / str(i)).read_bytes())
    finally:
        numba.set_num_threads(before)
    assert written[0] == written[1] == written[2]
    assert verify(tmp_path / "0" / "certificate.json") is None
    edited = json.loads(written[0])
    edited["rule"]["alpha"] = 0.05
    (tmp_path / "0" / "certificate.json").write_text(json.dumps(edited))
    assert verify(tmp_path / "0" / "certificate.json") is not None


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"loss": "nll"}, "has no bound"), ({"tolerances": (0.0,)}, "no finite sample")],
)
def test_what_the_rule_cannot_judge(options: dict, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        Rule(**options)
