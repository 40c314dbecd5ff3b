"""Missing values: refused, filled as scikit-learn fills them, or told to the network by an input of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from service.errors import BadData, InvalidSpec
from service.features import MISSING, UNSEEN, Numeric, OneHot
from service.resolution import resolve
from service.spec import JobSpec
from service.transform import Target, TargetColumn, Transform
from tests.service.data_room import DataRoom, table_dataset

EXACT = {"network": {"precision": "float64"}}
ROWS = 60


def gaps(seed: int = 1) -> dict[str, list[Any]]:
    """Two columns of numbers and one of text, a quarter of each missing, and one without a gap."""
    generator = np.random.default_rng(seed)

    def holed(values: list[Any]) -> list[Any]:
        return [None if gone else value for value, gone in zip(values, generator.random(ROWS) < 0.25, strict=True)]

    return {
        "a": holed(generator.normal(50, 9, ROWS).tolist()),
        "b": holed(generator.exponential(3, ROWS).tolist()),
        "whole": generator.normal(size=ROWS).tolist(),
        "kind": holed([["p", "q", "q", "r"][number] for number in generator.integers(4, size=ROWS)]),
        "y": [["no", "yes"][row % 2] for row in range(ROWS)],
    }


def numbers(columns: dict[str, list[Any]]) -> Any:
    return np.array([columns["a"], columns["b"], columns["whole"]], dtype=np.float64).T


@pytest.mark.parametrize("policy", ["mean", "median"])
@pytest.mark.parametrize(("scale", "scaler"), [("standard", StandardScaler), ("minmax", MinMaxScaler)])
def test_numbers_are_filled_and_then_scaled_as_by_scikit_learn(
    data_room: DataRoom, policy: str, scale: str, scaler: Any
) -> None:
    columns = gaps()
    data = {"missing": policy, "scale": scale, "features": ["a", "b", "whole"]}
    prepared = data_room.prepare(data_room.add_table(columns), {"data": data, **EXACT})
    arrays = prepared.open()
    filled = make_pipeline(SimpleImputer(strategy=policy), scaler())
    by_row = {row[2]: row for row in numbers(columns).tolist()}  # `whole` has no gap and tells the rows apart
    shift, width = prepared.transform.features[2].shift, prepared.transform.features[2].scale  # type: ignore[union-attr]

    def raw(x: Any) -> Any:
        wanted = x[:, 2] * width + shift
        return np.array([min(by_row.items(), key=lambda item: abs(item[0] - value))[1] for value in wanted])

    np.testing.assert_allclose(arrays.x_train, filled.fit_transform(raw(arrays.x_train)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(arrays.x_validation, filled.transform(raw(arrays.x_validation)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("policy", ["mean", "median"])
def test_a_level_is_filled_with_the_most_frequent_of_training(data_room: DataRoom, policy: str) -> None:
    columns = {"kind": ["r", "r", "q", "q", None, "p"], "y": [0, 1, 0, 1, 0, 1]}
    prepared = data_room.prepare(data_room.add_table(columns), {"data": {"missing": policy}})
    assert prepared.transform.features == (OneHot("kind", "text", ("p", "q", "r"), fill=1),)  # the first of equals
    assert prepared.open().x_train.tolist() == [[0, 0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_the_indicator_adds_an_input_where_the_data_has_gaps(data_room: DataRoom) -> None:
    columns = {"a": [1.0, None, 3.0, 4.0], "whole": [1.0, 2.0, 3.0, 4.0], "kind": ["p", "q", None, "p"]}
    dataset = data_room.add_table({**columns, "y": [0, 1, 0, 1]})
    spec = {"data": {"missing": "indicator", "scale": "none"}}
    found = resolve(JobSpec.model_validate({"dataset": "given", **spec}), dataset)
    prepared = data_room.prepare(dataset, spec)
    assert prepared.open().x_train.tolist() == [
        *([1, 0, 1, 1, 0, 0], [pytest.approx(8 / 3), 1, 2, 0, 1, 0]),
        *([3, 0, 3, 0, 0, 1], [4, 0, 4, 1, 0, 0]),
    ]
    assert found.inputs == prepared.transform.inputs == found.architecture.inputs == 6


def test_what_only_validates_is_filled_by_what_trains(data_room: DataRoom) -> None:
    dataset = data_room.add_table({"a": [2.0, 4.0, None, None], "t": [1, 2, 3, 4], "y": [0, 1, 0, 1]})
    data = {"missing": "mean", "scale": "none", "order_by": "t", "validation_fraction": 0.5, "features": ["a"]}
    arrays = data_room.prepare(dataset, {"data": data}).open()
    assert (arrays.x_train.tolist(), arrays.x_validation.tolist()) == ([[2], [4]], [[3], [3]])
    late = {**data, "order_by": None, "validation_fraction": 0.5}
    for seed in range(6):  # also where no value is left to train on
        x = data_room.prepare(dataset, {"data": {**late, "split_seed": seed, "stratify": False}}).open()
        assert np.isfinite(x.x_train).all()
        assert np.isfinite(x.x_validation).all()


def test_the_policy_refuse_names_the_columns_and_the_ways_out() -> None:
    dataset = table_dataset({"a": [1.0, None], "y": [0, 1]})
    with pytest.raises(InvalidSpec, match=r"values are missing in 'a'.*mean, median or indicator"):
        resolve(JobSpec(dataset="given"), dataset)


def test_a_column_without_any_value_has_nothing_to_fill_with() -> None:
    dataset = table_dataset({"a": [None, None], "b": [1.0, 2.0], "y": [0, 1]})
    spec = JobSpec.model_validate({"dataset": "given", "data": {"missing": "mean"}})
    with pytest.raises(InvalidSpec, match="no value in any row of 'a'") as refused:
        resolve(spec, dataset)
    assert refused.value.errors[0].pointer == "/data/features"


FILLED = Transform(
    (
        Numeric("a", 10.0, 2.0, fill=12.0),
        Numeric("b", 0.0, 1.0, fill=5.0, indicator=True),
        OneHot("kind", "text", ("p", "q"), fill=1),
        OneHot("code", "integer", (1, 2), fill=2, indicator=True),
    ),
    Target("binary", 1, (TargetColumn("y", "integer", (0, 1)),)),
    "float64",
)


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_prediction_takes_null_and_nan_in_every_column(nothing: Any) -> None:
    said: list[str] = []
    rows = [[14, 7.0, "p", 2], [nothing] * 4, [14, nothing, "q", nothing]]
    assert FILLED.apply(rows, said).tolist() == [
        *([2, 7, 0, 1, 0, 0, 1, 0], [1, 5, 1, 0, 1, 0, 0, 1]),
        [2, 5, 1, 0, 1, 0, 0, 1],
    ]
    assert said == []  # a missing value is no unseen level


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"a": "x", "b": 1, "kind": "p", "code": 1}, "'x' cannot be taken; allowed: a finite number, or null"),
        ({"a": float("inf"), "b": 1, "kind": "p", "code": 1}, "column 'a'"),
        ({"a": 1, "b": 1, "kind": 3, "code": 1}, "allowed: 'p', 'q', null"),
        ({"a": 1, "b": 1, "kind": "p"}, "column 'code': is missing"),  # a column left out may be a typo
    ],
)
def test_wrong_types_and_absent_columns_are_still_refused(row: dict[str, Any], words: str) -> None:
    with pytest.raises(BadData) as refused:
        FILLED.apply([row])
    assert words in refused.value.detail


def test_a_fitted_policy_survives_json() -> None:
    assert Transform.from_json(FILLED.to_json()) == FILLED


def test_codes_of_levels_stay_apart() -> None:
    feature = FILLED.features[3]
    assert isinstance(feature, OneHot)
    assert feature.read([2, 9, None]).tolist() == [1, UNSEEN, MISSING]


def test_unseen_levels_are_none_of_them_and_are_named() -> None:
    said: list[str] = []
    rows = [[1, 1, "p", 1], [1, 1, "Q", 7], [1, 1, "Q", 7.0], [1, 1, "z", 1]]
    x = FILLED.apply(rows, said)
    assert x[:, 3:5].tolist() == [[1, 0], [0, 0], [0, 0], [0, 0]]
    assert x[:, 5:].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0]]
    assert [line.split(" was not")[0] for line in said] == [
        "column 'kind': 'Q', 'z' (3 row(s))",
        "column 'code': 7 (2 row(s))",
    ]


def test_only_a_few_unseen_levels_are_listed() -> None:
    said: list[str] = []
    FILLED.apply([[1, 1, f"level {number}", 1] for number in range(100)], said)
    assert "'level 4' and 95 more (100 row(s))" in said[0]
    assert "'level 5'" not in said[0]
