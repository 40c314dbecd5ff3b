"""The data sets of a service, as a collection. Knows the API's paths alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from deltaq.connection import Connection
from deltaq.listing import address, items
from deltaq.records import Dataset
from deltaq.strict_json import encode
from deltaq.upload import name_of, upload

_UPLOAD_S = 600.0  # the service reads and checks the whole of it before it answers


class Datasets:
    """`client.datasets`: add, list, get, delete."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __iter__(self) -> Iterator[Dataset]:
        """Every data set, the newest first."""
        return self.list()

    def list(self, limit: int | None = None) -> Iterator[Dataset]:
        """The newest data sets, at most `limit` of them."""
        return map(Dataset.read, items(self._connection, address("datasets"), limit=limit))

    def get(self, id_or_name: str) -> Dataset:
        """One data set."""
        return Dataset.read(self._connection.call("GET", address("datasets", id_or_name)))

    def add(
        self,
        source: Any,
        name: str | None = None,
        target: str | None = None,
        *,
        columns: Mapping[str, str] | None = None,
    ) -> Dataset:
        """Upload a path, a DataFrame or a pair (X, y); the same once more is the same data set.

        `name` is by default the file's, without its ending; frames and arrays have none. `target` names the column to
        learn; of a pair (X, y) it is y. `columns` overrides the types found: {name: numeric | categorical | ignore}.
        Raises: InvalidInput, InvalidRequest with column and row, Conflict where the name is taken, TooLarge.
        """
        content = upload(source, target)
        name = name or name_of(source)
        target = target or ("y" if isinstance(source, tuple) else None)
        document = self._connection.call(
            "POST",
            address("datasets"),
            params={"name": name, "target": target, "columns": encode(columns).decode() if columns else None},
            body=content.body,
            headers={
                "Content-Type": content.content_type,
                "Content-Length": str(content.size_bytes),
                "Idempotency-Key": str(uuid4()),
            },
            timeout_s=_UPLOAD_S,
        )
        return Dataset.read(document)

    def preview(self, id_or_name: str) -> Mapping[str, Any]:
        """The first rows of a data set, as the service shows them."""
        document: Mapping[str, Any] = self._connection.call("GET", address("datasets", id_or_name, "preview"))
        return document

    def delete(self, id_or_name: str) -> None:
        """Delete a data set.

        Raises: Conflict while a live job uses it.
        """
        self._connection.call("DELETE", address("datasets", id_or_name))
