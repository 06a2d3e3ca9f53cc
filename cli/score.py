"""`earmark score AUDIO...`: what runs in front of a model, on an edge device too: scores, kept chunks, WAV."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from earmark.cli import exits
from earmark.cli.progress import ProgressLine
from earmark.cli.say import say, say_json
from earmark.cli.wav_files import wav_places, write_wav
from earmark.engine.extras import needs_extra

if TYPE_CHECKING:
    from earmark.engine.compressors.scoring import Scoring


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
@click.option(
    "--parquet",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the scores as rows of FILE instead of printing them; a recording that cannot be heard has a status.",
)
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Processes that score."
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
    parquet: Path | None,
    workers: int,
    as_json: bool,
) -> None:
    """Score the one-second chunks of AUDIO, and keep the best that a budget pays for.

    AUDIO is a recording, a pattern of names in quotes ('clips/**/*.wav'), or a folder: then those in it, by name.
    Recordings (WAV, FLAC, OGG, MP3) are mixed down, resampled to 16 kHz, padded to one second and cut after 120. What
    is kept is written as 16-bit WAV, in the order of time.

    \b
    Example:
      earmark score clips/*.wav --selector edge/waveform.onnx --budget 0.4 --out kept
      earmark score 'clips/**/*.wav' --selector energy --workers 8 --parquet scores.parquet
    """
    from earmark.engine.compressors.scoring import Scoring, recordings_of
    from earmark.engine.compressors.scoring import score as engine

    audio = recordings_of(audio)
    if budget is not None and not 0 < budget <= 1:
        raise click.BadParameter(f"{budget} is not in (0, 1]", param_hint="--budget")
    if out is not None and budget is None:
        raise click.UsageError("--out needs --budget")
    if parquet is None and workers > 1:
        raise click.UsageError("--workers needs --parquet")
    if parquet is not None and (out is not None or as_json):
        raise click.UsageError("--parquet is instead of --out and --json")
    scoring = Scoring(name, question, budget, seed, provider, threads)
    if parquet is not None:
        _write(audio, scoring, parquet, workers)
        return
    places = None if out is None else wav_places(audio, out)
    with ProgressLine() as progress:
        progress(f"loading {name}", 0, 0)
        for n_done, scored in enumerate(engine(audio, scoring), 1):
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


def _write(audio: tuple[Path, ...], scoring: "Scoring", parquet: Path, workers: int) -> None:
    """Score into a Parquet file."""
    from earmark.engine.compressors.score_table import write_scores

    with ProgressLine() as progress:
        progress(f"loading {scoring.name}", 0, 0)
        n_unheard = write_scores(audio, scoring, parquet, workers, partial(progress, "recordings scored"))
    say(f"{parquet}: {len(audio):,} recordings")
    if n_unheard:
        say(f"{n_unheard:,} of them cannot be heard: their status says why", err=True)
        sys.exit(exits.FAILED)


def _line(line: dict[str, Any]) -> str:
    scores = " ".join(f"{value:.3f}" for value in line["scores"])
    kept = f"  keeps {' '.join(map(str, line['kept']))} of {line['chunks']}" if "kept" in line else ""
    return f"{line['audio']}  scores {scores}{kept}" + (f"  -> {line['wav']}" if "wav" in line else "")
