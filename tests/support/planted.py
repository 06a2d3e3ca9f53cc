"""Worlds whose truth is known: corpora of a few families, selectors that know where the evidence is, one run of each.

Every world is answered by the embedded answerer in a real sweep, certified and rendered; only what it is made of is
planted. One question per clip, so that rows are independent.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from as_json import certify, render
from evidence import relevant_slots
from page import Page

from earmark.engine.compressors.chunks.chunk_compressor import ChunkCompressor
from earmark.engine.compressors.chunks.selector import Selector, SelectorInput
from earmark.engine.compressors.compressor import Compressor
from earmark.engine.compressors.loading import load_chunks
from earmark.engine.corpus.clip import chunk_count
from earmark.engine.corpus.corpus import Corpus
from earmark.engine.corpus.example import Example
from earmark.engine.corpus.synthetic.questions import FAMILIES, WORDS, questions
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.synthetic.synthetic_corpus import SyntheticAudio, examples
from earmark.engine.design.sections import MethodSpec
from earmark.engine.design.spec import parse
from earmark.engine.sweep.run import run

Json = dict[str, Any]
FAMILY_OF = {text: family for family in FAMILIES for asks in WORDS for text in WORDS[asks] if asks == family}
Evidence = Mapping[str, Mapping[str, Sequence[int]]]  # slots, by sample and family


class Informed(Selector):
    """Keeps the slots that hold evidence, but for slips: a share of clips in which the evidence comes last."""

    def __init__(self, evidence: Evidence, asks: bool, slips: float, seed: int) -> None:
        self.evidence = evidence
        self.asks = asks
        self.slips = slips
        self.seed = seed

    def scores(self, clips: Sequence[SelectorInput]) -> list[np.ndarray[Any, Any]]:
        return [self._scores(clip) for clip in clips]

    def _scores(self, clip: SelectorInput) -> np.ndarray[Any, Any]:
        """Of the family that the shown question is of; without a question, of every family in turn."""
        known = self.evidence[clip.sample_id]
        families = [FAMILY_OF[clip.question]] if clip.question is not None else list(known)
        digest = hashlib.blake2b(f"{self.seed}/{self.asks}/{clip.sample_id}".encode(), digest_size=8).digest()
        rng = np.random.default_rng(int.from_bytes(digest, "little"))
        made = rng.random(chunk_count(clip.audio))
        for place, family in enumerate(families):
            made[known[family][0]] = -1 if rng.random() < self.slips else 2 + len(families) - place
        return made


@dataclass(frozen=True)
class World:
    """What is planted: how many rows of each family, how they are compressed, and what is allowed."""

    rows: Mapping[str, int]
    budgets: Sequence[float]
    method: str = ""  # a heuristic; without it two informed selectors, one of which reads the question
    slips: float = 0.0
    seeds: Sequence[int] = (0,)
    partitions: Sequence[str] = ("family",)
    tolerance: float = 0.1
    permuted: int = 0

    @cached_property
    def examples(self) -> tuple[Example, ...]:
        """Families one after the other, each clip asked once; `wording` is the question itself."""
        made: list[Example] = []
        for family, n in self.rows.items():
            made += islice(examples(Split.CERTIFICATION, len(made) + n, families=(family,)), len(made), None)
        return tuple(replace(example, labels={**example.labels, "wording": example.question.text}) for example in made)

    @cached_property
    def evidence(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """Where the evidence is for a question of any family of the world, by sample."""
        found = {}
        for example in self.examples:
            assert isinstance(example.audio, SyntheticAudio)
            asked = {question.family: question.relevant for question in questions(example.audio.clip())}
            found[example.sample_id] = {family: asked[family] for family in self.rows}
            assert asked[example.labels["family"]] == relevant_slots(example)
        return found

    @property
    def toml(self) -> str:
        """The spec."""
        informed = [
            f'[[methods]]\nname = "{name}"\nselector = "{name}-{{seed}}"\nseeds = {list(self.seeds)}\n'
            for name in ("planted_agnostic", "planted_conditioned")
        ]
        methods = [f'[[methods]]\nname = "{self.method}"\n'] if self.method else informed
        streams = f"[streams]\npermuted_global = {self.permuted}\n" if self.permuted else ""
        names = ", ".join(f'"{name}"' for name in self.partitions)
        return (
            '[corpus]\npath = "planted"\n[[answerers]]\nmodel = "tiny"\n'
            f"[sweep]\nbudgets = {list(self.budgets)}\n{''.join(methods)}{streams}[partitions]\nnames = [{names}]\n"
            f"[rule]\ntolerances = [{self.tolerance}]\nreplicates = 1000\n[audits]\nflip_rate = 0\n"
        )

    def compressor(self, method: MethodSpec, seed: int) -> Compressor:
        """In place of `compressors.loading.load_chunks`."""
        if method.name == self.method:
            return load_chunks(method, seed)
        informed = Informed(self.evidence, method.name == "planted_conditioned", self.slips, seed)
        return ChunkCompressor(method.name, informed)


@dataclass(frozen=True)
class Told:
    """What the sign-off says of a world: a certificate, and its report."""

    certificate: Json
    source: str

    @property
    def page(self) -> Page:
        return Page(self.source)

    def result(self, partition: str = "family") -> Json:
        """The only method's result under a partition."""
        (found,) = [r for r in self.certificate["results"] if r["partition"] == partition]
        return dict(found)


def told(world: World, out: Path) -> Told:
    """Sweep, certify, render."""
    corpus = Corpus("synthetic", "planted", world.examples, native=("family",))
    spec = parse(world.toml)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("earmark.engine.sweep.prepare.open_corpus", lambda *_, **__: corpus)
        smaller = replace(spec, audits=replace(spec.audits, grid=8))
        assert run(smaller, out, load_compressor=world.compressor).complete
    certificate = certify(out, spec.rule)
    return Told(certificate, render(certificate))
