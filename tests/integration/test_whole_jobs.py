"""Jobs from the upload to the prediction, on the whole service."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from safetensors.numpy import load
from sklearn.metrics import r2_score

from tests.integration.live import LiveService, until
from tests.service.in_onnx_runtime import run

pytestmark = pytest.mark.timeout(240)


def strict(text: str) -> Any:
    """Read JSON as the standard has it: without NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON: {text[:200]}")

    return json.loads(text, parse_constant=refuse)


def upload(live: LiveService, name: str, text: str, target: str = "y") -> str:
    answer = live.call(
        "POST",
        "/v1/datasets",
        params={"name": name, "target": target},
        content=text.encode(),
        headers={"Content-Type": "text/csv"},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def predict(live: LiveService, model_id: str, rows: Any) -> list[dict[str, Any]]:
    answer = live.call("POST", f"/v1/models/{model_id}/predict", json={"rows": rows})
    assert answer.status_code == 200, answer.text
    return list(strict(answer.text)["predictions"])


DEFAULTS = {"digits": 0.9, "iris": 0.8, "wine": 0.9, "breast_cancer": 0.9}


@pytest.mark.parametrize("dataset", DEFAULTS)
def test_the_default_job_learns_each_built_in_set_of_classes(live: LiveService, dataset: str) -> None:
    result = live.finish(live.submit({"dataset": dataset}))["result"]
    assert result["validation_accuracy"] >= DEFAULTS[dataset]


def test_the_default_job_learns_diabetes(live: LiveService) -> None:
    spec = {"dataset": "diabetes", "data": {"validation_fraction": 0.0}}
    job = live.finish(live.submit(spec))
    rows = live.call("GET", f"/v1/datasets/{job['spec']['dataset']}/preview", params={"rows": 100}).json()
    target = rows["columns"].index("progression")
    truth = [row[target] for row in rows["rows"]]
    asked = [[value for place, value in enumerate(row) if place != target] for row in rows["rows"]]
    answers = [answer["value"] for answer in predict(live, job["result"]["model_id"], asked)]
    assert 0.3 <= r2_score(truth, answers) <= 0.8


def test_xor_trains_on_its_four_rows_and_is_learned(live: LiveService) -> None:
    job = live.finish(live.submit({"dataset": "xor", "epochs": 500}))
    assert job["spec"]["data"]["validation_fraction"] == 0
    answers = predict(live, job["result"]["model_id"], [[0, 0], [0, 1], [1, 0], [1, 1]])
    assert [answer["class"] for answer in answers] == [0, 1, 1, 0]
    assert [row["epoch"] for row in live.metrics(job["id"])] == list(range(1, 501))


LABELS: dict[str, tuple[list[str], list[Any]]] = {
    "yes and no": (["no", "yes"], ["no", "yes"]),
    "three words": (["alpha", "beta", "gamma"], ["alpha", "beta", "gamma"]),
    "floats": (["1.0", "2.0"], [1.0, 2.0]),
    "booleans": (["false", "true"], [False, True]),
    "signs": (["-1", "1"], [-1, 1]),
}


@pytest.mark.parametrize("case", LABELS)
def test_a_class_is_answered_as_it_was_uploaded_after_early_stopping(live: LiveService, case: str) -> None:
    texts, labels = LABELS[case]
    lines = [f"{number % len(texts) + number / 1000},{texts[number % len(texts)]}" for number in range(120)]
    dataset = upload(live, f"labels {case}", "x,y\n" + "\n".join(lines) + "\n")
    spec = {
        "dataset": dataset,
        "data": {"task": "binary" if len(texts) == 2 else "multiclass"},
        "epochs": 40,
        "early_stopping": {"metric": "validation_accuracy", "patience": 40},
    }
    job = live.finish(live.submit(spec))
    answers = predict(live, job["result"]["model_id"], [[place + 0.05] for place in range(len(texts))])
    assert [(type(answer["class"]), answer["class"]) for answer in answers] == [(type(one), one) for one in labels]
    for answer in answers:
        assert math.isclose(sum(answer["probabilities"].values()), 1.0, abs_tol=1e-6)


def test_nothing_old_trains_on_new_bytes_of_an_old_name(live: LiveService) -> None:
    first = upload(live, "d1", "x,y\n" + "".join(f"{n % 2},{'ab'[n % 2]}\n" for n in range(40)))
    done = live.finish(live.submit({"dataset": "d1", "epochs": 2}))
    stopped = live.submit({"dataset": "d1", "epochs": 1_000_000})
    live.reach(stopped, 1)
    assert live.call("DELETE", f"/v1/datasets/{first}").status_code == 409
    live.call("POST", f"/v1/jobs/{stopped}/cancel")
    live.finish(stopped, "cancelled")
    assert live.call("DELETE", f"/v1/datasets/{first}").status_code == 204
    second = upload(live, "d1", "x,y\n" + "".join(f"{n % 2},{'ba'[n % 2]}\n" for n in range(40)))
    assert second != first
    assert predict(live, done["result"]["model_id"], [[0], [1]])[0]["class"] == "a"
    for answer in (
        live.call("POST", f"/v1/jobs/{stopped}/retry", params={"from": "start"}),
        live.call("POST", "/v1/jobs", json=done["spec"]),
    ):
        assert answer.status_code in (404, 409, 422)
        assert first in answer.text


def test_downloads_hold_the_hashed_arrays_and_predict_the_same(live: LiveService) -> None:
    spec: dict[str, Any] = {"dataset": "digits", "network": {"hidden": [50, 3, 17]}, "epochs": 150, "batch_size": 64}
    plain = live.submit(spec)
    paused = live.submit(spec)
    live.reach(paused, 100)
    live.call("POST", f"/v1/jobs/{paused}/pause")
    until(lambda: live.job(paused)["status"] == "paused", 20, "the pause")
    live.call("POST", f"/v1/jobs/{paused}/resume")
    results = [live.finish(job)["result"] for job in (plain, paused)]
    warm = live.submit({**spec, "epochs": 3, "warm_start": {"model": results[0]["model_id"]}})
    results.append(live.finish(warm)["result"])
    hashes = [result["weights_sha256"] for result in results]
    assert hashes[0] == hashes[1] != hashes[2]
    preview = live.call("GET", "/v1/datasets/digits/preview").json()
    rows = [dict(zip(preview["columns"], row, strict=True)) for row in preview["rows"]]
    for result in results:
        files = {form: download(live, result["model_id"], form) for form in ("npz", "safetensors", "onnx")}
        for arrays in (np.load(io.BytesIO(files["npz"])), load(files["safetensors"]), constants(files["onnx"])):
            assert digest(arrays) == result["weights_sha256"]
        columns = {name: np.array([[row[name]] for row in rows], float) for name in rows[0] if name != "digit"}
        found, answers = run(files["onnx"], columns), predict(live, result["model_id"], rows)
        scores = [list(answer["probabilities"].values()) for answer in answers]
        assert np.allclose(found["probabilities"], scores, rtol=0, atol=1e-5)
        assert found["label"].tolist() == [answer["class"] for answer in answers]


def test_all_that_a_model_may_be_made_of_travels_in_its_onnx_file(live: LiveService) -> None:
    lines = [
        f"{'' if n % 7 == 0 else n / 10},{('red', 'green', '')[n % 3]},{'' if n % 5 == 0 else n % 4},"
        f"{n % 2 == 0},{'yes' if n % 4 else 'no'}"
        for n in range(120)
    ]
    dataset = upload(live, "everything", "x,colour,size,wet,ok\n" + "\n".join(lines) + "\n", target="ok")
    spec = {
        "dataset": dataset,
        "data": {"target": ["wet", "ok"], "task": "multilabel", "missing": "indicator"},
        "network": {"hidden": [8, 6], "activation": "prelu", "normalization": "batch", "dropout": 0.1},
        "epochs": 5,
        "gradient_check": True,
    }
    result = live.finish(live.submit(spec))["result"]
    assert result["gradient_check"]["worst_relative_error"] < 1e-4
    rows = [[1.5, "red", 3], [None, None, None], [7.0, "green", 0], [2.0, "blue", 1]]
    columns = {
        "x": np.array([[1.5], [np.nan], [7.0], [2.0]]),
        "colour": np.array([["red"], [""], ["green"], ["blue"]], object),
        "size": np.array([[3.0], [np.nan], [0.0], [1.0]]),
    }
    found = run(download(live, result["model_id"], "onnx"), columns)
    answers = [list(answer["labels"].values()) for answer in predict(live, result["model_id"], rows)]
    scores = [[label["probability"] for label in answer] for answer in answers]
    assert np.allclose(found["probabilities"], scores, rtol=0, atol=1e-5)
    values = [[json.dumps(answer[0]["value"]), answer[1]["value"]] for answer in answers]  # of two types: as text
    assert found["labels"].tolist() == values


def download(live: LiveService, model_id: str, form: str) -> bytes:
    return live.call("GET", f"/v1/models/{model_id}/download", params={"format": form}).content


def constants(content: bytes) -> dict[str, Any]:
    """What an ONNX file holds, the model's arrays by their names among it."""
    made = onnx.load_from_string(content).graph.initializer
    return {each.name.removeprefix("deltaq/"): onnx.numpy_helper.to_array(each) for each in made}


def digest(arrays: Mapping[str, Any]) -> str:
    """The hash of a [50, 3, 17] network of digits as the contract has it."""
    found, sizes = hashlib.sha256(), (64, 50, 3, 17, 10)
    for layer, shape in enumerate(itertools.pairwise(sizes), start=1):
        assert (arrays[f"W{layer}"].shape, arrays[f"b{layer}"].shape) == (shape, shape[1:])
        for name in (f"W{layer}", f"b{layer}"):
            found.update(np.ascontiguousarray(arrays[name], "<f4").tobytes())
    return found.hexdigest()


@pytest.mark.parametrize("stopping", [None, {"patience": 3}])
def test_a_diverging_job_fails_by_name_and_every_answer_is_json(live: LiveService, stopping: Any) -> None:
    spec = {"dataset": "diabetes", "optimizer": {"learning_rate": 1e6}, "early_stopping": stopping}
    job_id = live.submit(spec)
    job = live.finish(job_id, "failed")
    assert job["error"]["title"] == "Diverged"
    assert "learning_rate" in job["error"]["hint"]
    for path in (f"/v1/jobs/{job_id}", f"/v1/jobs/{job_id}/metrics", f"/v1/jobs/{job_id}/logs", "/v1/jobs"):
        strict(live.call("GET", path).text)
    with live.http.stream("GET", f"/v1/jobs/{job_id}/events") as events:
        for line in events.iter_lines():
            if line.startswith("data:"):
                strict(line.removeprefix("data:"))


def test_huge_inputs_are_answered_in_json(live: LiveService) -> None:
    model_id = live.finish(live.submit({"dataset": "diabetes", "epochs": 1}))["result"]["model_id"]
    answers = predict(live, model_id, [[1e38] * 10, [-1e38] * 10, [1e300] * 10])
    assert all(answer["value"] is None or math.isfinite(answer["value"]) for answer in answers)


@pytest.mark.parametrize("loss", ["log_loss", "cross_entropy"])
@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_full_confidence_in_single_precision_has_a_finite_loss(live: LiveService, loss: str, output: str) -> None:
    name = f"confident {loss} {output}"
    rows = [f"{(n % 2 * 2 - 1) * (1 + n / 100) * 1e4},{'ab'[n % 2]}" for n in range(60)]
    dataset = upload(live, name, "x,y\n" + "\n".join(rows) + "\n10000,a\n")
    spec = {
        "dataset": dataset,
        "data": {"scale": "none"},
        "network": {"hidden": [], "output_activation": output},
        "loss": loss,
        "optimizer": {"learning_rate": 10.0},
        "epochs": 5,
    }
    job_id = live.submit(spec)
    live.finish(job_id)
    assert all(0 <= row["train_loss"] < math.inf for row in live.metrics(job_id))
