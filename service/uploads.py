"""The life of a data set: added from an upload, previewed, deleted. Knows not how bytes are parsed.

Nothing of an upload is kept but what its record names: its bytes lie in a file without a name (`service.spool`), the
columns go to the artifact store under the new id, and the record, written last, makes the data set exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service import strict_json
from service.artifacts import Artifacts
from service.dataset_records import DatasetRecords
from service.datasets import Column, Dataset, identity
from service.disk_room import require_room
from service.errors import BadData, DatasetNotFound, DeltaqError, FieldError, StoreUnavailable
from service.ids import new_id
from service.ingest_process import Limits, ingest
from service.names import check_name, shortened
from service.refusals import refusal
from service.settings import Settings
from service.spool import Spool
from service.timestamps import now

FORMATS: Mapping[str, str] = {  # by media type
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/x-npz": "npz",
}
OVERRIDES = ("numeric", "categorical", "ignore")


def check_room(artifacts: Artifacts, settings: Settings) -> None:
    """Return while there is room for an upload: where it is spooled, and where its columns are kept.

    Raises: NoRoom; StoreUnavailable.
    """
    require_room(settings.data_dir, settings.min_free, "the data directory")
    artifacts.check_room()


def add_dataset(
    records: DatasetRecords,
    artifacts: Artifacts,
    settings: Settings,
    *,
    tenant: str,
    name: str,
    target: str,
    form: str,
    upload: Spool,
    columns: Mapping[str, str] | None = None,
) -> tuple[Dataset, bool]:
    """Read an upload, of a form in FORMATS, and record it; the same again answers the one that is there, and False.

    Raises: BadData, TooLarge, DuplicateName, StoreUnavailable.
    """
    check_name(name)
    target, overrides = strict_json.printable(target), check_overrides(columns or {})
    known = _known(records, tenant, name, identity(upload.sha256, target, overrides))
    if known:
        return known, False
    limits = Limits(settings.max_expanded_bytes, settings.upload_time_limit_s)
    with upload.beside() as parsed:
        found = ingest(upload.file, parsed, form=form, target=target, overrides=overrides, limits=limits)
        dataset = described(found, new_id("ds"), tenant, name, upload.sha256, overrides)
        artifacts.write(dataset.path, parsed)
    return record(records, artifacts, dataset)


def described(
    found: Mapping[str, Any], dataset_id: str, tenant: str | None, name: str, sha256: str, overrides: Mapping[str, str]
) -> Dataset:
    """The data set that reading an upload found (`service.ingest_columns.Description`)."""
    return Dataset(
        id=dataset_id,
        tenant=tenant,
        name=name,
        rows=found["rows"],
        columns=tuple(Column.from_document(column) for column in found["columns"]),
        target=found["target"],
        task=found["task"],
        classes=tuple(found["classes"]),
        warnings=tuple(found["warnings"]),
        sha256=sha256,
        created_at=now(),
        path=f"datasets/{dataset_id}/columns.parquet",
        overrides=overrides,
    )


def record(records: DatasetRecords, artifacts: Artifacts, dataset: Dataset) -> tuple[Dataset, bool]:
    """Record a data set whose file is written; where another was first, the file goes away again.

    Raises: DuplicateName, StoreUnavailable.
    """
    try:
        document, created = records.create(dataset.to_document(), dataset.identity)
    except DeltaqError as error:
        if not isinstance(error, StoreUnavailable):  # a lost answer may have been a yes
            artifacts.delete_folder(f"datasets/{dataset.id}")
        raise
    kept = Dataset.from_document(document)
    if kept.id != dataset.id:
        artifacts.delete_folder(f"datasets/{dataset.id}")
    return kept, created


def delete_dataset(records: DatasetRecords, artifacts: Artifacts, tenant: str, dataset_id: str) -> None:
    """Forget a data set, then its files and what was prepared from it.

    Raises: DatasetNotFound, InUse, StoreUnavailable.
    """
    records.delete(tenant, dataset_id)
    artifacts.delete_folder(f"datasets/{dataset_id}")


def preview(dataset: Dataset, artifacts: Artifacts, rows: int = 20) -> dict[str, Any]:
    """The first rows as they are stored: `{"columns": [name …], "rows": [[value …] …]}`; a missing value is null."""
    from pyarrow import parquet  # heavy, and only a preview and the preparation of data need it

    with artifacts.open(dataset.path) as file:
        batch = next(parquet.ParquetFile(file).iter_batches(batch_size=rows))
    values = [column.to_pylist() for column in batch.columns]
    return {"columns": batch.schema.names, "rows": [list(row) for row in zip(*values, strict=True)]}


def check_overrides(columns: Mapping[str, Any]) -> dict[str, str]:
    """The column types asked for, each of them one that can be asked for.

    Raises: BadData.
    """
    for column, wanted in columns.items():
        if wanted not in OVERRIDES:
            named, value = shortened(column), shortened(str(wanted))
            error = FieldError(f"/columns/{named}", value, "no such column type", list(OVERRIDES))
            allowed = ", ".join(OVERRIDES)
            raise BadData(f"columns: {value!r} is no type for {named!r}; allowed: {allowed}", errors=[error])
    return {strict_json.printable(column): wanted for column, wanted in columns.items()}


def _known(records: DatasetRecords, tenant: str, name: str, wanted: str) -> Dataset | None:
    """The same upload, made before; asked early, so that nothing is parsed in vain."""
    try:
        found = Dataset.from_document(records.find(tenant, name))
    except DatasetNotFound:
        return None
    if found.identity == wanted and found.tenant == tenant:
        return found
    raise refusal("name_taken", name, found.id)
