"""A server of chat completions in a thread of its own: answers by a function, with faults by script.

No framework: HTTP/1.1 as far as a client of `input_audio` needs it. It counts requests by their bodies.
"""

import asyncio
import base64
import hashlib
import io
import json
import threading
import wave
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

PER_SECOND = 25  # audio tokens


class Heard(NamedTuple):
    """One request as a model gets it."""

    content: dict[str, Any]
    headers: dict[str, str]
    text: str
    samples: np.ndarray | None
    number: int  # of the request, from 1
    times: int  # that this body came, from 1


class Said(NamedTuple):
    """A reply; `raw` instead of it is written as it is, and then the connection is cut."""

    code: int = 200
    body: bytes = b""
    headers: tuple[str, ...] = ()
    after_s: float = 0.0
    raw: bytes | None = None


Say = Callable[[Heard], Said]


def letter_of(heard: Heard) -> str:
    """What the fake model answers: a letter by what is heard and asked, the same everywhere."""
    sound = b"" if heard.samples is None else heard.samples.tobytes()
    return "ABCD"[hashlib.sha256(sound + heard.text.encode()).digest()[0] % 4]


def completion(text: str, heard: Heard, likelihoods: bool = False, **more: Any) -> Said:
    """A reply in the manner of OpenAI."""
    seconds = 0.0 if heard.samples is None else len(heard.samples) / 16_000
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    if likelihoods and heard.content.get("logprobs"):
        logs = [{"token": letter, "logprob": -0.1 if letter == text else -3.0} for letter in "ABCD"]
        choice["logprobs"] = {"content": [{"token": text, "logprob": -0.1, "top_logprobs": logs}]}
    usage = {"prompt_tokens": 10 + len(heard.text.split()) + round(PER_SECOND * seconds), "completion_tokens": 1}
    return Said(body=json.dumps({"choices": [choice], "usage": usage, **more}).encode())


def answers(heard: Heard) -> Said:
    """The fake model, without a fault."""
    return completion(letter_of(heard), heard)


class FakeServer:
    """One server; `say` may be exchanged while it runs, and `down` refuses connections."""

    def __init__(self, say: Say = answers) -> None:
        self.say = say
        self.bodies: Counter[bytes] = Counter()  # requests by the hash of their body
        self.texts: Counter[str] = Counter()  # ... and by what is asked
        self.answered: Counter[bytes] = Counter()  # ... those that were answered with 200
        self.most_at_once = 0
        self._at_once = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def model(self) -> str:
        """What a spec calls it."""
        return f"openai:http://127.0.0.1:{self.port}/v1#fake"

    @property
    def requests(self) -> int:
        return sum(self.bodies.values())

    def start(self) -> None:
        self._thread.start()
        self.up()

    def up(self) -> None:
        """Listen, on the port of before."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def down(self) -> None:
        """Cut every connection, and listen no more."""
        asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result()

    def close(self) -> None:
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 20, backlog=256)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _leave(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0.05)
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._reply(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        heard = self._heard(body, headers)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            said = self.say(heard)
            await asyncio.sleep(said.after_s)
        finally:
            self._at_once -= 1
        if said.raw is not None:
            writer.write(said.raw)
            await writer.drain()
            return False
        lines = [f"HTTP/1.1 {said.code} X", f"Content-Length: {len(said.body)}", *said.headers, "", ""]
        writer.write("\r\n".join(lines).encode() + said.body)
        await writer.drain()
        if said.code == 200:
            self.answered[hashlib.sha256(body).digest()] += 1
        return True

    def _heard(self, body: bytes, headers: dict[str, str]) -> Heard:
        digest = hashlib.sha256(body).digest()
        self.bodies[digest] += 1
        content = json.loads(body)
        text, samples = "", None
        for part in content["messages"][0]["content"]:
            if part["type"] == "text":
                text = part["text"]
            else:
                samples = decoded(part["input_audio"]["data"])
        self.texts[text] += 1
        return Heard(content, headers, text, samples, self.requests, self.bodies[digest])


def decoded(data: str) -> np.ndarray:
    """The samples of a WAV file of 16 bits at 16 kHz, in base 64."""
    with wave.open(io.BytesIO(base64.b64decode(data, validate=True))) as reader:
        assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (16_000, 1, 2)
        return np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2")


@contextmanager
def serving(say: Say = answers) -> Iterator[FakeServer]:
    """A server that runs as long as this context."""
    server = FakeServer(say)
    server.start()
    try:
        yield server
    finally:
        server.close()
