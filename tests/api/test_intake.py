"""Submissions that come together: one trip for several, and each its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.intake import TOGETHER, TRIPS, Intake
from api.services import Services
from service.async_store import AsyncStore
from service.datasets import Dataset
from service.errors import DeltaqError, QueueFull, UnknownDataset
from service.job_records import Limits
from service.jobs import Job
from service.redis_server import RedisServer
from service.settings import Settings
from service.spec import JobSpec
from service.store import Argument
from service.submission import Submitted
from tests.api.asking import SPEC, Claim, problem, record, succeed, two_classes

SPEC_OF = JobSpec.model_validate


class CountingStore(AsyncStore):
    """The store, and how many went with each trip."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.trips: list[int] = []

    async def run_all(
        self, script: str, many: Sequence[Mapping[str, Argument | None]]
    ) -> list[list[Any] | DeltaqError]:
        self.trips.append(len(many))
        return await super().run_all(script, many)


Answers = list[Job | BaseException]


def together(store: AsyncStore, services: Services, asked: Sequence[Submitted], queued: int | None = None) -> Answers:
    """Submit all at the same time."""

    async def submit() -> Answers:
        intake = Intake(services.submission, store, Limits(queued))
        try:
            return await asyncio.gather(*map(intake.submit, asked), return_exceptions=True)
        finally:
            await store.close()

    return asyncio.run(submit())


def test_many_go_with_one_trip_and_each_gets_its_own_answer(redis_url: str, services: Services) -> None:
    record(services, two_classes())
    asked = [Submitted("default", SPEC_OF({**SPEC, "name": str(number)})) for number in range(100)]
    for one in asked:
        services.submission.prepare(one)
    store = CountingStore(redis_url)
    jobs = together(store, services, asked)
    assert [job.spec.name for job in jobs if isinstance(job, Job)] == [one.spec.name for one in asked]
    assert services.queue.depth() == 100
    assert sum(store.trips) == 100
    assert len(store.trips) <= 100 / TOGETHER + TRIPS + 1
    assert max(store.trips) == TOGETHER


def test_those_that_are_refused_spoil_no_others(redis_url: str, services: Services) -> None:
    record(services, two_classes())
    gone = record(services, two_classes(name="gone"))
    asked = [Submitted("default", SPEC_OF({**SPEC, "dataset": name})) for name in ("points", "gone", "points")]
    for one in asked:
        services.submission.prepare(one)
    services.datasets.delete("default", gone.id)
    first, refused, third = together(CountingStore(redis_url), services, asked)
    assert isinstance(first, Job)
    assert isinstance(refused, UnknownDataset)
    assert isinstance(third, Job)


def test_a_full_queue_takes_as_many_of_a_trip_as_it_has_room_for(redis_url: str, services: Services) -> None:
    record(services, two_classes())
    asked = [Submitted("default", SPEC_OF(SPEC))] * 6
    services.submission.prepare(asked[0])
    answers = together(CountingStore(redis_url), services, asked, queued=4)
    assert [isinstance(answer, Job) for answer in answers] == [True] * 4 + [False] * 2
    assert all(isinstance(answer, QueueFull) for answer in answers[4:])
    assert services.queue.depth() == 4


def test_a_server_that_forgot_the_step_is_told_it_again(redis_url: str, services: Services) -> None:
    record(services, two_classes())
    asked = [Submitted("default", SPEC_OF(SPEC))] * 3
    services.submission.prepare(asked[0])
    services.store.command("SCRIPT", "FLUSH")
    assert all(isinstance(job, Job) for job in together(CountingStore(redis_url), services, asked))
    assert services.queue.depth() == 3


def test_a_trip_that_finds_nobody_is_an_answer_for_each(tmp_path: Path, runtime_dir: Path) -> None:
    sockets = runtime_dir / "intake"
    sockets.mkdir()
    with RedisServer(tmp_path / "redis", sockets) as redis:
        services = Services.of(Settings(redis_url=redis.url, data_dir=tmp_path / "data"))
        record(services, two_classes())
        asked = [Submitted("default", SPEC_OF(SPEC))] * 20
        services.submission.prepare(asked[0])
        redis.kill()
        answers = together(CountingStore(redis.url), services, asked)
    assert [type(answer).__name__ for answer in answers] == ["RedisUnavailable"] * 20


