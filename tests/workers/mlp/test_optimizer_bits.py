"""Every optimizer, with and without penalties, clipping and limits: a population, a pause and a repeat give the bits of
one network that trains through."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from tests.workers.mlp.making import Precision, architecture, random_parameters
from workers.mlp.architecture import Architecture
from workers.mlp.arrays import Array
from workers.mlp.optimizers import OPTIMIZERS, Optimizer, Regularization
from workers.mlp.parameters import Parameters

NETWORKS, STEPS = 3, 6
RATES, MOMENTA, DECAYS = (0.1, 0.03, 0.5), (0.9, 0.3, 0.6), (0.01, 0.2, 0.0)
SHARES, EPSILONS = {"beta1": (0.9, 0.8, 0.37), "beta2": (0.999, 0.99, 0.77)}, (1e-8, 1e-3, 0.01)
OWN: dict[str, dict[str, Any]] = {  # a tuple has a value for each network
    "sgd": {"momentum": MOMENTA, "nesterov": True, "weight_decay": DECAYS},
    "adagrad": {"rate_decay": (0.1, 0.07, 0.0), "epsilon": EPSILONS, "weight_decay": DECAYS},
    "rmsprop": {
        "alpha": (0.99, 0.9, 0.6),
        "epsilon": EPSILONS,
        "centered": True,
        "momentum": MOMENTA,
        "weight_decay": DECAYS,
    },
    "adam": {**SHARES, "epsilon": EPSILONS, "amsgrad": True, "weight_decay": DECAYS},
    "adamw": {**SHARES, "epsilon": EPSILONS, "weight_decay": DECAYS},
    "nadam": {**SHARES, "epsilon": EPSILONS, "momentum_decay": (4e-3, 0.01, 0.0), "weight_decay": DECAYS},
    "adadelta": {"rho": (0.9, 0.5, 0.73), "epsilon": EPSILONS, "weight_decay": DECAYS},
    "lion": {**SHARES, "weight_decay": DECAYS},
    "rprop": {
        "eta_minus": (0.5, 0.4, 0.7),
        "eta_plus": (1.2, 1.3, 1.1),
        "step_least": (1e-6, 0.02, 0.01),
        "step_most": (50.0, 0.15, 0.6),
    },
}
LIMITS = {
    "l1": (0.003, 0.01, 0.02),
    "l2": (0.01, 0.1, 0.003),
    "clip_value": (0.4, 0.2, 0.3),
    "clip_norm": (2.0, 1.0, 3.0),
    "max_norm": (1.5, 2.5, 1.0),
}
WEIGHTS = np.array([3.0, 7.0, 0.3])

EVERY = pytest.mark.parametrize(
    ("precision", "name", "limits"),
    [
        (precision, name, limits)
        for precision in ("float32", "float64")
        for name in OPTIMIZERS
        for limits in ({}, LIMITS)
    ],
    ids=lambda value: ("limited" if value else "free") if isinstance(value, dict) else value,
)


def made(name: str, limits: dict[str, Any], index: int | None = None) -> Optimizer:
    """The optimizer of all three networks, or of one of them."""
    given, regularization = of_network({"learning_rate": RATES, **OWN[name]}, index), of_network(limits, index)
    kind: Any = OPTIMIZERS[name]
    made: Optimizer = kind(**given, regularization=Regularization(**regularization))
    return made


def of_network(given: dict[str, Any], index: int | None) -> dict[str, Any]:
    if index is None:
        return given
    return {key: value[index] if isinstance(value, tuple) else value for key, value in given.items()}


def shape_of(precision: Precision) -> Architecture:
    """A layer of more weights than NumPy sums at once, a normalised one, and one unit."""
    shape = architecture(("log_loss", "sigmoid"), (37, 301, 6, 1), precision=precision)
    first, second, last = shape.layers
    return replace(shape, layers=(first, replace(second, normalization="layer"), last))


def gradients(shape: Architecture, step: int, networks: tuple[int, ...] = (NETWORKS,)) -> Parameters:
    """Those of a step, of the size of the weights, sometimes turned."""
    found = random_parameters(shape, 100 + step, networks)
    found.flat *= 4
    return found


def follow(
    optimizer: Optimizer,
    parameters: Parameters,
    state: list[Array],
    weights: Any = WEIGHTS,
    member: int | None = None,
    steps: range = range(STEPS),
) -> None:
    """Take steps by the same gradients; `member`: that one network's."""
    for step in steps:
        gradient = gradients(parameters.architecture, step)
        if member is not None:
            gradient = gradient.member((member,))
        optimizer.update(parameters, gradient, weights, state, step=step + 1)


def bits(parameters: Parameters, state: list[Array]) -> list[bytes]:
    return [parameters.flat.tobytes(), *(array.tobytes() for array in state)]


