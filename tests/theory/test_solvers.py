"""The solvers against general-purpose ones, and what they refuse."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from earmark.engine.theory import codes, experiments, finite_alphabet, gaussian
from earmark.engine.theory.audio_tasks import Query, make_task, mutual_information, reduced_distortion, zero_one
from earmark.engine.theory.instances import random_channel, random_task


@pytest.mark.parametrize("seed", range(40))
def test_gaussian_errors_and_water_level_agree_with_a_general_solver(seed: int) -> None:
    rng = np.random.default_rng(seed)
    factors, queries = rng.integers(1, 5), rng.integers(1, 4)
    variances, weights = rng.uniform(0.3, 3.0, factors), rng.uniform(0.1, 2.0, (queries, factors))
    eps = float(rng.uniform(0.1, 1.5))
    found = gaussian.allocate(variances, weights, eps)
    general = np.log(variances) - 1.0
    for _ in range(3):  # SLSQP in log D, started again where it stopped
        general = minimize(
            lambda y: -y.sum(),
            general,
            jac=lambda y: -np.ones_like(y),
            bounds=[(None, np.log(s)) for s in variances],
            constraints={
                "type": "ineq",
                "fun": lambda y: np.log(eps) - np.log(weights @ np.exp(y)),
                "jac": lambda y: -weights * np.exp(y) / (weights @ np.exp(y))[:, None],
            },
            method="SLSQP",
            options={"ftol": 1e-15, "maxiter": 1000},
        ).x
    general = np.exp(general)
    np.testing.assert_allclose(found.errors, general, atol=1e-8, rtol=0)
    if queries == 1:
        filled, level = gaussian.reverse_water_filling(variances, weights[0], eps)
        np.testing.assert_allclose(filled, general, atol=1e-8, rtol=0)
        under = filled < variances - 1e-6
        np.testing.assert_allclose((weights[0] * general)[under], level, atol=1e-8, rtol=0)


@pytest.mark.parametrize("seed", range(12))
def test_the_rate_agrees_with_blahut_and_arimoto(seed: int) -> None:
    """With a slope per query the iteration finds a point of the frontier, and knows its tolerances."""
    rng = np.random.default_rng(seed)
    of = random_task(rng, n_queries=2)
    d = finite_alphabet.action_tuples(of)
    slopes = rng.uniform(2, 20, 2)
    output = np.full(d.shape[1], 1 / d.shape[1])
    for _ in range(20_000):
        channel = output * np.exp(-d @ slopes)
        channel /= channel.sum(axis=1, keepdims=True)
        output = of.audio @ channel
    eps = np.einsum("x,xa,xaq->q", of.audio, channel, d)
    assert abs(finite_alphabet.rate(of, eps).bits - mutual_information(of.audio, channel)) < 1e-6


@settings(max_examples=40)
@given(law=st.lists(st.integers(1, 50), min_size=3, max_size=6), share=st.floats(0.01, 0.99))
def test_multiple_choice_with_unequal_answers_meets_its_closed_form(law: list[int], share: float) -> None:
    """Erokhin: answers rarer than a level are never sent, and every answer that is sent is wrong equally often."""
    p = np.sort(np.array(law) / sum(law))[::-1]
    eps = share * (1 - p[0])
    of = make_task(p, [Query(np.eye(len(p)), zero_one(len(p)))])
    for sent in range(2, len(p) + 1):
        level = (eps - p[sent:].sum()) / (sent - 1)
        if 0 < level <= p[sent - 1] and (sent == len(p) or level >= p[sent]):
            break
    kept = p[:sent]
    wrong = (sent - 1) * level * np.log2(level) + (1 - eps) * np.log2(1 - eps)
    assert abs(finite_alphabet.rate(of, eps).bits - (wrong - (kept * np.log2(kept)).sum())) < 1e-9


@settings(max_examples=50)
@given(seed=st.integers(0, 2**63), eps=st.sampled_from([0.0, 1e-9, 1e-6, 1e-4, 0.01, 0.5]))
def test_extreme_tolerances_keep_the_duality_gap(seed: int, eps: float) -> None:
    of = random_task(np.random.default_rng(seed), most_symbols=6)
    assert abs(finite_alphabet.rate(of, eps).gap) < 1e-8


def nearly_silent(seed: int, short: float, each: bool) -> finite_alphabet.ChannelRate:
    """At tolerances that fall short of what the best blind actions lose: of every query, or of the hardest."""
    of = random_task(np.random.default_rng(seed), most_symbols=5)
    blind = np.array([float((of.audio @ reduced_distortion(query)).min()) for query in of.queries])
    return finite_alphabet.rate(of, (blind if each else float(blind.max())) * (1 - short))


@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**63),
    short=st.sampled_from([0.0, 1e-15, 1e-12, 1e-9, 1e-7, 1e-6, -1e-12]),
    each=st.booleans(),
)
def test_near_the_tolerance_at_which_nothing_need_be_told(seed: int, short: float, each: bool) -> None:
    """There the price of a tolerance is not unique, and all multipliers but one vanish."""
    assert abs(nearly_silent(seed, short, each).gap) < 1e-10


@settings(max_examples=50)
@given(seed=st.integers(0, 2**63))
@example(seed=3353851142660029294)  # prices of 3 to 67 for tolerances that one interface attains at once
def test_at_the_tolerances_that_an_interface_attains(seed: int) -> None:
    rng = np.random.default_rng(seed)
    of = random_task(rng, most_symbols=5)
    channel = random_channel(rng, of)
    lacking = np.array([experiments.excess(of, q, channel) for q in range(len(of.queries))])
    found = finite_alphabet.rate(of, np.where(lacking < 1e-12, 0.0, lacking))
    assert abs(found.gap) < 1e-10
    assert found.bits <= mutual_information(of.audio, channel) + 1e-8


ELSEWHERE = """
import numpy as np
from test_solvers import nearly_silent
from earmark.engine.theory.checks import rates
print(rates.sandwich(np.random.default_rng(10_824_015_618_272_332)))
print(max(abs(nearly_silent(seed, short, each).gap) for seed in range(5) for short in (0, 1e-8) for each in (0, 1)))
"""


@pytest.mark.parametrize("core", ["Prescott", "Nehalem"])
def test_the_gap_is_closed_whatever_the_instruction_set(core: str) -> None:
    """OpenBLAS rounds otherwise for older cores, which every x86-64 can play; elsewhere the variable is ignored."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OPENBLAS_CORETYPE": core, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ELSEWHERE], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(float(line) < 1e-10 for line in done.stdout.splitlines())


