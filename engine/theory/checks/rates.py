"""Rates, answerers and codes (Propositions E.5, E.7, E.8): each check returns by how much an instance deviates."""

import numpy as np

from earmark.engine.theory import codes, experiments, finite_alphabet
from earmark.engine.theory.audio_tasks import asking_only, entropy, mutual_information
from earmark.engine.theory.checks.deviation import over
from earmark.engine.theory.instances import Rng, random_channel, random_task, random_tolerance


def sandwich(rng: Rng) -> float:
    """max_q R_q <= R <= I(X; the single queries' channels side by side) <= sum_q R_q; R(deficiency of Z) <= I(X; Z)."""
    task = random_task(rng)
    eps = random_tolerance(rng, task)
    alone = [finite_alphabet.rate(asking_only(task, q), eps) for q in range(len(task.queries))]
    side_by_side = np.ones((len(task.audio), 1))
    for single in alone:
        side_by_side = np.einsum("xa,xb->xab", side_by_side, single.channel).reshape(len(task.audio), -1)
    channel = random_channel(rng, task)
    deficiency = experiments.deficiency(task, channel)
    deficiency = 0.0 if deficiency < 1e-12 else deficiency  # nothing but rounding
    return max(
        over(
            max(single.bits for single in alone),
            finite_alphabet.rate(task, eps).bits,
            mutual_information(task.audio, side_by_side),
            sum(single.bits for single in alone),
        ),
        over(finite_alphabet.rate(task, deficiency).bits, mutual_information(task.audio, channel)),
    )


def model_class_gap(rng: Rng) -> float:
    """Excess of a restricted answerer: at least the deficiency, at most deficiency + architecture gap (E.38)."""
    task = random_task(rng)
    channel = random_channel(rng, task)
    excesses, gaps = [], []
    for q, query in enumerate(task.queries):
        all_rules = experiments.rules(channel.shape[1], query.loss.shape[1])
        rules = all_rules[rng.random(len(all_rules)) < 0.3]
        rules = rules if len(rules) else all_rules[:1]
        restricted = experiments.risk(task, q, channel, rules)
        best = experiments.risk(task, q, channel, all_rules)
        excesses.append(restricted - (best - experiments.excess(task, q, channel)))
        gaps.append(restricted - best)
    deficiency = experiments.deficiency(task, channel)
    return over(deficiency, max(excesses), deficiency + max(gaps))


def rate_to_tokens(rng: Rng) -> float:
    """H / log K <= mean word of Shannon's code <= H / log K + 1; it decodes; no code beats R / log K (E.41 to E.44)."""
    task, n_tokens = random_task(rng), int(rng.integers(2, 5))
    eps = random_tolerance(rng, task)
    frontier = finite_alphabet.rate(task, eps)
    law = task.audio @ frontier.channel
    law = law[law > 1e-9] / law[law > 1e-9].sum()
    lengths = codes.shannon_lengths(law, n_tokens)
    words = codes.prefix_code(lengths, n_tokens)
    symbols = rng.integers(0, len(law), 20)
    lost = 0.0 if len(law) == 1 or codes.decode(codes.encode(symbols, words), words) == symbols.tolist() else 1.0
    ideal = entropy(law) / np.log2(n_tokens)
    n_tuples = finite_alphabet.action_tuples(task).shape[1]
    any_lengths = codes.shannon_lengths(rng.dirichlet(np.ones(n_tuples)), n_tokens).astype(
        float
    )  # a code chosen blindly
    return max(
        lost,
        over(ideal, float(law @ lengths), ideal + 1),
        over(frontier.bits / float(np.log2(n_tokens)), finite_alphabet.length(task, eps, any_lengths).tokens),
    )
