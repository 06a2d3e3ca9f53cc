"""`earmark compress AUDIO...`: what an answerer would hear of recordings, as files that people can listen to."""

import re
import sys
from pathlib import Path
from typing import Any

import click

from earmark.cli import exits
from earmark.cli.progress import ProgressLine
from earmark.cli.say import say, say_json
from earmark.cli.wav_files import wav_places, write_wav
from earmark.engine.design.compressors import AV, WAVE_NAMES, budget_name
from earmark.engine.extras import needs_extra


@click.command()
@click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--with",
    "name",
    required=True,
    metavar="METHOD",
    help=f"{', '.join(WAVE_NAMES)}, {AV}ENCODER, package.module:function, an entry point; or the "
    "selector of chunks: uniform, random, energy, tiny-agnostic, tiny-conditioned, a folder, a graph (.onnx).",
)
@click.option("--budget", required=True, metavar="B", help="A share (0.1), or 12kbps, 1.5x, 4khz where METHOD has it.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="The folder to write into.")
@click.option(
    "--spec", type=click.Path(path_type=Path), metavar="SPEC", help="METHOD is the name of a method in this spec."
)
@click.option("--question", metavar="Q", help="What will be asked, for a selector that reads it.")
@click.option(
    "--seed", type=click.IntRange(min=0), metavar="S", help="Which seed of METHOD.  [default: its first, or 0]"
)
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON a recording.")
@needs_extra("earmark compress", "audio")
def compress(
    audio: tuple[Path, ...],
    name: str,
    budget: str,
    out: Path,
    spec: Path | None,
    question: str | None,
    seed: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write what an answerer would hear of AUDIO within a budget, to listen to it: DIR/NAME.METHOD-BUDGET.wav.

    AUDIO is a recording, or a folder: then those in it, by name. Recordings (WAV, FLAC, OGG, MP3) are mixed down,
    resampled to 16 kHz, padded to one second and cut after 120, as in a run. The WAV files hold 32-bit floats, sample
    for sample what is heard. A line says how long that is, and how much was sent for each second of the recording.

    Exit code: 0 when all were written, 1 when nothing could be made of some, 2 for bad input.

    \b
    Example:
      earmark compress clips/*.wav --with opus --budget 12kbps --out heard
      earmark compress clips --with speech --spec spec.toml --budget 1.5x --out heard
    """
    from earmark.engine.compressors import hearing
    from earmark.engine.compressors.scoring import recordings_of
    from earmark.engine.design import spec as specs
    from earmark.engine.errors import InputError, first_few

    method = hearing.method_of(name) if spec is None else hearing.method_among(specs.read(spec).methods, name)
    paths = recordings_of(audio)
    places = wav_places(paths, out, _ending(name, budget_name(budget, method.kind)))
    if not force and (there := [place for place in places.values() if place.exists()]):
        raise InputError(first_few(there), "is there already", "name another folder with --out, or use --force")
    failed = False
    with ProgressLine() as progress:
        progress(f"loading {name}", 0, 0)
        for n_done, recording in enumerate(hearing.hear(paths, method, budget, question, seed), 1):
            progress("recordings compressed", n_done, len(paths))
            line = recording.content()
            if recording.excerpt is None:
                failed = True
            else:
                write_wav(places[recording.path], recording.samples, "FLOAT")
                line["wav"] = str(places[recording.path])
            progress.clear()  # a terminal shows both
            if as_json:
                say_json(line)
            else:
                say(_line(line))
    if failed:
        sys.exit(exits.FAILED)


def _ending(name: str, budget: str) -> str:
    """What tells the file of one method and budget from others: `.av-libopus-12kbps`."""
    return "." + "-".join(re.sub(r"[^\w.-]+", "-", word).strip("-.") for word in (name, budget))


def _line(line: dict[str, Any]) -> str:
    if "status" in line:
        return f"{line['audio']}  {line['status']}"
    sent = "nobody knows how many kb/s" if line["kbps"] is None else f"{line['kbps']:.1f} kb/s"
    return f"{line['audio']}  {line['heard_seconds']:.2f} of {line['seconds']:.2f} s, {sent}  -> {line['wav']}"
