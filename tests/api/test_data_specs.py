"""What a job learns from, over HTTP: what is asked of the data, and which words refuse it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.asking import pointers, problem, strict

FIELDS = [
    ({"target": []}, "/data/target"),
    ({"target": 7}, "/data/target"),
    ({"target": ["x", 7]}, "/data/target"),
    ({"class_weight": "even"}, "/data/class_weight"),
    ({"class_weight": {"a": -1}}, "/data/class_weight"),
    ({"class_weight": {}}, "/data/class_weight"),
    ({"missing": "drop"}, "/data/missing"),
    ({"folds": 1}, "/data/folds"),
    ({"sample_weight": ""}, "/data/sample_weight"),
]


def upload(client: httpx.Client, name: str, content: str) -> str:
    params, headers = {"name": name, "target": "label"}, {"Content-Type": "text/csv"}
    answer = client.post("/v1/datasets", params=params, content=content, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def ask(client: httpx.Client, **data: Any) -> httpx.Response:
    return client.post("/v1/jobs", params={"dry_run": True}, json={"dataset": "train", "data": data})


@pytest.fixture
def train(client: httpx.Client) -> str:
    return upload(client, "train", "x,w,label\n1.5,1,no\n2.5,2,yes\n3.5,1,no\n")


@pytest.mark.parametrize(("data", "pointer"), FIELDS)
def test_what_a_field_cannot_hold_is_named(
    client: httpx.Client, train: str, data: dict[str, Any], pointer: str
) -> None:
    body = problem(ask(client, **data), 422)
    assert pointers(body)[0].startswith(pointer)
    assert all(error["allowed"] for error in body["errors"])


def test_a_data_set_to_validate_on_is_named_or_given_by_id(client: httpx.Client, train: str) -> None:
    other = upload(client, "check", "label,w,x\nyes,3,2.5\nno,4,9\n")
    for named in ("check", other):
        found = strict(ask(client, validation_dataset=named, sample_weight="w", class_weight={"yes": 2}).content)
        assert found["spec"]["data"]["validation_dataset"] == other
        assert (found["train_rows"], found["validation_rows"], found["inputs"]) == (3, 2, 1)
    again = client.post("/v1/jobs", params={"dry_run": True}, json=found["spec"])
    assert strict(again.content)["spec"] == found["spec"]


def test_one_that_is_not_there_is_named_by_its_own_field(client: httpx.Client, train: str) -> None:
    body = problem(ask(client, validation_dataset="nothing"), 422)
    assert pointers(body) == ["/data/validation_dataset"]
    assert body["title"] == "Unknown data set"


def test_it_stays_while_a_job_lives(client: httpx.Client, train: str) -> None:
    other = upload(client, "check", "label,w,x\nyes,3,2.5\nno,4,9\n")
    spec = {"dataset": "train", "data": {"validation_dataset": "check", "features": ["x"]}}
    job = client.post("/v1/jobs", json=spec)
    assert job.status_code == 202
    problem(client.delete(f"/v1/datasets/{other}"), 409)
    client.post(f"/v1/jobs/{job.json()['id']}/cancel")
    assert client.delete(f"/v1/datasets/{other}").status_code == 204
