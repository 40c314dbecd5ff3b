"""Activations and losses as PyTorch computes them, with its gradients, recorded in `functions.npz`.

python -m tests.oracles.functions        in an environment with torch and numpy; nothing else of the project

A loss here is a sample's, as deltaq defines it: the sum over its outputs, squares halved, quantities that no weight
changes left out. Where PyTorch has the loss, its own function computes it, per output or per sample (`reduction=none`);
where it has none (gamma, tweedie, quantile, focal) its autograd differentiates the formula.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RECORD = Path(__file__).with_name("functions.npz")
Arrays = dict[str, NDArray[Any]]
Choice = str | Mapping[str, Any]

ACTIVATIONS: list[Choice] = [
    *("identity", "sigmoid", "tanh", "relu", "leaky_relu", {"name": "leaky_relu", "slope": 0.3}, "prelu", "elu"),
    *({"name": "elu", "alpha": 2.5}, "selu", "gelu", {"name": "gelu", "approximate": "tanh"}, "silu", "mish"),
    *("softplus", "softsign", "hard_sigmoid", "exponential", "softmax"),
]
LOSSES: list[tuple[Choice, Choice]] = [
    *(("squared_error", output) for output in ("identity", "tanh", "softmax", "gelu", "elu")),
    ("absolute", "identity"),
    ("absolute", "silu"),
    ("huber", "identity"),
    ({"name": "huber", "delta": 0.4}, "tanh"),
    ({"name": "quantile", "quantile": 0.9}, "identity"),
    *((loss, output) for loss in ("poisson", "gamma", "tweedie") for output in ("exponential", "softplus", "sigmoid")),
    ({"name": "tweedie", "power": 1.2}, "exponential"),
    *((loss, output) for loss in ("hinge", "squared_hinge") for output in ("identity", "tanh")),
    *((loss, output) for loss in ("log_loss", "cross_entropy", "focal") for output in ("sigmoid", "softmax")),
    *(({"name": "cross_entropy", "label_smoothing": 0.1}, output) for output in ("sigmoid", "softmax")),
    *(({"name": "focal", "gamma": 0.5, "alpha": 0.3}, output) for output in ("sigmoid", "softmax")),
]
SLOPES = np.array([0.25, -0.5, 1.5, 0.0])  # prelu's, of each unit


def label(*choices: Choice) -> str:
    """What stands before the arrays of a case in the NPZ."""
    return "-".join(
        choice if isinstance(choice, str) else ":".join(f"{value}" for value in choice.values()) for choice in choices
    )


def net_inputs() -> Arrays:
    """Net inputs that reach from where nothing is left to where all is linear, corners too; and ∂E/∂a."""
    generator = np.random.default_rng(1)
    z = np.concatenate((generator.normal(scale=3, size=(30, 4)), generator.normal(scale=12, size=(29, 4))))
    return {"z": np.vstack((z, [[0.0, 3.0, -3.0, 1.0]])), "g": generator.normal(size=(60, 4))}


def targets(loss: Choice, output: Choice) -> Arrays:
    """Net inputs and targets that belong to a loss: values, positive ones, several labels, or one class of each row."""
    name = loss if isinstance(loss, str) else loss["name"]
    generator = np.random.default_rng(list(label(loss, output).encode()))
    z = generator.normal(scale=3, size=(40, 4))
    if name in ("squared_error", "absolute", "huber", "quantile"):
        return {"z": z, "y": generator.normal(scale=2, size=z.shape)}
    if name in ("poisson", "gamma", "tweedie"):
        return {"z": z, "y": generator.gamma(2.0, size=z.shape)}
    if output == "softmax" or name == "cross_entropy":
        return {"z": z, "y": np.eye(4)[generator.integers(4, size=40)]}
    return {"z": z, "y": generator.integers(2, size=z.shape).astype(float)}


def activated(choice: Choice, z: Any, slopes: Any = None) -> Any:
    """An activation by its name in deltaq."""
    import torch
    from torch.nn import functional

    own = {"name": choice} if isinstance(choice, str) else dict(choice)
    name = own.pop("name")
    named = {"slope": "negative_slope", "approximate": "approximate", "alpha": "alpha"}
    given = {named[option]: value for option, value in own.items()}
    if name == "identity":
        return z
    if name == "prelu":
        return functional.prelu(z, torch.full((4,), 0.25, dtype=z.dtype) if slopes is None else slopes)
    if name == "softplus":
        return functional.softplus(z, threshold=1000)  # by default PyTorch rounds it to z from 20 on
    if name == "softmax":
        return torch.softmax(z, dim=-1)
    if name == "hard_sigmoid":
        return functional.relu6(z + 3) / 6  # the gradient of its hardsigmoid has a sixth of float32 in it
    if name in ("sigmoid", "tanh", "exponential"):
        return getattr(torch, "exp" if name == "exponential" else name)(z)
    return getattr(functional, name)(z, **given)


def sample_losses(loss: Choice, output: Choice, z: Any, y: Any) -> Any:
    """Each sample's loss. Shapes: (rows,)."""
    import torch
    from torch.nn import functional as f

    own: dict[str, Any] = {"name": loss} if isinstance(loss, str) else dict(loss)
    name, o = own.pop("name"), activated(output, z)
    if name == "cross_entropy":
        logits = z if output == "softmax" else f.logsigmoid(z)  # whose softmax is o / Σ o
        return f.cross_entropy(logits, y, reduction="none", **own)
    if name == "log_loss" and output == "softmax":
        return f.binary_cross_entropy(o, y, reduction="none").sum(dim=-1)
    if name == "focal" and output == "softmax":
        return focal(own, f.cross_entropy(z, y, reduction="none"), y.new_ones(()))
    terms = {
        "squared_error": lambda: f.mse_loss(o, y, reduction="none") / 2,
        "absolute": lambda: f.l1_loss(o, y, reduction="none"),
        "huber": lambda: f.huber_loss(o, y, reduction="none", **own),
        "quantile": lambda: torch.maximum(own["quantile"] * (y - o), (own["quantile"] - 1) * (y - o)),
        "poisson": lambda: f.poisson_nll_loss(o.log(), y, log_input=True, full=False, reduction="none"),
        "gamma": lambda: o.log() + y / o,
        "tweedie": lambda: tweedie(own.get("power", 1.5), o, y),
        "hinge": lambda: f.hinge_embedding_loss((2 * y - 1) * o, -torch.ones_like(y), reduction="none"),
        "squared_hinge": lambda: f.hinge_embedding_loss((2 * y - 1) * o, -torch.ones_like(y), reduction="none") ** 2,
        "log_loss": lambda: f.binary_cross_entropy_with_logits(z, y, reduction="none"),
        "focal": lambda: focal(own, f.binary_cross_entropy_with_logits(z, y, reduction="none"), y),
    }
    return terms[name]().sum(dim=-1)


