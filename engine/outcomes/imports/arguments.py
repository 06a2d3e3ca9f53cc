"""The arguments that an evaluation was run with, as its log has them, and what they say of method and budget.

A budget that a person types and one that the log has must agree. Knows no layout of any log.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from earmark.engine.design.keys import CellKey
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes.imports.record import as_number
from earmark.engine.outcomes.imports.rows import Argument, Log, LogFile

_MOST_ARGUMENTS = 1_000
_TYPE_IT = "write METHOD@BUDGET=LOG"


@dataclass(frozen=True, slots=True)
class ArgumentNames:
    """Which arguments of an evaluation say what was done to the audio."""

    budget: str = "budget"
    method: str = "method"


@dataclass(frozen=True, slots=True)
class CompressedLog:
    """A log of compressed audio: which method, at which budget, from which training seed.

    What is None, the arguments of the log must say.
    """

    method: str | None
    budget: float | None
    seed: int
    path: Path
    files: tuple[Path, ...] = ()  # those in the folder that are meant; none: all of them


class Settled(NamedTuple):
    """What was done to the audio of a log."""

    key: CellKey
    read: str | None  # what was read from its arguments, for people


def of_place(place: str, value: Any) -> Iterator[Argument]:
    """The arguments in a mapping, or in a text such as `pretrained=x,budget=0.4`; none in anything else."""
    if isinstance(value, str):
        value = dict(part.split("=", 1) for part in value.split(",") if "=" in part)
    if not isinstance(value, Mapping):
        return
    for name, content in list(value.items())[:_MOST_ARGUMENTS]:
        if isinstance(content, str | int | float) and not isinstance(content, bool):
            yield Argument(place, str(name).strip(), content)


def told_by(file: LogFile, names: ArgumentNames) -> tuple[str, float] | None:
    """Method and budget of a log by its arguments alone; None for one of raw audio: no budget, or all and no method."""
    shares = {_share(argument.value) for argument in _named(file, names.budget)}
    if not shares or (shares == {1.0} and not _named(file, names.method)):
        return None
    return str(_only(file, names.method, "method", "--method-arg").value), _budget(file, names)[0]


def check_raw(raw: Log, names: ArgumentNames) -> None:
    """InputError where the arguments of the log of raw audio say that some of it was taken away."""
    for argument in _named(raw, names.budget):
        share = _share(argument.value)
        if share is not None and share < 1:
            raise InputError(
                raw.path,
                f"is named as the log of raw audio, but its {argument.place} say {argument.name}={argument.value}",
                "name the log of raw audio first, or the argument that is the budget with --budget-arg",
            )


def settle(arm: CompressedLog, log: Log, names: ArgumentNames, answerer: str, corpus: str) -> Settled:
    """The cell that a log of compressed audio becomes; InputError where nothing, or two things, say which."""
    read = []
    method, budget = arm.method, arm.budget
    if method is None:
        argument = _only(log, names.method, "method", "--method-arg")
        method = str(argument.value)
        read.append(argument)
    if budget is None:
        budget, argument = _budget(log, names)
        read.append(argument)
    for argument in read:
        _check_all_say(log, argument)
    _check_typed(log, names.budget, budget)
    key = CellKey(answerer, corpus, method, seed=arm.seed, budget=budget)
    return Settled(key, ", ".join(f"{a.name}={a.value} ({a.place})" for a in read) or None)


def _budget(log: Log | LogFile, names: ArgumentNames) -> tuple[float, Argument]:
    """The budget that an argument of the log is; InputError where none is one."""
    argument = _only(log, names.budget, "budget", "--budget-arg")
    budget = _share(argument.value)
    if budget is None:
        what = f"its {argument.place} say {argument.name}={argument.value}, which is no budget in (0, 1]"
        raise InputError(log.path, what, f"{_TYPE_IT}, or name another argument with --budget-arg")
    return budget, argument


def _check_typed(log: Log, name: str, budget: float) -> None:
    """InputError where an argument of the log is another budget than the one that was typed."""
    for argument in _named(log, name):
        share = _share(argument.value)
        if share is not None and share != budget:
            raise InputError(
                log.path,
                f"is named as budget {budget:g}, but its {argument.place} say {name}={argument.value}",
                "correct one of them, or name the argument that is the budget with --budget-arg",
            )


def _check_all_say(log: Log, argument: Argument) -> None:
    """InputError where one of several files lacks the argument that method or budget is read from."""
    if argument.name in log.lacking:
        what = f"does not say {argument.name}, and other logs of {log.path} say {argument.name}={argument.value}"
        raise InputError(log.lacking[argument.name], what, f"take it out, or {_TYPE_IT}")


def _only(log: Log | LogFile, name: str, noun: str, option: str) -> Argument:
    """The argument of this name, which must say one thing wherever it stands."""
    arguments = _named(log, name)
    if not arguments:
        names = list(dict.fromkeys(argument.name for argument in log.arguments))
        known = f"its arguments are {first_few(names, 8)}" if names else "it has no arguments"
        raise InputError(
            log.path,
            f"does not say its {noun}: no argument '{name}' ({known})",
            f"{_TYPE_IT}, or name it with {option}",
        )
    if len({_comparable(argument.value) for argument in arguments}) > 1:
        values = " and ".join(dict.fromkeys(f"{a.place} {a.name}={a.value}" for a in arguments))
        raise InputError(log.path, f"says its {noun} in two ways ({values})", f"{_TYPE_IT}, or name it with {option}")
    return arguments[0]


def _named(log: Log | LogFile, name: str) -> Sequence[Argument]:
    return [argument for argument in log.arguments if argument.name == name]


def _comparable(value: str | int | float) -> float | str:
    number = as_number(value)
    return str(value) if number is None else number


def _share(value: str | int | float) -> float | None:
    """The budget that a value is, or None where it is none."""
    number = as_number(value)
    return number if number is not None and 0 < number <= 1 else None
