"""Whether the service lives and serves, its numbers, its cluster."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api import readiness
from api.services import Services
from tests.api.asking import Claim, Submit, problem

NODE = {"id": "n", "address": "127.0.0.1", "alive": True, "slots": 2}
WORKERS = [
    {"name": "w0", "state": "busy", "host": "h", "pid": 1, "job": None},
    {"name": "w1", "state": "idle", "host": "h", "pid": 2, "job": None},
]


def publish(services: Services, **picture: Any) -> None:
    epoch = services.queue.lead("test", 3.0)
    assert epoch is not None
    services.queue.publish_cluster(epoch, {"nodes": [NODE], "workers": WORKERS, **picture})


def test_ready_when_every_part_is(client: httpx.Client, services: Services) -> None:
    publish(services)
    services.sweeps.show_sweeper()
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert {name: part["ready"] for name, part in answer.json()["parts"].items()} == {
        "redis": True,
        "scheduler": True,
        "ray": True,
        "sweeper": True,
    }


def unready(client: httpx.Client) -> tuple[list[str], str]:
    body = problem(client.get("/readyz"), 503)
    return [name for name, part in body["parts"].items() if not part["ready"]], body["detail"]


def test_without_a_scheduler_it_is_named(client: httpx.Client) -> None:
    parts, detail = unready(client)
    assert parts == ["scheduler", "ray", "sweeper"]
    assert "scheduler" in detail


def test_a_silent_scheduler_is_named(client: httpx.Client, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(services)
    monkeypatch.setattr(readiness, "STALE_S", -1.0)
    assert unready(client)[0] == ["scheduler", "ray", "sweeper"]


def test_a_ray_without_a_living_node_is_named(client: httpx.Client, services: Services) -> None:
    publish(services, nodes=[{**NODE, "alive": False}])
    services.sweeps.show_sweeper()
    assert unready(client)[0] == ["ray"]
    services.store.command("DEL", "deltaq:sweeper")
    assert unready(client)[0] == ["ray", "sweeper"]


def test_the_cluster_is_what_the_scheduler_shows(client: httpx.Client, services: Services, submit: Submit) -> None:
    submit()
    publish(services)
    body = client.get("/v1/cluster").json()
    assert body["nodes"] == [NODE]
    assert body["workers"] == WORKERS
    assert body["queue_depth"] == 1
    assert 0 <= body["age_s"] < 5


def test_metrics_are_prometheus_text(client: httpx.Client, services: Services, submit: Submit, claim: Claim) -> None:
    for seed in range(3):
        submit(seed=seed)
    claim()
    publish(services)
    for path in ("/v1/jobs", "/v1/jobs/job-aaaaaaaaaaaaaaaaaaaa", "/nothing/a", "/nothing/b"):
        client.get(path)
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }
    assert found["deltaq_queue_depth",] == 2
    assert found["deltaq_running_jobs",] == 1
    assert found["deltaq_workers", ("state", "busy")] == 1
    shown = ("deltaq_http_requests_total", ("method", "GET"), ("route", "/v1/jobs/{job_id}"), ("status", "404"))
    assert found[shown] >= 1
    assert not [key for key in found if "nothing" in str(key) or "aaaa" in str(key)]  # no label of a client's making
