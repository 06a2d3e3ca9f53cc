"""Planning: sizes from files, testable families, power."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import worlds
from command_line import earmark_text

from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError
from earmark.engine.outcomes.store import write_partitions
from earmark.engine.signoff import power
from earmark.engine.signoff.sizes import Family, Guess, PlannedSweep, Sizes, family_sizes, plan
from earmark.kernels.statistics import betting, exact


def rows_of(sizes: dict[tuple[str, str], Sizes]) -> dict[tuple[str, str], dict[str, int]]:
    return {key: {family: size.n_rows for family, size in of.items()} for key, of in sizes.items()}


def alone(n: int) -> Family:
    return Family(n, [1] * n, True)


def test_sizes_from_a_raw_run_and_from_partitions(tmp_path: Path) -> None:
    worlds.write_run(tmp_path, [0.0] * 6, {}, ["a", "b", "b", "c", "c", "c"])
    assert rows_of(family_sizes(tmp_path)) == {("sounds", "query_family"): {"c": 3, "b": 2, "a": 1}}
    write_partitions(
        tmp_path, "sounds", [f"s{i:05d}" for i in range(6)], {"task": ["x"] * 4 + ["y"] * 2, "need": ["z"] * 6}
    )
    write_partitions(tmp_path, "music", ["m"], {"task": ["x"], "need": ["z"]})
    expected = {("sounds", "task"): {"x": 4, "y": 2}, ("music", "task"): {"x": 1}}
    assert rows_of(family_sizes(tmp_path, ["task"])) == expected
    assert rows_of(family_sizes(tmp_path / "partitions.parquet", ["task"])) == expected
    with pytest.raises(InputError, match="choose from"):
        family_sizes(tmp_path, ["mood"])


def test_recordings_are_counted_where_they_are_written_down(tmp_path: Path) -> None:
    ids, recordings = [f"s{i:05d}" for i in range(6)], ["r0", "r0", "r0", "r1", "r1", "r2"]
    write_partitions(tmp_path / "planned", "sounds", ids, {"task": ["x"] * 5 + ["y"]}, source_ids=recordings)
    (sizes,) = family_sizes(tmp_path / "planned").values()
    assert sizes["x"] == Family(5, [3, 2], True)
    worlds.write_run(tmp_path / "run", [0.0] * 6, {}, ["x"] * 6, columns={"source_id": recordings})
    (sizes,) = family_sizes(tmp_path / "run").values()
    assert sizes["x"] == Family(6, [3, 2, 1], True)
    (sizes,) = family_sizes(tmp_path / "run", source="none").values()
    assert sizes["x"].rows_per_recording == [1] * 6
    write_partitions(tmp_path / "unknown", "sounds", ids, {"task": ["x"] * 6})
    (sizes,) = family_sizes(tmp_path / "unknown").values()
    assert (len(sizes["x"].rows_per_recording), sizes["x"].known) == (6, False)


def test_a_corpus_and_its_plan_call_the_same_families_too_small(tmp_path: Path) -> None:
    """Six questions about each of 60 recordings are 360 rows, but 60 recordings; 80 rows are as many recordings."""
    rows = [{"audio": "tone.wav", "source_id": f"r{i // 6}", "family": "general"} for i in range(360)]
    rows += [{"audio": "tone.wav", "source_id": f"s{i}", "family": "music"} for i in range(80)]
    question = {"question": "What is it?", "choices": ["a tone", "noise"], "answer": "noise"}
    lines = [json.dumps({"sample_id": f"q{i}", **question, **row}) for i, row in enumerate(rows)]
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines))
    soundfile.write(tmp_path / "tone.wav", np.zeros(1600), 16_000)
    run = tmp_path / "run"
    done = earmark_text("corpus", tmp_path / "manifest.jsonl", "--audio", "none", "--out", run, "--json")
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout)["partitions"]
    done = earmark_text("plan", run, "--tolerance", "0.05", "--json")
    assert done.returncode == 0, done.stderr
    planned = {entry["partition"]: entry["families"] for entry in json.loads(done.stdout)}
    for partition in described:
        by_corpus = {family["family"]: family["testable"] for family in partition["families"]}
        by_plan = {family["family"]: family["at"][0]["testable"] for family in planned[partition["name"]]}
        assert by_corpus == by_plan
    ((general, music),) = planned.values()
    assert (general["recordings"], general["at"][0]["power"]) == (60, 0.0)
    assert (music["recordings"], music["at"][0]["testable"]) == (80, True)


def test_a_plan_names_what_can_be_tested() -> None:
    rule = Rule(tolerances=(0.05, 0.2))
    made = plan({"large": alone(2000), "small": alone(72)}, rule, 1, Guess(0.0, 0.05))
    large, small = made["families"]
    assert [at["testable"] for at in small["at"]] == [False, True]
    assert small["at"][0]["power"] == 0.0
    assert large["at"][0]["power"] > 0.99
    assert made["all_families_pass"][0]["power"] == 0.0
    assert made["fewest_rows"][0]["rows"] == 73
    assert PlannedSweep(n_methods=2, n_seeds=3, n_budgets=4).evaluations(100) == 2600


def test_a_plan_counts_recordings_as_the_certificate_does() -> None:
    sizes = {"bets": Family(400, [4] * 100, True), "mild": Family(150, [2] * 50 + [1] * 50, True), "alone": alone(100)}
    made = plan(sizes, Rule(), 1, Guess(0.0, 0.03))
    assert [(f["test"], f["unit"]) for f in made["families"]] == [
        ("bets", "recordings"), ("one-row", "recordings"), ("exact", "rows")
    ]  # fmt: skip
    bets, mild, exact_one = (f["at"][0] for f in made["families"])
    assert (bets["fewest"], mild["fewest"], exact_one["fewest"]) == (77, 73, 73)
    assert mild["power"] == exact_one["power"]  # as many recordings as the other has rows


def test_candidates_share_alpha_and_routing_spends_none_on_what_it_cannot_test() -> None:
    sizes = {"large": alone(400), "middle": alone(113), "small": alone(80)}
    made = plan(sizes, Rule(), 8, Guess(0.0, 0.03))
    assert [f["at"][0]["fewest"] for f in made["families"]] == [113] * 3
    routed = plan(sizes, Rule(claim="routing"), 8, Guess(0.0, 0.03))
    assert [f["at"][0]["testable"] for f in routed["families"]] == [True, False, False]


def exact_power_by_hand(n: int, excess: float, flips: float, alpha: float) -> float:
    """Every pair of counts, its probability, and whether it passes."""
    plus, minus = (counts.ravel() for counts in np.meshgrid(range(n + 1), range(n + 1)))
    possible = plus + minus <= n
    plus, minus = plus[possible], minus[possible]
    p = exact.p_values(n, plus, minus, 0.05, alpha / 50)
    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    rates = np.array([(flips + excess) / 2, (flips - excess) / 2, 1 - flips])
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [
            np.where(count > 0, count * np.log(rate), 0.0)
            for count, rate in zip((plus, minus, n - plus - minus), rates, strict=True)
        ]
    mass = np.exp(factorial[n] - factorial[plus] - factorial[minus] - factorial[n - plus - minus] + sum(terms))
    return float(mass[p <= alpha].sum())


@pytest.mark.parametrize("rates", [(0.0, 0.01), (0.01, 0.01), (0.01, 0.05), (-0.01, 0.05), (0.02, 0.1)])
@pytest.mark.parametrize("n", [73, 150])
def test_power_is_the_probability_of_passing(n: int, rates: tuple[float, float]) -> None:
    expected = exact_power_by_hand(n, *rates, alpha=0.025)
    assert power.exact_power(n, *rates, 0.05, 0.025) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(
    ("excess", "flips"), [(0.0, 0.01), (0.01, 0.02), (0.01, 0.1), (0.03, 0.1), (-0.01, 0.02), (0.0, 0.3)]
)
@pytest.mark.parametrize("level", [0.025, 0.025 / 8])
def test_the_rows_for_90_percent_give_90_percent(excess: float, flips: float, level: float) -> None:
    rows = power.needed_rows(excess, flips, 0.05, level)
    assert rows is not None
    assert 0.85 <= power.exact_power(rows, excess, flips, 0.05, level) <= 0.96
    assert power.needed_rows(0.05, 0.1, 0.05, level) is None


@pytest.mark.parametrize("icc", [0.0, 0.5])
def test_the_recordings_for_90_percent_give_90_percent(icc: float) -> None:
    values, weights = power.recordings_like([1, 3, 8], 0.01, 0.05, icc)
    n = power.needed_recordings(values, weights, 0.05, 0.025)
    assert n is not None
    assert betting.pass_rate(values, weights, n, 0.05, 0.025, draws=2000, seed=9) == pytest.approx(0.9, abs=0.04)


@pytest.mark.parametrize(
    "guess", [Guess(0.2, 0.1), Guess(-0.2, 0.1), Guess(0.0, 0.0), Guess(0.0, 1.5), Guess(0.0, 0.1, icc=2.0)]
)
def test_impossible_guesses_are_refused(guess: Guess) -> None:
    with pytest.raises(InputError, match=r"excess|icc|flips"):
        plan({"a": alone(100)}, Rule(), 1, guess)


def test_a_table_says_which_guess_its_power_supposes(tmp_path: Path) -> None:
    worlds.write_run(tmp_path, [0.0] * 80, {}, ["a"] * 80)
    heading = "  power is that of a guess: 10% of answers change, as many for the better as for the worse (--flips"
    assert heading in earmark_text("plan", tmp_path).stdout
    other = earmark_text("plan", tmp_path, "--flips", "0.05", "--excess", "0.01").stdout
    assert "guess: 5% of answers change, with a true excess error of 0.01 (--flips, --excess)" in other
