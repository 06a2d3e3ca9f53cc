"""How many questions a family needs, where there is no corpus yet: `earmark plan` without a SOURCE."""

import json

import numpy as np
import pytest
from commands import command

from earmark.engine.design.rule import Rule, gamma_of
from earmark.engine.signoff.question_counts import question_counts
from earmark.kernels.statistics import exact

TABLE = """\
  tolerance 0.05         1 candidate  3 candidates  8 candidates
  no answer changes               73            94           113
  1% of them change              120           153           194
  3% of them change              190           246           302
  5% of them change              264           347           409
  10% of them change             459           588           712
"""


def test_without_a_source_the_table_says_how_many_questions_a_family_needs() -> None:
    done = command("plan")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith(f"\n\n{TABLE}")


def test_so_many_questions_pass_the_test_nine_times_out_of_ten() -> None:
    """Drawn, not summed."""
    rng = np.random.default_rng(7)
    for count in question_counts(Rule(tolerances=(0.05, 0.02)), None, None):
        assert count.for_90 is not None
        changes = [count.flips / 2, count.flips / 2, 1 - count.flips]
        plus, minus, _ = rng.multinomial(count.for_90, changes, size=2_000).T
        passed = exact.p_values(count.for_90, plus, minus, count.tolerance, gamma_of(count.level)) <= count.level
        assert 0.86 < passed.mean() < 0.96


def test_the_power_of_a_family_of_a_given_size() -> None:
    done = command("plan", "--questions", 300, "--flips", 0.05, "--candidates", 3, "--json")
    (count,) = json.loads(done.out)
    assert (count["questions"], count["for_90"], count["fewest"]) == (300, 347, 94)
    assert 0.8 < count["power"] < 0.9
    assert "85%" in command("plan", "--questions", 300, "--flips", 0.05, "--candidates", 3).out


def test_an_excess_beyond_the_tolerance_never_passes() -> None:
    out = command("plan", "--excess", 0.05).out
    assert out.count("never") == 6
    assert "no answer changes" not in out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--questions", "0"], "error: questions 0: must be a whole number from 1"),
        (["--candidates", "0"], "at least 1"),
        (["--flips", "0.01", "--excess", "0.02"], "guess flips first"),
        (["--claim", "routing"], "depends on how large the families are; name a SOURCE"),
        (["examples/sounds", "--questions", "3"], "use one of the two"),
    ],
)
def test_what_cannot_be_counted_is_refused(options: list[str], expected: str) -> None:
    done = command("plan", *options)
    assert (done.code, done.out) == (2, "")
    assert expected in done.err
