"""`python -m tests.service.pool_story STORY RAY_ADDRESS REDIS_URL FOLDER`: the pool on a real Ray, as its only driver.

A process of its own, because Ray decides at its import where it may listen.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from workers import kernels

if __name__ == "__main__":
    kernels.pin()

import psutil
import ray
import structlog
from ray._private.node import Node
from ray._private.parameter import RayParams

from service.artifacts import Artifacts
from service.builtin import install_builtins
from service.dataset_records import DatasetRecords
from service.errors import LeaseLost
from service.history import History
from service.job_records import Jobs
from service.jobs import JobStatus, Lease
from service.member import Member
from service.model_records import ModelRecords
from service.models import ModelStore
from service.pool import Pool
from service.queue import Queue
from service.scheduler import Scheduler, connect_ray
from service.settings import Settings
from service.spec import JobSpec
from service.store import Store
from service.submission import Submission
from workers.place import Place

GROWN_BYTES = 1 << 26


class OfAnotherVersion:
    """An actor that another deltaq left."""

    def __init__(self) -> None:
        self.drained = False

    def drain(self, epoch: int) -> None:
        self.drained = True

    def join(self, epoch: int) -> bool:
        return self.drained

    def where(self) -> Place:
        return Place.here()


def refreshed(pool: Pool, done: Callable[[], bool], timeout_s: float = 40) -> None:
    """Look at the pool until it is so."""
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, pool.picture()
        pool.refresh(wait_s=0.1)
        time.sleep(0.05)


def warm(pool: Pool, slots: int) -> bool:
    """Everything stands and is idle."""
    return len(pool.free()) == slots and all(runner.idle for runner in pool.runners.values())


def names(pool: Pool) -> list[str]:
    """Of the workers that are free."""
    return [slot.name for slot in pool.free()]


def story_of_a_pool(settings: Settings) -> None:
    """Retire another version's actors, start, find again, replace the dead and the silent."""
    slots = int(ray.cluster_resources()["CPU"])
    old = ray.remote(OfAnotherVersion).options(name="deltaq-0.0.1-runner-x-0", lifetime="detached").remote()
    ray.get(old.where.remote())
    first = Pool(settings, epoch=1)
    assert ray.util.list_named_actors() == []
    refreshed(first, lambda: warm(first, slots))
    assert len(first.runners) == slots
    assert first.picture()["problems"] == []
    for member in (*first.workers.values(), *first.runners.values()):
        assert ray.get(member.actor.__ray_call__.remote(logs_json)), member.name

    second = Pool(settings, epoch=2)
    refreshed(second, lambda: second.settled and warm(second, slots))
    for members, before in ((second.workers, first.workers), (second.runners, first.runners)):
        assert {name: one.place for name, one in members.items()} == {name: one.place for name, one in before.items()}
    runner = next(iter(first.runners.values()))
    try:
        ray.get(runner.actor.status.remote(1))
    except LeaseLost:
        pass  # the runner obeys the later leader
    else:
        raise AssertionError("a runner obeyed a leader whose epoch is over")

    name = second.free()[0].name
    for number in (signal.SIGKILL, signal.SIGSTOP):
        place = second.workers[name].place
        assert place is not None
        os.kill(place.pid, number)
        refreshed(second, lambda: name not in names(second))
        refreshed(second, lambda: name in names(second))
        assert second.workers[name].place != place
        if psutil.pid_exists(place.pid):
            os.kill(place.pid, signal.SIGCONT)
    what_has_grown_is_replaced(settings)


