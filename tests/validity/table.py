"""Writes docs/validity.md: false approvals, power, second looks and printed numbers, in populations of known truth.

Usage: python tests/validity/table.py [SETS] > docs/validity.md

Each figure is kept in .validity/ as it is done, under a hash of everything that it follows from, so that the command
goes on where it was stopped.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import catalogue
import first_version
import looks
import needed
import papers_rule
import savings
import shipped
from populations import Population

ALPHA = 0.025
PAPER_SETS, BEFORE_SETS = 500, 1_000  # of rules that are shown for comparison
ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".validity"
GROUPS = (("The first worlds", catalogue.FIRST), ("What an audit broke", catalogue.AUDITED), ("More", catalogue.OWN))

POPULATIONS = {of.name: of for of in (*catalogue.FIRST, *catalogue.AUDITED, *catalogue.OWN, *catalogue.POWER)}
WORLDS = {world.name: world for world in papers_rule.WORLDS}
TWICE = {of.name: of for of in catalogue.LOOKED_AT_TWICE}
SAVED = {world.of.name: world for world in savings.WORLDS}
SAVED_SETS = 400
SETTINGS = {str(setting): setting for setting in needed.SETTINGS}


def figures(kind: str, name: str, sets: int) -> dict[str, Any]:
    """The figures of one line of a table."""
    if kind == "now":
        found = shipped.verdicts(POPULATIONS[name], sets, seed=11)
        return {
            "false": int(found.false.sum()),
            "approved": int(found.approved.sum()),
            "kept": float(found.retained.mean()),
        }
    if kind == "before":
        before = first_version.verdicts(POPULATIONS[name], sets, seed=11)
        return {"false": int(before.false.sum()), "approved": int(before.approved.sum())}
    if kind == "paper":
        smallest, walked = papers_rule.paper(WORLDS[name], sets, seed=11)
        return {"smallest": int(smallest.sum()), "walked": int(walked.sum())}
    if kind == "walks":
        return {"false": int(shipped.verdicts(POPULATIONS[name], sets, seed=11, decided=True).false.sum())}
    if kind == "saving":
        return savings.compare(SAVED[name].of, sets, seed=11)._asdict()
    if kind == "looks":
        alone, grown = (look(TWICE[name], sets, seed=11) for look in (looks.new_rows_alone, looks.declared_growth))
        again = alone.second[~alone.first]
        return {
            "first": int(alone.first.sum()), "again": int(again.sum()), "of": len(again),
            "chain": int(alone.either.sum()), "grown": int(grown.either.sum()),
        }  # fmt: skip
    n = needed.printed(SETTINGS[name])
    return {"n": n, "power": needed.power(SETTINGS[name], n, sets, seed=11)}


def kept(task: tuple[str, str, int]) -> dict[str, Any]:
    """The figures, from where they are kept or computed now."""
    mark = hashlib.sha256(json.dumps([*task, SOURCES]).encode()).hexdigest()[:24]
    path = KEPT / f"{mark}.json"
    if not path.exists():
        found = figures(*task)
        path.parent.mkdir(exist_ok=True)
        path.with_suffix(".part").write_text(json.dumps(found))
        path.with_suffix(".part").replace(path)
        print(f"{task[0]}: {task[1]}: {found}", file=sys.stderr, flush=True)
    content: dict[str, Any] = json.loads(path.read_text())
    return content


DECIDING = (  # files of engine/ by their names
    "order", "units", "group_tests", "certified", "claim", "routing", "families", "pair", "rule", "judgement", "power",
    "sequential", "declared_walk", "spending", "replay",
)  # fmt: skip


def _sources() -> str:
    """A hash of the code that decides, and of the populations."""
    paths = sorted(path for path in (ROOT / "engine").rglob("*.py") if path.stem in DECIDING)
    paths += sorted(path for path in (ROOT / "kernels").rglob("*.py"))
    paths += sorted(
        path for path in Path(__file__).parent.glob("*.py") if path.name not in ("table.py", "test_validity.py")
    )
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


SOURCES = _sources()  # as they were loaded, whatever is edited meanwhile


def most(sets: int, alpha: float = ALPHA) -> float:
    """False approvals that luck allows."""
    return alpha * sets + 3.1 * (alpha * (1 - alpha) * sets) ** 0.5


def main(sets: int) -> None:
    """Simulate and print."""
    unsafe = (*catalogue.FIRST, *catalogue.AUDITED, *catalogue.OWN)
    tasks = [
        *(("now", of.name, sets) for of in (*unsafe, *catalogue.POWER)),
        *(("before", of.name, min(sets, BEFORE_SETS)) for of in (*unsafe, *catalogue.POWER)),
        *(("walks", of.name, sets) for of in unsafe),
        *(("saving", name, SAVED_SETS) for name in SAVED),
        *(("looks", name, sets) for name in TWICE),
        *(("needed", name, sets) for name in SETTINGS),
        *(("paper", name, min(sets, PAPER_SETS)) for name in WORLDS),
    ]
    with ProcessPoolExecutor(2) as pool:
        done = dict(zip(tasks, pool.map(kept, tasks), strict=True))
    print(HEAD.format(sets=sets, most=int(most(sets)), papers=min(sets, PAPER_SETS), n=len(unsafe)), end="")
    both = (("now", sets), ("before", min(sets, BEFORE_SETS)))
    for title, group in GROUPS:
        print(f"\n### {title}\n\n| population | now | first version |\n|---|---|---|")
        _lines(group, lambda of: [_rate(done[kind, of.name, of_kind]["false"], of_kind) for kind, of_kind in both])
    print(PAPER, end="")
    papers = min(sets, PAPER_SETS)
    for name in WORLDS:
        found = done["paper", name, papers]
        print(f"| {name} | {_rate(found['smallest'], papers)} | {_rate(found['walked'], papers)} |")
    print(POWER, end="")
    _lines(catalogue.POWER, lambda of: [_power(of, done[kind, of.name, of_kind], of_kind) for kind, of_kind in both])
    print(LOOKS, end="")
    for name in TWICE:
        found = done["looks", name, sets]
        again = f"{found['again'] / max(1, found['of']):.3f} of {found['of']:,}"
        rates = [
            _rate(found["first"], sets),
            again,
            _rate(found["chain"], sets, 2 * ALPHA),
            _rate(found["grown"], sets),
        ]
        print(f"| {name} | {' | '.join(rates)} |")
    print(NEEDED, end="")
    for name, setting in SETTINGS.items():
        found = done["needed", name, sets]
        unit = "recordings" if max(setting.sizes) > 1 else "rows"
        print(f"| {name} | {found['n']:,} {unit} | {found['power']:.3f} |")
    print(WALKS, end="")
    _lines(unsafe, lambda of: [_rate(done["walks", of.name, sets]["false"], sets)])
    print(SAVINGS.format(sets=SAVED_SETS), end="")
    print("\n".join(saving_line(name, done["saving", name, SAVED_SETS]) for name in SAVED))


def saving_line(name: str, found: dict[str, Any]) -> str:
    """What is asked in a world, beside what is aimed at, and how often the verdict is that of all rows."""
    world = SAVED[name]
    aim = "" if world.most is None else f" (at most {world.most:g})"
    agree = f"{found['agree']:.3f} (at least {world.least:g})"
    return f"| {name} | {found['share']:.3f}{aim} | {agree} | {found['more']:.3f} |"


def _lines(group: Iterable[Population], cells: Callable[[Population], list[str]]) -> None:
    for of in group:
        print(f"| {of.name} | {' | '.join(cells(of))} |")


def _rate(count: int, sets: int, alpha: float = ALPHA) -> str:
    """A rate, in bold beyond what luck allows."""
    return f"**{count / sets:.3f}**" if count > most(sets, alpha) else f"{count / sets:.3f}"


def _power(of: Population, found: dict[str, Any], sets: int) -> str:
    routed = of.rule.get("claim") == "routing" and "kept" in found
    return f"{found['approved'] / sets:.3f}" + (f" (keeps {found['kept']:.2f} of the audio)" if routed else "")


HEAD = """# Is the certificate true?

