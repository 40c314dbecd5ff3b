"""One HTTP connection to a deltaq service: addresses, keys, retries, problems turned into errors.

Every call that the API offers may be repeated: reads are, creations carry an Idempotency-Key that stays the same
over their retries, and the verbs of a job answer the same when they are said twice. So a call that met a lost
connection, or a 503, is made again until its deadline. A service that never answered may be about to start again, or
not be there at all: it is waited for for a moment.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import httpx
import orjson

from deltaq.addresses import authorization, is_loopback, normal_url, service_here
from deltaq.errors import ApiError, ServiceError, UnexpectedAnswer, Unreachable, api_error
from deltaq.strict_json import encode

_PASSING = (502, 503, 504)  # the service, or a proxy before it, is on its way back
_NOBODY = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
FIRST_S = 3.0  # in which an API that is started again answers, and nobody minds waiting who has forgotten to start it
_UNTOLD_S = 1.0  # of a first connection: a shorter wait is not worth a word

Value = str | int | Sequence[str]
Params = Mapping[str, Value | None]
Body = Callable[[], bytes | Iterable[bytes]]
Notify = Callable[[str], None]  # is told, in a sentence, when the connection is lost and when it is there again


class Backoff:
    """How long to wait before the next try: doubling from 0.1 s to 2 s, until `give_up_s` have passed.

    Units: seconds of the monotonic clock.
    """

    def __init__(self, give_up_s: float) -> None:
        self.give_up_s = give_up_s
        self._start = time.monotonic()
        self._pause_s = 0.1

    @property
    def age_s(self) -> float:
        """How long it has been tried."""
        return time.monotonic() - self._start

    def wait(self, at_least_s: float = 0.0) -> bool:
        """Sleep before the next try, the last of which is at the deadline; False, at once, where that comes first."""
        left_s = self.give_up_s - self.age_s
        if left_s <= at_least_s:
            return False
        time.sleep(min(left_s, max(at_least_s, self._pause_s * random.uniform(0.75, 1.25))))
        self._pause_s = min(2.0, self._pause_s * 2)
        return True


class Connection:
    """Calls the API at `url`, with `api_key` where there is one; safe to share between threads."""

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        retry_for_s: float = 30.0,
        first_for_s: float = FIRST_S,
        notify: Notify | None = None,
    ) -> None:
        self.url = normal_url(url)
        self.retry_for_s = retry_for_s
        self.first_for_s = min(first_for_s, retry_for_s)
        self.notify: Notify = notify or (lambda message: None)
        self.seen = False  # something answered here before
        host = httpx.URL(self.url).host
        self._http = httpx.Client(
            base_url=self.url,
            headers=authorization(api_key),
            timeout=_TIMEOUT,
            trust_env=not is_loopback(host),  # no proxy to ourselves, however the variables are written
        )

    def close(self) -> None:
        """Close the sockets."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: Any = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Any:
        """Make one call, again where it was lost, and return the answer's JSON (None where it is empty).

        `body` makes the bytes to send afresh for each try; `json` is sent as JSON, bytes as they are.

        Raises: ApiError, Unreachable, UnexpectedAnswer; InvalidInput for what has no JSON.
        """
        headers = dict(headers or {})
        if json is not None:
            encoded = json if isinstance(json, bytes) else encode(json)
            body, headers["Content-Type"] = (lambda: encoded), "application/json"

        def attempt() -> Any:
            content = body() if body else None
            timeout = _TIMEOUT if timeout_s is None else httpx.Timeout(timeout_s, connect=10.0)
            answer = self._http.request(
                method, path, params=present(params), content=content, headers=headers, timeout=timeout
            )
            return self.checked(answer)

        return self._until_answered(attempt)

    def stream(
        self, path: str, *, params: Params | None = None, headers: Mapping[str, str] | None = None, read_s: float = 60.0
    ) -> AbstractContextManager[httpx.Response]:
        """Open one GET whose answer is read piece by piece; it is not tried again here."""
        timeout = httpx.Timeout(read_s, connect=10.0)
        return self._http.stream("GET", path, params=present(params), headers=headers, timeout=timeout)

    def checked(self, answer: httpx.Response) -> Any:
        """The JSON of a good answer; anything else is raised."""
        self.seen = True
        if answer.status_code == httpx.codes.NO_CONTENT or (answer.is_success and not answer.content):
            return None
        try:
            document = orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            document = None
        if answer.is_success and document is not None:
            return document
        raise self.problem(answer, document)

    def problem(self, answer: httpx.Response, document: Any) -> Exception:
        """The error that an answer stands for; what is not JSON comes from a proxy, or from a stranger."""
        retry_after_s = _seconds(answer.headers.get("retry-after", ""))
        if isinstance(document, dict) and "title" in document:
            return api_error(answer.status_code, document, retry_after_s=retry_after_s)
        if answer.status_code in _PASSING:
            problem = {"title": "Unavailable", "detail": answer.reason_phrase}
            return api_error(answer.status_code, problem, retry_after_s=retry_after_s)
        kind = answer.headers.get("content-type", "no content type")
        return UnexpectedAnswer(
            f"{answer.request.method} {answer.request.url} answered {answer.status_code} with {kind}: "
            "is this a deltaq service? DELTAQ_URL says where to look"
        )

    def _until_answered(self, attempt: Callable[[], Any]) -> Any:
        backoff = Backoff(self.retry_for_s)
        told = False
        while True:
            try:
                answer = attempt()
            except (httpx.TransportError, ServiceError) as error:
                was_there = self._was_there(error)
                backoff.give_up_s = self.retry_for_s if was_there else self.first_for_s
                if not self.worth_repeating(error) or not backoff.wait(_retry_after_s(error)):
                    raise self.lost(error) from error
                if not told and (was_there or backoff.age_s >= _UNTOLD_S):
                    told = True
                    self.notify(f"{reason(error)}: trying again for {backoff.give_up_s:g} s")
            else:
                return answer

    def worth_repeating(self, error: Exception) -> bool:
        """Whether the same call may do better a moment later."""
        if isinstance(error, ApiError):
            return error.status in _PASSING
        return not isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol)

    def lost(self, error: Exception) -> Exception:
        """The error to raise when there are no more tries."""
        if isinstance(error, httpx.TransportError):
            return self.away(reason(error), seen=self._was_there(error))
        return error

    def away(self, why: str, *, seen: bool | None = None) -> Unreachable:
        """The error of a service that does not answer, with what to do where it never has."""
        seen = self.seen if seen is None else seen
        elsewhere = None if seen or not is_loopback(httpx.URL(self.url).host) else service_here()
        return Unreachable(self.url, why, seen=seen, elsewhere=elsewhere)

    def _was_there(self, error: Exception) -> bool:
        return self.seen or not isinstance(error, _NOBODY)


def present(params: Params | None) -> dict[str, Value]:
    """The parameters that have a value."""
    return {name: value for name, value in (params or {}).items() if value is not None}


def reason(error: Exception) -> str:
    """An error in a few words."""
    if isinstance(error, ApiError):
        return error.detail or error.title
    if isinstance(error, httpx.ConnectError):
        return "connection refused" if "refused" in str(error) else str(error) or "cannot connect"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return str(error) or type(error).__name__


def _retry_after_s(error: Exception) -> float:
    return error.retry_after_s if isinstance(error, ApiError) else 0.0


def _seconds(retry_after: str) -> float:
    return float(retry_after) if retry_after.isdecimal() else 0.0
