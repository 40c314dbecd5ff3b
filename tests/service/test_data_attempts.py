"""Whole jobs, from what was submitted to a model that predicts, over what a job's data may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.datasets import Dataset
from service.errors import InUse
from service.history import History
from service.jobs import JobStatus
from service.models import Model
from service.spec import JobSpec
from service.store import Store
from service.submission import Submission
from tests.service.attempt_room import AttemptRoom
from tests.service.data_room import DataRoom


class Service:
    """Uploads, submits and runs jobs of one tenant."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.data, self.room = DataRoom(store, folder), AttemptRoom(store, folder)
        rooms = self.room.rooms
        history = History(store, rooms.jobs, self.room.artifacts)
        self.submission = Submission(rooms.jobs, history, self.data.records, self.room.models, rooms.queue, 1 << 30)

    def submit(self, dataset: Dataset | str, **spec: Any) -> str:
        name = dataset if isinstance(dataset, str) else dataset.id
        plain = {"dataset": name, "network": {"hidden": [6], "activation": "tanh"}, "epochs": 30, "batch_size": 16}
        return self.submission.submit(self.data.tenant, JobSpec.model_validate({**plain, **spec})).id

    def run(self, dataset: Dataset | str, **spec: Any) -> tuple[Model, dict[str, Any]]:
        self.submit(dataset, **spec)
        job = self.room.run()
        assert job.status is JobStatus.SUCCEEDED, job.error
        assert job.result is not None
        return self.room.models.load(self.data.tenant, job.result["model_id"]), job.result


@pytest.fixture
def service(store: Store, tmp_path: Path) -> Service:
    return Service(store, tmp_path)


LABELS: list[tuple[list[Any], type]] = [
    (["no", "yes"], str),
    (["one", "two", "three"], str),
    ([1.0, 2.0], float),
    ([True, False], bool),
    ([-1, 1], int),
]


@pytest.mark.parametrize("metric", ["validation_accuracy", "validation_f1"])
@pytest.mark.parametrize(("labels", "kind"), LABELS)
def test_early_stopping_takes_labels_of_every_kind(
    service: Service, labels: list[Any], kind: type, metric: str
) -> None:
    numbers = np.arange(60) % len(labels)
    columns = {"x": numbers * 3.0 + np.sin(np.arange(60)), "y": [labels[number] for number in numbers]}
    stopping, momentum = {"metric": metric, "patience": 30}, {"momentum": 0.9}
    dataset = service.data.add_table(columns)
    model, result = service.run(dataset, early_stopping=stopping, epochs=100, optimizer=momentum)
    assert (result["validation_accuracy"], result["stopped_by"]) == (1.0, "early_stopping")
    answers = [prediction["class"] for prediction in model.predict([[3.0 * number] for number in range(len(labels))])]
    assert answers == labels
    assert {type(answer) for answer in answers} == {kind}


def test_missing_values_in_training_and_prediction(service: Service) -> None:
    generator = np.random.default_rng(4)
    truth = generator.integers(0, 2, 80)
    x = [None if row % 4 == 0 else float(truth[row] * 4 + generator.normal()) for row in range(80)]
    kind = [None if row % 5 == 0 else "pq"[truth[row]] for row in range(80)]
    dataset = service.data.add_table({"x": x, "kind": kind, "y": truth})
    for missing in ("mean", "median", "indicator"):
        model, result = service.run(dataset, data={"missing": missing})
        assert result["validation_accuracy"] > 0.8
        warnings: list[str] = []
        found = model.predict([[None, "p"], [float("nan"), "q"], [4, None], [4, "new"]], warnings)
        assert [each["class"] for each in found[:3]] == [0, 1, 1]
        assert len(warnings) == 1


def test_another_data_set_validates_and_is_used_meanwhile(service: Service) -> None:
    other = service.data.add_table({"x": [0.0, 10.0], "y": ["low", "high"]}, "check")
    train = service.data.add_table({"x": range(10), "y": ["high" if row > 4 else "low" for row in range(10)]}, "train")
    service.submit(train, data={"validation_dataset": "check"})
    with pytest.raises(InUse):
        service.data.records.delete(service.data.tenant, other.id)
    job = service.room.run()
    assert job.result is not None
    assert job.result["validation_accuracy"] == 1.0
    service.data.records.delete(service.data.tenant, other.id)


def test_several_values(service: Service) -> None:
    x = np.linspace(-1, 1, 80)
    dataset = service.data.add_table({"x": x, "up": 1000 * x, "down": 5 - x, "y": range(80)})
    model, result = service.run(dataset, data={"target": ["down", "up"], "features": ["x"]}, epochs=60)
    assert result["validation_loss"] < 0.02
    assert model.predict([[0.5]]) == [
        {"values": {"down": pytest.approx(4.5, abs=0.2), "up": pytest.approx(500, abs=200)}}
    ]


def test_several_labels(service: Service) -> None:
    x = np.linspace(-1, 1, 120)
    dataset = service.data.add_table(
        {"x": x, "wet": np.where(x > 0, "yes", "no"), "hot": np.abs(x) < 0.5, "y": range(120)}
    )
    spec = {"data": {"target": ["wet", "hot"], "features": ["x"]}, "epochs": 200, "optimizer": {"learning_rate": 0.5}}
    model, result = service.run(dataset, **spec)
    assert result["validation_accuracy"] > 0.8
    labels = [answer["labels"] for answer in model.predict([[0.25], [-0.9]])]
    assert [(each["wet"]["value"], each["hot"]["value"]) for each in labels] == [("yes", True), ("no", False)]


def test_weights_pull(service: Service) -> None:
    """Two rows that contradict each other: the heavier one is believed."""
    columns: dict[str, list[Any]] = {"x": [1.0, 1.0] * 20, "y": ["no", "yes"] * 20}
    for heavy in ("no", "yes"):
        weights = [9.0 if label == heavy else 1.0 for label in columns["y"]]
        dataset = service.data.add_table({**columns, "w": weights}, f"for {heavy}")
        by_row = service.run(dataset, data={"sample_weight": "w"}, epochs=60)[0].predict([[1.0]])[0]
        by_class = service.run(dataset, data={"class_weight": {heavy: 9.0}, "features": ["x"]}, epochs=60)[0]
        assert by_row["probabilities"][heavy] == pytest.approx(0.9, abs=0.05)
        assert by_class.predict([[1.0]])[0]["probabilities"][heavy] == pytest.approx(0.9, abs=0.05)


def test_a_part_that_weighs_nothing_fails_the_job_and_says_why(service: Service) -> None:
    dataset = service.data.add_table({"t": range(10), "w": [1.0] * 5 + [0.0] * 5, "y": [0, 1] * 5})
    service.submit(dataset, data={"sample_weight": "w", "order_by": "t", "validation_fraction": 0.5})
    job = service.room.run()
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert (job.error["title"], "validation part weighs 0" in job.error["detail"]) == ("Data unusable", True)
    assert "split_seed" in job.error["hint"]
