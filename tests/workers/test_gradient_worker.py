"""Shards of a mini-batch, whoever computes them: one process's sums on the whole batch, and bit for bit their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from workers import kernels
from workers.batches import Step, batch_rows, epoch_order
from workers.datafiles import DataFiles
from workers.gradient_worker import GradientWorker
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.initializers import initialize
from workers.mlp.network import Network
from workers.mlp.parameters import Parameters
from workers.place import Slot
from workers.shard_computer import Assignment, Partial, ShardComputer
from workers.summation import combine_subtrees
from workers.tokens import StaleToken

ROWS, BATCH = 103, 50
ARCHITECTURE = Architecture(5, (LayerShape(7, "tanh"), LayerShape(3, "softmax")), "cross_entropy", precision="float64")


@pytest.fixture
def data(tmp_path: Path) -> DataFiles:
    generator = np.random.default_rng(1)
    for part, rows in (("train", ROWS), ("validation", 600)):
        np.save(tmp_path / f"x_{part}.npy", generator.normal(size=(rows, 5)))
        np.save(tmp_path / f"y_{part}.npy", np.eye(3)[generator.integers(3, size=rows)])
    return DataFiles(tmp_path.parent.as_uri(), tmp_path.name, str(tmp_path / "cache"))


def weights() -> Parameters:
    parameters = Parameters(ARCHITECTURE)
    initialize(parameters, seed=5)
    return parameters


def leading(token: str, assignment: Assignment) -> GradientWorker:
    worker = GradientWorker()
    assert worker.lead(token, assignment, kernels.fingerprint(), [Slot("own", "node")]) == 1
    return worker


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 50, 64])
@pytest.mark.parametrize("step", [0, 2])  # the last mini-batch has three rows: most shards are empty
def test_unequal_shards_give_the_gradient_of_the_whole_batch(data: DataFiles, shards: int, step: int) -> None:
    computer = ShardComputer(Assignment(ARCHITECTURE, data, BATCH, shards, seed=2, shuffle=True))
    out = Parameters(ARCHITECTURE)
    sums = computer.subtree(weights(), Step(4, step), 0, shards, out)
    rows = epoch_order(ROWS, 2, 4, True)[batch_rows(ROWS, BATCH, step)]
    mapped, expected = data.open(), Parameters(ARCHITECTURE)
    whole = Network(ARCHITECTURE, BATCH).gradient(weights(), mapped.x_train[rows], mapped.y_train[rows], None, expected)
    assert sums is not None
    np.testing.assert_allclose(out.flat, expected.flat, rtol=0, atol=1e-12)
    assert sums.weight == whole.weight == len(rows)
    assert sums.loss == pytest.approx(whole.loss, abs=1e-12)


@pytest.mark.parametrize("shards", [4, 7, 8])
@pytest.mark.parametrize("nodes", [1, 2, 3, 4])
def test_the_bits_do_not_show_which_node_computed_a_shard(data: DataFiles, shards: int, nodes: int) -> None:
    assignment = Assignment(ARCHITECTURE, data, BATCH, shards, seed=2, shuffle=True)
    alone = Parameters(ARCHITECTURE)
    ShardComputer(assignment).subtree(weights(), Step(0, 1), 0, shards, alone)
    partials: list[Partial] = []
    for number in range(nodes):
        worker = leading("1-aa", assignment)
        for partial in worker.gradients("1-aa", weights().flat, Step(0, 1), list(range(number, shards, nodes))):
            partials.append(replace(partial, gradient=partial.gradient.copy()))
        worker.dismiss("1-aa")
    whole = combine_subtrees({(one.lo, one.hi): one for one in partials}, 0, shards, Partial.plus)
    assert whole is not None
    assert whole.gradient.tobytes() == alone.flat.tobytes()


def test_a_worker_serves_the_latest_lease_alone(data: DataFiles) -> None:
    assignment = Assignment(ARCHITECTURE, data, BATCH, 2, seed=2, shuffle=True)
    worker = leading("8-aa", assignment)
    worker.lead("9-bb", assignment, kernels.fingerprint(), [Slot("own", "node")])
    with pytest.raises(StaleToken):
        worker.lead("8-aa", assignment, kernels.fingerprint(), [Slot("own", "node")])
    with pytest.raises(StaleToken):
        worker.gradients("8-aa", weights().flat, Step(0, 0), [0])
    with pytest.raises(StaleToken):
        worker.evaluate("9-cc", weights().flat, "validation", [0])
    worker.dismiss("8-aa")
    assert worker.gradients("9-bb", weights().flat, Step(0, 0), [0, 1])[0].hi == 2
    worker.dismiss("9-bb")
    with pytest.raises(StaleToken):
        worker.gradients("9-bb", weights().flat, Step(0, 0), [0])


def test_a_worker_with_other_kernels_does_not_lead(data: DataFiles) -> None:
    assignment = Assignment(ARCHITECTURE, data, BATCH, 2, seed=2, shuffle=True)
    with pytest.raises(StaleToken, match="other numeric kernels"):
        GradientWorker().lead("1-aa", assignment, {"numpy": "0"}, [Slot("own", "node")])
