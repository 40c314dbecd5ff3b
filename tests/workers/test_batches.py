"""The order of rows, and how steps and shards cut it: complete, without overlap, from the spec alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.batches import batch_rows, epoch_order, shard_slice, steps_per_epoch

ROWS, SIZES, SHARDS = st.integers(1, 300), st.integers(1, 100), st.integers(1, 32)


@given(ROWS, st.integers(0, 2**63 - 1), st.integers(0, 10**6))
def test_each_epoch_takes_every_row_once(rows: int, seed: int, epoch: int) -> None:
    order = epoch_order(rows, seed, epoch, shuffle=True)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(rows))
    assert np.array_equal(order, epoch_order(rows, seed, epoch, shuffle=True))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(epoch_order(50, seed, epoch, True).tolist()) for seed in range(5) for epoch in range(20)}
    assert len(orders) == 100


def test_without_shuffling_the_rows_keep_their_order() -> None:
    assert epoch_order(5, seed=1, epoch=9, shuffle=False).tolist() == [0, 1, 2, 3, 4]


@given(ROWS, SIZES)
def test_steps_cut_an_epoch_into_mini_batches(rows: int, batch_size: int) -> None:
    steps = [batch_rows(rows, batch_size, step) for step in range(steps_per_epoch(rows, batch_size))]
    assert [row for step in steps for row in range(rows)[step]] == list(range(rows))
    lengths = [step.stop - step.start for step in steps]
    assert lengths[:-1] == [batch_size] * (len(steps) - 1)
    assert 1 <= lengths[-1] <= batch_size


@given(st.integers(0, 300), SHARDS)
def test_shards_cut_a_mini_batch_into_even_parts(rows: int, shards: int) -> None:
    parts = [shard_slice(rows, shards, shard) for shard in range(shards)]
    assert [row for part in parts for row in range(rows)[part]] == list(range(rows))
    lengths = [part.stop - part.start for part in parts]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("shard", "expected"), [(0, slice(0, 2)), (1, slice(2, 5)), (2, slice(5, 7)), (3, slice(7, 10))]
)
def test_the_cuts_are_where_the_rule_puts_them(shard: int, expected: slice) -> None:
    assert shard_slice(10, 4, shard) == expected