def focal(own: Mapping[str, Any], cross_entropy: Any, y: Any) -> Any:
    """α (1 − p)^γ L with p = e^−L, as torchvision has it for sigmoid outputs."""
    import torch

    alpha = own.get("alpha")
    balance = 1.0 if alpha is None else alpha * y + (1 - alpha) * (1 - y)
    return balance * (-torch.expm1(-cross_entropy)) ** own.get("gamma", 2.0) * cross_entropy


def tweedie(power: float, o: Any, y: Any) -> Any:
    """The negative log-likelihood without what no weight changes."""
    return o ** (2 - power) / (2 - power) - y * o ** (1 - power) / (1 - power)


def activate(choice: Choice) -> Arrays:
    """An activation's values, and what it makes of ∂E/∂a: ∂E/∂z, of prelu ∂E/∂slope too."""
    import torch

    given = {name: torch.from_numpy(array) for name, array in net_inputs().items()}
    z, slopes = given["z"].requires_grad_(), torch.from_numpy(SLOPES.copy()).requires_grad_()
    a = activated(choice, z, slopes)
    (a * given["g"]).sum().backward()
    found = {"a": a.detach().numpy(), "delta": z.grad.numpy()}
    return found | ({"slope": slopes.grad.numpy()} if choice == "prelu" else {})


def lose(loss: Choice, output: Choice) -> Arrays:
    """A loss' values, and ∂E/∂z."""
    import torch

    given = {name: torch.from_numpy(array) for name, array in targets(loss, output).items()}
    z = given["z"].requires_grad_()
    values = sample_losses(loss, output, z, given["y"])
    values.sum().backward()
    return {"values": values.detach().numpy(), "delta": z.grad.numpy()}


def record_all() -> Arrays:
    """Every activation and every loss."""
    found = {f"{label(choice)}/{name}": array for choice in ACTIVATIONS for name, array in activate(choice).items()}
    for pair in LOSSES:
        found |= {f"{label(*pair)}/{name}": array for name, array in lose(*pair).items()}
    return found


def main() -> None:
    """Record them."""
    import torch

    versions = [f"torch {torch.__version__}", f"numpy {np.__version__}"]
    arrays: dict[str, Any] = record_all()
    np.savez_compressed(RECORD, versions=np.array(versions), **arrays)
    print(f"{RECORD.name}: {len(arrays)} arrays, {RECORD.stat().st_size} bytes, {', '.join(versions)}")


if __name__ == "__main__":
    main()
