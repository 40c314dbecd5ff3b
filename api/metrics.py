"""What Prometheus is told: requests as this process counts them, jobs and workers as Redis has them when it asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import prometheus_client
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.types import Scope

from service.queue import Queue

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HTTPMetrics:
    """Counts requests by method, route and status."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = prometheus_client.Counter(
            "deltaq_http_requests", "Requests answered", ("method", "route", "status"), registry=registry
        )
        self._seconds = prometheus_client.Histogram(
            "deltaq_http_request_seconds", "Time to the end of the answer", ("method", "route"), registry=registry
        )

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one request; the labels come from our own routes and words, never from what a client invents."""
        route = getattr(scope.get("route"), "path_format", None) or "none"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, route, str(status or "none")).inc()
        if not route.endswith("/events"):  # a stream lasts as long as its reader likes
            self._seconds.labels(method, route).observe(seconds)


class ServiceMetrics(Collector):
    """Reads the queue and the cluster whenever it is asked."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def describe(self) -> list[Any]:
        """Say nothing beforehand, so that registering asks no Redis."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the present numbers. Raises: StoreUnavailable."""
        yield GaugeMetricFamily("deltaq_queue_depth", "Jobs that wait", self._queue.depth())
        jobs = GaugeMetricFamily("deltaq_running_jobs", "Jobs that run", len(self._queue.running()))
        yield jobs
        workers = GaugeMetricFamily("deltaq_workers", "Workers by state", labels=["state"])
        cluster = self._queue.cluster() or {}
        for state, count in Counter(worker["state"] for worker in cluster.get("workers", ())).items():
            workers.add_metric([state], count)
        yield workers
