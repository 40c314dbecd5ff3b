"""Which rows belong to which step, shard and block: functions of the spec alone. Knows no data and no worker."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.mlp.random import Purpose, philox


class Step(NamedTuple):
    """Which mini-batch: the epoch, its step there, both from 0; and whether to say what each layer does in it."""

    epoch: int
    number: int
    observe: bool = False


def epoch_order(rows: int, seed: int, epoch: int, shuffle: bool) -> NDArray[np.int64]:
    """Return the order in which an epoch takes the rows."""
    if not shuffle:
        return np.arange(rows, dtype=np.int64)
    return philox(seed, Purpose.ORDER, epoch=epoch).permutation(rows).astype(np.int64, copy=False)


def steps_per_epoch(rows: int, batch_size: int, least_rows: int = 1) -> int:
    """Return how many mini-batches an epoch has; the last may be short, and is left out below `least_rows`."""
    last = rows % batch_size
    return rows // batch_size + (last >= least_rows and last > 0)


def last_whole_step(rows: int, batch_size: int) -> int:
    """Return the step of an epoch's last mini-batch that is not short; the first one where all are."""
    return max(rows // batch_size - 1, 0)


def batch_rows(rows: int, batch_size: int, step: int) -> slice:
    """Return a step's place in the epoch's order; steps count from 0 in each epoch."""
    return slice(min(step * batch_size, rows), min((step + 1) * batch_size, rows))


def shard_slice(rows_in_batch: int, shards: int, shard: int) -> slice:
    """Return a shard's place in its mini-batch, ⌊s·n/S⌋ … ⌊(s+1)·n/S⌋; it is empty where n < S leaves it none."""
    return slice(shard * rows_in_batch // shards, (shard + 1) * rows_in_batch // shards)
