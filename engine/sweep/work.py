"""The work of a task: a block's clips are cut, its questions go to the answerer, and rows come back.

A block is answered whole or not at all, and knows only what it was itself answered before: so its batches, and with
them the last bits of every likelihood, are the same however often the sweep is killed and wherever its blocks run.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NoReturn

import pyarrow as pa

from earmark.engine.answerers import journal
from earmark.engine.answerers.answer_all import answer_all
from earmark.engine.answerers.answerer import Answerer
from earmark.engine.answerers.prompt import letters
from earmark.engine.answerers.request import Answer, Progress, Request
from earmark.engine.compressors.compressor import ChangedAudio
from earmark.engine.corpus.clip import chunk_count
from earmark.engine.corpus.example import SAMPLE_RATE, Audio
from earmark.engine.corpus.stream import Decoders
from earmark.engine.design.keys import COMPRESSOR, NOT_FINITE, OK, TOO_LONG
from earmark.engine.design.sections import AnswererSpec, MachineSpec, MethodSpec
from earmark.engine.design.steps import Arm, Step, references
from earmark.engine.errors import InputError
from earmark.engine.progress import Stop, StoppedError
from earmark.engine.sweep.blocks import Block, BlocksInTurn, blocks
from earmark.engine.sweep.offers import Clips, Compressors, Offer, offers, without_failed
from earmark.engine.sweep.open_clips import OpenClips
from earmark.engine.sweep.prepare import Prepared
from earmark.engine.sweep.streams import Streams
from earmark.engine.sweep.sweep_folder import SweepFolder
from earmark.engine.sweep.tasks import Task
from earmark.engine.sweep.windows import PENDING_ROW

Load = Callable[[AnswererSpec, MachineSpec], Answerer]
Offers = Mapping[tuple[Arm, int], Offer]
_DECODERS_BESIDE_A_GPU = 4
_OUT_OF_REACH = "what its encoder makes cannot be changed before its decoder reads it"
_CLOSED = "nobody can reach into its decoder"


class Worker:
    """Carries out the tasks of a sweep with one answerer at a time, loaded when it is first needed."""

    def __init__(
        self,
        folder: SweepFolder,
        prepared: Prepared,
        load: Load,
        report: Callable[[Progress], None],
        spooled: Callable[[], Mapping[Audio, Audio]] = dict,
    ) -> None:
        self._folder, self._prepared = folder, prepared
        self._load, self._report = load, report
        self._spooled = spooled
        self._name = ""
        self._answerer: Answerer | None = None
        self._in_memory: list[Block] | None = None  # the blocks of a corpus that is walked through
        self._in_turn = BlocksInTurn(prepared.corpus, prepared.spec.window)
        self._decoders = Decoders(decoders(prepared.spec.machine))
        self._open_clips = OpenClips(self._decoders)

    def close(self) -> None:
        """Stop the processes that decode; the answerer is closed by who loaded it."""
        self._decoders.close()

    def answerer(self, name: str) -> Answerer:
        """The answerer of this name, in place of the one before: there may not be memory for two."""
        if self._answerer is None or self._name != name:
            if self._answerer is not None:
                self._answerer.close()
            self._answerer = None
            (described,) = (entry for entry in self._prepared.spec.answerers if entry.name == name)
            answerer = self._load(described, self._prepared.spec.machine)
            check_able(name, answerer, self._prepared)
            self._answerer, self._name = answerer, name
        return self._answerer

    def work(self, tasks: Sequence[Task], stop: Stop) -> Iterator[tuple[Task, pa.Table]]:
        """The rows of each task, one for every arm and example; StoppedError where `stop` says so before the last."""
        folder, prepared = self._folder, self._prepared
        for task, clips in self._clips(tasks):
            if stop():  # a block of one batch is whole before anybody could stop it
                raise StoppedError
            answerer = self.answerer(task.answerer)  # first: a folder begins with it
            offered = offers(folder, task.step, prepared.steps, clips, prepared.compressors, prepared.streams)
            offered = without_failed(offered, clips, self._failed(task))
            to_ask = list(requests(task.step, clips, offered, prepared.streams))
            before = [folder.windows.results_of(task.answerer, task.block, part) for part in task.before]
            with folder.windows.results(task.answerer, task.block, task.part) as results:
                answers = answer(answerer, to_ask, results, self._report, stop, before)
            if prepared.spec.rule.loss == "nll":
                _check_nll(task.answerer, answers.values())
            yield task, rows(task.step, clips, offered, prepared.streams, answers, prepared.family_of)

    def _clips(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Clips]]:
        """The blocks of the tasks with their clips, decoded ahead; one pass over the audio for each step."""
        spec = self._prepared.spec
        if self._prepared.walk is not None:
            yield from self._parts(tasks)
            return
        if len(tasks) == 1:
            block = self._in_turn.block(tasks[0].block)
            yield tasks[0], Clips(block, list(self._decoders.stream(block.examples)))
            return

        def each() -> Iterator[tuple[Task, Block]]:
            for step in dict.fromkeys(task.step for task in tasks):
                wanted = {task.block: task for task in tasks if task.step == step}
                of_step = islice(blocks(self._prepared.corpus, spec.window), max(wanted) + 1)
                yield from ((wanted[block.number], block) for block in of_step if block.number in wanted)

        examples = (example for _, block in each() for example in block.examples)
        clips = self._decoders.stream(examples)
        for task, block in each():
            yield task, Clips(block, list(islice(clips, len(block.examples))))

    def _parts(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Clips]]:
        """The parts of blocks that a walk asks about."""
        if self._in_memory is None:
            in_place_of = self._spooled()  # before any is opened
            self._in_memory = [
                block._replace(
                    examples=tuple(replace(e, audio=in_place_of.get(e.audio, e.audio)) for e in block.examples)
                )
                for block in blocks(self._prepared.corpus, self._prepared.spec.window)
            ]
        for task in tasks:
            block = self._in_memory[task.block]
            asked_about = block.examples if task.rows is None else tuple(block.examples[row] for row in task.rows)
            yield task, self._open_clips.of(Block(block.number, block.first, asked_about))

    def _failed(self, task: Task) -> dict[Arm, Mapping[str, str]]:
        """The samples of a block whose raw answer failed, with its status, for every arm of a step."""
        raw = references(self._prepared.steps, task.step)
        statuses = {
            reference: self._folder.failed(task, self._prepared.corpus.name, *reference)
            for reference in dict.fromkeys(raw.values())
        }
        return {arm: statuses[reference] for arm, reference in raw.items()}


def check_able(name: str, answerer: Answerer, prepared: Prepared) -> None:
    """InputError where an answerer cannot do what the rule or a method asks of it."""
    if prepared.spec.rule.loss == "nll" and not answerer.likelihoods:
        raise InputError(f"answerer {name}", "has no likelihoods", 'set loss = "zero-one" in [rule]')
    _check_tokens(name, answerer, prepared.spec.methods)
    _check_inside(name, answerer, prepared.spec.methods)
    _check_encoder(name, answerer, prepared.compressors)


def _check_tokens(name: str, answerer: Answerer, methods: Sequence[MethodSpec]) -> None:
    """InputError where an answerer cannot do what some methods want of its encoder's output."""
    of_tokens = [method for method in methods if method.stage == "tokens"]
    if not of_tokens:
        return
    why = getattr(answerer, "cannot_reduce", _OUT_OF_REACH)
    if why:
        _refuse_tokens(name, of_tokens, why, "leave these methods out")
    sized = [method for method in of_tokens if method.sized]
    why = getattr(answerer, "cannot_weigh", _OUT_OF_REACH) if sized else ""
    if why:
        _refuse_tokens(name, sized, why, "leave out sized")


