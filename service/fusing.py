"""Which jobs may train as one population: those that differ in nothing but what each network may have of its own.

That is said by a digest of all that must be equal, known when a job is accepted. Knows neither Redis nor training.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from service import strict_json
from service.resolution import Resolution
from service.resolution.network import resolve_layer
from service.spec import JobSpec, NetworkSpec, OptimizerSpec
from workers.mlp.architecture import Architecture

MOST_MEMBERS: Final = 32  # of a population
STEP_BYTES: Final = 8 << 20  # that a population may touch in a step: beyond a core's cache, together is not faster

# Each network's own: how its job is named, queued and ended, its first weights, the order of its rows, its rate.
_OWN = frozenset(
    {
        *("name", "tags", "priority", "retries", "not_before", "after", "reuse", "workers"),
        *("seed", "epochs", "early_stopping", "rules"),
        *("dataset", "network", "optimizer"),  # the data is compared itself, the others are told in parts
    }
)


def fusion_key(spec: JobSpec, dataset: str, validation: str | None = None) -> str | None:
    """The digest of what must be equal in a population; None for a job that is always trained alone.

    `spec` is resolved; `dataset` is the id or digest of its data, `validation` that of `data.validation_dataset`.
    Numbers of the optimizer and rates of dropout may differ, but not whether they are 0 or there at all: that decides
    what is computed and kept. A job of folds is several trainings; one that asks for two workers or has a
    time limit is to be fast by itself.
    """
    if spec.mode != "sync" or spec.optimizer.name == "lbfgs" or spec.gradient_check:
        return None
    if spec.data.folds is not None or spec.workers.min > 1 or spec.time_limit_s is not None:
        return None
    shared = spec.model_dump(mode="json", exclude=set(_OWN))
    shared["data"].pop("validation_dataset")
    return strict_json.sha256([shared, _of_network(spec.network), _of_optimizer(spec.optimizer), dataset, validation])


class Fusion(NamedTuple):
    """With which jobs a job can be trained as one, those of the same key, and with how many: it is one of `members`."""

    key: str
    members: int


def fusion_of(resolution: Resolution, dataset: str, validation: str | None = None) -> Fusion | None:
    """That of a job; None where it is trained alone, or gains nothing. Arguments as those of `fusion_key`."""
    shards = resolution.spec.shards
    assert isinstance(shards, int)  # it is resolved
    batch_rows = min(resolution.batch_size, resolution.train_rows)
    members = members_that_pay(resolution.architecture, -(-batch_rows // shards))
    key = fusion_key(resolution.spec, dataset, validation) if members > 1 else None
    return None if key is None else Fusion(key, members)


def members_that_pay(architecture: Architecture, shard_rows: int) -> int:
    """How many networks gain by being computed together, MOST_MEMBERS at most; 1 where a network is large by itself.

    Together they save what each operation costs however small it is. What a step reads and writes must then lie in the
    cache, as that of a network alone does: its weights, gradient and velocity, and four numbers for each unit and row.
    """
    units = sum(architecture.sizes[1:])
    numbers = 3 * architecture.parameter_count + shard_rows * (architecture.inputs + 4 * units)
    return max(1, min(MOST_MEMBERS, STEP_BYTES // (numbers * architecture.dtype.itemsize)))


def _of_network(network: NetworkSpec) -> dict[str, Any]:
    """All but the numbers that the first weights are drawn by; of dropout, where it is."""
    layers = [resolve_layer(network, layer) for layer in network.hidden]
    return {
        "hidden": [[layer.units, layer.activation, layer.normalization, bool(layer.dropout)] for layer in layers],
        "input_dropout": bool(network.input_dropout),
        **{name: getattr(network, name) for name in ("output_activation", "bias", "precision")},
    }


def _of_optimizer(optimizer: OptimizerSpec) -> dict[str, Any]:
    """Its name, and what it does; the rate and its schedule are each network's own."""
    given = optimizer.model_dump(exclude={"learning_rate", "schedule"})
    return {name: bool(value) if isinstance(value, float | None) else value for name, value in given.items()}
