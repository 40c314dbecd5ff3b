"""A mini-batch in shards, combined by the tree, is one process on the whole mini-batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.mlp.making import EVERY_PAIR, Precision, architecture, random_batch, random_parameters
from workers.batches import shard_slice
from workers.mlp.architecture import Architecture
from workers.mlp.arrays import Array
from workers.mlp.network import BatchSums, Network
from workers.mlp.optimizers import SGD
from workers.mlp.parameters import Parameters
from workers.summation import combine, combine_subtrees, complete_subtrees

Unit = tuple[Parameters, BatchSums]


def add(left: Unit, right: Unit) -> Unit:
    total = Parameters(left[0].architecture)
    np.add(left[0].flat, right[0].flat, out=total.flat)
    return total, left[1].plus(right[1])


def shard_sums(
    parameters: Parameters, x: Array, y: Array, weights: Array | None, parts: list[slice]
) -> dict[int, Unit]:
    network = Network(parameters.architecture, max(len(x), 1))
    units = {}
    for number, part in enumerate(parts):
        if len(x[part]):
            gradient = Parameters(parameters.architecture)
            of_part = None if weights is None else weights[part]
            units[number] = gradient, network.gradient(parameters, x[part], y[part], of_part, gradient)
    return units


def case(
    pair: tuple[str, str], rows: int, precision: Precision = "float64"
) -> tuple[Architecture, Parameters, Array, Array]:
    shape = architecture(pair, (6, 9, 3), "tanh", precision=precision)
    return shape, random_parameters(shape, seed=1), *random_batch(shape, rows, seed=2)


@pytest.mark.parametrize("weighted", [True, False], ids=["weighted", "plain"])
@pytest.mark.parametrize("cuts", [[1, 2], [100], [3, 50, 51, 90], list(range(1, 101))], ids=len)
@pytest.mark.parametrize("pair", EVERY_PAIR, ids="-".join)
def test_unequal_shards_take_the_step_of_the_whole(pair: tuple[str, str], cuts: list[int], weighted: bool) -> None:
    shape, parameters, x, y = case(pair, rows=101)
    whole = Parameters(shape, flat=parameters.flat.copy())
    weights = np.random.default_rng(3).uniform(0.01, 5, 101) if weighted else None
    optimizer = SGD(0.3, momentum=0.9, weight_decay=0.01)

    gradient = Parameters(shape)
    sums = Network(shape, 101).gradient(whole, x, y, weights, gradient)
    optimizer.update(whole, gradient, sums.weight, optimizer.state(whole))

    parts = [slice(lo, hi) for lo, hi in zip([0, *cuts], [*cuts, 101], strict=True)]
    combined = combine(shard_sums(parameters, x, y, weights, parts), 0, len(parts), add)
    assert combined is not None
    optimizer.update(parameters, combined[0], combined[1].weight, optimizer.state(parameters))

    assert np.allclose(parameters.flat, whole.flat, rtol=1e-12, atol=1e-12)
    assert combined[1][:4] == pytest.approx(sums[:4], rel=1e-12)


@given(st.data(), st.integers(1, 20), st.integers(1, 12), st.integers(1, 4), st.sampled_from(["float32", "float64"]))
def test_any_number_of_holders_gives_the_same_bits(
    data: st.DataObject, rows: int, shards: int, holders: int, precision: Precision
) -> None:
    """Shards that hold no row, and complete subtrees added up where they are held, change no bit."""
    _, parameters, x, y = case(("cross_entropy", "softmax"), rows, precision)
    owner = data.draw(st.lists(st.integers(0, holders - 1), min_size=shards, max_size=shards))
    units = shard_sums(parameters, x, y, None, [shard_slice(rows, shards, shard) for shard in range(shards)])
    sent = {
        subtree: total
        for holder in range(holders)
        for subtree in complete_subtrees([shard for shard in range(shards) if owner[shard] == holder], shards)
        if (total := combine(units, *subtree, add)) is not None
    }

    together = combine(units, 0, shards, add)
    apart = combine_subtrees(sent, 0, shards, add)

    assert together is not None
    assert apart is not None
    assert together[0].flat.tobytes() == apart[0].flat.tobytes()
    assert together[1] == apart[1]


def test_a_mean_of_shard_means_would_be_another_step() -> None:
    """Why workers return sums with weight sums, and not means."""
    _, parameters, x, y = case(("cross_entropy", "softmax"), rows=10)
    units = shard_sums(parameters, x, y, None, [slice(0, 9), slice(9, 10)])
    total, sums = add(units[0], units[1])
    means = [gradient.flat / sums.weight for gradient, sums in units.values()]
    assert not np.allclose((means[0] + means[1]) / 2, total.flat / sums.weight, rtol=1e-3)
