"""Whether the service lives and serves, its numbers, and where things are."""

from __future__ import annotations

import prometheus_client
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import schemas
from api.errors import HEADERS, answer
from api.metrics import CONTENT_TYPE
from api.openapi import content, problems
from api.problems import Problem
from api.readiness import parts_json, readiness
from api.requests import Route
from api.responses import JSONAnswer
from api.services import The

router = APIRouter(tags=["health"], route_class=Route)


@router.get("/healthz", response_model=schemas.Alive)
async def alive() -> Response:
    """Answer, and so show that this process does."""
    return JSONAnswer({"status": "alive"})


@router.get("/readyz", response_model=schemas.Ready, responses={503: problems()[503]})
def ready(services: The) -> Response:
    """Say of each part whether it serves."""
    parts = readiness(services.queue, services.sweeps)
    wrong = {name: part.detail for name, part in parts.items() if not part.ready}
    if not wrong:
        return JSONAnswer({"status": "ready", "parts": parts_json(parts)})
    detail = "; ".join(f"{name}: {what}" for name, what in wrong.items())
    members = {"parts": parts_json(parts)}
    return answer(Problem(503, "Not ready", detail, "urn:deltaq:problem:not-ready", (), HEADERS[503], members))


@router.get("/metrics", responses={200: content("text/plain", "Prometheus text format"), **problems()})
def metrics(request: Request) -> Response:
    """Show the numbers that Prometheus collects."""
    return Response(prometheus_client.generate_latest(request.app.state.registry), media_type=CONTENT_TYPE)


@router.get("/", responses={200: content("text/plain", "Where things are")})
async def home() -> Response:
    """Say where things are."""
    return Response(
        "deltaq: a training service.\n\n"
        "/openapi.json   every call, documented\n"
        "/v1/jobs        training jobs\n"
        "/v1/sweeps      searches over jobs\n"
        "/v1/datasets    data sets\n"
        "/v1/models      trained models\n"
        "/v1/cluster     nodes and workers\n"
        "/readyz         whether each part serves\n",
        media_type="text/plain",
    )