def test_a_name_that_is_used_again_means_the_new_data(client: httpx.Client, services: Services) -> None:
    old = record(services, two_classes())
    job = client.post("/v1/jobs", json=SPEC).json()
    assert job["spec"]["dataset"] == old.id
    client.post(f"/v1/jobs/{job['id']}/cancel")
    services.datasets.delete("default", old.id)
    problem(client.post("/v1/jobs", json=SPEC), 422)
    new = record(services, two_classes())
    assert client.post("/v1/jobs", json=SPEC).json()["spec"]["dataset"] == new.id


def test_a_spec_that_is_new_is_held_against_the_data_that_the_name_means_now(
    client: httpx.Client, services: Services
) -> None:
    old = record(services, two_classes())
    job = client.post("/v1/jobs", json=SPEC).json()
    client.post(f"/v1/jobs/{job['id']}/cancel")
    services.datasets.delete("default", old.id)
    x, y, label = (made := two_classes()).columns
    new = record(services, replace(made, columns=(replace(x, name="z"), y, label)))
    answer = client.post("/v1/jobs", json={**SPEC, "data": {"features": ["z"]}})
    assert answer.json()["spec"]["dataset"] == new.id
    problem(client.post("/v1/jobs", json={**SPEC, "data": {"features": ["x"]}}), 422)


def test_a_spec_that_is_new_asks_nobody_where_its_data_set_was_found_before(tmp_path: Path, runtime_dir: Path) -> None:
    sockets = runtime_dir / "asks-nobody"
    sockets.mkdir()
    with RedisServer(tmp_path / "redis", sockets) as server:
        services = Services.of(Settings(redis_url=server.url, data_dir=tmp_path / "data"))
        dataset = record(services, two_classes())
        services.submission.prepare(Submitted("default", SPEC_OF(SPEC)))
    found = services.submission.at_hand(Submitted("default", SPEC_OF({**SPEC, "seed": 7})))
    assert found is not None
    assert (found.spec.seed, found.spec.dataset) == (7, dataset.id)


@pytest.mark.parametrize("changed", [{}, {"seed": 1}])
def test_a_key_still_answers_when_its_job_is_archived(
    client: httpx.Client, services: Services, points: Dataset, claim: Claim, changed: dict[str, int]
) -> None:
    headers = {"Idempotency-Key": "k"}
    job = client.post("/v1/jobs", json=SPEC, headers=headers).json()
    succeed(services, claim())
    assert services.history.archive(age_s=-1) == [job["id"]]
    answer = client.post("/v1/jobs", json={**SPEC, **changed}, headers=headers)
    if changed:
        problem(answer, 409)
    else:
        assert answer.json()["id"] == job["id"]
        assert answer.json()["status"] == "succeeded"
    assert services.queue.depth() == 0


def test_who_comes_as_both_trips_come_back_is_not_left_waiting(services: Services, redis_url: str) -> None:
    record(services, two_classes())
    asked = [Submitted("default", SPEC_OF({**SPEC, "name": str(number)})) for number in range(3)]
    for one in asked:
        services.submission.prepare(one)

    class Held(AsyncStore):
        """Its answers come when they are let go, all at once."""

        def __init__(self, url: str) -> None:
            super().__init__(url)
            self.go = asyncio.Event()

        async def run_all(
            self, script: str, many: Sequence[Mapping[str, Argument | None]]
        ) -> list[list[Any] | DeltaqError]:
            answers = await super().run_all(script, many)
            await self.go.wait()
            return answers

    async def submit() -> Job:
        store = Held(redis_url)
        intake = Intake(services.submission, store, Limits())
        first = [asyncio.create_task(intake.submit(one)) for one in asked[:2]]
        await asyncio.sleep(0.2)
        store.go.set()
        late = asyncio.create_task(intake.submit(asked[2]))
        await asyncio.gather(*first)
        try:
            return await asyncio.wait_for(late, 5)
        finally:
            await store.close()

    assert asyncio.run(submit()).spec.name == "2"
