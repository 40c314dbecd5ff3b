"""Aliases of models: set, list, delete. An alias stands for its model wherever a model is asked for."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from api import schemas
from api.openapi import problems
from api.parameters import Cursor, Limit
from api.render import page_json
from api.requests import Route
from api.responses import JSONAnswer
from api.services import Tenant, The
from service.cursors import DEFAULT_LIMIT

router = APIRouter(prefix="/v1/models/aliases", tags=["models"], route_class=Route)


@router.get("", response_model=schemas.List[schemas.Alias], responses=problems())
def list_aliases(services: The, tenant: Tenant, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT) -> Response:
    """List the aliases of models, the newest first."""
    return JSONAnswer(page_json(services.aliases.list(tenant, cursor=cursor, limit=limit), dict))


@router.put(
    "/{name}",
    response_model=schemas.Alias,
    responses={201: {"model": schemas.Alias, "description": "The alias is new"}, **problems(400, 413, 415)},
)
def promote(name: str, body: schemas.PromoteRequest, services: The, tenant: Tenant) -> Response:
    """Give a model this alias, or move the alias to it, in one step: whoever asks meanwhile gets one or the other."""
    alias, created = services.aliases.set(tenant, name, body.model)
    return JSONAnswer(alias, 201 if created else 200)


@router.delete("/{name}", status_code=204, responses=problems(404))
def delete(name: str, services: The, tenant: Tenant) -> Response:
    """Take an alias away; its model stays."""
    services.aliases.delete(tenant, name)
    return Response(status_code=204)
