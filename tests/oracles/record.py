"""Train the cases with PyTorch and record what it finds, versions beside it, in `pytorch.npz`.

    python -m tests.oracles.record            in an environment with torch and numpy; nothing else of the project

The tests repeat each case with deltaq and compare; `pytest -m oracle` trains them anew with the PyTorch installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.oracles.cases import OPTIMIZERS, Arrays, Case, cases, inputs

RECORD = Path(__file__).with_name("pytorch.npz")


def sample_losses(case: Case, z: Any, y: Any) -> Any:
    """Each sample's loss as PyTorch computes it, from the net input where it has a function for that."""
    import torch
    from torch.nn import functional

    if (case.loss, case.output) == ("log_loss", "sigmoid"):
        return functional.binary_cross_entropy_with_logits(z, y, reduction="none").sum(dim=-1)
    if (case.loss, case.output) == ("cross_entropy", "softmax"):
        return functional.cross_entropy(z, y, reduction="none")
    o = apply(case.output, z)
    if case.loss == "squared_error":
        return functional.mse_loss(o, y, reduction="none").sum(dim=-1) / 2
    if case.loss == "log_loss":
        return functional.binary_cross_entropy(o, y, reduction="none").sum(dim=-1)
    return -(y * torch.log(o / o.sum(dim=-1, keepdim=True))).sum(dim=-1)


def apply(activation: str, z: Any) -> Any:
    """An activation by its name in deltaq."""
    import torch

    if activation == "softmax":
        return torch.softmax(z, dim=-1)
    return z if activation == "identity" else getattr(torch, activation)(z)


def train(case: Case) -> Arrays:
    """Train one case; return each step's loss, the first step's gradients, and the last parameters."""
    import torch

    given = {name: torch.from_numpy(array.copy()) for name, array in inputs(case).items()}
    parameters = {name: array.requires_grad_() for name, array in given.items() if name[0] in "Wb"}
    optimizer = torch.optim.SGD(list(parameters.values()), lr=case.learning_rate, **OPTIMIZERS[case.optimizer])
    found: Arrays = {}
    losses = []
    for step in range(case.steps):
        a = given["x"]
        for layer, activation in enumerate((*case.hidden, case.output), start=1):
            z = a @ parameters[f"W{layer}"]
            z = z + parameters[f"b{layer}"] if case.bias else z
            a = apply(activation, z)
        loss = (given["weights"] * sample_losses(case, z, given["y"])).sum() / given["weights"].sum()
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            found |= {f"gradient.{name}": array.grad.numpy().copy() for name, array in parameters.items()}
        optimizer.step()
    found |= {f"last.{name}": array.detach().numpy() for name, array in parameters.items()}
    return found | {"losses": np.array(losses)}


def main() -> None:
    """Record every case."""
    import torch

    arrays: dict[str, Any] = {f"{case.name}/{name}": array for case in cases() for name, array in train(case).items()}
    versions = [f"torch {torch.__version__}", f"numpy {np.__version__}"]
    np.savez_compressed(RECORD, versions=np.array(versions), **arrays)
    print(f"{RECORD.name}: {len(cases())} cases, {RECORD.stat().st_size} bytes, {', '.join(versions)}")


if __name__ == "__main__":
    main()
