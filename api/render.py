"""What users see of each record. Knows no request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from service.cursors import Page
from service.folds import most_epochs
from service.jobs import Job, JobStatus
from service.resolution import Resolution

T = TypeVar("T")
JSON = dict[str, Any]

_MODEL = ("id", "job_id", "dataset_id", "weights_sha256", "classes", "spec", "metrics", "fingerprint", "created_at")


def page_json(page: Page[T], item: Callable[[T], Any]) -> JSON:
    """A list's page."""
    return {"items": [item(one) for one in page.items], "next_cursor": page.next_cursor}


def job_json(job: Job) -> JSON:
    """A job."""
    return {
        "id": job.id,
        "status": job.status.value,
        "spec": job.spec.model_dump(mode="json"),
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "attempt": job.attempt,
        "queue_position": job.queue_position,
        "waits_until": job.waits_until,
        "waits_for": job.waits_for,
        "retried": job.retried,
        "progress": _progress(job),
        "metrics": job.metrics,
        "result": job.result,
        "sweep": job.sweep,
        "trial": job.trial,
        "warnings": job.warnings,
        "requested": job.requested,
        "error": job.error,
        "links": _links(job),
    }


def _progress(job: Job) -> JSON:
    empty = {"epoch": 0, "epochs": most_epochs(job.spec), "step": 0, "steps": None, "fraction": 0.0}
    found = {**empty, "samples_per_s": None, "eta_s": None, **job.progress, "age_s": job.silent_s}
    return found if job.status is JobStatus.RUNNING else {**found, "samples_per_s": None, "eta_s": None}


def _links(job: Job) -> dict[str, str | None]:
    here = f"/v1/jobs/{job.id}"
    model = (job.result or {}).get("model_id")
    return {
        "self": here,
        "events": f"{here}/events",
        "metrics": f"{here}/metrics",
        "logs": f"{here}/logs",
        "dataset": f"/v1/datasets/{job.spec.dataset}",
        "model": f"/v1/models/{model}" if model else None,
    }


def resolution_json(resolution: Resolution) -> JSON:
    """What a job would be."""
    return {
        "spec": resolution.spec.model_dump(mode="json"),
        "inputs": resolution.inputs,
        "outputs": resolution.outputs,
        "parameters": resolution.parameters,
        "memory_bytes": resolution.memory_bytes,
        "train_rows": resolution.train_rows,
        "validation_rows": resolution.validation_rows,
        "epochs": most_epochs(resolution.spec),
        "warnings": list(resolution.warnings),
    }


def model_json(document: Mapping[str, Any]) -> JSON:
    """A model, without where its file lies."""
    return {name: document.get(name) for name in _MODEL}


def worker_json(worker: Mapping[str, Any], visible_jobs: set[str]) -> JSON:
    """A worker; which job of another tenant it serves is nobody's business."""
    job = worker.get("job")
    return {**worker, "job": job if job in visible_jobs else None}
