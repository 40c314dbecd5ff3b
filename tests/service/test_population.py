"""Trainings that go on together: each has the bits that it has alone, in all that they may have of their own."""

from __future__ import annotations

from typing import Any

import pytest

from service.fusing import MOST_MEMBERS
from service.population import Member, Population
from tests.service.population_room import OWN, SMALL, PopulationRoom, Watching, three, with_optimizer
from workers.mlp.optimizers import OPTIMIZERS

SGD: dict[str, Any] = {"name": "sgd", "momentum": 0.9}
SCHEDULES: list[Any] = [
    "constant",
    {"name": "step", "every": 1, "factor": 0.5},
    {"name": "exponential", "factor": 0.9, "unit": "step"},
    {"name": "inverse_scaling", "unit": "step"},
    {"name": "cosine", "warmup": 2},
    "one_cycle",
    {"name": "reduce_on_plateau", "patience": 0, "threshold": 0.5},
]
PATIENT = {"metric": "validation_loss", "patience": 2, "min_delta": 0.02}
LIMITS: dict[str, tuple[float, ...]] = {
    "l1": (0.003, 0.01, 0.02),
    "l2": (0.01, 0.1, 0.003),
    "clip_value": (0.4, 0.2, 0.3),
    "clip_norm": (0.2, 0.1, 0.3),
    "max_norm": (0.5, 0.8, 1.0),
}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> PopulationRoom:
    return PopulationRoom(tmp_path_factory.mktemp("room"))


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_with_fields_of_its_own_for_each_network(
    room: PopulationRoom, name: str, precision: str
) -> None:
    network = {**SMALL["network"], "precision": precision}
    full = {"batch_size": "full", "epochs": 6} if OPTIMIZERS[name].full_batch else {}
    found = room.assert_same(three({**SMALL, "network": network, **full}, name, **OWN[name]))
    assert len({of_one[0] for of_one in found}) == 3


@pytest.mark.parametrize("shards", [1, 2, 3])
@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_dropout_at_different_rates_with_normalization_and_shards(
    room: PopulationRoom, precision: str, normalization: str, shards: int
) -> None:
    def network(number: int) -> dict[str, Any]:
        rates = {"dropout": 0.1 + 0.2 * number, "input_dropout": 0.05 * (number + 1)}
        return {**SMALL["network"], "precision": precision, "normalization": normalization, **rates}

    specs = three({**SMALL, "shards": shards}, **OWN["sgd"])
    room.assert_same([{**spec, "network": network(number)} for number, spec in enumerate(specs)])


@pytest.mark.parametrize(
    "base",
    [
        {"data": {"sample_weight": "w"}},
        {"data": {"sample_weight": "w", "class_weight": "balanced", "split_seed": 4}},
        {"data": {"target": "value", "features": ["x0", "x1", "x2"]}},
        {"data": {"target": "value"}, "loss": "huber"},
        {"data": {"validation_fraction": 0.0}},
        {
            "data": {"features": ["x0", "x1"], "class_weight": {"a": 0.0, "b": 1.0, "c": 2.0}},
            "batch_size": 2,
            "network": {"hidden": [5], "normalization": "batch"},
        },
        {"shuffle": False},
        {"batch_size": 1, "epochs": 1},
        {"batch_size": 1000},
        {"network": {"hidden": []}},
        {"network": {"hidden": [9], "activation": "prelu", "bias": False}},
    ],
    ids=str,
)
def test_data_and_networks_of_all_kinds(room: PopulationRoom, base: dict[str, Any]) -> None:
    room.assert_same(three({**SMALL, **base}, **OWN["sgd"]))


@pytest.mark.parametrize("only", [{}, {"shards": 2}], ids=str)
def test_penalties_and_limits_of_each(room: PopulationRoom, only: dict[str, Any]) -> None:
    room.assert_same(three({**SMALL, **only}, **LIMITS))


def test_schedules_epochs_early_stopping_rules_and_first_weights_of_each(room: PopulationRoom) -> None:
    specs = []
    for number, schedule in enumerate(SCHEDULES * 2):
        stopping = {} if number < 7 else {"early_stopping": PATIENT}
        network = {**SMALL["network"], "initializer": "he_normal" if number % 3 else "auto"}
        rules = [{"metric": "train_loss", "below": 0.9, "action": ("warn", "stop", "pause")[number % 3]}]
        optimizer = {**SGD, "learning_rate": 0.05 + 0.01 * number, "schedule": schedule}
        given = {"epochs": 2 + 5 * number % 9, "seed": number, "rules": rules if number in (1, 2, 12) else []}
        specs.append({**SMALL, **stopping, **given, "network": network, "optimizer": optimizer})
    found = room.assert_same(specs)
    assert {"early_stopping", "rule", None} == {of_one[2]["stopped_by"] for of_one in found}
    assert any(of_one[3][1:] for of_one in found)  # there are best weights that are not the last ones
    assert any(of_one[2]["best_epoch"] not in (0, of_one[2]["epoch"]) for of_one in found)
    assert any(of_one[4] for of_one in found)  # one was paused
    assert len({of_one[2]["epoch"] for of_one in found}) > 4


@pytest.mark.parametrize("size", [1, 2, 5, MOST_MEMBERS])
def test_populations_of_any_size(room: PopulationRoom, size: int) -> None:
    specs = [{**SMALL, "seed": number % 7, "optimizer": with_optimizer(number)} for number in range(size)]
    specs = [{**spec, "epochs": 1 + number % 3} for number, spec in enumerate(specs)]
    room.assert_same(specs)


def test_more_than_the_limit_are_refused(room: PopulationRoom) -> None:
    training = room.begin(SMALL)
    with pytest.raises(ValueError, match="members: 33"):
        Population([Member(training, Watching()) for _ in range(MOST_MEMBERS + 1)])


@pytest.mark.parametrize(
    "other",
    [
        {"batch_size": 44},
        {"shards": 2},
        {"network": {"hidden": [7, 6], "activation": "tanh", "dropout": 0.1}},
        {"network": {"hidden": [7, 5], "activation": "tanh"}},
        {"optimizer": {"name": "sgd", "momentum": 0.0}},
        {"optimizer": {"name": "adam"}},
        {"optimizer": {"name": "sgd", "momentum": 0.9, "clip_norm": 1.0}},
        {"optimizer": {"name": "sgd", "momentum": 0.9, "nesterov": True}},
    ],
    ids=str,
)
def test_what_cannot_be_computed_together_is_refused(room: PopulationRoom, other: dict[str, Any]) -> None:
    specs = [{**SMALL, "optimizer": SGD}, {**SMALL, "optimizer": SGD, **other}]
    members = [Member(room.begin(spec), Watching()) for spec in specs]
    with pytest.raises(ValueError, match="allowed"):
        list(Population(members).run())
    assert room.key(specs[0]) != room.key(specs[1])
