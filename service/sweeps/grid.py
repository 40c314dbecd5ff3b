"""The points of a grid, each once, in an order by the sweep's seed. Knows no Optuna.

Optuna's own grid sampler counts points by the trials that have ended, hands one out twice in parallel, and raises when
the last one is told. Here the point is a function of the trial's number.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any

from service import strict_json
from service.spec import SweepSpec
from service.sweeps.space import in_order, is_active, values_of

MOST_POINTS = 100_000

Point = Mapping[str, Any]


def count_bound(spec: SweepSpec) -> int:
    """At least as many points as the grid has: those of all its paths together, whatever their `when`."""
    return prod(len(values_of(dimension) or ()) for dimension in spec.space.values())


def grid_points(spec: SweepSpec) -> Sequence[Point]:
    """All points in their order but those that `spec.points` has already; paths that do not count are left out."""
    return _points(strict_json.encode(spec.model_dump(mode="json", include={"space", "points", "seed", "base"})))


@lru_cache(maxsize=8)
def _points(document: str) -> Sequence[Point]:
    spec = SweepSpec.model_validate_json(document)
    points: list[dict[str, Any]] = [{}]
    for path in in_order(spec.space):
        dimension = spec.space[path]
        points = [
            {**point, path: value} if is_active(dimension, point) else point
            for point in points
            for value in (values_of(dimension) or () if is_active(dimension, point) else (None,))
        ]
    there = {strict_json.sha256(dict(point)) for point in spec.points}
    left = [point for point in points if strict_json.sha256(point) not in there]
    random.Random(spec.seed).shuffle(left)
    return tuple(left)
