"""The records of data sets: JSON documents under an id and a name. Knows nothing of their columns or bytes.

A document has at least `id`, `tenant` (null: built in, everybody's) and `name`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from service import strict_json
from service.cursors import DEFAULT_LIMIT, Page, check_limit, decode_cursor, encode_cursor
from service.errors import DatasetNotFound
from service.ids import is_id
from service.refusals import dataset_not_found
from service.store import Store, key

Document = dict[str, Any]


@dataclass(frozen=True)
class DeletedDataset:
    """A data set that has no record any more, and so what files of it may go."""

    document: Document
    prepared: list[Document]


class DatasetRecords:
    """The data set records of all tenants."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, document: Mapping[str, Any], identity: str) -> tuple[Document, bool]:
        """Add a data set; the same name and identity (of bytes, target and columns) give the one that is there.

        Returns the document that holds, and whether it was created now.
        Raises: DuplicateName when the name holds another identity, or is a built-in one's.
        """
        created, text = self._store.run(
            "create_dataset",
            dataset=document["id"],
            tenant=document["tenant"] or "",
            name=document["name"],
            identity=identity,
            document=strict_json.encode(dict(document)),
        )
        return strict_json.decode(text), created == 1

    def get(self, tenant: str, dataset_id: str) -> Document:
        """A data set by id: the tenant's own or a built-in one. Raises: DatasetNotFound."""
        if not is_id("ds", dataset_id):
            raise dataset_not_found(strict_json.printable(dataset_id))
        return self._one("find_dataset", tenant=tenant, dataset=dataset_id)

    def find(self, tenant: str, id_or_name: str) -> Document:
        """A data set by id or by name, as a spec names it. Raises: DatasetNotFound."""
        if is_id("ds", id_or_name):
            with suppress(DatasetNotFound):  # a name may look like an id
                return self.get(tenant, id_or_name)
        return self._one("find_dataset", tenant=tenant, name=strict_json.printable(id_or_name))

    def list(self, tenant: str, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Document]:
        """The tenant's data sets and the built-in ones, newest first.

        Raises: InvalidRequest naming `cursor` or `limit`.
        """
        return list_documents(self._store, "list_datasets", tenant, cursor, limit)

    def delete(self, tenant: str, dataset_id: str) -> DeletedDataset:
        """Forget a data set; its name is free again.

        Raises: DatasetNotFound; InUse while a live job uses it, and when it is built in.
        """
        if not is_id("ds", dataset_id):
            raise dataset_not_found(strict_json.printable(dataset_id))
        document, *prepared = self._store.run("delete_dataset", dataset=dataset_id, tenant=tenant)
        return DeletedDataset(strict_json.decode(document), [strict_json.decode(text) for text in prepared])

    def record_prepared(self, dataset_id: str, preparation: str, reference: Mapping[str, Any]) -> Document:
        """Record where a preparation lies; returns the reference that holds: the first one recorded.

        Raises: DatasetNotFound.
        """
        text = strict_json.encode(dict(reference))
        return self._one("record_prepared", dataset=dataset_id, preparation=preparation, reference=text)

    def prepared(self, dataset_id: str, preparation: str) -> Document | None:
        """The reference recorded for a preparation, if one is."""
        text = self._store.command("HGET", key("dataset", dataset_id, "prepared"), preparation)
        return None if text is None else strict_json.decode(text)

    def forget_prepared(self, dataset_id: str, preparation: str, reference: Mapping[str, Any]) -> bool:
        """Forget a reference whose files are lost; False where another one is recorded by now, or none."""
        text = strict_json.encode(dict(reference))
        (forgotten,) = self._store.run("forget_prepared", dataset=dataset_id, preparation=preparation, reference=text)
        return bool(forgotten == 1)

    def _one(self, script: str, **arguments: str) -> Document:
        document: Document = strict_json.decode(self._store.run(script, **arguments)[0])
        return document


def list_documents(store: Store, script: str, tenant: str, cursor: str | None, limit: int) -> Page[Document]:
    """One page of a list whose step answers sequence, document, sequence, document …"""
    scope = (script, tenant)
    before = "" if cursor is None else decode_cursor(cursor, scope)
    count = check_limit(limit)
    answer = store.run(script, tenant=tenant, before=before, count=count + 1)
    documents = [strict_json.decode(text) for text in answer[1::2]]
    following = encode_cursor(int(answer[2 * count - 2]), scope) if len(documents) > count else None
    return Page(documents[:count], following)
