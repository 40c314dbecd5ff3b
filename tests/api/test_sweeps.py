"""Sweeps over HTTP: what is taken, and everything wrong refused by its place before anything runs."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.services import Services
from service.datasets import Dataset
from service.errors import pointer_to
from tests.api.asking import SPEC, problem, strict

RATE = {"optimizer.learning_rate": {"log_uniform": [1e-3, 1.0]}}
SWEEP: dict[str, Any] = {"base": SPEC, "space": RATE, "trials": 3}


def send(client: httpx.Client, **changes: Any) -> httpx.Response:
    spec = {name: value for name, value in {**SWEEP, **changes}.items() if value is not None}
    return client.post("/v1/sweeps", json=spec)


def at(path: str, *parts: str | int) -> str:
    return pointer_to("space", path, *parts)


@pytest.fixture(autouse=True)
def _points(points: Dataset) -> None:
    """Its data set."""


def test_a_sweep_is_accepted_shown_and_listed(client: httpx.Client) -> None:
    answer = send(client, name="rates", seed=4)
    assert answer.status_code == 202
    body = strict(answer.content)
    assert answer.headers["location"] == f"/v1/sweeps/{body['id']}"
    assert body["status"] == "queued"
    assert body["progress"]["trials"] == 3
    assert body["best"] == []
    assert body["spec"]["space"]["optimizer.learning_rate"]["log_uniform"] == [1e-3, 1.0]
    assert strict(client.get(f"/v1/sweeps/{body['id']}").content) == body
    assert [one["id"] for one in client.get("/v1/sweeps").json()["items"]] == [body["id"]]
    assert client.get(f"/v1/sweeps/{body['id']}/trials").json() == {"items": [], "next_cursor": None}
    assert client.get("/v1/jobs", params={"sweep": body["id"]}).json()["items"] == []
    again = client.post("/v1/sweeps", json=body["spec"])
    assert again.status_code == 202, again.text


def test_a_dry_run_says_what_it_would_be_and_makes_nothing(client: httpx.Client) -> None:
    spec = {**SWEEP, "space": {"seed": {"grid": [1, 2]}, "epochs": {"int": [1, 3]}}, "sampler": "grid", "trials": None}
    answer = client.post("/v1/sweeps?dry_run=true", json=spec)
    assert answer.status_code == 200
    assert (answer.json()["trials"], answer.json()["jobs"]) == (6, 6)
    assert answer.json()["first"]["parameters"] > 0
    assert client.get("/v1/sweeps").json()["items"] == []


def test_a_key_makes_one_sweep_and_belongs_to_its_request(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k"}
    one, two = (client.post("/v1/sweeps", json=SWEEP, headers=headers) for _ in range(2))
    assert one.json()["id"] == two.json()["id"]
    problem(client.post("/v1/sweeps", json={**SWEEP, "trials": 4}, headers=headers), 409)
    problem(client.post("/v1/jobs", json=SPEC, headers=headers), 409)


def test_it_is_steered_and_extended(client: httpx.Client) -> None:
    where = f"/v1/sweeps/{send(client).json()['id']}"
    assert client.post(f"{where}/pause").json()["status"] == "paused"
    assert client.post(f"{where}/pause").json()["status"] == "paused"
    assert client.post(f"{where}/resume").json()["status"] == "queued"
    assert client.post(f"{where}/resume").json()["status"] == "queued"
    assert client.patch(where, json={"trials": 9}).json()["progress"]["trials"] == 9
    assert problem(client.patch(where, json={"trials": 8}), 422)["errors"][0]["pointer"] == "/trials"
    assert problem(client.patch(where, json={"trials": 9, "seed": 8}), 422)["errors"][0]["pointer"] == "/seed"
    assert client.post(f"{where}/cancel").json()["status"] == "cancelled"
    problem(client.post(f"{where}/resume"), 409)
    problem(client.get("/v1/sweeps/sweep-nothing"), 404)
    problem(client.get("/v1/jobs", params={"sweep": "sweep-nothing"}), 404)
    problem(client.get("/v1/events", params={"sweep": "sweep-nothing"}), 404)


def test_a_live_sweeps_data_set_is_not_deleted(client: httpx.Client, services: Services) -> None:
    uploaded = client.post(
        "/v1/datasets",
        params={"name": "own", "target": "b"},
        content=b"a,b\n" + b"".join(b"%d,%s\n" % (n, b"yn"[n % 2 : n % 2 + 1]) for n in range(40)),
        headers={"Content-Type": "text/csv"},
    )
    assert uploaded.status_code == 201, uploaded.text
    sweep = send(client, base={**SPEC, "dataset": "own"}).json()["id"]
    assert sweep in problem(client.delete("/v1/datasets/own"), 409)["detail"]
    client.post(f"/v1/sweeps/{sweep}/cancel")
    assert client.delete("/v1/datasets/own").status_code == 204


TWO = [{"metric": "validation_loss"}, {"metric": "parameter_count"}]
ODD = [8, {"units": 4, "activation": "tanh"}]
CIRCLE = {
    "seed": {"int": [1, 2], "when": {"epochs": 1}},
    "epochs": {"int": [1, 2], "when": {"seed": 1}},
}
GRID = {"seed": {"grid": [1, 2, 3]}, "epochs": {"grid": [1, 2, 3]}}


@pytest.mark.parametrize(
    ("pointer", "changes"),
    [
        (at("optimizer.rate"), {"space": {"optimizer.rate": {"uniform": [0.1, 1]}}}),
        (at("network.hidden.3"), {"space": {"network.hidden.3": {"int": [1, 9]}}}),
        (at("epochs.x"), {"space": {"epochs.x": {"int": [1, 9]}}}),
        (at("nothing"), {"space": {"nothing": {"categorical": [1, 2]}}}),
        (at("epochs", "int"), {"space": {"epochs": {"int": [9, 1]}}}),
        (
            at("optimizer.learning_rate", "log_uniform", 0),
            {"space": {"optimizer.learning_rate": {"log_uniform": [0, 1]}}},
        ),
        (at("optimizer.momentum", "uniform", 1), {"space": {"optimizer.momentum": {"uniform": [0, 1.5]}}}),
        (at("epochs", "step"), {"space": {"epochs": {"int": [1, 10], "step": 4}}}),
        (at("epochs"), {"space": {"epochs": {"range": [1, 10]}}}),
        (at("epochs"), {"space": {"epochs": {"int": [1, 10], "uniform": [1, 2]}}}),
        (at("epochs", "step"), {"space": {"epochs": {"uniform": [1, 10], "step": 2}}}),
        (at("optimizer.name", "categorical", 1), {"space": {"optimizer.name": {"categorical": ["sgd", "adams"]}}}),
        (at("optimizer.name", "categorical"), {"space": {"optimizer.name": {"categorical": []}}}),
        (at("seed", "categorical", 1), {"space": {"seed": {"categorical": [1, 1]}}}),
        (at("optimizer.beta1", "uniform", 0), {"space": {"optimizer.beta1": {"uniform": [0.5, 0.9]}}}),
        (at("loss", "categorical", 1), {"space": {"loss": {"categorical": ["auto", "poisson"]}}}),
        (at("dataset", "categorical", 1), {"space": {"dataset": {"categorical": ["points", "gone"]}}}),
        (at("seed", "when", "x"), {"space": {"seed": {"int": [1, 2], "when": {"x": 1}}}}),
        (
            at("seed", "when", "epochs"),
            {"space": {"seed": {"int": [1, 2], "when": {"epochs": 7}}, "epochs": {"grid": [1]}}},
        ),
        (at("epochs", "when", "seed"), {"space": CIRCLE}),
        ("/base/dataset", {"base": {"dataset": "gone"}}),
        ("/base/epochs", {"base": {**SPEC, "epochs": 0}}),
        ("/base/optimizer/beta1", {"base": {**SPEC, "optimizer": {"beta1": 0.5}}}),
        ("/sampler", {"sampler": "annealing"}),
        ("/sampler", {"sampler": "gp"}),
        ("/sampler/candidate", {"sampler": {"name": "tpe", "candidate": 3}}),
        ("/sampler/candidates", {"sampler": {"name": "tpe", "candidates": 0}}),
        ("/pruner", {"pruner": "mean"}),
        ("/pruner", {"pruner": "asha", "repeats": 2}),
        ("/pruner", {"pruner": "asha", "objectives": TWO}),
        ("/sampler", {"sampler": "cma_es", "objectives": TWO}),
        ("/objective/metric", {"objective": {"metric": "validation_r2"}}),
        ("/objective/direction", {"objective": {"direction": "down"}}),
        ("/objectives", {"objective": {}, "objectives": TWO}),
        ("/constraints/0/metric", {"constraints": [{"metric": "size", "max": 3}]}),
        ("/constraints/0", {"constraints": [{"metric": "parameter_count"}]}),
        ("/points/0/seed", {"points": [{"seed": 3}]}),
        ("/points/0/optimizer.learning_rate", {"points": [{"optimizer.learning_rate": 7}]}),
        ("/points/0", {"points": [{"seed": 3}], "sampler": "grid", "space": GRID}),
        (at("optimizer.learning_rate"), {"sampler": "grid"}),
        ("/space", {"sampler": "grid", "space": {"seed": {"int": [1, 10**9]}}}),
        ("/trials", {"trials": None}),
        ("/trials", {"trials": 10, "sampler": "grid", "space": GRID}),
        ("/trials", {"trials": 1, "points": [{"optimizer.learning_rate": 0.1}, {"optimizer.learning_rate": 0.2}]}),
        ("/trials", {"trials": 0}),
        ("/constraints/0/min", {"constraints": [{"metric": "parameter_count", "max": 1, "min": 2}]}),
        ("/parallel", {"parallel": 0}),
        ("/space", {"space": {}}),
        ("/trial", {"trial": 3}),
    ],
)
def test_what_is_wrong_is_refused_by_its_place(client: httpx.Client, pointer: str, changes: dict[str, Any]) -> None:
    body = problem(send(client, **changes), 422)
    assert [error["pointer"] for error in body["errors"]] == [pointer], body
    assert body["errors"][0]["allowed"], body
    assert client.get("/v1/sweeps").json()["items"] == []


def test_what_a_refusal_says(client: httpx.Client) -> None:
    def first(**changes: Any) -> dict[str, Any]:
        error: dict[str, Any] = problem(send(client, **changes), 422)["errors"][0]
        return error

    path = first(space={"optimizer.rate": {"uniform": [0.1, 1]}})
    assert "learning_rate" in path["allowed"]
    assert path["value"] == "optimizer.rate"
    assert "torch" in first(sampler="gp")["allowed"]
    assert "9 points" in first(trials=20, sampler="grid", space=GRID)["detail"]
    name = first(space={"optimizer.name": {"categorical": ["sgd", "adams"]}})
    assert name["value"] == "adams"
    assert "'adam'" in name["allowed"]


def test_conditions_and_choices_of_any_kind_are_taken(client: httpx.Client) -> None:
    space = {
        "optimizer.name": {"categorical": ["sgd", "adam"]},
        "optimizer.momentum": {"uniform": [0.0, 0.9], "when": {"optimizer.name": "sgd"}},
        "optimizer.beta1": {"uniform": [0.5, 0.9], "when": {"optimizer.name": "adam"}},
        "network.hidden": {"categorical": [[4], ODD]},
        "network.hidden.1.dropout": {"uniform": [0, 0.5], "when": {"network.hidden": ODD}},
        "early_stopping": {"categorical": [None, {"metric": "validation_loss", "patience": 2}]},
        "optimizer.schedule.name": {"categorical": ["constant", "cosine"]},
    }
    for sampler in ("random", "tpe", "cma_es", "qmc", "nsga2"):
        assert send(client, space=space, sampler=sampler).status_code == 202, send(client, space=space).text


def test_a_direction_that_looks_for_the_worst_is_warned_of(client: httpx.Client) -> None:
    body = send(client, objective={"metric": "validation_accuracy"}).json()
    assert any("validation_accuracy is minimized" in warning for warning in body["warnings"])
