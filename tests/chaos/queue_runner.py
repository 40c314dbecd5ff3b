"""A runner without Ray: a process of its own that makes one attempt at one job, with everything of it real."""

from __future__ import annotations

import os
from pathlib import Path

from service.artifacts import Artifacts
from service.attempt import Attempt
from service.dataset_records import DatasetRecords
from service.errors import LeaseLost
from service.model_records import ModelRecords
from service.models import ModelStore
from service.queue import ClaimedJob, Queue
from service.requests import Requests
from service.settings import Settings
from service.store import Store
from service.work import Equipment, Work
from workers import kernels
from workers.place import Slot
from workers.shard_computer import Assignment, ShardComputer
from workers.transport import Transport
from workers.transport.local import LocalTransport

FENCED = 3  # the exit code of a runner whose lease was lost


def run(settings: Settings, claimed: ClaimedJob, log: Path) -> None:
    """Make the attempt; the process ends by its exit code."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1), os.dup2(output, 2)
    store = Store(settings.redis_url or "")
    artifacts = Artifacts(settings.artifacts_url)
    models = ModelStore(ModelRecords(store), artifacts)
    given = Equipment(settings, Queue(store), DatasetRecords(store), models, artifacts, _connect, kernels.fingerprint())
    slots = [Slot("one", "node")]
    try:
        Attempt(given, Work(claimed.job, claimed.lease, slots), Requests(slots)).run()
    except LeaseLost:
        os._exit(FENCED)
    os._exit(0)


def _connect(
    slots: list[Slot], token: str, assignment: Assignment, fingerprint: dict[str, str], asynchronous: bool
) -> Transport:
    return LocalTransport(ShardComputer(assignment))
