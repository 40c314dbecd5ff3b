"""The OpenAPI document is whole, and what it says of answers is so."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from api.services import Services
from tests.api.asking import Claim, Submit, strict, succeed

METHODS = {"get", "post", "delete", "patch"}
CALLS = {
    "/v1/datasets": {"get", "post"},
    "/v1/datasets/{dataset}": {"get", "delete"},
    "/v1/datasets/{dataset}/preview": {"get"},
    "/v1/jobs": {"get", "post"},
    "/v1/jobs/{job_id}": {"get"},
    "/v1/jobs/{job_id}/cancel": {"post"},
    "/v1/jobs/{job_id}/pause": {"post"},
    "/v1/jobs/{job_id}/resume": {"post"},
    "/v1/jobs/{job_id}/retry": {"post"},
    "/v1/jobs/{job_id}/metrics": {"get"},
    "/v1/jobs/{job_id}/events": {"get"},
    "/v1/jobs/{job_id}/logs": {"get"},
    "/v1/sweeps": {"get", "post"},
    "/v1/sweeps/{sweep_id}": {"get", "patch"},
    "/v1/sweeps/{sweep_id}/trials": {"get"},
    "/v1/sweeps/{sweep_id}/best": {"get"},
    "/v1/sweeps/{sweep_id}/importances": {"get"},
    "/v1/sweeps/{sweep_id}/figures/{figure}": {"get"},
    "/v1/sweeps/{sweep_id}/export": {"get"},
    "/v1/sweeps/{sweep_id}/cancel": {"post"},
    "/v1/sweeps/{sweep_id}/pause": {"post"},
    "/v1/sweeps/{sweep_id}/resume": {"post"},
    "/v1/events": {"get"},
    "/v1/models": {"get"},
    "/v1/models/aliases": {"get"},
    "/v1/models/aliases/{name}": {"put", "delete"},
    "/v1/models/{model_id}": {"get", "delete"},
    "/v1/models/{model_id}/card": {"get"},
    "/v1/models/{model_id}/download": {"get"},
    "/v1/models/{model_id}/predict": {"post"},
    "/v1/models/{model_id}/evaluate": {"post"},
    "/v1/models/{model_id}/explain-step": {"post"},
    "/v1/cluster": {"get"},
    "/healthz": {"get"},
    "/readyz": {"get"},
    "/metrics": {"get"},
    "/": {"get"},
}


@pytest.fixture
def document(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = strict(client.get("/openapi.json").content)
    return found


def test_every_call_is_documented(document: dict[str, Any]) -> None:
    assert {path: set(methods) for path, methods in document["paths"].items()} == CALLS


def test_every_call_says_what_it_is_and_which_problems_it_has(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            assert call["description"], (method, path)
            if path.startswith("/v1"):
                assert {"401", "403", "422", "503"} <= set(call["responses"]), (method, path)
            for status, answer in call["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"], (method, path, status)


def test_every_reference_has_its_target(document: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if "$ref" in node else []
            return own + [found for child in node.values() for found in references(child)]
        return [found for child in node for found in references(child)] if isinstance(node, list) else []

    found = references(document)
    assert len(found) > 50
    for reference in found:
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_the_job_spec_is_documented_with_its_limits(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    body = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    spec = schemas[body["$ref"].rpartition("/")[2]]
    assert spec["additionalProperties"] is False
    assert spec["properties"]["epochs"]["minimum"] == 1
    assert "dataset" in spec["required"]


def test_answers_are_as_documented(
    client: httpx.Client, document: dict[str, Any], submit: Submit, claim: Claim, services: Services
) -> None:
    waits = submit(seed=1)["id"]
    job = submit(priority=1, tags={"a": "b"})["id"]
    claimed = claim()
    services.queue.beat(claimed.lease, {"epoch": 1, "step": 3, "steps": 9, "fraction": 0.3})
    row = {"epoch": 1, "train_loss": 0.5, "learning_rate": 0.1, "samples_per_s": None}
    services.queue.record_epoch(claimed.lease, row)
    services.queue.log(claimed.lease, "info", "a line")
    result = {"weights_sha256": "0" * 64, "fingerprint": {}, "seconds": 1.0, "workers_used": 1}
    model = succeed(services, claimed, **result, best_epoch=None, stopped_by=None)
    services.aliases.set("default", "production", model)
    asked = {
        "/v1/jobs": "/v1/jobs",
        f"/v1/jobs/{job}": "/v1/jobs/{job_id}",
        f"/v1/jobs/{waits}": "/v1/jobs/{job_id}",
        f"/v1/jobs/{job}/metrics": "/v1/jobs/{job_id}/metrics",
        f"/v1/jobs/{job}/logs": "/v1/jobs/{job_id}/logs",
        "/v1/datasets": "/v1/datasets",
        "/v1/datasets/points": "/v1/datasets/{dataset}",
        "/v1/cluster": "/v1/cluster",
        "/healthz": "/healthz",
        "/v1/jobs/nothing": "/v1/jobs/{job_id}",
        "/readyz": "/readyz",
        "/v1/models/aliases": "/v1/models/aliases",
        "/v1/models?limit=x": "/v1/models",
    }
    for url, path in asked.items():
        answer = client.get(url)
        hold(document, document["paths"][path]["get"], answer)


def hold(document: dict[str, Any], call: dict[str, Any], answer: httpx.Response) -> None:
    """Validate an answer by what the document says of it."""
    described = call["responses"][str(answer.status_code)]["content"]
    schema = described[answer.headers["content-type"]]["schema"]
    validator = Draft202012Validator({**schema, "components": document["components"]})
    assert [error.message for error in validator.iter_errors(strict(answer.content))] == []


def test_with_keys_the_document_says_so(guarded: httpx.Client) -> None:
    found = guarded.get("/openapi.json", headers={"Authorization": "Bearer reader"}).json()
    assert found["security"] == [{"key": []}]
