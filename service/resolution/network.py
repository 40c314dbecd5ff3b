"""The network's shape: its loss, its output, its layers, by the task and the width of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from service.datasets import Column, Task
from service.resolution.refusal import refuse
from service.spec import HiddenLayer, JobSpec, NetworkSpec
from workers.mlp import losses
from workers.mlp.activations import Activation, find_activation
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.choices import Choice, name_of

AUTO: Final[dict[Task, str]] = {
    "regression": "squared_error",
    "binary": "log_loss",
    "multiclass": "cross_entropy",
    "multilabel": "log_loss",
}
LOSSES: Final = {  # of each task; the first is `auto`
    task: (auto, *(name for name, kind in losses.LOSSES.items() if task in kind.outputs and name != auto))
    for task, auto in AUTO.items()
}


def output_units(task: Task, loss: Choice, activation: Choice, targets: Sequence[Column]) -> int:
    """One unit for each value or label, or for the second of two classes; a distribution has a unit for each class."""
    if task in ("regression", "multilabel"):
        return len(targets)
    return 1 if task == "binary" and losses.minimum_outputs(loss, activation) == 1 else targets[0].distinct


def feature_width(column: Column, missing: str) -> int:
    """How many inputs a column gives; `indicator` gives one more where values are missing."""
    return (column.distinct if column.categorical else 1) + (missing == "indicator" and column.missing > 0)


def resolve_loss(spec: JobSpec, task: Task) -> Choice:
    """The loss that is asked for, or the task's own.

    Raises: InvalidSpec.
    """
    allowed = LOSSES[task]
    if spec.loss == "auto":
        return allowed[0]
    name = name_of(spec.loss)
    if name not in allowed:
        refuse("/loss", spec.loss, f"loss {name!r} does not fit task {task!r}", ["auto", *allowed])
    return spec.loss


def resolve_output_activation(spec: JobSpec, loss: Choice, task: Task) -> Choice:
    """The output activation that is asked for, or the loss's own for the task.

    Raises: InvalidSpec.
    """
    given = spec.network.output_activation
    if name_of(given) == "softmax" and task == "multilabel":
        detail = "output activation 'softmax' makes the labels exclude each other"
        refuse("/network/output_activation", given, detail, ["auto", "sigmoid"])
    return losses.LOSSES[name_of(loss)].outputs[task] if given == "auto" else given


def check_output(loss: Choice, activation: Choice, outputs: int) -> None:
    """Hold the output's activation against the loss.

    Raises: InvalidSpec.
    """
    kind, output = losses.LOSSES[name_of(loss)], find_activation(activation)
    constant = output.name == "softmax" and outputs == 1
    if kind.takes(output) and not constant:
        return
    taken = losses.allowed_activations(loss)
    allowed = [name for name in taken if name != output.name and (outputs > 1 or name != "softmax")]
    detail = f"output activation {output.name!r}{_why_not(kind, output, constant)} does not go with loss {kind.name!r}"
    refuse("/network/output_activation", activation, detail, ["auto", *allowed])


def _why_not(kind: type[losses.Loss], output: Activation, constant: bool) -> str:
    if constant:
        return " over one unit is constant; it"
    if output.learned:
        return f" has a {' and a '.join(output.learned)} of its own to learn; it"
    outside = not output.image.within(kind.domain)
    return f" puts out numbers in {output.image}, which leave {kind.domain}; it" if outside else ""


def resolve_network(network: NetworkSpec, activation: Choice) -> NetworkSpec:
    """The network with all that its own layers leave open named, the output's activation, and the first weights'."""
    hidden = tuple(
        resolve_layer(network, layer) if isinstance(layer, HiddenLayer) else layer for layer in network.hidden
    )
    initializer = network.initializer
    if initializer == "auto":
        initializer = find_activation(network.activation).initializer
    update = {"hidden": hidden, "output_activation": activation, "initializer": initializer}
    return network.model_copy(update=update)


def resolve_layer(network: NetworkSpec, layer: HiddenLayer | int) -> HiddenLayer:
    """A hidden layer with the network's own values where it has none."""
    given = HiddenLayer(units=layer) if isinstance(layer, int) else layer
    names = ("activation", "dropout", "normalization")
    return given.model_copy(update={name: getattr(network, name) for name in names if getattr(given, name) is None})


def without_effect(network: NetworkSpec) -> str | None:
    """A warning where something is asked of hidden layers, as the spec is given, and none of them takes it."""
    defaults = {name: NetworkSpec.model_fields[name].default for name in ("activation", "dropout", "normalization")}
    asked = [name for name, default in defaults.items() if getattr(network, name) != default]
    idle = [f"network.{name}" for name in asked if not _taken(network, name)]
    if not idle:
        return None
    why = "every hidden layer has its own" if network.hidden else "there is no hidden layer"
    return f"{' and '.join(idle)}: {why}, so this has no effect"


def _taken(network: NetworkSpec, name: str) -> bool:
    value = getattr(network, name)
    if name == "activation" and network.initializer == "auto":  # it chooses the first weights, too
        default = NetworkSpec.model_fields[name].default
        if find_activation(value).initializer != find_activation(default).initializer:
            return True
    return any(getattr(resolve_layer(network, layer), name) == value for layer in network.hidden)


def alike_warning(network: NetworkSpec) -> str | None:
    """A warning where all units of a hidden layer begin as the same one, and stay it."""
    if not network.hidden or name_of(network.initializer) != "zeros":
        return None
    return "network.initializer: with 'zeros' the units of a hidden layer learn nothing, or all of them the same"


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
