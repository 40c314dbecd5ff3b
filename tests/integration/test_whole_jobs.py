"""Jobs from the upload to the prediction, on the whole service."""

from __future__ import annotations

import hashlib
import io
import json
import math
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load
from sklearn.metrics import r2_score

from tests.integration.live import LiveService, until

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
    assert results[0]["weights_sha256"] == results[1]["weights_sha256"]
    for result in results:
        download = f"/v1/models/{result['model_id']}/download"
        npz = dict(np.load(io.BytesIO(live.call("GET", download, params={"format": "npz"}).content)))
        tensors = load(live.call("GET", download, params={"format": "safetensors"}).content)
        assert [array.shape for array in npz.values()] == [
            *((64, 50), (50,), (50, 3), (3,), (3, 17), (17,), (17, 10), (10,)),
        ]
        for arrays in (npz, tensors):
            digest = hashlib.sha256()
            for layer in range(1, 5):
                for name in (f"W{layer}", f"b{layer}"):
                    digest.update(np.ascontiguousarray(arrays[name], "<f4").tobytes())
            assert digest.hexdigest() == result["weights_sha256"]


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
