"""`earmark run SPEC`: from a benchmark's folder to a certificate, resumably."""

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from earmark.cli import exits
from earmark.cli.options import key_option, rule_option
from earmark.cli.progress import ProgressLine
from earmark.cli.say import say
from earmark.cli.sign import sign
from earmark.engine.design.sections import SweepKeys
from earmark.engine.extras import needs_extra

if TYPE_CHECKING:
    from earmark.cli.sign import Keep
    from earmark.engine.design.sections import Until
    from earmark.engine.design.spec import Spec
    from earmark.engine.sweep.blocks import Shard
    from earmark.engine.sweep.run import Swept

_STOPPING = (
    "stopping after what is under way, a batch or the loading of a model: every window that is done is kept, this one "
    "will be asked again; Ctrl-C again stops at once"
)


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="RUN", help="The run folder.  [default: runs/NAME of NAME.toml]"
)
@click.option(
    "--limit",
    type=int,
    metavar="N",
    help="Only the first N recordings, with all questions about them, at every budget: a preview, never an approval. "
    "Fewer than there are.",
)
@click.option("--shard", "shard_text", metavar="I/N", help="Only the I-th of N shares of the recordings, from 1.")
@key_option(SweepKeys, "until", default=None, words="as [sweep] has it")
@rule_option("max_error_rate", default=None, words="as [rule] declares")
@click.option(
    "--follows",
    type=click.Path(path_type=Path),
    metavar="CERT",
    help="The certificate.json before, where these are new rows after a refusal: both count.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the certificate instead of the table.")
@needs_extra("earmark run", "run")
def run(
    spec: Path,
    out: Path | None,
    limit: int | None,
    shard_text: str | None,
    until: "Until | None",
    max_error_rate: float | None,
    follows: Path | None,
    as_json: bool,
) -> None:
    """Evaluate what SPEC asks for and certify it: from a corpus to outcomes, certificate.json and report.html.

    Raw audio comes first, then silence, then budgets from the largest down, then permuted questions. Answers are
    written as they come: the same command goes on where it was stopped, whatever stopped it, and ends with the same
    bytes. Another [rule] asks nothing again; the certificate says what was declared when the folder was begun.
    `earmark init CORPUS` writes a SPEC; a run folder goes on with the one that it was begun with.

    Exit code: 0 when the claim approves something, 3 when it does not (a preview never does), 2 for bad
    input, 130 when interrupted.

    \b
    Example:
      earmark run spec.toml --limit 64       # a first look
      earmark run spec.toml                  # all of it
      earmark run spec.toml --until decided  # only what the verdicts need
      earmark run spec.toml --shard 2/4      # on the second of four machines; then earmark merge
    """
    from earmark.engine.design import spec as specs
    from earmark.engine.files import check_is_local
    from earmark.engine.progress import stopping_on_signals
    from earmark.engine.remote import local
    from earmark.engine.signoff.certificate import read
    from earmark.engine.signoff.follow import check_kept
    from earmark.engine.sweep import run as sweep
    from earmark.engine.sweep.blocks import WHOLE

    if limit is not None and shard_text is not None:
        raise click.UsageError("--limit is a look at the beginning and --shard a share of the whole: use one")
    shard = WHOLE if shard_text is None else _shard(shard_text)
    again = ["earmark", "run", str(spec)] + ([] if out is None else ["--out", str(out)])
    place = local(spec)
    if place.is_dir():
        check_is_local(spec)  # what is there goes on there
        out, place = out or spec, _spec_of(spec)
    spec = place
    declared_spec = specs.read(spec)
    if until is not None:
        declared_spec = specs.with_until(declared_spec, until)
    if max_error_rate is not None:
        declared_spec = replace(declared_spec, rule=replace(declared_spec.rule, max_error_rate=max_error_rate))
    folder = out or Path("runs") / spec.stem
    if follows is not None:  # before hours of answers, not after them
        read(follows)
        check_kept(follows, folder)
    completing = [*again, "--until", "complete"]
    again += [] if until is None else ["--until", until]
    again += [] if max_error_rate is None else ["--max-error-rate", str(max_error_rate)]
    with ProgressLine() as progress, stopping_on_signals(lambda: progress.note(_STOPPING)) as stop:
        swept = sweep.run(
            declared_spec, folder, limit=limit, shard=shard, report=progress, note=progress.note, stop=stop
        )
    if swept.stopped:
        resume = [*again, *_options(limit, shard_text)]
        what = (
            f"what is done is in {folder}; resume with"
            if folder.exists()
            else "nothing was asked yet; begin again with"
        )
        say(f"stopped: {what}: {shlex.join(resume)}", err=True)
        sys.exit(exits.INTERRUPTED)
    if not swept.complete and swept.preview is None:
        say(f"shard {shard_text} is done: {folder}", f"next: earmark merge RUN {folder} OTHER-SHARDS...")
        return
    signed = swept.preview or folder
    approved = sign(signed, declared_spec.rule, signed, as_json, follows, _keep(declared_spec, signed))
    if not as_json:
        following = shlex.join(again) if swept.preview else f"earmark verify {folder / 'certificate.json'}"
        say(*_what_was_left_out(declared_spec, swept, folder, completing), f"next: {following}")
    sys.exit(0 if approved else exits.REFUSED)


def _what_was_left_out(spec: "Spec", swept: "Swept", folder: Path, completing: list[str]) -> list[str]:
    """After how many answers a run was decided, and what asks the rest."""
    from earmark.engine.sweep.status import status

    if spec.until == "complete" or swept.preview is not None:
        return []
    now = status(folder)
    if now.complete:
        return []
    n_answers, in_all = now.for_verdicts
    of_all = f"{n_answers:,} of {in_all:,} evaluations"
    so_far = f"decided; {of_all} are there" if now.completing else f"decided after {of_all}"
    return [f"{so_far}; `{shlex.join(completing)}` asks the rest"]


def _keep(spec: "Spec", run: Path) -> "Keep":
    """What gives a certificate of the run the clips that the spec keeps."""
    from earmark.engine.sweep.clip_keeping import keep_clips

    return lambda certificate, progress: keep_clips(spec, run, certificate, report=progress, note=progress.note)


def _spec_of(run: Path) -> Path:
    """The spec that a run folder was begun with."""
    from earmark.engine.errors import InputError
    from earmark.engine.outcomes.store import CELLS, PARTITIONS
    from earmark.engine.sweep.sweep_folder import SPEC

    if not os.path.lexists(run / SPEC):
        do = f"type `earmark run SPEC.toml --out {shlex.quote(str(run))}`"
        if any(run.iterdir()) and not any(os.path.lexists(run / name) for name in (CELLS, PARTITIONS)):
            do = f"where it is a corpus, `earmark init {shlex.quote(str(run))}` writes a SPEC.toml to run"
        raise InputError(run, f"holds no {SPEC}: no sweep was begun there", do)
    return run / SPEC


def _options(limit: int | None, shard: str | None) -> list[str]:
    """The options with which a run was begun."""
    return ([] if limit is None else ["--limit", str(limit)]) + ([] if shard is None else ["--shard", shard])


def _shard(text: str) -> "Shard":
    from earmark.engine.sweep.blocks import Shard

    index, slash, count = text.partition("/")
    if not (slash and index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise click.BadParameter(f"'{text}' is not I/N with I from 1 to N", param_hint="--shard")
    return Shard(int(index) - 1, int(count))
