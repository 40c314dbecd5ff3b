"""The life of a data set: names, identity, deletion, the record, the preview."""

from __future__ import annotations

import threading

import pytest

from service.dataset_records import DatasetRecords
from service.datasets import Column, Dataset
from service.errors import BadData, DataMissing, DatasetNotFound, DuplicateName
from service.store import Store
from service.uploads import check_overrides, delete_dataset, preview
from tests.service.data_room import DataRoom, table_dataset

BODY = b"x,kind,y\n1.5,red,yes\n,blue,no\n3,,yes\n"


def test_an_upload_is_a_data_set(data_room: DataRoom) -> None:
    dataset, created = data_room.add(BODY, "flowers in May")
    assert created
    assert dataset.rows == 3
    assert dataset.task == "binary"
    assert dataset.classes == ("no", "yes")
    assert dataset.columns == (
        Column("x", "numeric", "float", missing=1, distinct=2, levels=(1.5, 3.0), rarest=1, minimum=1.5, maximum=3.0),
        Column("kind", "categorical", "text", missing=1, distinct=2, levels=("blue", "red"), rarest=1),
        Column("y", "categorical", "text", distinct=2, levels=("no", "yes"), rarest=1),
    )
    assert Dataset.from_document(data_room.records.find(data_room.tenant, "flowers in May")) == dataset
    assert preview(dataset, data_room.artifacts, rows=2) == {
        "columns": ["x", "kind", "y"],
        "rows": [[1.5, "red", "yes"], [None, "blue", "no"]],
    }
    assert data_room.files() == {f"artifacts/{dataset.path}"}


def test_what_users_see_has_no_levels_and_no_path(data_room: DataRoom) -> None:
    shown = data_room.add(BODY)[0].public()
    assert shown["columns"][0] == {
        "name": "x", "type": "numeric", "missing": 1, "distinct": 2, "minimum": 1.5, "maximum": 3.0
    }  # fmt: skip
    assert set(shown) == {
        *("id", "name", "rows", "columns", "target", "task", "classes", "warnings", "sha256", "created_at", "builtin")
    }


def test_the_same_upload_again_is_the_same_data_set(data_room: DataRoom) -> None:
    first, _ = data_room.add(BODY)
    again, created = data_room.add(BODY)
    assert (again, created) == (first, False)
    assert data_room.files() == {f"artifacts/{first.path}"}


@pytest.mark.parametrize(
    "other",
    [
        {"body": BODY + b"4,red,no\n"},
        {"body": BODY, "target": "kind"},
        {"body": BODY, "columns": {"x": "ignore"}},
    ],
    ids=["bytes", "target", "columns"],
)
def test_a_name_holds_one_data_set(data_room: DataRoom, other: dict[str, object]) -> None:
    data_room.add(BODY, "d1")
    with pytest.raises(DuplicateName, match="d1"):
        data_room.add(name="d1", **other)  # type: ignore[arg-type]
    assert data_room.add(BODY, "d2")[1]


def test_a_race_for_a_name_has_one_winner(data_room: DataRoom) -> None:
    bodies = [BODY, BODY, BODY + b"4,red,no\n"]
    start = threading.Barrier(len(bodies))
    outcomes: list[object] = []

    def upload(body: bytes) -> None:
        start.wait()
        try:
            outcomes.append(data_room.add(body, "d1")[0].id)
        except DuplicateName:
            outcomes.append("taken")

    threads = [threading.Thread(target=upload, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = data_room.records.find(data_room.tenant, "d1")
    assert len(outcomes) == len(bodies)
    assert set(outcomes) == {kept["id"], "taken"}
    assert data_room.files() == {f"artifacts/{kept['path']}"}


def test_a_deleted_name_is_free_and_nothing_old_meets_new_bytes(data_room: DataRoom) -> None:
    old, _ = data_room.add(b"x,y\n" + b"1,0\n2,1\n" * 10, "d1")
    trained = data_room.prepare(old)
    delete_dataset(data_room.records, data_room.artifacts, data_room.tenant, old.id)
    assert data_room.files() == set()
    new, created = data_room.add(b"x,y\n" + b"7,0\n9,1\n" * 10, "d1")
    assert created
    assert new.id != old.id
    with pytest.raises(DatasetNotFound, match=old.id):
        data_room.records.get(data_room.tenant, old.id)
    with pytest.raises(DataMissing, match=old.id):
        data_room.prepare(old)
    assert trained.transform.apply([[1.5]]).tolist() == [[0.0]]  # a model of it goes on by its own transform


NAMES = [
    "",
    " ",
    "a/b",
    "../../x",
    "C:\\x",
    ".hidden",
    " a",
    "a ",
    "a\x00b",
    "a\nb",
    "x" * 4000,
    "\ud800",
    "ds-" + "a" * 20,
]


@pytest.mark.parametrize("name", NAMES)
def test_some_names_are_refused(data_room: DataRoom, name: str) -> None:
    with pytest.raises(BadData, match="allowed: 1 to 200 printable") as refused:
        data_room.add(BODY, name)
    assert refused.value.errors[0].pointer == "/name"
    refused.value.detail.encode()
    assert data_room.files() == set()


@pytest.mark.parametrize("name", ["*", "a:b", "deltaq:jobs:ada", "%2e%2e", "Blumen im März", "x" * 200, "花"])
def test_other_names_are_only_names(data_room: DataRoom, store: Store, name: str) -> None:
    before = set(store.command("KEYS", "*"))
    dataset, _ = data_room.add(BODY, name)
    assert data_room.records.find(data_room.tenant, name)["id"] == dataset.id
    made = set(store.command("KEYS", "*")) - before
    assert (
        made
        == {
            *(f"deltaq:dataset:{dataset.id}", "deltaq:dataset-names:ada", "deltaq:datasets:ada", "deltaq:sequence"),
        }
        - before
    )
    assert data_room.files() == {f"artifacts/{dataset.path}"}


def test_what_breaks_off_leaves_nothing(data_room: DataRoom) -> None:
    with pytest.raises(BadData):
        data_room.add(b"x,y\n1\n", "d1")
    with pytest.raises(DatasetNotFound):
        data_room.records.find(data_room.tenant, "d1")
    assert data_room.files() == set()
    assert data_room.add(BODY, "d1")[1]


def test_an_unknown_column_type_names_what_is_allowed() -> None:
    with pytest.raises(BadData, match="'date' is no type for 'x'; allowed: numeric, categorical, ignore"):
        check_overrides({"x": "date"})


def test_labels_keep_their_type_through_any_json() -> None:
    dataset = table_dataset({"x": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 1.0]})
    document = dataset.to_document()
    document["classes"] = [1, 2]  # what a writer makes of 1.0 that knows one kind of number
    restored = Dataset.from_document(document)
    assert restored == dataset
    assert [type(label) for label in restored.classes] == [float, float]


def test_another_tenants_data_set_is_not_there(data_room: DataRoom) -> None:
    dataset, _ = data_room.add(BODY)
    records: DatasetRecords = data_room.records
    with pytest.raises(DatasetNotFound):
        delete_dataset(records, data_room.artifacts, "bob", dataset.id)
    assert data_room.files() == {f"artifacts/{dataset.path}"}
