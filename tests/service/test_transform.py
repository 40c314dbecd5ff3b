"""Raw rows in, predictions out: what is refused by name, what keeps its type, and how fast it is."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from service import strict_json
from service.errors import BadData
from service.features import Numeric, OneHot
from service.transform import Target, TargetColumn, Transform
from tests.service.data_room import DataRoom

COLOUR = OneHot("colour", "text", ("blue", "green", "red"))
TRANSFORM = Transform(
    features=(
        Numeric("age", 40.0, 10.0),
        COLOUR,
        OneHot("flag", "boolean", (False, True)),
        OneHot("size/cm", "float", (1.0, 2.5)),
    ),
    target=Target("binary", 1, (TargetColumn("y", "text", ("no", "yes")),)),
    precision="float32",
)


def regression(shift: float = 0.0, scale: float = 1.0) -> Target:
    return Target("regression", 1, (TargetColumn("y", "float", shift=shift, scale=scale),))


ROW = {"age": 50, "colour": "red", "flag": True, "size/cm": 1}


def test_rows_become_inputs_by_order_or_by_name() -> None:
    expected = [[1.0, 0, 0, 1, 0, 1, 1, 0], [-4.0, 1, 0, 0, 1, 0, 0, 1]]
    by_order = TRANSFORM.apply([[50, "red", True, 1], [0.0, "blue", False, 2.5]])
    by_name = TRANSFORM.apply([ROW, {"size/cm": 2.5, "flag": False, "colour": "blue", "age": 0, "y": "yes"}])
    assert by_order.dtype == np.float32
    assert by_order.tolist() == by_name.tolist() == expected
    assert TRANSFORM.inputs == 8


def test_no_rows_are_no_inputs() -> None:
    assert TRANSFORM.apply([]).shape == (0, 8)


@pytest.mark.parametrize(
    ("row", "pointer", "words"),
    [
        ({**ROW, "colour": 1}, "/rows/1/colour", "1 cannot be taken; allowed: 'blue', 'green', 'red'"),
        ({**ROW, "colour": None}, "/rows/1/colour", "null cannot be taken"),
        ({**ROW, "colour": ["red"]}, "/rows/1/colour", "['red']"),
        ({**ROW, "flag": 1}, "/rows/1/flag", "allowed: false, true"),
        ({**ROW, "size/cm": True}, "/rows/1/size~1cm", "true cannot be taken"),
        ({**ROW, "size/cm": "1"}, "/rows/1/size~1cm", "allowed: 1.0, 2.5"),
        ({**ROW, "size/cm": float("inf")}, "/rows/1/size~1cm", "allowed: 1.0, 2.5"),
        ({**ROW, "age": "50"}, "/rows/1/age", "'50' cannot be taken; allowed: a finite number"),
        ({**ROW, "age": True}, "/rows/1/age", "a finite number"),
        ({**ROW, "age": None}, "/rows/1/age", "a finite number"),
        ({**ROW, "age": float("nan")}, "/rows/1/age", "a finite number"),
        ({**ROW, "age": float("inf")}, "/rows/1/age", "a finite number"),
        ({**ROW, "age": 10**400}, "/rows/1/age", "a finite number"),
        ({**ROW, "age": "\ud800"}, "/rows/1/age", "a finite number"),
        ({"colour": "red", "flag": True, "size/cm": 1}, "/rows/1/age", "column 'age': is missing"),
        ([50, "red"], "/rows/0", "every row"),
        (7, "/rows/0", "every row"),
    ],
)
def test_a_row_that_cannot_be_taken_is_named(row: Any, pointer: str, words: str) -> None:
    with pytest.raises(BadData) as refused:
        TRANSFORM.apply([ROW, row])
    assert words in refused.value.detail
    assert refused.value.errors[0].pointer == pointer
    refused.value.detail.encode()
    strict_json.encode([refused.value.errors[0].value, refused.value.errors[0].allowed])


def test_a_list_names_its_place_and_its_length() -> None:
    with pytest.raises(BadData, match="column 'colour'") as refused:
        TRANSFORM.apply([[50, 7, True, 1]])
    assert refused.value.errors[0].pointer == "/rows/0/1"
    with pytest.raises(BadData, match="'3 values' cannot be taken; allowed: 4 values, in order: age, colour"):
        TRANSFORM.apply([[50, "red", True]])


def test_many_levels_are_not_all_listed() -> None:
    feature = OneHot("a", "integer", tuple(range(1000)))
    assert len(feature.allowed) == 21
    assert "980 more" in feature.allowed[-1]


def test_it_survives_json() -> None:
    text = strict_json.encode(TRANSFORM.to_json()).replace("1.0,2.5", "1,2.5")
    restored = Transform.from_json(strict_json.decode(text))
    assert restored == TRANSFORM
    assert [type(level) for level in restored.features[3].levels] == [float, float]  # type: ignore[union-attr]


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format 3"):
        Transform.from_json({**TRANSFORM.to_json(), "format": 3})


def test_format_1_is_read() -> None:
    old = {
        "format": 1,
        "features": [
            {"name": "age", "shift": 40.0, "scale": 10.0},
            {"name": "colour", "kind": "text", "levels": ["blue", "green", "red"]},
        ],
        "target": {
            "name": "y",
            "kind": "text",
            "task": "binary",
            "outputs": 1,
            "classes": ["no", "yes"],
            "shift": 0.0,
            "scale": 1.0,
        },
        "precision": "float32",
    }
    assert Transform.from_json(old) == Transform(TRANSFORM.features[:2], TRANSFORM.target, "float32")


LABELS = [
    (("no", "yes"), "text", ("no", "yes")),
    (("one", "three", "two"), "text", ("one", "three", "two")),
    ((1.0, 2.0), "float", ("1.0", "2.0")),
    ((False, True), "boolean", ("false", "true")),
    ((-1, 1), "integer", ("-1", "1")),
]


@pytest.mark.parametrize(("classes", "kind", "keys"), LABELS)
def test_a_class_is_the_label_as_uploaded(classes: tuple[Any, ...], kind: Any, keys: tuple[str, ...]) -> None:
    outputs = 1 if len(classes) == 2 else len(classes)
    task = "binary" if outputs == 1 else "multiclass"
    target = Target(task, outputs, (TargetColumn("y", kind, classes),))  # type: ignore[arg-type]
    rows = np.array([[0.25], [0.75]], np.float32) if outputs == 1 else np.eye(3, dtype=np.float32)[[0, 1]]
    first, second = target.decode(rows)
    assert (first["class"], second["class"]) == classes[:2]
    assert (type(first["class"]), type(second["class"])) == (type(classes[0]), type(classes[1]))
    assert tuple(first["probabilities"]) == keys
    if outputs == 1:
        assert first["probabilities"] == {keys[0]: 0.75, keys[1]: 0.25}


def test_one_half_is_the_first_class_as_in_the_accuracy() -> None:
    assert TRANSFORM.outputs(np.array([[0.5], [0.5001]]))[0]["class"] == "no"
    assert TRANSFORM.outputs(np.array([[0.5], [0.5001]]))[1]["class"] == "yes"


def test_outputs_that_are_no_distribution_are_read_as_one() -> None:
    target = Target("multiclass", 3, (TargetColumn("y", "text", ("a", "b", "c")),))
    mixed, nothing = target.decode(np.array([[-0.5, 0.5, 1.5], [-1.0, -2.0, -3.0]]))
    assert mixed == {"class": "c", "probabilities": {"a": 0.0, "b": 1 / 3, "c": 2 / 3}}
    assert nothing["class"] == "a"
    assert sum(nothing["probabilities"].values()) == pytest.approx(1)


def test_a_value_is_in_the_targets_own_units() -> None:
    target = regression(shift=150.0, scale=20.0)
    assert target.decode(np.array([[0.0], [-1.5]], np.float32)) == [{"value": 150.0}, {"value": 120.0}]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_null(value: float) -> None:
    rows = np.array([[value], [0.25]], np.float32)
    assert TRANSFORM.outputs(rows)[0] == {"class": None, "probabilities": {"no": None, "yes": None}}
    assert TRANSFORM.outputs(rows)[1]["class"] == "no"
    assert regression().decode(rows) == [{"value": None}, {"value": 0.25}]
    assert regression(scale=1e300).decode(np.array([[1e38]])) == [{"value": None}]


def test_huge_numbers_do_not_break() -> None:
    transform = Transform((Numeric("x", 0.0, 1e-3),), TRANSFORM.target, "float32")
    assert transform.apply([[1e38], [-1e308], [3]]).tolist() == [[np.inf], [-np.inf], [3000.0]]


def test_uploaded_labels_reach_predictions(data_room: DataRoom) -> None:
    dataset, _ = data_room.add(b"x,y\n" + b"1,1.0\n2,2.0\n" * 10)
    prepared = data_room.prepare(dataset)
    answer = strict_json.encode(prepared.transform.outputs(np.array([[0.9]], np.float32))[0]["class"])
    assert answer == "2.0"


def test_ten_thousand_rows_take_well_under_a_tenth_of_a_second() -> None:
    features = tuple(Numeric(f"x{number}", 0.5, 2.0) for number in range(20))
    transform = Transform((*features, COLOUR), TRANSFORM.target, "float32")
    rows = [[*numbers, "red"] for numbers in np.random.default_rng(1).random((10_000, 20)).tolist()]
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        transform.outputs(transform.apply(rows)[:, :1])
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1
