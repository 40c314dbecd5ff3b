"""One training step of one process, beside PyTorch's: forward pass, loss, backpropagation and SGD's update, one thread.

    python benchmarks/step.py [--peer-python /path/to/python-with-torch] [--layers 784-256-128-10] [--batch 256]

Each side runs in a process of its own, both on the same core, and they take turns: what else the machine does then
falls on both. A round is the CPU time of a fixed number of steps (with one thread and an idle machine that is the time
on the clock; on a busy one it leaves out the waiting); the ratio is the median over the rounds of PyTorch's
time divided by deltaq's, so that above 1 deltaq is the faster. The same float32 network, ReLU and cross-entropy.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LEARNING_RATE = 0.1


def deltaq_step(sizes: list[int], batch: int, momentum: float) -> tuple[Callable[[], object], str]:
    sys.path.insert(0, str(ROOT))
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


def serve(side: str, sizes: list[int], batch: int, momentum: float) -> None:
    """Be one side: for each number of steps that comes in, answer with the CPU seconds that they took."""
    step, version = STEPS[side](sizes, batch, momentum)
    print(json.dumps(version), flush=True)
    for line in sys.stdin:
        start = time.process_time()
        for _ in range(int(line)):
            step()
        print(json.dumps(time.process_time() - start), flush=True)


class Side:
    """One side's process."""

    def __init__(self, python: str, side: str, options: argparse.Namespace) -> None:
        command = [python, __file__, "--side", side, "--layers", options.layers]
        command += ["--batch", str(options.batch), "--momentum", str(options.momentum)]
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=os.environ | one_thread)
        self.version = self._answer()

    def seconds(self, steps: int) -> float:
        """Return the CPU seconds of a number of steps."""
        assert self._process.stdin
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """End the process and wait for it."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"the other side ended with code {self._process.wait()}; does its Python have torch?")
        return json.loads(line)


def compare(options: argparse.Namespace) -> float:
    """Run the rounds, print the table, and return the ratio."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    ours, peer = Side(sys.executable, "deltaq", options), Side(options.peer_python, "pytorch", options)
    for side in (ours, peer):
        side.seconds(options.steps)  # memory is touched, code is warm
    rounds = [(ours.seconds(options.steps), peer.seconds(options.steps)) for _ in range(options.rounds)]
    for side in (ours, peer):
        side.close()
    ratios = sorted(theirs / mine for mine, theirs in rounds)
    print(f"machine   {cpu_name()}, {platform.system()}, Python {platform.python_version()}, one thread")
    print(f"network   {options.layers}, batch {options.batch}, float32, SGD momentum {options.momentum}, cross-entropy")
    for side, times in ((ours, [mine for mine, _ in rounds]), (peer, [theirs for _, theirs in rounds])):
        print(f"step      {1e3 * statistics.median(times) / options.steps:8.3f} ms   {side.version}")
    ratio = statistics.median(ratios)
    print(f"ratio     {ratio:8.2f}      PyTorch / deltaq, median of {len(ratios)} ({ratios[0]:.2f} … {ratios[-1]:.2f})")
    return ratio


def cpu_name() -> str:
    """The processor as Linux names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(description="deltaq's training step beside PyTorch's")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has torch")
    parser.add_argument("--layers", default="784-256-128-10")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--momentum", type=float, default=0.0)
    parser.add_argument("--steps", type=int, default=50, help="steps a round")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--side", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        serve(options.side, [int(units) for units in options.layers.split("-")], options.batch, options.momentum)
    else:
        compare(options)


if __name__ == "__main__":
    main()
