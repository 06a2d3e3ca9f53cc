"""A server, asked with patience: again after faults that pass, until it is the request's fault or the server is lost.

A request that fails while others are answered is at fault itself, and gets a status. Where nobody is answered the
server is at fault: it is waited for, and then lost, so that a run stops and goes on later.

    busy (429)            not counted; asked again after Retry-After, for as long as a server is waited for
    no connection         not counted: nobody read the request
    5xx, time-out, cut    counted; after `tries` a request that was answered before decides whose fault it is
    any other             the request's; for 401, 402 and 404, and where there are many in a row, that one decides too

Knows no questions.
"""

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus
from itertools import count
from typing import NamedTuple, Protocol

from earmark.engine.answerers.answerer import LostError
from earmark.engine.answerers.server.chat import Completion, UnreadableError, completion_of
from earmark.engine.answerers.server.http_client import NOBODYS, Posted
from earmark.engine.progress import StoppedError

FIRST_PAUSE_S, MOST_PAUSE_S = 0.5, 30.0  # between two tries; doubled each time
HOPELESS_REFUSALS = 16  # so many requests in a row that it refuses: perhaps it refuses all


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
        self.connections = connections
        self._client, self._patience = client, patience
        self._spend = spend  # before every request: raises where no more may be sent
        self._slots = asyncio.Semaphore(connections)
        self._deciding = asyncio.Lock()
        self._heard_at: float | None = None  # when it last answered anything
        self._not_before = 0.0  # it asked to be left alone until then
        self._refusals = 0  # in a row

    async def ask(self, body: bytes, stop: asyncio.Event) -> Completion:
        """What it answers. UnansweredError with the status, LostError, or StoppedError between two tries."""
        began = failed_at = time.monotonic()
        tried = faults = 0
        was_waited_for = False  # the server, after all tries: they begin anew once
        while True:
            posted = await self._post(body, stop)
            tried += 1
            if not posted.fault:
                return self._read(posted.body)
            if not posted.is_passing:
                await self._refused(posted, stop)
                raise RefusedError(f"server: {posted.fault}")
            counts = self._counts(posted)
            faults += counts
            is_late = not counts and time.monotonic() - began > self._patience.wait_s
            if faults >= self._patience.tries or is_late:
                if was_waited_for or self._has_answered_since(failed_at) or await self._is_well(stop):
                    raise UnansweredError(f"server: {posted.fault} after {tried} tries")
                began, faults, was_waited_for = time.monotonic(), 0, True
            elif not posted.delivered and self._has_answered_since(0):
                await self._is_well(stop)
            failed_at = time.monotonic()
            await self._pause(posted, tried, stop)

    async def _post(self, body: bytes, stop: asyncio.Event) -> Posted:
        """One request, when its turn comes."""
        while (left := self._not_before - time.monotonic()) > 0:
            await _sleep(left, stop)
        async with self._slots:
            self._spend()
            posted = await self._client.post(body)
        if not posted.fault:
            self._heard_at = time.monotonic()
            self._refusals = 0
        return posted

    async def close(self) -> None:
        """Give the connections up."""
        await self._client.close()

    def _counts(self, posted: Posted) -> bool:
        """Whether a fault is one of the tries that a request has; before the first answer every one is."""
        return self._heard_at is None or (posted.delivered and posted.code != HTTPStatus.TOO_MANY_REQUESTS)

    def _has_answered_since(self, moment: float) -> bool:
        return self._heard_at is not None and self._heard_at > moment

    async def _is_well(self, stop: asyncio.Event) -> bool:
        """Whether it answers what it has answered before; False where it had to be waited for until it did. LostError
        where it was waited for in vain. One waits, and all others for that one.
        """
        began = time.monotonic()
        async with self._deciding:
            if self.known_good is None:
                return True
            if self._has_answered_since(began):
                return False
            for tried in count(1):
                posted = await self._post(self.known_good, stop)
                if not posted.fault:
                    return tried == 1
                if posted.code in NOBODYS or time.monotonic() - began > self._patience.wait_s:
                    raise LostError(f"{posted.fault}, for {time.monotonic() - began:.0f} s, whatever it is asked")
                await self._pause(posted, tried, stop)
        raise AssertionError

    async def _refused(self, posted: Posted, stop: asyncio.Event) -> None:
        """LostError where it refuses whatever is asked, and not this request."""
        self._refusals += 1
        if posted.code in NOBODYS or self._refusals >= HOPELESS_REFUSALS:
            await self._is_well(stop)
            self._refusals = 0

    async def _pause(self, posted: Posted, tried: int, stop: asyncio.Event) -> None:
        """Wait before the next try, longer each time, and as long as the server asks for."""
        pause_s = min(MOST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(tried - 1, 30))
        if posted.pause_s:
            asked_for_s = min(posted.pause_s, self._patience.wait_s)
            self._not_before = max(self._not_before, time.monotonic() + asked_for_s)
        await _sleep(pause_s, stop)

    def _read(self, body: bytes) -> Completion:
        try:
            return completion_of(body)
        except UnreadableError as error:
            raise UnansweredError(f"server: its reply has {error}") from None


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    """Wait; StoppedError where nothing more is to be asked."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
    raise StoppedError
