"""Who a runner obeys, and that calls of dead schedulers do not stay in it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from service.errors import Conflict, LeaseLost
from service.runner import Runner
from service.settings import Settings
from service.work import Work
from tests.service.rooms import Rooms
from workers.place import Slot


@pytest.fixture
def runner(redis_url: str, tmp_path: Path) -> Runner:
    def connect(*_: Any) -> Any:
        raise AssertionError("no job of these tests has two workers")

    return Runner(Settings(redis_url=redis_url, data_dir=tmp_path), connect)


def work(rooms: Rooms) -> Work:
    """A job whose data set has a record and no data."""
    lease = rooms.start()
    return Work(rooms.job(lease.job_id), lease, [Slot("worker-0", "n")])


def test_a_leader_whose_epoch_is_over_is_refused_by_every_call(runner: Runner, rooms: Rooms) -> None:
    runner.status(7)
    given = work(rooms)
    calls: list[Callable[[], Any]] = [
        lambda: runner.run(6, given),
        lambda: runner.status(6),
        lambda: runner.join(6),
        lambda: runner.drain(6),
    ]
    for call in calls:
        with pytest.raises(LeaseLost, match="epoch 6 is over"):
            call()
    assert runner.status(7) is None


def test_a_later_leader_ends_the_waiting_of_those_before(
    runner: Runner, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr("service.attempt.Attempt.run", lambda _: go_on.wait(20))
    given = work(rooms)
    with ThreadPoolExecutor(12) as threads:
        job = threads.submit(runner.run, 1, given)
        while runner.status(1) is None:
            assert not job.done()
        waiting = [threads.submit(runner.join, epoch) for epoch in range(1, 10)]
        with pytest.raises(Conflict, match=given.job.id):
            runner.run(10, given)
        for number, call in enumerate(waiting):
            with pytest.raises(LeaseLost):
                call.result(5)
            assert number < 9
        last = threads.submit(runner.join, 10)
        assert runner.status(10) == given
        go_on.set()
        last.result(5)
        assert runner.status(10) is None
