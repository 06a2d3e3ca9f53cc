"""Every statement on random instances, and what its check says when one of its ingredients is broken."""

import functools
import json
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from earmark.cli.main import earmark
from earmark.cli.progress import ProgressLine
from earmark.engine.theory import (
    codes,
    experiments,
    finite_alphabet,
    gaussian,
    independent_factors,
    interior_point,
    statements,
)
from earmark.engine.theory.audio_tasks import asking_only, mutual_information
from earmark.engine.theory.checks import factors, finite, rates, sufficiency
from earmark.engine.theory.checks import separation as separation_checks

RANDOM = {
    sufficiency.deficiency_is_excess: 1e-12,
    sufficiency.refinement: 1e-12,
    sufficiency.more_queries: 1e-8,
    separation_checks.conditioning_helps: 1e-8,
    separation_checks.any_factors: 1e-9,
    rates.sandwich: 1e-8,
    rates.model_class_gap: 1e-12,
    rates.rate_to_tokens: 1e-8,
    finite.closed_forms: 1e-9,
    finite.duality_gap: 1e-8,
    finite.lengths: 1e-8,
    factors.water_level: 1e-8,
    factors.duality_gap: 1e-8,
    factors.conditioning: 1e-8,
    factors.blocks_add: 1e-8,
    factors.synergy: 1e-8,
}


NEARLY_SILENT = 10_824_015_618_272_332  # an interface that tells 2e-8 bits, at the tolerance that it needs


each_check = pytest.mark.parametrize(
    "check", RANDOM, ids=lambda check: f"{check.__module__.rpartition('.')[2]}.{check.__name__}"
)
seeds = given(seed=st.integers(0, 2**63))


@each_check
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@seeds
@example(seed=NEARLY_SILENT)
def test_it_holds_on_random_instances(check: Callable[[np.random.Generator], float], seed: int) -> None:
    assert check(np.random.default_rng(seed)) <= RANDOM[check]


