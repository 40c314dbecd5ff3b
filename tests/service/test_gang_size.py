"""Small networks stay on one slot; large ones, and those who ask for it, get more."""

from __future__ import annotations

from typing import Any

import pytest

from service.builtin import make_builtin
from service.gang_size import gang_size
from service.resolution import resolve
from service.spec import JobSpec

DIGITS = make_builtin("digits")[0]
SMALL: dict[str, Any] = {"network": {"hidden": [128, 64]}, "batch_size": 256}
LARGE: dict[str, Any] = {"network": {"hidden": [1024, 1024]}, "batch_size": "full"}


@pytest.mark.parametrize(
    ("spec", "workers", "slots"),
    [
        (SMALL, {}, 1),
        (SMALL, {"min": 2}, 2),
        (SMALL, {"min": 2, "max": 2}, 2),
        ({**SMALL, "shards": 4}, {"min": 2, "max": 4}, 4),  # the exchange is paid for already
        (LARGE, {}, 8),
        (LARGE, {"max": 3}, 3),
        (LARGE, {"max": 1}, 1),
        ({**LARGE, "batch_size": 64}, {}, 1),
    ],
)
def test_workers_are_taken_where_they_pay(spec: dict[str, Any], workers: dict[str, int], slots: int) -> None:
    resolution = resolve(JobSpec.model_validate({"dataset": "digits", **spec, "workers": workers}), DIGITS)
    assert gang_size(resolution) == slots
