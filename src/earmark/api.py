"""The front door for Python: what the commands do, as functions. docs/python.md shows each of them.

Every path may be a str or a Path. What cannot be used is refused as `earmark.InputError`, in one line.
"""

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from earmark.engine.design.rule import Rule
from earmark.engine.design.spec import Spec, read, rule_of_run
from earmark.engine.errors import EarmarkError, InputError, UncertifiableError
from earmark.engine.files import make_folder
from earmark.engine.outcomes import long_table
from earmark.engine.report.html import render
from earmark.engine.report.signed_files import write as write_files
from earmark.engine.report.terminal import decision_table
from earmark.engine.report.verify import verify as recompute
from earmark.engine.signoff import certificate as certificates
from earmark.engine.signoff import sizes
from earmark.engine.signoff.certify import certify as sign_off
from earmark.engine.signoff.follow import follow
from earmark.engine.signoff.json_form import to_json

__all__ = [
    "Certificate",
    "EarmarkError",
    "InputError",
    "UncertifiableError",
    "certify",
    "compare",
    "import_logs",
    "plan",
    "run",
    "score",
    "verify",
]

Place = str | os.PathLike[str]


class Certificate(certificates.Certificate):
    """What may be shipped on these outcomes, and why not more. Its fields are those of certificate.json."""

    _run: str  # the folder that was certified
    _outcomes: Any = None  # the table, where one was given

    @property
    def approved(self) -> bool:
        """Whether the claim, corrected for everything that it covers, approves anything below all of the audio."""
        return bool(self.claim.approved)

    def __str__(self) -> str:
        return decision_table(self)

    def _repr_html_(self) -> str:
        """The report, for a notebook, in a frame of its own: its styles stay inside."""
        page = render(self).replace("&", "&amp;").replace('"', "&quot;")
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 40em; border: 0"></iframe>'

    def to_json(self) -> dict[str, Any]:
        """The content of certificate.json."""
        return to_json(self)

    def to_pandas(self) -> Any:
        """One row per result, budget and family: counts, excess with its bounds, and the decision at the first tolerance."""
        import pandas

        return pandas.DataFrame(
            [
                {
                    "answerer": result.answerer,
                    "corpus": result.corpus,
                    "method": result.method,
                    "seed": result.seed,
                    "partition": result.partition,
                    "budget": budget.budget,
                    "family": family.family,
                    "n": family.n,
                    "excess": family.excess,
                    "lower": family.lower,
                    "upper": family.upper,
                    "decision": budget.decisions[0].decision,
                }
                for result in self.results
                for budget in result.budgets
                for family in budget.families
            ]
        )

    def save(self, folder: Place) -> Path:
        """Write certificate.json and report.html into a folder, and the outcomes where they came as a table.

        Returns the path of certificate.json; `earmark.verify` recomputes it.
        """
        out = Path(folder)
        make_folder(out)
        run = Path(self._run) if self._outcomes is None else long_table.write_run(out, self._outcomes)
        return write_files(self, run, out)


def certify(outcomes: Any, *, follows: Place | None = None, **rule: Any) -> Certificate:
    """Decide from outcomes which budget is safe, or refuse.

    `outcomes` is a run folder, or a long table: PyArrow, pandas, Polars or a dict of columns, with sample_id, loss (in
    [0, 1]), method and budget, and, where there are any, family, source (the recording), seed, answerer, corpus and
    n_options. Raw audio is the method "uncompressed" at budget 1. Every other keyword is a key of `[rule]`: tolerance
    (a number or several), alpha, claim, candidates, ...; a run folder that a sweep made has its own rule to start from.
    """
    if isinstance(outcomes, str | os.PathLike):
        return _signed(Path(outcomes), rule_of_run(Path(outcomes)), rule, follows)
    table = long_table.as_table(outcomes)
    with tempfile.TemporaryDirectory(prefix="earmark-") as folder:
        signed = _signed(long_table.write_run(Path(folder) / "run", table), Rule(), rule, follows)
    object.__setattr__(signed, "_outcomes", table)
    return signed


