"""The records of models: JSON documents under an id; `Queue.succeed` makes them. Knows nothing of weights."""

from __future__ import annotations

from typing import Any

from service import strict_json
from service.cursors import DEFAULT_LIMIT, Page
from service.dataset_records import list_documents
from service.ids import is_id
from service.refusals import model_not_found
from service.store import Store

Document = dict[str, Any]


class ModelRecords:
    """The model records of all tenants."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, tenant: str, model_id: str) -> Document:
        """One model. Raises: ModelNotFound."""
        return self._document("get_model", tenant, model_id)

    def list(self, tenant: str, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Document]:
        """The tenant's models, newest first. Raises: InvalidRequest naming `cursor` or `limit`."""
        return list_documents(self._store, "list_models", tenant, cursor, limit)

    def delete(self, tenant: str, model_id: str) -> Document:
        """Forget a model; returns what it was, whose files may go now. Raises: ModelNotFound."""
        return self._document("delete_model", tenant, model_id)

    def _document(self, script: str, tenant: str, model_id: str) -> Document:
        if not is_id("model", model_id):
            raise model_not_found(strict_json.printable(model_id))
        document: Document = strict_json.decode(self._store.run(script, model=model_id, tenant=tenant)[0])
        return document
