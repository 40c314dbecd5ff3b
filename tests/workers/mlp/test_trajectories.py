"""deltaq's optimizers, schedules, penalties and clipping beside PyTorch's, as it recorded 200 steps of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.oracles import trajectories as pytorch
from tests.oracles.trajectories import REGULARIZATIONS, SCHEDULES, STEPS, VARIANTS, Arrays, Case, cases
from tests.workers.mlp.making import architecture
from workers.mlp.choices import make
from workers.mlp.network import Network
from workers.mlp.optimizers import OPTIMIZERS, Optimizer, Regularization
from workers.mlp.parameters import Parameters
from workers.mlp.schedules import SCHEDULES as KINDS
from workers.mlp.schedules import Plateau, ReduceOnPlateau, Schedule

SHAPE = architecture(("cross_entropy", "softmax"), pytorch.SIZES, "tanh")


def make_optimizer(case: Case) -> Optimizer:
    variant = VARIANTS[case.variant]
    kind: Any = OPTIMIZERS[variant.name]
    fields = {"learning_rate": kind.default_rate, **variant.fields}
    return kind(**fields, regularization=Regularization(**REGULARIZATIONS[case.regularization]))  # type: ignore[no-any-return]


class Rate:
    """The rate from step to step."""

    def __init__(self, schedule: Schedule, base: Any, per_epoch: int) -> None:
        self.schedule, self.base, self.per_epoch = schedule, base, per_epoch
        self.plateau = Plateau()

    def at(self, losses: list[float]) -> float:
        """The next step's, after these losses."""
        epoch, place = divmod(len(losses), self.per_epoch)
        if isinstance(self.schedule, ReduceOnPlateau):
            if epoch and not place:
                mean = float(np.mean(losses[-self.per_epoch :]))
                self.plateau.judge(self.schedule, mean, higher_is_better=False)
            return self.plateau.rate(self.schedule, self.base)
        if self.schedule.unit == "epoch":
            return self.schedule.rate(self.base, epoch, STEPS // self.per_epoch)
        return self.schedule.rate(self.base, len(losses), STEPS)


def train(case: Case) -> Arrays:
    """What `trajectories.train` does, by deltaq."""
    per_epoch, given = VARIANTS[case.variant].per_epoch, pytorch.inputs()
    parameters, gradient = Parameters(SHAPE), Parameters(SHAPE)
    for name, array in parameters.named().items():
        array[...] = given[name]
    network, optimizer = Network(SHAPE, pytorch.ROWS), make_optimizer(case)
    rate = Rate(make(KINDS, SCHEDULES[case.schedule], "schedule"), optimizer.learning_rate, per_epoch)
    state = optimizer.state(parameters)
    losses: list[float] = []
    for step in range(STEPS):
        rows, rate_now = pytorch.rows_of(step, per_epoch), rate.at(losses)
        sums = network.gradient(parameters, given["x"][rows], given["y"][rows], None, gradient)
        losses.append(sums.loss / sums.weight)
        optimizer.update(parameters, gradient, sums.weight, state, rate=rate_now, step=step + 1)
    return {
        "losses": np.array(losses),
        "last": np.concatenate([array.ravel() for array in parameters.named().values()]),
    }


@pytest.fixture(scope="module")
def record() -> Arrays:
    with np.load(pytorch.RECORD, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_training_goes_as_pytorch_recorded_it(case: Case, record: Arrays) -> None:
    row = record["names"].tolist().index(case.name)
    assert_same({key: record[key][row] for key in ("losses", "last")}, train(case))


def assert_same(expected: Arrays, found: Arrays) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert np.allclose(found[name], array, rtol=1e-9, atol=1e-9), name


def test_each_case_is_on_record_and_a_training_of_its_own(record: Arrays) -> None:
    assert record["names"].tolist() == [case.name for case in cases()]
    assert {variant.name for variant in VARIANTS.values()} == OPTIMIZERS.keys() - {"lion"}  # PyTorch has none
    assert len(np.unique(record["last"].round(6), axis=0)) == len(record["last"])
    assert np.isfinite(record["losses"]).all()
