"""Makes a benchmark to try Earmark on: numbers that are read out, and four questions about each.

    python examples/first_hour/make_corpus.py numbers --clips 400

A third is read by a person, in the prompts of a telephone exchange (of Debian, asterisk-core-sounds-en-wav), if
these are installed; the rest by two voices of espeak-ng. sox joins the words, one pause longer than the others
and the noise of a line. The folder holds audio/ and manifest.jsonl.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
PLACES = ["first", "second", "third", "fourth"]
EXCHANGE = Path("/usr/share/asterisk/sounds/en_US_f_Allison/digits")
VOICES = ["en-us", "en-us-nyc"]
SHORT, LONG = 0.2, 0.8  # seconds between two words


def main() -> None:
    """Write the folder that the command line names."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("folder", type=Path)
    options.add_argument("--clips", type=int, default=400)
    arguments = options.parse_args()
    lacking = [name for name in ("espeak-ng", "sox") if shutil.which(name) is None]
    if lacking:
        sys.exit(f"{' and '.join(lacking)} not found: apt-get install espeak-ng sox asterisk-core-sounds-en-wav")
    random.seed(7)
    audio = arguments.folder / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    speakers = {voice: words_of(voice, arguments.folder) for voice in VOICES}
    if EXCHANGE.is_dir():
        speakers["recorded"] = words_of(None, arguments.folder)
    with (arguments.folder / "manifest.jsonl").open("w") as manifest:
        for clip in range(arguments.clips):
            speaker = random.choice(sorted(speakers))
            number = random.choices(range(10), k=random.randint(4, 6))
            pause = random.randrange(min(len(number) - 1, len(PLACES)))
            read_out(number, pause, speakers[speaker], audio / f"{clip:03}.wav", seed=clip)
            for family, question, choices, answer in questions(number, pause):
                row = {"sample_id": f"{clip:03}-{family}", "audio": f"audio/{clip:03}.wav", "family": family,
                       "speaker": speaker, "question": question, "choices": choices, "answer": answer}  # fmt: skip
                manifest.write(json.dumps(row) + "\n")
    shutil.rmtree(arguments.folder / "words")
    print(f"{arguments.clips} clips, {4 * arguments.clips} questions in {arguments.folder}")


def words_of(voice: str | None, folder: Path) -> list[Path]:
    """The ten words of a speaker, without silence around them; the recorded speaker where there is no voice."""
    files = []
    for digit, word in enumerate(WORDS):
        file = folder / "words" / f"{voice}-{word}.wav"
        file.parent.mkdir(exist_ok=True)
        source = EXCHANGE / f"{digit}.wav"
        if voice is not None:
            source = file.with_suffix(".raw.wav")
            subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", source, word], check=True)
        trim = ["silence", "1", ".01", ".5%", "reverse", "silence", "1", ".01", ".5%", "reverse"]
        subprocess.run(["sox", "-D", source, "-r", "16000", "-c", "1", file, *trim, "norm", "-6"], check=True)
        files.append(file)
    return files


def read_out(number: list[int], pause: int, words: list[Path], out: Path, seed: int) -> None:
    """Write a clip of the words of a number; the long pause is after word `pause`."""
    joined = ["sox", "-D", "-n", "-r", "16000", "-c", "1", "-p", "trim", "0", ".3"]
    parts = [f"|{' '.join(joined)}"]
    for place, digit in enumerate(number):
        seconds = LONG if place == pause else SHORT
        parts += [str(words[digit]), f"|sox -D -n -r 16000 -c 1 -p trim 0 {seconds}"]
    speech = out.with_suffix(".speech.wav")
    subprocess.run(["sox", "-D", *parts, speech], check=True)
    seconds = subprocess.run(["soxi", "-D", speech], check=True, capture_output=True, text=True).stdout.strip()
    noise = f"|sox -R -D -n -r 16000 -c 1 -p synth {seconds} pinknoise vol {0.002 + 0.002 * (seed % 5)}"
    subprocess.run(["sox", "-D", "-m", "-v", "1", speech, "-v", "1", noise, "-b", "16", out], check=True)
    speech.unlink()


def questions(number: list[int], pause: int) -> list[tuple[str, str, list[str], str]]:
    """(family, question, options, right option) of the four questions about a number."""
    return [
        ("first", "Which digit is read out first?", *among_digits(number[0])),
        ("last", "Which digit is read out last?", *among_digits(number[-1])),
        ("count", "How many digits are read out?", ["3", "4", "5", "6"], str(len(number))),
        ("pause", "After which digit is the longest pause?", list(PLACES), PLACES[pause]),
    ]


def among_digits(right: int) -> tuple[list[str], str]:
    """Four digits in a random order, the right one among them, and the right one."""
    choices = [WORDS[right], *random.sample([word for word in WORDS if word != WORDS[right]], 3)]
    random.shuffle(choices)
    return choices, WORDS[right]


if __name__ == "__main__":
    main()
