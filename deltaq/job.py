"""A job as its owner holds it: what is known of it, and what can be done with it. Knows the API's paths alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from deltaq.errors import NoModel
from deltaq.events import Event, EventReader
from deltaq.handle import Handle
from deltaq.listing import address, items
from deltaq.model import Model
from deltaq.records import Epoch, JobRecord, JobStatus, Progress


class Job(Handle[JobRecord]):
    """A handle on one job."""

    _path = "jobs"
    _read = JobRecord.read

    @property
    def progress(self) -> Progress:
        """How far the job was when it was last seen."""
        return self.record.progress

    @property
    def result(self) -> Mapping[str, Any]:
        """What came out: weights_sha256, fingerprint, the metrics of the weights kept; empty before the end."""
        return self.record.result

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

    def metrics(self) -> list[Epoch]:
        """Every epoch's row so far, in order."""
        return [Epoch.read(row) for row in items(self._connection, address("jobs", self.id, "metrics"))]

    def logs(self) -> list[Mapping[str, Any]]:
        """The log lines kept."""
        return list(items(self._connection, address("jobs", self.id, "logs")))

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


def _says_terminal(data: Any) -> bool:
    status = data.get("status") if isinstance(data, dict) else None
    return status in set(JobStatus) and JobStatus(status).terminal
