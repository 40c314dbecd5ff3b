"""A Redis that goes and comes back: nothing accepted is lost, nothing is done twice, nothing fails afterwards."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from service.acceptance import Acceptance
from service.errors import StoreUnavailable
from service.events import Hints
from service.jobs import Job, JobStatus
from service.redis_server import RedisServer
from service.spec import JobSpec
from service.store import Store
from tests.service.rooms import Rooms


@pytest.fixture
def server(tmp_path: Path, runtime_dir: Path) -> Iterator[RedisServer]:
    """A Redis of this test's own, to be killed."""
    folder = runtime_dir / "killed"
    folder.mkdir(exist_ok=True)
    with RedisServer(tmp_path / "data", folder) as server:
        yield server


@pytest.fixture
def store(server: RedisServer) -> Iterator[Store]:
    """A store on the Redis that is killed; the rooms are built on it."""
    store = Store(server.url)
    yield store
    store.close()


def test_nothing_connects_at_construction(runtime_dir: Path) -> None:
    store = Store(f"unix://:secret@{runtime_dir}/nobody.sock")
    with pytest.raises(StoreUnavailable, match="does not answer"):
        store.ping()


def test_a_wrong_password_is_unavailable_and_not_shown(server: RedisServer) -> None:
    store = Store(f"unix://:wrong-password@{server.socket}")
    with pytest.raises(StoreUnavailable) as refused:
        store.ping()
    assert "wrong-password" not in refused.value.detail


def test_after_a_restart_no_call_fails_for_an_old_connection(rooms: Rooms, server: RedisServer) -> None:
    together = threading.Barrier(8)

    def call(_: int) -> JobStatus:
        together.wait(10)  # so that the pool holds as many connections
        return rooms.status(job.id)

    job = rooms.accept()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(call, range(8)))
        server.kill()
        server.start()
        assert list(threads.map(call, range(8))) == [JobStatus.QUEUED] * 8
    assert rooms.claim().job.id == job.id  # the scripts are known again as well


def test_a_gone_redis_is_unavailable_at_every_call_and_all_is_there_when_it_is_back(
    rooms: Rooms, server: RedisServer
) -> None:
    lease = rooms.start()
    rooms.queue.record_epoch(lease, {"epoch": 1})
    hints = Hints(rooms.store)
    server.kill()
    calls: list[Callable[[], object]] = [
        rooms.accept,
        rooms.claim,
        rooms.queue.running,
        lambda: rooms.job(lease.job_id),
        lambda: rooms.queue.beat(lease),
        lambda: rooms.queue.wait_for_work(1),
        lambda: rooms.queue.lead("me", 1.0),
        lambda: rooms.events.read(lease.job_id),
        lambda: rooms.events.read_all("ada"),
        lambda: rooms.datasets.list("ada"),
        lambda: hints.next(1),
        lambda: Hints(rooms.store),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable):
            call()
    hints.close()
    server.start()
    assert rooms.queue.beat(lease) is None  # the lease outlived it
    assert not rooms.queue.record_epoch(lease, {"epoch": 1})
    assert rooms.jobs.metrics("ada", lease.job_id).items == [{"epoch": 1}]


def test_a_redis_that_goes_while_it_is_waited_for_is_noticed(rooms: Rooms, server: RedisServer) -> None:
    with ThreadPoolExecutor(1) as threads:
        rooms.queue.wait_for_work(0.01)
        waiting = threads.submit(rooms.queue.wait_for_work, 3.0)
        blocked = Store(server.url)
        deadline = time.monotonic() + 5
        while not int(blocked.command("INFO", "clients")["blocked_clients"]) and time.monotonic() < deadline:
            time.sleep(0.01)
        server.kill()
        with pytest.raises(StoreUnavailable):
            waiting.result(timeout=5)
    server.start()
    rooms.accept()
    assert rooms.queue.wait_for_work(3)


