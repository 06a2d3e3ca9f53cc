"""`earmark score AUDIO...`: what runs in front of a model, on an edge device too: scores, kept chunks, WAV."""

import io
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from earmark.cli.progress import ProgressLine
from earmark.cli.say import say, say_json
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
    if out is not None and len({path.stem for path in audio}) < len(audio):
        raise click.UsageError("two recordings have the same name: --out would write one over the other")
    if out is not None:
        recordings = {path.resolve(): path for path in audio}
        for path in audio:
            if (lost := recordings.get(_kept(out, path).resolve())) is not None:
                raise click.UsageError(f"--out would write over the recording {lost}: name another folder")
    # a graph needs no numba, which word of a compilation would load
    with nullcontext() if name.endswith(".onnx") else ProgressLine():
        for scored in engine(audio, name, question, budget, seed, provider, threads):
            line = scored.content()
            if out is not None:
                line["wav"] = str(_write(_kept(out, scored.path), scored.samples))
            if as_json:
                say_json(line)
            else:
                say(_line(line))


def _kept(out: Path, path: Path) -> Path:
    """Where what is kept of a recording is written."""
    return out / f"{path.stem}.wav"


def _write(path: Path, audio: Any) -> Path:
    import soundfile

    from earmark.engine.corpus.example import SAMPLE_RATE
    from earmark.engine.files import write_file

    wav = io.BytesIO()
    soundfile.write(wav, audio, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    write_file(path, wav.getvalue())
    return path


def _line(line: dict[str, Any]) -> str:
    scores = " ".join(f"{value:.3f}" for value in line["scores"])
    kept = f"  keeps {' '.join(map(str, line['kept']))} of {line['chunks']}" if "kept" in line else ""
    return f"{line['audio']}  scores {scores}{kept}" + (f"  -> {line['wav']}" if "wav" in line else "")
