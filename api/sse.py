"""Server-Sent Events: their wire form, and an answer that ends, with all it holds, when its client goes away.

Knows no job. Source: WHATWG HTML, "Server-sent events".
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

RETRY = b"retry: 2000\n\n"  # milliseconds
COMMENT = b": still here\n\n"
COMMENT_S = 15.0


def frame(kind: str, data: str, event_id: str | None = None) -> bytes:
    """Write one event; `data` is one line, as JSON from a serializer is."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {kind}\ndata: {data}\n\n".encode("utf-8", "replace")


class EventStream(Response):
    """Sends chunks as they come, until there are no more or the client has gone."""

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        self._chunks = chunks
        self.status_code = 200
        self.background = None
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the sender and the watch for the client's end side by side; the first to end ends the other."""
        async with anyio.create_task_group() as group:

            async def first(step: Callable[[], Awaitable[None]]) -> None:
                await step()
                group.cancel_scope.cancel()

            async def watch() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass

            group.start_soon(first, watch)
            await first(lambda: self._send(send))

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._chunks) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
