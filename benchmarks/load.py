"""A load from a process of its own: the same POST over and over, on connections that stay open.

Asked {"port", "path", "body", "connections", and "requests" or "seconds"}, the side answers {"requests", "seconds"};
asked for "seeds" as well, each body has a seed of its own. It does as little as it can beside sending and counting, so
that it is not what is measured; any answer but 2xx ends it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import platform
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.sides import Ready, serve

HEAD_END = b"\r\n\r\n"
FIRST_SEED = 10**9  # all have as many digits
SEEDS = itertools.count(FIRST_SEED)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Load:
    """One question's requests: how many were answered, and whether there are to be more."""

    def __init__(self, question: dict[str, Any]) -> None:
        body = json.dumps({**question["body"], "seed": FIRST_SEED} if question.get("seeds") else question["body"])
        head = (
            f"POST {question['path']} HTTP/1.1\r\nHost: 127.0.0.1:{question['port']}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._parts = (head + body).encode().split(str(FIRST_SEED).encode())
        self.answered = 0
        self._left: int = question.get("requests", sys.maxsize)
        self._end: float = time.perf_counter() + question.get("seconds", float("inf"))

    def request(self) -> bytes:
        """The next one."""
        return str(next(SEEDS)).encode().join(self._parts)

    def more(self) -> bool:
        """Whether to send one; it is then taken to be sent."""
        self._left -= 1
        return self._left >= 0 and time.perf_counter() < self._end


class Connection(asyncio.Protocol):
    """One request at a time; `over` is done when there are no more, or fails."""

    def __init__(self, load: Load) -> None:
        self.over = asyncio.get_running_loop().create_future()
        self._load, self._received = load, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(HEAD_END)
        if end < 0:
            return
        length = LENGTH.search(self._received, 0, end)
        if length is None or len(self._received) < end + len(HEAD_END) + int(length[1]):
            return
        if not self._received.startswith(b"HTTP/1.1 2"):
            self._end(RuntimeError(self._received.decode(errors="replace")))
            return
        self._load.answered += 1
        self._received = b""
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or ConnectionError("the server closed a connection"))

    def _send(self) -> None:
        if self._load.more():
            self._transport.write(self._load.request())
        else:
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        if self.over.done():
            return
        if error is None:
            self.over.set_result(None)
        else:
            self.over.set_exception(error)
        self._transport.close()


async def posted(question: dict[str, Any]) -> dict[str, float]:
    """Send all of them and wait for the last answer."""
    begun, load, loop = time.perf_counter(), Load(question), asyncio.get_running_loop()

    async def connection() -> None:
        _, made = await loop.create_connection(lambda: Connection(load), "127.0.0.1", question["port"])
        await made.over

    await asyncio.gather(*(connection() for _ in range(question["connections"])))
    return {"requests": load.answered, "seconds": time.perf_counter() - begun}


@contextmanager
def load() -> Iterator[Ready]:
    """The side."""
    yield f"Python {platform.python_version()}", lambda question: asyncio.run(posted(question))


if __name__ == "__main__":
    serve(load)
