"""Rates, answerers and codes (Propositions E.5, E.7, E.8): each check returns by how much an instance deviates."""

import numpy as np

from earmark.engine.theory import codes, experiments, finite_alphabet
from earmark.engine.theory.checks.deviation import over
from earmark.engine.theory.instances import Random, random_channel, random_task, random_tolerance
from earmark.engine.theory.tasks import asking_only, entropy, mutual_information


def sandwich(rng: Random) -> float:
    """max_q R_q <= R <= I(X; the single queries' channels side by side) <= sum_q R_q; R(deficiency of Z) <= I(X; Z)."""
    of = random_task(rng)
    eps = random_tolerance(rng, of)
    alone = [finite_alphabet.rate(asking_only(of, q), eps) for q in range(len(of.queries))]
    beside = np.ones((len(of.audio), 1))
    for found in alone:
        beside = np.einsum("xa,xb->xab", beside, found.channel).reshape(len(of.audio), -1)
    channel = random_channel(rng, of)
    lacking = experiments.deficiency(of, channel)
    lacking = 0.0 if lacking < 1e-12 else lacking  # nothing but rounding
    return max(
        over(
            max(found.bits for found in alone),
            finite_alphabet.rate(of, eps).bits,
            mutual_information(of.audio, beside),
            sum(found.bits for found in alone),
        ),
        over(finite_alphabet.rate(of, lacking).bits, mutual_information(of.audio, channel)),
    )


def model_class_gap(rng: Random) -> float:
    """Excess of a restricted answerer: at least the deficiency, at most deficiency + architecture gap (E.38)."""
    of = random_task(rng)
    channel = random_channel(rng, of)
    excesses, gaps = [], []
    for q, query in enumerate(of.queries):
        every = experiments.rules(channel.shape[1], query.loss.shape[1])
        known = every[rng.random(len(every)) < 0.3]
        known = known if len(known) else every[:1]
        restricted = experiments.risk(of, q, channel, known)
        best = experiments.risk(of, q, channel, every)
        excesses.append(restricted - (best - experiments.excess(of, q, channel)))
        gaps.append(restricted - best)
    lacking = experiments.deficiency(of, channel)
    return over(lacking, max(excesses), lacking + max(gaps))


def rate_to_tokens(rng: Random) -> float:
    """H / log K <= mean word of Shannon's code <= H / log K + 1; it decodes; no code beats R / log K (E.41 to E.44)."""
    of, tokens = random_task(rng), int(rng.integers(2, 5))
    eps = random_tolerance(rng, of)
    found = finite_alphabet.rate(of, eps)
    law = of.audio @ found.channel
    law = law[law > 1e-9] / law[law > 1e-9].sum()
    lengths = codes.shannon_lengths(law, tokens)
    words = codes.prefix_code(lengths, tokens)
    symbols = rng.integers(0, len(law), 20)
    lost = 0.0 if len(law) == 1 or codes.decode(codes.encode(symbols, words), words) == symbols.tolist() else 1.0
    ideal = entropy(law) / np.log2(tokens)
    every = finite_alphabet.action_tuples(of).shape[1]
    of_any = codes.shannon_lengths(rng.dirichlet(np.ones(every)), tokens).astype(float)  # a code chosen blindly
    return max(
        lost,
        over(ideal, float(law @ lengths), ideal + 1),
        over(found.bits / float(np.log2(tokens)), finite_alphabet.length(of, eps, of_any).tokens),
    )
