"""Optimizers, schedules, penalties and clipping of PyTorch: 200 steps of each, recorded in `trajectories.npz`.

python -m tests.oracles.trajectories      in an environment with torch and numpy; nothing else of the project

Each optimizer stands here twice, in deltaq's words and in PyTorch's; where a field is not given, both take their own
default. Neither shuffles: an epoch is the rows in their order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

RECORD = Path(__file__).with_name("trajectories.npz")
SIZES = (4, 5, 3)
ROWS, BATCH, STEPS = 40, 8, 200
PER_EPOCH = ROWS // BATCH

Arrays = dict[str, NDArray[Any]]
Fields = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """One optimizer with its fields; then what it is called in PyTorch, and the fields that have other names there."""

    name: str
    fields: Fields
    their_name: str
    their_fields: Fields = field(default_factory=dict)
    full_batch: bool = False

    @property
    def per_epoch(self) -> int:
        """Steps an epoch."""
        return 1 if self.full_batch else PER_EPOCH


VARIANTS: Final = {
    "sgd": Variant("sgd", {"learning_rate": 0.1}, "SGD", {"lr": 0.1}),
    "momentum": Variant("sgd", {"learning_rate": 0.05, "momentum": 0.9}, "SGD", {"lr": 0.05, "momentum": 0.9}),
    "nesterov": Variant(
        "sgd",
        {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True},
        "SGD",
        {"lr": 0.05, "momentum": 0.8, "nesterov": True},
    ),
    "sgd.decay": Variant(
        "sgd",
        {"learning_rate": 0.1, "momentum": 0.5, "weight_decay": 0.05},
        "SGD",
        {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.05},
    ),
    "adagrad": Variant("adagrad", {}, "Adagrad"),
    "adagrad.decay": Variant(
        "adagrad",
        {"learning_rate": 0.3, "rate_decay": 0.02, "weight_decay": 0.02, "epsilon": 1e-3},
        "Adagrad",
        {"lr": 0.3, "lr_decay": 0.02, "weight_decay": 0.02, "eps": 1e-3},
    ),
    "rmsprop": Variant("rmsprop", {}, "RMSprop"),
    "rmsprop.centered": Variant(
        "rmsprop",
        {"alpha": 0.9, "epsilon": 1e-4, "centered": True, "momentum": 0.6, "weight_decay": 0.03},
        "RMSprop",
        {"alpha": 0.9, "eps": 1e-4, "centered": True, "momentum": 0.6, "weight_decay": 0.03},
    ),
    "adam": Variant("adam", {}, "Adam"),
    "amsgrad": Variant(
        "adam",
        {"learning_rate": 0.02, "beta1": 0.8, "beta2": 0.9, "epsilon": 1e-4, "amsgrad": True},
        "Adam",
        {"lr": 0.02, "betas": (0.8, 0.9), "eps": 1e-4, "amsgrad": True},
    ),
    "adam.decay": Variant(
        "adam", {"learning_rate": 0.01, "weight_decay": 0.05}, "Adam", {"lr": 0.01, "weight_decay": 0.05}
    ),
    "adamw": Variant("adamw", {}, "AdamW"),
    "adamw.amsgrad": Variant(
        "adamw",
        {"learning_rate": 0.02, "beta1": 0.7, "beta2": 0.99, "weight_decay": 0.3, "amsgrad": True},
        "AdamW",
        {"lr": 0.02, "betas": (0.7, 0.99), "weight_decay": 0.3, "amsgrad": True},
    ),
    "nadam": Variant("nadam", {}, "NAdam"),
    "nadam.decay": Variant(
        "nadam",
        {"learning_rate": 0.02, "beta1": 0.8, "beta2": 0.98, "momentum_decay": 0.05, "weight_decay": 0.02},
        "NAdam",
        {"lr": 0.02, "betas": (0.8, 0.98), "momentum_decay": 0.05, "weight_decay": 0.02},
    ),
    "adadelta": Variant("adadelta", {}, "Adadelta"),
    "adadelta.decay": Variant(
        "adadelta",
        {"learning_rate": 2.0, "rho": 0.95, "epsilon": 1e-4, "weight_decay": 0.02},
        "Adadelta",
        {"lr": 2.0, "rho": 0.95, "eps": 1e-4, "weight_decay": 0.02},
    ),
    "rprop": Variant("rprop", {}, "Rprop", full_batch=True),
    "rprop.bounded": Variant(
        "rprop",
        {"learning_rate": 0.1, "eta_minus": 0.6, "eta_plus": 1.1, "step_least": 1e-4, "step_most": 0.2},
        "Rprop",
        {"lr": 0.1, "etas": (0.6, 1.1), "step_sizes": (1e-4, 0.2)},
        full_batch=True,
    ),
}

WARMUP = 20  # steps
SCHEDULES: Final[dict[str, str | Fields]] = {
    "constant": "constant",
    "step": {"name": "step", "every": 7, "factor": 0.5},
    "exponential": {"name": "exponential", "factor": 0.95},
    "cosine": {"name": "cosine", "least": 0.1, "unit": "step"},
    "warmup": {"name": "cosine", "warmup": WARMUP, "unit": "step"},
    "one_cycle": {"name": "one_cycle", "start": 10, "end": 100},
    "plateau": {
        "name": "reduce_on_plateau",
        "factor": 0.5,
        "patience": 1,
        "threshold": 0.02,
        "cooldown": 2,
        "least": 5e-4,
    },
}

REGULARIZATIONS: Final[dict[str, Fields]] = {
    "none": {},
    "clip_value": {"clip_value": 0.02},
    "clip_norm": {"clip_norm": 0.1},
    "l2": {"l2": 0.05},
    "penalties.clip_norm": {"l1": 0.02, "l2": 0.03, "clip_norm": 0.1},
}


@dataclass(frozen=True)
class Case:
    """One training."""

    variant: str
    schedule: str = "constant"
    regularization: str = "none"

    @property
    def name(self) -> str:
        """What stands before its arrays in the NPZ."""
        return "-".join((self.variant, self.schedule, self.regularization))


def cases() -> list[Case]:
    """Every optimizer with every schedule that it can have, and some with each penalty and each way of clipping."""
    found: list[Case] = []
    for name, variant in VARIANTS.items():
        found += [Case(name, schedule) for schedule in (["constant"] if variant.full_batch else SCHEDULES)]
    for name in ("momentum", "amsgrad"):
        found += [Case(name, regularization=kind) for kind in REGULARIZATIONS if kind != "none"]
    return found


def inputs() -> Arrays:
    """The first weights and the rows, the same for all; the classes are chance, so that no weight grows without end."""
    generator = np.random.default_rng(list(b"trajectories"))
    arrays: Arrays = {}
    for layer, (below, units) in enumerate(pairwise(SIZES), start=1):
        arrays[f"W{layer}"] = generator.uniform(-1, 1, (below, units))
        arrays[f"b{layer}"] = generator.uniform(-0.5, 0.5, units)
    arrays["x"] = generator.normal(size=(ROWS, SIZES[0]))
    arrays["y"] = np.eye(SIZES[-1])[generator.integers(SIZES[-1], size=ROWS)]
    return arrays


def rows_of(step: int, per_epoch: int) -> slice:
    """The mini-batch of a step."""
    size = ROWS // per_epoch
    return slice(step % per_epoch * size, (step % per_epoch + 1) * size)


def train(case: Case) -> Arrays:
    """Train with PyTorch; return each step's loss, without penalties, and the last parameters, one after the other."""
    import torch

    torch.set_default_dtype(torch.float64)  # that NAdam keeps its product of momenta in, whatever the parameters' is
    try:
        return train_in_double(case)
    finally:
        torch.set_default_dtype(torch.float32)


