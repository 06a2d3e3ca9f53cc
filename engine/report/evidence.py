"""What a claim rests on, in a line each: how many questions, raw audio, silence, the answerer asked twice, the plan.

Every number is the certificate's own; the tables and the list of what was declared say more.
"""

from collections import Counter
from typing import NamedTuple

from earmark.engine.report.numbers import count, percent
from earmark.engine.report.walk_words import asked_words
from earmark.engine.signoff.certificate import Certificate
from earmark.engine.signoff.result_entry import ResultEntry, ResultFamily


class EvidenceLine(NamedTuple):
    """A term, what holds of it, of which answerer and corpus, and whether it casts doubt on the claim."""

    term: str
    words: str
    place: str = ""
    doubted: bool = False


def evidence(certificate: Certificate) -> list[EvidenceLine]:
    """A line each, in the order in which one asks; nothing without results."""
    first_of: dict[tuple[str, str], ResultEntry] = {}
    for result in certificate.results:
        first_of.setdefault((result.answerer, result.corpus), result)
    several = len(first_of) > 1
    lines = [_questions(result, place, several) for place, result in first_of.items()]
    lines += [EvidenceLine("Asked", asked_words(certificate.walks, certificate.preview))] if certificate.walks else []
    return [*lines, *([_silence(certificate), _asked_twice(certificate), _declared(certificate)] if lines else [])]


def _questions(result: ResultEntry, place: tuple[str, str], several: bool) -> EvidenceLine:
    recordings = f" about {count(result.sources)} recordings" if result.sources < result.n else ""
    listed = [(family.n, family.raw_accuracy, family.chance) for family in result.families if family.n]
    n = sum(size for size, _, _ in listed)
    right = None if n == 0 or any(r is None for _, r, _ in listed) else sum(s * (r or 0) for s, r, _ in listed) / n
    guessed = None if n == 0 or any(c is None for _, _, c in listed) else sum(s * (c or 0) for s, _, c in listed) / n
    words = f"{count(result.n)}{recordings}, {percent(right)} right on raw audio"
    chance = "" if guessed is None else f" ({percent(guessed)} by guessing)"
    return EvidenceLine("Questions", words + chance, " · ".join(place) if several else "")


def _silence(certificate: Certificate) -> EvidenceLine:
    """How many families need the audio."""
    heard = Counter(family.hearing for family in _families(certificate) if family.n)
    n = sum(heard.values())
    if not n:
        untestable = certificate.walks and not any(test.asked for walk in certificate.walks for test in walk.tests)
        words = (
            "nothing is asked about it, since no family could pass" if untestable else "nothing was asked about it yet"
        )
        return EvidenceLine("Silence", words, doubted=True)
    if heard["listens"] == n:
        need = "the one family needs" if n == 1 else f"all {n} families need"
        if any(family.n == 0 for family in _families(certificate)):
            need = (
                "the one family that was asked about needs"
                if n == 1
                else f"all {n} families that were asked about need"
            )
        return EvidenceLine("Silence", f"{need} the audio: silence would be rejected")
    if heard["no control"] + heard["unknown"] == n:
        return EvidenceLine(
            "Silence", "was not asked about: nothing shows that the answers need the audio", doubted=True
        )
    n_unshown = n - heard["listens"]
    verb = "is" if n_unshown == 1 else "are"
    return EvidenceLine("Silence", f"{n_unshown} of {n} families {verb} not shown to need the audio", doubted=True)


def _families(certificate: Certificate) -> list[ResultFamily]:
    by_key = {
        (result.answerer, result.corpus, result.partition, family.family): family
        for result in certificate.results
        for family in result.families
    }
    return [*by_key.values()]


def _asked_twice(certificate: Certificate) -> EvidenceLine:
    """How many raw answers change by themselves."""
    flips = [entry for entry in certificate.audits.flip_rates if entry.compared]
    if not flips:
        return EvidenceLine("Asked twice", "no: how often answers change by themselves is not known")
    compared, changed = sum(entry.compared for entry in flips), sum(entry.changed for entry in flips)
    return EvidenceLine("Asked twice", f"{count(changed)} of {count(compared)} raw answers changed by themselves")


def _declared(certificate: Certificate) -> EvidenceLine:
    if certificate.declared.plan is None:
        trust = "nothing shows what was fixed before the answers, so it is taken on trust"
        return EvidenceLine("No plan", trust, doubted=True)
    differences = certificate.declared.differences
    words = "in a plan, before the first answer" + ("; it differs, as said" if differences else "")
    return EvidenceLine("Declared", words)
