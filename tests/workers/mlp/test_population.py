"""Networks stacked along leading axes get the bits that each gets alone, in every output of every step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.workers.mlp.making import EACH_COMBINATION, Precision, architecture, random_batch, random_parameters
from workers.mlp.architecture import Architecture
from workers.mlp.arrays import Array
from workers.mlp.initializers import initialize
from workers.mlp.network import Network
from workers.mlp.optimizers import SGD
from workers.mlp.parameters import Parameters

STEPS = 3
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "decay": {"weight_decay": 0.01},
    "all": {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
}
SIZES = [(1, 1, 2), (5, 3, 2), (2, 7, 5, 3), (33, 17, 10), (64, 65, 2), (784, 31, 10)]


def train(
    shape: Architecture, parameters: Parameters, optimizer: SGD, x: Array, y: Array, weights: Array | None
) -> list[Array]:
    """Take some steps, and return all that came out of them."""
    networks, rows = parameters.networks, x.shape[-2]
    network, gradient, state = (
        Network(shape, rows + 2, networks),
        Parameters(shape, networks),
        optimizer.state(parameters),
    )
    found: list[Array] = []
    for _ in range(STEPS):
        sums = network.gradient(parameters, x, y, weights, gradient)
        found += [np.asarray(total) for total in sums[:3]]
        found += [array.copy() for array in gradient.named().values()]
        optimizer.update(parameters, gradient, sums.weight, state)
    return [*found, network.forward(parameters, x).copy(), parameters.flat, *state]


def assert_same_bits(stacked: list[Array], alone: list[Array], index: tuple[int, ...]) -> None:
    assert len(stacked) == len(alone)
    for together, single in zip(stacked, alone, strict=True):
        assert together[index].tobytes() == single.tobytes()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("rows", [1, 2, 7, 33, 256])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_three_networks_stacked_get_the_bits_of_three_alone(
    precision: Precision, sizes: tuple[int, ...], rows: int, optimizer: str
) -> None:
    shape = architecture(("cross_entropy", "softmax"), sizes, "relu", precision=precision)
    stacked = random_parameters(shape, seed=1, networks=(3,))
    solos = [Parameters(shape, (), stacked.flat[index].copy()) for index in range(3)]
    x, y = random_batch(shape, rows, seed=2, networks=(3,))
    rates = [0.1, 0.03, 0.5]

    together = train(shape, stacked, SGD(rates, **OPTIMIZERS[optimizer]), x, y, None)
    for index, solo in enumerate(solos):
        alone = train(shape, solo, SGD(rates[index], **OPTIMIZERS[optimizer]), x[index], y[index], None)
        assert_same_bits(together, alone, (index,))


@EACH_COMBINATION
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_every_pair_on_shared_rows_with_sample_weights(
    precision: Precision, pair: tuple[str, str], hidden: str
) -> None:
    shape = architecture(pair, (4, 5, 3), hidden, bias=hidden != "tanh", precision=precision)
    stacked = random_parameters(shape, seed=3, networks=(2, 2))
    solos = {index: Parameters(shape, (), stacked.flat[index].copy()) for index in np.ndindex(2, 2)}
    x, y = random_batch(shape, rows=13, seed=4)
    weights = np.random.default_rng(5).uniform(0, 2, 13)

    together = train(shape, stacked, SGD(0.1, momentum=0.9), x, y, weights)
    for index, solo in solos.items():
        assert_same_bits(together, train(shape, solo, SGD(0.1, momentum=0.9), x, y, weights), index)


def test_single_output_networks_count_their_right_rows_alike() -> None:
    shape = architecture(("log_loss", "sigmoid"), (3, 4, 1), precision="float32")
    stacked = random_parameters(shape, seed=6, networks=(3,))
    x, y = random_batch(shape, rows=21, seed=7)
    together = Network(shape, 21, (3,)).sums(stacked, x, y, None)
    for index in range(3):
        alone = Network(shape, 21).sums(stacked.member((index,)), x, y, None)
        assert [np.asarray(total)[index] for total in together[:3]] == list(alone[:3])


def test_a_member_without_weight_stays_as_it_is() -> None:
    shape = architecture(("squared_error", "identity"), (2, 3, 1))
    parameters, gradient = random_parameters(shape, seed=8, networks=(3,)), Parameters(shape, (3,))
    x, y = random_batch(shape, rows=4, seed=9)
    optimizer = SGD(0.1, momentum=0.9, weight_decay=0.1)
    state, network = optimizer.state(parameters), Network(shape, 4, (3,))
    state[0][...] = 1
    before, weights = parameters.flat.copy(), np.array([[1.0] * 4, [0.0] * 4, [2.0] * 4])

    sums = network.gradient(parameters, x, y, weights, gradient)
    optimizer.update(parameters, gradient, sums.weight, state)

    assert np.array_equal(parameters.flat[1], before[1])
    assert np.all(state[0][1] == 1)
    assert not np.array_equal(parameters.flat[0], before[0])
    assert np.all(np.isfinite(parameters.flat))


def test_each_member_begins_with_the_weights_of_its_own_seed() -> None:
    shape = architecture(("cross_entropy", "softmax"), (4, 5, 3), "relu")
    stacked, solo = Parameters(shape, (3,)), Parameters(shape)
    initialize(stacked, [7, 8, 7])
    for index, seed in enumerate([7, 8, 7]):
        initialize(solo, seed)
        assert stacked.member((index,)).sha256() == solo.sha256()
    assert stacked.member((0,)).sha256() != stacked.member((1,)).sha256()
