"""The cluster as the scheduler shows it in Redis."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from api import schemas
from api.openapi import problems
from api.render import worker_json
from api.requests import Route
from api.responses import JSONAnswer
from api.services import Tenant, The
from service.cursors import MAX_LIMIT
from service.jobs import JobStatus

router = APIRouter(prefix="/v1/cluster", tags=["cluster"], route_class=Route)


@router.get("", response_model=schemas.Cluster, responses=problems())
def show(services: The, tenant: Tenant) -> Response:
    """Show nodes, workers and the queue's depth."""
    picture = services.queue.cluster() or {}
    running = services.jobs.list(tenant, status=JobStatus.RUNNING, limit=MAX_LIMIT)
    visible = {job.id for job in running.items}
    return JSONAnswer(
        {
            "nodes": picture.get("nodes", []),
            "slots": picture.get("slots", 0),
            "workers": [worker_json(worker, visible) for worker in picture.get("workers", [])],
            "runners": [worker_json(runner, visible) for runner in picture.get("runners", [])],
            "problems": picture.get("problems", []),
            "queue_depth": services.queue.depth(),
            "age_s": picture.get("age_s"),
        }
    )
