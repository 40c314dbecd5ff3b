"""Jobs over HTTP: accepted, shown, listed, steered."""

from __future__ import annotations

import math
import re

import httpx
import pytest

from api.services import Services
from service.datasets import Dataset
from tests.api.asking import SPEC, Claim, Submit, pointers, problem, strict, succeed

UNKNOWN = "job-aaaaaaaaaaaaaaaaaaaa"
RFC3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"


def test_a_job_is_accepted_and_says_where_it_is(client: httpx.Client, points: Dataset) -> None:
    answer = client.post("/v1/jobs", json={**SPEC, "name": "first", "tags": {"who": "me"}})
    assert answer.status_code == 202
    job = strict(answer.content)
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["status"] == "queued"
    assert job["queue_position"] == 0
    assert job["attempt"] == 0
    assert job["requested"] is None
    assert re.fullmatch(RFC3339, job["created_at"])
    assert job["progress"] == {
        "epoch": 0,
        "epochs": 3,
        "step": 0,
        "steps": None,
        "fraction": 0.0,
        "samples_per_s": None,
        "eta_s": None,
        "age_s": None,
    }
    assert client.get(answer.headers["location"]).json() == job
    assert client.get(job["links"]["dataset"]).json()["id"] == points.id


def test_the_spec_of_a_job_can_be_submitted_again(client: httpx.Client, submit: Submit) -> None:
    job = submit()
    spec = job["spec"]
    assert spec["loss"] == "log_loss"
    assert spec["optimizer"]["learning_rate"] == 0.1
    again = client.post("/v1/jobs", json=spec)
    assert again.status_code == 202
    assert again.json()["spec"] == spec
    assert again.json()["id"] != job["id"]


def test_a_dry_run_resolves_and_queues_nothing(client: httpx.Client, points: Dataset) -> None:
    answer = client.post("/v1/jobs", params={"dry_run": "true"}, json=SPEC)
    assert answer.status_code == 200
    body = strict(answer.content)
    assert body["spec"]["dataset"] == points.id
    assert body["parameters"] == 2 * 4 + 4 + 4 * 1 + 1
    assert body["memory_bytes"] > 0
    assert (body["train_rows"], body["validation_rows"]) == (80, 20)
    assert client.get("/v1/jobs").json()["items"] == []


def test_while_redis_is_full_new_jobs_wait_outside_and_the_others_are_shown_and_steered(
    client: httpx.Client, services: Services, submit: Submit
) -> None:
    first, second = submit()["id"], submit()["id"]
    services.store.command("CONFIG", "SET", "maxmemory", 1)
    try:
        refused = client.post("/v1/jobs", json=SPEC)
        assert "maxmemory" in problem(refused, 503)["detail"]
        assert refused.headers["retry-after"] == "1"
        assert client.post(f"/v1/jobs/{first}/cancel").json()["status"] == "cancelled"
        assert problem(client.post(f"/v1/jobs/{first}/retry"), 503)
        assert [job["id"] for job in client.get("/v1/jobs").json()["items"]] == [second, first]
    finally:
        services.store.command("CONFIG", "SET", "maxmemory", 0)
    assert client.post(f"/v1/jobs/{first}/retry").json()["status"] == "queued"
    assert submit()["status"] == "queued"


def test_an_unknown_data_set_is_a_wrong_field(client: httpx.Client) -> None:
    body = problem(client.post("/v1/jobs", json={"dataset": "nothing"}), 422)
    assert pointers(body) == ["/dataset"]
    assert body["errors"][0]["value"] == "nothing"


def test_what_is_at_odds_with_the_data_names_both(client: httpx.Client, points: Dataset) -> None:
    body = problem(client.post("/v1/jobs", json={**SPEC, "data": {"features": ["z"]}}), 422)
    assert body["errors"][0]["pointer"].startswith("/data/features")
    assert body["errors"][0]["value"] == "z"
    assert body["errors"][0]["allowed"]


