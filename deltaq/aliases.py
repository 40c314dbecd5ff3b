"""The names that models have been given, as a collection. Knows the API's paths alone."""

from __future__ import annotations

from collections.abc import Iterator

from deltaq.connection import Connection
from deltaq.listing import address, items
from deltaq.records import Alias


class Aliases:
    """`client.aliases`: set, list, delete. `client.model` takes an alias as it takes an id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __iter__(self) -> Iterator[Alias]:
        """Every alias, the newest first."""
        return self.list()

    def list(self, limit: int | None = None) -> Iterator[Alias]:
        """The newest aliases, at most `limit` of them."""
        return map(Alias.read, items(self._connection, address("models", "aliases"), limit=limit))

    def set(self, name: str, model: str) -> Alias:
        """Give a model, named by id or by another alias, this alias; one that there is moves, in one step.

        Raises: InvalidRequest naming what is no name, or no model.
        """
        path = address("models", "aliases", name)
        return Alias.read(self._connection.call("PUT", path, json={"model": model}))

    def delete(self, name: str) -> None:
        """Take an alias away; its model stays.

        Raises: NotFound.
        """
        self._connection.call("DELETE", address("models", "aliases", name))
