"""The decision table of a certificate, for a terminal: one line per verdict, then what to do next."""

from typing import Any

_HEADER = ("method", "partition", "tolerance", "decision", "budget", "judged at", "worst family", "excess", "hidden")


def decision_table(certificate: dict[str, Any]) -> str:
    """Plain text: verdicts by answerer and corpus, the next steps, and the warnings."""
    lines: list[str] = []
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for result in certificate["results"]:
        groups.setdefault((result["answerer"], result["corpus"]), []).append(result)
    for (answerer, corpus), results in groups.items():
        first = results[0]
        sources = f" from {first['sources']} recordings" if first["sources"] < first["n"] else ""
        lines.append(
            f"{answerer} on {corpus}: {first['n']} questions{sources}, {_raw(first, certificate)} on raw audio"
        )
        lines += aligned([_HEADER, *(row for result in results for row in _rows(result))])
        lines += ["", "What to do next", *_next_steps(results), ""]
    lines += [f"warning: {warning}" for warning in certificate["warnings"]]
    return "\n".join(lines).rstrip()


def _rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for certified in result["certified"]:
        budget, tolerance = certified["budget"], certified["tolerance"]
        ships = budget is not None and budget < 1
        entry = _entry(result, budget if ships else None)
        rows.append(
            (
                _name(result),
                result["partition"],
                f"{tolerance:g}",
                "approve" if ships else "refuse",
                f"{budget:g}" if ships else "none",
                f"{entry['budget']:g}",
                entry["worst_family"],
                f"{entry['excess_family']['estimate']:+.4f}",
                f"{entry['hidden_damage']:.4f}",
            )
        )
    return rows


def _next_steps(results: list[dict[str, Any]]) -> list[str]:
    """What each refusal asks for, one line per method, partition and tolerance; training seeds share a line."""
    seeds: dict[tuple[str, str, str, str], list[str]] = {}
    for result in results:
        for certified in result["certified"]:
            advice = certified["next"]
            if advice["action"] != "ship":
                line = (result["method"], result["partition"], f"{certified['tolerance']:g}", advice["text"])
                seeds.setdefault(line, []).append(str(result["seed"]))
    return [
        f"  {method}{_seeds(of_line)} ({partition}, {tolerance}): {text}"
        for (method, partition, tolerance, text), of_line in seeds.items()
    ] or ["  ship: every method has an approved budget"]


def _seeds(seeds: list[str]) -> str:
    return "" if seeds == ["0"] else f" seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"


def _raw(result: dict[str, Any], certificate: dict[str, Any]) -> str:
    nll = certificate["rule"]["loss"] == "nll"
    return f"mean nll {result['raw_loss']:.3f}" if nll else f"{result['raw_loss']:.1%} wrong"


def _name(result: dict[str, Any]) -> str:
    return str(result["method"]) + (f" seed {result['seed']}" if result["seed"] else "")


def _entry(result: dict[str, Any], budget: float | None) -> dict[str, Any]:
    """The budget whose figures are shown: the approved one, else the largest compressed one."""
    compressed = [entry for entry in result["budgets"] if entry["budget"] < 1] or result["budgets"]
    found: dict[str, Any] = next((entry for entry in compressed if entry["budget"] == budget), compressed[-1])
    return found


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as lines, each column as wide as its widest cell."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
