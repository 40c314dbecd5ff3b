"""The outermost layer: names each request, lets in who may, and answers whatever goes wrong with a problem.

It stands before every route, also those that do not exist, so that none can be left outside.
"""

from __future__ import annotations

import secrets
import time

import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth import KeyRing
from api.errors import answer, internal, problem_of
from api.guards import BrowserGuard
from api.metrics import HTTPMetrics

OPEN_PATHS = frozenset({"/healthz", "/readyz"})  # without a key

log = structlog.get_logger()


class Boundary:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, keys: KeyRing, guard: BrowserGuard, metrics: HTTPMetrics) -> None:
        self._app = app
        self._keys = keys
        self._guard = guard
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass HTTP on, and nothing else but the server's own start and stop."""
        if scope["type"] == "http":
            await _Exchange(self, scope, receive, send).run()
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check who asks, then pass on. Raises: Forbidden; Unauthorized."""
        headers = Headers(scope=scope)
        self._guard.check(scope["method"], headers)
        if scope["path"] not in OPEN_PATHS:
            principal = self._keys.principal(headers.get("authorization"))
            principal.check(scope["method"])
            scope.setdefault("state", {})["tenant"] = principal.tenant
        await self._app(scope, receive, send)

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that is over."""
        self._metrics.count(scope, status, seconds)


class _Exchange:
    """One request and its answer."""

    def __init__(self, boundary: Boundary, scope: Scope, receive: Receive, send: Send) -> None:
        self._boundary = boundary
        self._scope, self._receive, self._raw_send = scope, receive, send
        self._id = secrets.token_hex(8)
        self._status = 0

    async def run(self) -> None:
        began = time.perf_counter()
        try:
            await self._boundary.admit(self._scope, self._receive, self._send)
        except ClientDisconnect:
            pass  # nobody waits for an answer
        except Exception as error:
            await self._fail(error)
        finally:
            self._boundary.count(self._scope, self._status, time.perf_counter() - began)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            named = [*message.get("headers", ()), (b"x-request-id", self._id.encode())]
            message = {**message, "headers": [*named, (b"x-content-type-options", b"nosniff")]}
        await self._raw_send(message)

    async def _fail(self, error: Exception) -> None:
        problem = problem_of(error)
        if problem is None:
            log.error("internal error", request_id=self._id, path=self._scope["path"][:500], exc_info=error)
            problem = internal(self._id)
        if not self._status:  # else the answer is under way and can only break off
            await answer(problem)(self._scope, self._receive, self._send)
