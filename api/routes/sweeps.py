"""Sweeps: start, list, show, steer, extend, and their trials."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import schemas, sweep_schemas
from api.openapi import problems
from api.parameters import Cursor, IdempotencyKey, Limit
from api.render import page_json
from api.requests import Route
from api.responses import JSONAnswer
from api.services import Services, Tenant, The
from api.sweeps_json import checked_json, sweep_json, trial_json
from service.cursors import DEFAULT_LIMIT
from service.spec import SweepSpec
from service.sweeps.ranking import best_trials
from service.sweeps.sweep import Sweep
from service.sweeps.trial import Trial

router = APIRouter(prefix="/v1/sweeps", tags=["sweeps"], route_class=Route)


def best_of(services: Services, sweep: Sweep) -> list[Trial]:
    """The best trial, or those of the Pareto front where there are several objectives."""
    return [] if sweep.best is None else best_trials(sweep.spec, services.sweeps.leaders(sweep))


def accepted(services: Services, sweep: Sweep) -> JSONAnswer:
    """Answer that what was asked for will be done."""
    return JSONAnswer(sweep_json(sweep, best_of(services, sweep)), 202, {"Location": f"/v1/sweeps/{sweep.id}"})


@router.post(
    "",
    status_code=202,
    response_model=sweep_schemas.Sweep,
    responses={
        200: {"model": sweep_schemas.SweepDryRun, "description": "`dry_run`"},
        **problems(400, 409, 413, 415),
    },
)
def submit(
    spec: SweepSpec,
    services: The,
    tenant: Tenant,
    idempotency_key: IdempotencyKey = None,
    dry_run: Annotated[bool, Query(description="Only say what the sweep would be")] = False,
) -> Response:
    """Start a search over jobs; whatever cannot be is refused before anything runs."""
    if dry_run:
        return JSONAnswer(checked_json(spec, services.sweep_submission.check(tenant, spec)))
    return accepted(services, services.sweep_submission.submit(tenant, spec, idempotency_key))


@router.get("", response_model=schemas.List[sweep_schemas.Sweep], responses=problems())
def list_sweeps(services: The, tenant: Tenant, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT) -> Response:
    """List sweeps, newest first; of one with several objectives `best` is null here."""

    def shown(sweep: Sweep) -> dict[str, object]:
        return sweep_json(sweep, None if len(sweep.spec.compared) > 1 else best_of(services, sweep))

    return JSONAnswer(page_json(services.sweeps.list(tenant, cursor=cursor, limit=limit), shown))


@router.get("/{sweep_id}", response_model=sweep_schemas.Sweep, responses=problems(404))
def show(sweep_id: str, services: The, tenant: Tenant) -> Response:
    """Show a sweep, and the best that it has found."""
    sweep = services.sweeps.get(tenant, sweep_id)
    return JSONAnswer(sweep_json(sweep, best_of(services, sweep)))


@router.get("/{sweep_id}/trials", response_model=schemas.List[sweep_schemas.Trial], responses=problems(404))
def trials(
    sweep_id: str, services: The, tenant: Tenant, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> Response:
    """List a sweep's trials in the order of their numbers."""
    return JSONAnswer(page_json(services.sweeps.list_trials(tenant, sweep_id, cursor=cursor, limit=limit), trial_json))


@router.post("/{sweep_id}/cancel", status_code=202, response_model=sweep_schemas.Sweep, responses=problems(404, 409))
def cancel(sweep_id: str, services: The, tenant: Tenant) -> Response:
    """Cancel a sweep and all its jobs."""
    return accepted(services, services.sweeps.steer(tenant, sweep_id, "cancel"))


@router.post("/{sweep_id}/pause", status_code=202, response_model=sweep_schemas.Sweep, responses=problems(404, 409))
def pause(sweep_id: str, services: The, tenant: Tenant) -> Response:
    """Pause a sweep and its jobs: no more trials are made until it is resumed."""
    return accepted(services, services.sweeps.steer(tenant, sweep_id, "pause"))


@router.post("/{sweep_id}/resume", status_code=202, response_model=sweep_schemas.Sweep, responses=problems(404, 409))
def resume(sweep_id: str, services: The, tenant: Tenant) -> Response:
    """Let a paused sweep and its jobs go on."""
    return accepted(services, services.sweeps.steer(tenant, sweep_id, "resume"))


@router.patch(
    "/{sweep_id}",
    status_code=202,
    response_model=sweep_schemas.Sweep,
    responses=problems(400, 404, 409, 413, 415),
)
def extend(sweep_id: str, change: sweep_schemas.SweepChange, services: The, tenant: Tenant) -> Response:
    """Let a sweep have more trials; one that has ended by itself goes on."""
    return accepted(services, services.sweep_submission.extend(tenant, sweep_id, change.trials))
