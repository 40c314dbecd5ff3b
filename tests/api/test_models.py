"""Models over HTTP: shown, downloaded, predicting raw rows, deleted."""

from __future__ import annotations

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import load

from api.services import EVALUATIONS, Services
from service.datasets import Dataset
from tests.api.asking import pointers, problem, strict, wait_until
from tests.api.trained import CSV, Trained
from tests.service.in_onnx_runtime import run
from workers import kernels

UNKNOWN = "model-aaaaaaaaaaaaaaaaaaaa"


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


def test_the_card_says_what_the_model_is_made_of(client: httpx.Client, trained: Trained, services: Services) -> None:
    card = strict(client.get(f"/v1/models/{trained.id}/card").content)
    data = Dataset.from_document(services.datasets.find("default", "colours"))
    assert card["model"]["weights_sha256"] == trained.parameters.sha256()
    assert {name: card["dataset"][name] for name in ("id", "name", "sha256", "rows")} == {
        "id": data.id,
        "name": "colours",
        "sha256": hashlib.sha256(CSV).hexdigest(),
        "rows": 60,
    }
    assert card["dataset"]["train_rows"] + card["dataset"]["validation_rows"] == 60
    assert [one["column"] for one in card["takes"]] == ["x", "colour"]
    assert card["takes"][1] == {"column": "colour", "inputs": 2, "allowed": ["green", "red"]}
    assert card["gives"] == {"task": "binary", "targets": [{"column": "label", "classes": ["no", "yes"]}]}
    assert card["network"]["parameters"] == sum(array.size for array in trained.arrays.values())
    assert card["spec"] == client.get(f"/v1/jobs/{trained.job}").json()["spec"]
    assert {"python", "deltaq", "numpy"} <= set(card["versions"])
    assert (card["metrics"], card["fingerprint"]) == ({"train_loss": 0.5}, kernels.fingerprint())


def test_the_onnx_download_predicts_from_raw_columns(client: httpx.Client, trained: Trained) -> None:
    rows = [[1.5, "red"], [-2.0, "green"], [7.0, "red"]]
    answer = client.get(f"/v1/models/{trained.id}/download", params={"format": "onnx"})
    assert answer.headers["content-disposition"] == f'attachment; filename="{trained.id}.onnx"'
    x, colour = (np.array(column).reshape(-1, 1) for column in zip(*rows, strict=True))
    found = run(answer.content, {"x": x, "colour": colour.astype(object)})
    expected = predict(client, trained.id, rows).json()["predictions"]
    assert found["label"].tolist() == [one["class"] for one in expected]
    probabilities = [list(one["probabilities"].values()) for one in expected]
    assert np.allclose(found["probabilities"], probabilities, rtol=0, atol=1e-5)


def test_a_step_is_explained_and_changes_nothing(client: httpx.Client, trained: Trained) -> None:
    body = {"row": {"x": 1.5, "colour": "red"}, "target": "yes"}
    found = strict(client.post(f"/v1/models/{trained.id}/explain-step", json=body).content)
    assert (found["learning_rate"], found["target"], len(found["layers"])) == (0.1, [1.0], 3)
    assert found["before"]["prediction"] == predict(client, trained.id, [[1.5, "red"]]).json()["predictions"][0]
    assert found["after"]["output"] > found["before"]["output"]
    first = found["layers"][0]
    assert np.array_equal(np.array(first["before"]["W"], np.float32), trained.arrays["W1"])
    again = client.post(f"/v1/models/{trained.id}/explain-step", json={**body, "learning_rate": 0}).json()
    assert again["after"] == again["before"] == found["before"]


BAD_STEPS: list[tuple[Any, str]] = [
    ({"row": [1.5, "red"]}, "/target"),
    ({"target": "yes"}, "/row"),
    ({"row": [1.5, "red"], "target": "maybe"}, "/target"),
    ({"row": ["x", "red"], "target": "yes"}, "/row/0"),
    ({"row": [1.5], "target": "yes"}, "/row"),
    ({"row": 5, "target": "yes"}, "/row"),
    ({"row": [1.5, "red"], "target": "yes", "learning_rate": -1}, "/learning_rate"),
    ({"row": [1.5, "red"], "target": "yes", "learning_rate": "fast"}, "/learning_rate"),
    ({"row": [1.5, "red"], "target": "yes", "rate": 1}, "/rate"),
]


def test_a_step_that_cannot_be_explained_is_named(client: httpx.Client, trained: Trained) -> None:
    for body, pointer in BAD_STEPS:
        refused = problem(client.post(f"/v1/models/{trained.id}/explain-step", json=body), 422)
        assert pointers(refused) == [pointer], body
        assert "required" not in str(refused["errors"][0]["allowed"]), body


def predict(client: httpx.Client, model_id: str, rows: Any) -> httpx.Response:
    return client.post(f"/v1/models/{model_id}/predict", json={"rows": rows})


def evaluate(client: httpx.Client, model_id: str, dataset: Any) -> httpx.Response:
    return client.post(f"/v1/models/{model_id}/evaluate", json={"dataset": dataset})


def test_a_model_is_measured_on_a_data_set(client: httpx.Client, trained: Trained) -> None:
    found = strict(evaluate(client, trained.id, "colours").content)
    table = [line.split(",") for line in CSV.decode().splitlines()[1:]]
    answers = predict(client, trained.id, [[float(x), colour] for x, colour, _ in table]).json()["predictions"]
    truth, chosen = [label for _, _, label in table], [one["class"] for one in answers]
    pairs = list(zip(truth, chosen, strict=True))
    assert (found["rows"], found["warnings"], found["model_id"]) == (60, [], trained.id)
    assert found["confusion_matrix"] == {
        "classes": ["no", "yes"],
        "matrix": [[pairs.count((true, guess)) for guess in ("no", "yes")] for true in ("no", "yes")],
    }
    assert found["metrics"]["accuracy"] == sum(true == guess for true, guess in pairs) / 60
    assert list(found["metrics"]) == ["accuracy", "balanced_accuracy", "f1", "auc", "log_loss"]
    by_id = client.get("/v1/datasets/colours").json()["id"]
    assert evaluate(client, trained.id, by_id).json() == found