def test_tolerances_may_differ_by_query_and_be_none_for_one() -> None:
    both = make_task(
        np.full(4, 0.25), [Query(np.repeat(np.eye(2), 2, axis=0), zero_one(2)), Query(np.eye(4), zero_one(4))]
    )
    assert finite_alphabet.rate(both, np.array([0.0, 1.0])).bits == pytest.approx(1.0, abs=1e-12)
    assert finite_alphabet.rate(both, np.array([1.0, 0.0])).bits == pytest.approx(2.0, abs=1e-12)


def test_actions_that_tie_up_to_rounding_are_equally_optimal() -> None:
    counts = np.array([[2, 1, 2], [5, 4, 2], [4, 2, 2]])
    loss = np.array([[3, 1, 3], [3, 3, 3], [0, 2, 2]]) / 10
    of = make_task(np.array([0.5, 0.25, 0.25]), [Query(counts / counts.sum(axis=1, keepdims=True), loss)])
    assert finite_alphabet.rate(of, 0.0).bits == pytest.approx(0.0, abs=1e-12)


def test_a_rate_does_not_depend_on_the_unit_of_the_loss() -> None:
    law = np.array([0.3, 0.3, 0.4])
    bits = [
        finite_alphabet.rate(make_task(law, [Query(np.eye(3), unit * zero_one(3))]), 0.2 * unit).bits
        for unit in (1.0, 1e-9, 1e9)
    ]
    assert bits == pytest.approx([bits[0]] * 3, abs=1e-12)