Made by `make validity` ({sets:,} simulated evaluation sets a line). Every population here has a known truth, nearly
always unsafe by a hair (an excess of .051 where .05 is allowed), so that alpha = .025 is used up. A false approval:
the claim of a certificate approves a budget, or sends a family to one, whose true excess is above its tolerance, on
any budget on the way; the excess is that of the estimand which the certificate names. Luck allows {most} of {sets:,}
(alpha n + 3.1 standard errors: of {n} populations one is beyond it by luck in 6% of all runs); rates beyond that are
in bold. The shipped code decides: its order, its choice of tests, its p-values, its candidates and levels, its walk;
only files, words, plans and the silence control are left out. The short form in `make test` is shown to catch
mutants: bets in the order of ids, sums instead of means, a scale from the sample, dropped failures, an ignored K.

The **first version** bet on sums in the order of sample_id, scaled by the largest recording of the sample, and its
headline was the best of all arms; it is judged, in 1,000 sets, by the excess over rows, which is what its
certificates stated.

## False approvals
"""

PAPER = """
### The paper's rule

The smallest budget whose percentile upper ends are within tolerance (1,000 replicates, 500 sets), and the same
intervals walked from the largest budget down.

| world | paper | paper, walked |
|---|---|---|
"""

POWER = """
## Power

Share of evaluation sets in which something is approved.

| population | now | first version |
|---|---|---|
"""

LOOKS = """
## Looking again

After a refusal, as many new rows (or recordings) as it names, certified alone at alpha; each is allowed .025, the
chain .05. And a plan that declared looks = 2: the rows, then the rows with as many added, .025 for both.

| population, unsafe | the first | new rows alone | the chain | declared growth |
|---|---|---|---|---|
"""

NEEDED = """
## "For 90% power"

The number that is printed, and the power at it in independent simulations.

| what is true | printed | power |
|---|---|---|
"""

WALKS = """
## Stopping when it is decided

False approvals of walks that stop (method 9.9), in the same populations.

| population | walks |
|---|---|
"""

SAVINGS = """
### What it saves

Families of the sizes of public benchmarks, ten budgets, windows of 64, alpha = .025, tolerance .05, {sets} evaluation
sets: the share of all evaluations that are asked (raw audio and silence counted: 12 columns), and of how many methods
the approved budget (or policy) is that of all rows. One candidate and a budget for all unless said; families come one
after the other, but by recording where recordings have several rows. "Harm falls": safe from budget .4 on.

| world | share asked | same verdict | approves more |
|---|---|---|---|
"""


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)
