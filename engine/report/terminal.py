"""The decision table of a certificate, for a terminal: one line per verdict, then what to do next."""

import re
from typing import TYPE_CHECKING

from earmark.engine.printable import WIDTH, columns_of, printable, shortened_apart
from earmark.engine.report.axes import candidate_axes, has_unit, short_words, with_unit
from earmark.engine.report.policy_places import untold
from earmark.engine.report.walk_words import asked_words, level_of

if TYPE_CHECKING:
    from earmark.engine.design.compressors import Axis
    from earmark.engine.report.axes import CandidateAxis
    from earmark.engine.signoff.certificate import Certificate, StatedRule
    from earmark.engine.signoff.claim_entry import Claim, ClaimCandidate, Shipped
    from earmark.engine.signoff.result_entry import BudgetEntry, CertifiedEntry, ResultEntry

_LEAST_NAME = 8
_NOTHING = "  see the claim above: by itself every method passes at some budget"
_ON_TRUST = (
    "nothing was declared beforehand: that the rule, families and candidates were chosen before the answers is taken "
    "on trust"
)
_KEEPING_ALPHA = (
    "  Rows that were judged are not judged again with others added: new rows are certified alone (--follows CERT), or "
    'the next plan declares beforehand what it will do: looks = 2 to add rows once, claim = "routing" to route.'
)
_NAME_HEADS, _FIGURE_HEADS = ("method", "partition"), ("at", "worst family", "excess", "hidden")


def decision_table(certificate: "Certificate", width: int = WIDTH) -> list[str]:
    """Lines: the claim, the verdicts by answerer and corpus, the next steps, and the warnings.

    Rows of the table have at most `width` characters; sentences are as long as they are.
    """
    lines = [*_claim(certificate), ""]
    groups: dict[tuple[str, str], list[ResultEntry]] = {}
    for result in certificate.results:
        groups.setdefault((result.answerer, result.corpus), []).append(result)
    for (answerer, corpus), results in groups.items():
        first = results[0]
        sources = f" from {first.sources} recordings" if first.sources < first.n else ""
        lines.append(
            f"{answerer} on {corpus}: {_questions(first, certificate)}{sources}, "
            f"{_raw(first, certificate)} on raw audio{_chance(first)}"
        )
        lines += _level(certificate)
        lines += _verdicts(results, certificate.rule, width, "walk" if certificate.walks else "alone")
        steps = _next_steps(results, certificate.rule)
        begun_anew = any(
            entry.next.action not in ("ship", "finish") for result in results for entry in result.certified
        )
        steps += [_KEEPING_ALPHA] if steps and begun_anew else []
        lines += ["", "What to do next", *(steps or [_NOTHING]), ""]
    lines += [f"warning: {warning}" for warning in certificate.warnings if warning not in certificate.claim.withheld]
    return lines if lines[-1] else lines[:-1]


def _level(certificate: "Certificate") -> list[str]:
    """The line that says at which level the verdicts below it hold; none under the paper's rule."""
    if certificate.walks:
        return [f"  each method on its own walk, every test at {level_of(certificate.claim):.2g}:"]
    if certificate.rule.name == "certified":
        return [f"  each verdict alone, at {certificate.claim.alpha:g}, uncorrected for there being several:"]
    return []


def _claim(certificate: "Certificate") -> list[str]:
    """The lines of the claim: why nothing is approved, what is, how every other candidate did, and the guarantee."""
    claim = certificate.claim
    lines = [f"nothing is approved: {reason}" for reason in claim.withheld]
    axes, policies = candidate_axes(certificate), {c.name: c.policy for c in claim.candidates}
    lines += [_approval(approved, claim, axes[approved.candidate]) for approved in claim.approved]
    lines += [
        f"{policy.method} cannot be deployed as it is: {why}" for policy in claim.policies if (why := untold(policy))
    ]
    for candidate in claim.candidates:
        if candidate.name not in {approved.candidate for approved in claim.approved}:
            lines.append(f"{_outcome(candidate)}: {candidate.name}: {_why(candidate)}")
    for route in claim.not_made:
        kept = axes[route.candidate].retained(f"{route.retained:.0%}", policies[route.candidate])
        lines.append(f"not claimed: {route.candidate} routed by family would keep {kept}; declare {route.declare}")
    if claim.guaranteed:
        among = f" among {claim.k} candidates" if claim.k > 1 else ""
        spent = certificate.follows.alpha_spent if certificate.follows else None
        chain = f"; with the certificates before, {spent:g}" if spent is not None else ""
        lines.append(f"the chance of any false approval{among} is at most {claim.alpha:g}{chain}")
        lines += [] if certificate.declared.plan or certificate.preview else [_ON_TRUST]
    lines += [f"asked: {asked_words(certificate.walks, certificate.preview)}"] if certificate.walks else []
    return lines


