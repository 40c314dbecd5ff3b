"""Server-Sent Events: the decoder, and a reader that comes back after every loss until a deadline.

The decoder works on bytes and ends lines at CR, LF and CRLF alone, as the format says; `str.splitlines` would end
one at U+2028 too, which a log line may well hold.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import orjson

from deltaq.connection import Backoff, Connection, Params, reason
from deltaq.errors import ServiceError, WaitTimeout

_SILENCE_S = 45.0  # the service sends a comment every 15 s: three missed, and the connection is dead
_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")  # a CR at the end may be the first half of CRLF


@dataclass(frozen=True)
class Event:
    """One event of a job: `name` is status, progress, metrics, log or snapshot; `data` its JSON.

    `job` is the job's id where one stream tells of many; of a sweep's own events, by the name sweep, `sweep` is its id.
    """

    name: str
    data: Any
    id: str | None = field(default=None, compare=False)
    job: str | None = None
    sweep: str | None = None

    @property
    def told_apart(self) -> Event:
        """The event of a stream that tells of many, with what it tells of beside its data."""
        if self.name == "snapshot":
            return self
        return replace(self, data=self.data["data"], job=self.data.get("job"), sweep=self.data.get("sweep"))


def decode(chunks: Iterable[bytes]) -> Iterator[Event | None]:
    """Read events from the pieces of a stream; None stands for a sign of life without an event."""
    name, data, last_id = "message", list[bytes](), None
    for line in _lines(chunks):
        key, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                yield Event(name, _json(b"\n".join(data)), last_id)
            name, data = "message", []
        elif key == b"data":
            data.append(value)
        elif key == b"event":
            name = value.decode("utf-8", "replace")
        elif key == b"id" and b"\0" not in value:
            last_id = value.decode("utf-8", "replace")
        else:
            yield None


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = _LINE_END.split(rest + chunk)
        yield from lines


def _json(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text.decode("utf-8", "replace")


class EventReader:
    """Reads one stream of events without a gap, over restarts of the service.

    After a loss it comes back with the Last-Event-ID it has seen, and gives up `give_up_s` after the last sign of
    life. A stream that the service closes is opened again too: only the caller knows whether that was the end.
    """

    def __init__(
        self,
        connection: Connection,
        path: str,
        params: Params | None = None,
        *,
        give_up_s: float = 60.0,
        timeout_s: float | None = None,
    ) -> None:
        self._connection = connection
        self._path = path
        self._params = params
        self._give_up_s = give_up_s
        self._until = None if timeout_s is None else time.monotonic() + timeout_s
        self._last_id: str | None = None
        self._ended = False
        self._lost = False

    def __iter__(self) -> Iterator[Event | None]:
        """Yield each event once; None where the service closed the stream, so that the caller can see why.

        Stops by itself only where the service says that nothing more will come.

        Raises: Unreachable after `give_up_s` without a sign of life, WaitTimeout, ApiError.
        """
        backoff = Backoff(self._give_up_s)
        while True:
            problem = "the service closed the stream"
            try:
                for event in self._read_once():
                    backoff = self._alive()
                    if event:
                        yield event
                yield None
            except (httpx.TransportError, ServiceError) as error:
                problem = self._lost_by(error)
            if self._ended:
                return
            self._check_time()
            if not backoff.wait():
                raise self._connection.away(problem)

    def _read_once(self) -> Iterator[Event | None]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._last_id} if self._last_id else {})
        patience_s = self._patience_s()
        with self._connection.stream(self._path, params=self._params, headers=headers, read_s=patience_s) as answer:
            if answer.status_code != httpx.codes.OK:
                answer.read()
                self._ended = self._connection.checked(answer) is None
                return
            self._connection.seen = True
            for event in decode(answer.iter_bytes()):
                if event:
                    self._last_id = event.id or self._last_id
                yield event
                self._check_time()

    def _patience_s(self) -> float:
        if self._until is None:
            return _SILENCE_S
        return min(_SILENCE_S, max(0.05, self._until - time.monotonic()))

    def _check_time(self) -> None:
        if self._until is not None and time.monotonic() >= self._until:
            raise WaitTimeout("the job did not end in the time given; it goes on")

    def _alive(self) -> Backoff:
        if self._lost:
            self._lost = False
            self._connection.notify("connected again")
        return Backoff(self._give_up_s)

    def _lost_by(self, error: Exception) -> str:
        if not self._connection.worth_repeating(error):
            raise self._connection.lost(error) from error
        self._check_time()  # a reader in a hurry stopped listening: nothing was lost
        if not self._lost:
            self._lost = True
            self._connection.notify(f"connection lost ({reason(error)}); trying again for {self._give_up_s:g} s")
        return reason(error)
