"""A job as its owner holds it: what is known of it, and what can be done with it. Knows the API's paths alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from deltaq.connection import Connection
from deltaq.errors import NoModel
from deltaq.events import Event, EventReader
from deltaq.listing import address, items
from deltaq.model import Model
from deltaq.records import Epoch, JobError, JobRecord, JobStatus, Progress


class Job:
    """A handle on one job: `record` is the newest description seen, the verbs bring a newer one.

    `wait`, `watch`, `refresh` and the verbs replace `record`; nothing else does.
    """

    def __init__(self, connection: Connection, document: Mapping[str, Any]) -> None:
        self._connection = connection
        self.record = JobRecord.read(document)

    def __repr__(self) -> str:
        return f"Job({self.id!r}, {self.status.value})"

    @property
    def id(self) -> str:
        """The job's identifier."""
        return self.record.id

    @property
    def status(self) -> JobStatus:
        """Where the job was when it was last seen."""
        return self.record.status

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec with every `auto` resolved; it can be submitted again as it is."""
        return self.record.spec

    @property
    def progress(self) -> Progress:
        """How far the job was when it was last seen."""
        return self.record.progress

    @property
    def result(self) -> Mapping[str, Any]:
        """What came out: weights_sha256, fingerprint, the metrics of the weights kept; empty before the end."""
        return self.record.result

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its owner should know of it: how its spec was taken, and what was seen while it ran."""
        return self.record.warnings

    @property
    def error(self) -> JobError | None:
        """Why it failed, and what to try."""
        return self.record.error

    def refresh(self) -> Self:
        """Ask the service how the job is now."""
        return self._see(self._connection.call("GET", address("jobs", self.id)))

    def watch(self, timeout: float | None = None, *, give_up_s: float = 60.0) -> Iterator[Event]:
        """Yield the job's events, from the first one kept, until the job has ended; then `record` is its end.

        Goes on after the service restarts, and while the job is paused.

        Units: seconds.
        Raises: WaitTimeout after `timeout`, Unreachable when the service was away for `give_up_s`.
        """
        reader = EventReader(
            self._connection, address("jobs", self.id, "events"), give_up_s=give_up_s, timeout_s=timeout
        )
        for event in reader:
            over = self._is_over(event)
            if event:
                yield event
            if over:
                return

    def _is_over(self, event: Event | None) -> bool:
        """Whether this event, or the closing of the stream, is the end: a retried job has several ends behind it."""
        if event is None:
            return self.refresh().status.terminal
        if event.name not in ("status", "snapshot") or not _says_terminal(event.data):
            return False
        self.refresh()
        return self.status.terminal and event.data.get("attempt", self.record.attempt) == self.record.attempt

    def wait(self, timeout: float | None = None, *, give_up_s: float = 60.0) -> Self:
        """Return when the job has succeeded, failed or been cancelled; `status` says which.

        Units: seconds.
        Raises: WaitTimeout after `timeout`, Unreachable when the service was away for `give_up_s`.
        """
        if not self.status.terminal:
            for _ in self.watch(timeout, give_up_s=give_up_s):
                pass
        return self

    def metrics(self) -> list[Epoch]:
        """Every epoch's row so far, in order."""
        return [Epoch.read(row) for row in items(self._connection, address("jobs", self.id, "metrics"))]

    def logs(self) -> list[Mapping[str, Any]]:
        """The log lines kept."""
        return list(items(self._connection, address("jobs", self.id, "logs")))

    def cancel(self) -> Self:
        """Ask the job to stop for good; a running one does so after its present step."""
        return self._do("cancel")

    def pause(self) -> Self:
        """Ask the job to stop for now; a running one makes a checkpoint first."""
        return self._do("pause")

    def resume(self) -> Self:
        """Put a paused job back into the queue."""
        return self._do("resume")

    def retry(self, start: Literal["checkpoint", "start"] = "checkpoint") -> Self:
        """Put a failed or cancelled job back into the queue, from its checkpoint or from the start."""
        return self._do("retry", {"from": start})

    def model(self) -> Model:
        """The model that the job made.

        Raises: NoModel where there is none, with the reason.
        """
        if not self.result.get("model_id"):
            self.refresh()
        model_id = self.result.get("model_id")
        if not model_id:
            gone = ": it has been deleted" if self.status is JobStatus.SUCCEEDED else ""
            why = f": {self.error}" if self.error else gone
            raise NoModel(f"job {self.id} is {self.status.value} and has no model{why}")
        return Model(self._connection, self._connection.call("GET", address("models", str(model_id))))

    def _do(self, verb: str, params: Mapping[str, str] | None = None) -> Self:
        return self._see(self._connection.call("POST", address("jobs", self.id, verb), params=params))

    def _see(self, document: Mapping[str, Any]) -> Self:
        self.record = JobRecord.read(document)
        return self


def _says_terminal(data: Any) -> bool:
    status = data.get("status") if isinstance(data, dict) else None
    return status in set(JobStatus) and JobStatus(status).terminal
