"""`earmark merge RUN SHARD...`: the shards of one sweep, brought together."""

from pathlib import Path

import click

from earmark.cli.progress import ProgressLine
from earmark.cli.say import say
from earmark.cli.status import table


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path))
def merge(run: Path, shards: tuple[Path, ...]) -> None:
    """Bring the SHARDS of one sweep, run with --shard on several machines, together in RUN.

    RUN is a new folder, or one of the shards. What is missing is copied; nothing is answered again and no shard is
    changed. Says what is complete then.

    \b
    Example:
      earmark merge runs/mmsu machine1/mmsu machine2/mmsu
    """
    from earmark.engine.sweep.merge import merge as bring_together

    with ProgressLine() as progress:
        sweep_status = bring_together(run, shards, progress)
    say(*table(sweep_status))