def _approval(approved: "Shipped", claim: "Claim", axis: "CandidateAxis") -> str:
    """The line of an approved candidate: its budget or its routing, and within which tolerance."""
    tolerance = f"every family within {claim.tolerance:g}" + ("" if claim.guaranteed else " (no guarantee)")
    if approved.budget is None:
        (policy,) = (c.policy for c in claim.candidates if c.name == approved.candidate and c.policy)
        share = axis.retained(f"{approved.retained:.0%}", policy)
        return f"approved: {approved.candidate}, routed by {policy.partition}, keeps {share}; {tolerance}"
    budget = _budget(approved.budget, axis.axis) + axis.really(approved.budget)
    return f"approved: {approved.candidate} at budget {budget}; {tolerance}"


def _budget(budget: float | None, axis: "Axis | None") -> str:
    """A budget, and in brackets the same in the unit of its axis; none where there is none."""
    return "none" if budget is None else with_unit(f"{budget:g}", budget, axis)


def _why(candidate: "ClaimCandidate") -> str:
    """Why a candidate is refused, and how many new rows or recordings would probably be enough for the claim."""
    stopped = candidate.stopped
    if candidate.deaf or stopped is None or not stopped.needed or _passed(candidate):
        return candidate.reason
    return f"{candidate.reason}; {stopped.needed:,} new {stopped.unit} of it give 90% power"


def _outcome(candidate: "ClaimCandidate") -> str:
    """What became of a candidate that is not approved, in a word or two."""
    if _passed(candidate):
        return "passes"
    return "not decided" if candidate.stopped is not None and candidate.stopped.undecided else "refused"


def _passed(candidate: "ClaimCandidate") -> bool:
    return candidate.budget is not None and not candidate.deaf


def _chance(result: "ResultEntry") -> str:
    """The error of guessing, in parentheses; nothing where the number of options is not known for every family."""
    chances = [(family.chance, family.n) for family in result.families if family.chance is not None]
    if len(chances) < len(result.families):
        return ""
    share = sum(chance * n for chance, n in chances) / sum(n for _, n in chances)
    return f" (guessing: {1 - share:.1%} wrong)"


def _verdicts(results: list["ResultEntry"], rule: "StatedRule", width: int, verdict: str) -> list[str]:
    """A row for each verdict: the budget that passes alone, or the largest one, at which all fail; and its figures.

    `verdict` is the head of their column.
    """
    several = any(len(result.certified) > 1 for result in results)
    rows = [row if several else (*row[:2], *row[3:]) for result in results for row in _rows(result, rule)]
    heads = (*_NAME_HEADS, *(("tolerance",) if several else ()), verdict, *_FIGURE_HEADS)
    return aligned([heads, *rows], width)


def _rows(result: "ResultEntry", rule: "StatedRule") -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for certified in result.certified:
        budget, tolerance = certified.budget, certified.tolerance
        ships = budget is not None and budget < 1
        stop = certified.first_failure
        fails = "open" if stop is not None and stop.undecided else "fails"
        verdict = fails if not ships else "vacuous" if _deaf(result, rule) else "passes"
        figures = _figures(result, certified, budget if ships else None)
        rows.append((_name(result), result.partition, f"{tolerance:g}", verdict, *figures))
    return rows


def _figures(result: "ResultEntry", certified: "CertifiedEntry", budget: float | None) -> tuple[str, ...]:
    """A budget, its worst family, and what it suffers; of a walk that ended before all families that which ended it."""
    entry, stop = _entry(result, budget), certified.first_failure
    seen = stop is not None and stop.family is not None and stop.units > 0
    if stop is not None and ((entry.budget == 1 and seen) or (budget is None and stop.undecided)):
        excess = f"{(stop.plus - stop.minus) / stop.units:+.4f}" if stop.units else "n/a"
        return short_words(stop.budget, result.axis), stop.family or "n/a", excess, "n/a"
    return (
        short_words(entry.budget, result.axis),
        entry.worst_family,
        f"{entry.excess_family.estimate:+.4f}",
        f"{entry.hidden_damage:.4f}",
    )


def _deaf(result: "ResultEntry", rule: "StatedRule") -> bool:
    """Whether it has families that do not listen, on whose word no budget is approved."""
    return rule.claim != "routing" and any(family.is_deaf(rule.allow_vacuous) for family in result.families)