def train_in_double(case: Case) -> Arrays:
    """What `train` does, where PyTorch's own numbers are float64 too."""
    import torch

    variant, limits = VARIANTS[case.variant], REGULARIZATIONS[case.regularization]
    given = {name: torch.from_numpy(array) for name, array in inputs().items()}
    parameters = {name: given[name].requires_grad_() for name in given if name[0] in "Wb"}
    optimizer = getattr(torch.optim, variant.their_name)(groups(parameters, limits), **variant.their_fields)
    follow = scheduler(case.schedule, optimizer, variant.per_epoch)
    losses: list[float] = []
    for step in range(STEPS):
        rows = rows_of(step, variant.per_epoch)
        a = torch.tanh(given["x"][rows] @ parameters["W1"] + parameters["b1"])
        loss = torch.nn.functional.cross_entropy(a @ parameters["W2"] + parameters["b2"], given["y"][rows])
        losses.append(loss.item())
        optimizer.zero_grad()
        (loss + penalty(parameters, limits)).backward()
        clip(parameters, limits)
        optimizer.step()
        follow(losses)
    last = [array.detach().numpy().ravel() for array in parameters.values()]
    return {"losses": np.array(losses), "last": np.concatenate(last)}


def groups(parameters: dict[str, Any], limits: Fields) -> list[Fields]:
    """L2 alone is PyTorch's weight decay on a group of its own, that of the weights."""
    weights, biases = ([array for name, array in parameters.items() if name[0] == kind] for kind in "Wb")
    decay = {"weight_decay": limits["l2"]} if set(limits) == {"l2"} else {}
    return [{"params": weights, **decay}, {"params": biases}]


