"""`earmark warm`: every kernel compiled beforehand, for an image or a cluster."""

import os
import sys
from pathlib import Path

import click

from earmark.cli import exits
from earmark.cli.progress import ProgressLine
from earmark.cli.say import say, say_json

_STOPPING = "stopping after the kernels under way: those that are compiled are kept; Ctrl-C again stops at once"


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep them there, for all users to read: what EARMARK_CACHE_DIR then names.  "
    "[default: EARMARK_CACHE_DIR, else the user's cache folder]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def warm(out: Path | None, as_json: bool) -> None:
    """Compile all kernels that any command may need, or load them where they are compiled already.

    Small inputs need none. Large ones compile what they need when it is first needed, which takes half a minute; what
    is compiled is kept, for this version of earmark and this kind of processor. Says where, and how large it is.

    Exit code: 0, 2 where kernels cannot be kept, 130 when interrupted.

    \b
    Example:
      earmark warm --out /opt/earmark-kernels
    """
    if out is not None:
        os.environ["EARMARK_CACHE_DIR"] = str(out)  # read when kernels are imported, below
    from earmark.engine.progress import stopping_on_signals
    from earmark.kernels.kernel_folders import FOLDERS, open_to_readers
    from earmark.kernels.warming import GROUPS
    from earmark.kernels.warming import warm as all_kernels

    folder = FOLDERS.kept or FOLDERS.shipped
    if folder is None:
        from earmark.engine.errors import InputError

        where = os.environ.get("EARMARK_CACHE_DIR") or "the user's cache folder"
        raise InputError(where, "is no folder that only you can write into", "name another one with --out DIR")
    # an exception out of a signal would be lost: compilers call back, and what is raised there is printed and forgotten
    with ProgressLine() as progress, stopping_on_signals(lambda: progress.note(_STOPPING)) as stop:
        progress("compiling kernels", 0, len(GROUPS))
        groups = []
        for group in all_kernels():
            groups.append(group)
            progress("compiling kernels", len(groups), len(GROUPS))
            if stop():
                break
    if len(groups) < len(GROUPS):
        say("interrupted: the same command goes on from here", err=True)
        sys.exit(exits.INTERRUPTED)
    if out is not None:
        open_to_readers(folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    compiled, seconds = sum(group.compiled for group in groups), sum(group.seconds for group in groups)
    n_bytes = sum(path.stat().st_size for path in files)
    if as_json:
        say_json({"folder": str(folder), "compiled": compiled, "seconds": seconds, "bytes": n_bytes})
        return
    say(f"{compiled} kernels were compiled in {seconds:.0f} s" if compiled else "nothing was to compile")
    say(f"kernels  {folder}  ({len(files)} files, {n_bytes / 1e6:.1f} MB)")
