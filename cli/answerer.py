"""`earmark answerer NAME`: what an answerer can do here, from a few questions."""

import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from earmark.cli import exits
from earmark.cli.options import key_option
from earmark.cli.progress import ProgressLine
from earmark.cli.say import say, say_json
from earmark.engine.design.sections import AnswererSpec, MachineSpec
from earmark.engine.extras import needs_extra

if TYPE_CHECKING:
    from earmark.engine.answerers.trial import Trial

_MOST_REQUESTS = 40  # to a server: a trial takes 38, 39 where it refuses requests for likelihoods, and retries
_WAIT_S = 30.0
_COLUMN = 14  # where what is said of an ability begins


@click.command()
@click.argument("name")
@key_option(AnswererSpec, "dtype", default=None, words="bfloat16 beside a GPU, else float32")
@key_option(MachineSpec, "device")
@key_option(AnswererSpec, "generate")
@key_option(AnswererSpec, "split", default=None)
@key_option(AnswererSpec, "connections", default=None, words="64")
@key_option(AnswererSpec, "timeout_s", default=None, words="60")
@key_option(AnswererSpec, "tries", default=None, words="5")
@key_option(AnswererSpec, "wait_s", default=None, words=f"{_WAIT_S:g}")
@key_option(AnswererSpec, "most_requests", default=None, words=str(_MOST_REQUESTS))
@key_option(AnswererSpec, "key_env")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@needs_extra("earmark answerer", "run")
def answerer(name: str, device: str, as_json: bool, **keys: Any) -> None:
    """Say what the answerer NAME can do here: what it hears, whether it gives likelihoods, how fast and right it is.

    NAME is what a spec has as `model`: tiny, a folder, a name on the hub (which is downloaded), plain: before either,
    or openai:URL#NAME. It answers 12 questions about 4 synthetic clips, after a first one that compiles what has to
    be. A server is asked 20 canaries and 6 questions, these twice with their audio and once without: 38 requests, at
    most 40 with all retries, which cost money where it is paid.

    Exit code: 0 when every question was answered, 1 when one was not, 2 for bad input.

    \b
    Example:
      earmark answerer plain:models/audio-flamingo-3-hf --device cuda
      earmark answerer openai:http://gpu-box:8000/v1#Qwen/Qwen2-Audio-7B-Instruct --key-env VLLM_KEY
    """
    from earmark.engine.answerers.loading import load
    from earmark.engine.answerers.trial import try_out
    from earmark.engine.design.endpoint import is_served
    from earmark.engine.design.spec import answerer_of

    served = is_served(name)
    typed = {key: value for key, value in keys.items() if value is not None}
    reaching = {"most_requests": _MOST_REQUESTS, "wait_s": _WAIT_S}
    suited = reaching if served else {"dtype": "float32" if device == "cpu" else "bfloat16"}
    spec = answerer_of({"model": name, **suited, **typed}, "earmark answerer")
    with ProgressLine() as progress:
        progress(f"loading {spec.name}", 0, 0)
        with closing(load(spec, MachineSpec(device=device))) as loaded:
            progress(f"asking {spec.name} a few questions", 0, 0)
            trial = try_out(loaded)
    runs_on = {} if served else {"dtype": spec.dtype, "device": device}
    if as_json:
        say_json({"answerer": spec.name, "model": spec.model, **runs_on, **trial.content()}, indent=2)
    else:
        where = "its number format and device are the server's" if served else f"{spec.dtype} on {device}"
        say(
            f"{spec.name}: {where}", *(f"  {what:<{_COLUMN}}{words}" for what, words in _lines(trial, spec.connections))
        )
    if trial.failures:
        sys.exit(exits.FAILED)


def _lines(trial: "Trial", connections: int) -> list[tuple[str, str]]:
    """What is said of each ability."""
    from earmark.engine.answerers.trial import CHANCE

    abilities, server = trial.abilities, trial.abilities.server
    shared = "questions about equal audio share its keys and values"
    sharing = shared if abilities.shares else "each question is asked with its audio anew"
    beyond = abilities.beyond
    letters = {
        True: "each is one token",
        False: "some letter is not one token",
        None: "nobody says whether each is one token",
    }
    lines = [
        ("hears", f"waves, whatever made them; {sharing}"),
        ("window", beyond if abilities.window_s is None else f"{abilities.window_s:g} s; beyond: {beyond}"),
        ("letters", letters[abilities.letters_are_tokens]),
        ("likelihoods", f"none: {abilities.no_likelihoods}" if abilities.no_likelihoods else "of every letter"),
        ("answers", f"{trial.n_answered} of {len(trial.answers)}, {trial.n_right} right ({CHANCE})"),
        *(("", f"{n} without one: {status}") for status, n in trial.failures.items()),
        ("speed", _speed(trial, connections)),
        ("audio tokens", _audio_tokens(trial)),
    ]
    if server is not None and trial.flips is not None:
        lines += [
            ("usage", "given" if trial.gives_usage else "not given"),
            ("canaries", f"{server.canaries} answered, {server.canaries_right} right"),
            ("asked twice", f"{trial.flips.compared} questions, {trial.flips.changed} answered otherwise"),
            ("requests", f"{server.requests} were sent for this; where the server is paid, they cost money"),
        ]
    return [*lines, ("identity", trial.identity)]


def _speed(trial: "Trial", connections: int) -> str:
    if trial.questions_per_s is None:
        return "nothing was answered"
    rate = f"{trial.questions_per_s:.3g} questions a second"
    if trial.first_s is None:
        return f"{rate}, {min(len(trial.answers), connections)} under way at once"
    return f"{rate}; the first took {trial.first_s:.2g} s"


def _audio_tokens(trial: "Trial") -> str:
    if trial.audio_tokens_per_s is None:
        return "nobody says how many"
    return f"{trial.audio_tokens_per_s:.3g} for a second of audio"
