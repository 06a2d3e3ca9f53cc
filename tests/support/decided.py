"""Small sweeps that stop when they are decided: an answerer that few seconds change, and what was asked."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import sweeps

from earmark.engine.answerers.loading import options_of
from earmark.engine.answerers.shared.audio_lm import Reply
from earmark.engine.answerers.shared.shared_answerer import SharedAnswerer
from earmark.engine.design.keys import NOT_NEEDED
from earmark.engine.design.sections import AnswererSpec, MachineSpec
from earmark.engine.design.spec import Spec, parse
from earmark.engine.outcomes import store
from earmark.engine.sweep.run import Swept, run

CLIPS = 60
ALLOWED = 'allow_vacuous = ["count", "event", "order", "pitch", "scene", "sweep"]'
SPEC = f"""\
[corpus]
path = "synthetic:certification:{CLIPS}"
[[answerers]]
model = "steady"
[sweep]
budgets = [0.3, 0.6, 0.8]
window = 7
until = "decided"
[[methods]]
name = "uniform"
[[methods]]
name = "energy"
[partitions]
names = ["native"]
[rule]
replicates = 100
tolerances = [0.3]
candidates = ["uniform", "energy"]
{ALLOWED}
[audits]
flip_rate = 0
grid = 2
"""
COMPLETE = {'"decided"': '"complete"'}


class Steady(sweeps.InCompany):
    """Answers by the question, and for a few of them by what is heard: some are other on less audio."""

    changed = 0.08  # share of questions whose answer depends on what is heard

    def _said(self, heard: str, question: tuple[int, ...], options: int) -> Reply:
        by_audio = hashlib.blake2b(repr((heard, question)).encode(), digest_size=8).digest()
        chance = int.from_bytes(by_audio, "little") / 2**64
        key = (heard, question) if chance < self.changed else question
        digest = hashlib.blake2b(repr(key).encode(), digest_size=options).digest()
        return Reply(np.frombuffer(digest, dtype=np.uint8) / 16.0)


def load(answerer: AnswererSpec, machine: MachineSpec) -> Any:
    """A steady answerer."""
    model = Steady()
    model.identity = answerer.name
    return SharedAnswerer(model, options_of(answerer, machine))


def spec(*changes: dict[str, str]) -> Spec:
    """The spec, with some texts replaced."""
    content = SPEC
    for old, new in (item for change in changes for item in change.items()):
        assert old in content, old
        content = content.replace(old, new)
    return parse(content)


def sweep(out: Path, *changes: dict[str, str], **options: Any) -> Swept:
    """Fill a folder with what the changed spec asks for."""
    return run(spec(*changes), out, load=load, load_compressor=sweeps.compressor, **options)


def answered(run_folder: Path) -> dict[tuple[str, float], set[str]]:
    """The samples that were asked, by method and budget."""
    asked = {}
    for key in store.find_cells(run_folder):
        rows = store.read_rows(run_folder, key)
        kept = rows.filter(pc.not_equal(rows["status"], NOT_NEEDED))
        asked[key.method, key.budget] = set(kept["sample_id"].to_pylist())
    return asked
