"""The populations in which the promise is checked. Nearly all are unsafe by a hair, so that alpha is used up.

Each is built so that one way of being wrong would show: names that follow the harm, recordings of unequal size, several
chances to approve, losses that are not 0 or 1.
"""

from collections.abc import Callable, Sequence

import numpy as np
from papers_rule import WORLDS, World
from populations import (
    BUDGETS,
    ONE,
    PARTITION,
    Draw,
    FloatArray,
    Group,
    Population,
    Stratum,
    Truth,
    changes,
    population,
)

UNSAFE = 0.051
NINE = tuple(round(0.1 * i, 1) for i in range(1, 10))
EIGHT = tuple(f"m{i}" for i in range(8))


def flat(excess: float, n: int = len(BUDGETS)) -> Truth:
    """The same excess at every budget, over rows and over recordings."""
    return Truth(np.full(n, excess), np.full(n, excess))


def alone(n: int, excess: float | Sequence[float] = UNSAFE, minus: float = 0.01, family: str = "a") -> Group:
    """A family of n rows, each of a recording of its own."""
    return Group(n, (Stratum(1.0, excess, minus, (1,)),), family)


def shared(
    recordings: int, sizes: Sequence[int], excess: float = UNSAFE, icc: float = 0.5, minus: float = 0.02
) -> Group:
    return Group(recordings, (Stratum(1.0, excess, minus, sizes),), icc=icc)


def halves(sizes: Sequence[int], recordings: int, names: tuple[str, str], fixed: bool = True) -> Group:
    """Half of the recordings, whose names come first, is unharmed."""
    strata = (Stratum(0.5, 0.0, 0.005, sizes, names[0]), Stratum(0.5, 2 * UNSAFE, 0.005, sizes, names[1]))
    return Group(recordings, strata, fixed=fixed)


# Populations that no table of groups describes ----------------------------------------------------------------


def custom(
    name: str,
    draw: Callable[[np.random.Generator], Draw],
    truth: dict[tuple[str, str, str], Truth],
    average: Truth | None = None,
    **options: object,
) -> Population:
    arms = {arm for arm, _, _ in truth}
    return Population(name, draw, truth, dict.fromkeys(arms, average or flat(0.0)), **options)  # type: ignore[arg-type]


def rows_alone(n: int, prefix: str = "r") -> tuple[list[str], list[str]]:
    """Names of n rows, each of a recording of its own."""
    names = [f"{prefix}{i:05d}" for i in range(n)]
    return names, names


def bernoulli(rng: np.random.Generator, n: int, plus: float, minus: float, budgets: int = len(BUDGETS)) -> FloatArray:
    """(n, B) coupled changes of independent rows."""
    return changes(rng, np.full((n, budgets), plus), np.full((n, budgets), minus), np.arange(n))


def graded(
    name: str, values: Sequence[float], shares: Sequence[float], n: int, rows: int = 1, **options: object
) -> Population:
    """Losses that change by some of `values`, the same at all budgets; rows of a recording alike."""
    mean = float(np.dot(values, shares))

    def draw(rng: np.random.Generator) -> Draw:
        change = rng.choice(values, size=n, p=shares)
        difference = np.repeat(np.tile(change[:, None], len(BUDGETS)), rows, axis=0)
        names = [f"r{i:05d}" for i in range(n) for _ in range(rows)]
        samples = [f"r{i:05d}/{k}" for i in range(n) for k in range(rows)]
        return Draw(samples, names, {PARTITION: ["a"] * len(names)}, {ONE: difference})

    return custom(name, draw, {(ONE, PARTITION, "a"): flat(mean)}, **options)


def drifting(name: str, n: int) -> Population:
    """Names are dates, and harm grows with them."""

    def draw(rng: np.random.Generator) -> Draw:
        rate = np.linspace(0, 2 * UNSAFE, n)
        sizes = np.full(n, 3)
        of_rows = np.repeat(np.arange(n), sizes)
        plus = np.tile(rate[of_rows][:, None], len(BUDGETS))
        difference = changes(rng, plus, np.zeros_like(plus), of_rows, 0.5)
        names = [f"2024-{1 + i // 30:02d}-{i % 30:02d}-{i:04d}" for i in of_rows]
        samples = [f"{name}/{k}" for k, name in enumerate(names)]
        return Draw(samples, names, {PARTITION: ["a"] * len(names)}, {ONE: difference})

    return custom(name, draw, {(ONE, PARTITION, "a"): flat(UNSAFE)})


