"""`python -m service sweeper`: becomes the sweeper. A SIGTERM ends it at once: it holds nothing that could be lost."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from service.artifacts import Artifacts
from service.dataset_records import DatasetRecords
from service.errors import Misconfigured
from service.history import History
from service.job_records import Jobs, Limits
from service.model_records import ModelRecords
from service.models import ModelStore
from service.queue import Queue
from service.redis_server import await_suitable
from service.settings import Settings, load_settings
from service.store import Store
from service.submission import Submission
from service.sweeps.asking import Asking
from service.sweeps.keeping import ModelKeeper
from service.sweeps.records import Sweeps
from service.sweeps.sweeper import Sweeper, run
from workers import kernels, logs


def main(arguments: Sequence[str]) -> None:
    """Sweep until it is ended.

    Raises: Misconfigured when Redis is not named, or could lose jobs; StoreUnavailable without Redis.
    """
    argparse.ArgumentParser(prog="python -m service sweeper", description=__doc__).parse_args(arguments)
    settings = load_settings()
    logs.configure(settings.log_level)
    if not settings.redis_url:
        raise Misconfigured("DELTAQ_REDIS_URL is not set; it says where Redis is, as redis://:password@host:port/0")
    await_suitable(settings.redis_url)
    kernels.check()
    run(sweeper_of(Store(settings.redis_url), settings))


def sweeper_of(store: Store, settings: Settings) -> Sweeper:
    """A sweeper and its parts."""
    artifacts = Artifacts(settings.artifacts_url)
    jobs, queue, datasets = (
        Jobs(store, Limits(settings.max_queued, settings.max_queued_tenant)),
        Queue(store),
        DatasetRecords(store),
    )
    models, history = ModelStore(ModelRecords(store), artifacts), History(store, jobs, artifacts)
    submission = Submission(jobs, history, datasets, models, queue, settings.max_job_bytes)
    sweeps = Sweeps(store)
    return Sweeper(sweeps, jobs, queue, Asking(sweeps, jobs, submission), ModelKeeper(sweeps, models))
