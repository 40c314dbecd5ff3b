"""Files that no record names: what a killed writer left, swept when it is old and its lease is over.

A file exists only through a record (Redis commits, disk follows), and deleting goes record first; so what is found
here without a record was never committed, or is deleted already. Knows which record names which file, and no more.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from service import strict_json
from service.artifacts import Artifacts
from service.errors import Unavailable
from service.store import Store, key

log = structlog.get_logger()

OLD_S = 3600.0


class Leftovers:
    """The artifact store held against the records.

    Units: `old_s` in seconds: younger files may belong to somebody who has not recorded them yet.
    """

    def __init__(self, store: Store, artifacts: Artifacts, *, old_s: float = OLD_S) -> None:
        self._store = store
        self._artifacts = artifacts
        self._old_s = old_s

    def sweep(self) -> list[str]:
        """Delete every old file that no record names; answers their paths.

        Raises: StoreUnavailable.
        """
        named: dict[str, Callable[[list[str]], bool]] = {
            "checkpoints": self._checkpoint_named,
            "models": self._model_named,
            "datasets": self._dataset_named,
        }
        swept = []
        for folder, is_named in named.items():
            for path in self._artifacts.older_than(folder, self._old_s):
                if self._try_to_sweep(path, is_named):
                    swept.append(path)
        return swept

    def _try_to_sweep(self, path: str, is_named: Callable[[list[str]], bool]) -> bool:
        """What somebody else has put here must not keep what comes after it."""
        try:
            if is_named(path.split("/")):
                return False
            self._artifacts.delete(path)
        except Unavailable:
            raise
        except Exception:
            log.exception("a file cannot be swept", path=path)
            return False
        return True

    def _checkpoint_named(self, parts: list[str]) -> bool:
        """`checkpoints/<job>/<token>-….safetensors`: the newest, one that is kept, or of the lease that writes."""
        checkpoint, token = self._fields("job", parts[1], "checkpoint", "token")
        kept = self._store.command("LRANGE", key("job", parts[1], "checkpoints"), 0, -1)
        named = {strict_json.decode(text)["path"] for text in (checkpoint, *kept) if text}
        return "/".join(parts) in named or bool(token and parts[2].startswith(token))

    def _model_named(self, parts: list[str]) -> bool:
        """`models/<job>/<token>.safetensors`: a model's, or of the lease that writes now."""
        (token,) = self._fields("job", parts[1], "token")
        return bool(token and parts[2].startswith(token)) or bool(
            self._store.command("HEXISTS", key("model-files"), "/".join(parts))
        )

    def _dataset_named(self, parts: list[str]) -> bool:
        """`datasets/<id>/columns.parquet` while the record is there, `…/prepared/<name>/…` when recorded."""
        (document,) = self._fields("dataset", parts[1], "document")
        if parts[2] != "prepared" or document is None:
            return document is not None
        references = self._store.command("HVALS", key("dataset", parts[1], "prepared"))
        return "/".join(parts[:4]) in {strict_json.decode(text)["folder"] for text in references}

    def _fields(self, kind: str, record: str, *names: str) -> list[str | None]:
        found: list[str | None] = self._store.command("HMGET", key(kind, record), *names)
        return found
