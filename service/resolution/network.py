"""The network's shape: its loss, its output, its layers, by the task and the width of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from service.datasets import Column, Task
from service.resolution.refusal import refuse
from service.spec import HiddenLayer, JobSpec, NetworkSpec
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.losses import allowed_activations

LOSSES: Final[dict[Task, tuple[str, ...]]] = {  # the first is `auto`
    "regression": ("squared_error",),
    "binary": ("log_loss", "cross_entropy", "squared_error"),
    "multiclass": ("cross_entropy", "log_loss", "squared_error"),
    "multilabel": ("log_loss",),
}


def output_units(task: Task, loss: str, activation: str, targets: Sequence[Column]) -> int:
    """One unit for each value or label, or for the second of two classes; a distribution has a unit for each class."""
    if task in ("regression", "multilabel"):
        return len(targets)
    distribution = loss == "cross_entropy" or activation == "softmax"
    return 1 if task == "binary" and not distribution else targets[0].distinct


def feature_width(column: Column, missing: str) -> int:
    """How many inputs a column gives; `indicator` gives one more where values are missing."""
    return (column.distinct if column.categorical else 1) + (missing == "indicator" and column.missing > 0)


def resolve_loss(spec: JobSpec, task: Task) -> str:
    """The loss that is asked for, or the task's own.

    Raises: InvalidSpec.
    """
    allowed = LOSSES[task]
    if spec.loss == "auto":
        return allowed[0]
    if spec.loss not in allowed:
        refuse("/loss", spec.loss, f"loss {spec.loss!r} does not fit task {task!r}", ["auto", *allowed])
    return spec.loss


def resolve_output_activation(spec: JobSpec, task: Task) -> str:
    """Of the task, unless the loss says how many units there are and what they hold.

    Raises: InvalidSpec.
    """
    given = spec.network.output_activation
    if given == "softmax" and task == "multilabel":
        detail = "output activation 'softmax' makes the labels exclude each other"
        refuse("/network/output_activation", given, detail, ["auto", "sigmoid"])
    if given != "auto":
        return given
    if task in ("regression", "multilabel"):
        return "identity" if task == "regression" else "sigmoid"
    by_loss = {"cross_entropy": "softmax", "log_loss": "sigmoid"}
    return by_loss.get(spec.loss, "sigmoid" if task == "binary" else "softmax")


def check_output(loss: str, activation: str, outputs: int) -> None:
    """Hold the output's activation against the loss.

    Raises: InvalidSpec.
    """
    allowed = [name for name in allowed_activations(loss) if outputs > 1 or name != "softmax"]
    if activation not in allowed:
        why = " over one unit is constant; it" if activation == "softmax" and outputs == 1 else ""
        detail = f"output activation {activation!r}{why} does not go with loss {loss!r}"
        refuse("/network/output_activation", activation, detail, ["auto", *allowed])


def resolve_network(network: NetworkSpec, activation: str) -> NetworkSpec:
    """The network with all that its own layers leave open named, and the output's activation."""
    hidden = tuple(
        resolve_layer(network, layer) if isinstance(layer, HiddenLayer) else layer for layer in network.hidden
    )
    return network.model_copy(update={"hidden": hidden, "output_activation": activation})


def resolve_layer(network: NetworkSpec, layer: HiddenLayer | int) -> HiddenLayer:
    """A hidden layer with the network's own values where it has none."""
    given = HiddenLayer(units=layer) if isinstance(layer, int) else layer
    names = ("activation", "dropout", "normalization")
    return given.model_copy(update={name: getattr(network, name) for name in names if getattr(given, name) is None})


def without_effect(network: NetworkSpec) -> str | None:
    """A warning where something is asked of hidden layers and there are none."""
    asked = [name for name in ("dropout", "normalization") if getattr(network, name) not in (0, "none")]
    if network.hidden or not asked:
        return None
    return f"network.{' and network.'.join(asked)}: there is no hidden layer, so this has no effect"


def build_architecture(spec: JobSpec, inputs: int, outputs: int) -> Architecture:
    """The shape that the mathematics takes, from a resolved spec."""
    network = spec.network
    hidden = [
        LayerShape(
            layer.units, layer.activation or network.activation, layer.normalization or "none", layer.dropout or 0.0
        )
        for layer in (resolve_layer(network, layer) for layer in network.hidden)
    ]
    layers = (*hidden, LayerShape(outputs, network.output_activation))
    labels = spec.data.task == "multilabel"
    return Architecture(inputs, layers, spec.loss, network.bias, network.precision, network.input_dropout, labels)
