"""Data sets: upload, list, show, preview, delete."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import orjson
from anyio import to_thread
from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api import schemas
from api.errors import UnsupportedMediaType
from api.openapi import problems
from api.parameters import Cursor, Limit
from api.render import page_json
from api.requests import Route, uploaded
from api.responses import JSONAnswer
from api.services import Services, Tenant, The
from service.cursors import DEFAULT_LIMIT
from service.datasets import Dataset
from service.errors import FieldError, InvalidRequest
from service.uploads import FORMATS, add_dataset, check_room, delete_dataset, preview

MAX_PREVIEW_ROWS = 100

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], route_class=Route)

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in FORMATS},
    }
}


@router.post(
    "",
    status_code=201,
    response_model=schemas.Dataset,
    responses={
        200: {"model": schemas.Dataset, "description": "The same name, target and bytes were there already"},
        **problems(409, 413, 415),
    },
    openapi_extra=_BODY,
)
async def upload(
    request: Request,
    services: The,
    tenant: Tenant,
    name: Annotated[str, Query(description="How jobs may call it")],
    target: Annotated[str, Query(description="The column to be learned")],
    columns: Annotated[
        str | None, Query(description="JSON `{column: numeric|categorical|ignore}`: overrides the types found")
    ] = None,
) -> Response:
    """Add a data set; the body is the file as it is."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in FORMATS:
        raise UnsupportedMediaType(f"Content-Type is {media_type[:100]!r}; allowed is one of {', '.join(FORMATS)}")
    overrides = _overrides(columns)
    settings = services.settings
    await run_in_threadpool(check_room, services.artifacts, settings)
    async with uploaded(request, settings.max_upload_bytes, settings.data_dir / "uploads") as spool:
        add = partial(
            add_dataset,
            services.datasets,
            services.artifacts,
            settings,
            tenant=tenant,
            name=name,
            target=target,
            form=FORMATS[media_type],
            upload=spool,
            columns=overrides,
        )
        dataset, created = await to_thread.run_sync(add, limiter=services.upload_limiter)
    return JSONAnswer(dataset.public(), 201 if created else 200, {"Location": f"/v1/datasets/{dataset.id}"})


@router.get("", response_model=schemas.List[schemas.Dataset], responses=problems())
def list_datasets(services: The, tenant: Tenant, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT) -> Response:
    """List data sets, the built-in ones too, newest first."""
    page = services.datasets.list(tenant, cursor=cursor, limit=limit)
    return JSONAnswer(page_json(page, lambda document: Dataset.from_document(document).public()))


@router.get("/{dataset}", response_model=schemas.Dataset, responses=problems(404))
def show(dataset: str, services: The, tenant: Tenant) -> Response:
    """Show a data set, by id or name."""
    return JSONAnswer(_find(services, tenant, dataset).public())


@router.get("/{dataset}/preview", response_model=schemas.Preview, responses=problems(404))
def show_preview(
    dataset: str,
    services: The,
    tenant: Tenant,
    rows: Annotated[int, Query(ge=1, le=MAX_PREVIEW_ROWS)] = 20,
) -> Response:
    """Show the first rows."""
    return JSONAnswer(preview(_find(services, tenant, dataset), services.artifacts, rows))


@router.delete("/{dataset}", status_code=204, responses=problems(404, 409))
def delete(dataset: str, services: The, tenant: Tenant) -> Response:
    """Delete a data set that no live job uses; its name is free again."""
    found = _find(services, tenant, dataset)
    delete_dataset(services.datasets, services.artifacts, tenant, found.id)
    return Response(status_code=204)


def _find(services: Services, tenant: str, dataset: str) -> Dataset:
    return Dataset.from_document(services.datasets.find(tenant, dataset))


def _overrides(columns: str | None) -> dict[str, str]:
    """Read the `columns` parameter; which types there are is the service's to say."""
    try:
        value = {} if columns is None else orjson.loads(columns)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        allowed = "a JSON object {column: numeric, categorical or ignore}"
        error = FieldError("/columns", columns, "This is not a JSON object", allowed)
        raise InvalidRequest(f"columns is not {allowed}", errors=[error])
    return value
