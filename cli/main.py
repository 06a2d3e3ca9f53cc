"""The command line: `earmark COMMAND`. Parses, calls one engine function, prints.

Results go to stdout, progress and errors to stderr. Commands import what they need when they run, so that
`earmark --help` stays quick.
"""

import atexit
import gc
import os
import sys
import traceback
from importlib import import_module

try:
    import click
except ModuleNotFoundError:  # a copy of the sources alone
    sys.stderr.write("error: this installation of Earmark: lacks click, which all others have; pip install click\n")
    sys.exit(2)

from earmark.cli import exits
from earmark.cli.say import fitted, printing_of_help, say
from earmark.engine.errors import InputError, instead
from earmark.engine.faults import check_threads, fault

COMMANDS = {  # name -> module and function, imported on first use
    "init": ("earmark.cli.init", "init"),
    "run": ("earmark.cli.run", "run"),
    "status": ("earmark.cli.status", "status"),
    "merge": ("earmark.cli.merge", "merge"),
    "certify": ("earmark.cli.certify", "certify"),
    "verify": ("earmark.cli.verify", "verify"),
    "diff": ("earmark.cli.diff", "diff"),
    "card": ("earmark.cli.card", "card"),
    "plan": ("earmark.cli.plan", "plan"),
    "import": ("earmark.cli.import_logs", "import_logs"),
    "corpus": ("earmark.cli.corpus", "corpus"),
    "answerer": ("earmark.cli.answerer", "answerer"),
    "selector": ("earmark.cli.selector", "selector"),
    "score": ("earmark.cli.score", "score"),
    "compress": ("earmark.cli.compress", "compress"),
    "warm": ("earmark.cli.warm", "warm"),
    "theory": ("earmark.cli.theory", "theory"),
    "schema": ("earmark.cli.schema", "schema"),
}
_PRINTS_ONLY = {"-h", "--help", "--version", "schema"}  # needs no libraries, and so none of their threads
_SHORT_HELP = {
    "init": "Write a spec for a corpus, with what it will take.",
    "run": "Evaluate a spec and certify it; resumes where it was stopped.",
    "status": "Say how far a run is.",
    "merge": "Bring the shards of a run together.",
    "certify": "Decide from a run folder which budget is safe.",
    "verify": "Recompute a certificate from its files.",
    "diff": "Say what became better or worse since a certificate before.",
    "card": "Write the section of a model card that says what a certificate does.",
    "plan": "Say which families can be certified, before anything is run.",
    "import": "Make a run folder from the logs of an evaluation harness.",
    "corpus": "Say what is in a benchmark's folder, and make its partitions.",
    "answerer": "Say what an answerer can do here, from a few questions.",
    "selector": "Measure what chunks are worth, train selectors on it, export and check them.",
    "score": "Score the chunks of recordings, and keep the best.",
    "compress": "Write what an answerer would hear of recordings, to listen to it.",
    "warm": "Compile all kernels beforehand, for an image or a cluster.",
    "theory": "Check the paper's theory on small exact instances.",
    "schema": "Print the JSON Schema of a certificate or of a spec.",
}
_RARELY = 100_000  # objects before the collector of cycles looks for some: modules and certificates hold few, and stay
_INTERRUPTED = "interrupted: files that were written are whole, and the same command goes on or begins anew"


class _LazyGroup(click.Group):
    """Lists commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, function = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), function)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            meant = instead(name, COMMANDS, "")
            ctx.fail(f"No such command '{name}'" + (f": {meant}" if meant else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_SHORT_HELP.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="earmark", prog_name="earmark")
@click.option("--debug", is_flag=True, help="Show a traceback instead of one line when something fails.")
def earmark(debug: bool) -> None:
    """Sign off audio compression for large audio language models.

    Earmark compares answers on raw and on compressed audio, finds the question family that is hurt most, and
    returns the smallest budget that is safe, or refuses with the reason.
    """


def main() -> None:
    """Run the command line; one line per failure, a traceback only with --debug."""
    gc.set_threshold(_RARELY)
    atexit.register(gc.freeze)  # or the last collection would look at all that ends anyway: a thirtieth of a sign-off
    debug = "--debug" in sys.argv[1:] or bool(os.environ.get("EARMARK_DEBUG"))
    try:
        if not _PRINTS_ONLY & set(sys.argv):
            check_threads()
        sys.exit(earmark.main(prog_name="earmark", standalone_mode=False) or 0)
    except (click.exceptions.Abort, KeyboardInterrupt):
        say(*fitted(_INTERRUPTED, sys.stderr), err=True)
        sys.exit(exits.INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        say(_usage_line(error), err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        refusal = _refusal(error)
        if debug:
            say(*traceback.format_exc().splitlines(), err=True)
        else:
            say(_defect(error) if refusal is None else f"error: {refusal}", err=True)
        sys.exit(getattr(refusal, "exit_code", exits.BUG))


def _refusal(error: Exception) -> Exception | None:
    """What a person can do something about; None for a defect of ours."""
    if hasattr(error, "exit_code"):
        return error
    package = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and package not in ("", "earmark"):
        do = f"pip install {package}, or install Earmark again"
        return InputError("this installation of Earmark", f"lacks {package}, which all others have", do)
    return fault(error, printing_of_help(error))


def _usage_line(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "earmark"
    return f"error: {' '.join(error.format_message().split()).rstrip('.')}; see `{command} --help`"


def _defect(error: Exception) -> str:
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"error: {what}; this is a defect of earmark: run again with `earmark --debug ...`"


if __name__ == "__main__":
    main()
