"""A job's weights and metrics belong to its spec: 1, 2 and 4 workers give the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.live import LiveService

pytestmark = pytest.mark.timeout(240)

SPECS: list[dict[str, Any]] = [
    {
        "dataset": "digits",
        "network": {"hidden": [33, 17], "activation": "tanh"},
        "batch_size": 301,
        "shards": 4,
        "epochs": 6,
    },
    {
        "dataset": "diabetes",
        "network": {"hidden": [9], "precision": "float64"},
        "batch_size": 100,
        "shards": 7,
        "epochs": 6,
        "optimizer": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.001},
    },
    {
        "dataset": "breast_cancer",
        "network": {"hidden": [12, 7], "normalization": "batch", "dropout": 0.2, "input_dropout": 0.1},
        "batch_size": 120,
        "shards": 6,
        "epochs": 5,
        "optimizer": {"name": "adam"},
    },
    {
        "dataset": "wine",
        "data": {"class_weight": "balanced"},
        "network": {"hidden": [11], "activation": "gelu", "normalization": "layer"},
        "batch_size": 50,
        "shards": 5,
        "epochs": 5,
        "optimizer": {"name": "adamw", "schedule": "cosine", "clip_norm": 1.0},
    },
]


@pytest.fixture(scope="module")
def four_workers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    service = LiveService(Path(tmp_path_factory.mktemp("four")) / "data", workers=4)
    yield service
    service.stop()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: str(spec["dataset"]))
def test_one_two_and_four_workers_give_the_same_bits(four_workers: LiveService, spec: dict[str, Any]) -> None:
    results, rows = [], []
    for count in (1, 2, 4):
        job_id = four_workers.submit({**spec, "workers": {"min": count, "max": count}})
        results.append(four_workers.finish(job_id)["result"])
        rows.append(
            [
                {name: value for name, value in row.items() if name != "samples_per_s"}
                for row in four_workers.metrics(job_id)
            ]
        )
    assert [result["workers_used"] for result in results] == [1, 2, 4]
    assert len({result["weights_sha256"] for result in results}) == 1
    assert rows[0] == rows[1] == rows[2]
