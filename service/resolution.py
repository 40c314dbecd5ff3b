"""From a spec as a user wrote it to one with every `auto` resolved, by a data set's record alone. Reads no data.

Every rule is a function of the spec and the record, never of the cluster, and a resolved spec resolves to itself.
Whatever cannot be done is an InvalidSpec that names the field, its value and what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from service.datasets import Column, Dataset, Task, choice_warning, constant_warning
from service.job_memory import runner_bytes
from service.partition import part_rows
from service.resolution_columns import check_magnitudes, choose_features, choose_target, choose_task, refuse
from service.spec import DataSpec, HiddenLayer, JobSpec, NetworkSpec, WorkersSpec
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.losses import allowed_activations

LOSSES: Final[dict[Task, tuple[str, ...]]] = {  # the first is `auto`
    "regression": ("squared_error",),
    "binary": ("log_loss", "cross_entropy", "squared_error"),
    "multiclass": ("cross_entropy", "log_loss", "squared_error"),
}
SMALL_ROWS = 20  # below, all rows train by default
VALIDATION_FRACTION = 0.2
MAX_SHARDS = 16
ROWS_PER_SHARD = 128


@dataclass(frozen=True)
class Resolution:
    """What a spec means for a data set: the resolved spec, the network's shape, the sizes."""

    spec: JobSpec
    inputs: int
    outputs: int
    architecture: Architecture
    train_rows: int
    validation_rows: int
    parameters: int
    memory_bytes: int  # what one worker needs beside the interpreter
    warnings: list[str]


def resolve(spec: JobSpec, dataset: Dataset) -> Resolution:
    """Resolve every `auto` of a spec for a data set, and check what belongs together.

    Raises: InvalidSpec.
    """
    target = choose_target(spec.data, dataset)
    features = choose_features(spec.data, dataset, target)
    task = choose_task(spec.data, target)
    loss, activation = _loss(spec, task), _output_activation(spec, task)
    outputs = output_units(task, loss, activation, target.distinct)
    _check_output(loss, activation, outputs)
    data = _data(spec.data, dataset, features, target, task)
    train_rows, validation_rows = part_rows(dataset.rows, data, target)
    check_magnitudes(data, spec.network.precision, features, target, task)
    _check_stopping(spec, task, validation_rows)
    network = _network(spec.network, activation)
    batch_rows = train_rows if spec.batch_size == "full" else min(spec.batch_size, train_rows)
    shards = _shards(spec, batch_rows)
    workers, clamped = _workers(spec.workers, shards)
    resolved = spec.model_copy(
        update={
            "dataset": dataset.id,
            "data": data,
            "network": network,
            "loss": loss,
            "optimizer": _optimizer(spec, task),
            "shards": shards,
            "workers": workers,
        }
    )
    inputs = sum(feature_width(feature) for feature in features)
    architecture = _architecture(resolved, inputs, outputs)
    chosen = choice_warning(target, task) if spec.data.task == "auto" else None
    return Resolution(
        spec=resolved,
        inputs=inputs,
        outputs=outputs,
        architecture=architecture,
        train_rows=train_rows,
        validation_rows=validation_rows,
        parameters=architecture.parameter_count,
        memory_bytes=runner_bytes(resolved, architecture, train_rows, validation_rows),
        warnings=[warning for warning in (chosen, constant_warning(features), clamped) if warning],
    )


def output_units(task: Task, loss: str, activation: str, classes: int) -> int:
    """One unit for a value, or for the second of two classes; a distribution has a unit for each class."""
    distribution = loss == "cross_entropy" or activation == "softmax"
    return 1 if task == "regression" or (task == "binary" and not distribution) else classes


def feature_width(column: Column) -> int:
    """How many inputs a column gives."""
    return column.distinct if column.categorical else 1


def _loss(spec: JobSpec, task: Task) -> str:
    allowed = LOSSES[task]
    if spec.loss == "auto":
        return allowed[0]
    if spec.loss not in allowed:
        refuse("/loss", spec.loss, f"loss {spec.loss!r} does not fit task {task!r}", ["auto", *allowed])
    return spec.loss


def _output_activation(spec: JobSpec, task: Task) -> str:
    """Of the task, unless the loss says how many units there are and what they hold."""
    given = spec.network.output_activation
    if given != "auto":
        return given
    if task == "regression":
        return "identity"
    by_loss = {"cross_entropy": "softmax", "log_loss": "sigmoid"}
    return by_loss.get(spec.loss, "sigmoid" if task == "binary" else "softmax")


