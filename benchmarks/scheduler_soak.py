"""Claim: 20,000 requests to an answerer that fails, stalls and answers NaN at random, killed twenty times, end
answered once or with a status each, in memory that does not grow.

A worker process answers into a journal and is killed without warning at random moments, then started again; nothing
in it remembers but the journal. At the end every request has exactly one answer, every piece of work one line, and
each answer that is ok is the one an answerer without faults gives. `ratio` is the memory at the end of an
uninterrupted run over that after its first tenth.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

import fakes
import numpy as np
from answering import answer_all

from earmark.engine.answerers import journal
from earmark.engine.answerers.request import Request
from earmark.engine.answerers.shared.scheduler import AnswerOptions
from earmark.engine.compressors.compressor import Excerpt, Wave, audio_hash
from earmark.engine.corpus.example import Question
from earmark.engine.design.keys import OK

OPTIONS = AnswerOptions(planned_at_once=4_000, batch_tokens=2048, window_clips=8, ahead=4)
GROWTH = 1.25


class Beep(fakes.Sound):
    """A cheap recording."""

    __slots__ = ()

    def waveform(self) -> np.ndarray:
        if self.broken:
            raise fakes.AudioError("not a recording")
        return np.full(4 * 16_000, self.seed + 1, dtype=np.float32) * np.arange(1, 5).repeat(16_000)


def requests(n: int) -> Iterator[Request]:
    """Ten requests a clip of four seconds, some equal; one clip in 200 is broken, a question in 500 is poison."""
    for number in range(n):
        seed, i = divmod(number, 10)
        audio = Beep(seed, 4.0, broken=seed % 200 == 199)
        chunks = ((0,), (1, 3), (0, 1, 2, 3))[i % 3]
        kept = np.concatenate([np.full(16_000, (seed + 1) * (c + 1), np.float32) for c in chunks])
        digest = f"broken {seed} {chunks}" if audio.broken else audio_hash(kept)
        question = "Is it poison?" if number % 500 == 17 else f"What number {i % 5}?"
        yield Request(
            str(number), Excerpt(Wave(audio, chunks, len(kept)), digest), Question(question, ("a", "b", "c"), i % 3)
        )


def work(path: Path, n: int, seed: int) -> None:
    """Answer what the journal does not hold yet, until all is answered or the process is killed."""
    answerer = fakes.FakeAnswerer(seed, most_rows=40, stall_s=0.02)
    with journal.opened(path, "soak") as j:
        for _ in answer_all(answerer, requests(n), OPTIONS, j):
            pass


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def memory(path: Path, n: int) -> tuple[float, float]:
    """Resident MiB after the first tenth and at the end of an uninterrupted run."""
    answerer = fakes.FakeAnswerer(7, most_rows=40)
    early = 0.0
    with journal.opened(path, "soak") as j:
        for count, _ in enumerate(answer_all(answerer, requests(n), OPTIONS, j)):
            answerer.asked.clear()
            if count == n // 10:
                early = resident_mib()
    return early, resident_mib()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp())
    path = folder / "answers.jsonl"
    if args.work is not None:
        work(path, args.requests, args.work)
        return

    began = time.monotonic()
    chance = random.Random(0)
    kills = lives = 0
    lines = []
    while True:
        worker = subprocess.Popen(
            [sys.executable, __file__, "--requests", str(args.requests), "--folder", folder, "--work", str(lives)]
        )
        lives += 1
        if kills < args.kills:
            # a life long enough to get somewhere: until the journal has grown by its share, and a random moment more
            goal = (kills + 1) * args.requests * 0.5 / (args.kills + 1)
            while worker.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < goal):
                time.sleep(0.01)
            time.sleep(chance.random() * 0.05)
            if worker.poll() is None:
                worker.send_signal(signal.SIGKILL)
                kills += 1
        code = worker.wait()
        lines.append(path.read_bytes().count(b"\n"))
        if code == 0:
            break
        if code != -signal.SIGKILL:
            raise SystemExit(f"the worker left with {code}")
    print(f"{lives} lives, {kills} kills, lines in the journal after each: {lines}")

    with journal.opened(path, "soak") as j:
        keys = [json.loads(line)["result"]["key"] for line in path.read_bytes().splitlines()[1:]]
        assert len(keys) == len(set(keys)) == len(j.results), "a piece of work has two lines"
        idle = fakes.FakeAnswerer(most_rows=0)
        answers = list(answer_all(idle, requests(args.requests), OPTIONS, j))
        assert not idle.asked
        assert idle.opened == 0, "something was left to do"
    assert sorted(int(a.id) for a in answers) == list(range(args.requests)), "each request is answered once"
    truth = {a.id: a for a in answer_all(fakes.FakeAnswerer(), requests(args.requests), OPTIONS)}
    assert all(a == truth[a.id] for a in answers if a.status == OK), "an answer is another's"
    statuses = Counter(a.status.split(":")[0] for a in answers)
    print(f"statuses: {dict(statuses)}")

    early, late = memory(folder / "memory.jsonl", args.requests)
    print(f"resident memory: {early:.0f} MiB after a tenth, {late:.0f} MiB at the end")
    holds = kills == args.kills and late <= GROWTH * early
    print(
        json.dumps(
            {
                "claim": "killed and failing, every request is answered once or has a status, in flat memory",
                "ratio": round(late / early, 3),
                "target": GROWTH,
                "holds": holds,
                "requests": args.requests,
                "kills": kills,
                "statuses": dict(statuses),
                "seconds": round(time.monotonic() - began, 1),
            }
        )
    )
    if not holds:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
