"""`python -m tests.service.pool_story STORY RAY_ADDRESS REDIS_URL FOLDER`: the pool on a real Ray, as its only driver.

A process of its own, because Ray decides at its import where it may listen.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from workers import kernels

if __name__ == "__main__":
    kernels.pin()

import psutil
import ray

from service.errors import LeaseLost
from service.pool import Pool
from service.scheduler import connect_ray
from service.settings import Settings
from workers.place import Place


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


def story_of_a_fault(settings: Settings) -> None:
    """What cannot start says why, and is not tried without end."""
    pool = Pool(settings.model_copy(update={"redis_url": "nothing://"}), epoch=1)
    started = time.monotonic()
    refreshed(pool, lambda: any("runner" in problem for problem in pool.picture()["problems"]))
    problem = next(problem for problem in pool.picture()["problems"] if "runner" in problem)
    assert "Redis URL must specify one of the following schemes" in problem, problem
    tries = 0
    while time.monotonic() < started + 10:
        before = len(pool.runners)
        pool.refresh(wait_s=0.1)
        tries += max(0, len(pool.runners) - before)
        time.sleep(0.05)
    assert tries <= 8, tries


STORIES = {"pool": story_of_a_pool, "fault": story_of_a_fault}


def main() -> None:
    """Tell one."""
    story, ray_address, redis_url, folder = sys.argv[1:]
    settings = Settings(redis_url=redis_url, ray_address=ray_address, data_dir=Path(folder), drain_s=5)
    connect_ray(settings)
    STORIES[story](settings)
    print("told")


if __name__ == "__main__":
    main()
