"""A job of several folds on the whole service: killed in the second, it ends with the bits of an undisturbed one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.live import LiveService

pytestmark = pytest.mark.timeout(240)

EPOCHS, STEPS_OF_FOLD = 8, 8 * 19
SPEC: dict[str, Any] = {
    "dataset": "digits",
    "data": {"folds": 3},
    "network": {"hidden": [24], "dropout": 0.1},
    "optimizer": {"name": "adam"},
    "batch_size": 64,
    "shards": 4,
    "epochs": EPOCHS,
    "early_stopping": {"metric": "validation_f1", "patience": 6},
}
OWN = ("seconds", "model_id", "workers_used")  # of a run, not of the spec


def test_it_survives_its_runner_and_its_model_is_measured(live: LiveService) -> None:
    dry = live.call("POST", "/v1/jobs", params={"dry_run": "true"}, json=SPEC).json()
    assert (dry["epochs"], dry["train_rows"]) == (4 * EPOCHS, 1797)
    disturbed = live.submit({**SPEC, "workers": {"min": 2}})
    live.reach(disturbed, STEPS_OF_FOLD + 20)
    live.kill(live.pid("runners"))
    job, whole = live.finish(disturbed), live.finish(live.submit({**SPEC, "workers": {"max": 1}}))
    result, expected = job["result"], whole["result"]
    assert job["attempt"] > 1
    assert {name: result[name] for name in result if name not in OWN} == {
        name: expected[name] for name in expected if name not in OWN
    }
    rows = live.metrics(disturbed)
    assert [row["epoch"] for row in rows] == list(range(1, result["epochs"] + 1))
    assert [fold["epochs"] for fold in result["folds"]] == [
        sum(row["fold"] == fold for row in rows) for fold in (1, 2, 3)
    ]
    assert result["cross_validation"]["validation_accuracy"]["mean"] > 0.8
    assert sum(map(sum, result["confusion_matrix"]["matrix"])) == 1797
    answer = live.call("POST", f"/v1/models/{result['model_id']}/evaluate", json={"dataset": "digits"})
    measured = answer.json()["metrics"]
    assert {name: measured[name] for name in ("f1", "auc", "log_loss")} == {
        name: result[f"train_{name}"] for name in ("f1", "auc", "log_loss")
    }
