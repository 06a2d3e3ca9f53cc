"""Draws the picture of the README: what the example's `energy` does to each family at 80% of the audio.

python examples/make_picture.py signed/certificate.json docs/average.svg
"""

import json
import sys
from pathlib import Path

METHOD, PARTITION, BUDGET = "energy", "task", 0.8
LEFT, ROW, POINT = 150, 30, 34  # of names, of a bar's height, and of one percentage point
STYLE = """
    text { font: 14px system-ui, sans-serif; fill: #24292f }
    .harm { fill: #cf222e } .safe { fill: #57606a }
    .line { stroke: #0969da; stroke-width: 2 } .word { fill: #0969da }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .harm { fill: #ff7b72 } .safe { fill: #8b949e }
      .line { stroke: #58a6ff } .word { fill: #58a6ff }
    }"""


def main() -> None:
    """Read a certificate, and write the picture."""
    certificate, out = map(Path, sys.argv[1:])
    results = json.loads(certificate.read_text())["results"]
    (result,) = [r for r in results if (r["method"], r["partition"]) == (METHOD, PARTITION)]
    (at,) = [entry for entry in result["budgets"] if entry["budget"] == BUDGET]
    harms = sorted(((f["excess"], f["family"]) for f in at["families"]), reverse=True)
    out.write_text(picture([(at["excess_average"]["estimate"], "all questions"), *harms], 0.05))


def picture(bars: list[tuple[float, str]], tolerance: float) -> str:
    """The bars (excess, name), the average first, and a line at the tolerance."""
    height = ROW * (len(bars) + 1) + 30
    at = LEFT + 100 * tolerance * POINT
    parts = [bar(place, excess, name, tolerance) for place, (excess, name) in enumerate(bars)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {height}" width="640" height="{height}" role="img"'
        f' aria-label="Excess error at {BUDGET:.0%} of the audio: within tolerance on average, not in every family">\n'
        f"  <style>{STYLE}\n  </style>\n"
        + "\n".join(parts)
        + f'\n  <line class="line" x1="{at:.0f}" x2="{at:.0f}" y1="8" y2="{height - 24}"/>\n'
        f'  <text class="word" x="{at:.0f}" y="{height - 8}" text-anchor="middle">'
        f"tolerance {100 * tolerance:.0f} points</text>\n"
        "</svg>\n"
    )


def bar(place: int, excess: float, name: str, tolerance: float) -> str:
    """One bar, with its name and its excess in percentage points; the first one stands apart."""
    top = 10 + ROW * place + (ROW // 2 if place else 0)
    kind = "harm" if excess > tolerance else "safe"
    width = 100 * max(excess, 0) * POINT
    return (
        f'  <text x="0" y="{top + 16}">{name}</text>\n'
        f'  <rect class="{kind}" x="{LEFT}" y="{top}" width="{width:.1f}" height="{ROW - 8}"/>\n'
        f'  <text x="{LEFT - 10}" y="{top + 16}" text-anchor="end">{100 * excess:+.1f}</text>'
    )


if __name__ == "__main__":
    main()
