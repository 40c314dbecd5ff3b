"""Split, fit and arrays: right, the same for all, whoever came first and whatever was killed."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyarrow import parquet

from service.artifacts import Artifacts
from service.builtin import install_builtins
from service.dataset_records import DatasetRecords
from service.datasets import Dataset
from service.errors import DataMissing, StoreUnavailable
from service.features import Numeric
from service.fitting import fit_scale
from service.partition import allot, part_rows, partition
from service.preparation import prepare
from service.preparation_plan import Plan
from service.redis_server import RedisServer
from service.resolution import resolve
from service.spec import DataSpec, JobSpec
from service.store import Store
from service.uploads import delete_dataset
from tests.service.data_room import DataRoom, builtin_dataset
from workers.datafiles import NAMES, MappedData


def raw(room: DataRoom, dataset: Dataset) -> pa.Table:
    return parquet.read_table(io.BytesIO(room.artifacts.read(dataset.path)))


def there(arrays: MappedData) -> dict[str, NDArray[Any]]:
    """The arrays that there are, by name."""
    return {name: array for name, array in vars(arrays).items() if array is not None}


@pytest.fixture
def wine(data_room: DataRoom) -> Dataset:
    return next(made for made in install_builtins(data_room.records, data_room.artifacts) if made.name == "wine")


class TestArrays:
    def test_numbers_are_standardised_on_the_training_part_alone(self, data_room: DataRoom, wine: Dataset) -> None:
        arrays = data_room.prepare(wine, {"network": {"precision": "float64"}}).open()
        np.testing.assert_allclose(arrays.x_train.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(arrays.x_train.std(axis=0), 1, rtol=1e-12)
        assert np.abs(arrays.x_validation.mean(axis=0)).max() > 1e-3

    def test_every_row_is_in_one_part_and_keeps_its_target(self, data_room: DataRoom, wine: Dataset) -> None:
        prepared = data_room.prepare(wine, {"data": {"scale": "none"}, "network": {"precision": "float64"}})
        arrays, table = prepared.open(), raw(data_room, wine)
        labels = np.concatenate((arrays.y_train, arrays.y_validation)).argmax(axis=-1)
        found = [
            (*row, wine.classes[label])
            for row, label in zip(
                np.concatenate((arrays.x_train, arrays.x_validation)).tolist(), labels.tolist(), strict=True
            )
        ]
        assert Counter(found) == Counter(tuple(row.values()) for row in table.to_pylist())

    def test_a_transform_of_raw_rows_gives_the_bits_of_training(self, data_room: DataRoom) -> None:
        body = "x,kind,flag,y\n" + "".join(
            f"{row / 7},{'abc'[row % 3]},{str(row % 2 == 0).lower()},{row % 2}\n" for row in range(50)
        )
        dataset, _ = data_room.add(body.encode())
        prepared = data_room.prepare(dataset, {"data": {"validation_fraction": 0.0}})
        rows = [[row["x"], row["kind"], row["flag"]] for row in raw(data_room, dataset).to_pylist()]
        assert prepared.transform.apply(rows).tobytes() == prepared.open().x_train.tobytes()

    def test_the_precision_is_the_jobs(self, data_room: DataRoom, wine: Dataset) -> None:
        single = data_room.prepare(wine).open()
        double = data_room.prepare(wine, {"network": {"precision": "float64"}}).open()
        assert {array.dtype for array in there(single).values()} == {np.dtype(np.float32)}
        assert {array.dtype for array in there(double).values()} == {np.dtype(np.float64)}
        np.testing.assert_array_equal(double.x_train.astype(np.float32), single.x_train)

    def test_they_are_mapped_read_only(self, data_room: DataRoom, wine: Dataset) -> None:
        arrays = data_room.prepare(wine).open()
        for array in there(arrays).values():
            assert isinstance(array, np.memmap)
            assert array.flags.c_contiguous
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0

    def test_xor_trains_on_all_four_rows(self, data_room: DataRoom) -> None:
        xor = install_builtins(data_room.records, data_room.artifacts)[-1]
        arrays = data_room.prepare(xor).open()
        assert arrays.x_train.tolist() == [[-1, -1], [-1, 1], [1, -1], [1, 1]]
        assert arrays.y_train.tolist() == [[0], [1], [1], [0]]
        assert arrays.x_validation.shape == (0, 2)

    @pytest.mark.parametrize(
        ("spec", "expected"),
        [
            ({}, [[0.0], [1.0]]),
            ({"loss": "squared_error"}, [[0.0], [1.0]]),
            ({"loss": "cross_entropy"}, [[1.0, 0.0], [0.0, 1.0]]),
            ({"data": {"task": "multiclass"}}, [[1.0, 0.0], [0.0, 1.0]]),
        ],
    )
    def test_targets_of_classes(self, data_room: DataRoom, spec: dict[str, Any], expected: list[Any]) -> None:
        dataset, _ = data_room.add(b"x,y\n1,no\n2,yes\n")
        assert data_room.prepare(dataset, spec).open().y_train.tolist() == expected

    def test_a_regression_is_scaled_and_answered_in_its_own_units(self, data_room: DataRoom) -> None:
        body = "x,y\n" + "".join(f"{row},{100 + row * 0.5}\n" for row in range(40))
        dataset, _ = data_room.add(body.encode())
        prepared = data_room.prepare(dataset, {"network": {"precision": "float64"}})
        y = prepared.open().y_train
        assert y.mean() == pytest.approx(0, abs=1e-12)
        assert y.std() == pytest.approx(1)
        values = [answer["value"] for answer in prepared.transform.outputs(y)]
        assert all(100 <= value < 120 and value * 2 == pytest.approx(round(value * 2)) for value in values)

    def test_minmax_and_constant_columns(self, data_room: DataRoom) -> None:
        body = "a,b,y\n" + "".join(f"{row},0.1,{row % 2}\n" for row in range(10))
        dataset, _ = data_room.add(body.encode())
        for scale in ("minmax", "standard"):
            prepared = data_room.prepare(dataset, {"data": {"scale": scale}})
            x = prepared.open().x_train
            assert (x[:, 1] == 0).all()
            assert prepared.transform.features[1] == Numeric("b", 0.1, 1.0)
        assert (x[:, 0].min(), x[:, 0].max()) == pytest.approx((-1.5667, 1.5667), abs=1e-4)
        assert data_room.prepare(dataset, {"data": {"scale": "minmax"}}).open().x_train[:, 0].tolist() == pytest.approx(
            [row / 9 for row in range(10)]
        )

    def test_levels_of_all_rows_are_inputs(self, data_room: DataRoom) -> None:
        body = "a,y\n" + "".join(f"{'rare' if row == 29 else 'common'},{row % 2}\n" for row in range(30))
        dataset, _ = data_room.add(body.encode())
        for seed in range(4):  # in whichever part the rare one falls
            prepared = data_room.prepare(dataset, {"data": {"split_seed": seed}})
            assert prepared.transform.inputs == 2

    def test_other_columns_and_targets_of_the_same_data(self, data_room: DataRoom) -> None:
        dataset, _ = data_room.add(b"a,b,y\n1,5,0\n2,6,1\n3,7,1\n")
        spec = {
            "data": {"target": "b", "features": ["y"], "task": "regression", "scale": "none", "scale_target": "none"}
        }
        arrays = data_room.prepare(dataset, spec).open()
        assert arrays.x_train.tolist() == [[0], [1], [1]]
        assert arrays.y_train.tolist() == [[5], [6], [7]]


class TestOnceForAll:
    def test_the_second_finds_the_first_ones(self, data_room: DataRoom, wine: Dataset) -> None:
        first = data_room.prepare(wine)
        before = data_room.files()
        assert data_room.prepare(wine, {"epochs": 7, "seed": 3, "batch_size": 8}) == first
        assert data_room.files() == before

    @pytest.mark.parametrize(
        "change",
        [
            {"split_seed": 1},
            {"scale": "minmax"},
            {"validation_fraction": 0.3},
            {"stratify": False},
            {"features": ["hue"]},
        ],
    )
    def test_what_changes_a_bit_changes_the_name(self, change: dict[str, Any]) -> None:
        dataset = builtin_dataset("wine")
        plain, other = (
            resolve(JobSpec.model_validate({"dataset": "wine", "data": data}), dataset).spec for data in ({}, change)
        )
        assert Plan(plain, dataset).key != Plan(other, dataset).key

    def test_two_at_once_get_the_same(self, data_room: DataRoom, wine: Dataset) -> None:
        start, found = threading.Barrier(3), []

        def work() -> None:
            start.wait()
            found.append(data_room.prepare(wine))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [found[0]] * 3
        assert sum(path.endswith("transform.json") for path in data_room.files()) == 1
        assert not list(data_room.settings.cache_path.glob("*"))

    def test_one_that_was_killed_is_no_hindrance(
        self, data_room: DataRoom, wine: Dataset, redis_server: RedisServer
    ) -> None:
        killed = subprocess.run([sys.executable, "-c", KILLED, redis_server.url, str(data_room.folder)], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert any("prepared" in path for path in data_room.files())
        arrays = data_room.prepare(wine).open()
        assert len(arrays.x_train) + len(arrays.x_validation) == wine.rows

    def test_a_store_elsewhere_is_copied_once_into_the_cache(self, data_room: DataRoom) -> None:
        elsewhere = Artifacts("memory://prepared")
        iris = next(made for made in install_builtins(data_room.records, elsewhere) if made.name == "iris")
        spec = resolve(JobSpec(dataset="iris"), iris).spec
        prepared = prepare(spec, iris, elsewhere, data_room.records, data_room.settings.cache_path)
        first = prepared.open()
        copies = sorted(path.name for path in data_room.settings.cache_path.glob("*.npy"))
        assert [name.rpartition("--")[2] for name in copies] == [f"{name}.npy" for name in sorted(NAMES)]
        elsewhere.delete_folder(prepared.files.folder)
        np.testing.assert_array_equal(prepared.open().x_train, first.x_train)

    def test_a_data_set_without_its_file_is_missing(self, data_room: DataRoom, wine: Dataset) -> None:
        data_room.artifacts.delete(wine.path)
        with pytest.raises(DataMissing, match=f"{wine.id} \\('wine'\\) is gone"):
            data_room.prepare(wine)
        assert not any("prepared" in path for path in data_room.files())

    @pytest.mark.parametrize("lost", ["transform.json", "x_train.npy", "y_validation.npy", ""])
    def test_what_is_lost_is_built_again_with_the_same_bits(
        self, data_room: DataRoom, wine: Dataset, lost: str
    ) -> None:
        first = data_room.prepare(wine)
        before = first.open()
        if lost:
            data_room.artifacts.delete(f"{first.files.folder}/{lost}")
        else:
            data_room.artifacts.delete_folder(first.files.folder)
        second = data_room.prepare(wine)
        assert second.files.folder != first.files.folder
        assert second.transform == first.transform
        for name, array in there(second.open()).items():
            assert array.tobytes() == there(before)[name].tobytes()
        assert data_room.prepare(wine) == second

    def test_what_is_swept_before_it_is_recorded_is_built_again(
        self, data_room: DataRoom, wine: Dataset, store: Store
    ) -> None:
        losing = Losing(store, data_room.artifacts, times=1)
        data_room.records = losing
        prepared = data_room.prepare(wine)
        assert losing.times == 0
        assert len(prepared.open().x_train) == 142

    def test_a_store_that_keeps_nothing_is_unavailable(self, data_room: DataRoom, wine: Dataset, store: Store) -> None:
        data_room.records = Losing(store, data_room.artifacts, times=1000)
        with pytest.raises(StoreUnavailable, match=f"data set {wine.id} was lost 3 times"):
            data_room.prepare(wine)

    def test_a_data_set_deleted_while_it_is_prepared_is_missing(self, data_room: DataRoom) -> None:
        dataset, _ = data_room.add(b"x,y\n" + b"1,0\n2,1\n" * 10)
        calls = 0

        def delete_on_the_way() -> None:
            nonlocal calls
            calls += 1
            if calls == 5:
                delete_dataset(data_room.records, data_room.artifacts, data_room.tenant, dataset.id)

        with pytest.raises(DataMissing, match=dataset.id):
            data_room.prepare(dataset, check=delete_on_the_way)
        assert calls > 5
        assert data_room.files() == set()

    def test_a_check_may_break_it_off_between_any_two_pieces(self, data_room: DataRoom, wine: Dataset) -> None:
        before = data_room.files()
        calls = count_checks(data_room, wine, {"data": {"split_seed": 1}})
        assert calls > 2 * len(wine.columns)  # each is fitted, then encoded
        kept = data_room.files()
        assert len(kept - before) == 5
        for allowed in (0, 1, len(wine.columns), calls - 2, calls - 1):
            with pytest.raises(KeyboardInterrupt):
                count_checks(data_room, wine, allowed=allowed)
            assert data_room.files() == kept
        assert not list(data_room.settings.cache_path.glob("*"))
        assert count_checks(data_room, wine) == calls


class Losing(DatasetRecords):
    """Records under which the files of a preparation are swept just before it is recorded, so many times."""

    def __init__(self, store: Store, artifacts: Artifacts, times: int) -> None:
        super().__init__(store)
        self.times = times
        self._artifacts = artifacts

    def record_prepared(self, dataset_id: str, preparation: str, reference: Mapping[str, Any]) -> dict[str, Any]:
        if self.times:
            self.times -= 1
            self._artifacts.delete_folder(reference["folder"])
        return super().record_prepared(dataset_id, preparation, reference)


def count_checks(
    room: DataRoom, dataset: Dataset, spec: Mapping[str, Any] | None = None, *, allowed: int = 1 << 30
) -> int:
    """Prepare, and count how often it asked whether to go on; after so many as allowed it is broken off."""
    calls = 0

    def check() -> None:
        nonlocal calls
        if calls == allowed:
            raise KeyboardInterrupt
        calls += 1

    room.prepare(dataset, spec, check)
    return calls


KILLED = """
import os, signal, sys
from pathlib import Path
from service.artifacts import Artifacts
from service.store import Store
from tests.service import data_room

