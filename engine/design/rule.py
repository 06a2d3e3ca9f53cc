"""The declared rule: everything that is fixed before the outcomes are looked at.

Knows no files and no statistics; `signoff.rules` judges by it.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Literal, get_args

from earmark.engine.design.fields import Field, Number, Text, Texts, Whole, Word, default_of, field, fields_of, shown
from earmark.engine.errors import InputError

Name = Literal["certified", "paper"]
Loss = Literal["zero-one", "nll"]
Clustering = Literal["source", "one-row", "ignore"]
ClaimKind = Literal["budget", "routing", "both"]

PAPER_MIN_FAMILY = 30
BY_RULE = -1
REPLICATES: Mapping[Name, int] = {"paper": 10_000, "certified": 2_000}  # where they decide, and where they describe
SMALL_PHI, SUBSTANTIAL_PHI = 0.01, 0.05  # method 4: the bands of the query-use audit
_GAMMA_SHARE = 50  # method 9.2: gamma = alpha / 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What counts as safe, and how sure one must be."""

    name: Name = field(
        Word(*get_args(Name)),
        "what judges: certified (exact tests, false approvals at most alpha) or paper (bootstrap, no guarantee)",
        "certified",
        label="Rule",
        option="--rule",
    )
    loss: Loss = field(
        Word(*get_args(Loss)),
        "what is compared: the loss column, or the negative log-likelihood of the right answer",
        "zero-one",
        label="Loss",
        option="--loss",
    )
    alpha: float = field(
        Number(1e-6, 0.5),
        "accepted chance of a false approval; intervals cover 1 - 2 alpha",
        0.025,  # one-sided: the chance of a false approval, and of an upper end that is too low
        label="Accepted chance of a false approval, and of an end of an interval",
        option="--alpha",
    )
    tolerances: tuple[float, ...] = field(
        Number(0),
        "allowed excess error of the worst family; the first is claimed",
        (0.05,),
        many=True,
        label="Allowed excess of the worst family; the first is claimed",
        option="--tolerance",
        metavar="E",
    )
    tolerance_average: float | None = field(
        Number(0),
        "allowed average excess error",
        None,
        default="the same as the family's",
        label="Allowed average excess",
        absent="the same as the family's",
        option="--tolerance-average",
        metavar="E",
    )
    clustering: Clustering = field(
        Word(*get_args(Clustering)),
        "where rows share a recording: judge whole recordings, or one row of each, or ignore that",
        "source",
        label="Clustering",
        option="--clustering",
    )
    replicates: int = field(
        Whole(100, 10**6),
        "bootstrap replicates",
        BY_RULE,
        default="2000, they only describe; 10000 under the paper's rule",
        label="Bootstrap replicates",
        option="--replicates",
        metavar="R",
    )
    seed: int = field(
        Whole(0, 2**63 - 1), "seed of the bootstrap", 42, label="Bootstrap seed", option="--seed", metavar="S"
    )
    min_family: int | None = field(
        Whole(1, 10**9),
        "families with fewer rows join their parent",
        None,
        default="what the rule can test; 30 under the paper's",
        label="Fewest rows of a family",
        option="--min-family",
        metavar="N",
    )
    parents: Mapping[str, str] = field(
        Texts("a table of FAMILY = PARENT"),
        "where a family goes if it is rare",
        factory=dict,
        default="none",
        label="Declared parents of rare families",
        option="--parent",
        metavar="FAMILY=PARENT",
    )
    max_error_rate: float = field(
        Number(0, 1),
        "share of failed rows a cell may have; they count as harm",
        0.0,
        label="Highest error rate of a cell",
        option="--max-error-rate",
        metavar="SHARE",
    )
    partitions: tuple[str, ...] = field(
        Text("the name of a partition"),
        "a partition to certify",
        (),
        many=True,
        default="all of partitions.parquet, else the rows' query_family",
        label="Partitions",
        option="--partition",
        metavar="NAME",
    )
    reference_answerer: str | None = field(
        Text("the name of an answerer"),
        "whose agnostic selector is the reference of cross-backbone gains",
        None,
        default="the first by name",
        label="Reference answerer of cross-backbone gains",
        option="--reference-answerer",
        metavar="NAME",
    )
    in_domain: tuple[str, ...] = field(
        Text("the name of a method"),
        "certify METHOD though it was trained on sources of this corpus; the certificate says so",
        (),
        many=True,
        default="none",
        label="Methods declared to be certified on what trained them",
        option="--in-domain",
        metavar="METHOD",
    )
    claim: ClaimKind = field(
        Word(*get_args(ClaimKind)),
        "what is to be guaranteed: one budget for all questions, one for each family (policy.json), or both",
        "budget",
        label="What is claimed",
        option="--claim",
    )
    candidates: tuple[str, ...] = field(
        Text("the name of a method"),
        "what may be shipped, each takes its share of alpha: METHOD, or METHOD@SEED for one seed of it, "
        "ANSWERER/METHOD for it under one answerer",
        (),
        many=True,
        default="every method but uniform and random",
        label="What may be shipped",
        absent="every method; the baselines (uniform, random) only where there is nothing else",
        option="--candidate",
        metavar="METHOD",
    )
    looks: int = field(
        Whole(1, 100),
        "declares that rows will be added and looked at N times in all; each look spends its share of alpha",
        1,
        label="Declared looks at rows that grow",
        option="--looks",
        metavar="N",
    )
    max_rows_per_recording: int | None = field(
        Whole(1, 10**9),
        "test the mean over rows where recordings are shared, not over recordings; N must be known beforehand",
        None,
        default="none",
        label="Most rows of a recording, declared",
        absent="none: where rows share recordings, the mean over recordings is tested",
        option="--max-rows-per-recording",
        metavar="N",
    )
    source: str | None = field(
        Text("the name of a column, or none"),
        "the column of raw cells that names the recording; none: every row has one of its own",
        None,
        default="source_id",
        label="Column that names the recording",
        absent="source_id, where rows have one",
        option="--source",
        metavar="COLUMN",
    )
    allow_vacuous: tuple[str, ...] = field(
        Text("the name of a family"),
        "approve although FAMILY needs no audio",
        (),
        many=True,
        default="none",
        label="Families that need no audio, and may",
        absent="none",
        option="--allow-vacuous",
        metavar="FAMILY",
    )

    def __post_init__(self) -> None:
        for key, entry in fields_of(Rule).items():
            value, default = getattr(self, key), default_of(Rule, key)
            if type(value) is not type(default) or value != default:
                object.__setattr__(self, key, _checked(key, entry, value, default))
        if self.replicates == BY_RULE:
            object.__setattr__(self, "replicates", REPLICATES[self.name])
        average = () if self.tolerance_average is None else (self.tolerance_average,)
        for key, tolerances in (("tolerances", self.tolerances), ("tolerance_average", average)):
            for tolerance in tolerances:
                if tolerance >= 1 and self.loss == "zero-one":
                    raise _refusal(key, tolerance, "must be in [0, 1)", "0.05 allows 5 points of excess")
                if tolerance == 0 and self.name == "certified":
                    raise _refusal(key, 0, "no finite sample can show it", "allow a little, or use the paper's rule")
        if self.name == "certified" and self.loss == "nll":
            raise _refusal(
                "loss", self.loss, "has no bound, so the certified rule cannot test it", "use the paper's rule"
            )
        if self.name == "paper" and self.replicates * self.alpha < 1:
            raise _refusal(
                "replicates", self.replicates, f"cannot show a share of {self.alpha:g}", "use more, or a larger alpha"
            )
        if self.name == "paper" and self.claim != "budget":
            raise _refusal("claim", self.claim, "routes by exact tests, which the paper's rule has not", "drop it")
        if self.claim != "budget" and self.tests_average(self.tolerances[0]):
            raise _refusal(
                "claim",
                self.claim,
                "routes by the tolerance of families, and cannot hold a tighter one of the average",
                "leave the average its default, or claim a budget",
            )

    def average_tolerance(self, tolerance: float) -> float:
        return tolerance if self.tolerance_average is None else self.tolerance_average

    def tests_average(self, tolerance: float) -> bool:
        """Whether the average is more than what follows from its families: a mixture of theirs is within theirs."""
        return self.average_tolerance(tolerance) < tolerance

    @property
    def look_alpha(self) -> float:
        """The chance of a false approval that one look may take: alpha over the number of declared looks."""
        return self.alpha / self.looks

    @property
    def gamma(self) -> float:
        """What the certified rule pays for not knowing how often answers change."""
        return gamma_of(self.look_alpha)


