"""The client: plain dictionaries in, small objects out. Knows HTTP alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self
from uuid import uuid4

from deltaq.aliases import Aliases
from deltaq.connection import FIRST_S, Connection, Notify
from deltaq.datasets import Datasets
from deltaq.errors import InvalidInput, warn_of
from deltaq.events import Event, EventReader
from deltaq.job import Job
from deltaq.listing import address, items
from deltaq.model import Model
from deltaq.records import JobStatus
from deltaq.sweep import Sweep

DEFAULT_URL = "http://127.0.0.1:8000"


class Client:
    """A deltaq service, as seen from Python.

    `url` and `api_key` default to DELTAQ_URL and DELTAQ_API_KEY. A call whose connection was lost, and one that was
    answered by 503, is made again for `retry_for_s` seconds, of which a service that has not answered yet gets at most
    `first_for_s`; creations carry an Idempotency-Key, so that this makes nothing twice. Safe to share between threads;
    closes its sockets at the end of a `with` block.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        retry_for_s: float = 30.0,
        first_for_s: float = FIRST_S,
        notify: Notify | None = None,
    ) -> None:
        self._connection = Connection(
            url or os.environ.get("DELTAQ_URL") or DEFAULT_URL,
            api_key or os.environ.get("DELTAQ_API_KEY"),
            retry_for_s=retry_for_s,
            first_for_s=first_for_s,
            notify=notify,
        )
        self.datasets = Datasets(self._connection)
        self.aliases = Aliases(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._connection.url

    def close(self) -> None:
        """Close the sockets."""
        self._connection.close()

    def submit(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None) -> Job:
        """Queue a training job.

        Warns: DataWarning, by Python's warnings, of what the job's `warnings` say.
        Raises: InvalidInput for what is no spec, or holds a number that is not finite, and for what is no key;
        InvalidRequest naming every field that was refused; Conflict where the key was used for another spec.
        """
        headers = _under(idempotency_key)
        job = Job(self._connection, self._connection.call("POST", address("jobs"), json=_object(spec), headers=headers))
        warn_of(job.warnings)
        return job

    def dry_run(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a spec would become: every `auto` resolved, the number of parameters, the memory. Queues nothing.

        Raises: as `submit`.
        """
        answer: Mapping[str, Any] = self._connection.call(
            "POST", address("jobs"), params={"dry_run": "true"}, json=_object(spec)
        )
        return answer

    def job(self, job_id: str) -> Job:
        """One job."""
        return Job(self._connection, self._connection.call("GET", address("jobs", job_id)))

    def jobs(
        self,
        *,
        status: JobStatus | str | None = None,
        tag: str | None = None,
        sweep: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """The newest jobs that match, at most `limit` of them; None: all."""
        wanted = {"status": str(status) if status else None, "tag": tag, "sweep": sweep}
        return (
            Job(self._connection, document)
            for document in items(self._connection, address("jobs"), wanted, limit=limit)
        )

    def watch(
        self, jobs: Iterable[Job | str] | None = None, timeout: float | None = None, *, give_up_s: float = 60.0
    ) -> Iterator[Event]:
        """Yield the events of at most 100 jobs, or of all there are and will be, from now on, each with its `job`.

        The first is a `snapshot`, whose data has the `jobs` as they are. Ends when the jobs that were given have ended,
        and goes on after the service restarts. What a Job here knows of itself stays as it is.

        Units: seconds.
        Raises: NotFound; WaitTimeout after `timeout`, Unreachable when the service was away for `give_up_s`.
        """
        names = None if jobs is None else [job.id if isinstance(job, Job) else job for job in jobs]
        if names == []:
            return
        for event in EventReader(
            self._connection, address("events"), {"job": names}, give_up_s=give_up_s, timeout_s=timeout
        ):
            if event:
                yield event.told_apart

    def sweep(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None) -> Sweep:
        """Start a search over jobs. Warns and raises: as `submit`."""
        headers = _under(idempotency_key)
        document = self._connection.call("POST", address("sweeps"), json=_object(spec), headers=headers)
        sweep = Sweep(self._connection, document)
        warn_of(sweep.warnings)
        return sweep

    def dry_run_sweep(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a sweep would be: how many trials and jobs, and the first of them. Makes nothing. Raises: as `sweep`."""
        answer: Mapping[str, Any] = self._connection.call(
            "POST", address("sweeps"), params={"dry_run": "true"}, json=_object(spec)
        )
        return answer

    def get_sweep(self, sweep_id: str) -> Sweep:
        """One sweep."""
        return Sweep(self._connection, self._connection.call("GET", address("sweeps", sweep_id)))

    def sweeps(self, *, limit: int | None = None) -> Iterator[Sweep]:
        """The newest sweeps, at most `limit` of them; None: all."""
        return (
            Sweep(self._connection, document) for document in items(self._connection, address("sweeps"), limit=limit)
        )

    def model(self, id_or_alias: str) -> Model:
        """One model; by an alias, the one that has it now: the handle stays with that model when the alias moves."""
        return Model(self._connection, self._connection.call("GET", address("models", id_or_alias)))

    def models(self, *, limit: int | None = None) -> Iterator[Model]:
        """The newest models, at most `limit` of them; None: all."""
        return (
            Model(self._connection, document) for document in items(self._connection, address("models"), limit=limit)
        )

    def cluster(self) -> Mapping[str, Any]:
        """Nodes, workers (idle, or busy on which job) and the depth of the queue."""
        answer: Mapping[str, Any] = self._connection.call("GET", address("cluster"))
        return answer


def _under(key: str | None) -> Mapping[str, str]:
    """The header of a creation, with a key of its own where none is given. Raises: InvalidInput."""
    if key is not None and not re.fullmatch("[ -~]{1,255}", key):
        raise InvalidInput(f"idempotency_key {key[:40]!r} is no key: allowed are 1 to 255 printable ASCII characters")
    return {"Idempotency-Key": str(uuid4()) if key is None else key}


def _object(spec: Any) -> Mapping[str, Any]:
    """A spec that is one. Raises: InvalidInput."""
    if spec is None:
        raise InvalidInput("the spec is empty; it must name at least a data set: dataset: iris")
    if not isinstance(spec, Mapping):
        raise InvalidInput(f"the spec must be an object, such as {{dataset: iris}}, not a {type(spec).__name__}")
    return spec
