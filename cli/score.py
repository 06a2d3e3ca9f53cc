"""`earmark score AUDIO...`: what runs in front of a model, on an edge device too: scores, kept chunks, WAV."""

from pathlib import Path
from typing import Any

import click

from earmark.cli.progress import ProgressLine
from earmark.cli.say import say, say_json
from earmark.cli.wav_files import wav_places, write_wav
from earmark.engine.extras import needs_extra


@click.command()
@click.argument("audio", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--selector",
    "name",
    required=True,
    metavar="S",
    help="uniform, random, energy, tiny-agnostic, tiny-conditioned, the folder of a trained one, or a graph (.onnx).",
)
@click.option("--question", metavar="Q", help="What will be asked, for a selector that reads it.")
@click.option("--budget", type=float, metavar="B", help="Share of the chunks to keep, above 0 and at most 1.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of random.")
@click.option("--provider", default="cpu", show_default=True, help="What runs a graph: cpu, cuda or tensorrt.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads that run a graph.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Write what is kept as DIR/NAME.wav; needs --budget."
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON a recording.")
@needs_extra("earmark score", "edge")
def score(
    audio: tuple[Path, ...],
    name: str,
    question: str | None,
    budget: float | None,
    seed: int,
    provider: str,
    threads: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Score the one-second chunks of AUDIO, and keep the best that a budget pays for.

    AUDIO is a recording, or a folder: then those in it, by name. Recordings (WAV, FLAC, OGG, MP3) are mixed down,
    resampled to 16 kHz, padded to one second and cut after 120. What is kept is written as 16-bit WAV, in the order of
    time.

    \b
    Example:
      earmark score clips/*.wav --selector edge/waveform.onnx --budget 0.4 --out kept
    """
    from earmark.engine.compressors.scoring import recordings_of
    from earmark.engine.compressors.scoring import score as engine

    audio = recordings_of(audio)
    if budget is not None and not 0 < budget <= 1:
        raise click.BadParameter(f"{budget} is not in (0, 1]", param_hint="--budget")
    if out is not None and budget is None:
        raise click.UsageError("--out needs --budget")
    places = None if out is None else wav_places(audio, out)
    with ProgressLine() as progress:
        progress(f"loading {name}", 0, 0)
        for n_done, scored in enumerate(engine(audio, name, question, budget, seed, provider, threads), 1):
            progress("recordings scored", n_done, len(audio))
            line = scored.content()
            if places is not None:
                write_wav(places[scored.path], scored.samples, "PCM_16")
                line["wav"] = str(places[scored.path])
            progress.clear()  # a terminal shows both
            if as_json:
                say_json(line)
            else:
                say(_line(line))


def _line(line: dict[str, Any]) -> str:
    scores = " ".join(f"{value:.3f}" for value in line["scores"])
    kept = f"  keeps {' '.join(map(str, line['kept']))} of {line['chunks']}" if "kept" in line else ""
    return f"{line['audio']}  scores {scores}{kept}" + (f"  -> {line['wav']}" if "wav" in line else "")
