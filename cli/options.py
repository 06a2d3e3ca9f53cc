"""Options that several commands share, made from the description of the rule's keys."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from earmark.engine.design.fields import Check, Field, Number, Texts, Whole, Word, default_of, fields_of
from earmark.engine.design.rule import Rule

Command = TypeVar("Command", bound=Callable[..., Any])


def rule_options(*keys: str) -> Callable[[Command], Command]:
    """The options of these keys of the rule, each under the key's own name."""

    def decorate(command: Command) -> Command:
        for key in reversed(keys):
            command = _option(key, fields_of(Rule)[key])(command)
        return command

    return decorate


def given(declared: dict[str, Any]) -> dict[str, Any]:
    """Of the options that `rule_options` added, those that were typed, as fields of a rule."""
    context = click.get_current_context()
    default = click.core.ParameterSource.DEFAULT
    typed = {k: v for k, v in declared.items() if context.get_parameter_source(k) not in (None, default)}
    return typed | ({"parents": _parents(typed["parents"])} if "parents" in typed else {})


def _option(key: str, entry: Field) -> Callable[[Command], Command]:
    """The click option of a key of the rule, its help made from the key's description."""
    many = entry.many or isinstance(entry.check, Texts)
    help_ = entry.about[0].upper() + entry.about[1:] + ("; repeat for several." if many else ".")
    settings: dict[str, Any] = {"multiple": True} if many else {}
    if many or entry.default:
        value = default_of(Rule, key)
        words = entry.default or ", ".join(map(str, value))
        help_ += f"  [default: {words}]"
    else:
        settings |= {"default": default_of(Rule, key), "show_default": True}
    if entry.metavar:
        settings["metavar"] = entry.metavar
    return click.option(entry.option, key, type=_type_of(entry.check), help=help_, **settings)


def _type_of(check: Check) -> Any:
    if isinstance(check, Word):
        return click.Choice(check.words)
    return float if isinstance(check, Number) else int if isinstance(check, Whole) else str


def _parents(options: tuple[str, ...]) -> dict[str, str]:
    """The parents by family that options FAMILY=PARENT declare."""
    parents: dict[str, str] = {}
    for option in options:
        family, equals, parent = option.partition("=")
        if not (family and equals and parent):
            raise click.BadParameter(f"'{option}' is not FAMILY=PARENT", param_hint="--parent")
        if parents.get(family, parent) != parent:
            raise click.BadParameter(f"'{family}' has two parents", param_hint="--parent")
        parents[family] = parent
    return parents