class TestIdempotencyKey:
    def test_the_same_key_and_spec_give_the_same_job(self, client: httpx.Client, points: Dataset) -> None:
        spelled_out = {"epochs": 3, **SPEC, "seed": 0, "batch_size": 32}
        first, second = (
            client.post("/v1/jobs", json=spec, headers={"Idempotency-Key": "k 1"}) for spec in (SPEC, spelled_out)
        )
        assert (first.status_code, second.status_code) == (202, 202)
        assert first.json() == second.json()
        assert first.headers["location"] == second.headers["location"]
        assert len(client.get("/v1/jobs").json()["items"]) == 1

    def test_another_spec_with_the_key_is_a_conflict(self, client: httpx.Client, points: Dataset) -> None:
        headers = {"Idempotency-Key": "k"}
        client.post("/v1/jobs", json=SPEC, headers=headers)
        problem(client.post("/v1/jobs", json={**SPEC, "seed": 1}, headers=headers), 409)

    def test_a_refused_request_does_not_use_it_up(self, client: httpx.Client, points: Dataset) -> None:
        headers = {"Idempotency-Key": "k"}
        problem(client.post("/v1/jobs", json={**SPEC, "dataset": "nothing"}, headers=headers), 422)
        client.post("/v1/jobs", json={**SPEC, "seed": 2}, headers=headers, params={"dry_run": "true"})
        assert client.post("/v1/jobs", json=SPEC, headers=headers).status_code == 202

    def test_it_still_answers_when_the_data_set_is_gone(
        self, client: httpx.Client, services: Services, points: Dataset
    ) -> None:
        headers = {"Idempotency-Key": "k"}
        job = client.post("/v1/jobs", json=SPEC, headers=headers).json()
        services.store.command("DEL", f"deltaq:dataset:{points.id}")
        assert client.post("/v1/jobs", json=SPEC, headers=headers).json()["id"] == job["id"]

    @pytest.mark.parametrize("key", [b"", b"x" * 256, b"\xc3\xa4", b"a\tb"])
    def test_what_cannot_be_one_is_refused(self, client: httpx.Client, points: Dataset, key: bytes) -> None:
        body = problem(client.post("/v1/jobs", json=SPEC, headers={b"Idempotency-Key": key}), 422)
        assert pointers(body) == ["/Idempotency-Key"]


class TestVerbs:
    def test_a_queued_job_is_cancelled_at_once_and_again(self, client: httpx.Client, submit: Submit) -> None:
        here = f"/v1/jobs/{submit()['id']}"
        for _ in range(2):
            answer = client.post(f"{here}/cancel")
            assert answer.status_code == 202
            assert answer.json()["status"] == "cancelled"
            assert answer.headers["location"] == here
        assert re.fullmatch(RFC3339, client.get(here).json()["finished_at"])

    def test_what_a_running_job_is_asked_stands_in_requested(
        self, client: httpx.Client, submit: Submit, claim: Claim
    ) -> None:
        here = f"/v1/jobs/{submit()['id']}"
        claim()
        assert client.post(f"{here}/pause").json()["requested"] == "pause"
        answer = client.post(f"{here}/cancel").json()
        assert (answer["status"], answer["requested"]) == ("running", "cancel")

    def test_pause_resume_cancel_retry(self, client: httpx.Client, submit: Submit) -> None:
        here = f"/v1/jobs/{submit()['id']}"
        way = [("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled"), ("retry?from=start", "queued")]
        for verb, status in way:
            answer = client.post(f"{here}/{verb}")
            assert (answer.status_code, answer.json()["status"]) == (202, status)

    def test_a_verb_that_does_not_fit_names_the_state(
        self, client: httpx.Client, submit: Submit, claim: Claim, services: Services
    ) -> None:
        here = f"/v1/jobs/{submit()['id']}"
        succeed(services, claim())
        for verb in ("cancel", "pause", "resume", "retry"):
            assert "succeeded" in problem(client.post(f"{here}/{verb}"), 409)["detail"]
        assert client.get(here).json()["status"] == "succeeded"

    @pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "retry"])
    def test_no_verb_finds_a_job_that_is_not_there(self, client: httpx.Client, verb: str) -> None:
        problem(client.post(f"/v1/jobs/{UNKNOWN}/{verb}"), 404)

    def test_retry_begins_where_it_may(self, client: httpx.Client, submit: Submit) -> None:
        body = problem(client.post(f"/v1/jobs/{submit()['id']}/retry?from=middle"), 422)
        (error,) = body["errors"]
        assert (error["pointer"], error["value"]) == ("/from", "middle")
        assert error["allowed"] == ["checkpoint", "start"]


