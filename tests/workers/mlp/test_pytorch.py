"""deltaq's training beside PyTorch's, as `tests/oracles/record.py` recorded it; no PyTorch is needed here."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.cases import OPTIMIZERS, Arrays, Case, cases, inputs
from tests.oracles.record import RECORD
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.network import Network
from workers.mlp.optimizers import SGD
from workers.mlp.parameters import Parameters

TOLERANCE = {"float64": 1e-12, "float32": 2e-5}


@pytest.fixture(scope="module")
def record() -> Arrays:
    with np.load(RECORD, allow_pickle=False) as arrays:
        return dict(arrays)


def train(case: Case) -> Arrays:
    """What `record.train` does, by deltaq."""
    activations = (*case.hidden, case.output)
    layers = tuple(LayerShape(*layer) for layer in zip(case.sizes[1:], activations, strict=True))
    shape = Architecture(case.sizes[0], layers, case.loss, case.bias, case.precision)  # type: ignore[arg-type]
    parameters, gradient, given = Parameters(shape), Parameters(shape), inputs(case)
    for name, array in parameters.named().items():
        array[...] = given[name]
    optimizer, network = SGD(case.learning_rate, **OPTIMIZERS[case.optimizer]), Network(shape, case.rows)
    state, losses = optimizer.state(parameters), []
    found: Arrays = {}
    for step in range(case.steps):
        sums = network.gradient(parameters, given["x"], given["y"], given["weights"], gradient)
        losses.append(sums.loss / sums.weight)
        if step == 0:
            found |= {f"gradient.{name}": array / sums.weight for name, array in gradient.named().items()}
        optimizer.update(parameters, gradient, sums.weight, state)
    found |= {f"last.{name}": array for name, array in parameters.named().items()}
    return found | {"losses": np.array(losses)}


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_training_goes_as_pytorch_recorded_it(case: Case, record: Arrays) -> None:
    expected = {
        name.removeprefix(f"{case.name}/"): array for name, array in record.items() if case.name == name.split("/")[0]
    }
    found = train(case)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        tolerance = TOLERANCE[case.precision]
        assert np.allclose(found[name], array, rtol=tolerance, atol=tolerance), name


def test_the_record_says_which_versions_made_it(record: Arrays) -> None:
    assert [version.split()[0] for version in record["versions"]] == ["torch", "numpy"]
    assert {name.split("/")[0] for name in record} == {case.name for case in cases()} | {"versions"}
