"""Aliases of models: one step gives and moves them, each tenant has its own, and what has one stays."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.errors import AliasNotFound, InUse, InvalidRequest, ModelNotFound
from service.ids import new_id
from service.model_records import ModelAliases
from service.store import Store
from tests.service.rooms import Rooms


@pytest.fixture
def aliases(store: Store) -> ModelAliases:
    return ModelAliases(store)


@pytest.fixture
def two(rooms: Rooms) -> tuple[str, str]:
    """Two models."""
    return rooms.succeed(rooms.start()), rooms.succeed(rooms.start())


def test_an_alias_stands_for_its_model_and_moves(rooms: Rooms, aliases: ModelAliases, two: tuple[str, str]) -> None:
    first, second = two
    made, created = aliases.set("ada", "production", first)
    assert (made["name"], made["model_id"], created) == ("production", first, True)
    assert rooms.models.get("ada", "production")["id"] == first
    assert aliases.set("ada", "production", first) == (made, False)
    moved, created = aliases.set("ada", "production", second)
    assert (moved["model_id"], created) == (second, False)
    assert rooms.models.get("ada", "production")["id"] == second
    assert aliases.list("ada").items == [moved]


def test_a_model_may_be_named_by_another_alias(rooms: Rooms, aliases: ModelAliases, two: tuple[str, str]) -> None:
    aliases.set("ada", "staging", two[0])
    assert aliases.set("ada", "production", "staging")[0]["model_id"] == two[0]
    aliases.set("ada", "staging", two[1])
    assert rooms.models.get("ada", "production")["id"] == two[0]


def test_a_model_with_an_alias_is_not_deleted(rooms: Rooms, aliases: ModelAliases, two: tuple[str, str]) -> None:
    first, second = two
    aliases.set("ada", "production", first)
    aliases.set("ada", "best", first)
    for named in (first, "production"):
        with pytest.raises(InUse, match=f"model {first} has the alias 'best', 'production': move it"):
            rooms.models.delete("ada", named)
    aliases.set("ada", "production", second)
    aliases.delete("ada", "best")
    rooms.models.delete("ada", first)
    with pytest.raises(InUse, match="'production'"):
        rooms.models.delete("ada", second)


def test_what_is_gone_is_named(rooms: Rooms, aliases: ModelAliases, two: tuple[str, str]) -> None:
    aliases.set("ada", "production", two[0])
    aliases.delete("ada", "production")
    assert aliases.list("ada").items == []
    with pytest.raises(ModelNotFound, match="there is no model 'production'"):
        rooms.models.get("ada", "production")
    for name in ("production", "never", "\ud800"):
        with pytest.raises(AliasNotFound, match="there is no alias"):
            aliases.delete("ada", name)
    for model in ("never", new_id("model"), "\ud800"):
        with pytest.raises(InvalidRequest, match="allowed is the id or an alias"):
            aliases.set("ada", "production", model)
    assert aliases.list("ada").items == []
    rooms.models.delete("ada", two[0])


def test_aliases_are_each_tenants_own(rooms: Rooms, aliases: ModelAliases, two: tuple[str, str]) -> None:
    aliases.set("ada", "production", two[0])
    with pytest.raises(ModelNotFound):
        rooms.models.get("bob", "production")
    with pytest.raises(InvalidRequest, match="does not exist"):
        aliases.set("bob", "production", two[0])
    with pytest.raises(AliasNotFound):
        aliases.delete("bob", "production")
    assert aliases.list("bob").items == []


@pytest.mark.parametrize(
    "name", ["", " a", "a ", ".a", "a/b", "a\\b", "a\n", "x" * 201, "aliases", "model-aaaaaaaaaaaaaaaaaaaa"]
)
def test_a_name_that_could_not_be_told_is_refused(aliases: ModelAliases, two: tuple[str, str], name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot name a model; allowed: 1 to 200") as refused:
        aliases.set("ada", name, two[0])
    assert [error.pointer for error in refused.value.errors] == ["/name"]


@pytest.mark.parametrize("name", ["production", "v1.2", "a:b%c", 'Größe "x"', "job-aaaaaaaaaaaaaaaaaaaa", "日本"])
def test_any_other_name_is_taken(rooms: Rooms, aliases: ModelAliases, two: tuple[str, str], name: str) -> None:
    assert aliases.set("ada", name, two[0])[0]["name"] == name
    assert rooms.models.get("ada", name)["id"] == two[0]
    assert [one["name"] for one in aliases.list("ada").items] == [name]


def test_they_are_listed_the_newest_first_wherever_they_move(aliases: ModelAliases, two: tuple[str, str]) -> None:
    names = [f"name {number}" for number in range(5)]
    for name in names:
        aliases.set("ada", name, two[0])
    page = aliases.list("ada", limit=2)
    aliases.set("ada", names[1], two[1])
    seen = page.items + aliases.list("ada", cursor=page.next_cursor, limit=3).items
    assert [one["name"] for one in seen] == names[::-1]


def test_whoever_asks_while_it_moves_gets_one_or_the_other(
    rooms: Rooms, aliases: ModelAliases, two: tuple[str, str]
) -> None:
    aliases.set("ada", "production", two[0])
    moved = threading.Event()

    def ask() -> set[str]:
        found = set()
        while not moved.is_set():
            found.add(rooms.models.get("ada", "production")["id"])
        return found

    with ThreadPoolExecutor(2) as threads:
        asking = [threads.submit(ask) for _ in range(2)]
        for turn in range(100):
            aliases.set("ada", "production", two[turn % 2])
        moved.set()
    assert set().union(*(one.result() for one in asking)) <= set(two)
    assert [bool(rooms.store.command("SCARD", f"deltaq:model:{model}:aliases")) for model in two] == [False, True]
