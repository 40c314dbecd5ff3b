"""Each field of a spec changes the weights, or is one of those that must not; a new field needs a case here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import BaseModel

from service.errors import InvalidSpec
from service.jobs import JobStatus
from service.resolution import resolve
from service.spec import JobSpec, OptimizerSpec
from service.spec.optimizer import own_fields
from service.store import Store
from tests.service.data_room import table_dataset
from tests.service.test_data_attempts import Service
from workers.mlp.optimizers import EVERY_OPTIMIZER

Changes = Mapping[str, Any]  # of a field, by its path

ROWS = 60
BASE: Changes = {
    "dataset": "table",
    "data.target": "y",
    "data.features": ["x", "kind"],
    "data.missing": "mean",
    "network.hidden": [5],
    "network.activation": "tanh",
    "epochs": 3,
    "batch_size": 16,
    "shards": 2,
}
LAYERED: Changes = {"network.hidden": [{"units": 5}]}
VALUES: Changes = {"data.target": "v"}
WATCHED: Changes = {"epochs": 20, "optimizer.learning_rate": 1.0, "early_stopping.patience": 10}
MODEL = "the model of the base"  # stands for its id
JOB = "a job that has succeeded"  # and this for that one's

# What a field is changed to, and what must be so that it has an effect.
EFFECTIVE: dict[str, tuple[Any, Changes]] = {
    "dataset": ("other", {}),
    "data.target": ("z", {}),
    "data.features": (["x"], {}),
    "data.task": ("regression", {"data.target": "z", "data.scale_target": "auto"}),
    "data.scale": ("minmax", {}),
    "data.scale_target": ("none", VALUES),
    "data.validation_fraction": (0.4, {}),
    "data.validation_dataset": ("other", {}),
    "data.split_seed": (1, {}),
    "data.stratify": (False, {}),
    "data.order_by": ("t", {}),
    "data.folds": (3, {}),
    "data.missing": ("indicator", {}),
    "data.sample_weight": ("w", {}),
    "data.class_weight": ({"a": 3.0}, {}),
    "network.hidden.units": (6, LAYERED),
    "network.hidden.activation": ("relu", LAYERED),
    "network.hidden.dropout": (0.3, LAYERED),
    "network.hidden.normalization": ("layer", LAYERED),
    "network.activation": ("relu", {}),
    "network.output_activation": ("sigmoid", {"data.target": "v", "data.scale_target": "none"}),
    "network.bias": (False, {}),
    "network.initializer": ("he_normal", {}),
    "network.precision": ("float64", {}),
    "network.dropout": (0.3, {}),
    "network.input_dropout": (0.3, {}),
    "network.normalization": ("batch", {}),
    "loss": ("focal", {}),
    "optimizer.name": ("adam", {}),
    "optimizer.learning_rate": (0.05, {}),
    "optimizer.schedule": ("cosine", {}),
    "optimizer.l1": (0.1, {}),
    "optimizer.l2": (0.1, {}),
    "optimizer.clip_value": (0.001, {}),
    "optimizer.clip_norm": (0.001, {}),
    "optimizer.max_norm": (0.1, {}),
    "epochs": (4, {}),
    "batch_size": (15, {}),
    "shuffle": (False, {}),
    "seed": (1, {}),
    "shards": (3, {}),
    "early_stopping.metric": ("train_accuracy", WATCHED),
    "early_stopping.patience": (1, WATCHED),
    "early_stopping.min_delta": (1e6, WATCHED),
    "warm_start.model": (MODEL, {}),
    "warm_start.optimizer": (True, {"warm_start.model": MODEL, "optimizer.momentum": 0.9}),
}
OWN: dict[str, tuple[Any, Changes]] = {  # those that only some optimizers have
    "momentum": (0.5, {}),
    "nesterov": (True, {"optimizer.momentum": 0.5}),
    "weight_decay": (0.2, {}),
    "beta1": (0.5, {}),
    "beta2": (0.5, {}),
    "epsilon": (0.01, {}),
    "amsgrad": (True, {"optimizer.beta2": 0.5}),
    "momentum_decay": (0.5, {}),
    "alpha": (0.5, {}),
    "centered": (True, {}),
    "rho": (0.5, {}),
    "rate_decay": (0.5, {}),
    "eta_minus": (0.1, {}),
    "eta_plus": (2.0, {}),
    "step_least": (0.009, {}),
    "step_most": (0.011, {}),
    "history": (1, {"epochs": 8}),
    "max_evaluations": (1, {"epochs": 8, "optimizer.learning_rate": 10.0}),  # too far at first
    "gradient_tolerance": (0.5, {"epochs": 8}),
    "change_tolerance": (0.5, {"epochs": 8}),
}
WITHOUT: dict[str, tuple[Any, Changes]] = {  # these say how a job is run and seen, not what it learns
    "name": ("a name", {}),
    "tags": ({"a": "b"}, {}),
    "priority": (3, {}),
    "retries": (0, {}),
    "time_limit_s": (1e6, {}),
    "not_before": ("2020-01-01T00:00:00Z", {}),
    "after": ([JOB], {}),
    "reuse": (True, {}),
    "workers.min": (2, {}),
    "workers.max": (1, {}),
    "mode": ("async", {"shards": 1}),  # of one worker, which always has the newest weights
    "max_staleness": (3, {"shards": 1, "mode": "bounded_staleness"}),
    "gradient_check": (True, {}),
    "rules": ([{"metric": "train_loss", "above": 0.0, "action": "warn"}], {}),
}


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The paths of all fields; a list of models has those of its items, but rules are one field."""
    for name, field in model.model_fields.items():
        inner = [] if name == "rules" else list(models_in(field.annotation))
        if not inner:
            yield prefix + name
        for each in inner:
            yield from leaves(each, f"{prefix}{name}.")


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def nested(flat: Changes) -> dict[str, Any]:
    """The spec of its fields by their paths; a field of a hidden layer is the first one's."""
    spec: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, name = path.split(".")
        place: Any = spec
        for parent in parents:
            place = place[parent][0] if parent == "hidden" else place.setdefault(parent, {})
        place[name] = json.loads(json.dumps(value))
    return spec


