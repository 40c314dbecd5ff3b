"""Every activation and loss beside PyTorch's value and gradient, as `tests/oracles/functions.py` recorded them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles import functions
from tests.oracles.functions import Arrays, label
from tests.workers.mlp.test_activations import workspace
from workers.mlp.activations import ACTIVATIONS, find_activation
from workers.mlp.choices import Choice, name_of
from workers.mlp.losses import LOSSES, find_loss

TOLERANCE = 1e-10


@pytest.fixture(scope="module")
def record() -> Arrays:
    with np.load(functions.RECORD, allow_pickle=False) as arrays:
        return dict(arrays)


def activate(choice: Choice) -> Arrays:
    """What `functions.activate` does, by deltaq."""
    given = functions.net_inputs()
    z, delta, work = given["z"], given["g"].copy(), workspace(given["z"])
    activation, a = find_activation(choice), np.empty_like(given["z"])
    learned: Arrays = {"slope": functions.SLOPES}
    gradient: Arrays = {"slope": np.empty(4)}
    activation.forward(z, a, work, learned)
    activation.back(z if activation.keeps_z else a, a, delta, work, learned, gradient)
    return {"a": a, "delta": delta} | (gradient if activation.learned else {})


def lose(loss: Choice, output: Choice) -> Arrays:
    """What `functions.lose` does, by deltaq."""
    given = functions.targets(loss, output)
    z, y, work = given["z"], given["y"], workspace(given["z"])
    o, values, delta = np.empty_like(z), np.empty(len(z)), np.empty_like(z)
    find_activation(output).apply(z, o, work)
    chosen = find_loss(loss, output)
    chosen.values(z, o, y, values, work)
    chosen.delta(z, o, y, delta, work)
    return {"values": values, "delta": delta}


def assert_same(found: Arrays, expected: Arrays) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert np.allclose(found[name], array, rtol=TOLERANCE, atol=TOLERANCE), name


def of_case(record: Arrays, name: str) -> Arrays:
    return {key.split("/")[1]: array for key, array in record.items() if key.split("/")[0] == name}


@pytest.mark.parametrize("choice", functions.ACTIVATIONS, ids=label)
def test_an_activation_is_pytorchs(choice: Choice, record: Arrays) -> None:
    assert_same(activate(choice), of_case(record, label(choice)))


@pytest.mark.parametrize(("loss", "output"), functions.LOSSES, ids=[label(*pair) for pair in functions.LOSSES])
def test_a_loss_and_its_output_delta_are_pytorchs(loss: Choice, output: Choice, record: Arrays) -> None:
    assert_same(lose(loss, output), of_case(record, label(loss, output)))


def test_everything_that_can_be_chosen_is_held_against_pytorch() -> None:
    assert {name_of(choice) for choice in functions.ACTIVATIONS} == set(ACTIVATIONS)
    assert {name_of(loss) for loss, _ in functions.LOSSES} == set(LOSSES)


def test_the_record_says_which_versions_made_it(record: Arrays) -> None:
    assert [version.split()[0] for version in record["versions"]] == ["torch", "numpy"]
