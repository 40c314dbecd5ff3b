"""What the routes work with: the service's parts for one deployment, made once by `create_app`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends
from starlette.requests import Request

from api.following import READERS, Follower
from api.hint_listener import HintListener
from api.intake import Intake
from service.artifacts import Artifacts
from service.async_store import AsyncStore
from service.dataset_records import DatasetRecords
from service.errors import Misconfigured
from service.events import Events
from service.history import History
from service.job_records import Jobs, Limits
from service.model_evaluation import ModelEvaluations
from service.model_records import ModelAliases, ModelRecords
from service.models import ModelStore
from service.queue import Queue
from service.settings import Settings
from service.store import Store
from service.submission import Submission
from service.sweeps.records import Sweeps
from service.sweeps.submission import SweepSubmission

UPLOADS = 2  # data sets that are read at a time
EVALUATIONS = 2  # data sets that lie in memory at a time, for models to be measured on
RESULTS = 2  # sweeps whose results are made at a time


@dataclass(frozen=True)
class Services:
    """The parts. Nothing connects at construction."""

    settings: Settings
    store: Store
    async_store: AsyncStore
    jobs: Jobs
    history: History
    queue: Queue
    datasets: DatasetRecords
    artifacts: Artifacts
    models: ModelStore
    aliases: ModelAliases
    evaluations: ModelEvaluations
    submission: Submission
    sweeps: Sweeps
    sweep_submission: SweepSubmission
    intake: Intake
    listener: HintListener
    follower: Follower
    upload_limiter: CapacityLimiter
    evaluation_limiter: CapacityLimiter
    results_limiter: CapacityLimiter

    @classmethod
    def of(cls, settings: Settings) -> Services:
        """Put the parts together. Raises: Misconfigured."""
        store, async_store = _stores(settings.redis_url)
        limits = Limits(settings.max_queued, settings.max_queued_tenant)
        artifacts = Artifacts(settings.artifacts_url, settings.min_free)
        jobs, datasets = Jobs(store, limits), DatasetRecords(store)
        queue, listener = Queue(store), HintListener(store)
        models = ModelStore(ModelRecords(store), artifacts)
        history = History(store, jobs, artifacts)
        sweeps = Sweeps(store)
        submission = Submission(jobs, history, datasets, models, queue, settings.max_job_bytes)
        return cls(
            settings=settings,
            store=store,
            async_store=async_store,
            jobs=jobs,
            history=history,
            queue=queue,
            datasets=datasets,
            artifacts=artifacts,
            models=models,
            aliases=ModelAliases(store),
            evaluations=ModelEvaluations(models, datasets, artifacts),
            submission=submission,
            sweeps=sweeps,
            sweep_submission=SweepSubmission(sweeps, submission),
            intake=Intake(submission, async_store, limits),
            listener=listener,
            follower=Follower(history, Events(store), listener, CapacityLimiter(READERS)),
            upload_limiter=CapacityLimiter(UPLOADS),
            evaluation_limiter=CapacityLimiter(EVALUATIONS),
            results_limiter=CapacityLimiter(RESULTS),
        )


def _stores(url: str | None) -> tuple[Store, AsyncStore]:
    if not url:
        raise Misconfigured("it is not said where Redis is", hint="set DELTAQ_REDIS_URL")
    try:
        return Store(url), AsyncStore(url)
    except ValueError as error:
        raise Misconfigured(f"DELTAQ_REDIS_URL is no address of a Redis: {error}") from None


async def services_of(request: Request) -> Services:
    """The parts; async, so that no thread is taken for it."""
    services: Services = request.app.state.services
    return services


async def tenant_of(request: Request) -> str:
    """Who asks."""
    tenant: str = request.state.tenant  # set by the boundary, which lets nobody else in
    return tenant


The = Annotated[Services, Depends(services_of)]
Tenant = Annotated[str, Depends(tenant_of)]