def second_question(name: str, recordings: int) -> Population:
    """Two questions about each recording; the second, by its name, is harmed, the first is not."""

    def draw(rng: np.random.Generator) -> Draw:
        plus = np.zeros((2 * recordings, len(BUDGETS)))
        plus[1::2] = 2 * UNSAFE
        difference = changes(rng, plus, np.zeros_like(plus), np.repeat(np.arange(recordings), 2))
        names = [f"r{i:05d}" for i in range(recordings) for _ in range(2)]
        samples = [f"r{i:05d}/q{k}" for i in range(recordings) for k in range(2)]
        # Recordings with one question more hold the average below the limit of one row each.
        alone_names = [f"s{i:05d}" for i in range(recordings // 4)]
        more = bernoulli(rng, len(alone_names), UNSAFE, 0.0)
        return Draw(
            samples + alone_names, names + alone_names, {PARTITION: ["a"] * (len(names) + len(alone_names))},
            {ONE: np.concatenate([difference, more])},
        )  # fmt: skip

    return custom(name, draw, {(ONE, PARTITION, "a"): flat(UNSAFE)})


def across_families(
    name: str, recordings: int, excess: Sequence[float], minus: float = 0.0, icc: float = 0.8, **options: object
) -> Population:
    """Every recording has one question of each family, and its questions share its fate."""
    families, budgets = len(excess), len(options.get("budgets", BUDGETS))  # type: ignore[arg-type]

    def draw(rng: np.random.Generator) -> Draw:
        of_rows = np.repeat(np.arange(recordings), families)
        plus = np.tile(np.tile(excess, recordings)[:, None] + minus, budgets)
        difference = changes(rng, plus, np.full_like(plus, minus), of_rows, icc)
        names = [f"r{i:04d}" for i in of_rows]
        labels = [f"f{k}" for _ in range(recordings) for k in range(families)]
        samples = [f"{r}/{f}" for r, f in zip(names, labels, strict=True)]
        return Draw(samples, names, {PARTITION: labels}, {ONE: difference})

    truth = {(ONE, PARTITION, f"f{k}"): flat(of, budgets) for k, of in enumerate(excess)}
    return custom(name, draw, truth, flat(float(np.mean(excess)), budgets), same_names=True, **options)


def partitions(name: str, n: int) -> Population:
    """Three partitions of the same rows; a family of the finest is unsafe."""

    def draw(rng: np.random.Generator) -> Draw:
        label = np.arange(n) % 4
        plus = np.tile(np.where(label == 3, UNSAFE, 0.0)[:, None] + 0.01, len(BUDGETS))
        difference = changes(rng, plus, np.full_like(plus, 0.01), np.arange(n))
        samples, names = rows_alone(n)
        labels = {
            "coarse": ["all" if k % 2 else "half" for k in label],
            "middle": [f"m{k // 2}" for k in label],
            "fine": [f"f{k}" for k in label],
        }
        return Draw(samples, names, labels, {ONE: difference})

    half, none = flat(UNSAFE / 2), flat(0.0)
    truth = {
        (ONE, "coarse", "half"): none, (ONE, "coarse", "all"): half, (ONE, "middle", "m0"): none,
        (ONE, "middle", "m1"): half, (ONE, "fine", "f3"): flat(UNSAFE),
        **{(ONE, "fine", f"f{k}"): none for k in range(3)},
    }  # fmt: skip
    return custom(name, draw, truth)


def failing(name: str, n: int) -> Population:
    """Answers stay as they are, but rows fail."""

    def draw(rng: np.random.Generator) -> Draw:
        samples, names = rows_alone(n)
        fails = bernoulli(rng, n, UNSAFE, 0.0) > 0
        change = np.zeros((n, len(BUDGETS)))
        return Draw(samples, names, {PARTITION: ["a"] * n}, {ONE: change}, {ONE: fails})

    return custom(name, draw, {(ONE, PARTITION, "a"): flat(UNSAFE)}, rule={"max_error_rate": 0.5})


def one_of_four(name: str, recordings: int) -> Population:
    """At most one of the four questions of a recording is newly wrong: rows repel one another."""

    def draw(rng: np.random.Generator) -> Draw:
        difference = np.zeros((recordings, 4))
        hit = rng.random(recordings) < 4 * UNSAFE
        difference[np.flatnonzero(hit), rng.integers(4, size=int(hit.sum()))] = 1.0
        names = [f"r{i:05d}" for i in range(recordings) for _ in range(4)]
        samples = [f"r{i:05d}/{k}" for i in range(recordings) for k in range(4)]
        column = difference.reshape(-1, 1)
        return Draw(samples, names, {PARTITION: ["a"] * len(names)}, {ONE: np.tile(column, len(BUDGETS))})

    return custom(name, draw, {(ONE, PARTITION, "a"): flat(UNSAFE)})


def one_bad_seed(name: str, n: int) -> Population:
    """Three seeds of one method, which are one candidate; the last is unsafe."""
    arms = ("m@1", "m@2", "m@3")

    def draw(rng: np.random.Generator) -> Draw:
        samples, names = rows_alone(n)
        made = {arm: bernoulli(rng, n, UNSAFE if arm == "m@3" else 0.0, 0.0) for arm in arms}
        return Draw(samples, names, {PARTITION: ["a"] * n}, made)

    truth = {(arm, PARTITION, "a"): flat(UNSAFE if arm == "m@3" else 0.0) for arm in arms}
    return custom(name, draw, truth)


def merged(name: str) -> Population:
    """Three families too small to be tested join a parent, which is unsafe then."""
    sizes = {"x": 40, "y": 40, "z": 40, "large": 400}

    def draw(rng: np.random.Generator) -> Draw:
        labels = [family for family, n in sizes.items() for _ in range(n)]
        samples, names = rows_alone(len(labels))
        plus = np.array([[0.0 if family == "large" else UNSAFE] * len(BUDGETS) for family in labels])
        return Draw(
            samples, names, {PARTITION: labels}, {ONE: changes(rng, plus, np.zeros_like(plus), np.arange(len(labels)))}
        )

    truth = {(ONE, PARTITION, "rest"): flat(UNSAFE), (ONE, PARTITION, "large"): flat(0.0)}
    return custom(name, draw, truth, rule={"parents": {"x": "rest", "y": "rest", "z": "rest"}})


def mixed_tests(name: str) -> Population:
    """One family is tested on its rows, one on a row of each recording, one by bets; the last two are unsafe."""
    groups = (
        alone(300, 0.0, 0.02, "exact"),
        Group(250, (Stratum(1.0, UNSAFE, 0.02, (1, 2)),), "one-row"),
        Group(200, (Stratum(1.0, UNSAFE, 0.02, (3, 5, 9)),), "bets"),
    )
    return population(name, groups)


AUDITED = (
    population("data sets in the names, harm in the second: 300 x 4", [halves((4,), 300, ("CoVoST", "VoxPopuli"))]),
    population("the same, as chance has it", [halves((4,), 300, ("CoVoST", "VoxPopuli"), fixed=False)]),
    population("the same, one question each", [halves((1,), 600, ("CoVoST", "VoxPopuli"))]),
    population("file names, harm in the last: 200 x 8", [halves((8,), 200, ("clip_a", "clip_b"))]),
    drifting("dates in the names, harm grows: 400 x 3", 400),
    population(
        "rare giants that are harmed, rows declared (at most 40)",
        [Group(600, (Stratum(0.98, 0.0, 0.0, (1, 2, 3), "a"), Stratum(0.02, 0.178, 0.0, (40,), "b")))],
        rule={"max_rows_per_recording": 40},
    ),
    population(
        "rare giants, the others are harmed: 400",
        [Group(400, (Stratum(0.03, 0.0, 0.0, (60,), "a"), Stratum(0.97, 0.0526, 0.01, (1, 2, 3, 4), "b")))],
    ),
    population(
        "giants of 200 rows in 1 of 1,000 recordings carry the harm",
        [Group(600, (Stratum(0.999, 0.0, 0.0, (1, 2, 3), "a"), Stratum(0.001, 0.9, 0.0, (200,), "b")))],
    ),
    population(
        "the same, rows declared (at most 200)",
        [Group(600, (Stratum(0.999, 0.0, 0.0, (1, 2, 3), "a"), Stratum(0.001, 0.9, 0.0, (200,), "b")))],
        rule={"max_rows_per_recording": 200},
    ),
    population(
        "one row of each, the long ones harmed: 800",
        [Group(800, (Stratum(0.7, 0.0, 0.0, (1,), "a"), Stratum(0.3, 0.08, 0.0, (10,), "b")))],
        rule={"clustering": "one-row"},
    ),
    population(
        "short recordings are harmed, long ones are not: 800 of 3 or 9",
        [Group(800, (Stratum(0.5, 2 * UNSAFE, 0.0, (3,), "a"), Stratum(0.5, 0.0, 0.0, (9,), "b")))],
    ),
    population("300 recordings of 1 to 10 rows", [shared(300, tuple(range(1, 11)))]),
    population("200 of geometric sizes", [shared(200, (1, 1, 1, 2, 2, 3, 4, 6, 8, 14))]),
    population("306 recordings, 27 of two rows", [Group(306, (Stratum(1.0, UNSAFE, 0.02, (1,) * 10 + (2,)),))]),
    population("mild repeats: 250 of 1 to 3 rows", [shared(250, (1, 2, 2, 3))]),
    across_families("four families share 250 recordings", 250, (0.03, 0.03, 0.03, UNSAFE)),
    graded(
        "losses of a quarter: 600", (-0.25, 0.0, 0.25, 1.0), (0.08, 0.799, 0.09, 0.031), 600,
        rule={"tolerances": (0.033,)},
    ),
    graded("skewed losses: rare large harm, 500 x 2", (-0.02, 0.0, 1.0), (0.5, 0.439, 0.061), 500, 2),
    graded("real losses: 400 x 3", (-0.5, -0.1, 0.0, 0.3, 0.9), (0.02, 0.1, 0.75, 0.07, 0.06), 400, 3),
    population(
        "one row of each, declared: 400 of 1 to 10", [shared(400, tuple(range(1, 11)))], rule={"clustering": "one-row"}
    ),
    population("5 recordings of 40 rows", [shared(5, (40,), icc=0.2)]),
    population("20 recordings of 10 rows", [shared(20, (10,), icc=0.2)]),
    population("60 recordings of 10 rows", [shared(60, (10,), icc=0.2)]),
    population("80 recordings of 10 rows", [shared(80, (10,), icc=0.2, minus=0.0)]),
    partitions("three partitions, a family of the finest is unsafe", 800),
    population("8 candidates, all unsafe: 600 rows", [alone(600, UNSAFE, 0.03)], EIGHT),
    population("claim both: 8 families of 400, two unsafe", [
        *(alone(400, 0.01, 0.02, f"s{i}") for i in range(6)), *(alone(400, UNSAFE, 0.02, f"u{i}") for i in range(2)),
    ], rule={"claim": "both"}),
    population("routing: 9 families of 400, all unsafe", [
        alone(400, UNSAFE, 0.02, f"f{i}") for i in range(9)
    ], rule={"claim": "routing"}),
    population("a tighter average: .021, tolerance .02", [
        alone(1500, 0.021, 0.02, f"f{i}") for i in range(4)
    ], rule={"tolerance_average": 0.02}),
    failing("rows fail, .051 of them: 400", 400),
)  # fmt: skip

OWN = (
    second_question("the second question of each recording is harmed: 400", 400),
    population("recordings are all or nothing: 300 x 4", [shared(300, (4,), icc=1.0)]),
    one_of_four("rows of a recording repel one another: 300 x 4", 300),
    mixed_tests("three families, three tests"),
    merged("small families join an unsafe parent"),
    one_bad_seed("three seeds, one unsafe: 300", 300),
    population("many answers change both ways: 400, P(-1) = .2", [alone(400, UNSAFE, 0.2)]),
    population("nine budgets, every other one unsafe", [
        alone(500, tuple(UNSAFE if i % 2 == 0 else 0.0 for i in range(9)), 0.01)
    ], budgets=NINE, coupled=False),
    population("a declared budget was left out: .9 of .3, .6, .9", [
        alone(500, (0.0, 0.0, UNSAFE), 0.0)
    ], missing=(0.9,)),
    graded("now and then half a loss: 400", (0.0, 0.5, 1.0), (0.9475, 0.003, 0.0495), 400),
    population("tolerance .02, at .0205: 1,500", [alone(1500, 0.0205, 0.005)], rule={"tolerances": (0.02,)}),
    population("tolerance .10, at .101: 200 x 5", [shared(200, (5,), 0.101)], rule={"tolerances": (0.10,)}),
    population("just large enough: 74 rows", [alone(74, UNSAFE, 0.0)]),
    population("routing with families that get no share", [
        alone(400, UNSAFE, 0.0, "large"), alone(120, UNSAFE, 0.0, "middle"), alone(90, UNSAFE, 0.0, "small"),
        alone(30, 0.2, 0.0, "tiny"),
    ], rule={"claim": "routing"}),
    population("routing by bets: 3 families of 200 x 4", [
        Group(200, (Stratum(1.0, UNSAFE, 0.01, (4,)),), f"f{i}") for i in range(3)
    ], rule={"claim": "routing"}),
    population("4 candidates, bets, claim both", [shared(250, (2, 4, 6))], EIGHT[:4], rule={"claim": "both"}),
    population("rows declared, giants in their names' order: at most 20", [
        Group(300, (Stratum(0.5, 0.0, 0.0, (20,), "a"), Stratum(0.5, 0.102, 0.0, (20,), "b")), fixed=True)
    ], rule={"max_rows_per_recording": 20}),
)  # fmt: skip


def of_world(world: World) -> Population:
    """One of the first worlds as a population."""
    groups = [
        Group(
            family.n // world.rows_per_source,
            (Stratum(1.0, tuple(family.excess.tolist()), float(family.minus[0]), (world.rows_per_source,)),),
            f"f{i:02d}",
            world.icc,
        )
        for i, family in enumerate(world.families)
    ]
    rule: dict[str, object] = {"tolerances": (world.tolerance,)}
    if world.tolerance_average is not None:
        rule["tolerance_average"] = world.tolerance_average
    return population(world.name, groups, rule=rule, budgets=NINE, coupled=world.coupled)


FIRST = tuple(of_world(world) for world in WORLDS)

# Power ---------------------------------------------------------------------------------------------------------

POWER = (
    across_families(
        "six families of 200 rows about 200 recordings, flips 3%", 200, (0.0,) * 6, 0.015, 0.5, budgets=(0.5,)
    ),
    population("six families of 200 rows, none shared, flips 3%", [
        alone(200, 0.0, 0.015, f"f{i}") for i in range(6)
    ], budgets=(0.5,)),
    population("200 recordings of geometric sizes, flips 3%", [
        Group(200, (Stratum(1.0, 0.0, 0.015, (1, 1, 1, 2, 2, 3, 4, 6, 8, 14)),))
    ], budgets=(0.5,)),
    population("306 recordings, 27 of two rows, flips 8%", [
        Group(306, (Stratum(1.0, 0.0, 0.04, (1,) * 10 + (2,)),))
    ], budgets=(0.5,)),
    population("300 recordings of 1 to 10 rows, ICC .5, excess .01", [
        Group(300, (Stratum(1.0, 0.01, 0.015, tuple(range(1, 11))),))
    ], budgets=(0.5,)),
    population("9 families of 400, flips 3%, routed", [
        alone(400, 0.0, 0.015, f"f{i}") for i in range(9)
    ], budgets=(0.5,), rule={"claim": "routing"}),
)  # fmt: skip
LEAST_POWER = (0.58, 0.55, 0.8, 0.8, 0.8, 0.99)

LOOKED_AT_TWICE = (
    population("300 rows", [alone(300, UNSAFE, 0.01)]),
    population("150 rows, many changes", [alone(150, UNSAFE, 0.08)]),
    population("250 recordings of 1 to 10 rows", [shared(250, tuple(range(1, 11)))]),
)
