"""What `earmark plan SPEC` expects of a sweep that stops when it is decided, and what such a sweep then asks."""

import json
import re
from dataclasses import replace
from pathlib import Path

import decided
import pytest
import sweeps
from commands import command

from earmark.cli import savings
from earmark.engine.design.spec import parse
from earmark.engine.design.steps import steps_of
from earmark.engine.outcomes import store
from earmark.engine.signoff.sizes import Guess
from earmark.engine.sweep.estimate import Estimate
from earmark.engine.sweep.forecast import Forecast, forecast

GUESS = Guess(excess=0.0, flips=0.05)
SERVED = {
    'model = "steady"': 'model = "openai:http://127.0.0.1:9/v1#steady"\nprice = 0.5',
    'name = "energy"': 'name = "lowpass"',
    '"uniform", "energy"': '"uniform", "lowpass"',
}
LARGER = {":60": ":150", "[0.3]\ncandidates": "[0.12]\ncandidates"}


def test_a_decided_run_asks_about_as_much_as_was_expected(tmp_path: Path) -> None:
    """An answerer that changes about .03 of its answers at every budget, where .015 to .05 are guessed."""
    expected = forecast(decided.spec(LARGER), GUESS)
    assert decided.sweep(tmp_path / "run", LARGER).complete
    there = sum(map(len, decided.answered(tmp_path / "run").values()))
    assert expected.everything.answers == 150 * 6 * 8
    assert 0.85 * there <= expected.safe.answers <= 1.15 * there, there
    assert expected.safe.answers < 0.75 * expected.everything.answers
    assert expected.harmed.answers < 0.6 * expected.safe.answers
    assert forecast(decided.spec(LARGER), GUESS) == expected, "it is the same whenever one asks"


def test_of_a_complete_spec_it_expects_the_same() -> None:
    whole, part = forecast(decided.spec(decided.COMPLETE), GUESS), forecast(decided.spec(), GUESS)
    assert whole == part


def test_time_is_that_of_the_steps_that_are_asked() -> None:
    spec = decided.spec(LARGER)
    seconds_of = {step: 10.0 if step.compressed else 100.0 for step in steps_of(spec, ())}
    expected = forecast(spec, GUESS, Estimate(0, 0.5, 230.0, seconds_of))
    assert expected.everything.seconds == 230.0
    assert expected.safe.seconds is not None
    assert expected.harmed.seconds is not None
    raw = 7200 * (expected.safe.seconds / 230.0)
    assert raw > expected.safe.answers, "raw audio takes longer than what is left out"
    assert expected.harmed.seconds < expected.safe.seconds < 230.0


def plan_of(place: Path, *options: object, **changes: str) -> str:
    """What `earmark plan` prints of the spec."""
    (place / "spec.toml").write_text(decided.spec(*([changes] if changes else [])).text)
    done = command("plan", place / "spec.toml", *options)
    assert done.code == 0, done.err
    return done.out


def test_it_says_so_in_three_lines_that_fit_a_terminal(tmp_path: Path) -> None:
    last = plan_of(tmp_path, "--flips", 0.05).split("\n\n")[-1].splitlines()
    safe = re.fullmatch(r'until = "decided": about ([\d,]+) of 2,880 answers \((\d+)%\) if all is safe,', last[0])
    assert safe is not None
    assert int(safe[1].replace(",", "")) == pytest.approx(28.8 * int(safe[2]), abs=20)
    assert re.fullmatch(r"  about [\d,]+ \(\d+%\) if a family is harmed \(a guess: 1.5 to 5% of them change\)", last[1])
    assert all(len(line) <= 80 for line in last)


def test_measured_it_says_how_long_it_takes(tmp_path: Path) -> None:
    last = plan_of(tmp_path, "--measure", **{'model = "steady"': 'model = "tiny"', ":60": ":40"}).splitlines()[-1]
    assert re.fullmatch(r"  \d+ (s|min) instead of \d+ (s|min)", last), last


def test_of_a_complete_spec_it_says_in_one_line_what_could_be_saved(tmp_path: Path) -> None:
    last = plan_of(tmp_path, **decided.COMPLETE).split("\n\n")[-1].splitlines()
    assert len(last) == 1
    assert last[0].startswith('until = "decided" in [sweep] would ask about ')


def test_a_family_that_is_too_small_is_named_and_nothing_is_asked(tmp_path: Path) -> None:
    small = {":60": ":40", "tolerances = [0.3]": "tolerances = [0.05]"}
    text = plan_of(tmp_path, **small)
    assert "until = \"decided\": nothing will be asked, too small to be tested: 'count'" in text
    assert json.loads(plan_of(tmp_path, "--json", **small))["forecast"]["safe"]["answers"] == 0


def test_families_that_take_all_their_questions_spare_little_and_it_says_so(tmp_path: Path) -> None:
    small = {":60": ":100", "tolerances = [0.3]": "tolerances = [0.05]"}
    text = plan_of(tmp_path, "--flips", 0.001, **small)
    assert re.search(r"of 4,800 answers \((9[5-9]|100)%\) if all is safe,\n", text)
    assert "\n  families this small take nearly all their questions, which spares little if all is safe\n" in text
    line = plan_of(tmp_path, "--flips", 0.001, **small, **decided.COMPLETE).splitlines()[-1]
    assert re.search(r"would ask about \d+% of them if all is safe: families this small take nearly all", line)
    large = plan_of(tmp_path, "--flips", 0.001)
    assert "families this small" not in large


