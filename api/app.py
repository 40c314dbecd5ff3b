"""The composition root of the front door: settings in, an ASGI application out. Nothing connects here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client.registry import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.allowed import Schema
from api.auth import key_ring
from api.boundary import Boundary
from api.errors import answer, problem_of
from api.guards import BrowserGuard
from api.metrics import HTTPMetrics, ServiceMetrics
from api.openapi import DESCRIPTION, describe, schemas_of
from api.requests import allowed_methods
from api.routes import aliases, cluster, datasets, events, health, jobs, models, sweep_results, sweeps
from api.services import Services
from service.errors import DeltaqError
from service.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Build the application. Raises: Misconfigured where it would be open to everybody, or its keys cannot be read."""
    services = Services.of(settings)
    registry = CollectorRegistry()
    registry.register(ServiceMetrics(services.queue))
    app = FastAPI(
        title="deltaq",
        version=metadata.version("deltaq"),
        description=DESCRIPTION,
        docs_url=None,  # the pages would load their scripts from another site
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.services, app.state.registry = services, registry
    # The aliases' path is one of a model's too, and the first that matches is taken.
    for module in (datasets, jobs, sweeps, sweep_results, events, aliases, models, cluster, health):
        app.include_router(module.router)
    app.add_middleware(Boundary, keys=key_ring(settings), guard=BrowserGuard(settings), metrics=HTTPMetrics(registry))
    for kind in (DeltaqError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer_problem)
    app.openapi = lambda: describe(app, keys=settings.api_keys_file is not None)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    services.listener.start()
    yield
    services.listener.close()
    services.listener.join()
    services.store.close()
    await services.async_store.close()


async def _answer_problem(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        error.headers = {"Allow": ", ".join(allowed_methods(request))}
    problem = problem_of(error, _schemas(request) if isinstance(error, RequestValidationError) else {})
    if problem is None:
        raise error  # a bug: the boundary logs it and answers
    return answer(problem)


def _schemas(request: Request) -> dict[str, Schema]:
    return schemas_of(request.app.openapi(), request.scope["route"].path_format, request.method)
