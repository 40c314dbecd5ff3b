"""Which rows belong to which step, shard and block: functions of the spec alone. Knows no data and no worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.mlp.random import Purpose, philox

Epoch = int | tuple[int, ...]  # of a population, each network may be in an epoch of its own


class Step(NamedTuple):
    """Which mini-batch: the epoch, its step there, both from 0; and whether to say what each layer does in it."""

    epoch: Epoch
    number: int
    observe: bool = False


def epoch_order(rows: int, seed: int, epoch: int, shuffle: bool) -> NDArray[np.int64]:
    """Return the order in which an epoch takes the rows."""
    if not shuffle:
        return np.arange(rows, dtype=np.int64)
    return philox(seed, Purpose.ORDER, epoch=epoch).permutation(rows).astype(np.int64, copy=False)


class Orders:
    """The order in which each network of a population takes the rows, or a network alone: those of one epoch at a time.

    Networks of the same seed in the same epoch share an order; `seeds` is one seed, or one for each network.
    """

    def __init__(self, rows: int, seeds: int | Sequence[int], shuffle: bool) -> None:
        self._rows = rows
        self._seeds = seeds
        self._shuffle = shuffle
        self._epoch: Epoch | None = None
        self._orders: list[NDArray[np.int64]] = []
        self._order_of: list[int] = []  # each network

    def batch(self, step: Step, batch_size: int) -> NDArray[np.int64]:
        """Return the rows of a step's mini-batch. Shapes: (samples,) where all share an order, (networks, samples)."""
        if self._epoch != step.epoch:
            self._begin(step.epoch)
            self._epoch = step.epoch
        place = batch_rows(self._rows, batch_size, step.number)
        if len(self._orders) == 1:
            return self._orders[0][place]
        picked = [order[place] for order in self._orders]
        return np.array([picked[number] for number in self._order_of])

    def _begin(self, epoch: Epoch) -> None:
        given = np.broadcast_arrays(np.asarray(self._seeds, np.int64), epoch)
        places = list(zip(*(each.ravel().tolist() for each in given), strict=True))
        different = list(dict.fromkeys(places)) if self._shuffle else places[:1]
        self._orders = [epoch_order(self._rows, seed, each, self._shuffle) for seed, each in different]
        self._order_of = [different.index(place) for place in places] if self._shuffle else []


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