def penalty(parameters: dict[str, Any], limits: Fields) -> Any:
    """What L1 and L2 together cost, as a part of the loss."""
    if "l1" not in limits:
        return 0.0
    weights = [array for name, array in parameters.items() if name[0] == "W"]
    return sum(limits["l1"] * array.abs().sum() + limits["l2"] / 2 * (array**2).sum() for array in weights)


def clip(parameters: dict[str, Any], limits: Fields) -> None:
    """Clip the gradients as PyTorch does."""
    import torch

    if "clip_norm" in limits:
        torch.nn.utils.clip_grad_norm_(parameters.values(), limits["clip_norm"])
    if "clip_value" in limits:
        torch.nn.utils.clip_grad_value_(parameters.values(), limits["clip_value"])


def scheduler(name: str, optimizer: Any, per_epoch: int) -> Any:
    """What is to be called after each step, with the losses so far."""
    from torch.optim import lr_scheduler as kinds

    base = optimizer.param_groups[0]["lr"]
    if name == "constant":
        return lambda losses: None
    if name == "plateau":
        chosen = kinds.ReduceLROnPlateau(
            optimizer, factor=0.5, patience=1, threshold=0.02, cooldown=2, min_lr=5e-4, eps=0
        )
        return lambda losses: len(losses) % per_epoch or chosen.step(np.mean(losses[-per_epoch:]))
    if name in ("step", "exponential"):
        by_epoch = kinds.StepLR(optimizer, 7, 0.5) if name == "step" else kinds.ExponentialLR(optimizer, 0.95)
        return lambda losses: len(losses) % per_epoch or by_epoch.step()
    if name == "cosine":
        by_step = kinds.CosineAnnealingLR(optimizer, STEPS, base / 10)
    elif name == "warmup":
        rise = kinds.LinearLR(optimizer, 1 / (WARMUP + 1), total_iters=WARMUP)
        fall = kinds.CosineAnnealingLR(optimizer, STEPS - WARMUP)
        by_step = kinds.SequentialLR(optimizer, [rise, fall], [WARMUP])
    else:
        by_step = kinds.OneCycleLR(optimizer, base, STEPS, div_factor=10, final_div_factor=100, cycle_momentum=False)
    return lambda losses: by_step.step()


def main() -> None:
    """Record every case: a row a case."""
    import torch

    found = {case.name: train(case) for case in cases()}
    versions = [f"torch {torch.__version__}", f"numpy {np.__version__}"]
    rows: dict[str, Any] = {key: np.array([arrays[key] for arrays in found.values()]) for key in ("losses", "last")}
    np.savez_compressed(RECORD, versions=np.array(versions), names=np.array(list(found)), **rows)
    print(f"{RECORD.name}: {len(found)} cases, {RECORD.stat().st_size} bytes, {', '.join(versions)}")


if __name__ == "__main__":
    main()
