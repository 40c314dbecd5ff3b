"""Weights of rows and of classes: in the arrays, in the sums, and the same bits whoever computes which shard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight

from service.assembly import assemble
from service.datasets import Dataset
from service.errors import InvalidSpec, UnusableData
from service.resolution import Resolution, resolve
from service.spec import JobSpec
from service.training import Training
from tests.service.data_room import DataRoom, table_dataset
from tests.service.short_training import Unobserved
from tests.worker_process import Workers
from workers.shard_computer import Assignment, ShardComputer
from workers.transport import Transport
from workers.transport.local import LocalTransport

Array = NDArray[np.floating[Any]]

ROWS, BATCH, SHARDS, EPOCHS, RATE, MOMENTUM = 201, 100, 8, 3, 0.3, 0.9
SPEC: dict[str, Any] = {
    "dataset": "given",
    "data": {"validation_fraction": 0.0, "sample_weight": "w", "scale": "none", "class_weight": "balanced"},
    "network": {"hidden": [5], "activation": "tanh", "precision": "float64"},
    "optimizer": {"learning_rate": RATE, "momentum": MOMENTUM},
    "batch_size": BATCH,
    "shards": SHARDS,
    "epochs": EPOCHS,
    "shuffle": False,
}


class Silent(Unobserved):
    """Keeps the rows of metrics."""

    def __init__(self, after_step: Callable[[], None] = lambda: None) -> None:
        self.rows: list[dict[str, Any]] = []
        self._after_step = after_step

    def after_step(self) -> None:
        self._after_step()

    def after_epoch(self, row: dict[str, Any]) -> None:
        self.rows.append(row)


@pytest.fixture
def uneven(data_room: DataRoom) -> Dataset:
    """Of the first mini-batch one shard weighs nothing and another nearly all; the last one is a row of weight 0."""
    generator = np.random.default_rng(5)
    w = generator.uniform(0.5, 1.5, ROWS)
    w[37:50] = 0.0  # shard 3 of 8
    w[62:75] = 1e6  # shard 5
    w[-1] = 0.0
    x = generator.normal(size=(ROWS, 3))
    y = np.where(generator.random(ROWS) < 0.2, "rare", "common")
    return data_room.add_table({**{f"x{number}": x[:, number] for number in range(3)}, "w": w, "y": y})


def begin(
    room: DataRoom, dataset: Dataset, gang: Callable[[Assignment, bool], Transport] | None = None, **changes: Any
) -> Training:
    resolution = resolve(JobSpec.model_validate({**SPEC, **changes}), dataset)
    prepared = room.prepare(dataset, {**SPEC, **changes})

    return assemble(resolution, prepared, gang or (lambda assignment, _: LocalTransport(ShardComputer(assignment))))


def plainly(x: Array, y: Array, w: Array, start: Sequence[Array]) -> tuple[list[Array], list[float]]:
    """The same training in one process, a mini-batch at a time, as a page of a textbook has it."""
    W1, b1, W2, b2 = (array.copy() for array in start)
    velocity = [np.zeros_like(array) for array in (W1, b1, W2, b2)]
    losses = []
    for _ in range(EPOCHS):
        loss = 0.0
        for first in range(0, ROWS, BATCH):
            xs, ys, ws = x[first : first + BATCH], y[first : first + BATCH], w[first : first + BATCH, None]
            a = np.tanh(xs @ W1 + b1)
            z = a @ W2 + b2
            loss += float((ws * (np.logaddexp(0, z) - ys * z)).sum())
            if not ws.sum():
                continue
            delta2 = ws * (1 / (1 + np.exp(-z)) - ys)
            delta1 = (delta2 @ W2.T) * (1 - a * a)
            gradients = (xs.T @ delta1, delta1.sum(axis=0), a.T @ delta2, delta2.sum(axis=0))
            for parameter, v, gradient in zip((W1, b1, W2, b2), velocity, gradients, strict=True):
                v[...] = MOMENTUM * v + gradient / ws.sum()
                parameter -= RATE * v
        losses.append(loss / w.sum())
    return [W1, b1, W2, b2], losses


@pytest.mark.parametrize("count", [1, 2, 4])
def test_shards_that_weigh_unequally_train_as_one_process_does(
    data_room: DataRoom, uneven: Dataset, workers: Workers, count: int
) -> None:
    training = begin(data_room, uneven, lambda assignment, _: workers.gang(assignment, count))
    start = [array.copy() for array in training.server.parameters.named().values()]
    arrays, observer = data_room.prepare(uneven, SPEC).open(), Silent()
    training.run(observer)
    assert arrays.w_train is not None
    expected, losses = plainly(arrays.x_train, arrays.y_train, arrays.w_train, start)
    for found, wanted in zip(training.server.parameters.named().values(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    assert [row["train_loss"] for row in observer.rows] == pytest.approx(losses, abs=1e-12)
    alone = begin(data_room, uneven)
    alone.run(Silent())
    assert training.server.parameters.sha256() == alone.server.parameters.sha256()


def test_a_mini_batch_that_weighs_nothing_changes_nothing(
    data_room: DataRoom, uneven: Dataset, workers: Workers
) -> None:
    training = begin(data_room, uneven, lambda assignment, _: workers.gang(assignment, 2))
    kept: list[bytes] = []

    def remember() -> None:
        arrays = (training.server.parameters.flat, *training.server.optimizer_state)
        kept.append(b"".join(array.tobytes() for array in arrays))

    training.run(Silent(remember))
    assert len(kept) == 3 * EPOCHS
    for epoch in range(EPOCHS):
        first, second, third = kept[3 * epoch : 3 * epoch + 3]
        assert first != second == third


def test_the_arrays_hold_sample_weight_times_class_weight(data_room: DataRoom) -> None:
    columns = {
        "x": range(40),
        "w": [0.5 * row for row in range(40)],
        "y": ["b" if row % 4 else "a" for row in range(40)],
    }
    dataset = data_room.add_table(columns)
    data = {"sample_weight": "w", "class_weight": {"a": 3.0}, "scale": "none"}
    arrays = data_room.prepare(dataset, {"data": data}).open()
    assert arrays.w_train is not None
    assert arrays.w_validation is not None
    by_class = np.where(arrays.x_train[:, 0] % 4 == 0, 3.0, 1.0)
    np.testing.assert_array_equal(arrays.w_train, 0.5 * arrays.x_train[:, 0] * by_class)
    np.testing.assert_array_equal(arrays.w_validation, 0.5 * arrays.x_validation[:, 0])  # of classes they know nothing
    assert arrays.w_train.shape == (32,)
    assert arrays.w_train.dtype == np.float32


def test_balanced_is_scikit_learns_on_the_training_part(data_room: DataRoom) -> None:
    y = ["a"] * 50 + ["b"] * 8 + ["c"] * 3
    dataset = data_room.add_table({"x": range(61), "y": y})
    prepared = data_room.prepare(dataset, {"data": {"class_weight": "balanced"}, "network": {"precision": "float64"}})
    arrays = prepared.open()
    assert arrays.w_train is not None
    assert arrays.w_validation is None
    numbers = arrays.y_train.argmax(axis=-1)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=numbers)
    np.testing.assert_allclose(arrays.w_train, expected[numbers], rtol=1e-15)


def test_without_weights_there_are_no_arrays_of_them(data_room: DataRoom) -> None:
    dataset = data_room.add_table({"x": range(30), "y": [row % 2 for row in range(30)]})
    arrays = data_room.prepare(dataset).open()
    assert (arrays.w_train, arrays.w_validation) == (None, None)


def test_validation_is_a_mean_by_sample_weight(data_room: DataRoom) -> None:
    generator = np.random.default_rng(2)
    columns = {"x": generator.normal(size=60), "w": generator.integers(0, 5, 60).astype(float)}
    dataset = data_room.add_table({**columns, "y": np.where(columns["x"] + generator.normal(size=60) > 0, 1, 0)})
    changes: dict[str, Any] = {"data": {**SPEC["data"], "validation_fraction": 0.4}, "batch_size": 12, "shards": 1}
    training = begin(data_room, dataset, **changes)
    observer = Silent()
    training.run(observer)
    arrays = data_room.prepare(dataset, {**SPEC, **changes}).open()
    W1, b1, W2, b2 = training.server.parameters.named().values()
    z = np.tanh(arrays.x_validation @ W1 + b1) @ W2 + b2
    losses = (np.logaddexp(0, z) - arrays.y_validation * z)[:, 0]
    assert arrays.w_validation is not None
    right = (z[:, 0] > 0) == (arrays.y_validation[:, 0] > 0.5)
    assert observer.rows[-1]["validation_loss"] == pytest.approx(np.average(losses, weights=arrays.w_validation))
    assert observer.rows[-1]["validation_accuracy"] == pytest.approx(np.average(right, weights=arrays.w_validation))


@pytest.mark.parametrize("part", ["training", "validation"])
def test_a_part_that_weighs_nothing_cannot_be_used(data_room: DataRoom, part: str) -> None:
    w = [0.0 if (row < 5) == (part == "training") else 1.0 for row in range(10)]
    dataset = data_room.add_table({"x": range(10), "w": w, "y": [0, 1] * 5})
    data = {"sample_weight": "w", "order_by": "x", "validation_fraction": 0.5}
    with pytest.raises(UnusableData, match=rf"5 row\(s\) of the {part} part weighs 0"):
        data_room.prepare(dataset, {"data": data})
    assert not any("prepared" in path for path in data_room.files())


WEIGHED = table_dataset(
    {
        "x": [1.5, 2.5, 3.5],
        "w": [1.0, 0.0, 2.0],
        "below": [1.0, -0.5, 2.0],
        "gap": [1.0, None, 2.0],
        "zero": [0.0, 0.0, 0.0],
        "huge": [1e39, 1.0, 1.0],
        "word": ["a", "b", "a"],
        "truth": [True, False, True],
        "v": [0.5, 1.5, 2.5],
        "y": ["no/1", "yes", "no/1"],
    }
)


def resolved(**data: Any) -> Resolution:
    return resolve(JobSpec.model_validate({"dataset": "given", "data": {"features": ["x"], **data}}), WEIGHED)


@pytest.mark.parametrize(
    ("data", "pointer", "words"),
    [
        ({"sample_weight": "none"}, "/data/sample_weight", "no column 'none'"),
        ({"sample_weight": "y"}, "/data/sample_weight", "'y' is the target"),
        ({"sample_weight": "word"}, "/data/sample_weight", "'word' is categorical"),
        ({"sample_weight": "truth"}, "/data/sample_weight", "'truth' is boolean"),
        ({"sample_weight": "below"}, "/data/sample_weight", "'below' holds -0.5"),
        ({"sample_weight": "gap"}, "/data/sample_weight", "no value in 1 row"),
        ({"sample_weight": "zero"}, "/data/sample_weight", "is 0 in every row"),
        ({"sample_weight": "huge"}, "/data/sample_weight", "holds 1e+39"),
        ({"sample_weight": "x"}, "/data/features/0", "'x' is the sample weight"),
        ({"class_weight": {"maybe": 2.0}}, "/data/class_weight/maybe", "no class 'maybe'; allowed: no/1, yes"),
        ({"class_weight": {"no/2": 2.0}}, "/data/class_weight/no~12", "no class 'no/2'"),
        ({"class_weight": {"no/1": 0.0, "yes": 0.0}}, "/data/class_weight", "every class weighs 0"),
        ({"class_weight": "balanced", "target": "v"}, "/data/class_weight", "a regression has no classes"),
    ],
)
def test_weights_that_make_no_sense_are_refused(data: dict[str, Any], pointer: str, words: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        resolved(**data)
    assert refused.value.errors[0].pointer == pointer
    assert words in refused.value.detail


def test_the_weight_is_no_feature() -> None:
    found = resolved(sample_weight="w", features=None, missing="mean")
    assert "w" not in (found.spec.data.features or ())
    assert resolved(features=None, missing="mean").inputs == found.inputs + 1


def test_labels_that_are_no_text_are_named_as_json_has_them(data_room: DataRoom) -> None:
    dataset = data_room.add_table({"x": [1, 2, 3, 4], "y": [True, False, True, True]})
    arrays = data_room.prepare(dataset, {"data": {"class_weight": {"false": 5}, "scale": "none"}}).open()
    assert arrays.w_train is not None
    assert arrays.w_train.tolist() == [1, 5, 1, 1]
