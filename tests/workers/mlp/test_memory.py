"""A step allocates nothing of its mini-batch's size, nor of its network's."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.workers.mlp.making import EACH_COMBINATION, architecture, random_batch, random_parameters
from workers.mlp.network import Network
from workers.mlp.optimizers import OPTIMIZERS, SGD, Regularization
from workers.mlp.parameters import Parameters

ROWS = 65_536
COLUMN_BYTES = ROWS * 4  # one float32 for each row; NumPy's own casting buffers, of a fixed size, stay below it


@EACH_COMBINATION
def test_a_step_allocates_nothing_of_batch_size(pair: tuple[str, str], hidden: str) -> None:
    shape = architecture(pair, (5, 8, 4, 3), hidden, precision="float32")
    parameters, gradient = random_parameters(shape, seed=1), Parameters(shape)
    x, y = random_batch(shape, ROWS, seed=2)
    weights = np.ones(ROWS)
    network, optimizer = Network(shape, ROWS), SGD(0.01, momentum=0.9, nesterov=True, weight_decay=0.01)
    state = optimizer.state(parameters)

    def step() -> None:
        sums = network.gradient(parameters, x, y, weights, gradient)
        optimizer.update(parameters, gradient, sums.weight, state)

    step()
    assert least_peak_bytes(step) < COLUMN_BYTES / 2


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_allocates_nothing_of_the_networks_size(name: str) -> None:
    shape = architecture(("squared_error", "identity"), (1000, 1000, 1), precision="float32")
    parameters, gradient = random_parameters(shape, seed=1), random_parameters(shape, seed=2)
    limits = Regularization(l1=0.01, l2=0.01, clip_value=1, clip_norm=1, max_norm=1)
    kind: Any = OPTIMIZERS[name]
    own = {"centered": True, "amsgrad": True, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}
    optimizer = kind(0.01, regularization=limits, **{key: own[key] for key in own if key in kind.__dataclass_fields__})
    state = optimizer.state(parameters)

    def step() -> None:
        optimizer.update(parameters, gradient, 1.0, state)

    step()
    assert least_peak_bytes(step, times=3) < parameters.flat.nbytes / 16


def least_peak_bytes(step: Callable[[], None], times: int = 5) -> int:
    """What a step allocates at its peak: the least of several, since other threads of this process are counted too."""
    peaks = []
    tracemalloc.start()
    try:
        for _ in range(times):
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            step()
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    return min(peaks)


def test_an_allocation_in_every_step_is_seen() -> None:
    assert least_peak_bytes(lambda: np.zeros(COLUMN_BYTES, np.uint8).fill(1)) >= COLUMN_BYTES


def test_fewer_rows_use_the_same_memory() -> None:
    shape = architecture(("cross_entropy", "softmax"), (4, 5, 3))
    network, parameters = Network(shape, rows=8), random_parameters(shape, seed=3)
    x, _ = random_batch(shape, 8, seed=4)
    full = network.forward(parameters, x)
    short = network.forward(parameters, x[:3])
    assert np.shares_memory(full, short)
    assert short.shape == (3, 3)
    assert short.flags.c_contiguous
