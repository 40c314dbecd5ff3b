"""The process that runs jobs, one at a time: a plain class that the pool makes an actor of.

It obeys the leader with the highest epoch it has heard of, and no older one. What running a job is, `service.attempt`
knows.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import structlog

from service.artifacts import Artifacts
from service.attempt import Attempt
from service.dataset_records import DatasetRecords
from service.errors import Conflict, LeaseLost
from service.model_records import ModelRecords
from service.models import ModelStore
from service.population_attempt import PopulationAttempt
from service.queue import Queue
from service.requests import Requests
from service.settings import Settings
from service.store import Store
from service.work import Connect, Equipment, Work
from workers import kernels, logs
from workers.own_memory import give_back, settle
from workers.place import Place, Slot

log = structlog.get_logger()


class Runner:
    """Runs one job at a time; its other calls are answered meanwhile, in threads of their own."""

    def __init__(self, settings: Settings, connect: Connect) -> None:
        kernels.check()
        logs.configure(settings.log_level)
        store = Store(settings.redis_url or "")
        artifacts = Artifacts(settings.artifacts_url, settings.min_free)
        self._equipment = Equipment(
            settings,
            Queue(store),
            DatasetRecords(store),
            ModelStore(ModelRecords(store), artifacts),
            artifacts,
            connect,
            kernels.fingerprint(),
        )
        self._epoch = 0
        self._work: Work | None = None
        self._requests = Requests([])
        self._changed = threading.Condition()
        settle()

    def run(self, epoch: int, work: Work) -> None:
        """Run a job to an end that is recorded, or until its lease is lost.

        Raises: LeaseLost for a leader whose epoch is over; Conflict when another job runs here.
        """
        with self._changed:
            self._obey(epoch)
            if self._work is not None:
                raise Conflict(f"This runner runs job {self._work.job.id}; it takes one at a time.")
            self._work, self._requests = work, Requests(work.slots)
        try:
            attempt = PopulationAttempt if work.others else Attempt
            attempt(self._equipment, work, self._requests).run()
        except LeaseLost as lost:
            log.warning("lease lost", job=work.job.id, detail=lost.detail)
        finally:
            self._requests.end()
            give_back()
            with self._changed:
                self._work = None
                self._changed.notify_all()

    def status(self, epoch: int) -> Work | None:
        """The job that runs here, if one does, with the slots that serve it now.

        Raises: LeaseLost for a leader whose epoch is over.
        """
        with self._changed:
            self._obey(epoch)
            return self._work and replace(self._work, slots=self._requests.slots)

    def join(self, epoch: int) -> None:
        """Answer when no job runs here any more; who waits learns of this process's death by it, too.

        Raises: LeaseLost as soon as there is a later leader: calls of the dead must not fill this process.
        """
        with self._changed:
            self._obey(epoch)
            self._changed.wait_for(lambda: self._work is None or epoch < self._epoch)
            self._obey(epoch)

    def drain(self, epoch: int, token: str | None = None, reason: str = "drained") -> None:
        """Have what runs here, if the lease is among its own, write a checkpoint and go back into the queue."""
        with self._changed:
            self._obey(epoch)
            if token is None or (self._work is not None and any(lease.token == token for lease in self._work.leases)):
                self._requests.drain(reason)

    def resize(self, epoch: int, token: str, slots: list[Slot]) -> list[Slot]:
        """Have the job of this lease be served by these slots, the first of them this process's own, as ever.

        Answers, once it is so, those that serve; none when the job is over.
        Raises: LeaseLost for a leader whose epoch is over.
        """
        with self._changed:
            self._obey(epoch)
            if self._work is None or self._work.lease.token != token:
                return []
            requests = self._requests
        return requests.resize(slots)

    def where(self) -> Place:
        """Where this process is."""
        return Place.here()

    def _obey(self, epoch: int) -> None:
        if epoch < self._epoch:
            raise LeaseLost(f"Leader epoch {epoch} is over; allowed is {self._epoch} or later.")
        if epoch > self._epoch:
            self._epoch = epoch
            self._changed.notify_all()