def copied(parameters: Parameters, state: list[Array]) -> tuple[Parameters, list[Array]]:
    return Parameters(parameters.architecture, parameters.networks, parameters.flat.copy()), [a.copy() for a in state]


@EVERY
def test_three_networks_stacked_get_the_bits_of_three_alone(
    precision: Precision, name: str, limits: dict[str, Any]
) -> None:
    stacked, optimizer = random_parameters(shape_of(precision), 1, (NETWORKS,)), made(name, limits)
    solos = [stacked.flat[index].copy() for index in range(NETWORKS)]
    state = optimizer.state(stacked)
    follow(optimizer, stacked, state)
    for index, flat in enumerate(solos):
        alone, own = Parameters(stacked.architecture, (), flat), made(name, limits, index)
        own_state = own.state(alone)
        follow(own, alone, own_state, WEIGHTS[index], index)
        assert bits(alone, own_state) == bits(stacked.member((index,)), [array[index] for array in state])


@EVERY
def test_a_member_without_weight_keeps_its_weights_and_its_state(
    precision: Precision, name: str, limits: dict[str, Any]
) -> None:
    stacked, optimizer = random_parameters(shape_of(precision), 1, (NETWORKS,)), made(name, limits)
    state = optimizer.state(stacked)
    follow(optimizer, stacked, state, steps=range(2))
    before, state_before = copied(stacked, state)
    follow(optimizer, stacked, state, WEIGHTS * [1, 0, 1], steps=range(2, 4))
    assert bits(stacked.member((1,)), [a[1] for a in state]) == bits(before.member((1,)), [a[1] for a in state_before])

    follow(optimizer, before, state_before, WEIGHTS, steps=range(2, 4))
    for index in (0, 2):
        assert stacked.flat[index].tobytes() == before.flat[index].tobytes()
    assert stacked.flat[1].tobytes() != before.flat[1].tobytes()


@EVERY
def test_a_training_that_is_put_down_and_taken_up_again_has_the_bits_of_one_that_is_not(
    precision: Precision, name: str, limits: dict[str, Any]
) -> None:
    parameters, optimizer = random_parameters(shape_of(precision), 1, (NETWORKS,)), made(name, limits)
    state = optimizer.state(parameters)
    follow(optimizer, parameters, state, steps=range(3))
    saved, repeated = copied(parameters, state), copied(parameters, state)
    follow(optimizer, parameters, state, steps=range(3, STEPS))

    follow(made(name, limits), *saved, steps=range(3, STEPS))  # by another process
    assert bits(*saved) == bits(parameters, state)
    follow(optimizer, *repeated, steps=range(3, STEPS))  # the same steps done again
    assert bits(*repeated) == bits(parameters, state)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_change_and_padding_does_not(name: str) -> None:
    parameters, optimizer = random_parameters(shape_of("float32"), 1), made(name, LIMITS, 0)
    state = optimizer.state(parameters)
    padding = np.ones(parameters.trained.shape, bool)
    whole = Parameters(parameters.architecture, (), np.zeros_like(parameters.flat))
    for array in whole.trained_arrays():
        array.fill(1)
    padding &= whole.trained == 0
    before = parameters.trained.copy()
    follow(optimizer, parameters, state, 1.0, member=0)
    assert padding.any()
    assert not parameters.trained[padding].any()
    assert np.all((parameters.trained != before) | padding)


def test_every_field_that_a_population_may_vary_is_varied_here() -> None:
    for name, kind in OPTIMIZERS.items():
        of_networks = {field.name for field in fields(kind) if field.type == "ArrayLike"} - {"learning_rate"}
        assert {key for key, value in OWN[name].items() if isinstance(value, tuple)} == of_networks
    assert set(LIMITS) == {field.name for field in fields(Regularization)}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_networks_at_different_steps_get_the_bits_of_each_at_its_own(name: str) -> None:
    stacked, optimizer = random_parameters(shape_of("float32"), 1, (NETWORKS,)), made(name, LIMITS)
    solos, state, starts = (
        [stacked.flat[index].copy() for index in range(NETWORKS)],
        optimizer.state(stacked),
        (5, 0, 2),
    )
    for step in range(STEPS):
        now = np.array(starts) + step + 1
        optimizer.update(stacked, gradients(stacked.architecture, step, (NETWORKS,)), WEIGHTS, state, step=now)
    for index, flat in enumerate(solos):
        alone, own = Parameters(stacked.architecture, (), flat), made(name, LIMITS, index)
        own_state = own.state(alone)
        for step in range(STEPS):
            gradient = gradients(stacked.architecture, step, (NETWORKS,)).member((index,))
            own.update(alone, gradient, WEIGHTS[index], own_state, step=starts[index] + step + 1)
        assert bits(alone, own_state) == bits(stacked.member((index,)), [array[index] for array in state])
