"""Lists: what matched throughout comes exactly once, whatever happens meanwhile; parameters are checked by name."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from api.services import Services
from service.datasets import Dataset
from tests.api.asking import SPEC, Claim, Submit, pointers, problem, record, succeed, two_classes

LISTS = ["/v1/jobs", "/v1/datasets", "/v1/models"]


def walk(client: httpx.Client, path: str, between: Any = None, **params: Any) -> list[str]:
    """Ids of all pages of seven; `between` happens after each."""
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get(path, params={**params, **cursor, "limit": 7}).json()
        assert len(page["items"]) <= 7
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            return seen
        cursor = {"cursor": page["next_cursor"]}
        if between is not None:
            between()


def test_each_job_comes_once_while_others_come_and_go(
    client: httpx.Client, submit: Submit, claim: Claim, services: Services
) -> None:
    with ThreadPoolExecutor(8) as threads:
        jobs = list(threads.map(lambda number: submit(seed=number, tags={"kind": "old"})["id"], range(60)))
    stays = set(jobs[10:])
    goes = iter(jobs[:10])

    def meanwhile() -> None:
        submit(tags={"kind": "new"})
        client.post(f"/v1/jobs/{next(goes)}/cancel")

    for filters in ({}, {"status": "queued"}, {"tag": "kind=old"}, {"tag": "kind", "status": "queued"}):
        goes = iter(jobs[:10])
        counted = Counter(walk(client, "/v1/jobs", meanwhile, **filters))
        assert all(counted[job] == 1 for job in stays), filters
        assert set(counted.values()) == {1}, filters


def test_jobs_come_newest_first(client: httpx.Client, submit: Submit) -> None:
    jobs = [submit(seed=number)["id"] for number in range(9)]
    assert walk(client, "/v1/jobs") == jobs[::-1]


def test_a_job_that_ends_meanwhile_is_found_under_one_status_at_most(
    client: httpx.Client, submit: Submit, claim: Claim, services: Services
) -> None:
    jobs = {submit(seed=number)["id"] for number in range(20)}
    seen = walk(client, "/v1/jobs", lambda: succeed(services, claim()), status="queued")
    ended = walk(client, "/v1/jobs", status="succeeded")
    assert len(seen) == len(set(seen))
    assert set(seen) | set(ended) == jobs


def test_data_sets_and_models_are_paged_too(
    client: httpx.Client, submit: Submit, claim: Claim, services: Services
) -> None:
    datasets = [record(services, two_classes(name=f"set {number}")).id for number in range(8)]
    assert walk(client, "/v1/datasets")[:8] == datasets[::-1]
    models = []
    for number in range(8):
        submit(seed=number)
        models.append(succeed(services, claim()))
    assert walk(client, "/v1/models") == models[::-1]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("limit", ["0", "-1", "501", "x", "", "1e2", "9" * 5000])
def test_a_limit_out_of_range_is_named(client: httpx.Client, path: str, limit: str) -> None:
    assert pointers(problem(client.get(path, params={"limit": limit}), 422)) == ["/limit"]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("cursor", ["", "x", "MTIz", "../..", "%00", "ä", "A" * 200, "A" * 201])
def test_a_broken_cursor_is_named(client: httpx.Client, path: str, cursor: str) -> None:
    assert pointers(problem(client.get(path, params={"cursor": cursor}), 422)) == ["/cursor"]


def test_a_cursor_of_another_filter_is_named(client: httpx.Client, submit: Submit) -> None:
    for number in range(2):
        submit(seed=number)
    cursor = client.get("/v1/jobs", params={"limit": 1}).json()["next_cursor"]
    for params in ({"status": "queued"}, {"tag": "a"}):
        assert pointers(problem(client.get("/v1/jobs", params={**params, "cursor": cursor}), 422)) == ["/cursor"]


def test_fifty_items_are_the_default(client: httpx.Client, submit: Submit) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: submit(seed=number), range(51)))
    page = client.get("/v1/jobs").json()
    assert len(page["items"]) == 50
    assert page["next_cursor"]


@pytest.mark.parametrize("path", [*LISTS, "/v1/cluster", "/healthz", "/v1/jobs/job-aaaaaaaaaaaaaaaaaaaa"])
def test_an_unknown_parameter_is_named_with_those_there_are(client: httpx.Client, path: str) -> None:
    body = problem(client.get(path, params={"limitt": "1"}), 422)
    assert pointers(body) == ["/limitt"]
    assert isinstance(body["errors"][0]["allowed"], list)


def test_a_parameter_given_twice_is_named(client: httpx.Client) -> None:
    assert pointers(problem(client.get("/v1/jobs?status=queued&status=running"), 422)) == ["/status"]


def test_an_unknown_status_is_named_with_those_there_are(client: httpx.Client) -> None:
    body = problem(client.get("/v1/jobs", params={"status": "done"}), 422)
    assert pointers(body) == ["/status"]
    assert "succeeded" in str(body["errors"][0]["allowed"])


def test_unknown_parameters_change_nothing(client: httpx.Client, points: Dataset) -> None:
    problem(client.post("/v1/jobs?dryrun=true", json=SPEC), 422)
    assert client.get("/v1/jobs").json()["items"] == []


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/jobs", "GET, POST"),
        ("PUT", "/v1/datasets/x", "GET, DELETE"),
        ("PATCH", "/v1/models/x", "GET, DELETE"),
        ("GET", "/v1/jobs/x/cancel", "POST"),
        ("POST", "/healthz", "GET"),
        ("OPTIONS", "/v1/jobs", "GET, POST"),
    ],
)
def test_a_method_that_is_not_taken_says_which_are(client: httpx.Client, method: str, path: str, allow: str) -> None:
    answer = client.request(method, path)
    problem(answer, 405)
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize("path", ["/v1", "/v1/job", "/v1/jobs/", "/v1/events?job=x", "/docs", "/redoc", "/static/x"])
def test_an_unknown_route_is_not_found(client: httpx.Client, path: str) -> None:
    problem(client.get(path), 404)
