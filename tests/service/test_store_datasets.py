"""Data set records: names, owners, preparations."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.errors import DatasetNotFound, DuplicateName, InUse
from service.ids import new_id
from tests.service.rooms import Rooms


def document(name: str, tenant: str | None = "ada") -> dict[str, Any]:
    return {"id": new_id("ds"), "tenant": tenant, "name": name, "rows": 3}


def test_the_same_data_under_the_same_name_is_the_same_data_set(rooms: Rooms) -> None:
    first, created = rooms.datasets.create(document("d"), "identity")
    again, created_again = rooms.datasets.create(document("d"), "identity")
    assert (created, created_again) == (True, False)
    assert again == first
    with pytest.raises(DuplicateName, match=f"'d' is taken by data set {first['id']}"):
        rooms.datasets.create(document("d"), "other")
    other_name, _ = rooms.datasets.create(document("e"), "identity")
    assert other_name["id"] != first["id"]
    _, created = rooms.datasets.create(document("d", tenant="bob"), "other")
    assert created


def test_uploads_side_by_side_make_one_data_set(rooms: Rooms) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: rooms.datasets.create(document("d"), "identity"), range(20)))
    assert len({one["id"] for one, _ in made}) == 1
    assert sum(created for _, created in made) == 1


def test_built_in_data_sets_are_everybodys_and_stay(rooms: Rooms) -> None:
    digits, _ = rooms.datasets.create(document("digits", tenant=None), "v1")
    for tenant in ("ada", "bob"):
        assert rooms.datasets.get(tenant, digits["id"]) == rooms.datasets.find(tenant, "digits") == digits
        assert digits in rooms.datasets.list(tenant).items
        with pytest.raises(InUse, match="built in"):
            rooms.datasets.delete(tenant, digits["id"])
        with pytest.raises(DuplicateName):
            rooms.datasets.create(document("digits", tenant=tenant), "v1")


def test_found_by_id_and_by_name_even_when_the_name_looks_like_an_id(rooms: Rooms) -> None:
    odd = new_id("ds")
    named, _ = rooms.datasets.create(document(odd), "identity")
    assert rooms.datasets.find("ada", odd) == rooms.datasets.find("ada", named["id"]) == named
    for missing in ("nothing", new_id("ds"), "", "\ud800", "ds-*"):
        with pytest.raises(DatasetNotFound):
            rooms.datasets.find("ada", missing)
        with pytest.raises(DatasetNotFound):
            rooms.datasets.get("ada", missing)


def test_another_tenants_data_set_is_not_found(rooms: Rooms) -> None:
    mine, _ = rooms.datasets.create(document("mine"), "identity")
    for verb in (rooms.datasets.get, rooms.datasets.find, rooms.datasets.delete):
        with pytest.raises(DatasetNotFound, match=mine["id"]):
            verb("bob", mine["id"])
    with pytest.raises(DatasetNotFound):
        rooms.datasets.find("bob", "mine")
    assert rooms.datasets.list("bob").items == []
    assert rooms.datasets.get("ada", mine["id"]) == mine


def test_deleting_frees_the_name_and_tells_which_files_may_go(rooms: Rooms) -> None:
    first, _ = rooms.datasets.create(document("d"), "identity")
    rooms.datasets.record_prepared(first["id"], "split 0", {"path": "a"})
    deleted = rooms.datasets.delete("ada", first["id"])
    assert (deleted.document, deleted.prepared) == (first, [{"path": "a"}])
    with pytest.raises(DatasetNotFound):
        rooms.datasets.record_prepared(first["id"], "split 0", {"path": "b"})
    with pytest.raises(DatasetNotFound):
        rooms.datasets.find("ada", "d")
    second, created = rooms.datasets.create(document("d"), "other")
    assert created
    assert second["id"] != first["id"]
    assert rooms.datasets.prepared(second["id"], "split 0") is None


def test_the_first_preparation_recorded_holds(rooms: Rooms) -> None:
    made, _ = rooms.datasets.create(document("d"), "identity")
    assert rooms.datasets.prepared(made["id"], "split 0") is None
    assert rooms.datasets.record_prepared(made["id"], "split 0", {"path": "a"}) == {"path": "a"}
    assert rooms.datasets.record_prepared(made["id"], "split 0", {"path": "b"}) == {"path": "a"}
    assert rooms.datasets.prepared(made["id"], "split 0") == {"path": "a"}


def test_only_the_preparation_that_was_lost_is_forgotten(rooms: Rooms) -> None:
    made, _ = rooms.datasets.create(document("d"), "identity")
    lost, kept = {"path": "a", "format": 1}, {"path": "b", "format": 1}
    assert not rooms.datasets.forget_prepared(made["id"], "split 0", lost)
    rooms.datasets.record_prepared(made["id"], "split 0", lost)
    rooms.datasets.record_prepared(made["id"], "split 1", lost)
    assert not rooms.datasets.forget_prepared(made["id"], "split 0", kept)
    assert rooms.datasets.forget_prepared(made["id"], "split 0", lost)
    assert rooms.datasets.record_prepared(made["id"], "split 0", kept) == kept
    assert not rooms.datasets.forget_prepared(made["id"], "split 0", lost)  # the same, twice or late
    assert rooms.datasets.prepared(made["id"], "split 0") == kept
    assert rooms.datasets.prepared(made["id"], "split 1") == lost


def test_the_list_joins_ones_own_and_everybodys_newest_first(rooms: Rooms) -> None:
    owners = ["ada", None, "ada", "bob", None, "ada", "ada"]
    made = [rooms.datasets.create(document(f"d{number}", owner), "i")[0] for number, owner in enumerate(owners)]
    seen, cursor = [], None
    while True:
        page = rooms.datasets.list("ada", cursor=cursor, limit=2)
        seen += [one["id"] for one in page.items]
        if (cursor := page.next_cursor) is None:
            break
    visible = [one["id"] for one in made if one["tenant"] != "bob"]
    assert seen == [*visible[::-1], rooms.dataset.id]
