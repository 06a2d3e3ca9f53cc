"""The store: within its budget after every call, and better than luck."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.answerers.shared.memory import Store


class Thing:
    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes


def misses(uses: Sequence[int], size: dict[int, int], budget: int) -> int:
    """How often something has to be made when `uses` are needed one after the other."""
    store: Store[Thing] = Store(budget)
    made = 0
    for i, key in enumerate(uses):
        next_use = next((j for j in range(i + 1, len(uses)) if uses[j] == key), None)
        value = store.take(key, next_use)
        if value is None:
            made += 1
            store.keep(key, Thing(size[key]), next_use)
        assert store.held_bytes == sum(e.nbytes for e in store._entries.values()) <= budget
    assert len(store) == 0  # nothing is held for a use that never comes
    return made


def least_misses(uses: Sequence[int], room: int) -> int:
    """The fewest possible, for things of equal size, by trying everything."""
    best: dict[frozenset[int], int] = {frozenset(): 0}
    for key in uses:
        after: dict[frozenset[int], int] = {}
        for held, made in best.items():
            now = made + (key not in held)
            options = (
                [held | {key}] if len(held | {key}) <= room else [(held - {gone}) | {key} for gone in held - {key}]
            )
            for option in [*options, held]:
                after[option] = min(after.get(option, 10**9), now)
        best = after
    return min(best.values())


@given(uses=st.lists(st.integers(0, 4), max_size=12), room=st.integers(1, 4))
def test_no_policy_makes_fewer(uses: list[int], room: int) -> None:
    assert misses(uses, dict.fromkeys(range(5), 10), 10 * room) == least_misses(uses, room)


@given(
    uses=st.lists(st.integers(0, 5), max_size=30),
    sizes=st.lists(st.integers(1, 9), min_size=6, max_size=6),
    budget=st.integers(0, 20),
)
def test_things_of_any_size_stay_within_the_budget(uses: list[int], sizes: list[int], budget: int) -> None:
    misses(uses, dict(enumerate(sizes)), budget)