@pytest.mark.parametrize("unit", [1.0, 1e-9])
def test_a_length_does_not_depend_on_the_unit_of_the_loss(unit: float) -> None:
    of = make_task(np.array([0.3, 0.3, 0.4]), [Query(np.eye(3), unit * zero_one(3))])
    lengths = np.array([1.0, 2.0, 3.0])
    assert finite_alphabet.length(of, 0.2 * unit, lengths).tokens == pytest.approx(1.7, abs=1e-9)
    assert finite_alphabet.length(of, 0.0, lengths).tokens == pytest.approx(2.1, abs=1e-12)


def test_a_tolerance_just_below_all_that_can_be_spent_is_spent() -> None:
    variances, weights = np.array([0.9, 1.6, 1.0]), np.array([2.0, 0.3, 1.7])
    errors, _ = gaussian.reverse_water_filling(variances, weights, 3.98)
    np.testing.assert_allclose(errors, variances, rtol=1e-12)


def test_an_irrelevant_tolerance_costs_nothing() -> None:
    of = make_task(np.full(2, 0.5), [Query(np.eye(2), zero_one(2))])
    assert finite_alphabet.rate(of, 1e15).bits == pytest.approx(0.0, abs=1e-12)
    assert gaussian.allocate(np.array([1, 2]), np.eye(2), 1e15).bits == 0.0


def test_a_rare_symbol_and_a_tight_tolerance_keep_the_gap() -> None:
    first, second = Query(np.eye(3)[[2, 2, 2, 0, 0]], zero_one(3)), Query(np.eye(4)[[3, 0, 1, 0, 1]], zero_one(4))
    assert abs(finite_alphabet.rate(make_task(np.array([23, 41, 31, 3, 1]) / 99, [first, second]), 1e-7).gap) < 1e-8


def test_impossible_input_is_refused() -> None:
    sure = Query(np.eye(2), zero_one(2))
    with pytest.raises(ValueError, match="audio is not a law"):
        make_task(np.array([0.5, 0.6]), [sure])
    with pytest.raises(ValueError, match="positive probability"):
        make_task(np.array([0.5, 0.5]), [sure, sure], np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="posterior"):
        make_task(np.full(3, 1 / 3), [sure])
    with pytest.raises(ValueError, match="tolerances"):
        finite_alphabet.rate(make_task(np.array([0.5, 0.5]), [sure]), -0.1)
    with pytest.raises(ValueError, match="infinitely many bits"):
        gaussian.allocate(np.ones(2), np.eye(2), 0.0)
    with pytest.raises(ValueError, match="variances"):
        gaussian.allocate(np.array([1.0, 0.0]), np.eye(2), 0.1)


@given(law=st.lists(st.integers(1, 1000), min_size=2, max_size=12), tokens=st.integers(2, 5), seed=st.integers(0, 999))
def test_a_shannon_code_is_a_prefix_code_and_decodes(law: list[int], tokens: int, seed: int) -> None:
    p = np.array(law) / sum(law)
    lengths = codes.shannon_lengths(p, tokens)
    assert (float(tokens) ** -lengths <= p * (1 + 1e-12)).all()
    words = codes.prefix_code(lengths, tokens)
    assert [len(word) for word in words] == lengths.tolist()
    assert not any(a != b and b[: len(a)] == a for a in words for b in words)
    symbols = np.random.default_rng(seed).integers(0, len(p), 30)
    assert codes.decode(codes.encode(symbols, words), words) == symbols.tolist()


def test_powers_of_the_alphabet_waste_no_token() -> None:
    assert codes.shannon_lengths(np.array([0.5, 0.25, 0.125, 0.125]), 2).tolist() == [1, 2, 3, 3]
    assert codes.shannon_lengths(np.full(27, 1 / 27), 3).tolist() == [3] * 27


def test_lengths_without_a_prefix_code_are_refused() -> None:
    with pytest.raises(ValueError, match="no prefix code"):
        codes.prefix_code(np.array([1, 1, 1]), 2)
    with pytest.raises(ValueError, match="within a word"):
        codes.decode([0], codes.prefix_code(np.array([2, 2]), 2))
