"""Planning: sizes from files, testable families, power."""

from pathlib import Path

import numpy as np
import pytest
import worlds

from earmark.engine.errors import InputError
from earmark.engine.outcomes.store import write_partitions
from earmark.engine.signoff.certified import needed_rows
from earmark.engine.signoff.plan import Guess, Sweep, family_sizes, plan, power
from earmark.kernels import exact


def test_sizes_from_a_raw_run_and_from_partitions(tmp_path: Path) -> None:
    worlds.write_run(tmp_path, [0.0] * 6, {}, ["a", "b", "b", "c", "c", "c"])
    assert family_sizes(tmp_path) == {("sounds", "query_family"): {"c": 3, "b": 2, "a": 1}}
    write_partitions(
        tmp_path, "sounds", [f"s{i:05d}" for i in range(6)], {"task": ["x"] * 4 + ["y"] * 2, "need": ["z"] * 6}
    )
    write_partitions(tmp_path, "music", ["m"], {"task": ["x"], "need": ["z"]})
    expected = {("sounds", "task"): {"x": 4, "y": 2}, ("music", "task"): {"x": 1}}
    assert family_sizes(tmp_path, ["task"]) == expected
    assert family_sizes(tmp_path / "partitions.parquet", ["task"]) == expected
    with pytest.raises(InputError, match="choose from"):
        family_sizes(tmp_path, ["mood"])


def test_a_plan_names_what_can_be_tested() -> None:
    made = plan({"large": 2000, "small": 72}, (0.05, 0.2), 0.025, Guess(0.0, 0.05), seed=1)
    large, small = made["families"]
    assert [at["testable"] for at in small["at"]] == [False, True]
    assert small["at"][0]["power"] == 0.0
    assert large["at"][0]["power"] > 0.99
    assert made["all_families_pass"][0]["power"] == 0.0
    assert made["fewest_rows"][0]["rows"] == 73
    assert Sweep(methods=2, seeds=3, budgets=4).evaluations(100) == 2500


def test_power_is_the_probability_of_passing() -> None:
    n, guess, alpha = 150, Guess(0.01, 0.05), 0.025
    rates = np.array([0.03, 0.02, 0.95])
    plus, minus = (counts.ravel() for counts in np.meshgrid(range(31), range(31)))
    p = exact.p_values(n, plus, minus, 0.05, alpha / 50)
    logs = np.cumsum(np.log(np.arange(1, n + 1)))
    factorial = np.concatenate([[0.0], logs])
    mass = np.exp(
        factorial[n] - factorial[plus] - factorial[minus] - factorial[n - plus - minus]
        + plus * np.log(rates[0]) + minus * np.log(rates[1]) + (n - plus - minus) * np.log(rates[2])
    )  # fmt: skip
    assert power(n, 0.05, alpha, guess, seed=1) == pytest.approx(mass[p <= alpha].sum(), abs=0.03)


def test_the_rows_for_90_percent_give_90_percent() -> None:
    guess = Guess(0.01, 0.1)
    rows = needed_rows(guess.excess, guess.flips, 0.05, 0.025)
    assert rows is not None
    assert power(rows, 0.05, 0.025, guess, seed=1) == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("guess", [Guess(0.2, 0.1), Guess(-0.2, 0.1), Guess(0.0, 0.0), Guess(0.0, 1.5)])
def test_impossible_guesses_are_refused(guess: Guess) -> None:
    with pytest.raises(InputError, match="excess"):
        plan({"a": 100}, (0.05,), 0.025, guess, seed=1)