@pytest.mark.validity
@each_check
@settings(max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
@seeds
def test_it_holds_on_many(check: Callable[[np.random.Generator], float], seed: int) -> None:
    assert check(np.random.default_rng(seed)) <= RANDOM[check]


def test_all_66_separation_cells_are_exact() -> None:
    cells = list(separation_checks.uniform())
    assert len(cells) == 66
    assert max(cells) < 1e-12
    assert max(separation_checks.optimal()) < 1e-12


def test_every_check_is_in_the_list_with_its_tolerance() -> None:
    assert len(statements.STATEMENTS) == len(RANDOM) + 2
    assert {s.tolerance for s in statements.STATEMENTS} == set(RANDOM.values())


# One broken ingredient per statement -----------------------------------------------------------------------


def _keeps_only_the_first_factor(labels: Any) -> Any:
    distinct, block = np.unique(labels[:, :1], axis=0, return_inverse=True)
    return np.eye(len(distinct))[block.ravel()]


def _keeps_everything(of: Any) -> independent_factors.Separation:
    bits = mutual_information(of.audio, np.eye(len(of.audio)))
    return independent_factors.Separation(bits, bits)


def _serves_the_first_query(of: Any, eps: Any) -> finite_alphabet.ChannelRate:
    alone = RATE(asking_only(of, 0), np.atleast_1d(eps)[:1])
    actions = finite_alphabet.action_tuples(of).shape[1]
    return alone._replace(channel=np.pad(alone.channel, ((0, 0), (0, actions - alone.channel.shape[1]))))


def _serves_the_last_query(of: Any, eps: Any) -> finite_alphabet.ChannelRate:
    return RATE(asking_only(of, len(of.queries) - 1), np.atleast_1d(eps)[-1:])


def _ignores_the_last_query(variances: Any, weights: Any, eps: Any) -> gaussian.Allocation:
    return ALLOCATE(variances, weights[: max(1, len(weights) - 1)], eps)


def _spends_all_queries_at_once(variances: Any, weights: Any, eps: Any) -> gaussian.Allocation:
    return ALLOCATE(variances, weights.sum(axis=0, keepdims=True), eps)


INSTANCES = 30
RATE, RISK = finite_alphabet.rate, experiments.risk
ALLOCATE, CONDITIONED = gaussian.allocate, gaussian.conditioned_rate
BROKEN: list[tuple[Any, Any, str, Any]] = [  # the check, and what in it is replaced by what
    (separation_checks.uniform, independent_factors, "_classes", _keeps_only_the_first_factor),
    (separation_checks.any_factors, independent_factors, "_classes", _keeps_only_the_first_factor),
    (separation_checks.optimal, independent_factors, "enumerated", _keeps_everything),
    (separation_checks.conditioning_helps, finite_alphabet, "rate", _serves_the_first_query),
    (separation_checks.conditioning_helps, finite_alphabet, "conditioned_length", lambda *_: 0.0),
    (
        sufficiency.deficiency_is_excess,
        experiments,
        "envelope",
        lambda query, belief: float((belief @ query.loss).mean()),
    ),
    (
        sufficiency.refinement,
        experiments,
        "family_gap",
        lambda gaps, prior, cells: max(float(prior[cell] @ gaps[cell]) for cell in cells),  # a sum, not a mean
    ),
    (
        sufficiency.more_queries,
        experiments,
        "deficiency",
        lambda of, channel: float(np.mean([experiments.excess(of, q, channel) for q in range(len(of.queries))])),
    ),
    (sufficiency.refinement, experiments, "family_gap", lambda gaps, *_: float(gaps.max())),
    (sufficiency.more_queries, finite_alphabet, "rate", _serves_the_last_query),
    (rates.sandwich, finite_alphabet, "rate", _serves_the_first_query),
    (rates.model_class_gap, experiments, "risk", lambda of, q, channel, rules: RISK(of, q, channel, rules[:1])),
    (
        rates.model_class_gap,
        experiments,
        "deficiency",
        lambda of, channel: max(experiments.excess(of, q, channel) for q in range(len(of.queries))) + 1e-6,
    ),
    (rates.rate_to_tokens, codes, "shannon_lengths", lambda law, tokens: LENGTHS(law, tokens) + 1),
    (finite.closed_forms, finite_alphabet, "reduced_distortion", lambda query: 0.9 * DISTORTION(query)),
    (finite.duality_gap, interior_point, "_STEPS", 1),
    (finite.duality_gap, finite_alphabet, "_tolerances", lambda of, eps: np.full(len(of.queries), np.max(eps) / 2)),
    (finite.lengths, finite_alphabet, "_tolerances", lambda of, eps: np.full(len(of.queries), np.max(eps) + 0.05)),
    (
        factors.water_level,
        gaussian,
        "reverse_water_filling",
        lambda variances, _, eps: (np.minimum(variances, eps / len(variances)), eps / len(variances)),
    ),
    (factors.duality_gap, interior_point, "_FALLS", ()),
    (factors.duality_gap, gaussian, "allocate", lambda variances, weights, eps: ALLOCATE(variances, weights, eps / 2)),
    (factors.conditioning, gaussian, "conditioned_rate", lambda *_: 0.0),
    (
        factors.conditioning,
        gaussian,
        "conditioned_rate",
        lambda variances, weights, eps, prior: CONDITIONED(
            variances, weights, eps, np.full(len(prior), 1 / len(prior))
        ),
    ),
    (factors.blocks_add, gaussian, "allocate", _spends_all_queries_at_once),
    (factors.synergy, gaussian, "allocate", _ignores_the_last_query),
]
LENGTHS, DISTORTION = codes.shannon_lengths, finite_alphabet.reduced_distortion


def holds(check: Any) -> bool:
    def cells() -> Any:
        if check not in RANDOM:
            return check()
        return (check(np.random.default_rng(seed)) for seed in range(INSTANCES))

    statement = statements.Statement("here", "broken", RANDOM.get(check, 1e-12), lambda: islice(cells(), INSTANCES))
    return statements.verify(statement).holds


holds_unbroken = functools.cache(holds)


@pytest.mark.parametrize(
    ("check", "module", "name", "broken"), BROKEN, ids=[f"{row[0].__name__}-{row[2]}" for row in BROKEN]
)
def test_a_broken_variant_is_caught(
    check: Any, module: Any, name: str, broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert holds_unbroken(check)
    monkeypatch.setattr(module, name, broken)
    assert not holds(check)


def test_every_statement_has_a_broken_variant() -> None:
    assert {row[0] for row in BROKEN} == {*RANDOM, separation_checks.uniform, separation_checks.optimal}


def _cells_that_end_in_an_error() -> Any:
    yield 0.0
    raise ValueError("no prefix code")


@pytest.mark.parametrize(
    ("cells", "count", "worst", "reason"),
    [
        (lambda: iter([0.0, float("nan")]), 2, None, "instance 1 deviates by nan"),
        (lambda: iter([]), 0, None, "no instance"),
        (lambda: iter([0.0, 2.0]), 2, 2.0, "instance 1 deviates by 2"),
        (_cells_that_end_in_an_error, 1, 0.0, "instance 1: no prefix code"),
    ],
)
def test_what_is_not_shown_does_not_hold(cells: Any, count: int, worst: float | None, reason: str) -> None:
    found = statements.verify(statements.Statement("here", "nothing", 1.0, cells))
    assert (found.holds, found.cells, found.worst) == (False, count, worst)
    assert found.reason == reason


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "INSTANCES", 3)


@pytest.mark.usefixtures("_quick")
def test_the_command_prints_a_row_per_statement() -> None:
    done = CliRunner().invoke(earmark, ["theory", "--json"])
    assert (done.exit_code, len(json.loads(done.stdout))) == (0, len(statements.STATEMENTS))
    assert all(finding["holds"] and finding["cells"] for finding in json.loads(done.stdout))
    assert len(CliRunner().invoke(earmark, ["theory"]).stdout.splitlines()) == len(statements.STATEMENTS) + 1


@pytest.mark.usefixtures("_quick")
def test_the_command_says_which_statement_it_is_at(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[str, int, int]] = []
    monkeypatch.setattr(ProgressLine, "__call__", lambda _line, *step: steps.append(step))
    assert CliRunner().invoke(earmark, ["theory"]).exit_code == 0
    count = len(statements.STATEMENTS)
    assert steps == [(f"checking {s.where}", n, count) for n, s in enumerate(statements.STATEMENTS)]


@pytest.mark.usefixtures("_quick")
def test_the_command_says_what_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(independent_factors, "_classes", _keeps_only_the_first_factor)
    monkeypatch.setattr(codes, "shannon_lengths", lambda law, tokens: LENGTHS(law, tokens) - 1)
    done = CliRunner().invoke(earmark, ["theory"])
    assert done.exit_code == 1
    assert "DOES NOT HOLD: instance 0 deviates by 1" in done.stdout
    found = json.loads(CliRunner().invoke(earmark, ["theory", "--json"]).stdout)
    assert {f["where"] for f in found if not f["holds"]} == {"Theorem 3.4", "Proposition E.8"}
