"""Chat completions as texts: the body of a request, and what may be believed of the body of a reply.

Pure: knows no network. What a server writes is read as what a stranger wrote.
"""

import base64
import io
import json
import math
import wave
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from earmark.engine.arrays import Waveform
from earmark.engine.corpus.clip import as_16_bits
from earmark.engine.corpus.example import SAMPLE_RATE
from earmark.engine.errors import InputError
from earmark.engine.reading import parse_json

TOP = 20  # likeliest tokens that are asked for: a server has its ceiling, and OpenAI's is 20
_LETTER_TOKENS = 5  # enough for "(B)", where nothing says how many
_MOST_TEXT = 1000  # characters that are kept of an answer
_NOT_KNOWN = -9999.0
_MOST_TOKENS = 1 << 40
_MOST_VALUES = 1 << 16  # of a reply


class UnreadableError(Exception):
    """A reply that is none, with the words of a status."""


class NoTextError(UnreadableError):
    """A message without text, which is what the model says to this request."""


class Completion(NamedTuple):
    """What a reply says, in full: whoever keeps its texts cuts them with `kept`."""

    text: str
    first: Mapping[str, float]  # logarithm of the probability of the likeliest first tokens; empty: not given
    prompt_tokens: int | None
    fingerprint: str  # of what answers, as the server calls it; empty: it does not say
    model: str  # that answers; empty: it does not say

    def kept(self, without_key: Callable[[str], str]) -> "Completion":
        """The same with its texts as they may be kept: without a key, and then cut."""
        text, fingerprint, model = (
            without_key(text)[:_MOST_TEXT] for text in (self.text, self.fingerprint, self.model)
        )
        return self._replace(text=text, fingerprint=fingerprint, model=model)


class Asking(NamedTuple):
    """What every request of an answerer says alike."""

    model: str
    generate: int  # tokens from which the letter is parsed; 0: the likeliest letter, where likelihoods are given
    likelihoods: bool  # are asked for

    @property
    def reads_text(self) -> bool:
        """Whether the letter is the one that is written, whatever is known of likelihoods."""
        return self.generate > 0

    def body(self, text: str, audio: bytes | None) -> bytes:
        """A request's body: a question's text, and before it the audio in base 64. Without audio the answer is of no
        interest, only how many tokens the question has.

        The audio, which is nearly all of it, passes as it is.
        """
        settings = {
            "model": self.model,
            "max_tokens": 1 if audio is None else self.generate or _LETTER_TOKENS,
            "temperature": 0,
            "seed": 0,
            "stream": False,
            **({"logprobs": True, "top_logprobs": TOP} if self.likelihoods else {}),
        }
        heard = b"" if audio is None else _AUDIO.replace(b"@", audio)
        content = heard + json.dumps({"type": "text", "text": text}).encode()
        return json.dumps(settings)[:-1].encode() + b', "messages": [{"role": "user", "content": [' + content + b"]}]}"


_AUDIO = b'{"type": "input_audio", "input_audio": {"data": "@", "format": "wav"}}, '


def wav_base64(samples: Waveform) -> bytes:
    """A WAV file of 16 bits at 16 kHz, in base 64."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(as_16_bits(samples).astype("<i2").tobytes())
    return base64.b64encode(file.getbuffer())


def completion_of(body: bytes) -> Completion:
    """What the body of a reply says; UnreadableError where it is no completion."""
    content = _parsed(body)
    if content is None:
        raise UnreadableError("no JSON")
    choice = _at(content, "choices", 0)
    if not isinstance(_at(choice, "message"), dict):
        raise UnreadableError("no message" if isinstance(choice, dict) else "no choices")
    text = _text(_at(choice, "message", "content"))
    if text is None:
        raise NoTextError("no text")
    fingerprint, model = _at(content, "system_fingerprint"), _at(content, "model")
    return Completion(
        text,
        _first(_at(choice, "logprobs", "content", 0, "top_logprobs")),
        _count(_at(content, "usage", "prompt_tokens")),
        fingerprint if isinstance(fingerprint, str) else "",
        model if isinstance(model, str) else "",
    )


def complaint_of(body: bytes) -> str:
    """What a server says of a request that it refuses, on one line, in full; empty where it says nothing."""
    content = _parsed(body)
    for place in (("error", "message"), ("message",), ("detail",), ("error",)):
        words = _at(content, *place)
        if isinstance(words, str):
            return " ".join(words.split())
    return ""


def option_nll(first: Mapping[str, float], letters: str) -> tuple[float, ...]:
    """Minus the logarithm of the probability of each letter as the first token; empty where one of them is not among
    the likeliest: nobody knows then.

    With a blank before it or without it is the letter; the likelier of the two counts.
    """
    logs: dict[str, float] = {}
    for token, log in first.items():
        logs[token.strip()] = max(log, logs.get(token.strip(), -math.inf))
    return tuple(max(0.0, -logs[letter]) for letter in letters) if set(letters) <= logs.keys() else ()


def _parsed(body: bytes) -> Any:
    """The content of some JSON, or None. NaN and Infinity pass: they stand among likelihoods, and are none there."""
    try:
        return parse_json(body, "a reply", "", constants=True, most_values=_MOST_VALUES)
    except InputError:
        return None


def _at(content: Any, *way: str | int) -> Any:
    """What stands there, or None."""
    for step in way:
        if isinstance(step, int):
            content = content[step] if isinstance(content, list) and len(content) > step else None
        else:
            content = content.get(step) if isinstance(content, dict) else None
    return content


def _text(content: Any) -> str | None:
    """The text of a message, which may come in parts; None where it has none."""
    if isinstance(content, list):
        parts = [_at(part, "text") for part in content if _at(part, "type") == "text"]
        return "".join(parts) if parts and all(isinstance(part, str) for part in parts) else None
    return content if isinstance(content, str) else None


def _first(entries: Any) -> dict[str, float]:
    """The logarithms by token; those that are none are left out."""
    logs: dict[str, float] = {}
    for entry in entries if isinstance(entries, list) else ():
        token, log = _at(entry, "token"), _at(entry, "logprob")
        if isinstance(token, str) and _is_logarithm(log):
            logs.setdefault(token, float(log))
    return logs


def _is_logarithm(log: Any) -> bool:
    """Whether a number is the logarithm of a probability; servers write -9999 where they do not know it."""
    return isinstance(log, int | float) and not isinstance(log, bool) and _NOT_KNOWN < log <= 0


def _count(number: Any) -> int | None:
    return number if type(number) is int and 0 < number < _MOST_TOKENS else None
