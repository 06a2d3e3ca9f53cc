"""Writes docs/validity.md: false approvals and power of each rule in worlds of known truth.

Usage: python tests/validity/table.py [REPEATS] > docs/validity.md
"""

import sys

import numpy as np
import simulation as sim

HEAD = """# Is the certificate true?

Made by `make validity` ({repeats:,} simulated evaluation sets per world and rule; percentile bootstrap with
{replicates:,} replicates, one-sided alpha = {alpha}). A false approval: a budget is approved whose true worst-family or
average excess is above its tolerance (of a walk, any budget on the way). The standard error of a rate of {alpha} is
{se:.4f}.

Rules: **certified** is the default. **paper** approves the smallest budget whose percentile upper ends are within
tolerance. **paper, walked** takes the same intervals from the largest budget down and stops at the first failure, which
removes the search but not the intervals' own error.

| world | certified | paper | paper, walked |
|---|---|---|---|
"""

ROUTING = """
The **routing** policy lets each family walk its own budgets with an equal share of alpha. A false policy: some family
is sent to a budget that is unsafe for it.

| world | false policies |
|---|---|
"""

POWER = """
Power: the mean certified budget (1 where none is approved; the smaller, the better) and the share of evaluation sets in
which the budget found is the smallest safe one. Worlds without a safe budget are left out.

| world | safe from | certified | paper | paper, walked |
|---|---|---|---|---|
"""


def main(repeats: int) -> None:
    """Simulate and print."""
    outcomes = {
        world.name: (sim.certified(world, repeats, seed=11), *sim.paper(world, repeats, seed=11))
        for world in sim.WORLDS
    }
    se = float(np.sqrt(sim.ALPHA * (1 - sim.ALPHA) / repeats))
    print(HEAD.format(repeats=repeats, replicates=sim.PAPER_REPLICATES, alpha=sim.ALPHA, se=se), end="")
    for world in sim.WORLDS:
        rates = [outcome.false.mean() for outcome in outcomes[world.name]]
        shown = [f"**{rate:.3f}**" if rate > sim.ALPHA + 3 * se else f"{rate:.3f}" for rate in rates]
        print(f"| {world.name} | {' | '.join(shown)} |")
    print(ROUTING, end="")
    for world in sim.WORLDS:
        if len(world.families) > 1 and world.rows_per_source == 1:
            print(f"| {world.name} | {sim.routed(world, repeats, seed=11).mean():.3f} |")
    print(POWER, end="")
    for world in sim.WORLDS:
        truth = world.smallest_safe
        if truth is not None:
            cells = []
            for outcome in outcomes[world.name]:
                mean = np.where(outcome.certified >= 0, np.array(sim.BUDGETS)[outcome.certified], 1.0).mean()
                cells.append(f"{mean:.3f} ({(outcome.certified == truth).mean():.0%})")
            print(f"| {world.name} | {sim.BUDGETS[truth]:g} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)
