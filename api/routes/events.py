"""Events of many jobs, in one stream."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.openapi import content, problems
from api.parameters import LastEventID, LastEventIDInQuery
from api.requests import Route
from api.services import Tenant, The
from api.sse import EventStream

MOST_NAMED = 100

router = APIRouter(prefix="/v1/events", tags=["jobs"], route_class=Route)

_STREAM = """\
Server-Sent Events: `status`, `progress`, `metrics` and `log` with `{"job": id, "data": …}`, where `data` is what the \
job's own stream has; `sweep` with `{"sweep": id, "data": …}`; `snapshot` with `{"jobs": […]}`"""
_SWEEP = f"Of this sweep and its jobs; may be given up to {MOST_NAMED} times"
_JOB = f"Of this job; may be given up to {MOST_NAMED} times. When left out: of all jobs"


@router.get(
    "",
    responses={
        200: content("text/event-stream", _STREAM),
        204: {"description": "`Last-Event-ID` is the last event of the jobs named, and all of them have ended"},
        **problems(404),
    },
)
async def events(
    services: The,
    tenant: Tenant,
    job: Annotated[list[str], Query(default_factory=list, max_length=MOST_NAMED, description=_JOB)],
    sweep: Annotated[list[str], Query(default_factory=list, max_length=MOST_NAMED, description=_SWEEP)],
    last_event_id: LastEventID = None,
    from_query: LastEventIDInQuery = None,
) -> Response:
    """Follow many jobs at once: a snapshot and what comes from now on, or what came after an event and so on.

    Ends when all jobs and sweeps that are named have ended. Ids are those of this stream, whichever jobs are named.
    """
    stream = await services.follower.open_all(tenant, job, sweep, last_event_id or from_query)
    return Response(status_code=204) if stream is None else EventStream(stream)
