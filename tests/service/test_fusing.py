"""Which jobs may train as one population: what each may have of its own changes no key, all else does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from service.fusing import MOST_MEMBERS, fusion_key, members_that_pay
from service.resolution import resolve
from service.spec import JobSpec
from tests.service.data_room import builtin_dataset
from tests.workers.mlp.making import architecture

BASE: dict[str, Any] = {
    "network": {"hidden": [9, {"units": 8, "dropout": 0.3}], "dropout": 0.2, "input_dropout": 0.1},
    "optimizer": {"momentum": 0.9, "weight_decay": 0.01, "l2": 0.1, "clip_norm": 1.0, "learning_rate": 0.1},
}
OWN: list[dict[str, Any]] = [
    {"name": "another", "tags": {"a": "b"}, "priority": 4, "retries": 0, "reuse": True},
    {"not_before": "2030-01-01T00:00:00Z", "after": ["job-" + "a" * 20]},
    {"seed": 3, "epochs": 7},
    {"early_stopping": {"metric": "validation_auc", "patience": 3}},
    {"rules": [{"metric": "train_loss", "above": 5.0, "action": "stop"}]},
    {"network": {"initializer": "he_normal"}},
    {"network": {"dropout": 0.7, "input_dropout": 0.2, "hidden": [9, {"units": 8, "dropout": 0.1}]}},
    {"network": {"hidden": [{"units": 9, "dropout": 0.6}, {"units": 8, "dropout": 0.1}]}},
    {"optimizer": {"learning_rate": 0.7, "schedule": {"name": "cosine", "warmup": 3}}},
    {"optimizer": {"schedule": "reduce_on_plateau"}},
    {"optimizer": {"momentum": 0.4, "weight_decay": 0.3, "l2": 0.4, "clip_norm": 7.0}},
    {"workers": {"max": 1}},
]
SHARED: list[dict[str, Any]] = [
    {"data": {"split_seed": 1}},
    {"data": {"scale": "minmax"}},
    {"data": {"class_weight": "balanced"}},
    {"network": {"hidden": [9]}},
    {"network": {"hidden": [{"units": 9, "activation": "tanh"}, {"units": 8, "dropout": 0.3}]}},
    {"network": {"dropout": 0.0}},
    {"network": {"input_dropout": 0.0}},
    {"network": {"hidden": [9, {"units": 8, "dropout": 0.0}]}},
    {"network": {"normalization": "layer"}},
    {"network": {"activation": "tanh"}},
    {"network": {"bias": False}},
    {"network": {"precision": "float64"}},
    {"loss": {"name": "cross_entropy", "label_smoothing": 0.1}},
    {"optimizer": {"name": "rmsprop"}},
    {"optimizer": {"nesterov": True}},
    *({"optimizer": {name: 0.0}} for name in ("momentum", "weight_decay", "l2")),
    {"optimizer": {"clip_norm": None}},
    *({"optimizer": {name: 0.1}} for name in ("l1", "clip_value", "max_norm")),
    {"batch_size": 33},
    {"batch_size": "full"},
    {"shuffle": False},
    {"shards": 2},
]
ALONE: list[dict[str, Any]] = [
    {"mode": "async"},
    {"mode": "bounded_staleness"},
    {"data": {"folds": 3}},
    {"time_limit_s": 5.0},
    {"gradient_check": True},
    {"shards": 4, "workers": {"min": 2}},
]


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(base)
    for name, value in changes.items():
        inner = name in ("network", "optimizer", "data")
        found[name] = {**found.get(name, {}), **value} if inner else value
    return found


def key(changes: Mapping[str, Any], dataset: str = "iris", **data: Any) -> str | None:
    found = builtin_dataset(dataset)
    spec = JobSpec.model_validate({"dataset": dataset, **merged(BASE, changes)})
    return fusion_key(resolve(spec, found).spec, found.sha256, **data)


@pytest.mark.parametrize("changes", OWN, ids=str)
def test_what_each_may_have_of_its_own(changes: dict[str, Any]) -> None:
    assert key(changes) == key({})


@pytest.mark.parametrize("changes", SHARED, ids=str)
def test_what_all_must_share(changes: dict[str, Any]) -> None:
    assert key(changes) is not None
    assert key(changes) != key({})


@pytest.mark.parametrize("changes", ALONE, ids=str)
def test_what_is_always_trained_alone(changes: dict[str, Any]) -> None:
    assert key(changes) is None


def test_lbfgs_is_always_trained_alone() -> None:
    found = builtin_dataset("iris")
    spec = JobSpec.model_validate({"dataset": "iris", "optimizer": {"name": "lbfgs"}, "batch_size": "full"})
    assert fusion_key(resolve(spec, found).spec, found.sha256) is None


def test_the_data_count_by_themselves() -> None:
    assert len({key({}), key({}, "wine"), key({}, validation="a"), key({}, validation="b")}) == 4


@pytest.mark.parametrize(
    ("sizes", "rows", "members"),
    [((64, 64, 10), 32, MOST_MEMBERS), ((64, 64, 10), 256, 19), ((64, 256, 10), 256, 6), ((64, 512, 512, 10), 32, 2)],
)
def test_large_networks_are_computed_together_in_small_numbers(sizes: tuple[int, ...], rows: int, members: int) -> None:
    assert members_that_pay(architecture(("cross_entropy", "softmax"), sizes, precision="float32"), rows) == members


def test_a_network_that_fills_the_cache_is_computed_alone() -> None:
    assert members_that_pay(architecture(("cross_entropy", "softmax"), (784, 2048, 10)), 256) == 1


def test_every_field_is_tried() -> None:
    """A field that is new must be one of these: by itself it is one that all must share."""
    tried = {name for changes in (*OWN, *SHARED, *ALONE) for name in changes}
    assert set(JobSpec.model_fields) - tried == {"dataset", "max_staleness", "warm_start"}