def compare(
    *,
    raw_loss: Sequence[float] | None = None,
    compressed_loss: Sequence[float] | None = None,
    raw_correct: Sequence[bool] | None = None,
    compressed_correct: Sequence[bool] | None = None,
    family: Sequence[str] | None = None,
    source: Sequence[str] | None = None,
    sample_id: Sequence[str] | None = None,
    kept: float = 0.5,
    **rule: Any,
) -> Certificate:
    """Whether compressed audio is safe, from the outcomes of the same questions on raw and on compressed audio.

    Give either losses (0 is right, 1 is wrong, or anything between) or whether the answers were correct. `kept` is the
    share of the audio that was left, by which the certificate calls the budget. Other keywords are keys of `[rule]`.
    """
    losses = raw_loss is not None and compressed_loss is not None
    correct = raw_correct is not None and compressed_correct is not None
    given = (raw_loss, compressed_loss, raw_correct, compressed_correct)
    if losses == correct or sum(entry is not None for entry in given) != 2:
        raise InputError(
            "compare", "takes two losses, or twice whether answers were correct",
            "give raw_loss= and compressed_loss=, or raw_correct= and compressed_correct=",
        )  # fmt: skip
    if losses:
        raw, compressed = _losses("raw_loss", raw_loss), _losses("compressed_loss", compressed_loss)
    else:
        raw, compressed = _wrong("raw_correct", raw_correct), _wrong("compressed_correct", compressed_correct)
    n = len(raw)
    columns: dict[str, list[Any]] = {
        "sample_id": 2 * ([str(number) for number in range(n)] if sample_id is None else list(map(str, sample_id))),
        "loss": raw + compressed,
        "method": ["uncompressed"] * n + ["compressed"] * len(compressed),
        "budget": [1.0] * n + [float(kept)] * len(compressed),
    }
    for name, labels in (("family", family), ("source", source)):
        if labels is not None:
            columns[name] = 2 * [str(label) for label in labels]
    if len({len(column) for column in columns.values()}) > 1 or len(compressed) != n:
        raise InputError("compare", "was given columns of different lengths", "give one value for each question")
    return certify(columns, **rule)


def run(
    spec: "Place | Spec",
    out: Place | None = None,
    *,
    limit: int | None = None,
    follows: Place | None = None,
) -> Certificate:
    """Evaluate what a spec asks for and sign it off; the same call goes on where it was stopped.

    The run folder is `out`, or runs/NAME for the spec NAME.toml. A `limit` is a preview of so many recordings, which
    approves nothing.
    """
    from earmark.engine.sweep.run import run as sweep

    declared = spec if isinstance(spec, Spec) else read(Path(spec))
    if out is None and isinstance(spec, Spec):
        raise InputError("run", "was given no folder", "give out=, where the spec has no file's name")
    folder = Path("runs") / Path(spec).stem if out is None else Path(out)  # type: ignore[arg-type]
    swept = sweep(declared, folder, limit=limit)
    signed = _signed(swept.preview or folder, declared.rule, {}, follows)
    signed.save(swept.preview or folder)
    return signed


def plan(
    source: Place,
    *,
    partitions: Sequence[str] = (),
    candidates: int = 1,
    flips: float = 0.1,
    excess: float = 0.0,
    icc: float = 0.5,
    column: str | None = None,
    **rule: Any,
) -> list[dict[str, Any]]:
    """Which families of a partitions.parquet or a run folder can be certified, with what power: one entry a partition.

    `flips`, `excess` and `icc` are guesses of what compression does; `earmark plan --help` says what they mean.
    """
    declared = _rule(Rule(), rule)
    guess = sizes.Guess(excess, flips, icc)
    sizes_of = sizes.family_sizes(Path(source), tuple(partitions), column)
    return [
        {"corpus": corpus, "partition": name, **sizes.plan(of_family, declared, candidates, guess)}
        for (corpus, name), of_family in sizes_of.items()
    ]


