"""An answerer of a model whose computations are shared: plans, runs batch by batch, and fans results out.

Every piece of work is done once, and with `reuse=False` alone through the plain model. Knows neither torch nor files.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from earmark.engine.answerers.abilities import Abilities
from earmark.engine.answerers.answerer import unheard
from earmark.engine.answerers.request import Progress, Request, RequestCounts, Result, Saving
from earmark.engine.answerers.shared.audio_lm import AudioLM
from earmark.engine.answerers.shared.encodings import Encodings
from earmark.engine.answerers.shared.forest import Forest, make_forest
from earmark.engine.answerers.shared.scheduler import AnswerOptions, Scheduler, answer_alone
from earmark.engine.corpus.example import SAMPLE_RATE
from earmark.engine.design.keys import OK
from earmark.engine.progress import Stop, never


class SharedAnswerer:
    """A model and how it is asked."""

    likelihoods = True
    cannot_reduce = cannot_weigh = ""  # it reduces what its encoder makes, with places and weights or without
    cannot_evict = ""  # it drops keys and values of its cache

    def __init__(
        self,
        model: AudioLM,
        options: AnswerOptions = AnswerOptions(),  # noqa: B008 (frozen)
        encodings: Encodings | None = None,
    ) -> None:
        self.name = model.name
        self.model = model
        self.options = options
        self._encodings = encodings

    @property
    def cannot_prune(self) -> str:
        """Why it cannot drop audio after a layer, or nothing."""
        return (
            "it writes its answers (generate), which takes as many keys in every layer" if self.options.generate else ""
        )

    @property
    def layers(self) -> int:
        """How many layers its decoder has."""
        return self.model.shape.decoder.layers

    @property
    def identity(self) -> str:
        """The model and how it is asked, not how the work is cut into batches."""
        return f"{self.model.identity} generate={self.options.generate} split={self.options.split}"

    @property
    def encoder(self) -> str:
        """The model whose states a trained reduction reads: others' mean something else."""
        return self.model.identity

    @property
    def abilities(self) -> Abilities:
        """What it can do: letters are tokens, or the model is not loaded."""
        beyond = "several audios in one prompt" if self.options.split else "a status (too long)"
        window_s = self.model.shape.encoder.longest_samples / SAMPLE_RATE
        return Abilities(shares=True, no_likelihoods="", letters_are_tokens=True, window_s=window_s, beyond=beyond)

    def answer(
        self,
        requests: Iterable[Request],
        known: Mapping[str, Result],
        report: Callable[[Progress], None] = unheard,
        stop: Stop = never,
    ) -> Iterator[tuple[Request, Result]]:
        """Every request once; `stop` is asked after every batch: what is left is then for the next run."""
        model, options = self.model, self.options
        results = dict(known)
        meter = _AnswerMeter(model)
        waiting = iter(requests)
        while part := list(islice(waiting, options.planned_at_once)):
            forest = make_forest(part, model.template, model.shape, model.tokenize, results.keys(), options.split)
            meter.forest(forest)
            for key, number in forest.known:
                yield part[number], results[key]
            askers = {piece.key: piece.requests for piece in forest.pieces()}
            askers |= {result.key: numbers for result, numbers in forest.refused}
            run = (
                Scheduler(model, forest, options, self._encodings).steps()
                if options.reuse
                else answer_alone(model, forest, options)
            )
            for batch in run:
                results.update((result.key, result) for result in batch)
                answered = [(part[n], result) for result in batch for n in askers.pop(result.key)]
                report(meter.step(batch, len(answered)))
                yield from answered
                if stop():
                    return
            assert not askers, f"{len(askers)} pieces of work without a result"

    def in_other_batches(self) -> "SharedAnswerer":
        """The same model, in batches of a third of the tokens and half of the clips."""
        tokens, clips = max(1, self.options.batch_tokens // 3), max(1, self.options.window_clips // 2)
        return SharedAnswerer(self.model, replace(self.options, batch_tokens=tokens, window_clips=clips))

    def close(self) -> None:
        """Let go of the model: there may not be memory for two."""
        del self.model


class _AnswerMeter:
    """The figures of a progress line."""

    def __init__(self, model: AudioLM) -> None:
        self._model = model
        self._counts = RequestCounts()
        self._flops_before = model.counted.flops
        self._alone_flops = 0

    def forest(self, forest: Forest) -> None:
        """Another forest begins."""
        self._forest = forest
        self._place_of = {q.key: (h, q) for h in forest.trees for q in h.pieces}
        self._counts.planned(len(forest.requests), len(forest.known))
        self._alone_flops += forest.known_alone

    def step(self, results: Sequence[Result], answers: int) -> Progress:
        """A batch was answered."""
        n_failed = 0
        for result in results:
            place = self._place_of.get(result.key)
            if place is None or result.status != OK:
                n_failed += 1 if place is None else len(place[1].requests)
                continue
            tree, piece = place
            self._alone_flops += len(piece.requests) * self._forest.alone(tree, piece).flops
        spent = self._model.counted.flops - self._flops_before
        return self._counts.done(answers, n_failed, Saving(spent, self._alone_flops))
