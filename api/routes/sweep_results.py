"""What a sweep has found: its best spec, importances, figures, all trials as a file.

They are made from the trials by a thread, few at a time: those who wait take none of the threads of the other routes.
What makes them (Optuna, Plotly, pyarrow) takes a second to load, and is loaded by the first who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api import sweep_schemas
from api.openapi import problems
from api.requests import Route
from api.responses import JSONAnswer
from api.services import Services, Tenant, The
from service.spec import JobSpec, SweepSpec
from service.sweeps.result_forms import MEDIA_TYPES, ExportForm, FigureForm, FigureName
from service.sweeps.results import best_spec
from service.sweeps.trial import Trial

FILE = {"schema": {"type": "string", "format": "binary"}}

router = APIRouter(prefix="/v1/sweeps/{sweep_id}", tags=["sweeps"], route_class=Route)


async def made(
    services: Services, tenant: str, sweep_id: str, make: Callable[[SweepSpec, Sequence[Trial]], Response]
) -> Response:
    """An answer that is made from a sweep's trials as they are now."""

    def work() -> Response:
        sweep = services.sweeps.get(tenant, sweep_id)
        return make(sweep.spec, services.sweeps.all_trials(tenant, sweep_id))

    return await to_thread.run_sync(work, limiter=services.results_limiter)


@router.get("/best", response_model=JobSpec, responses=problems(404))
async def best(
    sweep_id: str,
    services: The,
    tenant: Tenant,
    trial: Annotated[int | None, Query(ge=0, description="Which of a Pareto front; else the first")] = None,
) -> Response:
    """Give the best trial's job, ready to submit."""

    def work() -> Response:
        sweep = services.sweeps.get(tenant, sweep_id)
        trials = services.sweeps.leaders(sweep) or services.sweeps.all_trials(
            tenant, sweep_id
        )  # to say why none is best
        return JSONAnswer(best_spec(sweep.spec, trials, trial))

    return await to_thread.run_sync(work, limiter=services.results_limiter)


@router.get("/importances", response_model=sweep_schemas.Importances, responses=problems(404))
async def show_importances(sweep_id: str, services: The, tenant: Tenant) -> Response:
    """Say how much each path decides whether a trial is among the best, by PED-ANOVA."""

    def weigh(spec: SweepSpec, trials: Sequence[Trial]) -> Response:
        from service.sweeps.importances import importances

        return JSONAnswer(importances(spec, trials).to_json())

    return await made(services, tenant, sweep_id, weigh)


@router.get("/figures/{figure}", response_model=sweep_schemas.Figure, responses=problems(404))
async def show_figure(
    sweep_id: str,
    figure: Annotated[FigureName, Path(description="What it shows")],
    services: The,
    tenant: Tenant,
    path: Annotated[list[str], Query(default_factory=list, max_length=100, description="Of these alone")],
    form: Annotated[FigureForm, Query(alias="format", description="Data, or what Plotly takes")] = "json",
    metric: Annotated[str | None, Query(description="`plotly`: of this one of several objectives")] = None,
) -> Response:
    """Show the trials; a figure that has nothing to show is empty, and says why."""
    return await made(services, tenant, sweep_id, partial(_figure, figure, form, path, metric))


def _figure(
    name: str, form: str, paths: Sequence[str], metric: str | None, spec: SweepSpec, trials: Sequence[Trial]
) -> Response:
    if form == "json":
        from service.sweeps.figures import figure

        return JSONAnswer(figure(name, spec, trials, paths))
    from service.sweeps.plotly_figures import plotly_figure

    return JSONAnswer(plotly_figure(name, spec, trials, paths, metric))


@router.get(
    "/export",
    responses={
        200: {"description": "The file", "content": dict.fromkeys(MEDIA_TYPES.values(), FILE)},
        **problems(404),
    },
)
async def export_trials(
    sweep_id: str, services: The, tenant: Tenant, form: Annotated[ExportForm, Query(alias="format")] = "csv"
) -> Response:
    """Give all trials as a table, or as an Optuna journal, which optuna-dashboard opens."""

    def write(spec: SweepSpec, trials: Sequence[Trial]) -> Response:
        from service.sweeps.export import export

        # The sweep has been found, so its id is one that we made.
        headers = {"Content-Disposition": f'attachment; filename="{sweep_id}.{form}"'}
        return Response(export(form, spec, trials), media_type=MEDIA_TYPES[form], headers=headers)

    return await made(services, tenant, sweep_id, write)
