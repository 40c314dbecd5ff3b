"""What is given to who runs a job: the job with the right to run it, and what a runner has for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.artifacts import Artifacts
from service.dataset_records import DatasetRecords
from service.jobs import Job, Lease
from service.models import ModelStore
from service.queue import Queue
from service.settings import Settings
from workers.place import Slot
from workers.shard_computer import Assignment
from workers.transport import Transport

Connect = Callable[[list[Slot], str, Assignment, dict[str, str], bool], Transport]  # as `transport.connecting` has it


@dataclass(frozen=True)
class Work:
    """One job given to a runner: its record as claimed, the right to run it, and the slots that serve it.

    With it may come others, each with its own lease, that are trained with it as one population.
    """

    job: Job
    lease: Lease
    slots: list[Slot]  # the first one is on the runner's own node: the runner computes on it itself
    others: tuple[tuple[Job, Lease], ...] = ()

    @property
    def jobs(self) -> list[tuple[Job, Lease]]:
        """All of them."""
        return [(self.job, self.lease), *self.others]

    @property
    def leases(self) -> list[Lease]:
        """The right to run each."""
        return [lease for _, lease in self.jobs]


@dataclass(frozen=True)
class Equipment:
    """What a runner has for all its attempts."""

    settings: Settings
    queue: Queue
    records: DatasetRecords
    models: ModelStore
    artifacts: Artifacts
    connect: Connect
    fingerprint: dict[str, str]
