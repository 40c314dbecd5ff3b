"""A store, and the rooms over it, on the real Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.store import Store
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
