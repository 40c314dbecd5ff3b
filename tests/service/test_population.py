"""Trainings that go on together: each has the bits that it has alone, whoever joins, leaves, ends or diverges."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from service.artifacts import Artifacts
from service.checkpoints import Snapshot, read_checkpoint
from service.errors import Diverged
from service.fusing import MOST_MEMBERS
from service.jobs import Lease
from service.population import Member, Population
from tests.service.population_room import PopulationRoom, Stopped, Watching, left_by, of_member
from workers.mlp.optimizers import OPTIMIZERS

LEASE = Lease("job-" + "a" * 20, "1-aa")
SMALL: dict[str, Any] = {"network": {"hidden": [7, 6], "activation": "tanh"}, "batch_size": 45, "epochs": 3}
SGD: dict[str, Any] = {"name": "sgd", "momentum": 0.9}
SHARES = {"beta1": (0.9, 0.8, 0.37), "beta2": (0.999, 0.99, 0.77), "epsilon": (1e-8, 1e-3, 0.01)}
DECAYS = {"weight_decay": (0.01, 0.2, 0.003)}
OWN: dict[str, dict[str, tuple[Any, ...]]] = {  # of each optimizer's fields, those of three networks
    "sgd": {"momentum": (0.9, 0.3, 0.6), "nesterov": (True,) * 3, **DECAYS},
    "adagrad": {"rate_decay": (0.1, 0.07, 0.02), "epsilon": (1e-8, 1e-3, 0.01), **DECAYS},
    "rmsprop": {"alpha": (0.99, 0.9, 0.6), "centered": (True,) * 3, "momentum": (0.9, 0.3, 0.6), **DECAYS},
    "adam": {**SHARES, "amsgrad": (True,) * 3, **DECAYS},
    "adamw": {**SHARES, **DECAYS},
    "nadam": {**SHARES, "momentum_decay": (4e-3, 0.01, 0.02), **DECAYS},
    "adadelta": {"rho": (0.9, 0.5, 0.73), **DECAYS},
    "lion": {"beta1": (0.9, 0.8, 0.37), "beta2": (0.999, 0.99, 0.77), **DECAYS},
    "rprop": {"eta_minus": (0.5, 0.4, 0.7), "eta_plus": (1.2, 1.3, 1.1), "step_most": (50.0, 0.15, 0.6)},
}
RATES = (0.1, 0.03, 0.01)
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


def with_optimizer(number: int, name: str = "sgd", **fields: tuple[Any, ...]) -> dict[str, Any]:
    """The optimizer of the network with that number, from 0."""
    return {"name": name, "learning_rate": RATES[number % 3], **{key: each[number % 3] for key, each in fields.items()}}


def three(base: Mapping[str, Any], name: str = "sgd", /, **fields: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Specs of three networks, which differ in seed, rate and these fields of the optimizer."""
    return [{**base, "seed": number // 2, "optimizer": with_optimizer(number, name, **fields)} for number in range(3)]


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


@pytest.mark.parametrize("rate", [30.0, 1e3])
def test_one_that_diverges_leaves_as_it_would_alone_and_no_other_is_touched(room: PopulationRoom, rate: float) -> None:
    base = {**SMALL, "data": {"target": "value"}, "network": {"hidden": [7], "normalization": "none"}}
    specs = three(base, momentum=(0.9, 0.3, 0.6))
    specs[1]["optimizer"]["learning_rate"] = rate
    members = room.together(specs)
    assert isinstance(members[1].error, Diverged)
    assert [member.error for member in members[::2]] == [None, None]
    for spec, member in zip(specs, members, strict=True):
        assert of_member(member) == room.alone(spec)


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_one_that_leaves_goes_on_alone_to_the_same_bits(room: PopulationRoom, steps: int, tmp_path: Path) -> None:
    specs = three({**SMALL, "early_stopping": {"patience": 100}}, "adam", **OWN["adam"])
    members = [Member(room.begin(spec), Watching(steps if number == 1 else None)) for number, spec in enumerate(specs)]
    first, *rest = Population(members).run()
    assert first is members[1]
    assert isinstance(first.error, Stopped)
    assert [of_member(member) for member in rest] == [room.alone(specs[0]), room.alone(specs[2])]

    artifacts, seen = Artifacts((tmp_path / "artifacts").as_uri()), first.observer
    reference = Snapshot().take(first.training).write(LEASE, artifacts, {})
    assert reference.step == steps
    restored, alone = room.begin(specs[1]), room.alone(specs[1])
    read_checkpoint(reference, artifacts).put_back(restored)
    assert isinstance(seen, Watching)
    again = Watching(rows=list(seen.rows))
    for training, watching in ((first.training, seen), (restored, again)):
        training.run(watching)
        assert left_by(training, watching, None) == alone


def test_those_at_other_places_join_when_the_others_get_there(room: PopulationRoom) -> None:
    specs = three({**SMALL, "epochs": 4}, "nadam", **OWN["nadam"])
    members = []
    for spec, steps in zip(specs, (5, 8, 9), strict=True):  # three steps make an epoch
        training, seen = room.begin(spec), Watching(steps)
        with pytest.raises(Stopped):
            training.run(seen)
        members.append(Member(training, Watching(rows=seen.rows)))
    gone = list(Population(members).run())
    assert gone == [members[1], members[2], members[0]]
    for spec, member in zip(specs, members, strict=True):
        assert of_member(member) == room.alone(spec)


def test_another_joins_while_the_others_train(room: PopulationRoom) -> None:
    specs = three(SMALL, **OWN["sgd"])
    late = Member(room.begin(specs[2]), Watching())
    members = [Member(room.begin(spec), Watching()) for spec in specs[:2]]
    population = Population(members)

    def join(what: str) -> None:
        if what == "reports" and late not in population.members:
            population.join(late)

    members[0].observer = Watching(on_epoch=join)
    assert list(population.run()) == [*members, late]
    for spec, member in zip(specs, [*members, late], strict=True):
        assert of_member(member) == room.alone(spec)


def test_a_member_that_is_at_its_end_leaves_at_once(room: PopulationRoom) -> None:
    specs = three(SMALL)
    over = room.begin(specs[0])
    over.run(Watching())
    members = [Member(over, Watching()), *(Member(room.begin(spec), Watching()) for spec in specs[1:])]
    left = Population(members).run()
    assert next(left) is members[0]
    assert members[1].training.steps_done == 0
    assert list(left) == members[1:]


def test_all_report_an_epoch_before_one_is_told_to_leave(room: PopulationRoom) -> None:
    said: list[str] = []
    specs = three(SMALL)
    members = [
        Member(room.begin(spec), Watching(epochs=1 if number == 0 else None, on_epoch=said.append))
        for number, spec in enumerate(specs)
    ]
    first, *_ = Population(members).run()
    assert said[:6] == ["row"] * 3 + ["reports"] * 3
    assert first is members[0]
    assert isinstance(first.error, Stopped)
    assert (first.training.state.epoch, first.training.state.step) == (1, 0)
    first.training.run(first.observer)
    assert of_member(Member(first.training, first.observer)) == room.alone(specs[0])


def test_a_snapshot_of_a_member_is_that_of_a_training_alone(room: PopulationRoom, tmp_path: Path) -> None:
    artifacts = Artifacts((tmp_path / "artifacts").as_uri())
    specs = three({**SMALL, "early_stopping": {"patience": 100}}, "rmsprop", **OWN["rmsprop"])
    members = [Member(room.begin(spec), Watching()) for spec in specs]
    saved = []

    class Saving(Watching):
        def after_step(self) -> None:
            training = members[1].training
            if training.steps_done == 4:
                saved.append(Snapshot().take(training).write(LEASE, artifacts, {}))

    members[0].observer = Saving()
    list(Population(members).run())
    alone, seen = room.begin(specs[1]), Watching(4)
    with pytest.raises(Stopped):
        alone.run(seen)
    of_one = Snapshot().take(alone).write(LEASE, artifacts, {})
    found, expected = (read_checkpoint(reference, artifacts) for reference in (saved[0], of_one))
    assert found.version == expected.version
    assert {name: array.tobytes() for name, array in found.arrays.items()} == {
        name: array.tobytes() for name, array in expected.arrays.items()
    }
    assert set(found.arrays) == {"parameters", "optimizer.0", "optimizer.1", "optimizer.2", "best"}
    found.state.seconds = expected.state.seconds = 0.0
    for row in (found.state.last_row, found.state.best_row, expected.state.last_row, expected.state.best_row):
        assert row is not None
        row.pop("samples_per_s")
    assert found.state == expected.state


def test_progress_is_each_ones_own(room: PopulationRoom) -> None:
    specs = three(SMALL)
    specs[0]["epochs"] = 7
    members = [Member(room.begin(spec), Watching(steps=4)) for spec in specs]
    list(Population(members).run())
    found = [member.training.progress() for member in members]
    assert [each["epochs"] for each in found] == [7, 3, 3]
    assert [each["step"] for each in found] == [4, 4, 4]


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