def _check_inside(name: str, answerer: Answerer, methods: Sequence[MethodSpec]) -> None:
    """InputError where an answerer cannot drop what some methods want inside its decoder."""
    for stage, ability, what in (
        ("layers", "cannot_prune", "drop audio after a layer"),
        ("cache", "cannot_evict", "drop keys and values of its cache"),
    ):
        names = ", ".join(method.name for method in methods if method.stage == stage)
        why = getattr(answerer, ability, _CLOSED) if names else ""
        if why:
            do = "leave these methods out, or name a Qwen2-Audio or Qwen2.5-Omni"
            raise InputError(f"answerer {name}", f"cannot {what}, as {names} would: {why}", do)
    layers = getattr(answerer, "layers", 0)
    for method in methods:
        if method.stage == "layers" and method.layer >= layers:
            what = (
                f"has {layers} decoder layers: {method.name} drops audio after layer {method.layer}, where none follows"
            )
            raise InputError(f"answerer {name}", what, f"set layer = {layers - 1} or less")


def _refuse_tokens(name: str, methods: Sequence[MethodSpec], why: str, do: str) -> NoReturn:
    names = ", ".join(method.name for method in methods)
    what = f"cannot reduce its encoder's output, as {names} would: {why}"
    raise InputError(f"answerer {name}", what, f"{do}, or name a Qwen2-Audio or Qwen2.5-Omni")


def _check_encoder(name: str, answerer: Answerer, compressors: Compressors) -> None:
    """InputError where a method's scorer of tokens was trained on what another encoder makes."""
    for (method, _), compressor in compressors.items():
        encoder = getattr(compressor, "encoder", None)
        if encoder is not None and encoder != getattr(answerer, "encoder", None):
            what = f"is not the one whose encoder the selector of {method} was trained on"
            raise InputError(f"answerer {name}", what, "train one with `earmark selector train --tokens --answerer`")


