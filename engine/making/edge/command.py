"""The command line of an exported folder: scores, kept chunks and WAV of recordings, or the check of the folder."""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from earmark.engine.making.edge.device_check import DEVICE, check
from earmark.engine.making.edge.edge_error import EdgeError
from earmark.engine.making.edge.edge_folder import write_whole
from earmark.engine.making.edge.edge_selector import EdgeSelector
from earmark.engine.making.edge.machine import cores
from earmark.engine.making.edge.measure import work
from earmark.engine.making.edge.wav import read_wav, wav_bytes

FAILED, WRONG, INTERRUPTED = 1, 2, 130  # exit codes: the check failed; the command cannot be carried out


def main(arguments: Sequence[str], folder: Path) -> int:
    """Run the command on a folder and return the exit code."""
    try:
        options = _parser().parse_args(arguments)
        if options.worker:
            work(folder, options.threads)
        elif options.check:
            return _check(options, folder)
        else:
            _score(options, folder)
    except EdgeError as error:
        return _refuse(error, WRONG)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise EdgeError("arguments", message, "see keep.py --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="keep.py", description="Score the seconds of recordings, and keep the best of them.")
    add = parser.add_argument
    add("audio", nargs="*", type=Path, metavar="CLIP.wav", help="recordings: WAV, 16 kHz, mono, PCM")
    add("--budget", type=float, metavar="B", help="share of the seconds to keep, above 0 and at most 1")
    add("--question", metavar="Q", help="what will be asked, for a selector that reads it")
    add("--tokens", metavar="I,I...", help="the same as token ids")
    add("--out", type=Path, metavar="PATH", help="write what is kept there (a folder, for several recordings)")
    add(
        "--threads",
        type=_positive,
        metavar="N",
        help="1 by default; --check measures 1 and N, by default all cores",
    )
    add("--json", action="store_true", help="print one line of JSON a recording")
    add("--check", action="store_true", help=f"compare with the test vectors, measure, write {DEVICE} (or --out)")
    add("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1")
    return int(text)


def _refuse(reason: object, exit_code: int) -> int:
    print(f"keep.py: {reason}", file=sys.stderr)
    return exit_code


def _check(options: argparse.Namespace, folder: Path) -> int:
    """Check the folder on this machine and write its report; the exit code. What fails is printed as one line."""
    for name in ("audio", "budget", "question", "tokens", "json"):
        if getattr(options, name) not in (None, [], False):
            raise EdgeError("--check", f"takes no {name}", "leave it out")
    try:
        report = check(folder, tuple(dict.fromkeys((1, options.threads or cores()))), options.out or folder / DEVICE)
    except EdgeError as error:
        return _refuse(error, FAILED)
    if report.failure is not None:
        return _refuse(report.failure, FAILED)
    print("pass")
    return 0


def _score(options: argparse.Namespace, folder: Path) -> None:
    """Print scores and kept chunks of each recording, and write what is kept."""
    if not options.audio:
        raise EdgeError("arguments", "name no recording", "give a WAV file, or --check")
    if options.budget is not None and not 0 < options.budget <= 1:
        raise EdgeError(f"--budget {options.budget:g}", "is not in (0, 1]", "give a share of the seconds to keep")
    places = _places(options.audio, options.out, options.budget)
    selector = EdgeSelector(folder, options.threads or 1)
    tokens = _tokens(options, selector)
    for path, place in zip(options.audio, places, strict=True):
        recording = read_wav(path)
        scores = selector.scores(recording.waveform, tokens)
        line: dict[str, Any] = {"audio": str(path), "chunks": len(scores), "scores": scores.tolist()}
        if options.budget is not None:
            chunks = selector.keep(scores, options.budget)
            excerpt = recording.only(chunks)
            samples = np.ascontiguousarray(excerpt.waveform, "<f4").tobytes()
            line |= {"kept": chunks.tolist(), "kept_hash": hashlib.blake2b(samples, digest_size=16).hexdigest()}
            if place is not None:
                write_whole(place, wav_bytes(excerpt))
                line["wav"] = str(place)
        print(json.dumps(line, ensure_ascii=False) if options.json else _text(line), flush=True)


def _places(audio: Sequence[Path], out: Path | None, budget: float | None) -> Sequence[Path | None]:
    """Where what is kept of each recording goes; never onto a recording, nor two onto one place."""
    if out is None:
        return [None] * len(audio)
    if budget is None:
        raise EdgeError("--out", "needs a budget", "give --budget")
    inside = len(audio) > 1 or out.is_dir()
    places = [out / f"{path.stem}.wav" if inside else out for path in audio]
    if len(set(places)) < len(places):
        raise EdgeError("--out", "two recordings have the same name", "give them one after the other")
    recordings = {path.resolve() for path in audio}
    for place in places:
        if place.resolve() in recordings:
            raise EdgeError("--out", f"would write over the recording {place}", "name another place")
    return places


def _tokens(options: argparse.Namespace, selector: EdgeSelector) -> list[int] | None:
    """The ids of the question, where the selector reads one."""
    given = [name for name in ("question", "tokens") if getattr(options, name) is not None]
    if not selector.manifest.reads_question:
        if given:
            raise EdgeError(f"--{given[0]}", "this selector reads no question", "leave it out")
        return None
    if len(given) != 1:
        raise EdgeError("question", "this selector reads one", "give either --question or --tokens")
    if options.question is not None:
        return selector.tokens(options.question)
    if not re.fullmatch(r"(\d+(,\d+)*)?", options.tokens, re.ASCII):
        raise EdgeError(f"--tokens {options.tokens}", "is no list of token ids", "give it like 12,5,301")
    return [int(token) for token in options.tokens.split(",") if token]


def _text(line: dict[str, Any]) -> str:
    scores = " ".join(f"{score:.3f}" for score in line["scores"])
    kept = f"  keeps {' '.join(map(str, line['kept']))} of {line['chunks']}" if "kept" in line else ""
    return f"{line['audio']}  scores {scores}{kept}" + (f"  -> {line['wav']}" if "wav" in line else "")
