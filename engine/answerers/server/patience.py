"""A server, asked with patience: again after faults that pass, until it is the request's fault or the server is lost.

A request becomes a status only where the server was seen well after its last fault: another request, sent later, was
answered, or a request that it has answered before. Where not even that is answered the server is waited for, and then
lost, so that a run stops and goes on later.

    busy (429)               not counted; asked again after Retry-After, for as long as a server is waited for
    no connection            not counted: nobody read the request
    5xx, 408, 409, 425,
    time-out, cut,
    200 that is unreadable   counted; after `tries` the request has a status
    any other                refused: it has a status at once

Knows no questions.
"""

import asyncio
import math
import time
from collections.abc import Callable
from http import HTTPStatus
from itertools import count
from typing import NamedTuple, Protocol

from earmark.engine.answerers.answerer import LostError
from earmark.engine.answerers.server.chat import Completion
from earmark.engine.answerers.server.http_client import Posted, ReplyKind
from earmark.engine.progress import StoppedError

FIRST_PAUSE_S, MOST_PAUSE_S = 0.5, 30.0  # between two tries; doubled each time
_HOPELESS = (  # where even what was answered before is refused so, nobody need wait
    HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND,
)  # fmt: skip


class UnansweredError(Exception):
    """A request that has no answer; the message is its status."""


class RefusedError(UnansweredError):
    """A request that the server refuses, however often it is asked."""


class Patience(NamedTuple):
    """How often and how long."""

    tries: int
    wait_s: float


class Client(Protocol):
    """Sends requests."""

    async def post(self, body: bytes) -> Posted:
        """What came of it."""

    async def close(self) -> None:
        """It sends no more."""


class PatientServer:
    """A server, and what is known of its health."""

    def __init__(self, client: Client, connections: int, patience: Patience, spend: Callable[[], None]) -> None:
        self.known_good: bytes | None = None  # a request that was answered: decides whether the server is at fault
        self.check: Callable[[Completion], None] = lambda _: None  # of every answer: raises where it is another's
        self.connections = connections
        self._client, self._patience = client, patience
        self._spend = spend  # before every request: raises where no more may be sent
        self._slots = asyncio.Semaphore(connections)
        self._deciding = asyncio.Lock()
        self._answered_at: float | None = None  # when the latest request was sent that it answered
        self._recovered_at = -math.inf  # when it answered that request again, which it had not for a while
        self._not_before = 0.0  # it asked to be left alone until then

    async def ask(self, body: bytes, stop: asyncio.Event, tries: int | None = None) -> Completion:
        """What it answers. UnansweredError with the status, LostError, or StoppedError between two tries.

        `tries` is for a request that is worth fewer of them.
        """
        began = time.monotonic()
        tried = faults = 0
        was_waited_for = False  # the server, after all tries: they begin anew once
        while True:
            posted = await self._post(body, stop)
            tried += 1
            if posted.completion is not None:
                return posted.completion
            if posted.kind is ReplyKind.REFUSED:
                if await self._is_well(stop) or was_waited_for:
                    raise RefusedError(f"server: {posted.fault}")
                was_waited_for = True
                continue
            counts = self._counts(posted)
            faults += counts
            is_late = not counts and time.monotonic() - began > self._patience.wait_s
            if faults >= (tries or self._patience.tries) or is_late:
                if await self._is_well(stop) or was_waited_for:
                    raise UnansweredError(f"server: {posted.fault} after {tried} {'try' if tried == 1 else 'tries'}")
                began, faults, was_waited_for = time.monotonic(), 0, True
            elif not posted.delivered and self._answered_at is not None:
                await self._is_well(stop)
            await self._pause(posted, tried, stop)

    async def _post(self, body: bytes, stop: asyncio.Event) -> Posted:
        """One request, when its turn comes; StoppedError where nothing more is to be asked by then."""
        while (left := self._not_before - time.monotonic()) > 0:
            await _sleep(left, stop)
        async with self._slots:
            if stop.is_set():
                raise StoppedError
            self._spend()
            sent_at = time.monotonic()
            posted = await self._client.post(body)
        if posted.completion is not None:
            self.check(posted.completion)
            self._answered_at = max(sent_at, self._answered_at or sent_at)
        return posted

    async def close(self) -> None:
        """Give the connections up."""
        await self._client.close()

    def _counts(self, posted: Posted) -> bool:
        """Whether a fault is one of the tries that a request has; before the first answer every one is."""
        return self._answered_at is None or (posted.delivered and posted.code != HTTPStatus.TOO_MANY_REQUESTS)

    def _has_answered_since(self, moment: float) -> bool:
        """Whether it answered a request that was sent since then."""
        return self._answered_at is not None and self._answered_at >= moment

    async def _is_well(self, stop: asyncio.Event) -> bool:
        """Whether it still answers what it has answered before; False where it had to be waited for until it did.
        LostError where it was waited for in vain. One asks, and all others wait for that one.
        """
        began = time.monotonic()
        async with self._deciding:
            if self.known_good is None:
                return True
            for tried in count(1):
                if self._has_answered_since(began):
                    if tried > 2:  # what was asked first was not answered
                        self._recovered_at = time.monotonic()
                    return self._recovered_at < began
                posted = await self._post(self.known_good, stop)
                if posted.kind is ReplyKind.ANSWER:
                    continue
                waited_s = time.monotonic() - began
                if posted.code in _HOPELESS or waited_s > self._patience.wait_s:
                    raise LostError(f"{posted.fault}, for {waited_s:.0f} s, whatever it is asked")
                await self._pause(posted, tried, stop)
        raise AssertionError

    async def _pause(self, posted: Posted, tried: int, stop: asyncio.Event) -> None:
        """Wait before the next try, longer each time, and as long as the server asks for."""
        pause_s = min(MOST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(tried - 1, 30))
        if posted.pause_s:
            asked_for_s = min(posted.pause_s, self._patience.wait_s)
            self._not_before = max(self._not_before, time.monotonic() + asked_for_s)
        await _sleep(pause_s, stop)


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    """Wait; StoppedError where nothing more is to be asked."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
    raise StoppedError