def _check_nll(name: str, answers: Collection[Answer]) -> None:
    """InputError where an answer has no nll: the rule could judge nothing, and all that is asked later is in vain."""
    without = sum(answer.status == OK and answer.nll is None for answer in answers)
    if without:
        what = f"gave no likelihood of every letter with {without} of {len(answers)} answers of a block"
        raise InputError(f"answerer {name}", what, 'set loss = "zero-one" in [rule]')


def decoders(machine: MachineSpec) -> int:
    """Processes that decode audio ahead; 0: none, it is done in between."""
    if machine.decoders is not None:
        return machine.decoders
    return 0 if machine.device == "cpu" else _DECODERS_BESIDE_A_GPU


def requests(step: Step, clips: Clips, offered: Offers, streams: Streams) -> Iterator[Request]:
    """What is asked about a block at a step: a request per arm and example that can be heard."""
    for place, arm in enumerate(step.arms):
        for number, clip in enumerate(clips.clips):
            excerpt = offered[arm, number].excerpt
            if excerpt is not None:
                question = streams.answerers(arm.stream, clips.block.first + number, clip.example.question)
                yield Request(_id(place, number), excerpt, question)


def answer(
    answerer: Answerer,
    to_ask: Sequence[Request],
    results: Path,
    report: Callable[[Progress], None],
    stop: Stop,
    before: Sequence[Path] = (),
) -> dict[str, Answer]:
    """The answers of a block by request, or StoppedError. `results` holds those of earlier steps, and so do the
    journals `before` it that are there.
    """
    with journal.opened(results, answerer.identity) as known:
        for path in filter(os.path.lexists, before):
            known.results.update((result.key, result) for result in journal.read_results(path, answerer.identity))
        answers = {answer.id: answer for answer in answer_all(answerer, to_ask, known, report, stop)}
    if len(answers) < len(to_ask):
        raise StoppedError
    return answers


def rows(
    step: Step,
    clips: Clips,
    offered: Offers,
    streams: Streams,
    answers: Mapping[str, Answer],
    family_of: Mapping[str, str],
) -> pa.Table:
    """A row per arm and example, whatever came of it."""
    entries = []
    for place, arm in enumerate(step.arms):
        for number, clip in enumerate(clips.clips):
            example, offer = clip.example, offered[arm, number]
            question = streams.answerers(arm.stream, clips.block.first + number, example.question)
            reply = answers.get(_id(place, number))
            status = _status(offer, reply)
            label = reply.predicted_label if reply is not None and status == OK else None
            right = letters(len(question.choices))[question.answer]
            excerpt = offer.excerpt
            chunks = _seconds_kept(offer)
            entries.append(
                {
                    **arm._asdict(),
                    "sample_id": example.sample_id,
                    "source_id": example.source_id,
                    "query_family": family_of[example.sample_id],
                    "loss": float(label != right) if status == OK else None,
                    "nll": reply.nll if reply is not None else None,
                    "seconds_heard": excerpt.wave.n_samples / SAMPLE_RATE if excerpt is not None else None,
                    "bits_sent": excerpt.bits if excerpt is not None else None,
                    "num_audio_tokens": reply.num_audio_tokens if reply is not None else None,
                    "lm_positions": reply.lm_positions if reply is not None else None,
                    "flops": reply.flops if reply is not None else None,
                    "predicted_label": label,
                    "correct_label": right,
                    "n_options": len(question.choices),
                    "chunks_total": chunk_count(offer.clip.audio) if excerpt is not None and offer.clip else None,
                    "chunks_kept": len(chunks) if chunks is not None else None,
                    "kept_chunks": chunks or None,
                    "kept_hash": excerpt.hash if excerpt is not None else None,
                    "status": status,
                }
            )
    return pa.Table.from_pylist(entries, schema=PENDING_ROW)


def _status(offer: Offer, reply: Answer | None) -> str:
    """The status of a row: a wave that a compressor made and the answerer cannot hear is the compressor's harm."""
    if reply is None:
        return offer.status
    unheard = reply.status.startswith((TOO_LONG, NOT_FINITE))
    return COMPRESSOR + reply.status if unheard and _is_changed(offer) else reply.status


def _seconds_kept(offer: Offer) -> tuple[int, ...] | None:
    """The chunks of its clip that an offer has: none of silence; None of what is no part of the clip, or less of what
    an encoder makes of it.
    """
    if offer.excerpt is None or offer.excerpt.reduction is not None or _is_changed(offer):
        return None
    return offer.excerpt.wave.places if offer.excerpt.wave.audio is offer.clip else ()


def _is_changed(offer: Offer) -> bool:
    """Whether a compressor made the samples that are offered."""
    return offer.excerpt is not None and isinstance(offer.excerpt.wave.audio, ChangedAudio)


def _id(arm: int, example: int) -> str:
    return f"{arm}/{example}"
