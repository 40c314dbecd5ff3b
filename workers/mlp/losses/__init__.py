"""The losses: each sample's value, and the output delta with which backpropagation begins. Know no weights.

Where a pair of loss and output activation has numerics of its own, the pair is one class. Values and deltas of all
that has a logarithm come from the net input z and not from the output o: in float32 sigmoid(17) is exactly 1, so that
ln(1 − o) would be infinite, and a confident wrong sample would lose its gradient.

A new loss is one more class in one of these modules: its name is taken up when it is defined. It says itself which
tasks it serves, which outputs it takes and which targets, so that nothing else has a table of losses.

Softmax, and a loss of distributions, over a single unit are constant, so both need two units or more.
"""

from __future__ import annotations

from workers.mlp.activations import ACTIVATIONS, find_activation
from workers.mlp.choices import Choice, checked, name_of
from workers.mlp.losses.base import LOSSES, Loss
from workers.mlp.losses.counts import Gamma, Poisson, Tweedie
from workers.mlp.losses.cross_entropy import CrossEntropy
from workers.mlp.losses.focal import Focal
from workers.mlp.losses.hinge import Hinge, SquaredHinge
from workers.mlp.losses.log_loss import LogLoss
from workers.mlp.losses.regression import Absolute, Huber, Quantile, SquaredError

__all__ = [
    "LOSSES",
    "Absolute",
    "CrossEntropy",
    "Focal",
    "Gamma",
    "Hinge",
    "Huber",
    "LogLoss",
    "Loss",
    "Poisson",
    "Quantile",
    "SquaredError",
    "SquaredHinge",
    "Tweedie",
    "allowed_activations",
    "find_loss",
    "minimum_outputs",
]


def allowed_activations(loss: Choice) -> tuple[str, ...]:
    """Return the output activations that the loss takes."""
    kind = LOSSES[name_of(loss)]
    return tuple(name for name in ACTIVATIONS if kind.takes(find_activation(name)))


def minimum_outputs(loss: Choice, activation: Choice) -> int:
    """Return how many output units the pair needs: two where one alone would be constant, else one."""
    return 2 if LOSSES[name_of(loss)].distribution or name_of(activation) == "softmax" else 1


def find_loss(loss: Choice, activation: Choice) -> Loss:
    """Return the loss as it is computed on outputs of an activation.

    Raises: ValueError that names both where the loss does not take the outputs.
    """
    kind, options = checked(LOSSES, loss, "loss")
    chosen = find_activation(activation)
    if not kind.takes(chosen):
        allowed = ", ".join(allowed_activations(loss))
        raise ValueError(f"loss {kind.name!r} on output activation {chosen.name!r}; allowed: {allowed}")
    return kind.pairs.get(chosen.name, kind)(**options, activation=chosen)
