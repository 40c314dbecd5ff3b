"""The order in which a spec's parts are resolved."""

from __future__ import annotations

from dataclasses import dataclass

from service.datasets import Dataset, choice_warning, constant_warning
from service.job_memory import runner_bytes
from service.partition import part_rows
from service.resolution.columns import check_magnitudes, choose_features, choose_target, choose_task
from service.resolution.data import resolve_data
from service.resolution.network import (
    build_architecture,
    check_output,
    feature_width,
    output_units,
    resolve_loss,
    resolve_network,
    resolve_output_activation,
    without_effect,
)
from service.resolution.optimizer import resolve_optimizer
from service.resolution.stopping import check_stopping
from service.resolution.workers import check_rows, least_rows, resolve_shards, resolve_workers, rows_left_out
from service.spec import JobSpec
from workers.mlp.architecture import Architecture


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
    least_rows: int  # of a mini-batch: a last one that has fewer is left out
    memory_bytes: int  # what one worker needs beside the interpreter
    warnings: list[str]


def resolve(spec: JobSpec, dataset: Dataset) -> Resolution:
    """Resolve every `auto` of a spec for a data set, and check what belongs together.

    Raises: InvalidSpec.
    """
    target = choose_target(spec.data, dataset)
    features = choose_features(spec.data, dataset, target)
    task = choose_task(spec.data, target)
    loss, activation = resolve_loss(spec, task), resolve_output_activation(spec, task)
    outputs = output_units(task, loss, activation, target.distinct)
    check_output(loss, activation, outputs)
    data = resolve_data(spec.data, dataset, features, target, task)
    train_rows, validation_rows = part_rows(dataset.rows, data, target)
    check_magnitudes(data, spec.network.precision, features, target, task)
    check_stopping(spec, task, validation_rows)
    network = resolve_network(spec.network, activation)
    batch_rows = train_rows if spec.batch_size == "full" else min(spec.batch_size, train_rows)
    shards = resolve_shards(spec, batch_rows)
    workers, clamped = resolve_workers(spec.workers, shards)
    resolved = spec.model_copy(
        update={
            "dataset": dataset.id,
            "data": data,
            "network": network,
            "loss": loss,
            "optimizer": resolve_optimizer(spec, task),
            "shards": shards,
            "workers": workers,
        }
    )
    inputs = sum(feature_width(feature) for feature in features)
    architecture = build_architecture(resolved, inputs, outputs)
    least = least_rows(architecture, shards)
    check_rows(spec, shards, batch_rows, least)
    chosen = choice_warning(target, task) if spec.data.task == "auto" else None
    return Resolution(
        spec=resolved,
        inputs=inputs,
        outputs=outputs,
        architecture=architecture,
        train_rows=train_rows,
        validation_rows=validation_rows,
        parameters=architecture.parameter_count,
        least_rows=least,
        memory_bytes=runner_bytes(resolved, architecture, train_rows, validation_rows),
        warnings=[
            warning
            for warning in (
                chosen,
                constant_warning(features),
                without_effect(network),
                rows_left_out(train_rows, batch_rows, least),
                clamped,
            )
            if warning
        ],
    )
