"""The machine's own bound: the matrix products of one shard's step and nothing else, in one process of one thread.

Asked (batch, epochs), a process does the products of half of each mini-batch as often as there are steps in so many
epochs; two of them at once are the bound of two cores. Forward: one product a layer; backward: one a layer for the
gradient, and one for the delta of every layer but the first.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from benchmarks.made_rows import ROWS, SIZES
from benchmarks.sides import Ready, serve

PARTS = 2


def products(rows: int) -> Callable[[], None]:
    """One step's products for a shard of so many rows."""
    import numpy as np

    generator = np.random.default_rng(0)
    activations = [generator.standard_normal((rows, units), np.float32) for units in SIZES]
    weights = [generator.standard_normal(shape, np.float32) for shape in pairwise(SIZES)]
    gradients = [np.empty_like(weight) for weight in weights]
    deltas = [np.ones_like(activation) for activation in activations]
    layers = list(zip(weights, gradients, pairwise(activations), pairwise(deltas), strict=True))

    def step() -> None:
        for weight, _, (below, above), _ in layers:
            np.matmul(below, weight, out=above)
        for number, (weight, gradient, (below, _), (delta_below, delta)) in reversed(list(enumerate(layers))):
            np.matmul(below.T, delta, out=gradient)
            if number:
                np.matmul(delta, weight.T, out=delta_below)

    return step


@contextmanager
def bound() -> Iterator[Ready]:
    """The side, with the kernels that the command line names."""
    from workers import kernels

    parser = argparse.ArgumentParser()
    parser.add_argument("--kernels", choices=kernels.CHOICES, default="portable")
    kernels.pin(parser.parse_args().kernels)
    kernels.check()
    steps: dict[int, Callable[[], None]] = {}

    def seconds(question: Any) -> float:
        batch, epochs = question
        step = steps.setdefault(batch, products(batch // PARTS))
        begun = time.perf_counter()
        for _ in range(epochs * ROWS // batch):
            step()
        return time.perf_counter() - begun

    fingerprint = kernels.fingerprint()
    yield f"NumPy {fingerprint['numpy']}, OpenBLAS for {fingerprint['core']}", seconds


if __name__ == "__main__":
    serve(bound)