def columns(seed: int) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    number = np.arange(ROWS)
    x = generator.normal(size=ROWS)
    return {
        "x": [None if row % 9 == 0 else float(value) for row, value in enumerate(x)],
        "kind": ["pq"[row % 2] for row in number],
        "t": generator.permutation(ROWS).astype(float),
        "w": generator.uniform(0.5, 2.0, ROWS),
        "v": 1 / (1 + np.exp(-x)),
        "z": number % 2,
        "y": ["abc"[row % 3] for row in number],
    }


class Effects:
    """Runs specs, each once."""

    def __init__(self, service: Service) -> None:
        self.service = service
        for seed, name in enumerate(("table", "other")):
            service.data.add_table(columns(seed), name)
        self._hashes: dict[str, str] = {}
        self.model, self.job = "", ""
        self.model = self._run(nested({**BASE, "optimizer.momentum": 0.9}))["model_id"]

    def hash_of(self, changes: Changes) -> str:
        spec = nested({**BASE, **changes})
        if spec.get("warm_start", {}).get("model") == MODEL:
            spec["warm_start"]["model"] = self.model
        if spec.get("after") == [JOB]:
            spec["after"] = [self.job]
        written = json.dumps(spec, sort_keys=True)
        if written not in self._hashes:
            self._hashes[written] = self._run(spec)["weights_sha256"]
        return self._hashes[written]

    def changes(self, path: str, value: Any, context: Changes) -> bool:
        """Whether the weights are others with the field than without it."""
        return self.hash_of({**context, path: value}) != self.hash_of(context)

    def _run(self, spec: dict[str, Any]) -> dict[str, Any]:
        job = self.service.submission.submit(self.service.data.tenant, JobSpec.model_validate(spec))
        if job.status is JobStatus.QUEUED:  # nothing answers for it
            job = self.service.room.run()
        assert job.status is JobStatus.SUCCEEDED, (spec, job.error)
        assert job.result is not None
        self.job = job.id
        return job.result


@pytest.fixture
def effects(store: Store, tmp_path: Path) -> Effects:
    return Effects(Service(store, tmp_path))


def test_every_field_has_its_case() -> None:
    own = {f"optimizer.{name}" for name in OWN}
    assert {*EFFECTIVE, *WITHOUT, *own} == set(leaves(JobSpec))
    assert {name for kind in EVERY_OPTIMIZER for name in own_fields(kind)} == set(OWN)
    assert set(OptimizerSpec.model_fields) >= set(OWN)


def test_each_field_of_the_experiment_changes_the_weights(effects: Effects) -> None:
    assert [path for path, (value, context) in EFFECTIVE.items() if not effects.changes(path, value, context)] == []


