"""Aliases over HTTP: one PUT promotes a model, and its alias is taken wherever a model is asked for."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.services import Services
from service.errors import Diverged
from service.sweeper_process import sweeper_of
from tests.api.asking import SPEC, Claim, pointers, problem, strict, succeed
from tests.api.test_models import evaluate, predict
from tests.api.trained import Trained

ALIAS = "/v1/models/aliases/production"


@pytest.fixture
def alias(client: httpx.Client, trained: Trained) -> dict[str, Any]:
    answer = client.put(ALIAS, json={"model": trained.id})
    assert answer.status_code == 201
    found: dict[str, Any] = strict(answer.content)
    return found


def test_one_call_promotes(client: httpx.Client, trained: Trained, alias: dict[str, Any]) -> None:
    assert (alias["name"], alias["model_id"]) == ("production", trained.id)
    again = client.put(ALIAS, json={"model": trained.id})
    assert (again.status_code, again.json()) == (200, alias)
    assert client.get("/v1/models/aliases").json() == {"items": [alias], "next_cursor": None}
    assert client.delete(ALIAS).status_code == 204
    assert client.get("/v1/models/aliases").json()["items"] == []
    problem(client.delete(ALIAS), 404)
    problem(client.get("/v1/models/production"), 404)


def test_it_is_taken_wherever_a_model_is(client: httpx.Client, trained: Trained, alias: dict[str, Any]) -> None:
    for path in ("", "/card", "/download?format=npz"):
        by_id, by_alias = (client.get(f"/v1/models/{named}{path}") for named in (trained.id, "production"))
        assert by_alias.status_code == 200
        assert by_alias.content == by_id.content
        assert by_alias.headers.get("content-disposition") == by_id.headers.get("content-disposition")
    rows = [[1.5, "red"], [2, "green"]]
    assert predict(client, "production", rows).json() == predict(client, trained.id, rows).json()
    assert evaluate(client, "production", "colours").json() == evaluate(client, trained.id, "colours").json()
    step = {"row": rows[0], "target": "yes"}
    found = [client.post(f"/v1/models/{named}/explain-step", json=step) for named in (trained.id, "production")]
    assert found[0].json() == found[1].json()


def test_a_warm_start_takes_the_model_that_has_it_now(
    client: httpx.Client, trained: Trained, alias: dict[str, Any], claim: Claim
) -> None:
    body = {"dataset": "colours", "warm_start": {"model": "production"}, "epochs": 1}
    job = client.post("/v1/jobs", json=body)
    assert job.status_code == 202
    assert job.json()["spec"]["warm_start"]["model"] == trained.id
    refused = problem(client.post("/v1/jobs", json={**body, "warm_start": {"model": "nothing"}}), 422)
    assert pointers(refused) == ["/warm_start/model"]
    assert refused["errors"][0]["allowed"] == "the id or an alias of a model"


@pytest.mark.parametrize("place", ["base", "choice", "whole"])
def test_all_trials_of_a_sweep_begin_with_the_model_that_had_it_first(
    client: httpx.Client, services: Services, trained: Trained, alias: dict[str, Any], claim: Claim, place: str
) -> None:
    assert client.post("/v1/jobs", json={"dataset": "colours"}).status_code == 202
    other = succeed(services, claim())
    base, start = {"dataset": "colours", "epochs": 1}, {"model": "production"}
    spec: dict[str, Any] = {"base": base, "space": {"seed": {"grid": [1, 2]}}, "sampler": "grid", "parallel": 1}
    if place == "base":
        base["warm_start"] = start
    elif place == "choice":
        spec["space"]["warm_start.model"] = {"categorical": ["production"]}
        spec["points"] = [{"warm_start.model": "production", "seed": 1}]
    else:
        when = {"warm_start": start}
        spec["space"] |= {"warm_start": {"grid": [start]}, "batch_size": {"grid": [8], "when": when}}
    answer = client.post("/v1/sweeps", json=spec)
    assert answer.status_code == 202, answer.text
    sweep = answer.json()
    assert client.put(ALIAS, json={"model": other}).status_code == 200
    sweeper = sweeper_of(services.store, services.settings)
    for _ in range(2):
        sweeper.tick()
        claimed = claim()
        assert claimed.job.sweep == sweep["id"]
        assert claimed.job.spec.warm_start is not None
        assert claimed.job.spec.warm_start.model == trained.id
        services.queue.fail(claimed.lease, Diverged("on purpose"))
    assert client.post("/v1/sweeps?dry_run=true", json=sweep["spec"]).status_code == 200
    assert trained.id in str(sweep["spec"])
    assert "production" not in str(sweep["spec"])


def test_a_sweep_of_models_that_are_none_is_refused_by_the_place(client: httpx.Client, trained: Trained) -> None:
    spec = {"base": {"dataset": "colours"}, "trials": 1}
    space = {"warm_start.model": {"categorical": [trained.id, "nothing"]}}
    refused = problem(client.post("/v1/sweeps", json={**spec, "space": space}), 422)
    assert pointers(refused) == ["/space/warm_start.model/categorical/1"]


def test_a_model_with_an_alias_is_not_deleted(client: httpx.Client, trained: Trained, alias: dict[str, Any]) -> None:
    for named in (trained.id, "production"):
        assert "'production'" in problem(client.delete(f"/v1/models/{named}"), 409)["detail"]
    assert client.delete(ALIAS).status_code == 204
    assert client.delete(f"/v1/models/{trained.id}").status_code == 204
    problem(client.get(f"/v1/models/{trained.id}"), 404)


@pytest.mark.parametrize(
    ("name", "body", "pointer"),
    [
        ("model-aaaaaaaaaaaaaaaaaaaa", {}, "/name"),
        ("aliases", {}, "/name"),
        (".hidden", {}, "/name"),
        ("x" * 201, {}, "/name"),
        ("production", {"model": "nothing"}, "/model"),
        ("production", {"model": "model-aaaaaaaaaaaaaaaaaaaa"}, "/model"),
        ("production", {"model": None}, "/model"),
        ("production", {"model": ""}, "/model"),
        ("production", {"models": "x"}, "/models"),
    ],
)
def test_what_cannot_be_is_named(
    client: httpx.Client, trained: Trained, name: str, body: dict[str, Any], pointer: str
) -> None:
    refused = problem(client.put(f"/v1/models/aliases/{name}", json={"model": trained.id, **body}), 422)
    assert pointers(refused) == [pointer]
    assert refused["errors"][0]["allowed"]
    assert client.get("/v1/models/aliases").json()["items"] == []


def test_a_body_is_needed(client: httpx.Client, trained: Trained) -> None:
    assert pointers(problem(client.put(ALIAS, json={}), 422)) == ["/model"]
    problem(client.put(ALIAS, json=SPEC), 422)
    problem(client.put(ALIAS, content=b"{", headers={"Content-Type": "application/json"}), 400)
    problem(client.put(ALIAS, content=b"x", headers={"Content-Type": "text/csv"}), 415)
    assert problem(client.post(ALIAS, json={"model": trained.id}), 405)["detail"]
