"""Exception → problem document: the one table of HTTP numbers. Knows no route and no service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.allowed import Schema
from api.problems import Problem, document
from api.responses import ProblemAnswer
from api.validation import dotted, field_errors
from service.errors import (
    Conflict,
    DeltaqError,
    Forbidden,
    InvalidRequest,
    NoRoom,
    NotFound,
    QueueFull,
    Refused,
    TooLarge,
    Unauthorized,
    Unavailable,
)


class MalformedJSON(InvalidRequest):
    """The body is not JSON, or a JSON that no strict reader takes."""

    title = "Malformed JSON"


class UnsupportedMediaType(Refused):
    """The body's Content-Type is none that this call reads."""

    title = "Unsupported media type"


STATUS: dict[type[DeltaqError], int] = {
    DeltaqError: 500,
    MalformedJSON: 400,
    Unauthorized: 401,
    Forbidden: 403,
    Refused: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    UnsupportedMediaType: 415,
    InvalidRequest: 422,
    QueueFull: 429,
    Unavailable: 503,
}

HEADERS = {
    401: {"WWW-Authenticate": 'Bearer realm="deltaq"'},
    429: {"Retry-After": "5"},
    503: {"Retry-After": "1"},
}

CLOSING = (NoRoom, TooLarge)  # so that the rest of the body is not sent


def answer(problem: Problem) -> ProblemAnswer:
    """Write a problem as an answer."""
    return ProblemAnswer(document(problem), problem.status, dict(problem.headers))


def problem_of(exc: Exception, schemas: Mapping[str, Schema] = MappingProxyType({})) -> Problem | None:
    """Return the problem that `exc` is to a client, or None where it is a bug of ours.

    `schemas` say what "body", "query", "header" and "path" should have been, for the errors of a validation.
    """
    match exc:
        case RequestValidationError():
            return _invalid(exc, schemas)
        case HTTPException():
            title = HTTPStatus(exc.status_code).phrase
            return Problem(exc.status_code, title, str(exc.detail), headers=exc.headers or {})
        case DeltaqError() if status_of(exc) != 500:
            return _refused(exc)
    return None


def status_of(exc: DeltaqError) -> int:
    """Return the HTTP status of the nearest class in the table."""
    return next(STATUS[kind] for kind in type(exc).__mro__ if kind in STATUS)


def internal(request_id: str) -> Problem:
    """Return the problem of a bug: it says where to look in the log, and nothing of what went wrong inside."""
    detail = f"deltaq made a mistake; its log has more under request id {request_id}"
    return Problem(500, "Internal error", detail, members={"request_id": request_id})


def _refused(exc: DeltaqError) -> Problem:
    status = status_of(exc)
    detail = f"{exc.detail} ({exc.hint})" if exc.hint else exc.detail
    headers = {**HEADERS.get(status, {}), **({"Connection": "close"} if isinstance(exc, CLOSING) else {})}
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(exc).__name__).lower()
    return Problem(status, exc.title, detail, f"urn:deltaq:problem:{words}", exc.errors, headers)


def _invalid(exc: RequestValidationError, schemas: Mapping[str, Schema]) -> Problem:
    errors = field_errors(exc.errors(), exc.body, schemas)
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    detail = f"{dotted(errors[0].pointer) or 'the body'}: {errors[0].detail}{more}"
    return Problem(422, InvalidRequest.title, detail, "urn:deltaq:problem:invalid-request", errors)