def verify(certificate: Place, run: Place | None = None) -> str | None:
    """The first difference between a certificate and what its files give, or None where it holds.

    `certificate` is certificate.json or the folder that holds it.
    """
    path = Path(certificate)
    path = path / certificates.CERTIFICATE_FILE if path.is_dir() else path
    return recompute(path, None if run is None else Path(run))


def import_logs(
    kind: str,
    raw: Place,
    compressed: Mapping[str, Place],
    out: Place,
    *,
    answerer: str | None = None,
    corpus: str | None = None,
    **columns: str,
) -> list[str]:
    """Make a run folder of evaluation logs: one of raw audio, the others of compressed audio, by METHOD@BUDGET.

    `kind` is lm-eval, lmms-eval, inspect, csv, jsonl or parquet; the columns are those of `earmark import` (family,
    metric, source, ...). Returns what is doubtful about them, in sentences; the certificate repeats it.
    """
    from earmark.engine.outcomes.imports.logs import import_logs as read_logs
    from earmark.engine.outcomes.imports.logs import parse_arm
    from earmark.engine.outcomes.imports.rows import Fields

    arms = [parse_arm(f"{arm}={os.fspath(path)}") for arm, path in compressed.items()]
    imported = read_logs(kind, Path(raw), arms, Fields(**columns), Path(out), answerer=answerer, corpus=corpus)
    return list(imported.doubts)


def score(
    audio: Place | Sequence[Place], selector: str, *, question: str | None = None, budget: float | None = None
) -> list[dict[str, Any]]:
    """The score of each second of recordings, and the seconds that a budget keeps, as `earmark score --json` does."""
    from earmark.engine.compressors.scoring import score as scored

    paths = [audio] if isinstance(audio, str | os.PathLike) else list(audio)
    return [line.content() for line in scored([Path(path) for path in paths], selector, question, budget)]


# Inside ----------------------------------------------------------------------------------------------------


def _signed(run: Path, declared: Rule, changes: Mapping[str, Any], follows: Place | None) -> Certificate:
    rule = _rule(declared, changes)
    before = None if follows is None else follow(Path(follows), certificates.read(Path(follows)), run, rule)
    typed = sign_off(run, rule, follows=before)
    signed = Certificate(**{field.name: getattr(typed, field.name) for field in fields(typed)})
    object.__setattr__(signed, "_run", str(run))
    return signed


def _rule(declared: Rule, changes: Mapping[str, Any]) -> Rule:
    known = {field.name for field in fields(Rule)}
    typed = {("tolerances" if key == "tolerance" else key): value for key, value in changes.items()}
    for key, value in typed.items():
        if key not in known:
            raise InputError(
                f"keyword {key}", "is no key of a rule", f"choose from tolerance, {', '.join(sorted(known))}"
            )
        if isinstance(value, list):
            typed[key] = tuple(value)
    if isinstance(typed.get("tolerances"), int | float):
        typed["tolerances"] = (float(typed["tolerances"]),)
    if "name" in typed:
        typed.setdefault("replicates", -1)
    return replace(declared, **typed)


def _losses(name: str, values: Any) -> list[float]:
    """Numbers; booleans are refused, since nobody can tell whether True is right or wrong."""
    plain = [value.item() if hasattr(value, "item") else value for value in values]
    if any(isinstance(value, bool) for value in plain):
        do = f"say raw_correct= and compressed_correct=, if True is a right answer (not {name}=)"
        raise InputError(name, "is true or false, and a loss is 1 where the answer is wrong", do)
    with contextlib.suppress(TypeError, ValueError):
        return [float(value) for value in plain]
    raise InputError(name, "has something else than numbers", "give losses in [0, 1]")


def _wrong(name: str, values: Any) -> list[float]:
    """The loss of answers that are correct or not."""
    plain = [value.item() if hasattr(value, "item") else value for value in values]
    if not all(value in (0, 1) for value in plain):
        raise InputError(name, "has something else than true and false", "give one for each question")
    return [1.0 - float(value) for value in plain]
