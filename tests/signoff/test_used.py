"""What is really used stands beside every budget, on whichever axis it is; what a compressor refuses is its harm."""

from pathlib import Path
from typing import Any

import pytest
import two_axes
from as_json import certify, render
from page import Page
from two_axes import RAW, RULE, USED, N

from earmark.engine.design.keys import COMPRESSOR
from earmark.engine.errors import InputError
from earmark.engine.report.terminal import decision_table
from earmark.engine.signoff.certificate import from_content

FIGURES = {  # of a certificate, by column
    "seconds": "seconds_heard",
    "bits": "bits_sent",
    "positions": "num_audio_tokens",
    "lm_positions": "lm_positions",
    "flops": "flops",
}


def _results(run: Path) -> dict[str, Any]:
    return {result["method"]: result for result in certify(run, RULE)["results"]}


def test_every_budget_has_what_is_really_used_and_the_full_one_has_raws(tmp_path: Path) -> None:
    results = _results(two_axes.write_run(tmp_path / "run"))
    for method, budgets in two_axes.BUDGETS.items():
        for entry in results[method]["budgets"]:
            columns = USED[method, entry["budget"]] if entry["budget"] in budgets else RAW
            assert entry["used"] == {name: columns[column] for name, column in FIGURES.items()}


def test_a_method_is_what_the_plan_declares(tmp_path: Path) -> None:
    results = _results(two_axes.write_run(tmp_path / "run"))
    declared = {name: (r["compressor"], r["stage"], r["axis"]) for name, r in results.items()}
    assert declared == {"uniform": ("chunks", "waves", "seconds"), "opus": ("opus", "waves", "bits")}


def test_a_row_without_a_figure_counts_as_raw_where_others_have_one(tmp_path: Path) -> None:
    some: list[int | None] = [100] * 100 + [400] * 100 + [None] * 100
    changes = {("opus", 0.05): {"bits_sent": some, "flops": [None] * N}}
    smallest = _results(two_axes.write_run(tmp_path / "run", changes))["opus"]["budgets"][0]
    raw_bits = float(RAW["bits_sent"])
    assert (smallest["used"]["bits"], smallest["used"]["flops"]) == (pytest.approx((500 + raw_bits) / 3), None)


@pytest.mark.parametrize("figure", [None, 1])  # a row that failed may have one: of what nobody heard
def test_failures_make_no_compressor_cheaper(tmp_path: Path, figure: int | None) -> None:
    """One that dies on long clips sends those as they are: what it saves there is nothing."""
    n_long = N // 3
    raw_bits = [6_000_000] * n_long + [600_000] * (N - n_long)
    changes = {
        ("uncompressed", 1.0): {"bits_sent": raw_bits},
        ("opus", 0.125): {
            "status": [f"{COMPRESSOR}RuntimeError: too long"] * n_long + ["ok"] * (N - n_long),
            "loss": [None] * n_long + [0.0] * (N - n_long),
            "bits_sent": [figure] * n_long + [75_000] * (N - n_long),
        },
    }
    opus = _results(two_axes.write_run(tmp_path / "run", changes))["opus"]["budgets"]
    used = {entry["budget"]: entry["used"]["bits"] for entry in opus}
    assert used == {0.05: 120_000, 0.125: pytest.approx((6_000_000 + 2 * 75_000) / 3), 1.0: 2_400_000}


@pytest.mark.parametrize(
    ("column", "value"),
    [("seconds_heard", -1.0), ("seconds_heard", float("nan")), ("seconds_heard", float("inf")), ("bits_sent", -1)],
)
def test_an_amount_that_nobody_can_use_is_refused(tmp_path: Path, column: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"column {column} is negative or not finite in 1 rows .*s00000"):
        two_axes.write_run(tmp_path / "run", {("opus", 0.05): {column: [value] + [1] * (N - 1)}})


def test_rows_of_which_a_compressor_makes_nothing_are_its_harm_and_no_failure(tmp_path: Path) -> None:
    late, silent = f"{COMPRESSOR}not done after 60 s", f"{COMPRESSOR}returned silence"
    n_late, n_silent = 12, 8  # more than max_error_rate allows of failures
    failed = n_late + n_silent
    changes = {
        ("opus", 0.125): {
            "status": [late] * n_late + [silent] * n_silent + ["ok"] * (N - failed),
            "loss": [None] * failed + [0.0] * (N - failed),
            "bits_sent": [None] * failed + [350_000] * (N - failed),
        }
    }
    certificate = certify(two_axes.write_run(tmp_path / "run", changes), RULE)
    (errors,) = certificate["errors"]
    assert (errors["errors"], errors["too_short"], errors["compressor"], errors["complaint"]) == (0, 0, failed, late)
    opus = next(result for result in certificate["results"] if result["method"] == "opus")
    most = opus["budgets"][1]
    used = (failed * RAW["bits_sent"] + (N - failed) * 350_000) / N
    assert (most["budget"], most["plus"], most["worst_family"], most["used"]["bits"]) == (0.125, failed, "a", used)
    assert opus["certified"][0]["budget"] == 1.0
    assert [candidate["name"] for candidate in certificate["claim"]["candidates"]] == ["opus"]
    assert certificate["claim"]["approved"] == []
    warned = " ".join(certificate["warnings"])
    assert f"opus seed 0 anchor made nothing of {failed} of {N} rows at 0.125: {late}. Each of them counts" in warned


@pytest.mark.parametrize(
    ("cell", "column", "share"),
    [
        (("uniform", 0.8), "seconds_heard", 1.0),
        (("opus", 0.125), "bits_sent", 0.5),
        (("opus", 0.125), "bits_sent", 0.2),
    ],
)
def test_a_budget_that_is_not_kept_to_is_said_wherever_it_is_approved(
    tmp_path: Path, cell: tuple[str, float], column: str, share: float
) -> None:
    """`cp` with budget 0.5 is heard whole: what was asked for is no saving."""
    method, budget = cell
    far = share > 1.5 * budget + 0.02
    run = two_axes.write_run(tmp_path / "run", {cell: {column: [type(RAW[column])(share * RAW[column])] * N}})
    certificate = certify(run, RULE)
    warned = [warning for warning in certificate["warnings"] if "far more than its budget" in warning]
    assert len(warned) == far
    if far:
        used = f"tiny/sounds/{method} seed 0 really uses {share:.0%} at budget {budget:g}"
        assert warned[0].startswith(f"Of raw audio's {column.partition('_')[0]}, {used}: far more")
    page = Page(render(certificate))
    assert (f"(really {share:.0%})" in page.texts("h1")[0]) == (method == "opus" and far)
    printed = decision_table(from_content(certificate, "certificate.json"))
    assert (f"0.125 (32 kb/s) (really {share:.0%}); every family" in printed[0]) == (method == "opus" and far)
