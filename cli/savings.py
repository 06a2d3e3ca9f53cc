"""What a forecast of a sweep that stops when it is decided says, in lines of a terminal and as JSON."""

from typing import TYPE_CHECKING, Any

from earmark.cli.progress import duration
from earmark.engine.design.sections import Until

if TYPE_CHECKING:
    from earmark.engine.sweep.forecast import Effort, Forecast


_LITTLE = 0.05  # share of the answers that is hardly worth stopping for
_SMALL = "families this small take nearly all their questions"


def lines(forecast: "Forecast", until: Until) -> list[str]:
    """What people are told; of a spec that asks until it is complete, in a line what it could save."""
    if forecast.nothing:
        return [f'until = "decided": nothing will be asked, {forecast.nothing}'] if until == "decided" else []
    everything, safe = forecast.everything, forecast.safe
    instead = _instead(safe, everything)
    for_verdicts = everything.answers - forecast.deferred
    spares_little = safe.answers > (1 - _LITTLE) * for_verdicts
    share, harmed = (_percent(case.answers / for_verdicts) for case in (safe, forecast.harmed))
    if until == "complete":
        of_them = f"of the {for_verdicts:,} that verdicts need" if forecast.deferred else "of them"
        if spares_little:
            return [
                f'until = "decided" in [sweep] would ask about {share} {of_them} if all is safe: {_SMALL}; '
                f"about {harmed} if a family is harmed"
            ]
        hint = f'until = "decided" in [sweep] would ask about {share} {of_them}'
        return [f"{hint}: {instead}" if instead else f"{hint}, if all is safe"]
    return [
        f'until = "decided": about {_about(safe.answers)} of {for_verdicts:,} answers ({share}) if all is safe,',
        f"  about {_about(forecast.harmed.answers)} ({harmed}) if a family is harmed "
        f"(a guess: {_changes(forecast)} of them change)",
        *([f"  {_SMALL}, which spares little if all is safe"] if spares_little else []),
        *([f"  {instead}"] if instead else []),
        *(
            [f"  {forecast.deferred:,} more are about permuted questions, which no verdict needs"]
            if forecast.deferred
            else []
        ),
    ]


def content(forecast: "Forecast") -> dict[str, Any]:
    """The same for programs."""
    return {
        "evaluations": forecast.everything.answers,
        "deferred": forecast.deferred,
        "flips": list(forecast.flips),
        "nothing": forecast.nothing or None,
        **{case: getattr(forecast, case)._asdict() for case in ("everything", "safe", "harmed")},
    }


def _instead(effort: "Effort", other: "Effort") -> str:
    """The time and the money of one instead of the other, where they are known."""
    parts = []
    if effort.seconds is not None and other.seconds is not None:
        parts.append(f"{duration(effort.seconds)} instead of {duration(other.seconds)}")
    if effort.cost is not None and other.cost is not None:
        parts.append(f"a cost of {_cost(effort.cost)} instead of {_cost(other.cost)}")
    return "; ".join(parts)


def _changes(forecast: "Forecast") -> str:
    shares = [f"{100 * share:.3g}" for share in forecast.flips]
    return f"{' to '.join(dict.fromkeys(shares))}%"


def _about(answers: int) -> str:
    """A number of answers, to three digits: it is a guess."""
    return f"{float(f'{answers:.3g}'):,.0f}"


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 0.01 else f"{share:.0%}"


def _cost(cost: float) -> str:
    return f"{cost:,.0f}" if cost >= 100 else f"{cost:,.2f}"
