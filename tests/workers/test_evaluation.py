"""An evaluation is the same, to the bit, whoever computes its blocks and in whatever order they come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from workers import kernels
from workers.datafiles import DataFiles, Part
from workers.evaluation import BLOCK_ROWS, Gathering
from workers.gradient_worker import GradientWorker
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.initializers import initialize
from workers.mlp.network import Network
from workers.mlp.parameters import Parameters
from workers.place import Slot
from workers.shard_computer import Assignment, ShardComputer
from workers.transport.local import LocalTransport

ROWS: dict[Part, int] = {"train": 3 * BLOCK_ROWS, "validation": 2 * BLOCK_ROWS + 1}
ARCHITECTURE = Architecture(5, (LayerShape(7, "tanh"), LayerShape(3, "softmax")), "cross_entropy")


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    generator = np.random.default_rng(1)
    for part, rows in ROWS.items():
        np.save(tmp_path / f"x_{part}.npy", generator.normal(size=(rows, 5)).astype(np.float32))
        np.save(tmp_path / f"y_{part}.npy", np.eye(3, dtype=np.float32)[generator.integers(3, size=rows)])
        np.save(tmp_path / f"w_{part}.npy", generator.integers(0, 4, rows).astype(np.float32))
    names = tuple(path.stem for path in tmp_path.glob("*.npy"))
    data = DataFiles(tmp_path.parent.as_uri(), tmp_path.name, str(tmp_path / "cache"), names)
    return Assignment(ARCHITECTURE, data, 32, 1, seed=2, shuffle=True)


def weights() -> Parameters:
    parameters = Parameters(ARCHITECTURE)
    initialize(parameters, seed=5)
    return parameters


def alone_with_weights(assignment: Assignment) -> LocalTransport:
    transport = LocalTransport(ShardComputer(assignment))
    initialize(transport.weights, seed=5)
    return transport


@pytest.mark.parametrize("part", ROWS)
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_blocks_come_from_anybody_in_any_order(assignment: Assignment, part: Part, workers: int) -> None:
    alone = alone_with_weights(assignment).evaluate(part)
    assert alone is not None
    gathering = Gathering(ROWS[part], ARCHITECTURE.outputs, ARCHITECTURE.dtype)
    for number in reversed(range(workers)):
        worker = GradientWorker()
        worker.lead("1-aa", assignment, kernels.fingerprint(), [Slot("own", "node")])
        share = list(range(number, gathering.blocks, workers))
        for block, sums, outputs in reversed(worker.evaluate("1-aa", weights().flat, part, share)):
            gathering.rows_of(block)[...] = outputs
            gathering.add(block, sums)
        worker.dismiss("1-aa")
    found = gathering.whole()
    assert found is not None
    assert found.outputs.tobytes() == alone.outputs.tobytes()
    assert found.sums[:4] == alone.sums[:4]


@pytest.mark.parametrize("part", ROWS)
def test_each_row_s_outputs_stand_in_its_place(assignment: Assignment, part: Part) -> None:
    found = alone_with_weights(assignment).evaluate(part)
    data = assignment.data.open().part(part)
    expected = Network(ARCHITECTURE, ROWS[part]).forward(weights(), data.x)
    assert found is not None
    np.testing.assert_allclose(found.outputs, expected, rtol=1e-5)
    assert data.w is not None
    assert found.sums.weight == data.w.sum()


def test_both_parts_have_memory_of_their_own_that_is_used_again(assignment: Assignment) -> None:
    transport = alone_with_weights(assignment)
    train, validation = transport.evaluate("train"), transport.evaluate()
    assert train is not None
    assert validation is not None
    assert (len(train.outputs), len(validation.outputs)) == (ROWS["train"], ROWS["validation"])
    again = transport.evaluate("train")
    assert again is not None
    assert again.outputs is train.outputs


def test_a_part_without_rows_has_no_evaluation() -> None:
    assert Gathering(0, 3, np.dtype(np.float32)).whole() is None
