"""How requests are read, the same for every call: the query checked by name, bodies capped and parsed strictly.

Knows no route: `Route` learns from each what it takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, get_origin

import orjson
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from api.errors import MalformedJSON, UnsupportedMediaType
from service.errors import FieldError, InvalidRequest, TooLarge
from service.spool import Spool

WRITE_BYTES = 1 << 20


class JSONRequest(Request):
    """A request whose body is JSON and has been read: `value`."""

    def __init__(self, request: Request, content: bytes) -> None:
        super().__init__(request.scope, request.receive)
        self._content = content
        self.value = _parse(content)

    async def body(self) -> bytes:
        """Return the body as it came."""
        return self._content

    async def json(self) -> Any:
        """Return the parsed body."""
        return self.value


class Route(APIRoute):
    """A route that refuses query parameters it does not know, and bodies that are not strict JSON."""

    max_body_bytes = 4 << 20  # a spec that names 100,000 features; each wrong field in it costs time

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Put the checks before the handler that FastAPI makes."""
        handler = super().get_route_handler()
        parameters = self.dependant.query_params
        known = sorted(str(parameter.alias) for parameter in parameters)
        lists = {parameter.alias for parameter in parameters if get_origin(parameter.field_info.annotation) is list}
        takes_json = self.body_field is not None

        async def checked(request: Request) -> Response:
            if request.scope["query_string"]:
                _check_query(request, known, lists)
            if takes_json:
                request = JSONRequest(request, await _json_body(request, self.max_body_bytes))
                answer = await self.answer_directly(request)
                if answer is not None:
                    return answer
            return await handler(request)

        return checked

    async def answer_directly(self, request: JSONRequest) -> Response | None:
        """Answer without FastAPI's search for arguments, where that would cost more than all else; None: as others."""
        return None


class RowsRoute(Route):
    """A route whose body may hold 10,000 rows of some hundred columns."""

    max_body_bytes = 64 << 20


def allowed_methods(request: Request) -> list[str]:
    """Return the methods that some route takes at this path: a path may have several routes."""
    routes = request.app.router.routes
    return [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]


def _check_query(request: Request, known: list[str], lists: set[str]) -> None:
    """Refuse a parameter that would have no effect; only `lists` have several values. Raises: InvalidRequest."""
    given = Counter(name for name, _ in request.query_params.multi_items())
    errors = [
        FieldError(f"/{name}", request.query_params[name], "There is no such query parameter", known)
        for name in given
        if name not in known
    ] + [
        FieldError(f"/{name}", request.query_params.getlist(name), "This was given more than once", "one value")
        for name, times in given.items()
        if times > 1 and name in known and name not in lists
    ]
    if errors:
        names = ", ".join(error.pointer[1:] for error in errors[:5])
        raise InvalidRequest(f"query parameters that cannot be taken: {names}", errors=errors)


async def _json_body(request: Request, max_bytes: int) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType(f"Content-Type is {media_type[:100]!r}; allowed is 'application/json'")
    return b"".join([chunk async for chunk in capped(request, max_bytes)])


def _parse(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise MalformedJSON(f"the body is not JSON: {error}") from None


async def capped(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield the body as it comes in. Raises: TooLarge, from what the client declares or from what it sends."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > max_bytes:
        raise _too_large(max_bytes)
    size_bytes = 0
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise _too_large(max_bytes)
        yield chunk


@asynccontextmanager
async def uploaded(request: Request, max_bytes: int, folder: Path) -> AsyncIterator[Spool]:
    """Give the whole body, spooled to `folder`; memory holds a piece of it at a time.

    Raises: TooLarge; StoreUnavailable when the disk is full.
    """
    with Spool(folder) as spool:
        piece = bytearray()
        async for chunk in capped(request, max_bytes):
            piece += chunk
            if len(piece) >= WRITE_BYTES:
                await run_in_threadpool(spool.write, bytes(piece))
                piece.clear()
        await run_in_threadpool(spool.write, bytes(piece))
        yield spool


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the body is larger than allowed: at most {max_bytes} bytes")
