"""Options that stand for keys have the keys' words, defaults and checks."""

from typing import Any

import click
import pytest
from click.testing import CliRunner

from earmark.cli.corpus import corpus
from earmark.cli.init import init
from earmark.cli.main import earmark
from earmark.cli.run import run
from earmark.cli.selector import oracle
from earmark.engine.design.fields import default_of, fields_of
from earmark.engine.design.rule import Rule
from earmark.engine.design.sections import AnswererSpec, CorpusSpec, MachineSpec, PartitionsSpec


@pytest.mark.parametrize(
    ("command", "option", "described", "key"),
    [
        (init, "--device", MachineSpec, "device"),
        (init, "--dtype", AnswererSpec, "dtype"),
        (init, "--alpha", Rule, "alpha"),
        (init, "--tolerance", Rule, "tolerances"),
        (oracle, "--batch-tokens", MachineSpec, "batch_tokens"),
        (oracle, "--dtype", AnswererSpec, "dtype"),
        (corpus, "--encoder", PartitionsSpec, "encoder"),
        (corpus, "--min-family", PartitionsSpec, "min_family"),
        (corpus, "--kind", CorpusSpec, "kind"),
        (corpus, "--allow-outside", CorpusSpec, "allow_outside"),
        (run, "--max-error-rate", Rule, "max_error_rate"),
    ],
)
def test_an_option_says_what_its_key_says(command: click.Command, option: str, described: Any, key: str) -> None:
    (parameter,) = (parameter for parameter in command.params if option in parameter.opts)
    assert isinstance(parameter, click.Option)
    about = fields_of(described)[key].in_plain_words.partition(";")[0]
    assert str(parameter.help).lower().startswith(about.lower())
    default = default_of(described, key)
    shown = f"[default: {default}]" in str(parameter.help)
    own = (init, "--dtype"), (run, "--max-error-rate")
    first = default[0] if isinstance(default, tuple) else default
    assert (command, option) in own or shown or parameter.default == first


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["init", "c", "--device", "tpu"], "Invalid value for '--device': 'tpu' must be cpu, cuda, cuda:N or mps"),
        (["init", "c", "--dtype", "int4"], "'int4' is not one of 'float32', 'bfloat16', 'float16'"),
        (["corpus", "c", "--min-family", "0"], "'0' must be a whole number from 1 to 1000000"),
        (["corpus", "c", "--seed", "x"], "'x' is not a valid integer"),
        (
            ["selector", "oracle", "c", "--batch-tokens", "0", "--out", "o"],
            "'0' must be a whole number of tokens from 1",
        ),
    ],
)
def test_an_option_is_checked_as_its_key(arguments: list[str], expected: str) -> None:
    refused = CliRunner().invoke(earmark, arguments)
    assert refused.exit_code == 2
    assert expected in " ".join(refused.output.split())


def test_an_option_of_the_rule_is_refused_in_its_words() -> None:
    refused = CliRunner().invoke(earmark, ["init", "synthetic:all:2", "--alpha", "0.5"])
    assert str(refused.exception) == "alpha 0.5: must be a number in [1e-06, 0.5); change it"
