"""The short trainings that PyTorch was asked to do: what `record.py` records and the tests repeat. NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

PAIRS = {
    "squared_error": ("identity", "sigmoid", "tanh", "relu", "softmax"),
    "log_loss": ("sigmoid", "softmax"),
    "cross_entropy": ("softmax", "sigmoid"),
}
HIDDEN = ("relu", "tanh", "sigmoid", "identity")
OPTIMIZERS: tuple[dict[str, Any], ...] = (
    {},
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": True},
    {"weight_decay": 0.05},
    {"momentum": 0.5, "nesterov": True, "weight_decay": 0.05},
)


@dataclass(frozen=True)
class Case:
    """One network, its optimizer, and how it is trained: `steps` times on the same mini-batch."""

    hidden: tuple[str, ...]
    output: str
    loss: str
    optimizer: int = 0
    bias: bool = True
    weighted: bool = False
    precision: str = "float64"
    sizes: tuple[int, ...] = (5, 4, 3)
    rows: int = 7
    steps: int = 4
    learning_rate: float = 0.1

    @property
    def name(self) -> str:
        """What stands before this case's arrays in the NPZ."""
        parts = ["-".join((*self.hidden, self.output)), self.loss, f"optimizer{self.optimizer}", self.precision]
        return ".".join(parts + ["no_bias"] * (not self.bias) + ["weighted"] * self.weighted)


Arrays = dict[str, NDArray[Any]]


def inputs(case: Case) -> Arrays:
    """The first weights, the mini-batch and the sample weights, from a seed that each case has to itself."""
    generator = np.random.default_rng(list(case.name.encode()))
    arrays: Arrays = {}
    for layer, (below, units) in enumerate(pairwise(case.sizes), start=1):
        arrays[f"W{layer}"] = generator.uniform(-1, 1, (below, units))
        if case.bias:
            arrays[f"b{layer}"] = generator.uniform(-0.5, 0.5, units)
    arrays["x"] = generator.normal(size=(case.rows, case.sizes[0]))
    arrays["y"] = np.eye(case.sizes[-1])[generator.integers(case.sizes[-1], size=case.rows)]
    arrays["weights"] = generator.uniform(0.2, 3.0, case.rows) if case.weighted else np.ones(case.rows)
    return {name: array.astype(case.precision) for name, array in arrays.items()}


def cases() -> list[Case]:
    """Every pair of loss and output activation in both precisions, hidden activations and optimizers in turn."""
    pairs = [(loss, output) for loss, outputs in PAIRS.items() for output in outputs]
    every = [
        Case((HIDDEN[turn % len(HIDDEN)],), output, loss, turn % len(OPTIMIZERS), precision=precision)
        for turn, (precision, (loss, output)) in enumerate(product(("float64", "float32"), pairs))
    ]
    plain = Case(("relu",), "softmax", "cross_entropy")
    return [
        *every,
        *(replace(plain, optimizer=optimizer, weighted=True) for optimizer in range(len(OPTIMIZERS))),
        replace(plain, hidden=(), sizes=(5, 3), bias=False),
        Case(("tanh", "sigmoid"), "sigmoid", "log_loss", 1, sizes=(3, 6, 2, 1), bias=False, rows=1),
    ]
