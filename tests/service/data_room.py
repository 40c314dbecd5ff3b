"""The data room on real parts: a folder of artifacts, the records in Redis, uploads of any bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from service import strict_json
from service.artifacts import Artifacts
from service.builtin import make_builtin
from service.dataset_records import DatasetRecords
from service.datasets import Dataset
from service.ingest import answer
from service.ingest_columns import describe
from service.ingest_process import REFUSALS
from service.preparation import PreparedData, prepare
from service.resolution import resolve
from service.settings import Settings
from service.spec import JobSpec
from service.spool import Spool
from service.store import Store
from service.uploads import FORMATS, add_dataset, described

CSV, PARQUET, NPZ = "text/csv", "application/vnd.apache.parquet", "application/x-npz"


class DataRoom:
    """What uploads meet, seen by one tenant."""

    tenant = "ada"

    def __init__(self, store: Store, folder: Path) -> None:
        self.folder = folder
        self.records = DatasetRecords(store)
        self.settings = Settings(data_dir=folder, max_upload_bytes=64 << 20, max_expanded_bytes=256 << 20)
        self.artifacts = Artifacts(self.settings.artifacts_url)

    def add(
        self,
        body: bytes,
        name: str = "given",
        *,
        target: str = "y",
        content_type: str = CSV,
        columns: Mapping[str, str] | None = None,
    ) -> tuple[Dataset, bool]:
        with Spool(self.settings.data_dir / "uploads") as upload:
            for piece in (body[:7], body[7:]):
                upload.write(piece)
            return add_dataset(
                self.records,
                self.artifacts,
                self.settings,
                tenant=self.tenant,
                name=name,
                target=target,
                form=FORMATS[content_type],
                upload=upload,
                columns=columns,
            )

    def prepare(
        self,
        dataset: Dataset,
        spec: Mapping[str, Any] | None = None,
        check: Callable[[], None] = lambda: None,
        *,
        validation: Dataset | None = None,
        **plan: Any,
    ) -> PreparedData:
        asked = JobSpec.model_validate({"dataset": dataset.name, **(spec or {})})
        resolved, cache = resolve(asked, dataset, validation).spec, self.settings.cache_path
        return prepare(resolved, dataset, self.artifacts, self.records, cache, check, validation=validation, **plan)

    def add_table(self, columns: Mapping[str, Any], name: str = "given", **given: Any) -> Dataset:
        """Upload columns as Parquet; None is a missing value."""
        return self.add(parquet_bytes(pa.table(dict(columns))), name, content_type=PARQUET, **given)[0]

    def files(self) -> set[str]:
        """Every file below the data directory."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}


def read(
    folder: Path, body: bytes, *, form: str = "csv", target: str = "y", columns: Mapping[str, str] | None = None
) -> Dataset:
    """What the reader finds in an upload, in this process: a child takes half a second to start.

    Raises: BadData with the reader's words, TooLarge.
    """
    source = folder / "upload"
    source.write_bytes(body)
    order = {
        "source": str(source),
        "parsed": str(folder / "parsed"),
        "format": form,
        "target": target,
        "overrides": columns or {},
        "limits": {"expanded_bytes": 64 << 20},
    }
    found = strict_json.decode(strict_json.encode(answer(order)))
    if "refused" in found:
        raise REFUSALS[found["refused"]["kind"]](found["refused"]["detail"])
    return described(found["found"], "ds-" + "a" * 20, "ada", "given", "0" * 64, columns or {})


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=True, **arrays)
    return file.getvalue()


def parquet_bytes(table: pa.Table) -> bytes:
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def table_dataset(columns: Mapping[str, Any], target: str = "y", overrides: Mapping[str, str] | None = None) -> Dataset:
    """The record of columns in memory."""
    found, _ = describe(pa.table(dict(columns)), target, overrides or {})
    return described(found.to_document(), "ds-" + "a" * 20, "ada", "given", "0" * 64, overrides or {})


@cache
def builtin_dataset(name: str) -> Dataset:
    return make_builtin(name)[0]
