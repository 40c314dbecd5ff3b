"""The queue alone under fire: runners and Redis killed, runners stopped until their lease is over; nothing is lost.

Runners are real processes with real attempts, but for Ray; the test itself leads, as the scheduler does.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from service.acceptance import Acceptance
from service.artifacts import Artifacts
from service.builtin import install_builtins
from service.dataset_records import DatasetRecords
from service.datasets import Dataset
from service.errors import StoreUnavailable
from service.jobs import Job, JobStatus, Lease
from service.lease_watch import LeaseWatch
from service.leftovers import Leftovers
from service.queue import Queue
from service.redis_server import RedisServer
from service.resolution import resolve
from service.settings import Settings
from service.spec import JobSpec
from service.store import Store
from tests.chaos import queue_runner
from tests.service.rooms import Rooms

SPECS: list[dict[str, Any]] = [
    {"dataset": "digits", "network": {"hidden": [16]}, "epochs": 40, "seed": 1, "batch_size": 64},
    {"dataset": "digits", "network": {"hidden": [24]}, "epochs": 30, "optimizer": {"momentum": 0.9}, "batch_size": 64},
    {"dataset": "wine", "network": {"hidden": [8]}, "epochs": 150, "early_stopping": {"patience": 1000}},
]
TENANTS = ("ada", "ben", "cleo")
SLOTS = 4
LEASE_S = 1.0


@dataclass(eq=False)
class Served:
    """A runner's process, and the lease that it was given."""

    lease: Lease
    process: ForkServerProcess
    wakes: float | None = None  # when it is continued, where it is stopped
    expired: bool = False


@dataclass
class Storm:
    """How much is to happen."""

    jobs: int
    runner_kills: int
    redis_kills: int
    stops: int
    done: dict[str, int] = field(default_factory=lambda: {"runner": 0, "redis": 0, "stop": 0})

    @property
    def over(self) -> bool:
        return not any(self.left().values())

    def left(self) -> dict[str, int]:
        asked = {"runner": self.runner_kills, "redis": self.redis_kills, "stop": self.stops}
        return {name: count - self.done[name] for name, count in asked.items() if count > self.done[name]}


