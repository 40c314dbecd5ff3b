"""Sweeps on the whole service: what they find, and that it is found whatever dies on the way."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from service.jobs import JobStatus
from tests.integration.live import LiveService, until

BASE: dict[str, Any] = {"dataset": "iris", "network": {"hidden": [6]}, "epochs": 4}
RATES = {"optimizer.learning_rate": {"log_uniform": [1e-3, 0.5]}}
CHOICES = [[4], [8, 8], [{"units": 6, "activation": "tanh"}]]
SPEC: dict[str, Any] = {
    "base": BASE,
    "space": {**RATES, "network.hidden": {"categorical": CHOICES}},
    "trials": 10,
    "sampler": "random",
}
LONG_FORM = pytest.mark.chaos  # one of each kind is tried in every check


def start(live: LiveService, **changes: Any) -> str:
    answer = live.call("POST", "/v1/sweeps", json={**SPEC, **changes})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def show(live: LiveService, sweep: str) -> dict[str, Any]:
    answer = live.call("GET", f"/v1/sweeps/{sweep}")
    assert answer.status_code == 200, answer.text
    return dict(json.loads(answer.content, parse_constant=pytest.fail))


def trials(live: LiveService, sweep: str) -> list[dict[str, Any]]:
    answer = live.call("GET", f"/v1/sweeps/{sweep}/trials", params={"limit": 500})
    return list(json.loads(answer.content, parse_constant=pytest.fail)["items"])


def finish(live: LiveService, sweep: str, status: str = "succeeded") -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        found = show(live, sweep)
        return (
            found if found["status"] in ("succeeded", "failed", "cancelled") and not found["progress"]["open"] else None
        )

    found = until(ended, 90.0, "the sweep's end")
    assert found["status"] == status, found
    return found


def has_asked(live: LiveService, sweep: str, count: int) -> bool:
    return bool(show(live, sweep)["progress"]["asked"] > count)


def outcome(live: LiveService, sweep: str) -> list[tuple[Any, ...]]:
    """What must be the same however the sweep went."""
    return [
        (trial["number"], trial["status"], trial["params"], trial["values"], trial["pruned_at"])
        for trial in trials(live, sweep)
    ]


def test_a_sweep_finds_the_best_and_its_spec_can_be_sent_again(live: LiveService) -> None:
    sweep = start(live)
    found = finish(live, sweep)
    rows = trials(live, sweep)
    assert [row["number"] for row in rows] == list(range(10))
    assert {row["status"] for row in rows} == {"succeeded"}
    best = min(rows, key=lambda row: row["values"][0])
    assert [one["number"] for one in found["best"]] == [best["number"]]
    assert all(row["params"]["network.hidden"] in CHOICES for row in rows)
    job = live.job(best["job_id"])
    assert (job["sweep"], job["trial"]) == (sweep, best["number"])
    again = live.finish(live.submit(job["spec"]))
    assert again["result"]["weights_sha256"] == job["result"]["weights_sha256"]
    listed = live.call("GET", "/v1/jobs", params={"sweep": sweep, "limit": 500}).json()["items"]
    assert {one["id"] for one in listed} == {row["job_id"] for row in rows}


@pytest.mark.parametrize(
    ("killed", "changes"),
    [
        ("sweeper", {"sampler": "random", "parallel": 4}),
        ("sweeper", {"sampler": "tpe", "parallel": 1, "pruner": "asha"}),
        ("scheduler", {"sampler": "qmc", "parallel": 3}),
        pytest.param("scheduler", {"sampler": "cma_es", "parallel": 1, "space": RATES}, marks=LONG_FORM),
        pytest.param("sweeper", {"sampler": "tpe", "parallel": 1, "repeats": 2, "trials": 6}, marks=LONG_FORM),
    ],
)
def test_killed_halfway_the_trials_are_those_of_an_undisturbed_sweep(
    live: LiveService, killed: str, changes: dict[str, Any]
) -> None:
    undisturbed = start(live, **changes)
    finish(live, undisturbed)
    sweep = start(live, **changes)
    for count in (1, 3):
        until(partial(has_asked, live, sweep, count), 60.0, f"{count} trials")
        live.kill(live.part("service", killed))
    finish(live, sweep)
    assert outcome(live, sweep) == outcome(live, undisturbed)


@pytest.mark.parametrize("parallel", [4, pytest.param(1, marks=LONG_FORM), pytest.param(9, marks=LONG_FORM)])
def test_a_grid_has_nine_points_once_each_though_one_fails(live: LiveService, parallel: int) -> None:
    space = {"optimizer.learning_rate": {"grid": [0.01, 0.1, 1e9]}, "network.hidden": {"grid": CHOICES}}
    sweep = start(live, sampler="grid", space=space, trials=9, parallel=parallel)
    if parallel == 4:
        live.kill(live.part("service", "scheduler"))
        live.kill(live.part("service", "sweeper"))
    found = finish(live, sweep)
    points = [json.dumps(trial["params"], sort_keys=True) for trial in trials(live, sweep)]
    assert len(points) == len(set(points)) == 9
    assert found["progress"]["succeeded"] >= 6
    assert found["progress"]["succeeded"] + found["progress"]["failed"] == 9
    refused = live.call("POST", "/v1/sweeps", json={**SPEC, "sampler": "grid", "space": space, "trials": 20})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/trials"
    extended = live.call("PATCH", f"/v1/sweeps/{sweep}", json={"trials": 20})
    assert extended.status_code == 422


@pytest.mark.parametrize("stopping", [None, {"metric": "validation_loss", "patience": 3}])
def test_a_trials_value_is_that_of_the_weights_kept(live: LiveService, stopping: dict[str, Any] | None) -> None:
    base = {"dataset": "wine", "network": {"hidden": [8]}, "epochs": 12, "early_stopping": stopping}
    space = {"optimizer.learning_rate": {"uniform": [0.8, 3.0]}}
    sweep = start(live, base=base, space=space, trials=4)
    found = finish(live, sweep)
    for trial in trials(live, sweep):
        if trial["values"] is None:
            continue
        result = live.job(trial["job_id"])["result"]
        rows = live.metrics(trial["job_id"])
        assert trial["values"] == [result["validation_loss"]]
        assert trial["values"][0] == rows[result["best_epoch"] - 1]["validation_loss"]
        if stopping is None:
            assert result["best_epoch"] == len(rows)
    best = found["best"][0]
    assert best["value"] == min(trial["values"][0] for trial in trials(live, sweep) if trial["values"])


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [
        ("tpe", "median"),
        pytest.param("cma_es", "asha", marks=LONG_FORM),
        pytest.param("qmc", "hyperband", marks=LONG_FORM),
    ],
)
def test_trials_that_diverge_fail_and_the_rest_goes_on(live: LiveService, sampler: str, pruner: str) -> None:
    space = {"optimizer.learning_rate": {"log_uniform": [1e-3, 1e6]}}
    found = finish(live, start(live, sampler=sampler, pruner=pruner, space=space, trials=20))
    assert found["progress"]["failed"] > 0
    assert found["progress"]["succeeded"] > 0
    assert abs(found["best"][0]["value"]) < 1e6
    failed = [trial for trial in trials(live, found["id"]) if trial["status"] == "failed"]
    assert {trial["error"]["title"] for trial in failed} == {"Diverged"}
    pruned = [trial for trial in trials(live, found["id"]) if trial["status"] == "pruned"]
    for trial in pruned[:3]:
        job = live.job(trial["job_id"])
        assert job["status"] == JobStatus.CANCELLED
        assert (job["result"]["stopped_by"], job["result"]["pruned_at"]) == ("pruner", trial["pruned_at"])
        assert len(live.metrics(job["id"])) == trial["pruned_at"]


def test_a_sweep_is_paused_resumed_extended_and_cancelled(live: LiveService) -> None:
    base = {**BASE, "epochs": 3000}
    sweep = start(live, base=base, parallel=3, trials=50)
    until(lambda: show(live, sweep)["progress"]["asked"] >= 3, 30.0, "three trials")
    assert live.call("POST", f"/v1/sweeps/{sweep}/pause").json()["status"] == "paused"
    jobs = [trial["job_id"] for trial in trials(live, sweep)]
    until(lambda: all(live.job(job)["status"] in ("paused", "succeeded") for job in jobs), 20.0, "their pause")
    asked = show(live, sweep)["progress"]["asked"]
    assert live.call("DELETE", "/v1/datasets/iris").status_code == 409
    assert live.call("POST", f"/v1/sweeps/{sweep}/resume").json()["status"] == "running"
    assert live.call("PATCH", f"/v1/sweeps/{sweep}", json={"trials": 60}).json()["progress"]["trials"] == 60
    until(lambda: show(live, sweep)["progress"]["asked"] > asked, 60.0, "one more trial")
    assert live.call("POST", f"/v1/sweeps/{sweep}/cancel").json()["status"] == "cancelled"
    found = finish(live, sweep, "cancelled")
    assert found["progress"]["cancelled"] > 0
    living = live.call("GET", "/v1/jobs", params={"sweep": sweep, "status": "queued"}).json()["items"]
    assert living == []
    assert live.call("POST", f"/v1/sweeps/{sweep}/resume").status_code == 409


def test_a_sweep_that_has_ended_goes_on_with_more_trials(live: LiveService) -> None:
    sweep = start(live, trials=3)
    finish(live, sweep)
    assert live.call("PATCH", f"/v1/sweeps/{sweep}", json={"trials": 5}).status_code == 202
    until(lambda: show(live, sweep)["progress"]["asked"] == 5, 30.0, "two more trials")
    finish(live, sweep)
    assert live.call("PATCH", f"/v1/sweeps/{sweep}", json={"trials": 4}).status_code == 422


def test_a_time_limit_ends_a_sweep(live: LiveService) -> None:
    sweep = start(live, trials=None, time_limit_s=2.0, parallel=2)
    found = finish(live, sweep)
    assert found["progress"]["trials"] is None
    assert found["progress"]["asked"] == found["progress"]["succeeded"] + found["progress"]["cancelled"] > 2
    assert live.call("PATCH", f"/v1/sweeps/{sweep}", json={"trials": 1000}).status_code == 409


def test_a_sweep_of_failures_fails(live: LiveService) -> None:
    sweep = start(live, space={"optimizer.learning_rate": {"grid": [1e8, 1e9]}}, sampler="grid", trials=None)
    found = finish(live, sweep, "failed")
    assert "none of its 2 trials" in found["error"]["detail"]


def test_folds_and_several_objectives(live: LiveService) -> None:
    objectives = [{"metric": "validation_accuracy", "direction": "maximize"}, {"metric": "parameter_count"}]
    limits = [{"metric": "parameter_count", "max": 110}]
    base = {**BASE, "data": {"folds": 3}, "epochs": 2}
    sweep = start(live, base=base, sampler="tpe", objectives=objectives, constraints=limits, trials=8)
    found = finish(live, sweep)
    rows = trials(live, sweep)
    for row in rows:
        crossed = live.job(row["job_id"])["result"]["cross_validation"]
        assert row["values"][0] == crossed["validation_accuracy"]["mean"]
        assert row["feasible"] is (row["values"][1] <= 110)
    front = [tuple(one["values"]) for one in found["best"]]
    assert front
    assert all(values[1] <= 110 for values in front)


def test_events_of_a_sweep_end_with_it(live: LiveService) -> None:
    sweep = start(live, trials=4)
    with live.http.stream("GET", "/v1/events", params={"sweep": sweep}, timeout=60) as stream:
        lines = [line for line in stream.iter_lines() if line]
    assert any('"status":"succeeded"' in line and sweep in line for line in lines)
    finish(live, sweep)
