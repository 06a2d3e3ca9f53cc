"""The questions that became wrong, to read and to listen to: what was asked, both answers, what was kept of the clip.

Plain data of a certificate's flips for `heard.html.j2`, with figures of one line. Where a clip plays from is given.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from earmark.engine.design.compressors import Axis
from earmark.engine.report.axes import share_words
from earmark.engine.report.numbers import count, significant
from earmark.engine.report.words import code, isolated, where, who
from earmark.engine.signoff.certificate import Certificate
from earmark.engine.signoff.flip_entry import CurveFlips, FamilyFlips, FlippedQuestion
from earmark.engine.signoff.kept_clips import interest

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # of options, as answerers are asked for them
_STATES = ("refused", "not approved so low", "no candidate")
_NOT_DECIDED = "not decided"  # of a preview
_RIGHT, _WRONG = "right on raw audio", "wrong on compressed audio"


class HeardOption(NamedTuple):
    """One option of a question, and who chose it."""

    letter: str
    text: str
    mark: str
    words: str  # empty: nobody


class HeardQuestion(NamedTuple):
    """One question that became wrong."""

    ident: Markup
    question: str  # empty: its text is not kept
    options: Sequence[HeardOption]
    answers: Markup  # in words
    kept: str  # of the clip, in words
    timeline: Markup | None
    raw_clip: str | None  # where it plays from
    clip: str | None


class HeardFamily(NamedTuple):
    """What became wrong in one family."""

    heading: Markup
    counts: str
    questions: Sequence[HeardQuestion]


class HeardMethod(NamedTuple):
    """What became wrong at the budget at which one method stopped."""

    heading: Markup
    families: Sequence[HeardFamily]


def became_wrong(certificate: Certificate, played: Mapping[str, str]) -> list[HeardMethod]:
    """What became wrong, method by method, refused candidates first; `played` says where each clip plays from.

    Families of all partitions stand together, and a question that is in several of them stands in the first.
    """
    axes = {(r.answerer, r.corpus, r.method, r.seed): r.axis for r in certificate.results}
    several = len({(r.answerer, r.corpus) for r in certificate.results}) > 1
    partitions = len(certificate.rule.partitions) > 1
    methods = []
    for flips in _by_method(certificate):
        first = flips[0]
        axis = axes.get((first.answerer, first.corpus, first.method, first.seed))
        shown: set[str] = set()
        families = [
            _family(entry, family, shown, axis, played, partitions) for entry in flips for family in entry.families
        ]
        place = Markup(" · ") + where(first.answerer, first.corpus) if several else Markup("")
        state = _NOT_DECIDED if _is_undecided(first, certificate) else _STATES[interest(certificate, first)]
        heading = Markup("{} at {}{} <small>{}</small>").format(
            who(first), share_words(first.budget, axis), place, state
        )
        methods.append(HeardMethod(heading, families))
    return methods


def _is_undecided(flips: CurveFlips, certificate: Certificate) -> bool:
    """Whether the answers of a candidate end before anything was decided of it."""
    return any(
        candidate.stopped is not None and candidate.stopped.undecided and candidate.budget is None
        for candidate in certificate.claim.candidates
        if (candidate.answerer, candidate.corpus, candidate.method) == (flips.answerer, flips.corpus, flips.method)
    )


def playing(methods: Sequence[HeardMethod], certificate: Certificate) -> Markup:
    """How many of the questions play, and how to keep recordings where none does; empty where all of them play."""
    questions = [question for method in methods for family in method.families for question in family.questions]
    n_playing = sum(bool(question.raw_clip or question.clip) for question in questions)
    if n_playing == len(questions):
        return Markup()
    if n_playing:
        words = Markup("Recordings of {} of the {} questions here are kept, to play.")
        return words.format(count(n_playing), count(len(questions)))
    if not certificate.answerers:
        return Markup("No recordings are kept: outcomes that were imported have none.")
    return Markup(
        "No recordings are kept: <code>clips = 20</code> under <code>[audits]</code> of a spec keeps those of 20."
    )


def played_clips(certificate: Certificate) -> Iterator[str]:
    """The files that the page plays, in its order, each as often as it does."""
    for flips in _by_method(certificate):
        questions = {
            question.sample_id: question
            for entry in flips
            for family in entry.families
            for question in family.questions
        }
        for question in questions.values():
            yield from (path for path in (question.raw_clip, question.clip) if path is not None)


def _by_method(certificate: Certificate) -> list[list[CurveFlips]]:
    """The flips of each method, seed and budget under all partitions; those of refused candidates first."""
    grouped: dict[tuple[object, ...], list[CurveFlips]] = {}
    for flips in certificate.flips:
        place = (flips.answerer, flips.corpus, flips.method, flips.seed, flips.budget)
        grouped.setdefault(place, []).append(flips)
    return sorted(grouped.values(), key=lambda group: interest(certificate, group[0]))


def _family(
    entry: CurveFlips,
    family: FamilyFlips,
    shown: set[str],
    axis: Axis | None,
    played: Mapping[str, str],
    partitions: bool,
) -> HeardFamily:
    """One family, with the questions of it that are not `shown` already."""
    new = [question for question in family.questions if question.sample_id not in shown]
    shown.update(question.sample_id for question in new)
    counts = f"{count(family.to_wrong)} of {count(family.n)} became wrong, {count(family.to_right)} right"
    n_above = len(family.questions) - len(new)
    parts = [f"{len(new)} below"] if len(new) < family.to_wrong and new else []
    parts += [f"{n_above} {'above' if new else 'of them above'}"] if n_above else []
    name = isolated(family.family)
    heading = Markup("{} ({})").format(name, isolated(entry.partition)) if partitions else name
    questions = [_question(question, entry.budget, axis, played) for question in new]
    return HeardFamily(heading, counts + (f" ({', '.join(parts)})" if parts else ""), questions)


def _question(question: FlippedQuestion, budget: float, axis: Axis | None, played: Mapping[str, str]) -> HeardQuestion:
    kept = _kept_words(question, budget, axis)
    return HeardQuestion(
        code(question.sample_id),
        question.question or "",
        _options(question),
        _answers(question),
        kept,
        _timeline(question, axis, kept),
        played.get(question.raw_clip or ""),
        played.get(question.clip or ""),
    )


def _options(question: FlippedQuestion) -> list[HeardOption]:
    """The options with their letters; a tick at the raw answer, a cross at the compressed one."""
    options = []
    for letter, text in zip(_LETTERS, question.options or (), strict=False):
        if letter == question.raw_answer:
            options.append(HeardOption(letter, text, "✓", _RIGHT))
        elif letter == question.answer:
            options.append(HeardOption(letter, text, "✗", _WRONG))
        else:
            options.append(HeardOption(letter, text, "", ""))
    return options


def _answers(question: FlippedQuestion) -> Markup:
    """Both answers and the right one, as the rows have them."""
    raw = "not known" if question.raw_answer is None else isolated(question.raw_answer)
    compressed = "none" if question.answer is None else isolated(question.answer)
    words = Markup("raw {} ✓, compressed {} ✗").format(raw, compressed)
    if question.right_answer not in (None, question.raw_answer):  # a judge took another wording for right
        words += Markup(", right is {}").format(isolated(str(question.right_answer)))
    return words


# The clip --------------------------------------------------------------------------------------------------


def _kept_words(question: FlippedQuestion, budget: float, axis: Axis | None) -> str:
    """How much of the clip was heard: `kept 3 of 5 s`, `5 s heard in 4 s`, `all 5 s, at 10% of the bits`.

    `4 of 5 s, at 80% of the audio` where nothing says which seconds these are.
    """
    raw_seconds, seconds = question.raw_seconds, question.seconds
    if raw_seconds is None or seconds is None:
        return f"kept {share_words(budget, axis)}"
    if question.kept_chunks is not None:
        return f"kept {significant(seconds)} of {significant(raw_seconds)} s"
    if seconds < raw_seconds and axis == "duration":
        return f"{significant(raw_seconds)} s heard in {significant(seconds)} s"
    heard = f"{significant(seconds)} of {significant(raw_seconds)} s" if seconds < raw_seconds else None
    return f"{heard or f'all {significant(seconds)} s'}, at {share_words(budget, axis)}"


def _timeline(question: FlippedQuestion, axis: Axis | None, words: str) -> Markup | None:
    """The clip as a line, and on it what was kept, or how long all of it lasts; None where the places are not known."""
    raw_seconds, seconds = question.raw_seconds, question.seconds
    if question.kept_chunks is not None and question.chunks:
        total = raw_seconds if raw_seconds and question.chunks - 1 < raw_seconds <= question.chunks else question.chunks
        spans = [(start, min(end, total)) for start, end in _runs(question.kept_chunks)]
    elif axis == "duration" and raw_seconds and seconds and seconds < raw_seconds:
        total, spans = raw_seconds, [(0, seconds)]
    else:
        return None
    kept = Markup("").join(
        Markup('<rect x="{}" width="{}" height="1"/>').format(significant(start), significant(end - start))
        for start, end in spans
    )
    return Markup(
        '<svg class="timeline" role="img" aria-label="{}" viewBox="0 0 {} 1" width="100%" height="10" '
        'preserveAspectRatio="none"><g fill="currentColor"><rect width="{}" height="1" fill-opacity=".18"/>{}</g></svg>'
    ).format(words, significant(total), significant(total), kept)


def _runs(places: Sequence[int]) -> list[tuple[float, float]]:
    """Chunks that follow one another, as spans of seconds."""
    spans: list[tuple[float, float]] = []
    for place in places:
        if spans and spans[-1][1] == place:
            spans[-1] = (spans[-1][0], place + 1)
        else:
            spans.append((place, place + 1))
    return spans
