"""What a job and a sweep have in common as their owner holds them. Knows the API's paths alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar

from deltaq.connection import Connection, Params
from deltaq.events import Event
from deltaq.listing import address
from deltaq.records import JobError, JobRecord, JobStatus
from deltaq.sweep_records import SweepRecord

Kind = TypeVar("Kind", JobRecord, SweepRecord)


class Handle(ABC, Generic[Kind]):
    """A handle on one job or sweep: `record` is the newest description seen, the verbs bring a newer one.

    `wait`, `watch`, `refresh` and the verbs replace `record`; nothing else does.
    """

    _path: ClassVar[str]
    _read: ClassVar[Any]  # a document into a record
    record: Kind

    def __init__(self, connection: Connection, document: Mapping[str, Any]) -> None:
        self._connection = connection
        self._see(document)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r}, {self.status.value})"

    @property
    def id(self) -> str:
        """Its identifier."""
        return self.record.id

    @property
    def status(self) -> JobStatus:
        """Where it was when it was last seen."""
        return self.record.status

    @property
    def spec(self) -> Mapping[str, Any]:
        """What was asked for, of a job with every `auto` resolved; it can be submitted again as it is."""
        return self.record.spec

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its owner should know of it: how its spec was taken, and what was seen while it ran."""
        return self.record.warnings

    @property
    def error(self) -> JobError | None:
        """Why it failed, and what to try."""
        return self.record.error

    def refresh(self) -> Self:
        """Ask the service how it is now."""
        return self._see(self._connection.call("GET", address(self._path, self.id)))

    @abstractmethod
    def watch(self, timeout: float | None = None, *, give_up_s: float = 60.0) -> Iterator[Event]:
        """Yield its events until it has ended; then `record` is its end.

        Goes on after the service restarts, and while it is paused.

        Units: seconds.
        Raises: WaitTimeout after `timeout`, Unreachable when the service was away for `give_up_s`.
        """

    def wait(self, timeout: float | None = None, *, give_up_s: float = 60.0) -> Self:
        """Return when it has succeeded, failed or been cancelled; `status` says which.

        Units: seconds.
        Raises: WaitTimeout after `timeout`, Unreachable when the service was away for `give_up_s`.
        """
        if not self.status.terminal:
            for _ in self.watch(timeout, give_up_s=give_up_s):
                pass
        return self

    def cancel(self) -> Self:
        """Have it stop for good, a sweep with its jobs; a running job does so after its present step."""
        return self._do("cancel")

    def pause(self) -> Self:
        """Have it stop for now, a sweep with its jobs; a running job makes a checkpoint first."""
        return self._do("pause")

    def resume(self) -> Self:
        """Let it go on, a sweep with its jobs; a job goes back into the queue."""
        return self._do("resume")

    def _do(self, verb: str, params: Params | None = None) -> Self:
        return self._see(self._connection.call("POST", address(self._path, self.id, verb), params=params))

    def _see(self, document: Mapping[str, Any]) -> Self:
        self.record = self._read(document)
        return self