def what_has_grown_is_replaced(settings: Settings) -> None:
    """A worker that serves may grow; one that serves nothing any more may not stay so."""
    pool = Pool(settings.model_copy(update={"max_growth_bytes": GROWN_BYTES // 2}), epoch=3)
    refreshed(pool, lambda: pool.settled and warm(pool, len(pool.workers)))
    worker = next(iter(pool.workers.values()))
    lease = Lease("job", "1-aa")
    worker.serve(lease)
    ray.get(worker.actor.__ray_call__.remote(grow))
    for _ in range(3):
        heard = worker.answered
        refreshed(pool, partial(later, worker, heard))
    assert worker.place is not None
    assert worker.place.grown_bytes >= GROWN_BYTES
    assert pool.workers[worker.name] is worker
    worker.free()
    refreshed(pool, lambda: pool.workers.get(worker.name) is not worker)
    refreshed(pool, lambda: worker.name in names(pool))
    assert pool.workers[worker.name].place != worker.place


def logs_json(_: Any) -> bool:
    """Whether this process writes its log as the service does."""
    return isinstance(structlog.get_config()["processors"][-1], structlog.processors.JSONRenderer)


def later(worker: Member, than: float) -> bool:
    """It has answered once more."""
    return worker.answered > than


def grow(worker: Any) -> None:
    """Hold memory, as a leak would."""
    worker.leaked = b"x" * GROWN_BYTES


def story_of_a_fault(settings: Settings) -> None:
    """What cannot start says why, and is not tried without end."""
    pool = Pool(settings.model_copy(update={"redis_url": "nothing://"}), epoch=1)
    started = time.monotonic()
    refreshed(pool, lambda: any("runner" in problem for problem in pool.picture()["problems"]))
    problem = next(problem for problem in pool.picture()["problems"] if "runner" in problem)
    assert "Redis URL must specify one of the following schemes" in problem, problem
    tries = 0
    while time.monotonic() < started + 6:
        before = len(pool.runners)
        pool.refresh(wait_s=0.1)
        tries += max(0, len(pool.runners) - before)
        time.sleep(0.05)
    assert tries <= 5, tries


def story_of_its_size(settings: Settings) -> None:
    """No more workers than are of use, within the bounds, and those that are of no use go after a while."""

    def counts() -> tuple[int, int]:
        return len(pool.workers), len(pool.runners)

    pool = Pool(settings.model_copy(update={"pool_min": 0, "pool_idle_s": 0.2}), epoch=1)
    pool.refresh()
    assert (pool.capacity, *counts()) == (2, 0, 0)
    pool.want(1)
    refreshed(pool, lambda: warm(pool, 1))
    assert counts() == (1, 1)
    pool.want(5)
    refreshed(pool, lambda: warm(pool, 2))
    serving = pool.workers[pool.free()[0].name]
    serving.serve(Lease("job", "1-aa"))
    pool.want(0)
    refreshed(pool, lambda: counts() == (1, 1))
    assert list(pool.workers.values()) == [serving]
    serving.free()
    pool.want(2)
    refreshed(pool, lambda: warm(pool, 2))

    pool = Pool(settings.model_copy(update={"pool_max": 1}), epoch=2)
    assert counts() == (2, 2)  # found again, and one too many
    refreshed(pool, lambda: pool.settled and counts() == (1, 1) and warm(pool, 1))
    assert pool.capacity == 1


def story_of_nodes(settings: Settings) -> None:
    """A node that joins is used; where it dies with all on it, its job ends elsewhere, with the same bits."""
    store = Store(settings.redis_url or "")
    artifacts, records = Artifacts(settings.artifacts_url), DatasetRecords(store)
    jobs, models = Jobs(store), ModelStore(ModelRecords(store), artifacts)
    history = History(store, jobs, artifacts)
    submission = Submission(jobs, history, records, models, Queue(store), settings.max_job_bytes)
    install_builtins(records, artifacts)
    scheduler = Scheduler(settings.model_copy(update={"checkpoint_s": 0.1}), Queue(store))

    def submit(epochs: int) -> str:
        spec = {"dataset": "digits", "network": {"hidden": [8]}, "epochs": epochs, "seed": 5}
        return submission.submit("ada", JobSpec.model_validate(spec)).id

    def ticked(done: Callable[[], bool], timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < deadline, [jobs.get("ada", job) for job in (*endless, victim, twin) if job]
            scheduler.tick()

    def pool() -> Pool:
        assert scheduler.pool is not None
        return scheduler.pool

    def ended(job: str) -> bool:
        return jobs.get("ada", job).status is JobStatus.SUCCEEDED

    endless, victim, twin = [], "", ""
    scheduler.tick()
    ticked(lambda: warm(pool(), 2))
    endless = [submit(10**6), submit(10**6)]
    ticked(lambda: not pool().free())
    raylet = start_node(settings.ray_address or "")
    ticked(lambda: len(pool().free()) == 1)
    victim = submit(150)
    ticked(lambda: jobs.get("ada", victim).checkpoint is not None)
    for process in (*psutil.Process(raylet).children(), psutil.Process(raylet)):
        process.kill()
    ticked(lambda: jobs.get("ada", victim).status is JobStatus.QUEUED)
    ticked(lambda: pool().capacity == len(pool().workers) == len(pool().runners) == 2)
    assert pool().picture()["problems"] == []
    for job in endless:
        jobs.request("ada", job, "cancel")
    twin = submit(150)
    ticked(lambda: ended(victim) and ended(twin))
    disturbed, undisturbed = jobs.get("ada", victim), jobs.get("ada", twin)
    assert (disturbed.attempt, undisturbed.attempt) == (2, 1)
    assert disturbed.result is not None
    assert undisturbed.result is not None
    assert disturbed.result["weights_sha256"] == undisturbed.result["weights_sha256"]


def start_node(ray_address: str) -> int:
    """A further node of one slot on loopback; answers the process of its raylet.

    As Ray's own tests start one: its command line refuses further nodes where it is told to stay on loopback.
    """
    given = RayParams(gcs_address=ray_address, node_ip_address="127.0.0.1", num_cpus=1, include_log_monitor=False)
    node = Node(given, head=False, shutdown_at_exit=True, spawn_reaper=True)
    return int(node.all_processes["raylet"][0].process.pid)


STORIES = {"pool": story_of_a_pool, "fault": story_of_a_fault, "size": story_of_its_size, "nodes": story_of_nodes}


def main() -> None:
    """Tell one."""
    story, ray_address, redis_url, folder = sys.argv[1:]
    settings = Settings(redis_url=redis_url, ray_address=ray_address, data_dir=Path(folder), drain_s=5)
    connect_ray(settings)
    STORIES[story](settings)
    print("told")


if __name__ == "__main__":
    main()
