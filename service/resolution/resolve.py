"""The order in which a spec's parts are resolved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from service.datasets import Column, Dataset, Task, choice_warning, constant_target_warning, constant_warning
from service.features import OneHot
from service.job_memory import runner_bytes
from service.partition import fold_rows, part_rows
from service.resolution.amounts import amounts_warning, check_amounts
from service.resolution.columns import check_magnitudes, choose_features, choose_targets, choose_task
from service.resolution.data import parts_warning, resolve_data, split_warnings
from service.resolution.matching import check_match, columns_like, needs_of_job, needs_of_model, unseen_warnings
from service.resolution.mode import one_batch_warning, resolve_staleness
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
from service.resolution.without_effect import idle_warnings
from service.resolution.workers import check_rows, least_rows, resolve_shards, resolve_workers, rows_left_out
from service.spec import DataSpec, JobSpec
from workers.batches import steps_per_epoch
from workers.mlp.architecture import Architecture
from workers.mlp.choices import Choice

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


class _Asked(NamedTuple):
    """What is learned from what."""

    features: list[Column]
    targets: tuple[Column, ...]
    task: Task


class _Rows(NamedTuple):
    """How many rows train and validate; `fewest` train a fold, and are a full batch of it; `batch` a mini-batch."""

    train: int
    validation: int
    fewest: int
    batch: int


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
    asked = _asked(spec, dataset, start)
    loss = resolve_loss(spec, asked.task)
    activation = resolve_output_activation(spec, loss, asked.task)
    outputs = output_units(asked.task, loss, activation, asked.targets)
    check_output(loss, activation, outputs)
    data = resolve_data(spec.data, dataset, asked.features, asked.targets, asked.task, loss, validation)
    _check_numbers(spec, data, loss, asked, validation)
    rows = _rows(spec, data, asked, dataset, validation)
    validated = rows.validation > 0 or data.folds is not None
    check_stopping(spec, asked.task, loss, validated=validated)
    always = watchable(asked.task, loss, validated=rows.validation > 0)  # nothing validates the last training of folds
    network = resolve_network(spec.network, activation)
    shards = resolve_shards(spec, rows.batch)
    staleness = resolve_staleness(spec)
    workers, clamped = resolve_workers(spec, shards, staleness)
    resolved = spec.model_copy(
        update={
            "dataset": dataset.id,
            "data": data,
            "network": network,
            "loss": loss,
            "optimizer": resolve_optimizer(spec, asked.task, always),
            "shards": shards,
            "workers": workers,
            "max_staleness": staleness,
        }
    )
    architecture = _architecture(resolved, asked, outputs, start)
    check_rules(spec, watchable(asked.task, loss, validated=validated), architecture)
    least = least_rows(architecture, shards)
    check_rows(spec, shards, rows.batch, least)
    return Resolution(
        spec=resolved,
        inputs=architecture.inputs,
        outputs=outputs,
        architecture=architecture,
        train_rows=rows.train,
        validation_rows=rows.validation,
        parameters=architecture.parameter_count,
        least_rows=least,
        memory_bytes=runner_bytes(resolved, architecture, rows.train, rows.validation),
        warnings=[
            *_warnings(spec, resolved, asked, rows, least, clamped, dataset, start),
            *_unseen(asked, dataset, validation, start),
        ],
    )


def _asked(spec: JobSpec, dataset: Dataset, start: Start | None) -> _Asked:
    targets = choose_targets(spec.data, dataset)
    if start is not None:
        targets = with_known_classes(targets, start)
    features = choose_features(spec.data, dataset, targets)
    task = choose_task(spec.data, targets)
    check_weights(spec.data, dataset, targets, task)
    return _Asked(features, targets, task)


def _check_numbers(spec: JobSpec, data: DataSpec, loss: Choice, asked: _Asked, validation: Dataset | None) -> None:
    """Hold the columns' numbers against the precision, and another data set that validates against the first one."""
    features, targets, task = asked
    check_magnitudes(data, spec.network.precision, features, targets, task)
    if validation is not None:
        check_match(needs_of_job(data, features, targets, task), data.sample_weight, validation, VALIDATION_POINTER)
        others = (columns_like(features, validation), columns_like(targets, validation))
        check_magnitudes(data, spec.network.precision, *others, task, VALIDATION_POINTER)
        check_amounts(loss, others[1], VALIDATION_POINTER)


def _rows(spec: JobSpec, data: DataSpec, asked: _Asked, dataset: Dataset, validation: Dataset | None) -> _Rows:
    train, validates = part_rows(dataset.rows, data, asked.targets[0].distinct)
    fewest = train if data.folds is None else fold_rows(train, data.folds, 0)[0]
    batch = fewest if spec.batch_size == "full" else min(spec.batch_size, fewest)
    return _Rows(train, validates if validation is None else validation.rows, fewest, batch)


def _architecture(resolved: JobSpec, asked: _Asked, outputs: int, start: Start | None) -> Architecture:
    if start is None:
        inputs = sum(feature_width(feature, resolved.data.missing) for feature in asked.features)
        return build_architecture(resolved, inputs, outputs)
    architecture = build_architecture(resolved, start.transform.inputs, outputs)
    check_shape(architecture, start)
    return architecture


def _warnings(
    spec: JobSpec,
    resolved: JobSpec,
    asked: _Asked,
    rows: _Rows,
    least: int,
    clamped: str | None,
    dataset: Dataset,
    start: Start | None,
) -> list[str]:
    """What the job's owner should know of what was resolved; `clamped` is of its workers."""
    chosen = [choice_warning(target, asked.task) for target in asked.targets] if spec.data.task == "auto" else []
    batch_rows = rows.train if spec.batch_size == "full" else rows.batch
    steps = steps_per_epoch(rows.train, batch_rows, least)
    found = (
        *chosen,
        *split_warnings(resolved.data, dataset, asked.features),
        parts_warning(resolved.data, rows.train, rows.validation),
        constant_warning(asked.features),
        constant_target_warning(asked.targets),
        without_effect(resolved.network),
        alike_warning(resolved.network) if start is None else initializer_warning(resolved.network, start),
        amounts_warning(resolved, asked.targets),
        rows_left_out(rows.train, batch_rows, least),
        one_batch_warning(spec, steps),
        *idle_warnings(resolved, steps, warm=start is not None),
        clamped,
    )
    return [warning for warning in found if warning]


def _unseen(asked: _Asked, dataset: Dataset, validation: Dataset | None, start: Start | None) -> list[str]:
    """Warnings of levels that a data set has and the network no input for."""
    known = {column.name: column.levels or () for column in asked.features if column.categorical}
    found = []
    if start is not None:
        known = {each.name: each.levels for each in start.transform.features if isinstance(each, OneHot)}
        found = unseen_warnings(known, dataset, "dataset")
    return found if validation is None else [*found, *unseen_warnings(known, validation, "data.validation_dataset")]
