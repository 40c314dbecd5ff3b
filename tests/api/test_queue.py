"""What users meet of the queue: limits, times, jobs that come after others, the same work once more."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from api.app import create_app
from service.datasets import Dataset
from service.ids import new_id
from service.settings import Settings
from tests.api.asking import SPEC, Claim, Submit, listening, pointers, problem


@pytest.fixture
def small(settings: Settings, points: Dataset) -> Iterator[httpx.Client]:
    """A client of a service whose queue holds three jobs."""
    with (
        listening(create_app(settings.model_copy(update={"max_queued": 3}))) as url,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        yield client


def test_a_full_queue_is_429_with_a_time_and_takes_nothing(small: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: small.post("/v1/jobs", json=SPEC), range(20)))
    accepted = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert (len(accepted), len(refused)) == (3, 17)
    for answer in refused:
        assert int(answer.headers["retry-after"]) > 0
        assert "3 jobs are queued already" in problem(answer, 429)["detail"]
    assert sorted(job["id"] for job in small.get("/v1/jobs").json()["items"]) == sorted(accepted)
    assert small.post("/v1/jobs?dry_run=true", json=SPEC).status_code == 200


def test_a_thousand_posts_over_fifty_keys_make_fifty_jobs(client: httpx.Client, points: Dataset) -> None:
    keys = [f"key-{number % 50}" for number in range(1000)]

    def post(key: str) -> tuple[str, str]:
        answer = client.post("/v1/jobs", json=SPEC, headers={"Idempotency-Key": key})
        assert answer.status_code == 202, answer.text
        return key, answer.json()["id"]

    with ThreadPoolExecutor(20) as threads:  # as many as a client keeps connections
        made = set(threads.map(post, keys))
    assert len(made) == len({job for _, job in made}) == 50
    assert len(client.get("/v1/jobs?limit=500").json()["items"]) == 50


def test_what_a_job_waits_for_is_shown(client: httpx.Client, submit: Submit, claim: Claim) -> None:
    first = submit()
    assert (first["queue_position"], first["waits_for"], first["waits_until"]) == (0, [], None)
    second = submit(after=[first["id"]])
    assert (second["queue_position"], second["waits_for"]) == (None, [first["id"]])
    moment = datetime.now(UTC) + timedelta(hours=1)
    third = submit(not_before=moment.isoformat())
    assert datetime.fromisoformat(third["waits_until"]) - moment < timedelta(milliseconds=2)
    claim()
    assert client.get(f"/v1/jobs/{third['id']}").json()["queue_position"] is None


def test_a_job_that_is_retried_still_waits_for_its_time(client: httpx.Client, submit: Submit) -> None:
    job = submit(not_before="2099-01-01T00:00:00Z")
    assert client.post(f"/v1/jobs/{job['id']}/cancel").json()["status"] == "cancelled"
    again = client.post(f"/v1/jobs/{job['id']}/retry").json()
    assert (again["status"], again["waits_until"]) == ("queued", "2099-01-01T00:00:00.000Z")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"retries": -1}, "/retries"),
        ({"time_limit_s": 0}, "/time_limit_s"),
        ({"not_before": "2030-01-01T00:00:00"}, "/not_before"),
        ({"not_before": "tomorrow"}, "/not_before"),
        ({"not_before": "2026-13-01T00:00:00Z"}, "/not_before"),
        ({"not_before": "9999-12-31T23:59:59-14:00"}, "/not_before"),
        ({"not_before": "0001-01-01T00:00:00+14:00"}, "/not_before"),
        ({"not_before": 5}, "/not_before"),
        ({"not_before": "1796000000"}, "/not_before"),
        ({"after": "job-x"}, "/after"),
        ({"after": ["job-x"]}, "/after/0"),
        ({"after": [new_id("job")]}, "/after/0"),
        ({"reuse": 1}, "/reuse"),
    ],
)
def test_what_cannot_be_is_refused_by_field(
    client: httpx.Client, points: Dataset, change: dict[str, object], pointer: str
) -> None:
    answer = client.post("/v1/jobs", json={**SPEC, **change})
    assert pointers(problem(answer, 422)) == [pointer]
    (error,) = problem(answer, 422)["errors"]
    assert error["allowed"]
    assert pointer != "/not_before" or "2027-01-31T09:00:00Z" in str(error["allowed"]), error


def test_a_spec_with_everything_of_the_queue_can_be_submitted_again(client: httpx.Client, submit: Submit) -> None:
    first = submit()
    given = {"after": [first["id"]], "not_before": "2030-01-01T00:00:00+01:00", "retries": 1, "time_limit_s": 2.5}
    spec = submit(**given, reuse=True)["spec"]
    assert client.post("/v1/jobs", json=spec).json()["spec"] == spec
