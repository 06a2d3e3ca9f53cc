"""The one way to stdout and stderr: lines that a terminal shows as they are, whatever names stand in them."""

import json
import os
import sys
import traceback
from typing import Any, TextIO

import click

from earmark.cli import exits
from earmark.engine.faults import fault
from earmark.engine.printable import WIDTH, printable, printable_json, wrapped
from earmark.engine.urls import with_urls

_STDOUT = "standard output"


def say(*lines: object, err: bool = False) -> None:
    """Print each as one line: line breaks in it are shown as escapes."""
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    text = "\n".join(printable(line) for line in lines)
    _write(text.encode(encoding, "backslashreplace").decode(encoding), err)


def say_json(content: Any, indent: int | None = None) -> None:
    """Print JSON."""
    text = printable_json(content, indent)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(content, indent=indent)
    _write(text, err=False)


def _write(text: str, err: bool) -> None:
    try:
        click.echo(with_urls(text), err=err)
    except OSError as error:
        _abandon(sys.stderr if err else sys.stdout)
        if isinstance(error, BrokenPipeError):  # nobody reads any more, as in `earmark ... | head -1`
            sys.exit(exits.CLOSED)
        if not err:  # there is still stderr to say it
            raise fault(error, _STDOUT) or error from None


def columns(stream: TextIO | None) -> int:
    """How many characters a line of the stream may have: as many as its terminal shows; 80 where it is none."""
    typed = os.environ.get("COLUMNS", "")
    if typed.isdigit() and int(typed):
        return int(typed)
    try:
        return (stream and os.get_terminal_size(stream.fileno()).columns) or WIDTH
    except (OSError, ValueError):  # no terminal, or no file: a test's
        return WIDTH


def fitted(sentence: str, stream: TextIO | None) -> list[str]:
    """A sentence as lines for a stream: on a terminal as wide as it is, elsewhere one line, which can be searched."""
    watched = stream is not None and stream.isatty()
    return wrapped(sentence, columns(stream)) if watched else [printable(sentence)]


def printing_of_help(error: Exception) -> str | None:
    """What could not be written where an error comes from `click`, which prints help by itself; None for others."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return _STDOUT if frames and frames[-1].f_globals.get("__name__") == click.utils.__name__ else None


def _abandon(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere: it cannot be written, and Python would try again at the end."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # no file: a test's
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
