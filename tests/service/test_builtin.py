"""The built-in data sets: what scikit-learn has, installed once, without importing it."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet
from sklearn import datasets as sklearn_datasets

from service.builtin import BUILTIN, builtin_id, install_builtins, make_builtin
from service.datasets import Dataset
from service.errors import DuplicateName, InUse
from service.ids import is_id
from service.uploads import delete_dataset
from tests.service.data_room import DataRoom

LOADERS = {
    "digits": sklearn_datasets.load_digits,
    "iris": sklearn_datasets.load_iris,
    "wine": sklearn_datasets.load_wine,
    "breast_cancer": sklearn_datasets.load_breast_cancer,
    "diabetes": lambda: sklearn_datasets.load_diabetes(scaled=False),
}


@pytest.mark.parametrize("name", LOADERS)
def test_they_are_scikit_learns(name: str) -> None:
    dataset, table = make_builtin(name)
    bunch: Any = LOADERS[name]()
    features = [column.name for column in dataset.columns if column.name != dataset.target]
    values = np.column_stack([table.column(feature).to_numpy() for feature in features])
    np.testing.assert_array_equal(values, bunch.data)
    expected = bunch.target if name in ("digits", "diabetes") else bunch.target_names[bunch.target]
    assert table.column(dataset.target).to_pylist() == expected.tolist()


@pytest.mark.parametrize(
    ("name", "task", "classes"),
    [
        ("digits", "multiclass", tuple(range(10))),
        ("iris", "multiclass", ("setosa", "versicolor", "virginica")),
        ("wine", "multiclass", ("class_0", "class_1", "class_2")),
        ("breast_cancer", "binary", ("benign", "malignant")),
        ("diabetes", "regression", ()),
        ("xor", "binary", (0, 1)),
    ],
)
def test_their_tasks_and_classes(name: str, task: str, classes: tuple[Any, ...]) -> None:
    dataset, _ = make_builtin(name)
    assert (dataset.task, dataset.classes) == (task, classes)


def test_xor_is_exclusive_or() -> None:
    _, table = make_builtin("xor")
    assert all(row["y"] == row["x1"] ^ row["x2"] for row in table.to_pylist())
    assert table.num_rows == 4


def test_digits_names_its_three_constant_columns() -> None:
    dataset, _ = make_builtin("digits")
    assert [column.name for column in dataset.columns if column.constant] == ["pixel_0_0", "pixel_4_0", "pixel_4_7"]
    assert any("3 column(s) hold one value" in warning for warning in dataset.warnings)


def test_installing_is_repeatable(data_room: DataRoom) -> None:
    first = install_builtins(data_room.records, data_room.artifacts)
    assert [dataset.name for dataset in first] == list(BUILTIN)
    assert install_builtins(data_room.records, data_room.artifacts) == first
    for dataset in first:
        assert dataset.id == builtin_id(dataset.name)
        assert is_id("ds", dataset.id)
        assert Dataset.from_document(data_room.records.find("anybody", dataset.name)) == dataset
        with data_room.artifacts.open(dataset.path) as file:
            assert parquet.ParquetFile(file).metadata.num_rows == dataset.rows


def test_many_processes_may_install_at_once(data_room: DataRoom) -> None:
    installed: list[list[Dataset]] = []
    start = threading.Barrier(3)

    def install() -> None:
        start.wait()
        installed.append(install_builtins(data_room.records, data_room.artifacts))

    threads = [threading.Thread(target=install) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert installed == [installed[0]] * 3
    assert data_room.files() == {f"artifacts/{dataset.path}" for dataset in installed[0]}


def test_lost_files_come_back(data_room: DataRoom) -> None:
    digits = install_builtins(data_room.records, data_room.artifacts)[0]
    data_room.artifacts.delete(digits.path)
    assert install_builtins(data_room.records, data_room.artifacts)[0] == digits
    assert data_room.artifacts.exists(digits.path)


def test_their_names_are_everybodys_and_they_stay(data_room: DataRoom) -> None:
    digits = install_builtins(data_room.records, data_room.artifacts)[0]
    with pytest.raises(DuplicateName):
        data_room.add(b"x,y\n1,0\n2,1\n", "digits")
    with pytest.raises(InUse):
        delete_dataset(data_room.records, data_room.artifacts, data_room.tenant, digits.id)
    assert data_room.artifacts.exists(digits.path)


def test_scikit_learn_and_arrow_stay_out_of_the_run_path() -> None:
    """Installing imports no scikit-learn; resolving, predicting and adding need no Arrow in their own process."""
    call = (
        "import sys; import service.uploads, service.resolution, service.transform; "
        "assert not {'pyarrow', 'sklearn', 'ray'} & set(sys.modules), 'heavy'; "
        "import service.builtin, service.preparation; service.builtin.make_builtin('iris'); "
        "assert not {'sklearn', 'ray'} & set(sys.modules), 'scikit-learn'"
    )
    subprocess.run([sys.executable, "-c", call], check=True)