class Dying(Artifacts):
    def write(self, path, content):
        if path.endswith("transform.json"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().write(path, content)

room = data_room.DataRoom(Store(sys.argv[1]), Path(sys.argv[2]))
room.artifacts = Dying(room.settings.artifacts_url)
room.prepare(data_room.Dataset.from_document(room.records.find("ada", "wine")))
"""


class TestPartition:
    def test_it_belongs_to_its_seed(self) -> None:
        parts = [partition(1000, 200, seed, None) for seed in (0, 0, 1)]
        np.testing.assert_array_equal(parts[0].validation, parts[1].validation)
        assert (parts[0].validation != parts[2].validation).any()

    def test_strata_keep_their_proportions(self) -> None:
        classes = np.array([0] * 50 + [1] * 40 + [2] * 9 + [3])
        parts = partition(100, 20, 0, classes)
        assert np.bincount(classes[parts.validation], minlength=4).tolist() == [10, 8, 2, 0]

    @given(
        st.lists(st.integers(1, 50), min_size=2, max_size=8),
        st.floats(0, 1, exclude_max=True),
        st.booleans(),
        st.integers(0, 2**63 - 1),
    )
    def test_parts_have_the_rows_that_were_said(
        self, counts: list[int], fraction: float, stratify: bool, seed: int
    ) -> None:
        classes = np.repeat(np.arange(len(counts)), counts)
        rows = len(classes)
        spec = DataSpec(validation_fraction=fraction, stratify=stratify)
        train_rows, validation_rows = part_rows(rows, spec, len(counts))
        parts = partition(rows, validation_rows, seed, classes if stratify else None)
        assert (len(parts.train), len(parts.validation)) == (train_rows, validation_rows)
        assert sorted([*parts.train, *parts.validation]) == list(range(rows))
        assert train_rows >= 1
        if stratify:
            assert len(np.unique(classes[parts.train])) == len(counts)

    @given(st.lists(st.integers(1, 1000), min_size=1, max_size=20), st.floats(0, 1))
    def test_shares_are_within_one_of_exact_where_there_is_room(self, counts: list[int], fraction: float) -> None:
        sizes: NDArray[np.int64] = np.array(counts)
        total = int(fraction * (sizes.sum() - len(counts)))
        taken = allot(total, sizes)
        assert taken.sum() == total
        assert (taken < sizes).all()
        exact = total * sizes / sizes.sum()
        assert ((taken > exact - 1) | (taken == sizes - 1)).all()


class TestFit:
    def test_large_numbers_keep_their_deviation(self) -> None:
        values = 1e9 + np.arange(1000, dtype=np.float64)
        shift, scale = fit_scale(values, "standard")
        assert shift == pytest.approx(1e9 + 499.5, rel=1e-15)
        assert scale == pytest.approx(288.674990, rel=1e-8)

    @pytest.mark.parametrize("value", [0.1, 1e30, -3.3, 0.0])
    @pytest.mark.parametrize("scale", ["standard", "minmax"])
    def test_one_value_alone_keeps_scale_one(self, value: float, scale: str) -> None:
        assert fit_scale(np.full(7, value), scale) == (value, 1.0)

    def test_nothing_is_scaled_where_nothing_is_asked(self) -> None:
        assert fit_scale(np.array([1.0, 5.0]), "none") == (0.0, 1.0)


def test_a_class_that_only_validates_is_a_warning(data_room: DataRoom) -> None:
    body = "x,y\n" + "".join(f"{row},{'rare' if row == 0 else 'ab'[row % 2]}\n" for row in range(40))
    dataset, _ = data_room.add(body.encode())
    said = [
        data_room.prepare(dataset, {"data": {"split_seed": seed, "stratify": False}}).warnings for seed in range(12)
    ]
    assert ["1 class(es) of target 'y' have no row in training: 'rare'"] in said
    assert data_room.prepare(dataset).warnings == []


def test_folders_left_by_the_killed_are_swept(data_room: DataRoom, wine: Dataset) -> None:
    cache = data_room.settings.cache_path
    old, new = cache / ".preparing-old", cache / ".preparing-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
        Path(folder, "x_train.npy").write_bytes(b"x")
    os.utime(old, (0, 0))
    data_room.prepare(wine)
    assert not old.exists()
    assert new.exists()
