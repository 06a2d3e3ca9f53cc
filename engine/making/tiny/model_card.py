"""The model card of a trained folder: `python -m earmark.engine.making.tiny.model_card FOLDER --name tiny-a`.

Every figure is measured when the card is written, or read from the training's own record.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

from earmark.engine.corpus.synthetic.clips import SLOTS
from earmark.engine.corpus.synthetic.questions import FAMILIES, TWO_FACTOR
from earmark.engine.making.tiny import evaluate
from earmark.engine.making.tiny.evaluate import CHANCE, POLICIES, HitRate, Tally
from earmark.engine.making.tiny.stages import seeds_of
from earmark.engine.making.tiny.state import Learner
from earmark.engine.making.tiny.training_run import RECORD

BUDGETS = tuple(f"{k / SLOTS:.1f}" for k in range(1, SLOTS + 1))
TEMPLATE = Path(__file__).with_name("card.md")


def write_card(folder: Path, name: str, clips: int, table_clips: int) -> str:
    """Measure the model in `folder` and write its README.md."""
    learner = Learner.opened(folder)
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    held_out = evaluate.held_out(learner, clips)
    compressed = evaluate.compressed(learner, table_clips)
    factors = evaluate.two_factor(learner, table_clips)
    disturbed = evaluate.disturbed(learner, table_clips)
    raw = min(held_out["raw", family].share for family in TWO_FACTOR)
    values = {
        "name": name,
        "seed": record["seed"],
        "length": "" if record["length"] == 1 else f" --length {record['length']:g}",
        "note": f" {record['note']}" if "note" in record else "",
        "clip_seed": seeds_of(record["seed"])[0],
        "gate_seed": seeds_of(record["seed"])[1],
        "minutes": f"{record['minutes']:.0f}",
        "versions": ", ".join(f"{package} {version}" for package, version in record["versions"].items()),
        "parameters": f"{sum(p.numel() for p in learner.model.parameters()):,}",
        "megabytes": f"{(folder / 'model.safetensors').stat().st_size / 1e6:.1f}",
        "clips": f"{clips:,}",
        "questions": f"{clips * len(FAMILIES):,}",
        "table_clips": f"{table_clips:,}",
        "chance": f"{100 * CHANCE:.0f}",
        "held_out": family_table(held_out, "audio"),
        "compressed": compressed_tables(compressed),
        "spread": spread(compressed),
        "factors": factor_table(factors),
        "conditioned_needs": evaluate.needed(factors, "conditioned", raw),
        "agnostic_needs": evaluate.needed(factors, "agnostic", raw),
        "disturbed": family_table(disturbed, "disturbance"),
        "stages": stage_table(record["stages"]),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace("{{" + key + "}}", str(value))
    (folder / "README.md").write_text(text, encoding="utf-8")
    return text


def family_table(tally: Tally, heading: str) -> str:
    """A row per condition, a column per family, in percent."""
    conditions = list(dict.fromkeys(key[0] for key in tally))
    rows = [[c, *(percent(tally[c, family]) for family in FAMILIES), mean(tally, (c,))] for c in conditions]
    return table([heading, *FAMILIES, "mean"], rows)


def compressed_tables(tally: Tally) -> str:
    """A table per policy: a row per family, a column per budget."""
    blocks = []
    for policy in (*POLICIES, "energy, ideal listener"):
        rows = [[family, *(percent(tally[policy, budget, family]) for budget in BUDGETS)] for family in FAMILIES]
        rows.append(["mean", *(mean(tally, (policy, budget)) for budget in BUDGETS)])
        blocks.append(f"**{policy}**\n\n" + table(["family", *BUDGETS], rows))
    return "\n\n".join(blocks)


def spread(tally: Tally) -> str:
    """What energy at half the audio loses in each family, in points of accuracy."""
    lost = {f: 100 * (tally["energy", "1.0", f].share - tally["energy", "0.5", f].share) for f in FAMILIES}
    return ", ".join(f"{family} {points:.1f}" for family, points in sorted(lost.items(), key=lambda item: item[1]))


def factor_table(tally: Tally) -> str:
    """A row per oracle and part, a column per budget."""
    rows = [
        [oracle, family, *(percent(tally[oracle, budget, family]) for budget in BUDGETS)]
        for oracle in ("conditioned", "agnostic")
        for family in TWO_FACTOR
    ]
    return table(["oracle", "part", *BUDGETS], rows)


def stage_table(reports: list[dict[str, Any]]) -> str:
    """A row per stage: steps, minutes since the start, what its gate asked and measured."""
    rows = []
    for report in reports:
        measured = ", ".join(f"{name} {value:.3f}" for name, value in report["measured"].items())
        rows.append(
            [report["stage"], f"{report['steps']:,}", f"{report['minutes']:.0f}", str(report["gate"]), measured]
        )
    return table(["stage", "steps", "minutes so far", "gate", "measured"], rows)


def percent(rate: HitRate) -> str:
    """A share in percent."""
    return f"{100 * rate.share:.1f}"


def mean(tally: Tally, key: tuple[str, ...]) -> str:
    """The mean over families, in percent."""
    return f"{100 * sum(tally[*key, family].share for family in FAMILIES) / len(FAMILIES):.1f}"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure a trained folder on the certification split and write its model card."""
    parser = argparse.ArgumentParser(prog="python -m earmark.engine.making.tiny.model_card", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", required=True, help="what the card calls the model")
    parser.add_argument("--clips", type=int, default=2_000, help="for the held-out table; six questions each")
    parser.add_argument("--table-clips", type=int, default=500, help="for each cell of the other tables")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    write_card(chosen.folder, chosen.name, chosen.clips, chosen.table_clips)
    print(chosen.folder / "README.md", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
