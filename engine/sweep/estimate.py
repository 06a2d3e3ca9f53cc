"""What a sweep will take, measured: a few recordings are answered at every step, and thrown away.

Knows no answer's worth; what a first call costs once (compiling, loading) is counted for the answers only.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from earmark.engine.answerers.loading import load
from earmark.engine.answerers.request import Progress, Saving
from earmark.engine.compressors.loading import LoadCompressor, loader
from earmark.engine.corpus.stream import stream
from earmark.engine.design.spec import Spec
from earmark.engine.design.steps import Step
from earmark.engine.progress import Report, never, silent
from earmark.engine.sweep import work
from earmark.engine.sweep.blocks import Block, blocks
from earmark.engine.sweep.offers import Clips, offers
from earmark.engine.sweep.prepare import Prepared, prepare
from earmark.engine.sweep.sweep_folder import SweepFolder
from earmark.engine.sweep.work import Load, decoders
from earmark.engine.withheld import withheld

RECORDINGS = 6


class Estimate(NamedTuple):
    """What the whole sweep will take."""

    evaluations: int  # rows of all cells
    saved: float | None = None  # share of the computation that answering one at a time would take
    seconds: float | None = None
    seconds_of: Mapping[Step, float] | None = None  # the same by step, all answerers together

    @property
    def words(self) -> str:
        """In one line."""
        evaluations = f"{self.evaluations:,} evaluations"
        if self.seconds is None or self.saved is None:
            return evaluations
        hours = self.seconds / 3600
        time = f"{self.seconds / 60:.1f} minutes" if hours < 2 else f"{hours:.1f} hours"
        return f"{evaluations}, {self.saved:.0%} of the computation saved, about {time} here"


def count(spec: Spec) -> Estimate:
    """What is known without answering anything."""
    with scratch(spec) as (place, load_compressor):
        return Estimate(evaluations(prepare(spec, place, load_compressor)))


@contextmanager
def scratch(spec: Spec) -> Iterator[tuple[Path, LoadCompressor]]:
    """A folder for a while, and what loads compressors there, whose processes see no answerer's key."""
    with (
        withheld(spec.key_variables),
        tempfile.TemporaryDirectory() as place,
        loader(Path(place), spec.machine) as load_compressor,
    ):
        yield Path(place), load_compressor


def evaluations(prepared: Prepared) -> int:
    """Rows of all cells, where everything is asked."""
    arms = sum(len(step.arms) for step in prepared.steps)
    return arms * prepared.survey.examples * len(prepared.spec.answerers)


def measure(spec: Spec, load: Load = load, report: Report = silent) -> Estimate:
    """Answer the first recordings at every step with every answerer, and extrapolate."""
    with scratch(spec) as (place, load_compressor):
        folder, prepared = SweepFolder(place), prepare(spec, place, load_compressor)
        (block,) = islice(blocks(prepared.corpus, RECORDINGS), 1)
        clips = Clips(block, list(stream(block.examples, workers=0)))
        decoding = _decoding(block)  # the second time: the first one imports decoders
        decoding /= max(1, decoders(spec.machine))
        took, saving = dict.fromkeys(prepared.steps, 0.0), Saving()
        for answerer_spec in spec.answerers:
            answerer = load(answerer_spec, spec.machine)
            for n_done, step in enumerate(prepared.steps):
                report("answering a few recordings, step", n_done, len(prepared.steps))
                began = time.monotonic()
                offered = offers(folder, step, prepared.steps, clips, prepared.compressors, prepared.streams)
                requests = list(work.requests(step, clips, offered, prepared.streams))
                reports: list[Progress] = []
                with folder.windows.results(answerer.name, 0) as results:
                    work.answer(answerer, requests, results, reports.append, never)
                saving = saving.plus(reports[-1].saving) if reports else saving
                took[step] += time.monotonic() - began + decoding  # the audio is decoded anew at every step
        scale = prepared.survey.examples / len(block.examples)
        seconds_of = {step: seconds * scale for step, seconds in took.items()}
        return Estimate(evaluations(prepared), saving.share, sum(seconds_of.values()), seconds_of)


def _decoding(block: Block) -> float:
    """Seconds to decode a block whose files were read before."""
    began = time.monotonic()
    for _ in stream(block.examples, workers=0):
        pass
    return time.monotonic() - began
