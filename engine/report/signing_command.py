"""The command that makes a certificate again, from what the certificate states.

Typed in the folder of the page, where paths are as the certificate has them.
"""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from earmark.engine.design.fields import default_of, fields_of
from earmark.engine.design.rule import REPLICATES, Rule
from earmark.engine.signoff.certificate import Certificate, StatedRule


def signing_command(certificate: Certificate) -> str:
    """`earmark certify RUN`, with the options that differ from what holds without them.

    What a sweep declared holds without options in its run folder.
    """
    as_declared = certificate.declared.plan is not None and not certificate.declared.differences
    words = ["earmark", "certify", certificate.run]
    if not as_declared:
        words += [word for key in fields_of(Rule) for word in _option(certificate.rule, key)]
    if certificate.follows is not None:
        words += ["--follows", certificate.follows.certificate]
    return shlex.join(words)


def _option(rule: StatedRule, key: str) -> Iterator[str]:
    """The words for a key of the rule; none where nobody need type it."""
    value, option = getattr(rule, key), fields_of(Rule)[key].option
    if not option or value == _without(rule, key):
        return
    for entry in _each(value):
        yield from (option, entry)


def _without(rule: StatedRule, key: str) -> Any:
    """What holds for a key where its option is not typed."""
    return REPLICATES[rule.name] if key == "replicates" else default_of(Rule, key)


def _each(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{name}={entry}" for name, entry in value.items()]
    return [str(entry) for entry in value] if isinstance(value, list | tuple) else [str(value)]