@pytest.mark.parametrize("kind", EVERY_OPTIMIZER)
def test_each_field_of_an_optimizer_changes_the_weights(effects: Effects, kind: str) -> None:
    chosen: Changes = {"optimizer.name": kind, **({"batch_size": "full"} if EVERY_OPTIMIZER[kind].full_batch else {})}
    cases = {"learning_rate": (0.5, {}), **{name: OWN[name] for name in own_fields(kind)}}
    dead = [
        name
        for name, (value, context) in cases.items()
        if not effects.changes(f"optimizer.{name}", value, {**chosen, **context})
    ]
    assert dead == []


def test_what_says_how_a_job_is_run_changes_no_bit(effects: Effects) -> None:
    assert [path for path, (value, context) in WITHOUT.items() if effects.changes(path, value, context)] == []


INERT: list[tuple[str, Any, Changes]] = [
    *((f"optimizer.{name}", value, {}) for name, (value, _) in OWN.items() if name not in own_fields("sgd")),
    ("optimizer.nesterov", True, {}),
    ("data.split_seed", 1, {"data.validation_fraction": 0.0}),
    ("data.split_seed", 1, {"data.order_by": "t"}),
    ("data.stratify", True, {"data.validation_fraction": 0.0}),
    ("data.order_by", "t", {"data.validation_fraction": 0.0}),
    ("data.scale_target", "standard", {}),
    ("data.class_weight", "balanced", VALUES),
    ("network.activation", "softsign", {"network.hidden": [], "network.activation": "relu"}),
    ("network.dropout", 0.3, {"network.hidden": []}),
    ("network.normalization", "batch", {"network.hidden": []}),
    (
        "network.activation",
        "softsign",
        {"network.hidden": [{"units": 5, "activation": "tanh"}], "network.activation": "relu"},
    ),
    ("network.dropout", 0.3, {"network.hidden": [{"units": 5, "dropout": 0.1}]}),
    ("network.normalization", "batch", {"network.hidden": [{"units": 5, "normalization": "layer"}]}),
    ("seed", 1, {"network.initializer": "zeros", "shuffle": False}),
    ("early_stopping.patience", 3, {"early_stopping.patience": 2}),
    ("rules", [{"metric": "train_loss", "above": 1, "epochs": 4}], {}),
    ("optimizer.schedule", {"name": "constant", "unit": "step"}, {}),
    ("optimizer.schedule", {"name": "step", "every": 3}, {}),
    ("optimizer.schedule", {"name": "cosine", "warmup": 9, "unit": "step"}, {}),
    ("optimizer.schedule", {"name": "reduce_on_plateau", "patience": 2}, {}),
    ("network.hidden", [1], {"network.normalization": "layer"}),
]

ACTIVE: list[Changes] = [
    {"seed": 1, "network.initializer": "zeros"},
    {"seed": 1, "network.initializer": "zeros", "shuffle": False, "network.input_dropout": 0.1},
    {"seed": 1, "shuffle": False},
    {"early_stopping.patience": 2},
    {"rules": [{"metric": "train_loss", "above": 1, "epochs": 3}]},
    {"optimizer.schedule": {"name": "step", "every": 2}},
    {"optimizer.schedule": {"name": "step", "every": 3, "unit": "step"}},
    {"optimizer.schedule": {"name": "cosine", "warmup": 2}},
    {"optimizer.schedule": {"name": "reduce_on_plateau", "patience": 1}},
    {"network.hidden": [1], "network.normalization": "batch"},
    {"network.hidden": [2], "network.normalization": "layer"},
]


@pytest.mark.parametrize(("path", "value", "context"), INERT)
def test_a_field_without_effect_is_refused_or_warned_of(path: str, value: Any, context: Changes) -> None:
    table = table_dataset(columns(0))

    def said(changes: Changes) -> set[str]:
        """The warnings, or the pointers of a refusal as paths."""
        try:
            return set(resolve(JobSpec.model_validate(nested({**BASE, **changes})), table).warnings)
        except InvalidSpec as refused:
            return {error.pointer[1:].replace("/", ".") for error in refused.errors}

    assert any(path in words for words in said({**context, path: value}) - said(context))


@pytest.mark.parametrize("changes", ACTIVE)
def test_what_may_act_is_not_warned_of(changes: Changes) -> None:
    said = resolve(JobSpec.model_validate(nested({**BASE, **changes})), table_dataset(columns(0))).warnings
    plain = resolve(JobSpec.model_validate(nested(BASE)), table_dataset(columns(0))).warnings
    assert [words for words in said if words not in plain and "'zeros'" not in words] == []
