"""`earmark plan SOURCE`: which families can be certified, before anything is run."""

import json
from pathlib import Path
from typing import Any

import click

from earmark.cli.progress import Progress


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--partition", "partitions", multiple=True, metavar="NAME", help="A partition; repeat for several.")
@click.option(
    "--tolerance", "tolerances", multiple=True, type=float, metavar="E", help="Allowed excess error.  [default: 0.05]"
)
@click.option("--alpha", type=float, default=0.025, show_default=True, help="Accepted chance of a false approval.")
@click.option(
    "--flips", type=float, default=0.1, show_default=True, help="Guess: share of answers that compression changes."
)
@click.option("--excess", type=float, default=0.0, show_default=True, help="Guess: true excess error of a family.")
@click.option("--methods", type=int, default=1, show_default=True, help="Methods to evaluate.")
@click.option("--seeds", type=int, default=1, show_default=True, help="Training seeds of each.")
@click.option("--budgets", type=int, default=4, show_default=True, help="Budgets below 1.")
@click.option("--seed", type=int, default=42, show_default=True, help="Seed of the power simulation.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(
    source: Path,
    partitions: tuple[str, ...],
    tolerances: tuple[float, ...],
    alpha: float,
    flips: float,
    excess: float,
    methods: int,
    seeds: int,
    budgets: int,
    seed: int,
    as_json: bool,
) -> None:
    """Say before any GPU hour which families of SOURCE can be certified, with what power and how many answers.

    SOURCE is a partitions.parquet, or a run folder with partitions or with a raw reference. A family is testable
    if it could pass without a single changed answer. Power is the probability that it passes if --flips of its
    answers change and --excess of them for the worse on balance, in independent rows.

    \b
    Example:
      earmark plan runs/mmar --tolerance 0.05 --flips 0.08 --excess 0.01 --methods 3 --budgets 5
    """
    from earmark.engine.signoff import plan as planning
    from earmark.engine.signoff.rule import Rule

    rule = Rule(tolerances=tolerances or (0.05,), alpha=alpha)  # checks them
    sweep = planning.Sweep(methods, seeds, budgets)
    if min(sweep) < 1:
        raise click.UsageError("--methods, --seeds and --budgets are at least 1")
    made = []
    with Progress() as progress:
        of_partition = planning.family_sizes(source, partitions)
        for done, ((corpus, name), sizes) in enumerate(of_partition.items(), 1):
            found = planning.plan(sizes, rule.tolerances, alpha, planning.Guess(excess, flips), seed)
            made.append({"corpus": corpus, "partition": name, "evaluations": sweep.evaluations(found["n"]), **found})
            progress("planning partitions", done, len(of_partition))
    click.echo(json.dumps(made, indent=1) if as_json else "\n\n".join(_table(entry) for entry in made))


def _table(entry: dict[str, Any]) -> str:
    fewest = ", ".join(f"{f['rows']} for tolerance {f['tolerance']:g}" for f in entry["fewest_rows"])
    lines = [
        f"{entry['corpus']}, {entry['partition']}: {entry['n']} questions, {entry['evaluations']} answers to evaluate",
        f"  fewest rows a family needs: {fewest}",
        f"  {'family':<24}{'rows':>8}"
        + "".join(f"{f'power at {t:g}':>16}{'rows for 90%':>14}" for t in _tolerances(entry)),
    ]
    for family in entry["families"]:
        cells = "".join(
            f"{_percent(at['power']) if at['testable'] else 'untestable':>16}{at['rows_for_90'] or 'never':>14}"
            for at in family["at"]
        )
        lines.append(f"  {family['family']:<24}{family['n']:>8}{cells}")
    together = "".join(f"{_percent(at['power']):>16}{'':>14}" for at in entry["all_families_pass"])
    lines.append(f"  {'all of them':<24}{entry['n']:>8}{together}".rstrip())
    return "\n".join(lines)


def _tolerances(entry: dict[str, Any]) -> list[float]:
    return [f["tolerance"] for f in entry["fewest_rows"]]


def _percent(share: float) -> str:
    return f"{share:.0%}"
