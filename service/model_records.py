"""The records of models: JSON documents under an id; `Queue.succeed` makes them. Knows nothing of weights.

A tenant may give its models names (`ModelAliases`), and may then call them by these wherever it says which model.
What has the form of an id is one; no alias has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service import strict_json
from service.cursors import DEFAULT_LIMIT, Page
from service.dataset_records import list_documents
from service.errors import DeltaqError, InvalidRequest, ModelNotFound
from service.ids import is_id
from service.names import check_name
from service.refusals import unknown_model
from service.store import Store, served
from service.timestamps import now

Document = dict[str, Any]

WORDS = ("aliases",)  # what stands in the API's paths where an alias could


class ModelRecords:
    """The model records of all tenants."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, tenant: str, model: str) -> Document:
        """One model, by id or alias. Raises: ModelNotFound."""
        return self._document("get_model", tenant, model)

    def list(self, tenant: str, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Document]:
        """The tenant's models, newest first. Raises: InvalidRequest naming `cursor` or `limit`."""
        return list_documents(self._store, "list_models", tenant, cursor, limit)

    def delete(self, tenant: str, model: str) -> Document:
        """Forget a model; returns what it was, whose files may go now.

        Raises: ModelNotFound; InUse while it has an alias, which is named.
        """
        return self._document("delete_model", tenant, model)

    def delete_unnamed(self, tenant: str, models: Sequence[str]) -> Sequence[Document]:
        """Forget those of these models that have no alias and that no other job has taken, in one trip.

        Returns what they were. Raises: StoreUnavailable.
        """
        asked: list[dict[str, str | int]] = [{"tenant": tenant, "model": model, "unless_taken": 1} for model in models]
        answers = served(self._store.run_all("delete_model", asked))
        return [strict_json.decode(answer[0]) for answer in answers if not isinstance(answer, DeltaqError) and answer]

    def _document(self, script: str, tenant: str, model: str) -> Document:
        document: Document = strict_json.decode(self._store.run(script, tenant=tenant, **_named(model))[0])
        return document


class ModelAliases:
    """The names that tenants have given to their models, each tenant its own."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def set(self, tenant: str, name: str, model: str) -> tuple[Document, bool]:
        """Give a model (named by id, or by another alias) this alias, or move the alias there, in one step.

        Returns the alias, and whether it is new.
        Raises: InvalidRequest naming `name` or `model`.
        """
        check_name(name, "a model", "model", taken=WORDS, error=InvalidRequest)
        quoted = strict_json.encode(name)
        try:
            created, text = self._store.run(
                "set_alias", tenant=tenant, name=name, quoted=quoted, at=now(), **_named(model)
            )
        except ModelNotFound:
            raise unknown_model(strict_json.printable(model)) from None
        return strict_json.decode(text), created == 1

    def list(self, tenant: str, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Document]:
        """The tenant's aliases, the newest first. Raises: InvalidRequest naming `cursor` or `limit`."""
        return list_documents(self._store, "list_aliases", tenant, cursor, limit)

    def delete(self, tenant: str, name: str) -> None:
        """Take an alias away; its model stays. Raises: AliasNotFound."""
        self._store.run("delete_alias", tenant=tenant, name=strict_json.printable(name))


def _named(model: str) -> dict[str, str]:
    """How a step is told which model is meant."""
    return {"model": model} if is_id("model", model) else {"alias": strict_json.printable(model)}
