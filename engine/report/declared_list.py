"""What was declared beforehand and what was done, in the words of a reader: the plan, the chain, the routing policy.

Takes every number and sentence as the certificate has them.
"""

from typing import NamedTuple

from markupsafe import Markup

from earmark.engine.printable import printable
from earmark.engine.report.claim_card import candidate_words
from earmark.engine.report.numbers import percent
from earmark.engine.report.signing_command import signing_command
from earmark.engine.report.words import code, isolated, sentence
from earmark.engine.signoff.certificate import Certificate, Declared
from earmark.engine.signoff.claim_entry import Claim, DeployedPolicy

_HASH = 12  # characters that are shown of one


class TermLines(NamedTuple):
    """A term and the lines below it."""

    term: str
    lines: list[Markup]


def declared(certificate: Certificate) -> list[TermLines]:
    """The plan, what departs from it, the certificate before, the routing policy, and the command that made it all."""
    return [
        TermLines("Plan", [_plan(certificate.declared.plan)]),
        TermLines("Differences", _differences(certificate.declared)),
        TermLines("Follows", _follows(certificate)),
        TermLines("policy.json", _policies(certificate.claim)),
        TermLines("Made by", [_made_by(certificate)]),
    ]


def _plan(plan: str | None) -> Markup:
    if plan is None:
        return Markup(
            "None: no plan.json shows what was declared before the answers. That rule, families, budgets and "
            "candidates were fixed beforehand is taken on trust."
        )
    return Markup("plan.json, {}, written before the first answer.").format(code(_short(plan)))


def _differences(entry: Declared) -> list[Markup]:
    if entry.differences:
        return [Markup("{}").format(difference) for difference in entry.differences]
    return [Markup("None: signed off as it was declared." if entry.plan else "Nothing to compare with.")]


def _follows(certificate: Certificate) -> list[Markup]:
    follows, looks, alpha = certificate.follows, certificate.rule.looks, certificate.claim.alpha
    look = 1 if follows is None else follows.look
    look_words = f" This is look {look} of {looks} that were declared, each at {percent(alpha)}." if looks > 1 else ""
    if follows is None:
        return [Markup("No other certificate.{}").format(look_words)]
    checked = (
        "Its run is here, so that its recordings could be compared with these."
        if follows.checked
        else "Its run is not here: whether these rows are new could not be checked."
    )
    return [
        Markup("{} (SHA-256 {}).{}").format(code(follows.certificate), code(_short(follows.sha256)), look_words),
        Markup("Spent by the chain up to here: {} chance of a false approval in any of it.").format(
            percent(follows.alpha_spent)
        ),
        Markup("{}").format(checked),
    ]


def _policies(claim: Claim) -> list[Markup]:
    if not claim.policies:
        return [Markup("None: no routing is approved.")]
    return [_policy(policy) for policy in claim.policies]


def _made_by(certificate: Certificate) -> Markup:
    """The whole command, to copy."""
    command = Markup("<code>{}</code>").format(printable(signing_command(certificate)))
    return Markup("{}, typed in the folder of this page.").format(command)


def _policy(policy: DeployedPolicy) -> Markup:
    tell = policy.tell
    if policy.deployable:
        tell_words = f"families are told from {tell['of']} ({tell['rule']})."
    else:
        tell_words = f"⚠ families cannot be told from a question; {tell['reason']}."
    of_unknown = f"a question of no known family gets {percent(policy.unknown)} of the audio"
    return Markup("{} ({}), by {}: {} {}").format(
        code(policy.method), candidate_words(policy), isolated(str(policy.partition)), tell_words, sentence(of_unknown)
    )


def _short(digest: str) -> str:
    return f"{digest[:_HASH]}…"
