"""What stands in the way of an approval before anything is asked: families that are too small, and what would help.

Knows what `describe` says of a corpus; opens no file.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from earmark.engine.errors import first_few

Needed = Callable[[float, int, int, int], int]  # tolerance, candidates, rows, recordings -> recordings it needs
_TOLERANCES = tuple(percent / 100 for percent in range(1, 31))  # that may be advised
_MOST_LABELS = 5  # that are named


class SmallFamily(NamedTuple):
    """A family that cannot be tested: whatever compression does to it, it refuses every budget."""

    partition: str
    name: str
    n_rows: int
    recordings: int
    needed: int


class Prospects(NamedTuple):
    """Whether the claim can approve anything of a corpus, and what would help where it cannot."""

    small: Sequence[SmallFamily]
    has_families: bool
    helps: Sequence[str]

    @property
    def words(self) -> str:
        """Why nothing can be approved; empty where something can."""
        if not self.has_families:
            return "nothing can be approved yet: the corpus brings no families"
        if not self.small:
            return ""
        names = first_few(dict.fromkeys(family.name for family in self.small))
        worst = max(self.small, key=lambda family: family.needed - family.recordings)
        return (
            f"nothing can be approved yet: too small to be tested: {names} "
            f"('{worst.name}' has {worst.recordings} of the {worst.needed} recordings it needs)"
        )


def prospects(
    corpus: Mapping[str, Any], fewest: Needed, tolerance: float, n_candidates: int, file: str, listing: str
) -> Prospects:
    """What `describe` said, judged; `file` is the spec, `listing` the command that lists families."""
    by_partition = {partition["name"]: partition["families"] for partition in corpus["partitions"]}
    if not by_partition:
        labels = [f'names = ["{name}"] ({n} families)' for name, n in corpus["labels"].items()]
        ways = ", ".join([*labels[:_MOST_LABELS], "a side file, or semantic clusters"])
        return Prospects((), False, [f"declare families in [partitions] of {file}: {ways}"])
    small = [
        SmallFamily(partition, family["family"], family["n"], family["recordings"], family["fewest"])
        for partition, families in by_partition.items()
        for family in families
        if not family["testable"]
    ]
    if not small:
        return Prospects((), True, ())
    shortage = max(family.needed - family.recordings for family in small)
    helps = [f"questions about {shortage:,} more recordings{' for each' if len(small) > 1 else ''}"]
    if any(family["testable"] for family in chain(*by_partition.values())) or _joined_suffice(corpus, small):
        helps.append(f"coarser families: merge them with [rule.parents] in {file} ({listing} lists all)")
    whole = [name for name in by_partition if name not in {family.partition for family in small}]
    if whole:
        helps.append(f"the partition {first_few(whole)} alone: names = ... in [partitions] of {file}")
    if n_candidates > 1 and _all_testable(small, fewest, tolerance, 1):
        helps.append(f"one candidate instead of {n_candidates}: they share alpha (candidates in [rule])")
    wider = next((t for t in _TOLERANCES if t > tolerance and _all_testable(small, fewest, t, n_candidates)), None)
    if wider is not None:
        helps.append(f"a tolerance of {wider:g}, if so much harm is tolerable: --tolerance {wider:g}")
    return Prospects(small, True, helps)


def _joined_suffice(corpus: Mapping[str, Any], small: Sequence[SmallFamily]) -> bool:
    """Whether all families in one would be large enough."""
    return bool(corpus["recordings"] >= max(family.needed for family in small))


def _all_testable(small: Sequence[SmallFamily], fewest: Needed, tolerance: float, n_candidates: int) -> bool:
    return all(
        family.recordings >= fewest(tolerance, n_candidates, family.n_rows, family.recordings) for family in small
    )
