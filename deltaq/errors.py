"""Every error that the client raises on purpose, as one tree. Imports nothing of the project.

DeltaqClientError
├ ApiError             the service answered with a problem document (RFC 9457)
│  ├ InvalidRequest    400, 405, 415, 422
│  ├ NotAllowed        401, 403
│  ├ NotFound          404
│  ├ Conflict          409
│  ├ TooLarge          413
│  ├ QueueFull         429
│  └ ServiceError      5xx; 502, 503 and 504 have been tried again until the deadline
├ Unreachable          nothing answers at the address, or no longer
├ UnexpectedAnswer     something answers, and it is not deltaq
├ WaitTimeout          the job goes on, the waiting does not
├ NoModel              the job has no model: it failed, was cancelled, or has not ended
└ InvalidInput         a file or an object that cannot be sent as it is
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_SHORT = 60  # characters of a refused value


@dataclass(frozen=True)
class FieldProblem:
    """One field that was refused: where it is (a JSON pointer), what it held, and what is allowed."""

    pointer: str
    detail: str
    value: Any = None
    allowed: Any = None

    def __str__(self) -> str:
        words = [_word(each) for each in (self.allowed if isinstance(self.allowed, list) else [self.allowed])]
        beside = [] if self.value is None else [f"given: {_shortened(self.value)}"]
        if self.allowed is not None and not self._says(words):
            beside.append(f"allowed: {', '.join(words)}")
        return f"{self.pointer}: {self.detail}" + (f" ({'; '.join(beside)})" if beside else "")

    def _says(self, allowed: list[str]) -> bool:
        """Whether the detail is the rule itself, with all that is allowed."""
        _, should_be, rule = self.detail.partition("should be ")
        return bool(should_be) and all(word in rule for word in allowed)


def _shortened(value: Any) -> str:
    """A value as JSON, printable and in a few words."""
    text = json.dumps(value, ensure_ascii=False)
    text = text if text.isprintable() else json.dumps(value)
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def _word(value: Any) -> str:
    """Text as it is, anything else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value)


class DeltaqClientError(Exception):
    """Something the client was asked for and could not do."""


class ApiError(DeltaqClientError):
    """The service refused the call; carries the fields of its problem document."""

    def __init__(self, status: int, problem: Mapping[str, Any], *, retry_after_s: float = 0.0) -> None:
        self.status = status
        self.retry_after_s = retry_after_s
        self.type = str(problem.get("type") or "about:blank")
        self.title = str(problem.get("title") or f"HTTP {status}")
        self.detail = str(problem.get("detail") or "")
        self.hint = str(problem.get("hint") or "")
        self.errors = tuple(map(_field_problem, problem.get("errors") or ()))
        super().__init__(self._text())

    def _text(self) -> str:
        lines = [f"{self.title}: {self.detail}" if self.detail else self.title]
        lines += [f"  {error}" for error in self.errors]
        return "\n".join([*lines, f"  hint: {self.hint}"] if self.hint else lines)


def _field_problem(entry: Mapping[str, Any]) -> FieldProblem:
    return FieldProblem(
        pointer=str(entry.get("pointer") or ""),
        detail=str(entry.get("detail") or "refused"),
        value=entry.get("value"),
        allowed=entry.get("allowed"),
    )


class InvalidRequest(ApiError):
    """The request says something that cannot be done."""


class NotAllowed(ApiError):
    """No API key, an unknown one, or one whose scopes do not reach this far."""


class NotFound(ApiError):
    """There is nothing by this name."""


class Conflict(ApiError):
    """What was asked is at odds with the state that things are in."""


class TooLarge(ApiError):
    """More bytes or rows than the service takes."""


class QueueFull(ApiError):
    """The service accepts no more work for now."""


class ServiceError(ApiError):
    """The service could not answer, and says so."""


_BY_STATUS: dict[int, type[ApiError]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    429: QueueFull,
}


def api_error(status: int, problem: Mapping[str, Any], *, retry_after_s: float = 0.0) -> ApiError:
    """The error that stands for a problem document."""
    kind = _BY_STATUS.get(status) or (ServiceError if status >= 500 else InvalidRequest)
    return kind(status, problem, retry_after_s=retry_after_s)


class Unreachable(DeltaqClientError):
    """Nothing answers at the service's address, or it stopped answering and did not come back in time."""

    def __init__(self, url: str, reason: str, *, seen: bool = False, elsewhere: str | None = None) -> None:
        self.url = url
        self.reason = reason
        advice = "Start it with `deltaq up`, or say where it is with DELTAQ_URL."
        if elsewhere and elsewhere != url:
            advice = f"The service of your data directory was started at {elsewhere}: DELTAQ_URL={elsewhere}"
        what = "lost the connection to" if seen else "no deltaq service answers at"
        super().__init__(f"{what} {url} ({reason})" + ("" if seen else f"\n{advice}"))


class UnexpectedAnswer(DeltaqClientError):
    """Something answers at the address that does not speak deltaq's API."""


class WaitTimeout(DeltaqClientError):
    """The job did not end within the time that the caller gave; it goes on."""


class NoModel(DeltaqClientError):
    """The job has not made a model."""


class DataWarning(UserWarning):
    """What was sent could be used, and may not be what was meant: a setting or a level that has no effect."""


def warn_of(said: Iterable[str]) -> None:
    """Raise what the service warns of as DataWarnings, at the line that called who calls this."""
    for message in said:
        warnings.warn(message, DataWarning, stacklevel=3)


class InvalidInput(DeltaqClientError):
    """A file or an object that cannot be sent as it is; the message says where and why."""
