"""Jobs: submit, list, show, steer, and what they leave on the way."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api import schemas
from api.openapi import content, problems
from api.parameters import IDEMPOTENCY_KEY, KEY_PATTERN, Cursor, IdempotencyKey, LastEventID, LastEventIDInQuery, Limit
from api.render import job_json, page_json, resolution_json
from api.requests import JSONRequest, Route
from api.responses import JSONAnswer
from api.services import Tenant, The, services_of, tenant_of
from api.sse import EventStream
from service.cursors import DEFAULT_LIMIT
from service.jobs import Job, JobStatus
from service.spec import JobSpec
from service.submission import Submitted

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=Route)


class Submit(Route):
    """`POST /v1/jobs`: what is right and only brings a spec, and perhaps a key, is answered directly."""

    async def answer_directly(self, request: JSONRequest) -> Response | None:
        """Leave whatever else it is to FastAPI, which says what is wrong with it."""
        key = request.headers.get(IDEMPOTENCY_KEY)
        if request.scope["query_string"] or (key is not None and not re.fullmatch(KEY_PATTERN, key)):
            return None
        try:
            spec = JobSpec.model_validate(request.value)
        except ValidationError:
            return None
        return await submit(spec, await services_of(request), await tenant_of(request), key)


def accepted(job: Job) -> JSONAnswer:
    """Answer that what was asked for will be done."""
    return JSONAnswer(job_json(job), 202, {"Location": f"/v1/jobs/{job.id}"})


async def submit(
    spec: JobSpec,
    services: The,
    tenant: Tenant,
    idempotency_key: IdempotencyKey = None,
    dry_run: Annotated[bool, Query(description="Only say what the job would be")] = False,
) -> Response:
    """Queue a training job."""
    if dry_run:
        return JSONAnswer(resolution_json(await run_in_threadpool(services.submission.resolve, tenant, spec)))
    return accepted(await services.intake.submit(Submitted(tenant, spec, idempotency_key)))


router.add_api_route(
    "",
    submit,
    methods=["POST"],
    status_code=202,
    response_model=schemas.Job,
    responses={200: {"model": schemas.DryRun, "description": "`dry_run`"}, **problems(400, 409, 413, 415, 429)},
    route_class_override=Submit,
)


@router.get("", response_model=schemas.List[schemas.Job], responses=problems(404))
def list_jobs(
    services: The,
    tenant: Tenant,
    status: Annotated[JobStatus | None, Query()] = None,
    tag: Annotated[str | None, Query(max_length=321, description="`key` (of any value), or `key=value`")] = None,
    sweep: Annotated[str | None, Query(max_length=100, description="Jobs of this sweep's trials")] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response:
    """List jobs, newest first."""
    page = services.jobs.list(tenant, status=status, tag=tag, sweep=sweep, cursor=cursor, limit=limit)
    return JSONAnswer(page_json(page, job_json))


@router.get("/{job_id}", response_model=schemas.Job, responses=problems(404, 409))
def show(job_id: str, services: The, tenant: Tenant) -> Response:
    """Show a job."""
    return JSONAnswer(job_json(services.history.get(tenant, job_id)))


@router.post("/{job_id}/cancel", status_code=202, response_model=schemas.Job, responses=problems(404, 409))
def cancel(job_id: str, services: The, tenant: Tenant) -> Response:
    """Cancel a job: at once while it waits, at its next step while it runs."""
    return accepted(services.history.steer(tenant, job_id, "cancel", partial(services.jobs.request, verb="cancel")))


@router.post("/{job_id}/pause", status_code=202, response_model=schemas.Job, responses=problems(404, 409))
def pause(job_id: str, services: The, tenant: Tenant) -> Response:
    """Pause a job; a running one keeps a checkpoint of the step it stopped at."""
    return accepted(services.history.steer(tenant, job_id, "pause", partial(services.jobs.request, verb="pause")))


@router.post("/{job_id}/resume", status_code=202, response_model=schemas.Job, responses=problems(404, 409))
def resume(job_id: str, services: The, tenant: Tenant) -> Response:
    """Let a paused job go on from where it stopped."""
    return accepted(services.history.steer(tenant, job_id, "resume", services.jobs.resume))


@router.post("/{job_id}/retry", status_code=202, response_model=schemas.Job, responses=problems(404, 409))
def retry(
    job_id: str,
    services: The,
    tenant: Tenant,
    from_: Annotated[Literal["checkpoint", "start"], Query(alias="from")] = "checkpoint",
) -> Response:
    """Queue a failed or cancelled job again."""
    return accepted(services.history.steer(tenant, job_id, "retry", partial(services.jobs.retry, from_=from_)))


@router.get("/{job_id}/metrics", response_model=schemas.List[schemas.MetricsRow], responses=problems(404, 409))
def metrics(
    job_id: str, services: The, tenant: Tenant, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT
) -> Response:
    """List the metrics, one row an epoch, from the first."""
    return JSONAnswer(page_json(services.history.metrics(tenant, job_id, cursor=cursor, limit=limit), _as_it_is))


@router.get("/{job_id}/logs", response_model=schemas.List[schemas.LogLine], responses=problems(404, 409))
def logs(job_id: str, services: The, tenant: Tenant, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT) -> Response:
    """List the log lines that are kept, oldest first."""
    return JSONAnswer(page_json(services.history.logs(tenant, job_id, cursor=cursor, limit=limit), _as_it_is))


@router.get(
    "/{job_id}/events",
    responses={
        200: content("text/event-stream", "Server-Sent Events: `status`, `progress`, `metrics`, `log`, `snapshot`"),
        204: {"description": "`Last-Event-ID` is the last event of an ended job"},
        **problems(404),
    },
)
async def events(
    job_id: str,
    services: The,
    tenant: Tenant,
    last_event_id: LastEventID = None,
    from_query: LastEventIDInQuery = None,
) -> Response:
    """Follow a job: what came after an event, then each event as it comes, until the job ends."""
    stream = await services.follower.open(tenant, job_id, last_event_id or from_query)
    return Response(status_code=204) if stream is None else EventStream(stream)


def _as_it_is(row: dict[str, Any]) -> dict[str, Any]:
    return row
