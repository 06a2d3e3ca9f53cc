"""What `certify` and `run` end with: a certificate, its report, and the table of decisions."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.cli.progress import ProgressLine
from earmark.cli.say import columns, fitted, say, say_json

if TYPE_CHECKING:
    from earmark.engine.design.rule import Rule
    from earmark.engine.signoff.certificate import Certificate

Keep = Callable[["Certificate", ProgressLine], "Certificate"]


def sign(
    run: Path, rule: "Rule", out: Path, as_json: bool, follows: Path | None = None, keep: Keep | None = None
) -> bool:
    """Certify a run folder, write certificate and report into `out` and print either the table or the JSON.

    Returns whether the claim approves anything. `follows` is the certificate before, where this one follows it; `keep`
    gives the certificate clips to listen to.
    """
    from earmark.cli.arrow import spare_pandas
    from earmark.cli.memory import keep_memory
    from earmark.engine.design.spec import clips_of_run
    from earmark.engine.outcomes.store import check_is_folder
    from earmark.engine.report.signed_files import REPORT, check_replaceable, write
    from earmark.engine.report.terminal import decision_table
    from earmark.engine.signoff import kept_clips
    from earmark.engine.signoff.certificate import read
    from earmark.engine.signoff.certify import certify
    from earmark.engine.signoff.follow import check_kept, follow
    from earmark.engine.signoff.json_form import to_json
    from earmark.engine.signoff.policy import POLICY_FILE

    spare_pandas()
    keep_memory()
    check_is_folder(run)
    if follows is not None:
        check_kept(follows, out)
    check_replaceable(out)  # before the work, not after it
    before = None if follows is None else follow(follows, read(follows), run, rule)
    with ProgressLine() as progress:
        certificate = certify(run, rule, progress, before)
        if keep is not None:
            certificate = keep(certificate, progress)
        progress("writing certificate and report", 0, 0)
        path = write(certificate, run, out)
    if as_json:
        say_json(to_json(certificate), indent=1)
    else:
        say(
            *(line for text in decision_table(certificate, columns(sys.stdout)) for line in fitted(text, sys.stdout)),
            "",
            f"certificate  {path}",
            f"report       {out / REPORT}",
        )
        if certificate.claim.policies:
            say(f"policy       {out / POLICY_FILE}")
        n_clips = kept_clips.count(certificate)
        if n_clips:
            say(f"clips        {run / kept_clips.FOLDER}: {n_clips} to listen to; the report plays them")
        elif keep is None and certificate.flips and clips_of_run(run):
            say(f"clips        none are kept: earmark run {shlex.quote(str(run))} keeps some")
    return bool(certificate.claim.approved)
