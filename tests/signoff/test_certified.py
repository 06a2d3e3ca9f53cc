"""The certified rule on run folders: what passes, where the walk stops, and what it says then."""

import json
from pathlib import Path

import numba
import numpy as np
import pytest
import worlds

from earmark.engine.errors import InputError
from earmark.engine.signoff import certified
from earmark.engine.signoff.certificate import certify, write
from earmark.engine.signoff.rule import Rule
from earmark.engine.signoff.verify import verify
from earmark.kernels import betting, bounds, exact

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
    assert found["first_failure"] == {
        "budget": 0.4, "family": "a", "n": 200, "plus": 60, "minus": 0, "p": 1.0, "needed": None
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
        assert family["lower"] == float(bounds.lower_bounds(200, plus, 0, QUICK.alpha / 3, QUICK.gamma / 3))
    assert half["excess_family"]["upper"] == max(a["upper"], b["upper"])
    assert half["decisions"][0]["p"] == max(a["p"][0], b["p"][0], float(exact.p_values(400, 4, 0, 0.05, QUICK.gamma)))


def test_a_family_too_small_to_pass_is_untestable_until_it_has_a_parent(tmp_path: Path) -> None:
    labels = ["tempo"] * (FEWEST - 1) + ["music"] * 300
    n = len(labels)
    worlds.write_run(tmp_path, [0.0] * n, {"energy": {0.5: [0.0] * n}}, labels)
    (alone,) = certify(tmp_path, QUICK)["results"]
    assert alone["rare_families"] == ["tempo"]
    assert "'tempo' has 72 rows; 73 are needed even if no answer changes" in alone["certified"][0]["reason"]
    assert alone["certified"][0]["next"]["text"].startswith("collect more rows of 'tempo' (+1)")
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
    needed = certified.needed_rows(0.03, 0.03, 0.05, QUICK.alpha)
    assert found["first_failure"]["needed"] == needed
    assert found["next"]["text"].endswith(f"collect more rows of 'a' (about {needed} in all for 90% power)")
    assert certified.needed_rows(0.05, 0.1, 0.05, QUICK.alpha) is None


def test_shared_recordings_are_bet_on_unless_told_otherwise(tmp_path: Path) -> None:
    n = 1600
    columns = {"source_id": [f"r{i // 4}" for i in range(n)]}
    run = run_of(tmp_path, {0.5: 0}, n=n, columns=columns)
    of = {
        clustering: certify(run, Rule(replicates=200, clustering=clustering))["results"][0]
        for clustering in ("source", "one-row", "ignore")
    }
    by_source, one_row, ignored = (of[c]["budgets"][0]["families"][0] for c in ("source", "one-row", "ignore"))
    assert by_source["p"] == [betting.p_value(np.zeros(200), np.full(200, 4), 0.05)]
    assert one_row["p"] == [float(exact.p_values(200, 0, 0, 0.05, QUICK.gamma))]
    assert ignored["p"] == [float(exact.p_values(800, 0, 0, 0.05, QUICK.gamma))]
    assert by_source["n"] == one_row["n"] == 800  # the rows there are, whatever the tests use of them
    assert {c: of[c]["resampling"] for c in of} == {"source": "source", "one-row": "source", "ignore": "example"}


def test_losses_between_0_and_1_are_bet_on(tmp_path: Path) -> None:
    losses = {0.5: [0.02] * 200 + [0.0] * 200}
    worlds.write_run(tmp_path, [0.0] * 400, {"energy": losses}, ["a"] * 200 + ["b"] * 200)
    (result,) = certify(tmp_path, QUICK)["results"]
    a = result["budgets"][0]["families"][0]
    assert a["p"] == pytest.approx([betting.p_value(np.full(200, 0.02), np.ones(200, dtype=int), 0.05)])
    assert 0.02 < a["upper"] < 0.08


def test_a_method_s_own_full_budget_passes_by_definition(tmp_path: Path) -> None:
    worlds.write_run(tmp_path, None, {"energy": {0.5: [0.0] * 40, 1.0: [0.0] * 40}}, ["a", "b"] * 20)
    (result,) = certify(tmp_path, QUICK)["results"]
    assert [b["decisions"][0]["decision"] for b in result["budgets"]] == ["inconclusive", "approve"]


def test_a_full_budget_that_was_run_is_part_of_the_walk(tmp_path: Path) -> None:
    (result,) = certify(run_of(tmp_path, {0.5: 0, 1.0: 30}), QUICK)["results"]
    assert result["certified"][0]["budget"] is None
    assert result["certified"][0]["first_failure"]["budget"] == 1.0


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