def _check_output(loss: str, activation: str, outputs: int) -> None:
    allowed = [name for name in allowed_activations(loss) if outputs > 1 or name != "softmax"]
    if activation not in allowed:
        why = " over one unit is constant; it" if activation == "softmax" and outputs == 1 else ""
        detail = f"output activation {activation!r}{why} does not go with loss {loss!r}"
        refuse("/network/output_activation", activation, detail, ["auto", *allowed])


def _data(data: DataSpec, dataset: Dataset, features: Iterable[Column], target: Column, task: Task) -> DataSpec:
    fraction = data.validation_fraction
    if fraction is None:
        fraction = VALIDATION_FRACTION if dataset.rows >= SMALL_ROWS else 0.0
    if data.stratify and task == "regression":
        refuse("/data/stratify", True, "a regression has no classes to keep in proportion", [False])
    if data.scale_target == "standard" and task != "regression":
        refuse("/data/scale_target", "standard", f"classes are not scaled (task {task!r})", ["auto", "none"])
    by_task = "standard" if task == "regression" else "none"
    return data.model_copy(
        update={
            "target": target.name,
            "features": tuple(feature.name for feature in features),
            "task": task,
            "scale_target": by_task if data.scale_target == "auto" else data.scale_target,
            "validation_fraction": fraction,
            "stratify": task != "regression" if data.stratify is None else data.stratify,
        }
    )


def _check_stopping(spec: JobSpec, task: Task, validation_rows: int) -> None:
    if spec.early_stopping is None:
        return
    metric = spec.early_stopping.metric
    allowed = [
        f"{part}_{figure}"
        for part in (("validation", "train") if validation_rows else ("train",))
        for figure in (("loss",) if task == "regression" else ("loss", "accuracy"))
    ]
    if metric not in allowed:
        no_part = metric.startswith("validation") and not validation_rows
        detail = f"{metric!r} needs " + ("a validation part, and no row is in it" if no_part else "classes")
        refuse("/early_stopping/metric", metric, detail, allowed)


def _network(network: NetworkSpec, activation: str) -> NetworkSpec:
    hidden = tuple(
        layer.model_copy(update={"activation": layer.activation or network.activation})
        if isinstance(layer, HiddenLayer)
        else layer
        for layer in network.hidden
    )
    return network.model_copy(update={"hidden": hidden, "output_activation": activation})


def _optimizer(spec: JobSpec, task: Task) -> Any:
    given = spec.optimizer
    if given.nesterov and not given.momentum:
        refuse(
            "/optimizer/nesterov",
            True,
            "Nesterov's step needs momentum, and momentum is 0",
            [False, "momentum above 0"],
        )
    rate = given.learning_rate
    return given.model_copy(update={"learning_rate": (0.03 if task == "regression" else 0.1) if rate is None else rate})


def _shards(spec: JobSpec, batch_rows: int) -> int:
    if spec.shards == "auto":
        parts = min(MAX_SHARDS, batch_rows // ROWS_PER_SHARD)
        return 1 << (parts.bit_length() - 1) if parts else 1
    if spec.shards > batch_rows:
        refuse("/shards", spec.shards, f"a mini-batch has {batch_rows} row(s)", f"auto, or 1 to {batch_rows}")
    return spec.shards


def _workers(given: WorkersSpec, shards: int) -> tuple[WorkersSpec, str | None]:
    if given.min > shards:
        refuse(
            "/workers/min",
            given.min,
            f"a mini-batch has {shards} shard(s), each the work of one worker",
            f"1 to {shards}",
        )
    if given.max is None:
        return given.model_copy(update={"max": shards}), None
    if given.max < given.min:
        refuse("/workers/max", given.max, f"it is less than workers.min, {given.min}", f"{given.min} or more")
    if given.max > shards:
        warning = f"workers.max: {shards} shard(s) keep {shards} worker(s) busy; {given.max} were asked for"
        return given.model_copy(update={"max": shards}), warning
    return given, None


def _architecture(spec: JobSpec, inputs: int, outputs: int) -> Architecture:
    network = spec.network
    hidden = [
        LayerShape(layer.units, layer.activation or network.activation)
        if isinstance(layer, HiddenLayer)
        else LayerShape(layer, network.activation)
        for layer in network.hidden
    ]
    layers = (*hidden, LayerShape(outputs, network.output_activation))
    return Architecture(inputs, layers, spec.loss, network.bias, network.precision)