def _next_steps(results: list["ResultEntry"], rule: "StatedRule") -> list[str]:
    """Why a method fails and what that asks for, one line per method, partition and tolerance; seeds share a line."""
    seeds: dict[tuple[str, str, str, str], list[str]] = {}
    for result in results:
        for certified in result.certified:
            advice = certified.next
            if advice.action != "ship":
                why = "" if _deaf(result, rule) else _why_it_fails(result, certified)
                text = advice.text if why in advice.text else f"{why}: {advice.text}"
                line = (result.method, result.partition, f"{certified.tolerance:g}", text)
                seeds.setdefault(line, []).append(str(result.seed))
    return [
        f"  {method}{_seeds(of_line)} ({partition}, {tolerance}): {text}"
        for (method, partition, tolerance, text), of_line in seeds.items()
    ]


def _why_it_fails(result: "ResultEntry", certified: "CertifiedEntry") -> str:
    """What the advice answers; empty where the advice itself says how many units the family that failed has."""
    if certified.budget is not None and certified.budget < 1:
        return f"passes alone at {certified.budget:g}, but not at the level of the claim"
    failure = certified.first_failure
    if failure is not None and failure.family in certified.next.families and certified.next.action == "collect":
        t = [entry.tolerance for entry in result.certified].index(certified.tolerance)
        family = next(family for family in result.families if family.family == failure.family)
        if family.fewest is not None and failure.units < family.fewest[t]:
            return ""
    return certified.reason.partition("; ")[2] or certified.reason


def _seeds(seeds: list[str]) -> str:
    return "" if seeds == ["0"] else f" seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"


def _raw(result: "ResultEntry", certificate: "Certificate") -> str:
    nll = certificate.rule.loss == "nll"
    if result.raw_loss is None:
        return "none of them asked"
    return f"mean nll {result.raw_loss:.3f}" if nll else f"{result.raw_loss:.1%} wrong"


def _questions(result: "ResultEntry", certificate: "Certificate") -> str:
    """How many questions there are; of a walk's preview, whose rows are those of the whole, how many were asked."""
    if certificate.preview is None or not certificate.walks:
        return f"{result.n} questions"
    return f"the first {certificate.preview.n_examples} of {result.n} questions"


def _name(result: "ResultEntry") -> str:
    """A method, @ its seed, and what its budgets are shares of where that is neither seconds nor said by their unit."""
    axis = "" if result.axis in (None, "seconds") or has_unit(result.axis) else f", {result.axis}"
    return str(result.method) + (f"@{result.seed}" if result.seed else "") + axis


def _entry(result: "ResultEntry", budget: float | None) -> "BudgetEntry":
    """The entry of the budget whose figures are shown: the approved one, else the largest compressed one."""
    compressed = [entry for entry in result.budgets if entry.budget < 1] or result.budgets
    return next((entry for entry in compressed if entry.budget == budget), compressed[-1])


def aligned(rows: list[tuple[str, ...]], width: int | None = None) -> list[str]:
    """Rows as lines of at most so many characters, each column as wide as its widest cell.

    Where that is too much the widest columns of names are narrowed, and names in them cut; a cell with a figure is
    never cut, and names that differ stay different, even if lines then have more characters.
    """
    rows = [tuple(map(printable, row)) for row in rows]
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    least = [max([_LEAST_NAME, *(len(cell) for cell in column if _is_figure(cell))]) for column in columns]
    shown = [{cell: cell for cell in column} for column in columns]
    while width is not None and sum(widths) + 2 * len(widths) > width:
        for i in sorted(range(len(widths)), key=lambda i: -widths[i]):
            narrower = shortened_apart(columns[i], widths[i] - 1) if widths[i] > least[i] else None
            if narrower is not None:
                widths[i], shown[i] = widths[i] - 1, narrower
                break
        else:
            break
    columns_in = [max([n, *map(columns_of, texts.values())]) for n, texts in zip(widths, shown, strict=True)]
    padded = [[_padded(texts[cell], n) for texts, cell, n in zip(shown, row, columns_in, strict=True)] for row in rows]
    return [f"  {'  '.join(row)}".rstrip() for row in padded]


def _padded(cell: str, n: int) -> str:
    """A cell in so many columns of a terminal, in which wide letters take two."""
    return cell + " " * (n - columns_of(cell))


def _is_figure(cell: str) -> bool:
    return bool(re.match(r" *[-+0-9]", cell))
