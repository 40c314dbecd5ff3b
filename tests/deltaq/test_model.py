"""Predictions and downloads of a model, against a server that answers what a model would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deltaq.client import Client
from deltaq.errors import DataWarning, InvalidInput
from deltaq.model import Model
from deltaq.records import Dataset
from tests.deltaq.scripted import Scripted, says

MODEL: dict[str, Any] = {"id": "model-1", "classes": [0, 1]}


@pytest.mark.parametrize(
    ("classes", "texts"),
    [
        ([0, 1], ["0", "1"]),
        ([0.5, 2.0], ["0.5", "2.0"]),
        ([False, True], ["false", "true"]),
        (["0", "no"], ["0", "no"]),
        ([], ["left", "right"]),
    ],
)
def test_a_label_finds_its_probability(classes: list[Any], texts: list[str]) -> None:
    label = classes[1] if classes else "right"
    answer = {"class": label, "probabilities": dict(zip(texts, (0.25, 0.75), strict=True))}
    answers = [says({**MODEL, "classes": classes}), says({"predictions": [answer]})]
    with Scripted(answers) as server, Client(server.url) as client:
        (prediction,) = client.model("model-1").predict([[1]])
    assert prediction.probabilities[prediction.label] == 0.75
    assert (list(prediction.probabilities), prediction.raw) == (classes or texts, answer)


def test_what_the_service_warns_of_is_a_warning() -> None:
    answer = {"predictions": [{"value": 1.5}], "warnings": ["column 'colour': 'Red' …"]}
    with (
        Scripted([says(MODEL), says(answer)]) as server,
        Client(server.url) as client,
        pytest.warns(DataWarning, match="column 'colour': 'Red'"),
    ):
        (prediction,) = client.model("model-1").predict([[1, "Red"]])
    assert prediction.value == 1.5


def test_what_is_said_of_a_step_is_a_warning() -> None:
    answers = [says(MODEL), says({"warnings": ["column 'colour': 'Red' …"]})]
    with (
        Scripted(answers) as server,
        Client(server.url) as client,
        pytest.warns(DataWarning, match="column 'colour': 'Red'") as said,
    ):
        client.model("model-1").explain_step([1, "Red"], 1)
    assert said[0].filename == __file__


def test_scores_stand_in_the_place_of_probabilities() -> None:
    answer = {"class": 1, "scores": {"0": -2.5, "1": 2.5}}
    with Scripted([says(MODEL), says({"predictions": [answer]})]) as server, Client(server.url) as client:
        (prediction,) = client.model("model-1").predict([[1]])
    assert (prediction.label, prediction.scores, prediction.probabilities) == (1, {0: -2.5, 1: 2.5}, {})


def test_a_step_is_asked_for_with_its_row_answer_and_rate() -> None:
    answers = [says(MODEL), says({"learning_rate": 0.5}), says({"learning_rate": 0.1})]
    with Scripted(answers) as server, Client(server.url) as client:
        model = client.model("model-1")
        assert model.explain_step(np.array([1.5, 2.0]), "yes", 0.5) == {"learning_rate": 0.5}
        assert model.explain_step({"x": None}, {"a": 1, "b": 2}) == {"learning_rate": 0.1}
        with pytest.raises(InvalidInput, match="/row/0: nan"):
            model.explain_step([float("nan")], 1)
    _, first, second = server.seen
    assert (first.method, first.path) == ("POST", "/v1/models/model-1/explain-step")
    assert json.loads(first.body) == {"row": [1.5, 2.0], "target": "yes", "learning_rate": 0.5}
    assert json.loads(second.body) == {"row": {"x": None}, "target": {"a": 1, "b": 2}, "learning_rate": None}


def test_the_card_is_as_the_service_writes_it() -> None:
    with Scripted([says(MODEL), says({"format": 1})]) as server, Client(server.url) as client:
        assert client.model("model-1").card() == {"format": 1}
    assert server.seen[1].path == "/v1/models/model-1/card"


def test_several_targets_are_read_by_column() -> None:
    values, labels = {"a": 1.5, "b": None}, {"wet": {"value": True, "probability": 0.75}}
    answers = [says(MODEL), says({"predictions": [{"values": values}, {"labels": labels}]})]
    with Scripted(answers) as server, Client(server.url) as client:
        first, second = client.model("model-1").predict([[1], [2]])
    assert (first.values, first.labels) == (values, {})
    assert (second.labels["wet"].value, second.labels["wet"].probability) == (True, 0.75)


EVALUATION: dict[str, Any] = {
    "model_id": "model-1",
    "dataset_id": "ds-1",
    "rows": 3,
    "loss": 0.5,
    "metrics": {"accuracy": 1.0, "auc": None},
    "confusion_matrix": {"classes": ["no", "Yes"], "matrix": [[1, 0], [0, 2]]},
    "warnings": ["column 'colour': 'Red' …"],
}


@pytest.mark.parametrize("dataset", ["new", Dataset(id="new")])
def test_an_evaluation_is_asked_of_a_data_set(dataset: Any) -> None:
    with (
        Scripted([says(MODEL), says(EVALUATION)]) as server,
        Client(server.url) as client,
        pytest.warns(DataWarning, match="column 'colour': 'Red'"),
    ):
        found = client.model("model-1").evaluate(dataset)
    assert json.loads(server.seen[1].body) == {"dataset": "new"}
    assert (found.rows, found.loss, found.metrics["auc"]) == (3, 0.5, None)
    assert found.confusion_matrix == EVALUATION["confusion_matrix"]
    assert found.raw == EVALUATION


def download(to: Path, **options: Any) -> Path:
    with (
        Scripted([says(MODEL), says("weights", kind="application/octet-stream")]) as server,
        Client(server.url) as client,
    ):
        model: Model = client.model("model-1")
        return model.download(to=to, **options)


def test_a_file_that_is_there_is_replaced_where_that_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    assert download(path, overwrite=False).read_text() == "weights"
    path.write_text("mine")
    with pytest.raises(InvalidInput, match=r"model\.npz is there already; --force"):
        download(path, overwrite=False)
    assert path.read_text() == "mine"
    assert download(path).read_text() == "weights"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere" / "model.npz"):
        with pytest.raises(InvalidInput, match=str(path)):
            download(path)
    assert list(tmp_path.iterdir()) == []
