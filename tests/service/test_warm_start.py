"""A job that goes on from a model: what it takes from it, what it may not change, and that it learns from there."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv
from safetensors.numpy import load

from service.errors import InvalidSpec
from service.features import OneHot
from service.jobs import Job, JobStatus
from service.resolution import resolve
from service.resolution.warm_start import Start
from service.spec import JobSpec
from service.store import Store
from service.transform import Target, TargetColumn, Transform
from tests.service.attempt_room import AttemptRoom
from tests.service.data_room import DataRoom, table_dataset


@pytest.fixture
def attempt_room(store: Store, tmp_path: Path) -> AttemptRoom:
    return AttemptRoom(store, tmp_path)


@pytest.fixture
def first(attempt_room: AttemptRoom) -> Job:
    attempt_room.submit(network={"hidden": [5], "activation": "tanh"}, early_stopping=None)
    return attempt_room.run()


def from_model(job: Job, **fields: Any) -> dict[str, Any]:
    assert job.result is not None
    network: dict[str, Any] = {}
    return {"network": network, "early_stopping": None, "warm_start": {"model": job.result["model_id"]}, **fields}


def test_nothing_learned_gives_the_models_own_bits(attempt_room: AttemptRoom, first: Job) -> None:
    attempt_room.submit(**from_model(first, epochs=1, optimizer={"learning_rate": 0.0}))
    again = attempt_room.run()
    assert again.status is JobStatus.SUCCEEDED
    assert again.result is not None
    assert first.result is not None
    assert again.result["weights_sha256"] == first.result["weights_sha256"]
    assert again.spec.network == first.spec.network
    assert (again.spec.loss, again.spec.data.features) == (first.spec.loss, first.spec.data.features)


def test_it_begins_where_the_model_ended(attempt_room: AttemptRoom, first: Job) -> None:
    attempt_room.submit(**from_model(first, epochs=2))
    again = attempt_room.run()
    assert again.metrics is not None
    rows = attempt_room.rooms.jobs.metrics("ada", again.id).items
    before = attempt_room.rooms.jobs.metrics("ada", first.id).items
    assert rows[0]["train_loss"] < before[0]["train_loss"] / 2
    assert rows[0]["train_loss"] == pytest.approx(before[-1]["train_loss"], rel=0.3)


def test_first_weights_are_the_models_whatever_initializer_is_asked_for(attempt_room: AttemptRoom, first: Job) -> None:
    for initializer, warned in (("zeros", True), ("glorot_uniform", False)):
        asked = from_model(first, epochs=1, optimizer={"learning_rate": 0.0})
        attempt_room.submit(**{**asked, "network": {"initializer": initializer}})
        again = attempt_room.run()
        assert again.result is not None
        assert first.result is not None
        assert again.result["weights_sha256"] == first.result["weights_sha256"]
        assert any("network.initializer has no effect" in warning for warning in again.warnings) == warned


def test_it_resolves_to_itself_and_keeps_the_bits_through_a_stop(attempt_room: AttemptRoom, first: Job) -> None:
    attempt_room.submit(**from_model(first, epochs=3))
    whole = attempt_room.run()
    attempt_room.submit(**whole.spec.model_dump(mode="json"))
    attempt_room.run({6: lambda attempt: attempt.requests.drain("drained")})
    again = attempt_room.run()
    assert again.spec == whole.spec
    assert again.result is not None
    assert whole.result is not None
    assert again.result["weights_sha256"] == whole.result["weights_sha256"]


@pytest.mark.parametrize("optimizer", [{"momentum": 0.9}, {"name": "adam", "amsgrad": True}, {"name": "lion"}])
def test_with_the_optimizers_state_two_jobs_are_one(attempt_room: AttemptRoom, optimizer: dict[str, Any]) -> None:
    """Rows in their own order, so that the second job's first epoch is what the whole one's third is."""
    common = {"early_stopping": None, "shuffle": False}
    attempt_room.submit(**common, epochs=4, optimizer=optimizer)
    whole = attempt_room.run()
    attempt_room.submit(**common, epochs=2, optimizer=optimizer)
    first = attempt_room.run()
    start = {"model": (first.result or {})["model_id"], "optimizer": True}
    attempt_room.submit(**common, epochs=2, network={}, optimizer={}, warm_start=start)
    attempt_room.run({3: lambda attempt: attempt.requests.drain("drained")})
    second = attempt_room.run()
    assert second.spec.optimizer == whole.spec.optimizer
    assert (second.result or {})["weights_sha256"] == (whole.result or {})["weights_sha256"]
    assert (first.result or {})["weights_sha256"] != (whole.result or {})["weights_sha256"]


def test_downloads_leave_the_optimizers_state_out(attempt_room: AttemptRoom, first: Job) -> None:
    model_id = (first.result or {})["model_id"]
    stored, models = attempt_room.models.optimizer_state("ada", model_id), attempt_room.models
    assert stored is not None
    assert (stored.steps, len(stored.arrays)) == ((first.result or {})["steps"], 1)
    with np.load(io.BytesIO(models.download("ada", model_id, "npz"))) as npz:
        arrays = load(models.download("ada", model_id, "safetensors"))
        assert sorted(npz.files) == sorted(arrays) == ["W1", "W2", "b1", "b2"]
        assert all((npz[name] == array).all() for name, array in arrays.items())


def test_an_optimizer_of_another_state_is_refused(attempt_room: AttemptRoom, first: Job) -> None:
    start = {"model": (first.result or {})["model_id"], "optimizer": True}
    for optimizer, pointer in (({"name": "adam"}, "/optimizer/name"), ({"momentum": 0.0}, "/optimizer/momentum")):
        with pytest.raises(InvalidSpec) as refused:
            attempt_room.submit(**from_model(first, warm_start=start, optimizer=optimizer))
        assert [error.pointer for error in refused.value.errors] == [pointer]
    attempt_room.submit(network={"hidden": [5]}, optimizer={"momentum": 0.0})
    plain = attempt_room.run()
    start = {"model": (plain.result or {})["model_id"], "optimizer": True}
    with pytest.raises(InvalidSpec) as refused:
        attempt_room.submit(**from_model(plain, warm_start=start, optimizer={}))
    assert [error.pointer for error in refused.value.errors] == ["/warm_start/optimizer"]


def test_a_dataset_of_fewer_classes_keeps_the_models_order(
    attempt_room: AttemptRoom, data_room: DataRoom, first: Job
) -> None:
    """And its scales: the new rows have others."""
    rooms, model = attempt_room, attempt_room.models.load("ada", (first.result or {})["model_id"])
    names = [feature.name for feature in model.transform.features]
    rows = [[5.0 + number / 10, 3.5, 6.0, 2.5 + number / 10] for number in range(30)]
    table = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    label = model.document["spec"]["data"]["target"]
    classes = [model.transform.classes[2 - number % 2] for number in range(30)]
    body = io.BytesIO()
    csv.write_csv(pa.table({**table, label: classes}), body)
    data_room.add(body.getvalue(), "new", target=label)
    rooms.submit(**from_model(first, dataset="new", epochs=1, optimizer={"learning_rate": 0.0}))
    again = rooms.run()
    assert again.status is JobStatus.SUCCEEDED, again.error
    continued = rooms.models.load("ada", (again.result or {})["model_id"])
    assert continued.transform.classes == model.transform.classes
    assert np.array_equal(continued.transform.apply(rows), model.transform.apply(rows))
    assert continued.predict(rows) == model.predict(rows)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"network": {"hidden": [6]}}, "/warm_start/model"),
        ({"network": {"normalization": "layer"}}, "/warm_start/model"),
        ({"network": {"bias": False}}, "/warm_start/model"),
        ({"data": {"scale": "minmax"}}, "/data/scale"),
        ({"data": {"folds": 3}}, "/data/folds"),
        ({"dataset": "wine"}, "/dataset"),
        ({"warm_start": {"model": "model-" + "a" * 20}}, "/warm_start/model"),
    ],
)
def test_what_does_not_belong_to_the_model_is_refused(
    attempt_room: AttemptRoom, first: Job, fields: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(InvalidSpec) as refused:
        attempt_room.submit(**from_model(first, **fields))
    assert [error.pointer for error in refused.value.errors] == [pointer]


def test_a_loss_of_another_family_brings_its_own_output(attempt_room: AttemptRoom, first: Job) -> None:
    assert first.spec.network.output_activation == "softmax"
    attempt_room.submit(**from_model(first, loss="hinge", epochs=1))
    again = attempt_room.run()
    assert (again.status, again.spec.network.output_activation) == (JobStatus.SUCCEEDED, "identity")
    attempt_room.submit(**from_model(first, loss="squared_error", epochs=1))
    assert attempt_room.run().spec.network.output_activation == "softmax"


def test_a_loss_that_the_models_scale_does_not_suit_is_refused_by_its_own_field(attempt_room: AttemptRoom) -> None:
    attempt_room.submit(dataset="diabetes", epochs=1, early_stopping=None)
    values = from_model(attempt_room.run())
    with pytest.raises(InvalidSpec) as refused:
        attempt_room.submit(**{**values, "dataset": "diabetes", "loss": "poisson"})
    (error,) = refused.value.errors
    assert (error.pointer, error.value) == ("/loss", "poisson")
    assert "has data.scale_target 'standard'" in error.detail
    assert "huber" in error.allowed
    assert "poisson" not in error.allowed


def test_levels_that_the_model_does_not_know_are_told() -> None:
    before = table_dataset({"kind": ["p", "q"], "y": ["no", "yes"]})
    found = resolve(JobSpec.model_validate({"dataset": "given"}), before)
    target = Target("binary", 1, (TargetColumn("y", "text", ("no", "yes")),))
    transform = Transform((OneHot("kind", "text", ("p", "q")),), target, "float32")
    start = Start("model-1", found.spec, transform, found.architecture, keeps_optimizer=False)
    later = table_dataset({"kind": ["q", "z"], "y": ["no", "yes"]})
    for dataset, told in (
        (later, ["dataset: column 'kind' has 1 level(s) that training does not know: 'z'"]),
        (before, []),
    ):
        assert resolve(JobSpec.model_validate({"dataset": "given"}), dataset, None, start).warnings == told


def test_a_model_that_is_gone_fails_the_job_and_says_so(attempt_room: AttemptRoom, first: Job) -> None:
    attempt_room.submit(**from_model(first))
    attempt_room.models.delete("ada", (first.result or {})["model_id"])
    again = attempt_room.run()
    assert again.status is JobStatus.FAILED
    assert again.error is not None
    assert "is gone" in again.error["detail"]