class Field:
    """The leader of a queue whose runners are processes of this machine."""

    def __init__(self, server: RedisServer, folder: Path, chance: random.Random) -> None:
        self.server, self.folder, self.chance = server, folder, chance
        self.store = Store(server.url)
        self.rooms, self.queue = Rooms(self.store), Queue(self.store)
        self.settings = Settings(
            redis_url=server.url, data_dir=folder, beat_s=0.05, checkpoint_s=0.1, lease_s=LEASE_S, min_free=0
        )
        self.artifacts = Artifacts(self.settings.artifacts_url)
        install_builtins(DatasetRecords(self.store), self.artifacts)
        self.watch = LeaseWatch(LEASE_S)
        self.claim_token = secrets.token_hex(16)
        self.served: list[Served] = []
        self.woken: list[Served] = []
        self.context = get_context("forkserver")
        self.context.set_forkserver_preload(["tests.chaos.queue_runner"])

    def accept(self, tenant: str, fields: dict[str, Any]) -> str:
        spec = JobSpec.model_validate(fields)
        dataset = Dataset.from_document(DatasetRecords(self.store).find(tenant, spec.dataset))
        return self.rooms.jobs.accept(Acceptance(tenant, resolve(spec, dataset, None, None).spec, dataset))[0].id

    def look(self) -> None:
        """One look of the leader: bury the dead, take back what is silent, start what there is room for."""
        epoch = self.queue.lead("leader", 3.0)
        assert epoch is not None
        self.queue.promote(epoch)
        running = {entry.lease: entry for entry in self.queue.running()}
        for one in [one for one in self.served if one.process.exitcode is not None]:
            self.served.remove(one)
        serving = {one.lease: one for one in self.served}
        for lease, entry in running.items():
            if lease not in serving:  # the storm has killed it: that says nothing about the job
                self.queue.expire(lease, epoch, beat=None, reason="killed")
            elif self.watch.stale(lease, entry.beat):
                taken = self.queue.expire(lease, epoch, beat=entry.beat, reason="silent")
                serving[lease].expired = taken is not None
        self.watch.forget_all_but(serving)
        while len([one for one in self.served if not one.expired]) < SLOTS:
            claimed = self.queue.claim(epoch, 1, self.claim_token)
            self.claim_token = secrets.token_hex(16)
            if claimed is None:
                return
            arguments = (self.settings, claimed, self.folder / "runners.log")
            process = self.context.Process(target=queue_runner.run, args=arguments, daemon=True)
            process.start()
            self.served.append(Served(claimed.lease, process))

    def strike(self, storm: Storm) -> None:
        """One blow, of those that are left."""
        left = storm.left()
        kind = self.chance.choices(list(left), weights=list(left.values()))[0]
        fair = [one for one in self.served if one.wakes is None and not one.expired and one.process.exitcode is None]
        if kind == "redis":
            self.server.kill()
            time.sleep(self.chance.uniform(0.0, 0.3))  # for as long as it is away
            self.server.start()
        elif not fair:
            return
        elif kind == "stop":
            one = self.chance.choice(fair)
            self._signal(one, signal.SIGSTOP)
            one.wakes = time.monotonic() + self.chance.uniform(2.0, 3.0) * LEASE_S
        else:
            self._signal(self.chance.choice(fair), signal.SIGKILL)
        storm.done[kind] += 1

    def wake(self) -> None:
        """Continue the stopped whose time has come."""
        for one in self.served:
            if one.wakes is not None and time.monotonic() > one.wakes and (one.expired or not self._runs(one)):
                self._signal(one, signal.SIGCONT)
                one.wakes = None
                self.woken.append(one)

    def _runs(self, one: Served) -> bool:
        return one.lease in {entry.lease for entry in self.queue.running()}

    def _signal(self, one: Served, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(one.process.pid or 0, number)

    def run(self, storm: Storm, pause_s: float) -> None:
        """Lead until all jobs have ended, with the storm beside."""
        next_blow = time.monotonic()
        while self._unfinished() or self.served:
            with suppress(StoreUnavailable):
                self.look()
                self.wake()
            if not storm.over and time.monotonic() > next_blow:
                self.strike(storm)
                next_blow = time.monotonic() + self.chance.expovariate(1 / pause_s)
            time.sleep(0.01)

    def _unfinished(self) -> int:
        try:
            return self.queue.depth() + len(self.queue.running())
        except StoreUnavailable:
            return 1


@pytest.fixture
def field_(tmp_path: Path, runtime_dir: Path) -> Iterator[Field]:
    folder = runtime_dir / "storm"
    folder.mkdir(exist_ok=True)
    with RedisServer(tmp_path / "redis", folder) as server:
        made = Field(server, tmp_path, random.Random(7))  # the same storm each time
        yield made
        for one in made.served:
            one.process.kill()
        made.store.close()


@pytest.mark.parametrize(
    "storm",
    [
        pytest.param(Storm(jobs=30, runner_kills=20, redis_kills=2, stops=2), marks=pytest.mark.timeout(240)),
        pytest.param(
            Storm(jobs=300, runner_kills=200, redis_kills=15, stops=10),
            marks=[pytest.mark.chaos, pytest.mark.timeout(1800)],
        ),
    ],
    ids=["some", "many"],
)
def test_nothing_is_lost_nothing_is_done_twice_and_no_late_hand_writes(field_: Field, storm: Storm) -> None:
    calm = Storm(0, 0, 0, 0)
    undisturbed = [field_.accept("ada", spec) for spec in SPECS]
    field_.run(calm, 1.0)
    expected = [sha256(field_, "ada", job_id) for job_id in undisturbed]

    jobs = []
    for number in range(storm.jobs):
        tenant, kind = TENANTS[number % len(TENANTS)], field_.chance.randrange(len(SPECS))
        jobs.append((tenant, field_.accept(tenant, SPECS[kind]), kind))
    field_.run(storm, pause_s=0.12)
    while not storm.over:  # the jobs were through before the storm was
        jobs += [(TENANTS[0], field_.accept(TENANTS[0], SPECS[0]), 0) for _ in range(SLOTS)]
        field_.run(storm, pause_s=0.12)

    for tenant, job_id, kind in jobs:
        job = field_.rooms.jobs.get(tenant, job_id)
        assert sha256(field_, tenant, job_id) == expected[kind], job
        assert field_.rooms.ends_said(job_id) == [JobStatus.SUCCEEDED]
        assert [row["epoch"] for row in rows(field_, tenant, job_id)] == list(range(1, job.spec.epochs + 1))
    late = [one for one in field_.woken if one.expired]
    assert {one.process.exitcode for one in late} <= {queue_runner.FENCED}
    assert len(late) >= storm.stops // 2, "too few woke after their lease"
    assert_nothing_is_left(field_, [*undisturbed, *(job_id for _, job_id, _ in jobs)])


def sha256(field_: Field, tenant: str, job_id: str) -> str:
    job: Job = field_.rooms.jobs.get(tenant, job_id)
    assert job.status is JobStatus.SUCCEEDED, job
    assert job.result is not None
    return str(job.result["weights_sha256"])


def rows(field_: Field, tenant: str, job_id: str) -> list[dict[str, Any]]:
    return field_.rooms.jobs.metrics(tenant, job_id, limit=500).items


def assert_nothing_is_left(field_: Field, jobs: list[str]) -> None:
    """No lease, no slot, no key of what is over, no file but the models."""
    assert field_.queue.running() == []
    for tenant in TENANTS:
        shares = field_.store.command("HMGET", f"deltaq:tenant:{tenant}", "jobs", "slots")
        assert set(shares) <= {"0", None}
    for name in ("queue", "queue-widths", "queue-tenants", "later", "unsettled"):
        assert field_.store.command("KEYS", f"deltaq:{name}*") == []
    Leftovers(field_.store, field_.artifacts, old_s=0.0).sweep()
    root = field_.artifacts.local_path("models")
    assert root is not None
    models = [path.parent.name for path in root.rglob("*.safetensors")]
    assert sorted(models) == sorted(jobs)
    assert [path for path in (root.parent / "checkpoints").rglob("*") if path.is_file()] == []
