"""A model behind a server: PocketSphinx hears digits, and answers questions about them as a chat completion.

    pip install pocketsphinx numpy soundfile
    python examples/first_hour/listener.py 8765

It stands for the server that you deploy. Its acoustic model comes with the package; two cores are enough. The question
is a text as people would ask it; the answer is the letter of an option, "A" where nothing was heard.
"""

import base64
import io
import json
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import numpy as np
import soundfile
from pocketsphinx import Config, Decoder

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
PLACES = ["first", "second", "third", "fourth"]


@lru_cache(maxsize=1)
def decoder() -> Decoder:
    """The recogniser, with a grammar of digits and few insertions."""
    heard = Decoder(Config(loglevel="FATAL", lw=1.0, wip=1e-30))
    heard.add_jsgf_string("digits", f"#JSGF V1.0; grammar digits; public <digits> = ( {' | '.join(WORDS)} )+ ;")
    heard.activate_search("digits")
    return heard


@lru_cache(maxsize=4096)
def hear(wav: bytes) -> list[tuple[str, int, int]]:
    """The digits in a recording, each with its first and last frame of 10 ms."""
    samples, rate = soundfile.read(io.BytesIO(wav), dtype="float64")
    assert rate == 16_000, f"{rate} samples a second"
    recogniser = decoder()
    recogniser.reinit_feat()  # nothing is carried over from the recording before
    recogniser.start_utt()
    recogniser.process_raw((samples * 32_767).astype(np.int16).tobytes(), full_utt=True)
    recogniser.end_utt()
    segments = recogniser.seg() or ()
    return [(s.word.split("(")[0], s.start_frame, s.end_frame) for s in segments if s.word.split("(")[0] in WORDS]


def answer(question: str, options: list[str], digits: list[tuple[str, int, int]]) -> str:
    """The option that fits what was heard; the first one where none does."""
    if not digits:
        return options[0]
    pauses = [after[1] - before[2] for before, after in pairwise(digits)]
    if "first" in question:
        wanted = digits[0][0]
    elif "last" in question:
        wanted = digits[-1][0]
    elif "How many" in question:
        wanted = str(len(digits))
    else:
        wanted = PLACES[min(int(np.argmax(pauses)), 3)] if pauses else ""
    return wanted if wanted in options else options[0]


def reply(body: dict) -> str:
    """The letter for the last message of a chat."""
    content = body["messages"][-1]["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    text = " ".join(part["text"] for part in parts if part["type"] == "text")
    audio = [part["input_audio"]["data"] for part in parts if part["type"] == "input_audio"]
    question = text.partition("Question: ")[2].partition("\n")[0]
    options = re.findall(r"^[A-Z]\. (.*)$", text, re.MULTILINE)
    if not options:
        return "A"
    chosen = answer(question, options, hear(base64.b64decode(audio[0])) if audio else [])
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[options.index(chosen)]


class Chat(BaseHTTPRequestHandler):
    """Answers POST /v1/chat/completions."""

    protocol_version = "HTTP/1.1"
    pool: ProcessPoolExecutor

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = self.pool.submit(reply, body).result()
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        reply_bytes = json.dumps({"model": "listener", "choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply_bytes)))
        self.end_headers()
        self.wfile.write(reply_bytes)

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


class Server(ThreadingHTTPServer):
    """Lets as many wait as a client may send at once."""

    request_queue_size = 256


if __name__ == "__main__":
    Chat.pool = ProcessPoolExecutor(2)
    with Server(("127.0.0.1", int(sys.argv[1])), Chat) as server:
        print(f"listening on {server.server_address}", flush=True)
        server.serve_forever()
