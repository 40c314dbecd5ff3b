"""One training step of one process, beside PyTorch's: forward pass, loss, backpropagation and SGD's update, one thread.

    python -m benchmarks.step [--peer-python /path/to/python-with-torch] [--layers 784-256-128-10] [--batch 32 256]

Each side runs in a process of its own, both on the same core, and they take turns: what else the machine does then
falls on both. A round is the CPU time of a fixed number of steps (with one thread and an idle machine that is the time
on the clock; on a busy one it leaves out the waiting); the ratio is the median over the rounds of PyTorch's
time divided by deltaq's, so that above 1 deltaq is the faster. The same float32 network, ReLU and cross-entropy.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from benchmarks.machine import described
from benchmarks.made_rows import LEARNING_RATE
from benchmarks.sides import Ready, Side, serve
from benchmarks.tables import spread, table

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def deltaq_step(sizes: list[int], batch: int, momentum: float) -> tuple[Callable[[], object], str]:
    from workers import kernels

    kernels.pin()
    import numpy as np

    from workers.mlp.architecture import Architecture, LayerShape
    from workers.mlp.initializers import initialize
    from workers.mlp.network import Network
    from workers.mlp.optimizers import SGD
    from workers.mlp.parameters import Parameters

    hidden = tuple(LayerShape(units, "relu") for units in sizes[1:-1])
    architecture = Architecture(sizes[0], (*hidden, LayerShape(sizes[-1], "softmax")), "cross_entropy")
    parameters, gradient = Parameters(architecture), Parameters(architecture)
    initialize(parameters, seed=0)
    network, optimizer = Network(architecture, batch), SGD(LEARNING_RATE, momentum)
    state = optimizer.state(parameters)
    generator = np.random.default_rng(0)
    x = generator.standard_normal((batch, sizes[0]), np.float32)
    y = np.eye(sizes[-1], dtype=np.float32)[generator.integers(sizes[-1], size=batch)]

    def step() -> None:
        sums = network.gradient(parameters, x, y, None, gradient)
        optimizer.update(parameters, gradient, sums.weight, state)

    return step, f"NumPy {np.__version__}, OpenBLAS kernels {os.environ.get('OPENBLAS_CORETYPE', 'native')}"


def pytorch_step(sizes: list[int], batch: int, momentum: float) -> tuple[Callable[[], object], str]:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    layers: list[Any] = []
    for below, units in pairwise(sizes):
        layers += [torch.nn.Linear(below, units), torch.nn.ReLU()]
    model, loss = torch.nn.Sequential(*layers[:-1]), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=momentum)
    x, y = torch.randn(batch, sizes[0]), torch.randint(sizes[-1], (batch,))

    def step() -> None:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return step, f"PyTorch {torch.__version__}"


STEPS = {"deltaq": deltaq_step, "pytorch": pytorch_step}


@contextmanager
def side(options: argparse.Namespace) -> Iterator[Ready]:
    """One side's process: asked for a number of steps, it answers with the CPU seconds that they took."""
    step, version = STEPS[options.side](
        [int(units) for units in options.layers.split("-")], options.batch[0], options.momentum
    )

    def seconds(steps: int) -> float:
        start = time.process_time()
        for _ in range(steps):
            step()
        return time.process_time() - start

    yield version, seconds


def started(python: str, name: str, batch: int, options: argparse.Namespace) -> Side:
    command = [python, "-m", "benchmarks.step", "--side", name, "--layers", options.layers]
    return Side([*command, "--batch", str(batch), "--momentum", str(options.momentum)], ONE_THREAD)


def compare(batch: int, options: argparse.Namespace) -> list[str]:
    """Run the rounds; answers a row of the table."""
    ours, peer = (
        started(python, name, batch, options)
        for python, name in ((sys.executable, "deltaq"), (options.peer_python, "pytorch"))
    )
    for one in (ours, peer):
        one.ask(options.steps)  # memory is touched, code is warm
    rounds = [(float(ours.ask(options.steps)), float(peer.ask(options.steps))) for _ in range(options.rounds)]
    for one in (ours, peer):
        one.close()
    medians = [f"{1e3 * statistics.median(seconds) / options.steps:.3f}" for seconds in zip(*rounds, strict=True)]
    return [f"batch {batch}", *medians, spread([theirs / mine for mine, theirs in rounds]), ours.version, peer.version]


def main() -> None:
    parser = argparse.ArgumentParser(description="deltaq's training step beside PyTorch's")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has torch")
    parser.add_argument("--layers", default="784-256-128-10")
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--momentum", type=float, default=0.0)
    parser.add_argument("--steps", type=int, default=50, help="steps a round")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--side", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        serve(lambda: side(options))
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(
        f"{options.layers}, float32, SGD with momentum {options.momentum:g}, cross-entropy, one thread; milliseconds of"
    )
    print(f"CPU time a step, medians of {options.rounds} rounds. Machine: {described()}.\n")
    rows = [compare(batch, options) for batch in options.batch]
    print(table(["", "deltaq", "PyTorch", "PyTorch / deltaq", "versions", ""], rows))


if __name__ == "__main__":
    main()
