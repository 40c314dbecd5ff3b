"""What a job takes from the model that it goes on from: its columns, scales and classes, and the network's shape.

Whatever the spec leaves open is the model's. Columns and scales cannot be others, since the weights belong to them; the
shape cannot, since they would not fit. All else (loss, optimizer, dropout, epochs …) is the new job's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from service.datasets import Column
from service.resolution.amounts import target_scales
from service.resolution.refusal import refuse
from service.spec import JobSpec, NetworkSpec
from service.strict_json import quoted
from service.transform import Transform
from workers.mlp.activations import find_activation
from workers.mlp.architecture import Architecture
from workers.mlp.choices import Choice, name_of
from workers.mlp.losses import LOSSES

DATA: Final = ("target", "features", "task", "scale", "scale_target", "missing")
STATE: Final = ("name", "amsgrad", "centered", "history")  # how many arrays an optimizer carries, momentum apart
POINTER: Final = "/warm_start/model"


@dataclass(frozen=True)
class Start:
    """A model as resolution sees it."""

    model_id: str
    spec: JobSpec  # its job's, resolved
    transform: Transform
    architecture: Architecture
    keeps_optimizer: bool  # whether its optimizer's state was kept


def continue_spec(spec: JobSpec, start: Start) -> JobSpec:
    """The spec with all that it leaves open taken from the model, which it names by its id.

    Raises: InvalidSpec where it asks for other columns or scales.
    """
    _check_loss(spec, start)
    if spec.data.folds is not None:
        detail = "the model has seen rows of every fold, so that they would not measure it"
        refuse("/data/folds", spec.data.folds, detail, "null with warm_start")
    taken: dict[str, Any] = {}
    for name in DATA:
        given, of_model = getattr(spec.data, name), getattr(start.spec.data, name)
        if given != of_model and name in spec.data.model_fields_set and given not in (None, "auto"):
            refuse(f"/data/{name}", given, f"model {start.model_id!r} has {quoted(of_model)}", [of_model])
        taken[name] = of_model
    optimizer: dict[str, Any] = {}
    if spec.warm_start is not None and spec.warm_start.optimizer:
        optimizer = _continued_optimizer(spec, start)
    network = {
        name: getattr(start.spec.network, name)
        for name in type(spec.network).model_fields
        if name not in spec.network.model_fields_set
    }
    if "output_activation" in network and not _takes(spec.loss, network["output_activation"]):
        network["output_activation"] = "auto"
    return spec.model_copy(
        update={
            "warm_start": spec.warm_start and spec.warm_start.model_copy(update={"model": start.model_id}),
            "data": spec.data.model_copy(update=taken),
            "network": spec.network.model_copy(update=network),
            "optimizer": spec.optimizer.model_copy(update=optimizer),
            "loss": start.spec.loss if spec.loss == "auto" else spec.loss,
        }
    )


def _takes(loss: Choice, activation: Choice) -> bool:
    return loss == "auto" or LOSSES[name_of(loss)].takes(find_activation(activation))


def _check_loss(spec: JobSpec, start: Start) -> None:
    """Another loss is taken where it goes with the target as the model's is scaled."""
    scale, task = start.spec.data.scale_target, start.spec.data.task
    if spec.loss == "auto" or task == "auto" or task not in LOSSES[name_of(spec.loss)].outputs:
        return
    if scale not in target_scales(spec.loss, task):
        name, of_model = name_of(spec.loss), f"model {start.model_id!r} has data.scale_target {scale!r}"
        fit = [name for name, kind in LOSSES.items() if task in kind.outputs and scale in target_scales(name, task)]
        refuse("/loss", spec.loss, f"{of_model}, which does not go with loss {name!r}", ["auto", *fit])


def _continued_optimizer(spec: JobSpec, start: Start) -> dict[str, Any]:
    """The optimizer's fields that the spec leaves open; those that its state hangs on cannot be others."""
    given, of_model = spec.optimizer, start.spec.optimizer
    if not start.keeps_optimizer:
        detail = f"the optimizer of model {start.model_id!r}, {of_model.name!r}, carried nothing"
        refuse("/warm_start/optimizer", True, detail, [False])
    for name in STATE:
        if name in given.model_fields_set and getattr(given, name) not in (None, getattr(of_model, name)):
            detail = (
                f"model {start.model_id!r} has {quoted(getattr(of_model, name))}, and its optimizer's state is of that"
            )
            refuse(f"/optimizer/{name}", getattr(given, name), detail, [getattr(of_model, name)])
    if given.momentum is not None and bool(given.momentum) != bool(of_model.momentum):
        detail = f"the optimizer of model {start.model_id!r} has momentum {quoted(of_model.momentum)}"
        refuse("/optimizer/momentum", given.momentum, detail, "above 0" if of_model.momentum else [0.0])
    kept = {name: getattr(of_model, name) for name in STATE}
    open_fields = [name for name in type(given).model_fields if name not in given.model_fields_set]
    return {**{name: getattr(of_model, name) for name in open_fields}, **kept}


def with_known_classes(targets: tuple[Column, ...], start: Start) -> tuple[Column, ...]:
    """The columns that are learned with the model's classes: the new data may lack some."""
    if not start.transform.target.holds_classes:
        return targets
    known = [column.classes for column in start.transform.target.columns]
    return tuple(
        replace(target, levels=classes, distinct=len(classes)) for target, classes in zip(targets, known, strict=True)
    )


def check_shape(architecture: Architecture, start: Start) -> None:
    """Hold the network against the model's.

    Raises: InvalidSpec.
    """
    asked, of_model = shape(architecture), shape(start.architecture)
    if asked != of_model:
        detail = f"model {start.model_id!r} is a network of {of_model}, and the spec asks for {asked}"
        refuse(POINTER, start.model_id, detail, "a model of the same shape, or no network in the spec")


def initializer_warning(network: NetworkSpec, start: Start) -> str | None:
    """A warning where first weights are asked for and the model's are taken; `network` is resolved."""
    if network.initializer == start.spec.network.initializer:
        return None
    return "network.initializer has no effect: the first weights are those of warm_start.model"


def shape(architecture: Architecture) -> str:
    """The arrays of a network, in words."""
    sizes = "-".join(map(str, architecture.sizes))
    beside = {name for layer in architecture.layers for name in (*layer.learned, *layer.running)}
    places = [number for number, layer in enumerate(architecture.layers, start=1) if layer.learned]
    others = f", {' '.join(sorted(beside))} in layer {' '.join(map(str, places))}" if beside else ""
    return f"{sizes} units{'' if architecture.bias else ' without bias'}{others}"
