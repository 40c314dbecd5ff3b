"""Models over HTTP: shown, downloaded, predicting raw rows, deleted."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load

from api.services import Services
from service.datasets import Dataset
from service.models import save_model
from service.preparation import prepare
from service.resolution import resolve
from tests.api.asking import Claim, pointers, problem, strict
from workers import kernels
from workers.mlp.initializers import initialize
from workers.mlp.parameters import Parameters

UNKNOWN = "model-aaaaaaaaaaaaaaaaaaaa"
CSV = b"x,colour,label\n" + b"".join(
    b"%f,%s,%s\n" % (n / 7, [b"red", b"green"][n % 2], [b"no", b"yes"][n % 3 == 0]) for n in range(60)
)


@dataclass(frozen=True)
class Trained:
    """A model as it is after no step at all, which is as good as any here."""

    id: str
    job: str
    parameters: Parameters

    @property
    def arrays(self) -> dict[str, NDArray[np.floating]]:
        return self.parameters.named()


@pytest.fixture
def trained(client: httpx.Client, services: Services, claim: Claim) -> Trained:
    params, headers = {"name": "colours", "target": "label"}, {"Content-Type": "text/csv"}
    assert client.post("/v1/datasets", params=params, content=CSV, headers=headers).status_code == 201
    assert client.post("/v1/jobs", json={"dataset": "colours", "network": {"hidden": [5, 3]}}).status_code == 202
    claimed = claim()
    dataset = Dataset.from_document(services.datasets.find("default", "colours"))
    resolution = resolve(claimed.job.spec, dataset)
    prepared = prepare(resolution.spec, dataset, services.artifacts, services.datasets, services.settings.cache_path)
    parameters = Parameters(resolution.architecture)
    initialize(parameters, 0)
    result = {"weights_sha256": parameters.sha256(), "fingerprint": kernels.fingerprint(), "train_loss": 0.5}
    document = save_model(
        claimed.job, claimed.lease, result, parameters, dataset, resolution, prepared, services.artifacts
    )
    services.queue.succeed(claimed.lease, {**result, "model_id": document["id"]}, document)
    return Trained(document["id"], claimed.job.id, parameters)


def test_a_model_is_shown_without_where_it_lies(client: httpx.Client, trained: Trained) -> None:
    found = strict(client.get(f"/v1/models/{trained.id}").content)
    assert found["job_id"] == trained.job
    assert found["weights_sha256"] == trained.parameters.sha256()
    assert found["classes"] == ["no", "yes"]
    assert found["metrics"] == {"train_loss": 0.5}
    assert not {"path", "sha256", "tenant"} & set(found)
    assert client.get("/v1/models").json()["items"] == [found]
    job = client.get(f"/v1/jobs/{trained.job}").json()
    assert client.get(job["links"]["model"]).json() == found


def test_both_downloads_hold_the_same_arrays(client: httpx.Client, trained: Trained) -> None:
    here = f"/v1/models/{trained.id}/download"
    answers = {form: client.get(here, params={"format": form}) for form in ("npz", "safetensors")}
    for form, answer in answers.items():
        assert answer.headers["content-disposition"] == f'attachment; filename="{trained.id}.{form}"'
    with np.load(io.BytesIO(answers["npz"].content), allow_pickle=False) as opened:
        arrays = {"npz": dict(opened), "safetensors": load(answers["safetensors"].content)}
    for found in arrays.values():
        assert set(found) == set(trained.arrays)
        assert all(np.array_equal(found[name], array) for name, array in trained.arrays.items())
        digest = hashlib.sha256()
        for layer in (1, 2, 3):
            digest.update(np.ascontiguousarray(found[f"W{layer}"]).tobytes() + found[f"b{layer}"].tobytes())
        assert digest.hexdigest() == trained.parameters.sha256()


def predict(client: httpx.Client, model_id: str, rows: Any) -> httpx.Response:
    return client.post(f"/v1/models/{model_id}/predict", json={"rows": rows})


def test_rows_are_lists_or_objects(client: httpx.Client, trained: Trained) -> None:
    lists = strict(predict(client, trained.id, [[1.5, "red"], [-2, "green"]]).content)
    objects = predict(client, trained.id, [{"colour": "red", "x": 1.5}, {"x": -2, "colour": "green"}]).json()
    assert lists == objects
    for prediction in lists["predictions"]:
        assert prediction["class"] in ("no", "yes")
        assert sum(prediction["probabilities"].values()) == pytest.approx(1)


def test_what_overflows_is_null(client: httpx.Client, trained: Trained) -> None:
    answer = predict(client, trained.id, [[1e308, "red"], [1e38, "red"], [0, "red"]])
    assert answer.status_code == 200
    assert len(strict(answer.content)["predictions"]) == 3


BAD_ROWS: list[tuple[Any, str]] = [
    ([[1.5]], "/rows/0"),
    ([[1.5, "red", 3]], "/rows/0"),
    ([[1.5, "red"], ["a", "red"]], "/rows/1/0"),
    ([[1.5, "blue"]], "/rows/0/1"),
    ([[True, "red"]], "/rows/0/0"),
    ([[None, "red"]], "/rows/0/0"),
    ([[10**18, "red"], [[1], "red"]], "/rows/1/0"),
    ([[{"a": {}}, "red"]], "/rows/0/0"),
    ([{"x": 1.5}], "/rows/0/colour"),
    ([[1.5, "red"], {"x": 1.5, "colour": "red"}], "/rows/1"),
    (["row"], "/rows/0"),
    ([], "/rows"),
    (None, "/rows"),
    ({}, "/rows"),
    ("rows", "/rows"),
]


def test_a_row_that_cannot_be_predicted_is_named(client: httpx.Client, trained: Trained) -> None:
    for rows, pointer in BAD_ROWS:
        body = problem(predict(client, trained.id, rows), 422)
        assert pointers(body) == [pointer], rows
        assert body["errors"][0]["allowed"]


def test_no_depth_of_a_cell_is_too_much(client: httpx.Client, trained: Trained) -> None:
    nested = "[" * 1019 + "]" * 1019  # the JSON reader takes 1,024
    for rows in (f'[[{nested}, "red"]]', f"[{nested}]"):
        content = f'{{"rows": {rows}}}'.encode()
        headers = {"Content-Type": "application/json"}
        problem(client.post(f"/v1/models/{trained.id}/predict", content=content, headers=headers), 422)


def test_ten_thousand_rows_and_no_more(client: httpx.Client, trained: Trained) -> None:
    assert len(predict(client, trained.id, [[1.5, "red"]] * 10_000).json()["predictions"]) == 10_000
    body = problem(predict(client, trained.id, [[1.5, "red"]] * 10_001), 413)
    assert "10000" in str(body["errors"][0]["allowed"])


def test_a_deleted_model_is_gone_everywhere(client: httpx.Client, trained: Trained, services: Services) -> None:
    assert predict(client, trained.id, [[1.5, "red"]]).status_code == 200
    assert client.delete(f"/v1/models/{trained.id}").status_code == 204
    for answer in (
        client.get(f"/v1/models/{trained.id}"),
        client.get(f"/v1/models/{trained.id}/download"),
        predict(client, trained.id, [[1.5, "red"]]),
        client.delete(f"/v1/models/{trained.id}"),
    ):
        problem(answer, 404)
    assert not list((services.settings.data_dir / "artifacts").glob(f"models/{trained.job}/*"))


def test_the_model_outlives_its_data_set(client: httpx.Client, trained: Trained) -> None:
    assert client.delete("/v1/datasets/colours").status_code == 204
    assert predict(client, trained.id, [[1.5, "red"]]).status_code == 200
    problem(client.post(f"/v1/jobs/{trained.job}/retry"), 409)


def test_a_model_that_is_not_there_is_not_found(client: httpx.Client) -> None:
    problem(predict(client, UNKNOWN, [[1]]), 404)
    problem(client.get(f"/v1/models/{UNKNOWN}/download"), 404)
