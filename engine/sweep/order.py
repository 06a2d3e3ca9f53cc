"""What a sweep evaluates, in the order that makes early answers useful: raw, silence, then budgets from the largest
down, and the permuted questions of the audits after everything a verdict needs.

A level is complete before the next one begins. Pure: knows a spec and which methods read the question.
"""

from collections.abc import Collection, Sequence

from earmark.engine.outcomes.plan_file import RAW_LEVEL, SILENCE_LEVEL, Arm, Step
from earmark.engine.outcomes.schema import ANCHOR, SILENCE, UNCOMPRESSED
from earmark.engine.signoff.gain import AGNOSTIC, CONDITIONED
from earmark.engine.spec import Spec


def levels(spec: Spec, asking: Collection[str]) -> tuple[Step, ...]:
    """All levels of an answerer; `asking` are the methods whose selector reads the question."""
    made = [
        Step(RAW_LEVEL, 1.0, (Arm(UNCOMPRESSED, 0, ANCHOR),)),
        Step(SILENCE_LEVEL, 1.0, (Arm(SILENCE, 0, ANCHOR),)),
    ]
    anchors = tuple(Arm(method.name, seed, ANCHOR) for method in spec.methods for seed in method.seeds)
    made += [Step(f"anchor-{budget!r}", budget, anchors) for budget in spec.budgets]
    naive = naive_streams(spec)
    with_partners = {*asking, *(name.removesuffix(CONDITIONED) + AGNOSTIC for name in asking)}
    others = [
        Arm(method.name, seed, stream)
        for method in spec.methods
        for seed in method.seeds
        for stream in (*permuted_streams(spec), *naive)
        if method.name in (with_partners if stream in naive else asking)
    ]
    if naive and others:  # the answerer gets other questions there: they have a raw reference of their own
        made.append(Step("streams-1", 1.0, tuple(Arm(UNCOMPRESSED, 0, stream) for stream in naive)))
    if others:
        made += [Step(f"streams-{budget!r}", budget, tuple(others)) for budget in spec.budgets]
    return tuple(made)


def references(levels: Sequence[Step], level: Step) -> dict[Arm, tuple[Step, Arm]]:
    """With which raw reference each curve of a level is compared: that of its own stream, or the anchor's."""
    raw = {curve.stream: (of, curve) for of in levels for curve in of.curves if curve.method == UNCOMPRESSED}
    return {curve: raw.get(curve.stream, raw[ANCHOR]) for curve in level.curves if curve.method != UNCOMPRESSED}


def permuted_streams(spec: Spec) -> list[str]:
    """Only the selector gets another question."""
    return _numbered("permuted", spec.streams.permuted_global, spec.streams.permuted_family)


def naive_streams(spec: Spec) -> list[str]:
    """The answerer gets it too."""
    return _numbered("naive", spec.streams.naive_global, spec.streams.naive_family)


def _numbered(kind: str, everywhere: int, within: int) -> list[str]:
    return [f"{kind}-global-{i}" for i in range(1, everywhere + 1)] + [
        f"{kind}-family-{i}" for i in range(1, within + 1)
    ]
