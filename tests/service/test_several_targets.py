"""Several columns learned at once: values each on its own scale, or labels that do not exclude each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.datasets import Dataset
from service.errors import InvalidSpec
from service.resolution import resolve
from service.spec import JobSpec
from service.transform import Target, TargetColumn
from tests.service.data_room import DataRoom, table_dataset
from workers.mlp.architecture import Architecture, LayerShape
from workers.mlp.network import Network
from workers.mlp.parameters import Parameters

TABLE = table_dataset(
    {
        "x": [0.5, 1.5, 2.5, 3.5],
        "far": [1000.0, 3000.0, 2000.0, 4000.0],
        "near": [0.1, 0.3, 0.5, 0.7],
        "wet": ["no", "yes", "yes", "no"],
        "hot": [False, True, False, True],
        "half": [0.5, 1.5, 0.5, 1.5],
        "y": [1, 2, 3, 1],
    }
)


def resolved(dataset: Dataset = TABLE, **data: Any) -> Any:
    return resolve(JobSpec.model_validate({"dataset": "given", "data": {"features": ["x"], **data}}), dataset)


@pytest.mark.parametrize(
    ("target", "task", "asked"),
    [
        (["far", "near"], "regression", "auto"),
        (["wet", "hot"], "multilabel", "auto"),
        (["half", "far"], "regression", "auto"),
        (["half", "wet"], "multilabel", "multilabel"),
        (["y", "near"], "regression", "auto"),
    ],
)
def test_the_columns_say_the_task_and_each_has_one_output(target: list[str], task: str, asked: str) -> None:
    found = resolved(target=target, task=asked)
    assert (found.spec.data.task, found.outputs, found.architecture.labels) == (task, 2, task == "multilabel")
    output = ("squared_error", "identity") if task == "regression" else ("log_loss", "sigmoid")
    assert (found.spec.loss, found.spec.network.output_activation) == output
    assert found.spec.data.target == tuple(target)
    assert found.spec.data.stratify is False
    again = JobSpec.model_validate_json(found.spec.model_dump_json())
    assert resolve(again, TABLE).spec == again == found.spec


@pytest.mark.parametrize(
    ("data", "pointer", "words"),
    [
        ({"target": ["far", "wet"]}, "/data/target", "neither columns of two values each"),
        ({"target": ["y", "wet"]}, "/data/target", "neither columns of two values each"),
        ({"target": ["far", "wet"], "task": "regression"}, "/data/target/1", "'wet' is categorical"),
        ({"target": ["hot", "y"], "task": "multilabel"}, "/data/target/1", "'y' has 3 different value"),
        ({"target": ["hot", "wet"], "task": "binary"}, "/data/task", "one target alone"),
        ({"target": "wet", "task": "multilabel"}, "/data/task", "several targets"),
        ({"target": ["wet", "wet"]}, "/data/target/1", "stands there twice"),
        ({"target": ["wet", "none"]}, "/data/target/1", "no column 'none'"),
        ({"target": ["wet", "hot"], "features": ["x", "hot"]}, "/data/features/1", "'hot' is the target"),
        ({"target": ["wet", "hot"], "stratify": True}, "/data/stratify", "a multilabel has no classes"),
        ({"target": ["wet", "hot"], "class_weight": "balanced"}, "/data/class_weight", "a multilabel has no classes"),
        ({"target": ["wet", "hot"], "scale_target": "standard"}, "/data/scale_target", "not scaled"),
    ],
)
def test_what_does_not_go_together_is_refused(data: dict[str, Any], pointer: str, words: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        resolved(**data)
    assert refused.value.errors[0].pointer == pointer
    assert words in refused.value.detail


def test_a_list_of_one_target_is_that_target() -> None:
    assert resolved(target=["far"]).spec == resolved(target="far").spec
    assert JobSpec.model_validate({"dataset": "d", "data": {"target": ["far"]}}).data.target == "far"


def test_whole_numbers_beside_other_targets_say_why_they_are_numbers() -> None:
    (said,) = resolved(target=["y", "near"]).warnings
    assert "'y' holds whole numbers; they are taken for numbers to predict" in said
    assert "since not every target is a column of two classes;" in said
    assert "values differ" not in said


def test_features_are_what_no_target_is() -> None:
    assert resolved(target=["far", "near"], features=None).spec.data.features == ("x", "wet", "hot", "half", "y")


def test_labels_that_do_not_exclude_each_other_have_no_softmax() -> None:
    spec = {"dataset": "given", "data": {"target": ["wet", "hot"]}, "network": {"output_activation": "softmax"}}
    with pytest.raises(InvalidSpec, match="exclude each other"):
        resolve(JobSpec.model_validate(spec), TABLE)


def test_each_value_is_scaled_on_its_own_and_comes_back(data_room: DataRoom) -> None:
    generator = np.random.default_rng(3)
    far, near = generator.normal(1e6, 1e5, 40), generator.normal(0, 1e-3, 40)
    dataset = data_room.add_table({"x": range(40), "far": far, "near": near, "y": range(40)})
    spec = {
        "data": {"target": ["near", "far"], "features": ["x"], "scale": "none"},
        "network": {"precision": "float64"},
    }
    prepared = data_room.prepare(dataset, spec)
    arrays = prepared.open()
    assert arrays.y_train.shape == (32, 2)
    np.testing.assert_allclose(arrays.y_train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(arrays.y_train.std(axis=0), 1, rtol=1e-12)
    for row, answer in zip(arrays.x_train[:, 0], prepared.transform.outputs(arrays.y_train), strict=True):
        assert answer == {"values": {"near": pytest.approx(near[int(row)]), "far": pytest.approx(far[int(row)])}}


def test_labels_are_zeros_and_ones_side_by_side(data_room: DataRoom) -> None:
    columns = {"x": [1, 2, 3], "wet": ["no", "yes", "yes"], "hot": [True, False, True], "y": [0, 1, 2]}
    spec = {"data": {"target": ["wet", "hot"], "features": ["x"]}}
    prepared = data_room.prepare(data_room.add_table(columns), spec)
    assert prepared.open().y_train.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert prepared.transform.outputs(np.array([[0.25, 0.75], [0.5, np.nan]])) == [
        {"labels": {"wet": {"value": "no", "probability": 0.25}, "hot": {"value": True, "probability": 0.75}}},
        {"labels": {"wet": {"value": "no", "probability": 0.5}, "hot": {"value": None, "probability": None}}},
    ]


def test_a_value_that_is_not_finite_is_null_alone() -> None:
    target = Target("regression", 2, (TargetColumn("a", "float", shift=1.0), TargetColumn("b", "float", scale=2.0)))
    assert target.decode(np.array([[1.0, np.inf]])) == [{"values": {"a": 2.0, "b": None}}]


@pytest.mark.parametrize("networks", [(), (2,)])
def test_a_sample_is_right_where_all_of_its_labels_are(networks: tuple[int, ...]) -> None:
    """scikit-learn's accuracy of label sets: the exact match."""
    architecture = Architecture(3, (LayerShape(3, "sigmoid"),), "log_loss", precision="float64", labels=True)
    parameters = Parameters(architecture, networks)
    parameters.W[0][...] = np.eye(3)
    z = np.array([[4.0, -4.0, 4.0], [4.0, 4.0, 4.0], [-4.0, -4.0, -4.0], [0.0, 4.0, -4.0]])
    y = np.array([[1.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    found = Network(architecture, 4, networks).sums(parameters, z, y, np.array([1.0, 2.0, 4.0, 8.0]))
    np.testing.assert_array_equal(found.correct, np.full(networks, 13.0))
