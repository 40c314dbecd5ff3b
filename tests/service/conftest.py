"""A store, and the rooms over it, on the real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store import Store
from tests.service.data_room import DataRoom
from tests.service.rooms import Rooms


@pytest.fixture
def store(redis_url: str) -> Iterator[Store]:
    """A store on the real, empty Redis."""
    store = Store(redis_url)
    yield store
    store.close()


@pytest.fixture
def rooms(store: Store) -> Rooms:
    """The rooms of the store on the real, empty Redis."""
    return Rooms(store)


@pytest.fixture
def data_room(store: Store, tmp_path: Path) -> DataRoom:
    """The data room on the real, empty Redis and a folder of its own."""
    return DataRoom(store, tmp_path)