def gamma_of(alpha: float) -> float:
    """The share of alpha that pays for the nuisance parameter (method 9.2)."""
    return alpha / _GAMMA_SHARE


def _checked(key: str, entry: Field, value: Any, default: Any) -> Any:
    """What the key's field returns; refused in the words that a TOML file gets, whoever made the rule."""
    if not entry.many:
        return _checked_item(key, entry, value)
    try:
        items = None if isinstance(value, str | bytes | Mapping | Set) else list(value)
    except TypeError:
        items = None
    if items == [] == list(default):
        return default
    if not items:
        raise _refusal(
            key, "" if items == [] else value, f"must be a list of {entry.check.wanted}", "give at least one"
        )
    checked: list[Any] = []
    for item in items:
        checked.append(_checked_item(key, entry, item))
        if checked[-1] in checked[:-1]:
            raise _refusal(key, item, "stands twice", "give each once")
    return tuple(checked)


def _checked_item(key: str, entry: Field, value: Any) -> Any:
    try:
        return entry.check(value)
    except (ValueError, TypeError):
        raise _refusal(key, value, f"must be {entry.check.wanted}", "change it") from None


def _refusal(key: str, value: object, what: str, do: str) -> InputError:
    option = fields_of(Rule)[key].option.removeprefix("--")
    return InputError(f"{option} {shown(value)}".rstrip(), what, do, key)
