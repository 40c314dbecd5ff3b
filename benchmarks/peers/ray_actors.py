"""Plain Ray actors: a parameter server that puts its weights into the object store and gets gradients back from two.

Asked (batch, epochs), it answers the seconds. The actors compute with PyTorch, one thread each.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.made_rows import LEARNING_RATE, ROWS, made
from benchmarks.peers.local_ray import local_ray
from benchmarks.peers.torch_training import network
from benchmarks.sides import Ready, serve

WORKERS = 2


class Worker:
    """Holds all rows; computes the gradient of those that it is asked for."""

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(1)
        rows = made()
        self._x, self._y = torch.from_numpy(rows.x), torch.from_numpy(rows.y)
        self._model, self._loss = network(), torch.nn.CrossEntropyLoss()

    def gradient(self, weights: list[Any], rows: Any) -> list[Any]:
        """The mean gradient of these rows, an array for each of the weights."""
        import torch

        for parameter, weight in zip(self._model.parameters(), weights, strict=True):
            parameter.data = torch.from_numpy(weight)
        self._model.zero_grad()
        self._loss(self._model(self._x[rows]), self._y[rows]).backward()
        return [parameter.grad.numpy() for parameter in self._model.parameters()]


class Server:
    """The parameter server, in the driver's process."""

    def __init__(self, workers: list[Any]) -> None:
        self._workers = workers
        self._weights = [parameter.detach().numpy() for parameter in network().parameters()]

    def seconds(self, batch: int, epochs: int) -> float:
        """How long so many epochs take, on the clock."""
        import numpy as np

        generator = np.random.default_rng(0)
        begun = time.perf_counter()
        for _ in range(epochs):
            order = generator.permutation(ROWS)
            for first in range(0, ROWS, batch):
                self._step(np.split(order[first : first + batch], len(self._workers)))
        return time.perf_counter() - begun

    def _step(self, parts: list[Any]) -> None:
        import ray

        sent = ray.put(self._weights)
        calls = [worker.gradient.remote(sent, part) for worker, part in zip(self._workers, parts, strict=True)]
        gradients = zip(*ray.get(calls), strict=True)
        for weight, of_workers in zip(self._weights, gradients, strict=True):
            weight -= LEARNING_RATE / len(parts) * sum(of_workers)


@contextmanager
def ray_actors() -> Iterator[Ready]:
    """The side."""
    import ray

    with local_ray():
        workers = [ray.remote(Worker).options(num_cpus=1).remote() for _ in range(WORKERS)]
        server = Server(workers)
        yield f"Ray {ray.__version__}", lambda question: server.seconds(*question)


if __name__ == "__main__":
    serve(ray_actors)