def test_restarts_under_load_double_and_lose_nothing(rooms: Rooms, server: RedisServer) -> None:
    done = threading.Event()
    with ThreadPoolExecutor(4) as threads:
        posts = [threads.submit(post_until, done, rooms, poster) for poster in range(2)]
        runs = [threads.submit(run_until, done, rooms, runner) for runner in range(2)]
        for _ in range(4):
            reached = int(rooms.store.command("GET", "deltaq:sequence"))
            wait_for_sequence(rooms.store, reached + 60)
            server.kill()
            server.start()
        done.set()
        accepted = [job_id for future in posts for job_id in future.result(timeout=20)]
        finished = [job_id for future in runs for job_id in future.result(timeout=20)]

    assert len(set(accepted)) == len(accepted) > 60
    assert len(set(finished)) == len(finished) > 30
    jobs = all_jobs(rooms)
    assert set(accepted) <= {job.id for job in jobs}
    assert len(jobs) - len(accepted) <= 2  # a poster that was told to end while its last answer was lost
    succeeded = [job for job in jobs if job.status is JobStatus.SUCCEEDED]
    assert {job.id for job in succeeded} == set(finished)
    assert {job.attempt for job in succeeded} == {1}
    for job_id in finished:
        assert rooms.ends_said(job_id) == ["succeeded"]
        assert rooms.jobs.metrics("ada", job_id).items == [{"epoch": 1}]
    assert rooms.queue.depth() == len(jobs) - len(succeeded)


def post_until(done: threading.Event, rooms: Rooms, poster: int) -> list[str]:
    """Post jobs, each until it is answered with the same key; returns those that were."""
    spec = JobSpec(dataset=rooms.dataset.id)
    accepted: list[str] = []
    while not done.is_set():
        key = (f"{poster}/{len(accepted)}", "request")
        with suppress(StoreUnavailable):
            accepted.append(rooms.jobs.accept(Acceptance("ada", spec, rooms.dataset, idempotency=key))[0].id)
    return accepted


def run_until(done: threading.Event, rooms: Rooms, runner: int) -> list[str]:
    """Claim and finish jobs, each step until it is answered; returns those that were finished."""
    finished: list[str] = []
    for number in count():
        if done.is_set():
            return finished
        claimed = repeat(partial(rooms.queue.claim, 1, 1, f"{runner}/{number}"))
        if claimed is not None:
            repeat(partial(rooms.queue.record_epoch, claimed.lease, {"epoch": 1}))
            repeat(partial(rooms.queue.succeed, claimed.lease, {}, {"id": f"model-{claimed.job.id[4:]}"}))
            finished.append(claimed.job.id)
    raise AssertionError("never")


def repeat(step: Callable[[], Any]) -> Any:
    """Do a step again until it is answered, as a runner does."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(StoreUnavailable):
            return step()
        time.sleep(0.005)
    raise AssertionError("Redis did not come back")


def wait_for_sequence(store: Store, goal: int) -> None:
    """Wait until so many records have been accepted."""
    deadline = time.monotonic() + 20
    while int(store.command("GET", "deltaq:sequence")) < goal:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def all_jobs(rooms: Rooms) -> list[Job]:
    """The tenant's jobs, page after page."""
    jobs: list[Job] = []
    cursor = None
    while True:
        page = rooms.jobs.list("ada", cursor=cursor, limit=500)
        jobs += page.items
        if (cursor := page.next_cursor) is None:
            return jobs


def test_a_write_whose_answer_is_lost_is_not_sent_again(runtime_dir: Path) -> None:
    path = runtime_dir / "deaf.sock"
    writes: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor(1) as threads:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(5)
        serving = threads.submit(hang_up_on_writes, listener, writes)
        store = Store(f"unix://{path}")
        with pytest.raises(StoreUnavailable, match="does not answer"):
            store.run("resign", token="t")
        with suppress(StoreUnavailable):
            store.command("QUIT")
        serving.result(timeout=10)
    assert len(writes) == 1


def hang_up_on_writes(listener: socket.socket, writes: list[bytes]) -> None:
    """A Redis that dies after each write, before it answers, and is back at once; until it is told to quit."""
    while True:
        connection, _ = listener.accept()
        with connection:
            while data := connection.recv(65536):
                if b"EVAL" in data:
                    writes.append(data)
                    break
                if b"QUIT" in data:
                    return
                connection.sendall(b"+OK\r\n" * data.count(b"*"))