def test_what_is_not_finite_is_null_everywhere(
    client: httpx.Client, submit: Submit, claim: Claim, services: Services
) -> None:
    here = f"/v1/jobs/{submit()['id']}"
    claimed = claim()
    services.queue.beat(claimed.lease, {"epoch": 1, "samples_per_s": math.inf, "eta_s": math.nan})
    services.queue.record_epoch(claimed.lease, {"epoch": 1, "train_loss": math.nan, "validation_loss": -math.inf})
    job = strict(client.get(here).content)
    assert job["progress"]["samples_per_s"] is None
    assert job["metrics"]["train_loss"] is None
    assert strict(client.get(f"{here}/metrics").content)["items"][0]["validation_loss"] is None
    strict(client.get("/v1/jobs").content)


def test_metrics_and_logs_are_paged_from_the_first(
    client: httpx.Client, submit: Submit, claim: Claim, services: Services
) -> None:
    here = f"/v1/jobs/{submit()['id']}"
    claimed = claim()
    for epoch in range(1, 6):
        services.queue.record_epoch(claimed.lease, {"epoch": epoch, "train_loss": 1 / epoch})
        services.queue.log(claimed.lease, "info", f"line {epoch}")
    for path, read in (("metrics", lambda row: row["epoch"]), ("logs", lambda line: int(line["message"][5:]))):
        seen, cursor = [], None
        while True:
            page = client.get(f"{here}/{path}", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
            seen += [read(item) for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == [1, 2, 3, 4, 5]
    problem(client.get(f"/v1/jobs/{UNKNOWN}/metrics"), 404)
    problem(client.get(f"/v1/jobs/{UNKNOWN}/logs"), 404)


def test_zeros_are_values(client: httpx.Client, submit: Submit) -> None:
    job = submit(seed=0, priority=0, tags={"run": "0"}, optimizer={"learning_rate": 0})
    assert job["spec"]["optimizer"]["learning_rate"] == 0
    assert [item["id"] for item in client.get("/v1/jobs", params={"tag": "run=0"}).json()["items"]] == [job["id"]]


def test_a_network_that_no_worker_has_room_for_is_a_wrong_field(client: httpx.Client, points: Dataset) -> None:
    body = problem(client.post("/v1/jobs", json={**SPEC, "network": {"hidden": [65_536] * 64}}), 422)
    assert pointers(body) == ["/network/hidden"]
    assert "DELTAQ_MAX_JOB_BYTES" in body["errors"][0]["allowed"]
    assert client.get("/v1/jobs").json()["items"] == []


def test_a_job_wider_than_the_cluster_says_that_it_waits(
    client: httpx.Client, services: Services, points: Dataset
) -> None:
    spec = {**SPEC, "batch_size": 64, "shards": 8, "workers": {"min": 8}}
    assert client.post("/v1/jobs", json=spec).json()["warnings"] == []  # nothing is known of a cluster
    epoch = services.queue.lead("leader", 5.0)
    assert epoch is not None
    services.queue.publish_cluster(epoch, {"slots": 5})
    (warning,) = client.post("/v1/jobs", json=spec).json()["warnings"]
    assert "workers.min is 8 and the cluster has 5 slots" in warning
    assert client.post("/v1/jobs", json={**spec, "workers": {"min": 5}}).json()["warnings"] == []
