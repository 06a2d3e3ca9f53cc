"""Claim: a served answerer keeps 64 connections busy: 5,000 questions about 10-s clips, at least 100 a second.

The server is a process of its own on loopback that reads a request and answers .5 s later: 128 a second is the ceiling.
Every question carries a WAV of 320 kB, 427 kB in base 64; there are ten questions about a recording, of 250 texts, each
of which is sent once more without audio. Memory must be flat: what is held after 1,000 questions and at the end.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from earmark.engine.answerers.answer_all import answer_all
from earmark.engine.answerers.loading import load
from earmark.engine.answerers.request import Request
from earmark.engine.compressors.compressor import OpenedClip
from earmark.engine.corpus.example import SAMPLE_RATE, Question
from earmark.engine.design.sections import AnswererSpec

LATENCY_S = 0.5
CONNECTIONS = 64
QUESTIONS, PER_CLIP, TEXTS = 5_000, 10, 250
SECONDS = 10
LEAST_PER_S = 100
MOST_GROWTH_MIB = 50
REPLY = json.dumps(
    {"choices": [{"message": {"role": "assistant", "content": "B"}}], "usage": {"prompt_tokens": 300}}
).encode()


class Late(asyncio.Protocol):
    """One connection: reads a request without looking at its content, and answers late."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.head, self.left = b"", 0

    def data_received(self, data: bytes) -> None:
        if not self.left:
            self.head += data
            head, end, rest = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            (length,) = (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            self.head, self.left, data = b"", int(length.partition(b":")[2]), rest
        self.left -= len(data)
        if not self.left:
            asyncio.get_running_loop().call_later(LATENCY_S, self.reply)

    def reply(self) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(REPLY), REPLY))


async def serve() -> None:
    """Listen, and print the port."""
    server = await asyncio.get_running_loop().create_server(Late, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def requests() -> Iterator[Request]:
    """Questions about noise, recording by recording."""
    for number in range(QUESTIONS // PER_CLIP):
        noise = np.random.default_rng(number).normal(0, 0.1, SECONDS * SAMPLE_RATE).astype(np.float32)
        excerpt = OpenedClip(f"clip {number}", noise).seconds(range(SECONDS))
        for each in range(PER_CLIP):
            place = number * PER_CLIP + each
            question = Question(f"What is heard {place % TEXTS} times?", ("rain", "wind", "a dog", "nothing"), 1)
            yield Request(str(place), excerpt, question)


def resident_mib() -> float:
    """What this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    server = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        answerer = load(AnswererSpec(f"openai:http://127.0.0.1:{port}/v1#late", "late", connections=CONNECTIONS))
        to_ask = list(requests())
        held, began, cpu = [], time.monotonic(), time.process_time()
        for count, answer in enumerate(answer_all(answerer, to_ask), 1):
            assert (answer.status, answer.predicted_label) == ("ok", "B"), answer
            if count in (QUESTIONS // 5, QUESTIONS):
                held.append(resident_mib())
        seconds, cpu_s = time.monotonic() - began, time.process_time() - cpu
        answerer.close()
    finally:
        server.kill()
        server.wait()
    rate, growth = QUESTIONS / seconds, held[1] - held[0]
    print(f"{QUESTIONS:,} questions in {seconds:.1f} s ({cpu_s:.1f} CPU s): {rate:.0f} a second", file=sys.stderr)
    result = {
        "claim": f"64 connections to a server with a latency of .5 s answer {LEAST_PER_S} questions a second",
        "ratio": round(rate / LEAST_PER_S, 2),
        "target": 1.0,
        "questions_per_s": round(rate, 1),
        "cpu_s": round(cpu_s, 1),
        "mib_after_a_fifth": round(held[0]),
        "mib_at_the_end": round(held[1]),
        "holds": rate >= LEAST_PER_S and growth <= MOST_GROWTH_MIB,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        main()
