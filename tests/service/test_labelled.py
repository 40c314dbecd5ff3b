"""A model's transform on other data: kept for a training that goes on, and on labelled rows to be judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.datasets import Dataset
from service.errors import DataMissing, InvalidSpec
from service.labelled import Labelled, labelled_arrays
from service.preparation import PreparedData
from service.transform import Transform
from tests.service.data_room import DataRoom

TRAIN: dict[str, list[Any]] = {
    "x": [1.0, 2.0, 3.0, 4.0],
    "kind": ["p", "q", "p", "q"],
    "w": [1.0, 1.0, 2.0, 2.0],
    "y": ["no", "yes", "maybe", "yes"],
}
LATER: dict[str, list[Any]] = {"y": ["yes", "no"], "kind": ["new", "q"], "w": [3.0, 0.0], "x": [10, 2], "more": [1, 2]}
SPEC: dict[str, Any] = {"data": {"features": ["x", "kind"]}, "network": {"precision": "float64"}}


def fitted(room: DataRoom, **data: Any) -> Transform:
    spec = {**SPEC, "data": {**SPEC["data"], **data}}
    return room.prepare(room.add_table(TRAIN, "train"), spec).transform


def judged(room: DataRoom, transform: Transform, columns: dict[str, Any], name: str = "later") -> Labelled:
    return labelled_arrays(transform, room.add_table(columns, name), room.artifacts)


class TestLabelled:
    def test_rows_are_encoded_as_in_training(self, data_room: DataRoom) -> None:
        transform = fitted(data_room)
        found = judged(data_room, transform, LATER)
        rows = [{"x": 10, "kind": "new"}, {"x": 2, "kind": "q"}]
        np.testing.assert_array_equal(found.x, transform.apply(rows))
        assert found.y.tolist() == [[0, 0, 1], [0, 1, 0]]  # maybe, no, yes
        assert {array.dtype for array in (found.x, found.y)} == {np.dtype(np.float64)}
        assert found.weights is None
        assert [line.split(" was not")[0] for line in found.warnings] == ["column 'kind': 'new' (1 row(s))"]

    def test_values_are_scaled_as_in_training(self, data_room: DataRoom) -> None:
        transform = fitted(data_room, target="w", features=["x"], task="regression")
        found = judged(data_room, transform, LATER)
        np.testing.assert_allclose(found.y[:, 0], [3.0, -3.0], rtol=1e-15)  # mean 1.5, deviation 0.5
        assert [answer["value"] for answer in transform.outputs(found.y)] == [3.0, 0.0]

    def test_sample_weights_count_where_their_column_is_there(self, data_room: DataRoom) -> None:
        transform = fitted(data_room, sample_weight="w")
        found = judged(data_room, transform, LATER)
        assert found.weights is not None
        assert found.weights.tolist() == [3.0, 0.0]
        without = judged(data_room, transform, {name: LATER[name] for name in ("x", "kind", "y")}, "without")
        assert without.weights is None
        assert any("no column 'w'" in said for said in without.warnings)

    def test_labels_of_several_columns(self, data_room: DataRoom) -> None:
        columns = {"x": [1.0, 2.0], "a": [True, False], "b": ["l", "r"], "y": [0, 1]}
        spec = {"data": {"target": ["b", "a"], "features": ["x"]}}
        transform = data_room.prepare(data_room.add_table(columns, "train"), spec).transform
        found = judged(data_room, transform, {"a": [True, True], "b": ["r", "r"], "x": [1.0, 2.0], "y": [0, 1]})
        assert found.y.tolist() == [[1, 1], [1, 1]]

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"x": None}, "column 'x' is not there"),
            ({"kind": [1, 2]}, "column 'kind' holds numbers, not text"),
            ({"x": [1.0, None]}, "column 'x' has no value in 1 row"),
            ({"y": ["yes", "perhaps"]}, "column 'y' has the class 'perhaps'"),
            ({"w": [-1.0, 1.0]}, "column 'w' holds -1"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, data_room: DataRoom, change: dict[str, Any], words: str) -> None:
        transform = fitted(data_room, sample_weight="w")
        columns = {name: values for name, values in {**LATER, **change}.items() if values is not None}
        with pytest.raises(InvalidSpec) as refused:
            judged(data_room, transform, columns)
        assert refused.value.errors[0].pointer == "/dataset"
        assert words in refused.value.detail

    def test_data_without_its_file_is_missing(self, data_room: DataRoom) -> None:
        transform, dataset = fitted(data_room), data_room.add_table(LATER, "later")
        data_room.artifacts.delete(dataset.path)
        with pytest.raises(DataMissing, match="'later'"):
            labelled_arrays(transform, dataset, data_room.artifacts)


class TestGiven:
    @staticmethod
    def prepared(room: DataRoom, dataset: Dataset, given: Transform, **data: Any) -> PreparedData:
        return room.prepare(dataset, {**SPEC, "data": {**SPEC["data"], **data}}, given=given)

    def test_it_is_kept_instead_of_fitted(self, data_room: DataRoom) -> None:
        transform, dataset = fitted(data_room), data_room.add_table(LATER, "later")
        kept, own = self.prepared(data_room, dataset, transform), data_room.prepare(dataset, SPEC)
        arrays, judged_ = kept.open(), labelled_arrays(transform, dataset, data_room.artifacts)
        assert kept.transform == transform != own.transform
        assert kept.files.folder != own.files.folder
        np.testing.assert_array_equal(arrays.x_train, judged_.x)
        np.testing.assert_array_equal(
            arrays.y_train, judged_.y
        )  # three classes, in the model's order, of which two come
        assert any("'maybe'" in said for said in kept.warnings)
        assert any("'new' (1 row(s))" in said for said in kept.warnings)

    def test_the_precision_and_the_weights_are_the_jobs(self, data_room: DataRoom) -> None:
        transform, dataset = fitted(data_room), data_room.add_table(LATER, "later")
        spec = {"network": {"precision": "float32"}, "data": {**SPEC["data"], "sample_weight": "w"}}
        kept = data_room.prepare(dataset, spec, given=transform)
        arrays = kept.open()
        assert {array.dtype for array in (arrays.x_train, arrays.y_train)} == {np.dtype(np.float32)}
        assert (kept.transform.precision, kept.transform.weight) == ("float32", "w")
        assert arrays.w_train is not None
        assert arrays.w_train.tolist() == [3, 0]

    def test_strata_and_balance_go_by_the_models_classes(self, data_room: DataRoom) -> None:
        transform = fitted(data_room)
        columns = {"x": range(30), "kind": ["p"] * 30, "y": ["yes" if row % 3 else "no" for row in range(30)]}
        dataset = data_room.add_table(columns, "later")
        data = {"class_weight": "balanced", "stratify": True, "validation_fraction": 0.2}
        arrays = self.prepared(data_room, dataset, transform, **data).open()
        assert arrays.w_train is not None
        assert arrays.y_validation.sum(axis=0).tolist() == [0, 2, 4]
        by_class = {tuple(row): weight for row, weight in zip(arrays.y_train.tolist(), arrays.w_train, strict=True)}
        assert by_class == {(0, 1, 0): 24 / (2 * 8), (0, 0, 1): 24 / (2 * 16)}

    def test_data_that_lacks_something_is_refused(self, data_room: DataRoom) -> None:
        transform = fitted(data_room)
        dataset = data_room.add_table({**LATER, "y": ["yes", "perhaps"]}, "later")
        with pytest.raises(InvalidSpec, match="'perhaps'") as refused:
            self.prepared(data_room, dataset, transform)
        assert refused.value.errors[0].pointer == "/dataset"
