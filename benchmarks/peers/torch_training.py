"""The plain PyTorch training that several peers share: mini-batches of a shuffled epoch, cross-entropy, SGD."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

from benchmarks.made_rows import LEARNING_RATE, SIZES, Rows


def network(sizes: tuple[int, ...] = SIZES) -> Any:
    """Linear layers with ReLU between them."""
    import torch

    layers: list[Any] = []
    for below, units in pairwise(sizes):
        layers += [torch.nn.Linear(below, units), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


class TorchTraining:
    """Trains a model in this process; as one of several ranks it takes its part of each mini-batch."""

    def __init__(self, model: Any, rows: Rows, rank: int = 0, ranks: int = 1) -> None:
        import torch

        self._model, self._rank, self._ranks = model, rank, ranks
        self._loss = torch.nn.CrossEntropyLoss()
        self._optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
        self._x, self._y = torch.from_numpy(rows.x), torch.from_numpy(rows.y)
        self._generator = torch.Generator().manual_seed(0)  # the same order on each rank

    def seconds(self, batch: int, epochs: int) -> float:
        """How long so many epochs take, on the clock."""
        begun = time.perf_counter()
        for _ in range(epochs):
            self._epoch(batch)
        return time.perf_counter() - begun

    def _epoch(self, batch: int) -> None:
        import torch

        order = torch.randperm(len(self._x), generator=self._generator)
        for first in range(0, len(order), batch):
            rows = order[first : first + batch].chunk(self._ranks)[self._rank]
            self._optimizer.zero_grad()
            self._loss(self._model(self._x[rows]), self._y[rows]).backward()
            self._optimizer.step()
