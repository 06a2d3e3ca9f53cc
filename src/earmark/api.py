"""The front door for Python: what the commands do, as functions. docs/python.md shows each of them.

Every path may be a str or a Path, and what is read also a URL (docs/remote.md); numbers may be NumPy's. What
cannot be used is refused as `earmark.InputError`, in one line.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from earmark import arguments
from earmark.arguments import Place, checked, path, refuse_unknown, speaking_of_keywords
from earmark.engine.arrays import FloatArray
from earmark.engine.design.fields import Flag, Share, Text, Texts, Word
from earmark.engine.design.keys import MOST_NAME
from earmark.engine.design.rule import Rule
from earmark.engine.design.spec import Spec, read, rule_of_run
from earmark.engine.errors import EarmarkError, InputError, UncertifiableError, first_few
from earmark.engine.outcomes import long_table
from earmark.engine.outcomes.columns import as_column, as_names, as_numbers
from earmark.engine.outcomes.store import is_signed_off
from earmark.engine.remote import local
from earmark.engine.report.verify import verify as recompute
from earmark.engine.signoff import certificate as certificates
from earmark.engine.signoff import sizes, sources
from earmark.engine.signoff.certify import certify as sign_off
from earmark.engine.signoff.diff.diff import diff as changes
from earmark.engine.signoff.diff.diff_entry import Diff
from earmark.engine.signoff.follow import check_kept, follow
from earmark.signed import Certificate, certificate_file, held

__all__ = [
    "Certificate",
    "EarmarkError",
    "InputError",
    "UncertifiableError",
    "certify",
    "compare",
    "diff",
    "import_logs",
    "plan",
    "run",
    "score",
    "verify",
]


@speaking_of_keywords
def certify(outcomes: Any, *, follows: Place | None = None, **rule: Any) -> Certificate:
    """Decide from outcomes which budget is safe, or refuse.

    `outcomes` is a run folder, or a long table: PyArrow, pandas, Polars or a dict of columns, with sample_id, loss (in
    [0, 1]), method and budget, and, where there are any, family, source (the recording), seed, answerer, corpus and
    n_options. Raw audio is the method "uncompressed" at budget 1. `follows` is the certificate before, or its folder.
    Every other keyword is a key of `[rule]`: tolerance (a number or several), alpha, claim, candidates (names of
    methods), source (a column of a run folder's cells), ...; a run folder that a sweep made has its own rule to start
    from.
    """
    if isinstance(outcomes, str | os.PathLike):
        run = local(path("outcomes", outcomes), is_signed_off)
        signed = _signed(run, arguments.rule(rule_of_run(run), rule, ("follows",)), _before(follows))
        return held(signed, Path(os.path.realpath(run)))
    return _certify_table(outcomes, arguments.rule(Rule(), rule, ("follows",)), follows)


@speaking_of_keywords
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
    follows: Place | None = None,
    **rule: Any,
) -> Certificate:
    """Whether compressed audio is safe, from the outcomes of the same questions on raw and on compressed audio.

    Give either losses (0 is right, 1 is wrong, or anything between) or whether the answers were correct. `family` is
    the kind of each question, `source` the recording that it is about, `kept` the share of the audio that was left, by
    which the certificate calls the budget. Other keywords are keys of `[rule]`, but for its `source`.
    """
    beside = (
        "raw_loss",
        "compressed_loss",
        "raw_correct",
        "compressed_correct",
        "family",
        "sample_id",
        "kept",
        "follows",
    )
    declared = arguments.rule(Rule(), rule, beside)
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
    names = {"sample_id": list(range(n)) if sample_id is None else sample_id, "family": family, "source": source}
    named = {name: _names(name, values) for name, values in names.items() if values is not None}
    if {len(compressed), *map(len, named.values())} != {n}:
        raise InputError("compare", "was given columns of different lengths", "give one value for each question")
    _refuse_repeated(named["sample_id"])
    columns: dict[str, Any] = {name: 2 * values for name, values in named.items()}
    columns |= {
        "loss": np.concatenate([raw, compressed]),
        "method": ["uncompressed"] * n + ["compressed"] * n,
        "budget": [1.0] * n + [checked("kept", Share(), kept)] * n,
    }
    return _certify_table(columns, declared, follows)


@speaking_of_keywords
def run(
    spec: "Place | Spec",
    out: Place | None = None,
    *,
    limit: int | None = None,
    follows: Place | None = None,
) -> Certificate:
    """Evaluate what a spec asks for and sign it off; the same call goes on where it was stopped.

    The run folder is `out`, or runs/NAME for the spec NAME.toml. With a `limit` all questions about the first so
    many recordings are answered: a preview, which approves nothing; a limit of all recordings is refused. `follows` is
    the certificate before, or its folder; it is read before anything is answered.
    """
    from earmark.engine.sweep.clip_keeping import keep_clips
    from earmark.engine.sweep.run import run as sweep

    if isinstance(spec, Spec):
        if out is None:
            raise InputError("run", "was given no folder", "give out=, where the spec has no file's name")
        declared, folder = spec, path("out", out)
    else:
        file = path("spec", spec)
        declared, folder = read(local(file)), Path("runs") / file.stem if out is None else path("out", out)
    before = _before(follows)
    if before is not None:
        check_kept(before[0], folder)
    swept = sweep(declared, folder, limit=limit)
    signed_run = swept.preview or folder
    certified = keep_clips(declared, signed_run, _signed(signed_run, declared.rule, before))
    signed = held(certified, Path(os.path.realpath(signed_run)))
    signed.save(signed_run)
    return signed


@speaking_of_keywords
def plan(
    where: Place,
    *,
    partitions: Iterable[str] = (),
    n_candidates: int | None = None,
    flips: float = 0.1,
    excess: float = 0.0,
    icc: float = 0.5,
    **rule: Any,
) -> list[dict[str, Any]]:
    """Which families of a partitions.parquet or a run folder can be certified, with what power: one entry a partition.

    `flips`, `excess` and `icc` are guesses of what compression does; `earmark plan --help` says what they mean.
    `n_candidates` is how many methods may be shipped: as many as `candidates` names, or one. Other keywords are keys of
    `[rule]`; its `source` is the column of raw cells that names the recording.
    """
    beside = ("n_candidates", "flips", "excess", "icc")
    declared = arguments.rule(Rule(), {**rule, "partitions": partitions}, beside)
    count = max(1, len(declared.candidates)) if n_candidates is None else n_candidates
    guess = sizes.Guess(excess, flips, icc)
    guess.check()
    sizes_of = sizes.family_sizes(local(path("where", where)), declared.partitions, declared.source)
    return [
        {"corpus": corpus, "partition": name, **sizes.plan(of_family, declared, count, guess)}
        for (corpus, name), of_family in sizes_of.items()
    ]


@speaking_of_keywords
def verify(certificate: Place, run: Place | None = None) -> str | None:
    """The first difference between a certificate and what its files give, or None where it holds.

    `certificate` is certificate.json or the folder that holds it: report.html and policy.json beside it are compared
    too, as they are not with a copy of another name.
    """
    return recompute(certificate_file("certificate", certificate), None if run is None else path("run", run))


@speaking_of_keywords
def diff(old: Place, new: Place) -> Diff:
    """What became of an old certificate in a new one: each its file, or the folder that holds it.

    `.verdict` is "worse", "better", "same", "undecided" or "not comparable"; `.decisions` has what may be shipped of
    each candidate, `.families` every family at every budget. The very questions are paired where both run folders are
    there (`.way`), else counts are compared.
    """
    return changes(certificate_file("old", old), certificate_file("new", new))


@speaking_of_keywords
def import_logs(
    kind: str,
    raw: Place,
    compressed: Mapping[str, Place] | Sequence[Place],
    out: Place,
    *,
    answerer: str | None = None,
    corpus: str | None = None,
    axes: Mapping[str, str] | None = None,
    common: bool = False,
    budget_arg: str = "budget",
    method_arg: str = "method",
    **columns: str,
) -> list[str]:
    """Make a run folder of evaluation logs: one of raw audio, the others of compressed audio, by METHOD@BUDGET.

    `kind` is lm-eval, lmms-eval, inspect, vlmeval, csv, jsonl or parquet; the columns are those of `earmark import`
    (family, metric, source, ...). A list of logs instead of a dict is read for method and budget, which the
    evaluation's own arguments must say. `axes` says what the budgets of a method are shares of, as {"opus": "bits"}:
    seconds, duration, bits, bandwidth or own. Returns what is doubtful about them, in sentences; the certificate
    repeats it.
    """
    from earmark.engine.outcomes.imports import KINDS
    from earmark.engine.outcomes.imports.arguments import ArgumentNames, CompressedLog
    from earmark.engine.outcomes.imports.logs import Declarations, parse_arm
    from earmark.engine.outcomes.imports.logs import import_logs as read_logs
    from earmark.engine.outcomes.imports.rows import Fields

    checked("kind", Word(*KINDS), kind)
    if isinstance(compressed, Mapping):
        arms = [parse_arm(f"{arm}={path(f'compressed[{arm!r}]', place)}") for arm, place in compressed.items()]
    elif isinstance(compressed, list | tuple):
        arms = [CompressedLog(None, None, 0, path(f"compressed[{i}]", place)) for i, place in enumerate(compressed)]
    else:
        raise InputError("compressed", f"is a {type(compressed).__name__}", 'give a dict, such as {"energy@0.4": path}')
    options = ["answerer", "corpus", "axes", "common", "budget_arg", "method_arg"]
    refuse_unknown(columns, [entry.name for entry in fields(Fields)] + options, "column of a log")
    texts = {"answerer": answerer, "corpus": corpus, "budget_arg": budget_arg, "method_arg": method_arg, **columns}
    for keyword, text in texts.items():
        if text is not None:
            checked(keyword, Text("a name"), text)
    axis_of = checked("axes", Texts('a dict such as {"opus": "bits"}'), axes or {})
    argument_names = ArgumentNames(budget_arg, method_arg)
    declared = Declarations(answerer, corpus, argument_names, checked("common", Flag(), common), axis_of)
    imported = read_logs(kind, path("raw", raw), arms, Fields(**columns), path("out", out), declared)
    return list(imported.doubts)


@speaking_of_keywords
def score(
    audio: Place | Iterable[Place], selector: Place, *, question: str | None = None, budget: float | None = None
) -> list[dict[str, Any]]:
    """The score of each second of recordings, and the seconds that a budget keeps, as `earmark score --json` does."""
    from earmark.engine.compressors.scoring import Scoring
    from earmark.engine.compressors.scoring import score as scored

    if not isinstance(audio, str | os.PathLike | Iterable):
        raise InputError("audio", f"is a {type(audio).__name__}", "give the path of a recording, or several")
    recordings = [audio] if isinstance(audio, str | os.PathLike) else list(audio)
    paths = [path("audio", recording) for recording in recordings]
    name = str(path("selector", selector, "give its name, or the path of its folder or graph"))
    text = None if question is None else checked("question", Text("a question"), question)
    share = None if budget is None else checked("budget", Share(), budget)
    return [line.content() for line in scored(paths, Scoring(name, text, share))]


# Inside ----------------------------------------------------------------------------------------------------

_Before = tuple[Path, certificates.Certificate]


def _before(follows: Any) -> _Before | None:
    """The certificate that another one is to follow, and its file."""
    if follows is None:
        return None
    file = certificate_file("follows", follows)
    return file, certificates.read(file)


def _certify_table(outcomes: Any, rule: Rule, follows: Any) -> Certificate:
    """The certificate of a long table, which is a run folder for as long as it takes."""
    if rule.source not in (None, sources.NONE):
        what = "names a column of a run folder's cells, and a table has the column source"
        raise InputError(f"source '{rule.source}'", what, f"give that column, or say source='{sources.NONE}'")
    if rule.loss == "nll":
        raise InputError("loss 'nll'", "needs likelihoods, which a table has not", "certify a run folder")
    before, table = _before(follows), long_table.read_table(outcomes)
    with tempfile.TemporaryDirectory(prefix="earmark-") as folder:
        signed = _signed(long_table.write_run(Path(folder) / "run", table), rule, before)
    return held(signed, outcomes=table)


def _signed(run: Path, rule: Rule, before: _Before | None) -> certificates.Certificate:
    return sign_off(run, rule, follows=None if before is None else follow(*before, run, rule))


def _losses(name: str, values: Any) -> FloatArray:
    """Numbers in [0, 1]; booleans are refused, since nobody can tell whether True is right or wrong."""
    column = as_column(name, values)
    if pa.types.is_boolean(column.type):
        do = f"say raw_correct= and compressed_correct=, if True is a right answer (not {name}=)"
        raise InputError(name, "is true or false, and a loss is 1 where the answer is wrong", do)
    losses: FloatArray = as_numbers(name, column, pa.float64()).to_numpy()
    outside = np.flatnonzero(~((losses >= 0) & (losses <= 1)))
    if len(outside):
        what = f"is not in [0, 1] at {len(outside):,} places, {losses[outside[0]]:g} at {outside[0]} the first of them"
        raise InputError(name, what, "0 is right and 1 is wrong")
    return losses


def _wrong(name: str, values: Any) -> FloatArray:
    """The loss of answers that are correct or not."""
    column = as_column(name, values)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    correct = as_numbers(name, column, pa.float64()).to_numpy()
    if not np.isin(correct, (0, 1)).all():
        raise InputError(name, "has something else than true and false", "give one for each question")
    return np.asarray(1.0 - correct, dtype=np.float64)


def _names(name: str, values: Any) -> list[str]:
    names: list[str] = as_names(name, as_column(name, values), MOST_NAME).to_pylist()
    return names


def _refuse_repeated(sample_ids: list[str]) -> None:
    twice = [sample_id for sample_id, times in Counter(sample_ids).items() if times > 1]
    if twice:
        raise InputError("sample_id", f"has {first_few(twice)} more than once", "name each question apart")
