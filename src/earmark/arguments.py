"""What callers of the front door give, checked: paths, numbers and the keys of a rule; refusals speak of keywords.

Knows no file.
"""

import functools
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from earmark.engine.design.fields import Check, fields_of, shown
from earmark.engine.design.rule import BY_RULE, Rule
from earmark.engine.errors import EarmarkError, InputError, instead

P = ParamSpec("P")
T = TypeVar("T")
Place = str | os.PathLike[str]

_OPTION = re.compile(r"(?<![\w/-])--([a-z][a-z-]*)")
_KEYWORD_OF = {entry.option.removeprefix("--"): key for key, entry in fields_of(Rule).items()}


def speaking_of_keywords(function: Callable[P, T]) -> Callable[P, T]:
    """A function whose refusals name the keyword max_error_rate where the command's name --max-error-rate."""

    @functools.wraps(function)
    def call(*arguments: P.args, **keywords: P.kwargs) -> T:
        try:
            return function(*arguments, **keywords)
        except EarmarkError as error:
            error.args = (_OPTION.sub(lambda option: _keyword(option[1]), str(error)),)
            raise

    return call


def _keyword(option: str) -> str:
    return "tolerance" if option == "tolerance" else _KEYWORD_OF.get(option, option.replace("-", "_"))


def path(keyword: str, value: Any, do: str = "give a path, a str or a Path") -> Path:
    """A path; InputError for anything else, and for a text that can be none."""
    if not isinstance(value, str | os.PathLike):
        raise InputError(keyword, f"is a {type(value).__name__}", do)
    text = os.fspath(value)
    if not isinstance(text, str) or not text or "\0" in text:
        raise InputError(keyword, f"cannot be a path ({shown(repr(text))})", do)
    return Path(text)


def checked(keyword: str, check: Check, value: Any) -> Any:
    """What a check returns for the value of a keyword."""
    try:
        return check(value)
    except (TypeError, ValueError):
        raise InputError(f"{keyword} {shown(repr(value))}", f"must be {check.wanted}", "change it") from None


def refuse_unknown(keywords: Iterable[str], known: Iterable[str], what: str) -> None:
    """InputError for a keyword that nobody knows, with the one that was meant where one is close."""
    names = list(known)
    for keyword in keywords:
        if keyword not in names:
            do = instead(f"{keyword}=", [f"{name}=" for name in names], f"choose from {', '.join(sorted(names))}")
            raise InputError(f"keyword {keyword}", f"is no {what}", do)


def rule(declared: Rule, changes: Mapping[str, Any], beside: Iterable[str] = ()) -> Rule:
    """The declared rule with some keys changed, as a caller's keywords say; `beside` are what else the function takes.

    `tolerance` is a number or several of them.
    """
    keys = [field.name for field in fields(Rule)]
    refuse_unknown(changes, ["tolerance", *keys, *beside], "key of a rule")
    if "tolerance" in changes and "tolerances" in changes:
        raise InputError("tolerance and tolerances", "are both given", "give one of them")
    keyword_of = {("tolerances" if keyword == "tolerance" else keyword): keyword for keyword in changes}
    values = {key: changes[keyword] for key, keyword in keyword_of.items()}
    if "tolerances" in values and not _is_several(values["tolerances"]):
        values["tolerances"] = (values["tolerances"],)
    if "name" in values:
        values.setdefault("replicates", BY_RULE)
    try:
        return replace(declared, **values)
    except InputError as error:
        key = error.key or ""
        keyword = keyword_of.get(key, key)
        where = f"{keyword} {shown(repr(changes[keyword]))}" if keyword in changes else keyword or "rule"
        raise InputError(where, error.what, error.do, error.key) from None


def _is_several(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes) and getattr(value, "ndim", 1) != 0
