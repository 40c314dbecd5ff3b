"""The recorded cases trained anew by the PyTorch that is installed; `make oracle` runs them, nothing else does."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from tests.oracles import functions, normalized, record, trajectories
from tests.oracles.cases import Case, cases
from tests.workers.mlp import test_functions as deltaq_functions
from tests.workers.mlp import test_trajectories as deltaq_trajectories
from tests.workers.mlp.test_normalizations import Kind, assert_trains_as
from tests.workers.mlp.test_pytorch import TOLERANCE, train
from tests.workers.mlp.test_scikit_learn import test_adam as test_scikit_learns_adam
from tests.workers.mlp.test_scikit_learn import test_the_loss_curve_is_scikit_learns as test_scikit_learn
from tests.workers.mlp.test_scikit_learn import (
    test_with_their_alpha_as_l2_and_their_falling_rate as test_scikit_learns_alpha,
)

# The other live oracle: it runs with the suite too, since scikit-learn is there.
__all__ = ["test_scikit_learn", "test_scikit_learns_adam", "test_scikit_learns_alpha"]

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed; run `make oracle`"),
]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_training_goes_as_pytorch_does_it_now(case: Case) -> None:
    expected, found = record.train(case), train(case)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        tolerance = TOLERANCE[case.precision]
        assert np.allclose(found[name], array, rtol=tolerance, atol=tolerance), name


@pytest.mark.parametrize("kind", normalized.KINDS)
def test_normalised_training_goes_as_pytorch_does_it_now(kind: Kind) -> None:
    assert_trains_as(normalized.train(kind), kind)


@pytest.mark.parametrize("case", trajectories.cases(), ids=lambda case: case.name)
def test_optimizers_and_schedules_go_as_pytorch_does_it_now(case: trajectories.Case) -> None:
    deltaq_trajectories.assert_same(trajectories.train(case), deltaq_trajectories.train(case))


@pytest.mark.parametrize("choice", functions.ACTIVATIONS, ids=functions.label)
def test_activations_are_pytorchs_now(choice: functions.Choice) -> None:
    deltaq_functions.assert_same(deltaq_functions.activate(choice), functions.activate(choice))


@pytest.mark.parametrize("pair", functions.LOSSES, ids=lambda pair: functions.label(*pair))
def test_losses_are_pytorchs_now(pair: tuple[functions.Choice, functions.Choice]) -> None:
    deltaq_functions.assert_same(deltaq_functions.lose(*pair), functions.lose(*pair))
