"""The sampler `gp` with the PyTorch that is installed, as sweeps ask it; `make oracle` runs it, nothing else does."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from typing import Any

import pytest

from service.sweeps.space import contains, job_spec
from service.sweeps.study import ask
from service.sweeps.trial import Trial, TrialStatus
from tests.service.test_sweep_study import points, search, stored, sweep

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed; run `make oracle`"),
]

BOWL: dict[str, Any] = {"optimizer.learning_rate": {"log_uniform": [1e-4, 1.0]}, "seed": {"int": [0, 100]}}


def height(params: Mapping[str, Any]) -> float:
    rate, seed = float(params["optimizer.learning_rate"]), int(params["seed"])
    return (math.log10(rate) + 2) ** 2 + (seed / 50 - 1) ** 2


def lowest(sampler: str) -> float:
    return min(trial.values[0] for trial in search(sweep(space=BOWL, sampler=sampler), 24, height) if trial.values)


def test_it_finds_the_bottom_of_a_bowl_better_than_chance() -> None:
    assert lowest("gp") < min(0.01, lowest("random"))


def test_a_search_goes_on_from_its_records_as_if_undisturbed() -> None:
    spec = sweep(sampler="gp", seed=3)  # with conditions, choices of any kind, and values that are not finite
    undisturbed = search(spec, 16)
    assert points(search(stored(spec), 16)) == points(undisturbed)
    for point in points(undisturbed):
        assert ("optimizer.momentum" in point) is (point["optimizer.name"] == "sgd")
        assert all(contains(spec.space[path], value) for path, value in point.items())
        job_spec(spec, point)


def test_several_objectives_constraints_and_trials_under_way() -> None:
    objectives = [{"metric": "validation_loss"}, {"metric": "parameter_count"}]
    spec = sweep(space=BOWL, sampler="gp", objectives=objectives, constraints=[{"metric": "train_loss", "max": 1}])
    trials = [
        Trial(
            number,
            TrialStatus.SUCCEEDED,
            {"optimizer.learning_rate": 10.0 ** -(number % 4), "seed": 7 * number},
            values=(float(number), float(12 - number)),
            constraints=(number - 6.0,),
        )
        for number in range(12)
    ]
    found = []
    for number in range(12, 16):
        asked = ask(spec, trials, number)
        found.append(dict(asked.params))
        trials.append(Trial(number, TrialStatus.RUNNING, asked.params, attributes=asked.attributes))
    assert all(contains(spec.space[path], value) for point in found for path, value in point.items())
    assert len({str(point) for point in found}) == 4
