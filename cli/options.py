"""Options made from the descriptions of keys: of the rule, and of the sections of a spec.

An option has its key's help, default and check; a command may call it otherwise, or have a default of its own.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from earmark.engine.design.fields import NEEDED, Check, Field, Flag, Number, Texts, Whole, Word, default_of, fields_of
from earmark.engine.design.rule import Rule

Command = TypeVar("Command", bound=Callable[..., Any])
AS_DESCRIBED: Any = object()  # the key's own default


def rule_options(*keys: str) -> Callable[[Command], Command]:
    """The options of these keys of the rule, each under the key's own name; the rule checks what is typed."""

    def decorate(command: Command) -> Command:
        for key in reversed(keys):
            entry, default = fields_of(Rule)[key], default_of(Rule, key)
            words = entry.default or (", ".join(map(str, default)) if _takes_many(entry) else "")
            command = _option(entry, entry.option, key, None if words else default, words)(command)
        return command

    return decorate


def rule_option(key: str, default: Any = AS_DESCRIBED, words: str = "") -> Callable[[Command], Command]:
    """One option of the rule, of one value even where the rule has several; `words` say what its default is."""
    entry = fields_of(Rule)[key]
    if default is AS_DESCRIBED:
        default = default_of(Rule, key)[0] if entry.many else default_of(Rule, key)
    about = entry.about.partition(";")[0] if entry.many else entry.about
    argument = entry.option.removeprefix("--").replace("-", "_")
    return _option(entry._replace(many=False, about=about), entry.option, argument, default, words)


def key_option(
    section: Any, key: str, option: str = "", argument: str = "", default: Any = AS_DESCRIBED, words: str = ""
) -> Callable[[Command], Command]:
    """The option of a key of a spec: --batch-tokens for batch_tokens, if `option` is not another; it is checked here.

    `argument` is what the command calls it; `words` say what its default is.
    """
    entry = fields_of(section)[key]
    option = option or f"--{key.replace('_', '-')}"
    argument = argument or option.removeprefix("--").replace("-", "_")
    if default is AS_DESCRIBED:
        default, words = default_of(section, key), words or entry.default
    return _option(entry, option, argument, None if default is NEEDED else default, words, _checked(entry))


def given(declared: dict[str, Any]) -> dict[str, Any]:
    """Of the options that `rule_options` added, those that were typed, as fields of a rule."""
    context = click.get_current_context()
    default = click.core.ParameterSource.DEFAULT
    typed = {k: v for k, v in declared.items() if context.get_parameter_source(k) not in (None, default)}
    parents = fields_of(Rule)["parents"]
    if "parents" in typed:
        typed["parents"] = _pairs(typed["parents"], parents.metavar, parents.option)
    return typed


def _option(
    entry: Field, option: str, argument: str, default: Any, words: str, callback: Any = None
) -> Callable[[Command], Command]:
    """The click option of a key; `words`, if any, say what its default is."""
    about = entry.in_plain_words[0].upper() + entry.in_plain_words[1:]
    if isinstance(entry.check, Flag):
        return click.option(option, argument, is_flag=True, default=default, help=f"{about}.")
    many = _takes_many(entry)
    settings: dict[str, Any] = {"multiple": True} if many else {"default": default}
    if entry.metavar:
        settings["metavar"] = entry.metavar
    if isinstance(entry.check, Word):
        settings["type"] = click.Choice(entry.check.words)
    else:
        settings["type"] = _type_of(entry.check)
    shown = f"  [default: {words}]" if words else ""
    return click.option(
        option,
        argument,
        help=about + ("; repeat for several." if many else ".") + shown,
        show_default=not words and default is not None,
        callback=callback,
        **settings,
    )


def _takes_many(entry: Field) -> bool:
    return entry.many or isinstance(entry.check, Texts)


def _type_of(check: Check) -> type:
    return float if isinstance(check, Number) else int if isinstance(check, Whole) else str


def _checked(entry: Field) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback that refuses what a key's check refuses, in its words."""
    check = entry.check

    def checked(context: click.Context, option: click.Parameter, value: Any) -> Any:
        if isinstance(check, Texts):
            value = _pairs(value, entry.metavar, option.opts[0])
        try:
            return value if value is None else check(value)
        except UnicodeEncodeError:
            raise click.BadParameter(f"'{value}' is not UTF-8, it must be {check.wanted}", context, option) from None
        except (ValueError, TypeError):
            raise click.BadParameter(f"'{value}' must be {check.wanted}", context, option) from None

    return checked


def _pairs(options: tuple[str, ...], form: str, hint: str) -> dict[str, str]:
    """The table that options such as FAMILY=PARENT declare, each name once."""
    table: dict[str, str] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not (name and equals and value):
            raise click.BadParameter(f"'{option}' is not {form}", param_hint=hint)
        if table.get(name, value) != value:
            raise click.BadParameter(f"'{name}' is given twice, as '{table[name]}' and as '{value}'", param_hint=hint)
        table[name] = value
    return table
