"""What was paid for, in a run folder: every answer as it comes, how many requests were sent, and who answered.

    served/answerer=A/answers/TOKEN.jsonl    a journal for each process; a kill costs none of it
    served/answerer=A/requests               a dot for each request, written before it is sent
    served/answerer=A/canaries.json          what the canaries came to when the folder was begun

Where there is no folder all of it is in memory. Knows no server.
"""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from earmark.engine import files
from earmark.engine.answerers import journal
from earmark.engine.answerers.request import Result
from earmark.engine.design.keys import OK
from earmark.engine.errors import InputError
from earmark.engine.faults import writing
from earmark.engine.reading import check_place, check_regular, files_below, read_json

SERVED = "served"  # the folder in a run
_ANSWERS, _REQUESTS, _CANARIES = "answers", "requests", "canaries.json"
_AGAIN = "again "  # before the key of what was asked a second time
_REMOVE = "remove it, or name another --out"


class Ledger:
    """What one answerer was paid for."""

    def __init__(self, run: Path | None, answerer: str, most_requests: int | None) -> None:
        """`most_requests` is the ceiling for the whole folder; None where there is none."""
        self._run = run
        self._folder = None if run is None else run / SERVED / f"answerer={quote(answerer, safe='')}"
        self._name, self._most = answerer, most_requests
        self._open = ExitStack()
        self._results: dict[str, Result] = {}
        self._journal: journal.Journal | None = None
        self._identity = ""
        self._sent = 0
        self._counter: int | None = None
        if run is not None and self._folder is not None:
            for name in (_ANSWERS, _REQUESTS, _CANARIES):
                check_place(self._folder / name, run)

    # Requests ----------------------------------------------------------------------------------------------

    def spend(self) -> None:
        """Count a request that is about to be sent; InputError where the ceiling allows no more."""
        if self._folder is not None and self._counter is None:
            self._counter = self._opened_counter(self._folder / _REQUESTS)
        sent = self._sent if self._counter is None else os.fstat(self._counter).st_size
        if self._most is not None and sent >= self._most:
            what = f"has sent {sent:,} requests, and most_requests allows {self._most:,}"
            do = "allow more" if self._run is None else "raise it in the spec: the same command goes on"
            raise InputError(f"answerer {self._name}", what, do)
        self._sent += 1
        if self._counter is not None:
            with writing(self._folder):
                os.write(self._counter, b".")

    @property
    def sent(self) -> int:
        """Requests that this process sent."""
        return self._sent

    def _opened_counter(self, path: Path) -> int:
        files.make_folder(path.parent)
        if os.path.lexists(path):
            check_regular(path, _REMOVE)
        with writing(path):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o666)
        self._open.callback(os.close, descriptor)
        return descriptor

    # Who answers -------------------------------------------------------------------------------------------

    def begun(self) -> Any:
        """What the canaries came to when the folder was begun; None where it is begun now."""
        if self._folder is None or not os.path.lexists(self._folder / _CANARIES):
            return None
        return read_json(self._folder / _CANARIES, _REMOVE)

    def begin(self, canaries: Any) -> Any:
        """Keep what the canaries came to, and return what is kept: another process may have been faster."""
        if self._folder is None:
            return canaries
        files.write_new(self._folder / _CANARIES, (json.dumps(canaries, indent=1) + "\n").encode())
        return self.begun()

    # Answers -----------------------------------------------------------------------------------------------

    def resume(self, identity: str) -> None:
        """Take over what earlier processes were answered; InputError where it is of another answerer."""
        self._identity = identity
        if self._folder is not None and self._run is not None:
            for path in files_below(self._folder / _ANSWERS, ".jsonl", self._run, _REMOVE):
                self._results.update((result.key, result) for result in self._read(path))

    def _read(self, path: Path) -> list[Result]:
        try:
            return journal.read_results(path, self._identity)
        except InputError as error:
            raise InputError(path, error.what, _REMOVE) from None

    def result(self, key: str, again: bool = False) -> Result | None:
        """What a piece of work came to, the first time or the second."""
        return self._results.get(_AGAIN + key if again else key)

    def keep(self, result: Result, again: bool = False) -> None:
        """Write a result down at once."""
        result = replace(result, key=_AGAIN + result.key) if again else result
        if self._folder is not None:
            if self._journal is None:
                files.make_folder(self._folder / _ANSWERS)
                path = self._folder / _ANSWERS / f"{uuid.uuid4().hex}.jsonl"
                self._journal = self._open.enter_context(journal.opened(path, self._identity))
            self._journal.append([result])
        self._results[result.key] = result

    def asked_twice(self) -> Iterator[tuple[Result, Result]]:
        """What was answered the first time and the second."""
        for key, second in self._results.items():
            first = self._results.get(key.removeprefix(_AGAIN))
            if key.startswith(_AGAIN) and first is not None and first.status == OK == second.status:
                yield first, second

    def close(self) -> None:
        """Give up the files."""
        self._open.close()
        self._journal = self._counter = None


def forget(run: Path, answerer: str) -> None:
    """Its cells are complete: nobody will ask for its answers again."""
    files.remove_folder(run / SERVED / f"answerer={quote(answerer, safe='')}" / _ANSWERS, run)
