"""Normalised networks trained with PyTorch, recorded in `normalized.npz`; the tests repeat them with deltaq.

python -m tests.oracles.normalized        in an environment with torch and numpy; nothing else of the project
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RECORD = Path(__file__).with_name("normalized.npz")
KINDS = ("batch", "layer")
SIZES = (5, 7, 4, 3)
ROWS, STEPS, RATE = 12, 200, 0.05

Arrays = dict[str, NDArray[Any]]


def inputs(kind: str) -> Arrays:
    """The first weights, and the rows: each step takes `ROWS` of them, one after the other."""
    generator = np.random.default_rng(list(kind.encode()))
    arrays: Arrays = {}
    for layer, (below, units) in enumerate(pairwise(SIZES), start=1):
        arrays[f"W{layer}"] = generator.uniform(-1, 1, (below, units))
        arrays[f"b{layer}"] = generator.uniform(-0.5, 0.5, units)
        if layer < len(SIZES) - 1:
            arrays[f"gain{layer}"] = generator.uniform(0.5, 1.5, units)
            arrays[f"shift{layer}"] = generator.uniform(-0.5, 0.5, units)
    arrays["x"] = generator.normal(2, 3, size=(ROWS * STEPS, SIZES[0]))
    arrays["y"] = np.eye(SIZES[-1])[generator.integers(SIZES[-1], size=ROWS * STEPS)]
    return arrays


def modules(kind: str, given: Arrays) -> Any:
    """The network with PyTorch's modules, in double precision: linear, normalised, tanh; the last one linear."""
    import torch

    layers: list[Any] = []
    for layer, (below, units) in enumerate(pairwise(SIZES), start=1):
        linear = torch.nn.Linear(below, units, dtype=torch.float64)
        linear.weight.data = torch.from_numpy(given[f"W{layer}"].T.copy())
        linear.bias.data = torch.from_numpy(given[f"b{layer}"].copy())
        layers.append(linear)
        if layer < len(SIZES) - 1:
            make = torch.nn.BatchNorm1d if kind == "batch" else torch.nn.LayerNorm
            norm = make(units, dtype=torch.float64)
            norm.weight.data = torch.from_numpy(given[f"gain{layer}"].copy())
            norm.bias.data = torch.from_numpy(given[f"shift{layer}"].copy())
            layers += [norm, torch.nn.Tanh()]
    return torch.nn.Sequential(*layers)


def train(kind: str) -> Arrays:
    """Train, and return each step's loss, the last arrays by deltaq's names, and what is then predicted of x."""
    import torch

    given = inputs(kind)
    network = modules(kind, given)
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=0.9)
    x, y = torch.from_numpy(given["x"]), torch.from_numpy(given["y"])
    losses = []
    for step in range(STEPS):
        rows = slice(step * ROWS, (step + 1) * ROWS)
        loss = torch.nn.functional.cross_entropy(network(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    network.eval()
    predicted = torch.softmax(network(x[:ROWS]), dim=-1).detach().numpy()
    return {"losses": np.array(losses), "predicted": predicted} | named(network)


def named(network: Any) -> Arrays:
    """A network's arrays by deltaq's names."""
    found: Arrays = {}
    layer = 0
    for module in network:
        if hasattr(module, "in_features"):
            layer += 1
            found |= {f"W{layer}": module.weight.detach().numpy().T, f"b{layer}": module.bias.detach().numpy()}
        elif hasattr(module, "eps"):
            found |= {f"gain{layer}": module.weight.detach().numpy(), f"shift{layer}": module.bias.detach().numpy()}
            if hasattr(module, "running_mean"):
                found[f"running_mean{layer}"] = module.running_mean.numpy()
                found[f"running_variance{layer}"] = module.running_var.numpy()
    return found


def main() -> None:
    """Record both kinds."""
    import torch

    arrays: dict[str, Any] = {f"{kind}/{name}": array for kind in KINDS for name, array in train(kind).items()}
    versions = [f"torch {torch.__version__}", f"numpy {np.__version__}"]
    np.savez_compressed(RECORD, versions=np.array(versions), **arrays)
    print(f"{RECORD.name}: {RECORD.stat().st_size} bytes, {', '.join(versions)}")


if __name__ == "__main__":
    main()
