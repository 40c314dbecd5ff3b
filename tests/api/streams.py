"""A client of event streams, and the wire form as it reads it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.api.asking import strict


@dataclass
class Received:
    """One event as a client gets it; a comment has the type `comment`."""

    type: str = "message"
    data: str = ""
    id: str | None = None
    retry: str | None = None


def parse(lines: Iterator[str]) -> Iterator[Received]:
    """Read the wire form. Source: WHATWG HTML, "Server-sent events", 9.2.6."""
    event = Received()
    for line in lines:
        if not line:
            yield event
            event = Received()
        name, _, value = line.partition(": ")
        match name:
            case "event":
                event.type = value
            case "data":
                event.data = value
            case "id":
                event.id = value
            case "retry":
                event.type, event.retry = "retry", value
            case "":
                event.type = "comment" if line else event.type


def events_of(job_id: str) -> str:
    """Where a job's own stream is."""
    return f"/v1/jobs/{job_id}/events"


def read_to_end(client: httpx.Client, path: str, last: str | None = None) -> list[Received]:
    """Read a stream that ends, after an event."""
    headers = {} if last is None else {"Last-Event-ID": last}
    with client.stream("GET", path, headers=headers) as stream:
        assert stream.status_code == 200
        return [event for event in parse(stream.iter_lines()) if event.type != "retry"]


@dataclass
class Follower:
    """A client in a thread of its own."""

    received: list[Received] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, client: httpx.Client, path: str, headers: dict[str, str]) -> None:
        """Receive until the stream ends."""
        with client.stream("GET", path, headers=headers) as stream:
            for event in parse(stream.iter_lines()):
                self.received.append(event)
        self.ended.set()

    def ids(self) -> list[str]:
        """The ids that came, in order."""
        return [event.id for event in self.received if event.id is not None]

    def statuses(self) -> list[str]:
        """What the status events of a job's own stream said, in order."""
        return [strict(event.data.encode())["status"] for event in self.received if event.type == "status"]


@contextmanager
def followed(client: httpx.Client, path: str, **headers: str) -> Iterator[Follower]:
    """Follow a stream that ends by what is done within."""
    follower = Follower()
    thread = threading.Thread(target=follower.run, args=(client, path, headers), daemon=True)
    thread.start()
    yield follower
    thread.join(10)
    assert not thread.is_alive(), "the stream did not end"