def test_permuted_questions_are_no_part_of_the_share_and_are_named() -> None:
    alone = forecast(decided.spec(LARGER), GUESS)
    n = alone.everything.answers
    beside = alone._replace(everything=alone.everything._replace(answers=n + 1_000), deferred=1_000)
    first, *_, last = savings.lines(beside, "decided")
    assert first == savings.lines(alone, "decided")[0]
    assert f" of {n:,} answers (" in first
    assert last == "  1,000 more are about permuted questions, which no verdict needs"
    assert f"% of the {n:,} that verdicts need" in savings.lines(beside, "complete")[0]


def test_a_price_makes_it_money(tmp_path: Path) -> None:
    expected: Forecast = forecast(decided.spec(LARGER, SERVED), GUESS)
    assert expected.everything.cost == 7200 * 0.5 / 1000
    assert expected.safe.cost == pytest.approx(expected.safe.answers * 0.5 / 1000)
    (tmp_path / "spec.toml").write_text(decided.spec(LARGER, SERVED).text)
    done = command("plan", tmp_path / "spec.toml")
    assert "  a cost of " in done.out
    assert done.out.endswith(" instead of 3.60\n")


def test_no_answer_depends_on_a_price() -> None:
    spec = decided.spec(SERVED)
    dearer = parse(spec.text.replace("price = 0.5", "price = 2"))
    assert dearer.sha256() == spec.sha256()
    (answerer,) = spec.answerers
    assert replace(answerer, price=None) == replace(dearer.answerers[0], price=None)


def test_of_a_folder_under_way_it_says_what_is_there_and_what_is_left(tmp_path: Path) -> None:
    """Stopped between two batches again and again, and at last decided: what is there and what is left go together."""
    run, answers, left = tmp_path / "run", [], []
    for batches in (20, 20, 20, 10_000):
        swept = decided.sweep(run, stop=sweeps.after(batches))
        (entry,) = json.loads(command("plan", run, "--flips", 0.05, "--json").out)
        answers.append(entry["until_decided"]["answers"])
        left.append(entry["until_decided"]["more"])
    assert swept.complete
    in_all = sum(map(len, decided.answered(run).values()))
    assert (answers[-1], left[-1]) == (in_all, 0)
    assert 0 < answers[0] < answers[1] < answers[2] < in_all
    assert left[0] > left[1] > left[2] > 0
    assert all(0.8 * in_all < there + more < 1.2 * in_all for there, more in zip(answers, left, strict=True))
    line = command("plan", run).out.splitlines()[-1]
    assert line == f'until = "decided": {in_all:,} answers decided it'
    assert decided.sweep(run, decided.COMPLETE).complete
    line = command("plan", run).out.splitlines()[-1]
    more = f"{2_880 - in_all:,} more describe, and decide nothing"
    assert line == f'until = "decided": {in_all:,} answers decided it; {more}'


def test_of_a_folder_that_asks_until_it_is_complete_it_says_nothing_of_that(tmp_path: Path) -> None:
    assert decided.sweep(tmp_path / "run", decided.COMPLETE, {":60": ":8"}).complete
    (entry,) = json.loads(command("plan", tmp_path / "run", "--json").out)
    assert "until_decided" not in entry


def test_a_folder_that_lost_its_partitions_is_refused_in_a_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert decided.sweep(run, {":60": ":40"}).complete
    stored = store.read_partitions(run)
    assert stored is not None
    ids = stored[0]["sample_id"].to_pylist()
    for labels, sources, words in (
        ({"native": stored[0]["native"].to_pylist()}, None, "lacks 'source_id' of the sweep"),
        ({"other": ["x"] * len(ids)}, ids, "lacks 'native' of the sweep"),
    ):
        (run / store.PARTITIONS).unlink()
        store.write_partitions(run, "synthetic", ids, labels, sources)
        done = command("plan", run)
        assert (done.code, words in done.err) == (2, True), done.err
    (run / store.PARTITIONS).unlink()
    store.write_partitions(run, "synthetic", ids[1:], {"native": ["x"] * (len(ids) - 1)}, ids[1:])
    assert "has not a label for each of the 240 questions" in command("plan", run).err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--candidates", 3), "--candidates: the spec says it; leave it out"),
        (("--source", "none"), "--source: the spec says it; leave it out"),
        (("--partition", "mood"), "partition mood: there is no such partition"),
    ],
)
def test_what_a_spec_says_itself_is_refused(options: tuple[object, ...], words: str, tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(decided.spec().text)
    done = command("plan", tmp_path / "spec.toml", *options)
    assert done.code == 2
    assert words in done.err


def test_time_needs_a_spec(tmp_path: Path) -> None:
    done = command("plan", tmp_path, "--measure")
    assert (done.code, "--measure needs a spec" in done.err) == (2, True)


def test_a_folder_and_its_spec_are_planned_alike(tmp_path: Path) -> None:
    changes = {"tolerances = [0.3]": 'tolerances = [0.3, 0.2]\nclaim = "both"'}
    decided.sweep(tmp_path / "run", changes, stop=sweeps.after(20))
    of_spec = json.loads(plan_of(tmp_path, "--json", **changes))["partitions"]
    of_run = json.loads(command("plan", tmp_path / "run", "--json").out)
    assert [{name: of_run[0][name] for name in of_spec[0]}] == of_spec
