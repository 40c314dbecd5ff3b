"""Small networks stay on one slot; large ones, and those who ask for it, get more."""

from __future__ import annotations

from typing import Any

import pytest

from service.builtin import make_builtin
from service.gang_size import GangSize, gang_size
from service.resolution import resolve
from service.spec import JobSpec

DIGITS = make_builtin("digits")[0]
TINY: dict[str, Any] = {"network": {"hidden": []}, "batch_size": 32, "shards": 2}
SMALL: dict[str, Any] = {"network": {"hidden": [256, 128]}, "batch_size": 512, "shards": 2}
LARGE: dict[str, Any] = {"network": {"hidden": [1024, 1024]}, "batch_size": "full"}


@pytest.mark.parametrize(
    ("spec", "workers", "slots"),
    [
        (TINY, {}, 1),
        (TINY, {"min": 2}, 2),
        (TINY, {"min": 2, "max": 2}, 2),
        (SMALL, {}, 2),
        ({**TINY, "shards": 4}, {"min": 2, "max": 4}, 4),  # the exchange is paid for already
        (LARGE, {}, 8),
        (LARGE, {"max": 3}, 3),
        (LARGE, {"max": 1}, 1),
        ({**LARGE, "batch_size": 2, "shards": 2}, {}, 1),
    ],
)
def test_workers_are_taken_where_they_pay(spec: dict[str, Any], workers: dict[str, int], slots: int) -> None:
    resolution = resolve(JobSpec.model_validate({"dataset": "digits", **spec, "workers": workers}), DIGITS)
    size = gang_size(resolution)
    assert (size.least, size.most) == (workers.get("min", 1), slots)


def test_other_nodes_are_worth_their_exchange_only_to_long_steps() -> None:
    short, long = GangSize(1, 4, compute_s=2e-3, size_bytes=10**6), GangSize(1, 4, compute_s=0.2, size_bytes=10**6)
    assert short.step_s(2) < short.step_s(1) < short.step_s(1, 1)
    assert long.step_s(2, 2) < long.step_s(2) < long.step_s(1, 1)
