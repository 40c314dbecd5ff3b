"""What is said of a divergence: what its spec has not tried, and nothing that it has, or that would be refused."""

from __future__ import annotations

from typing import Any

import pytest

from service.divergence import diverged_hint
from service.resolution import resolve
from service.spec import JobSpec
from tests.service.data_room import builtin_dataset

RATE, CLIP = "a smaller optimizer.learning_rate", "optimizer.clip_norm"


@pytest.mark.parametrize(
    ("dataset", "fields", "tries"),
    [
        ("iris", {}, [RATE, CLIP]),
        ("iris", {"data": {"scale": "none"}}, [RATE, "data.scale standard", CLIP]),
        ("iris", {"optimizer": {"clip_norm": 1.0}}, [RATE]),
        ("diabetes", {}, [RATE, CLIP]),
        ("diabetes", {"data": {"scale_target": "none"}}, [RATE, "data.scale_target standard", CLIP]),
        ("diabetes", {"loss": "poisson"}, [RATE, "data.scale_target mean", CLIP]),
        ("diabetes", {"loss": "poisson", "data": {"scale_target": "mean"}}, [RATE, CLIP]),
        ("diabetes", {"batch_size": "full", "optimizer": {"name": "lbfgs"}}, [RATE]),
    ],
)
def test_what_was_not_tried_is_named(dataset: str, fields: dict[str, Any], tries: list[str]) -> None:
    spec = resolve(JobSpec.model_validate({"dataset": dataset, **fields}), builtin_dataset(dataset)).spec
    assert diverged_hint(spec) == f"Try {', or '.join(tries)}."
