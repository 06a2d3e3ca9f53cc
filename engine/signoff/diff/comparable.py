"""What keeps two certificates, or parts of them, from being compared, and in what the new one demands less.

Every obstacle is a sentence that names what differs. Reads what certificates state; no outcomes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from earmark.engine.errors import first_few
from earmark.engine.signoff.answerer_files import AnswererEntry
from earmark.engine.signoff.certificate import Certificate
from earmark.engine.signoff.claim_entry import ClaimCandidate
from earmark.engine.signoff.diff.diff_entry import DecisionChange, FamilyChange
from earmark.engine.signoff.result_entry import ResultEntry, ResultFamily

Method = tuple[str, str, str]  # answerer, corpus, method
ResultName = tuple[str, str, str, int, str]  # the same, seed, partition
_SAME_RULE = {  # keys of the rule that say what is tested, and how
    "name": "rule",
    "loss": "loss",
    "alpha": "alpha",
    "looks": "number of looks",
    "clustering": "clustering",
    "source": "column of recordings",
    "max_rows_per_recording": "number of rows per recording",
}


def method_of(entry: ResultEntry | ClaimCandidate | DecisionChange | FamilyChange) -> Method:
    """The method that an entry is about, under its answerer and corpus."""
    return entry.answerer, entry.corpus, entry.method


def name_of(result: ResultEntry) -> ResultName:
    """The names by which a result of one certificate is looked up in the other."""
    return result.answerer, result.corpus, result.method, result.seed, result.partition


def label_of(result: ResultEntry) -> str:
    """What sentences call a result."""
    return f"{result.method}{f' seed {result.seed}' if result.seed else ''} ({result.partition})"


def obstacles(old: Certificate, new: Certificate) -> list[str]:
    """Why nothing in two certificates can be compared; empty where something can."""
    sentences = [
        f"The {which} certificate is {certificate.preview.reason}."
        for which, certificate in (("old", old), ("new", new))
        if certificate.preview is not None
    ]
    for key, words in _SAME_RULE.items():
        before, now = getattr(old.rule, key), getattr(new.rule, key)
        if before != now:
            sentences.append(f"Another {words}: {_words(now)}, before {_words(before)}. Certify both by the same rule.")
    return sentences


def _words(value: object) -> str:
    return "the default" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def answerer_obstacles(old: Certificate, new: Certificate, answerers: Iterable[str]) -> dict[str, str]:
    """Why answers of some of these answerers cannot be compared, by name."""
    before, now = ({entry.answerer: entry for entry in certificate.answerers} for certificate in (old, new))
    here = {result.answerer for result in new.results}
    sentences = {}
    for name in dict.fromkeys(answerers):
        if name not in here:
            sentences[name] = f"Another answerer: the new certificate is of {first_few(sorted(here))}, not of '{name}'."
        elif (name in before) != (name in now):
            which = "new" if name in before else "old"
            sentences[name] = f"Perhaps another answerer: the {which} certificate does not say who '{name}' is."
        elif name in before and _identity(before[name]) != _identity(now[name]):
            was, is_now = _told_apart(before[name], now[name])
            sentences[name] = f"Another answerer: '{name}' is {is_now}, before {was}."
    return sentences


def _identity(entry: AnswererEntry) -> tuple[str, str]:
    return entry.kind, entry.identity


def _told_apart(before: AnswererEntry, now: AnswererEntry) -> tuple[str, str]:
    """The first thing in which two answerers differ: model, kind, or else identity."""
    for field in ("model", "kind"):
        was, is_now = getattr(before, field), getattr(now, field)
        if was != is_now:
            return was, is_now
    return before.identity, now.identity


def known_by_name_only(old: Certificate, new: Certificate) -> list[str]:
    """A sentence where the outcomes were imported: nothing but a name says that the same answerer answered."""
    known = {entry.answerer for certificate in (old, new) for entry in certificate.answerers}
    unknown = sorted({result.answerer for result in old.results} - known)
    return [f"Who answered is known by name only: {first_few(unknown)}."] if unknown else []


def result_obstacles(before: ResultEntry, results: Mapping[ResultName, ResultEntry]) -> list[str]:
    """Why one method, seed and partition cannot be compared as a whole with the results of the new certificate."""
    now = results.get(name_of(before))
    if now is None:
        methods = {method_of(result) for result in results.values()}
        label = label_of(before) if method_of(before) in methods else before.method
        return [f"{label} is not in the new certificate."]
    sentences = []
    for words, was, is_now in (
        ("is of other questions", _questions(before), _questions(now)),
        ("has budgets of another axis", before.axis or "unknown", now.axis or "unknown"),
        ("has another raw reference", before.reference, now.reference),
    ):
        if was != is_now:
            sentences.append(f"{label_of(before)} {words}: {is_now}, before {was}.")
    return sentences


def _questions(result: ResultEntry) -> str:
    return f"{result.n:,} of {result.sources:,} recordings"


def lacking_families(before: ResultEntry, now: ResultEntry) -> list[str]:
    """A sentence that names the families which the new certificate has no more."""
    here = {family.family for family in now.families}
    gone = [family.family for family in before.families if family.family not in here]
    return [f"{label_of(before)} lacks {_many(gone, 'family', 'families')} {first_few(gone, 5)}."] if gone else []


def lacking_budgets(before: ResultEntry, now: ResultEntry) -> list[str]:
    """A sentence that names the budgets which the new certificate has no more."""
    here = {entry.budget for entry in now.budgets}
    gone = [f"{entry.budget:g}" for entry in before.budgets if entry.budget not in here]
    return [f"{label_of(before)} lacks {_many(gone, 'budget', 'budgets')} {first_few(gone, 5, '')}."] if gone else []


def _many(names: Sequence[str], single: str, plural: str) -> str:
    return single if len(names) == 1 else plural


def partly_asked(old: Certificate, new: Certificate) -> str:
    """Why no answers are compared where walks were decided without some of them; empty where all were asked."""
    parts = [
        which
        for which, certificate in (("old", old), ("new", new))
        if not all(walk.whole for walk in certificate.walks)
    ]
    if not parts:
        return ""
    whose = f"the {parts[0]} certificate has" if len(parts) == 1 else "both certificates have"
    complete = 'complete that sweep (until = "complete")' if len(parts) == 1 else "complete both sweeps"
    return (
        f"What is approved was compared, and no answers: {whose} only what was asked until it was decided. To compare "
        f"answers too, {complete}."
    )


def family_obstacle(before: ResultFamily, now: ResultFamily, by_counts: bool, walked: bool) -> str | None:
    """In what a family is another one than before; None where it is the same.

    Where only counts are known, raw audio's answers must be the same too: nothing else says that these are the same
    questions. Of a family that was `walked` in either certificate, they are stated only as far as a walk went.
    """
    if (before.test, before.estimand, before.unit) != (now.test, now.estimand, now.unit):
        return f"is tested otherwise ({_tested(now)}, before {_tested(before)})"
    if walked:
        return None if before.units == now.units else f"has {now.units} {now.unit}, before {before.units}"
    if (before.n, before.recordings) != (now.n, now.recordings):
        return f"has {_size(now)}, before {_size(before)}"
    if before.chance != now.chance:
        return "has other options to choose from"
    if by_counts and before.raw_accuracy != now.raw_accuracy:
        return "has other answers on raw audio, and the run folders are not there to compare its questions"
    return None


def _tested(family: ResultFamily) -> str:
    return "by the paper's rule" if family.test is None else f"{family.test} on {family.unit}"


def _size(family: ResultFamily) -> str:
    return f"{family.n:,} questions of {family.recordings:,} recordings"


def evened_out(old: Certificate, new: Certificate) -> tuple[list[str], list[str]]:
    """In what one certificate demands less, where both are held to the stricter: the new one, and the old one."""
    before, now = old.claim, new.claim
    sentences: tuple[list[str], list[str]] = ([], [])
    if now.tolerance != before.tolerance:
        wider = now.tolerance > before.tolerance
        word, least = ("wider", before.tolerance) if wider else ("tighter", now.tolerance)
        sentences[not wider].append(
            f"A {word} tolerance: {now.tolerance:g}, before {before.tolerance:g}. Both are held to {least:g}."
        )
    shares, shares_before = _shares(new), _shares(old)
    if shares != shares_before:
        sentences[shares > shares_before].append(
            f"Alpha is shared by {_sharing(new)}, before by {_sharing(old)}. Both are held to the stricter level."
        )
    return sentences


def _shares(certificate: Certificate) -> int:
    """By how many a claim divides alpha."""
    return certificate.claim.k * (2 if certificate.claim.kind == "both" else 1)


def _sharing(certificate: Certificate) -> str:
    k = certificate.claim.k
    both = " and both kinds of claim" if certificate.claim.kind == "both" else ""
    return f"{k} candidate{'s' * (k != 1)}{both}"


def looser(old: Certificate, new: Certificate) -> list[str]:
    """In what the new certificate demands less, and cannot be held to more by what it states."""
    sentences = []
    if old.claim.guaranteed and not new.claim.guaranteed:
        sentences.append("It guarantees nothing; before, false approvals were bounded.")
    before, now = old.rule.max_error_rate, new.rule.max_error_rate
    if now > before:
        sentences.append(f"More rows may fail: {now:g} of a cell, before {before:g}.")
    for key, words in (
        ("allow_vacuous", "Families may be approved that need no audio"),
        ("in_domain", "Methods may have been trained on the sources that they are certified on"),
    ):
        more = sorted(set(getattr(new.rule, key)) - set(getattr(old.rule, key)))
        if more:
            sentences.append(f"{words}: {first_few(more)}.")
    if old.declared.plan is not None and new.declared.plan is None:
        sentences.append("Nothing was declared beforehand; before, a plan was.")
    return sentences


def only_now(old: Mapping[ResultName, ResultEntry], new: Mapping[ResultName, ResultEntry]) -> Iterator[str]:
    """Sentences that name methods and partitions with which there is nothing to compare yet."""
    for place, words in ((2, "method"), (4, "partition")):
        names = sorted({str(name[place]) for name in new} - {str(name[place]) for name in old})
        if names:
            yield f"New {_many(names, words, words + 's')}, with nothing to compare: {first_few(names, 5)}."
    kept = {name[:3] for name in old}
    seeds = sorted({f"{name[2]} seed {name[3]}" for name in new if name[:3] in kept} - {
        f"{name[2]} seed {name[3]}" for name in old
    })  # fmt: skip
    if seeds:
        yield f"New seeds, with nothing to compare: {first_few(seeds, 5)}."
