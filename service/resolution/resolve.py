"""The order in which a spec's parts are resolved."""

from __future__ import annotations

from dataclasses import dataclass

from service.datasets import Dataset, choice_warning, constant_warning
from service.job_memory import runner_bytes
from service.partition import fold_rows, part_rows
from service.resolution.amounts import amounts_warning, check_amounts
from service.resolution.columns import check_magnitudes, choose_features, choose_targets, choose_task
from service.resolution.data import resolve_data, split_warnings
from service.resolution.matching import check_match, columns_like, needs_of_job, needs_of_model
from service.resolution.network import (
    alike_warning,
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
from service.resolution.rules import check_rules
from service.resolution.stopping import check_stopping, watchable
from service.resolution.warm_start import Start, check_shape, continue_spec, initializer_warning, with_known_classes
from service.resolution.weights import check_weights
from service.resolution.workers import check_rows, least_rows, resolve_shards, resolve_workers, rows_left_out
from service.spec import JobSpec
from workers.mlp.architecture import Architecture

VALIDATION_POINTER = "/data/validation_dataset"


@dataclass(frozen=True)
class Resolution:
    """What a spec means for a data set: the resolved spec, the network's shape, the sizes."""

    spec: JobSpec
    inputs: int
    outputs: int
    architecture: Architecture
    train_rows: int  # with folds all, as the last training has them
    validation_rows: int
    parameters: int
    least_rows: int  # of a mini-batch: a last one that has fewer is left out
    memory_bytes: int  # what one worker needs beside the interpreter
    warnings: list[str]

    @property
    def batch_size(self) -> int:
        """The rows of a mini-batch, but for an epoch's last."""
        given = self.spec.batch_size
        return self.train_rows if given == "full" else given


def resolve(
    spec: JobSpec, dataset: Dataset, validation: Dataset | None = None, start: Start | None = None
) -> Resolution:
    """Resolve every `auto` of a spec for a data set, and check what belongs together.

    `validation` is the data set that `data.validation_dataset` names, `start` the model that `warm_start` does.
    Raises: InvalidSpec.
    """
    if start is not None:
        spec = continue_spec(spec, start)
        check_match(needs_of_model(start.transform), None, dataset, "/dataset")
    targets = choose_targets(spec.data, dataset)
    if start is not None:
        targets = with_known_classes(targets, start)
    features = choose_features(spec.data, dataset, targets)
    task = choose_task(spec.data, targets)
    check_weights(spec.data, dataset, targets, task)
    loss = resolve_loss(spec, task)
    activation = resolve_output_activation(spec, loss, task)
    outputs = output_units(task, loss, activation, targets)
    check_output(loss, activation, outputs)
    data = resolve_data(spec.data, dataset, features, targets, task, loss, validation)
    train_rows, validation_rows = part_rows(dataset.rows, data, targets[0].distinct)
    fewest = train_rows if data.folds is None else fold_rows(train_rows, data.folds, 0)[0]
    check_magnitudes(data, spec.network.precision, features, targets, task)
    if validation is not None:
        check_match(needs_of_job(data, features, targets, task), data.sample_weight, validation, VALIDATION_POINTER)
        others = (columns_like(features, validation), columns_like(targets, validation))
        check_magnitudes(data, spec.network.precision, *others, task, VALIDATION_POINTER)
        check_amounts(loss, others[1], VALIDATION_POINTER)
        validation_rows = validation.rows
    validated = validation_rows > 0 or data.folds is not None
    check_stopping(spec, task, loss, validated=validated)
    watched = watchable(task, loss, validated=validated)
    always = watchable(task, loss, validated=validation_rows > 0)  # nothing validates the last training of folds
    network = resolve_network(spec.network, activation)
    batch_rows = fewest if spec.batch_size == "full" else min(spec.batch_size, fewest)
    shards = resolve_shards(spec, batch_rows)
    workers, clamped = resolve_workers(spec.workers, shards)
    resolved = spec.model_copy(
        update={
            "dataset": dataset.id,
            "data": data,
            "network": network,
            "loss": loss,
            "optimizer": resolve_optimizer(spec, task, always),
            "shards": shards,
            "workers": workers,
        }
    )
    inputs = sum(feature_width(feature, data.missing) for feature in features)
    if start is not None:
        inputs = start.transform.inputs
    architecture = build_architecture(resolved, inputs, outputs)
    if start is not None:
        check_shape(architecture, start)
    check_rules(spec, watched, architecture)
    least = least_rows(architecture, shards)
    check_rows(spec, shards, batch_rows, least)
    chosen = [choice_warning(target, task) for target in targets] if spec.data.task == "auto" else []
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
                *chosen,
                *split_warnings(data, dataset, features),
                constant_warning(features),
                without_effect(network),
                alike_warning(network) if start is None else initializer_warning(network, start),
                amounts_warning(data, loss, targets),
                rows_left_out(train_rows, train_rows if spec.batch_size == "full" else batch_rows, least),
                clamped,
            )
            if warning
        ],
    )