UNFIT = {
    "another class": (b"x,colour,label\n1,red,no\n2,green,maybe\n", "'maybe'", "of the classes 'no', 'yes'"),
    "no such column": (b"x,label\n1,no\n2,yes\n", "'colour'", "text in column 'colour'"),
    "a missing value": (b"x,colour,label\n,red,no\n2,red,yes\n", "'x'", "numbers in column 'x', in every row"),
    "another kind": (b"x,colour,label\none,red,no\ntwo,red,yes\n", "'x'", "numbers in column 'x'"),
}


@pytest.mark.parametrize("what", UNFIT)
def test_a_data_set_that_does_not_fit_is_refused_by_its_column(
    client: httpx.Client, trained: Trained, what: str
) -> None:
    content, named, allowed = UNFIT[what]
    params, headers = {"name": "other", "target": "label"}, {"Content-Type": "text/csv"}
    assert client.post("/v1/datasets", params=params, content=content, headers=headers).status_code == 201
    refused = problem(evaluate(client, trained.id, "other"), 422)
    assert pointers(refused) == ["/dataset"]
    assert named in refused["detail"]
    assert allowed in refused["errors"][0]["allowed"]


def test_a_model_is_measured_on_what_is_there_alone(client: httpx.Client, trained: Trained) -> None:
    for body in ({"dataset": "nowhere"}, {"dataset": 3}, {"dataset": ""}, {}, {"dataset": None}):
        refused = problem(client.post(f"/v1/models/{trained.id}/evaluate", json=body), 422)
        assert pointers(refused) == ["/dataset"], body
    more = {"dataset": "colours", "rows": 3}
    assert pointers(problem(client.post(f"/v1/models/{trained.id}/evaluate", json=more), 422)) == ["/rows"]


def test_evaluations_that_wait_hold_nobody_else_up(
    client: httpx.Client, trained: Trained, services: Services, tmp_path: Path
) -> None:
    """A pipe that nobody writes to lies where the data set's file should: who opens it waits."""
    path = services.settings.data_dir / "artifacts" / services.datasets.find("default", "colours")["path"]
    pipe, limiter, many = tmp_path / "pipe", services.evaluation_limiter, 60  # more than the threads that serve routes
    os.mkfifo(pipe)
    kept = path.rename(path.with_name("kept"))
    path.symlink_to(pipe)
    with ThreadPoolExecutor(many) as threads:
        asked = [threads.submit(evaluate, client, trained.id, "colours") for _ in range(many)]
        try:
            wait_until(lambda: limiter.statistics().tasks_waiting == many - EVALUATIONS)
            assert client.get(f"/v1/models/{trained.id}", timeout=5).status_code == 200
            assert not any(each.done() for each in asked)
        finally:
            kept.replace(path)  # in one step: whoever opens it meanwhile finds the pipe or the whole file
            both_ends = os.open(pipe, os.O_RDWR)  # who waits for a writer goes on, and finds no data set there
        assert {each.result().status_code for each in asked} <= {200, 503}
    os.close(both_ends)
    assert evaluate(client, trained.id, "colours").status_code == 200


def test_rows_are_lists_or_objects(client: httpx.Client, trained: Trained) -> None:
    lists = strict(predict(client, trained.id, [[1.5, "red"], [-2, "green"]]).content)
    objects = predict(client, trained.id, [{"colour": "red", "x": 1.5}, {"x": -2, "colour": "green"}]).json()
    assert lists == objects
    for prediction in lists["predictions"]:
        assert prediction["class"] in ("no", "yes")
        assert sum(prediction["probabilities"].values()) == pytest.approx(1)


def test_levels_that_were_not_in_the_data_are_taken_and_named(client: httpx.Client, trained: Trained) -> None:
    rows = [[1.5, "red"], [1.5, "blue"], [1.5, "Red"], [1.5, "blue"]]
    answer = strict(predict(client, trained.id, rows).content)
    assert answer["predictions"][1] == answer["predictions"][2] != answer["predictions"][0]
    (said,) = answer["warnings"]
    assert said.startswith("column 'colour': 'blue', 'Red' (3 row(s)) was not in the training data")
    assert strict(predict(client, trained.id, rows[:1]).content)["warnings"] == []


def test_what_overflows_is_null(client: httpx.Client, trained: Trained) -> None:
    answer = predict(client, trained.id, [[1e308, "red"], [1e38, "red"], [0, "red"]])
    assert answer.status_code == 200
    assert len(strict(answer.content)["predictions"]) == 3


BAD_ROWS: list[tuple[Any, str]] = [
    ([[1.5]], "/rows/0"),
    ([[1.5, "red", 3]], "/rows/0"),
    ([[1.5, "red"], ["a", "red"]], "/rows/1/0"),
    ([[1.5, 7]], "/rows/0/1"),
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
    problem(client.get(f"/v1/models/{UNKNOWN}/card"), 404)
    problem(evaluate(client, UNKNOWN, "iris"), 404)
    problem(client.post(f"/v1/models/{UNKNOWN}/explain-step", json={"row": [1], "target": 1}), 404)
