"""Which rows validate: by the order of a column, in another data set, or in one of the folds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.datasets import Dataset
from service.errors import InvalidSpec
from service.partition import fold_parts
from service.preparation_plan import Plan
from service.resolution import Resolution, resolve
from service.spec import JobSpec
from service.time_order import not_a_date, ranks
from tests.service.data_room import DataRoom, table_dataset


def resolved(dataset: Dataset, other: Dataset | None = None, **data: Any) -> Resolution:
    named = {} if other is None else {"validation_dataset": other.name}
    return resolve(JobSpec.model_validate({"dataset": dataset.name, "data": {**named, **data}}), dataset, other)


def refused(*datasets: Dataset, **data: Any) -> tuple[str, str]:
    with pytest.raises(InvalidSpec) as refusal:
        resolved(*datasets, **data)
    return refusal.value.errors[0].pointer, refusal.value.detail


class TestOrder:
    COLUMNS: dict[str, Any] = {  # noqa: RUF012 (never changed)
        "x": [10.0, 11.0, 12.0, 13.0, 14.0, 15.0],
        "t": [5, 1, 4, 1, 3, 2],
        "day": ["2026-02-01", "2025-12-31", "2026-01-09", "2025-12-31", "2026-01-02", "2026-01-01"],
        "y": [0, 1, 0, 1, 0, 1],
    }
    DATASET = table_dataset({**COLUMNS, "gap": [1.0, None, 3.0, 4.0, 5.0, 6.0], "word": list("abcdef")})
    PLAIN: dict[str, Any] = {"features": ["x"], "scale": "none", "validation_fraction": 0.34}  # noqa: RUF012

    @pytest.mark.parametrize("column", ["t", "day"])
    def test_the_last_rows_validate_and_equals_keep_their_order(self, data_room: DataRoom, column: str) -> None:
        dataset = data_room.add_table(self.COLUMNS)
        arrays = data_room.prepare(dataset, {"data": {**self.PLAIN, "order_by": column}}).open()
        assert arrays.x_train[:, 0].tolist() == [11, 13, 15, 14]
        assert arrays.x_validation[:, 0].tolist() == [12, 10]

    def test_whole_numbers_beyond_float64_are_told_apart(self, data_room: DataRoom) -> None:
        start = 1_764_000_000_000_000_000  # nanoseconds of 2025
        moments = [start + 3, start + 1, start + 2, start]
        dataset = data_room.add_table({"x": [3.5, 1.5, 2.5, 0.5], "t": moments, "y": [0, 1, 1, 0]})
        data = {"features": ["x"], "scale": "none", "order_by": "t", "validation_fraction": 0.25}
        arrays = data_room.prepare(dataset, {"data": data}).open()
        assert arrays.x_train[:, 0].tolist() == [0.5, 1.5, 2.5]

    def test_dates_are_ordered_as_moments(self) -> None:
        texts = ["2026-01-01T02:00:00+03:00", "2026-01-01", "2025-12-31 23:30:00.5", "2026-01-01T00:00:00Z", "20251231"]
        assert ranks(texts).tolist() == [1, 3, 2, 4, 0]
        assert not_a_date(texts) is None
        assert not_a_date(["2026-01-31", "31.1.2026"]) == "31.1.2026"

    def test_the_split_has_no_strata_and_its_seed_no_effect(self) -> None:
        found = resolved(self.DATASET, **self.PLAIN, order_by="t", split_seed=3)
        assert found.spec.data.stratify is False
        assert (found.train_rows, found.validation_rows) == (4, 2)
        assert any("data.split_seed has no effect" in warning for warning in found.warnings)
        assert resolve(found.spec, self.DATASET).spec == found.spec

    def test_a_column_of_dates_that_stays_a_feature_is_warned_of(self) -> None:
        data: dict[str, Any] = {"order_by": "day", "features": ["x", "day"], "validation_fraction": 0.5}
        assert any("'day' orders the rows and is a feature" in said for said in resolved(self.DATASET, **data).warnings)
        assert (
            resolved(self.DATASET, **{**data, "features": ["x"]}).warnings
            == resolved(self.DATASET, features=["x"], validation_fraction=0.5).warnings
        )

    @pytest.mark.parametrize(
        ("data", "pointer", "words"),
        [
            ({"order_by": "none"}, "/data/order_by", "no column 'none'"),
            ({"order_by": "gap"}, "/data/order_by", "no value in 1 row"),
            ({"order_by": "word"}, "/data/order_by", "'a', which is no date"),
            ({"order_by": "t", "stratify": True}, "/data/stratify", "data.order_by says"),
            ({"order_by": "t", "folds": 3, "validation_fraction": None}, "/data/order_by", "data.folds validates"),
        ],
    )
    def test_what_makes_no_order_is_refused(self, data: dict[str, Any], pointer: str, words: str) -> None:
        found = refused(self.DATASET, **{**self.PLAIN, **data})
        assert found[0] == pointer
        assert words in found[1]


class TestAnotherDataSet:
    TRAIN = table_dataset(
        {
            "x": [1.0, 2.0, 3.0, 4.0],
            "kind": ["p", "q", "p", "q"],
            "flag": [True, False, True, True],
            "w": [1.0, 1.0, 2.0, 2.0],
            "y": ["no", "yes", "no", "yes"],
        }
    )

    @staticmethod
    def other(**columns: Any) -> Dataset:
        plain = {"x": [5.0, 6.0], "kind": ["q", "z"], "flag": [True, False], "w": [1.0, 3.0], "y": ["yes", "no"]}
        return table_dataset({name: values for name, values in {**plain, **columns}.items() if values is not None})

    def test_its_rows_validate_and_all_others_train(self, data_room: DataRoom) -> None:
        dataset = data_room.add_table(
            {"x": [1.0, 2.0, 3.0], "kind": ["p", "q", "p"], "y": ["no", "yes", "no"]}, "train"
        )
        other = data_room.add_table({"y": ["yes", "no"], "kind": ["q", "z"], "x": [5, 6]}, "check")
        prepared = data_room.prepare(
            dataset, {"data": {"validation_dataset": "check", "scale": "minmax"}}, validation=other
        )
        arrays = prepared.open()
        assert arrays.x_train.tolist() == [[0, 1, 0], [0.5, 0, 1], [1, 1, 0]]  # scaled by its own range
        assert arrays.x_validation.tolist() == [[2, 0, 1], [2.5, 0, 0]]
        assert (arrays.y_train.tolist(), arrays.y_validation.tolist()) == ([[0], [1], [0]], [[1], [0]])
        assert ["'z' (1 row(s)) was not in the training data" in said for said in prepared.warnings] == [True]

    def test_sizes_and_spec_say_so(self) -> None:
        other = self.other()
        found = resolved(self.TRAIN, other, sample_weight="w", split_seed=2)
        assert (found.train_rows, found.validation_rows) == (4, 2)
        assert found.spec.data.validation_dataset == other.id
        assert (found.spec.data.validation_fraction, found.spec.data.stratify) == (0.0, False)
        assert any("data.split_seed has no effect" in said for said in found.warnings)
        again = JobSpec.model_validate_json(found.spec.model_dump_json())
        assert resolve(again, self.TRAIN, other).spec == again == found.spec
        stopping = {"metric": "validation_loss"}
        spec = JobSpec.model_validate({"dataset": "given", "data": again.data.model_dump(), "early_stopping": stopping})
        assert resolve(spec, self.TRAIN, other).spec.early_stopping is not None

    def test_levels_that_no_row_trains_are_told_before_it_runs(self) -> None:
        said = "data.validation_dataset: column 'kind' has 1 level(s) that training does not know: 'z'"
        assert said in resolved(self.TRAIN, self.other()).warnings
        for other in (self.other(kind=["p", "q"]), self.other(flag=[True, True], kind=["q", "q"])):
            assert not any("does not know" in words for words in resolved(self.TRAIN, other).warnings)
        assert not any(
            "does not know" in words for words in resolved(self.TRAIN, self.other(), features=["x"]).warnings
        )

    @pytest.mark.parametrize(
        ("columns", "data", "words"),
        [
            ({"kind": None}, {}, "column 'kind' is not there"),
            ({"x": ["five", "six"]}, {}, "column 'x' holds text, not numbers"),
            ({"kind": [1, 2]}, {}, "column 'kind' holds numbers, not text"),
            ({"flag": [1, 0]}, {}, "column 'flag' holds numbers, not true and false"),
            ({"x": [5.0, None]}, {}, "column 'x' has no value in 1 row"),
            ({"y": ["yes", "maybe"]}, {}, "column 'y' has the class 'maybe'"),
            ({"w": None}, {"sample_weight": "w"}, "column 'w' is not there"),
            ({"w": [-1.0, 1.0]}, {"sample_weight": "w"}, "column 'w' holds -1"),
            ({"w": [0.0, 0.0]}, {"sample_weight": "w"}, "column 'w' is 0 in every row"),
            ({"x": [1e200, 1.0]}, {}, "holds 1e+200"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, columns: dict[str, Any], data: dict[str, Any], words: str) -> None:
        pointer, found = refused(self.TRAIN, self.other(**columns), **data)
        assert pointer == "/data/validation_dataset"
        assert words in found

    def test_gaps_are_filled_there_too(self) -> None:
        assert resolved(self.TRAIN, self.other(x=[None, 2.0]), missing="mean").validation_rows == 2

    @pytest.mark.parametrize(
        ("data", "pointer"),
        [
            ({"validation_fraction": 0.2}, "/data/validation_fraction"),
            ({"order_by": "x"}, "/data/order_by"),
            ({"folds": 2}, "/data/folds"),
            ({"stratify": True}, "/data/stratify"),
        ],
    )
    def test_there_is_one_way_of_validating(self, data: dict[str, Any], pointer: str) -> None:
        assert refused(self.TRAIN, self.other(), **data)[0] == pointer
        assert resolved(self.TRAIN, self.other(), validation_fraction=0.0).validation_rows == 2

    def test_the_data_set_itself_is_warned_of(self) -> None:
        assert any("every row validates and trains" in said for said in resolved(self.TRAIN, self.TRAIN).warnings)


class TestFolds:
    @given(st.integers(2, 9), st.integers(0, 60), st.integers(0, 2**63 - 1), st.integers(1, 4), st.booleans())
    def test_each_row_validates_once(self, folds: int, more: int, seed: int, classes: int, stratify: bool) -> None:
        rows = folds + more
        of = np.arange(rows) ** 2 % classes
        parts = fold_parts(rows, folds, seed, of if stratify else None)
        assert np.sort(np.concatenate([part.validation for part in parts])).tolist() == list(range(rows))
        sizes = [len(part.validation) for part in parts]
        assert max(sizes) - min(sizes) <= 1
        for part in parts:
            assert sorted([*part.train, *part.validation]) == list(range(rows))
        if stratify:
            for number in range(classes):
                counts = [int((of[part.validation] == number).sum()) for part in parts]
                assert max(counts) - min(counts) <= 1

    def test_they_belong_to_their_seed(self) -> None:
        first, again, other = (fold_parts(50, 5, seed, None)[0].validation.tolist() for seed in (1, 1, 2))
        assert first == again != other

    def test_each_fold_is_fitted_on_its_own_rows_and_the_refit_on_all(self, data_room: DataRoom) -> None:
        dataset = data_room.add_table(
            {"x": [float(row * row) for row in range(10)], "y": [row % 2 for row in range(10)]}
        )
        spec = {"data": {"folds": 3}, "network": {"precision": "float64"}}
        prepared = [data_room.prepare(dataset, spec, fold=fold) for fold in (0, 1, 2, None)]
        assert len({each.files.folder for each in prepared}) == 4
        assert len({each.transform.features[0].shift for each in prepared}) == 4  # type: ignore[union-attr]
        opened = [each.open() for each in prepared]
        for arrays in opened:
            np.testing.assert_allclose(arrays.x_train.mean(), 0, atol=1e-12)
        assert [len(arrays.x_validation) for arrays in opened] == [4, 3, 3, 0]
        assert len(opened[3].x_train) == 10

    def test_a_resolved_spec_of_folds(self) -> None:
        dataset = table_dataset({"x": range(30), "y": [row % 2 for row in range(30)]})
        found = resolved(dataset, folds=4)
        assert (found.spec.data.validation_fraction, found.spec.data.stratify) == (0.0, True)
        assert resolve(found.spec, dataset).spec == found.spec
        assert refused(dataset, folds=4, validation_fraction=0.1)[0] == "/data/validation_fraction"
        assert refused(dataset, folds=31)[0] == "/data/folds"

    def test_a_class_with_fewer_rows_than_folds_is_refused_unless_folds_are_drawn_without_strata(self) -> None:
        dataset = table_dataset({"x": range(30), "y": [row // 3 == 0 for row in range(30)]})
        assert resolved(dataset, folds=3).spec.data.stratify
        assert refused(dataset, folds=4)[0] == "/data/folds"
        assert resolved(dataset, folds=4, stratify=False).spec.data.folds == 4


class TestPlan:
    DATASET = table_dataset(
        {
            "x": [0.5 * row for row in range(40)],
            "z": [float(row % 7) for row in range(40)],
            "w": [1.0 + row for row in range(40)],
            "v": [1.5 * row for row in range(40)],
            "y": [row % 2 for row in range(40)],
        }
    )

    @pytest.mark.parametrize(
        "change",
        [
            {"target": "v", "task": "regression"},
            {"target": ["v", "w"], "task": "regression", "features": ["x", "z"]},
            {"features": ["x"]},
            {"features": ["z", "x", "w", "v"]},
            {"task": "regression"},
            {"scale": "minmax"},
            {"validation_fraction": 0.3},
            {"split_seed": 1},
            {"stratify": False},
            {"order_by": "x"},
            {"folds": 3},
            {"missing": "mean"},
            {"missing": "median"},
            {"missing": "indicator"},
            {"sample_weight": "w"},
            {"sample_weight": "v"},
            {"class_weight": "balanced"},
            {"class_weight": {"0": 2.0}},
            {"class_weight": {"1": 2.0}},
        ],
    )
    def test_every_field_of_the_data_changes_the_name(self, change: dict[str, Any]) -> None:
        plain, other = (Plan(resolved(self.DATASET, **data).spec, self.DATASET).key for data in ({}, change))
        assert plain != other

    def test_so_do_another_data_set_a_fold_and_a_given_transform(self, data_room: DataRoom) -> None:
        dataset = data_room.add_table({"x": [1.0, 2.0, 3.0, 4.0], "y": [0, 1, 0, 1]})
        others = [data_room.add_table({"x": [1.0, last], "y": [0, 1]}, f"to {last}") for last in (2.0, 3.0)]
        given_ = data_room.prepare(dataset).transform
        spec = resolved(dataset, folds=2).spec
        plans = [Plan(spec, dataset, *more) for more in ((), (others[0],), (others[1],), (None, 0), (None, 1))]
        plans += [Plan(spec, dataset, given=given_), Plan(spec, dataset, fold=0, given=given_)]
        assert len({plan.key for plan in plans}) == len(plans)
