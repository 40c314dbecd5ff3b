"""Models: list, show, card, download, predict, explain, delete. `model_id` may be an alias everywhere."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query
from starlette.responses import Response

from api import schemas
from api.openapi import content, problems
from api.parameters import Cursor, Limit
from api.render import model_json, page_json
from api.requests import RowsRoute
from api.responses import JSONAnswer
from api.services import Tenant, The
from service.cursors import DEFAULT_LIMIT
from service.errors import FieldError, TooLarge
from service.explain import explain_step
from service.models import DownloadFormat

MAX_ROWS = 10_000
BINARY = {"type": "string", "format": "binary"}

router = APIRouter(prefix="/v1/models", tags=["models"], route_class=RowsRoute)


@router.get("", response_model=schemas.List[schemas.Model], responses=problems())
def list_models(services: The, tenant: Tenant, cursor: Cursor = None, limit: Limit = DEFAULT_LIMIT) -> Response:
    """List models, newest first."""
    return JSONAnswer(page_json(services.models.records.list(tenant, cursor=cursor, limit=limit), model_json))


@router.get("/{model_id}", response_model=schemas.Model, responses=problems(404))
def show(model_id: str, services: The, tenant: Tenant) -> Response:
    """Show a model."""
    return JSONAnswer(model_json(services.models.records.get(tenant, model_id)))


@router.get("/{model_id}/card", response_model=schemas.Card, responses=problems(404, 409))
def card(model_id: str, services: The, tenant: Tenant) -> Response:
    """Show a model's card: what it is made of, what it takes and what it gives."""
    return JSONAnswer(services.models.load(tenant, model_id).card)


@router.delete("/{model_id}", status_code=204, responses=problems(404, 409))
def delete(model_id: str, services: The, tenant: Tenant) -> Response:
    """Delete a model that has no alias."""
    services.models.delete(tenant, model_id)
    return Response(status_code=204)


@router.get(
    "/{model_id}/download",
    responses={200: content("application/octet-stream", "The file", BINARY), **problems(404, 409, 413)},
)
def download(
    model_id: str,
    services: The,
    tenant: Tenant,
    form: Annotated[DownloadFormat, Query(alias="format")] = "safetensors",
) -> Response:
    """Download the arrays `W1 b1 W2 b2 …` (W: inputs × units), or as `onnx` all that takes raw columns and predicts."""
    found = services.models.records.get(tenant, model_id)["id"]
    file = services.models.download(tenant, found, form)
    # It is an id that we made: no quote or line break is in it.
    disposition = {"Content-Disposition": f'attachment; filename="{found}.{form}"'}
    return Response(file, media_type="application/octet-stream", headers=disposition)


@router.post("/{model_id}/predict", response_model=schemas.Predictions, responses=problems(400, 404, 409, 413, 415))
def predict(model_id: str, body: schemas.PredictRequest, services: The, tenant: Tenant) -> Response:
    """Predict raw rows; the model's own transform is applied."""
    if len(body.rows) > MAX_ROWS:
        error = FieldError("/rows", f"a list of {len(body.rows)}", "too many rows", f"at most {MAX_ROWS}")
        raise TooLarge(f"rows has {len(body.rows)} rows; allowed is at most {MAX_ROWS}", errors=[error])
    warnings: list[str] = []
    predictions = services.models.load(tenant, model_id).predict(body.rows, warnings)
    return JSONAnswer({"predictions": predictions, "warnings": warnings})


@router.post("/{model_id}/evaluate", response_model=schemas.Evaluation, responses=problems(400, 404, 409, 413, 415))
async def evaluate(model_id: str, body: schemas.EvaluateRequest, services: The, tenant: Tenant) -> Response:
    """Measure a model on all rows of a data set that has its columns and the answers."""
    measure = partial(services.evaluations.evaluate, tenant, model_id, body.dataset)
    # Who waits for a turn takes none of the threads that serve the other routes.
    return JSONAnswer(await to_thread.run_sync(measure, limiter=services.evaluation_limiter))


@router.post(
    "/{model_id}/explain-step", response_model=schemas.ExplainedStep, responses=problems(400, 404, 409, 413, 415)
)
def explain(model_id: str, body: schemas.ExplainRequest, services: The, tenant: Tenant) -> Response:
    """Show one plain step of gradient descent on one row, layer by layer; the model stays as it is."""
    model = services.models.load(tenant, model_id)
    return JSONAnswer(explain_step(model, body.row, body.target, body.learning_rate))
