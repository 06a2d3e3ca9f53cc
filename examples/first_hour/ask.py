"""An evaluation of one's own, as teams have it before they know Earmark: the questions on raw audio, and through GSM.

    python examples/first_hour/ask.py numbers

writes logs/raw.csv and logs/gsm.csv, a row per question.
"""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from listener import answer, hear

COLUMNS = ["sample_id", "query_family", "source_id", "loss", "predicted_label", "correct_label", "n_options"]


def main() -> None:
    """Ask about the recordings of the folder that the command line names, and write both logs."""
    folder = Path(sys.argv[1])
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    Path("logs").mkdir(exist_ok=True)
    log(rows, Path("logs/raw.csv"), lambda audio: (folder / audio).read_bytes())
    log(rows, Path("logs/gsm.csv"), lambda audio: through_gsm(folder / audio))


def log(rows: list[dict], out: Path, wav_of: Callable[[str], bytes]) -> None:
    """Write what the recogniser answers to every question about what it hears of a recording."""
    with out.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for row in rows:
            predicted = answer(row["question"], row["choices"], hear(wav_of(row["audio"])))
            loss, options = int(predicted != row["answer"]), len(row["choices"])
            values = row["sample_id"], row["family"], row["audio"], loss, predicted, row["answer"], options
            table.writerow(dict(zip(COLUMNS, values, strict=True)))
    print(f"wrote {out}: {len(rows)} answers")


def through_gsm(wav: Path) -> bytes:
    """What a telephone would let through: GSM at 13 kb/s, and 16 kHz again."""
    gsm = subprocess.run(["sox", "-D", wav, "-r", "8000", "-t", "gsm", "-"], check=True, capture_output=True).stdout
    back = ["sox", "-D", "-t", "gsm", "-r", "8000", "-", "-r", "16000", "-t", "wav", "-"]
    return subprocess.run(back, check=True, capture_output=True, input=gsm).stdout


if __name__ == "__main__":
    main()
