"""Networks computed together: each has an order, masks, an epoch and a seed of its own, and the bits it has alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workers.mlp.making import random_parameters
from workers.batches import Orders, Step, epoch_order
from workers.datafiles import NAMES, DataFiles
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.parameters import Parameters
from workers.mlp.random import Purpose, philox
from workers.population import stacked
from workers.shard_computer import Assignment, ShardComputer
from workers.transport.local import LocalTransport

ROWS, BATCH, INPUTS, CLASSES = {"train": 61, "validation": 300}, 16, 5, 3
RATES = (0.1, 0.45, 0.7)


@pytest.fixture(params=[False, True], ids=["unweighted", "weighted"])
def data(tmp_path: Path, request: pytest.FixtureRequest) -> DataFiles:
    generator, names = philox(1, Purpose.ORDER), list(NAMES)
    (tmp_path / "data").mkdir()
    for part, rows in ROWS.items():
        arrays = {"x": generator.standard_normal((rows, INPUTS)), "y": np.eye(CLASSES)[np.arange(rows) % CLASSES]}
        if request.param:
            arrays["w"] = generator.uniform(0, 2, rows)
            names.append(f"w_{part}")
        for name, array in arrays.items():
            np.save(tmp_path / "data" / f"{name}_{part}.npy", array.astype(np.float32))
    return DataFiles(tmp_path.as_uri(), "data", str(tmp_path / "cache"), tuple(dict.fromkeys(names)))


def shape(rate: float = 0.0, normalization: Any = "none") -> Architecture:
    hidden = LayerShape(7, "tanh", normalization, rate)
    return Architecture(INPUTS, (hidden, LayerShape(CLASSES, "softmax")), "cross_entropy", input_dropout=rate / 2)


def members(data: DataFiles, shards: int, seeds: tuple[int, ...], rates: tuple[float, ...]) -> list[Assignment]:
    return [
        Assignment(shape(rate, "batch"), data, BATCH, shards, seed, shuffle=True)
        for seed, rate in zip(seeds, rates, strict=True)
    ]


@pytest.mark.parametrize("shards", [1, 2, 5])
@pytest.mark.parametrize("rates", [(0.0, 0.0, 0.0), RATES], ids=["whole", "dropped"])
@pytest.mark.parametrize("seeds", [(4, 4, 4), (4, 9, 4)], ids=["one order", "two orders"])
@pytest.mark.parametrize("epochs", [(2, 2, 2), (0, 2, 5)], ids=str)
def test_each_has_the_sums_and_the_gradient_that_it_has_alone(
    data: DataFiles, shards: int, rates: tuple[float, ...], seeds: tuple[int, ...], epochs: tuple[int, ...]
) -> None:
    given = members(data, shards, seeds, rates)
    together = LocalTransport(ShardComputer(stacked(given)))
    weights = random_parameters(together.weights.architecture, 3, (3,))
    together.weights.flat[...] = weights.flat
    gradient = Parameters(together.weights.architecture, (3,))
    for number in (0, 1, 3):  # the last mini-batch is short
        sums = together.gradient(Step(epochs, number, observe=number == 1), gradient).members()
        for index, assignment in enumerate(given):
            alone, own = LocalTransport(ShardComputer(assignment)), Parameters(assignment.architecture)
            alone.weights.flat[...] = weights.flat[index]
            found = alone.gradient(Step(epochs[index], number, observe=number == 1), own)
            assert repr(found) == repr(sums[index])
            assert own.flat.tobytes() == gradient.flat[index].tobytes()


def test_each_has_the_evaluation_that_it_has_alone(data: DataFiles) -> None:
    given = members(data, 1, (4, 9, 4), RATES)
    together = LocalTransport(ShardComputer(stacked(given)))
    together.weights.flat[...] = random_parameters(together.weights.architecture, 3, (3,)).flat
    for _ in range(2):
        evaluation = together.evaluate()
        assert evaluation is not None
        for index, found in enumerate(evaluation.members()):
            alone = LocalTransport(ShardComputer(given[index]))
            alone.weights.flat[...] = together.weights.flat[index]
            expected = alone.evaluate()
            assert expected is not None
            assert repr(found.sums) == repr(expected.sums)
            assert found.outputs.tobytes() == expected.outputs.tobytes()
        together.weights.flat *= 0.5


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": BATCH + 1},
        {"shards": 2},
        {"shuffle": False},
        {"architecture": shape()},
        {"architecture": shape(0.1)},
        {"architecture": replace(shape(0.1, "batch"), input_dropout=0.0)},
        {"seed": (1, 2)},
    ],
    ids=str,
)
def test_what_differs_in_more_than_its_own_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    data = DataFiles(tmp_path.as_uri(), "data", str(tmp_path / "cache"))
    one, other = members(data, 1, (1, 2), (0.1, 0.2))
    assert stacked([one, other]).networks == (2,)
    with pytest.raises(ValueError, match="allowed"):
        stacked([one, replace(other, **changes)])


def test_networks_of_one_order_share_their_rows() -> None:
    step = Step((0, 0), 1)
    assert Orders(40, (3, 3), shuffle=True).batch(step, 8).shape == (8,)
    assert Orders(40, (3, 4), shuffle=False).batch(step, 8).tolist() == list(range(8, 16))
    rows = Orders(40, (3, 4, 3), shuffle=True).batch(Step((0, 0, 1), 1), 8)
    places = [(3, 0), (4, 0), (3, 1)]
    assert rows.tolist() == [epoch_order(40, seed, epoch, shuffle=True)[8:16].tolist() for seed, epoch in places]


def test_an_order_is_that_of_the_epoch_that_is_asked_for() -> None:
    orders = Orders(40, 3, shuffle=True)
    for epoch in (0, 1, 1, 0):
        assert orders.batch(Step(epoch, 0), 40).tolist() == epoch_order(40, 3, epoch, shuffle=True).tolist()
