"""What other queues had to mend, tried on a whole service whose leases are short."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.acceptance import Acceptance
from service.job_records import Jobs
from service.jobs import CheckpointRef
from service.queue import DEATHS
from service.spec import JobSpec
from service.store import Store
from tests.integration.live import JOB_S, LiveService, running, until
from tests.service.rooms import Identity

pytestmark = pytest.mark.timeout(300)

LEASE_S = 1.0
TINY: dict[str, Any] = {"dataset": "iris", "network": {"hidden": [8]}, "epochs": 1}
DIGITS: dict[str, Any] = {
    "dataset": "digits",
    "network": {"hidden": [64, 64]},
    "epochs": 150,
    "batch_size": 256,
    "optimizer": {"learning_rate": 0.02},
    "workers": {"max": 1},
}
LONG: dict[str, Any] = {**DIGITS, "epochs": 100_000}
SLOW_STEPS: dict[str, Any] = {  # each of several leases
    "dataset": "digits",
    "network": {"hidden": [2048, 2048], "precision": "float64"},
    "batch_size": "full",
    "epochs": 3,
    "time_limit_s": None,
    "workers": {"max": 1},
}


@pytest.fixture(scope="module")
def brisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    folder = Path(tmp_path_factory.mktemp("brisk")) / "data"
    service = LiveService(folder, DELTAQ_LEASE_S=str(LEASE_S), DELTAQ_CHECKPOINT_S="0.3")
    yield service
    service.stop()


def ask(service: LiveService, job_id: str, verb: str) -> int:
    return service.call("POST", f"/v1/jobs/{job_id}/{verb}").status_code


def kinds(service: LiveService, job_id: str) -> list[str]:
    """The states that the job's events tell of, in order."""
    lines = service.call("GET", f"/v1/jobs/{job_id}/events").text.splitlines()
    return [line.split('"status":"')[1].split('"')[0] for line in lines if line.startswith('data: {"id":"job-')]


def weights(job: dict[str, Any]) -> str:
    return str(job["result"]["weights_sha256"])


def test_a_verb_that_comes_late_or_twice_leaves_no_mark_on_a_later_run(brisk: LiveService) -> None:
    undisturbed = brisk.finish(brisk.submit(DIGITS))
    for verbs in (("cancel", "cancel"), ("pause", "cancel", "pause")):
        job_id = brisk.submit(DIGITS)
        brisk.reach(job_id, 5)
        answers = [ask(brisk, job_id, verb) for verb in verbs]
        assert set(answers) <= {202, 409}
        brisk.finish(job_id, "cancelled")
        assert ask(brisk, job_id, "pause") == 409
        assert ask(brisk, job_id, "retry?from=start") == 202
        assert weights(brisk.finish(job_id)) == weights(undisturbed)
        assert kinds(brisk, job_id).count("cancelled") == 1
    assert ask(brisk, undisturbed["id"], "cancel") == 409
    assert ask(brisk, undisturbed["id"], "retry?from=start") == 409
    assert brisk.job(undisturbed["id"]) == undisturbed


@pytest.mark.parametrize(
    ("jobs", "stops"),
    [pytest.param(60, 3), pytest.param(500, 30, marks=[pytest.mark.chaos, pytest.mark.timeout(600)])],
)
def test_a_scheduler_that_wakes_after_a_lease_takes_nothing_back_that_has_ended(
    brisk: LiveService, jobs: int, stops: int
) -> None:
    ended: dict[str, dict[str, Any]] = {}
    made: list[str] = []
    for _ in range(stops):
        with ThreadPoolExecutor(8) as threads:
            made += threads.map(lambda _: brisk.submit(TINY), range(jobs // stops))
        ended |= {job["id"]: job for job in brisk.call("GET", "/v1/jobs?status=succeeded&limit=500").json()["items"]}
        scheduler = brisk.part("-m service scheduler")
        os.kill(scheduler, signal.SIGSTOP)
        time.sleep(1.5 * LEASE_S)  # longer than any lease lasts
        os.kill(scheduler, signal.SIGCONT)
    for job_id in made:
        job = brisk.finish(job_id)
        assert job["attempt"] == 1
        assert kinds(brisk, job_id) == ["queued", "running", "succeeded"]
    for job_id, job in ended.items():
        assert brisk.job(job_id) == job


def test_a_step_longer_than_a_lease_is_no_sign_of_death(brisk: LiveService) -> None:
    hold_through_long_steps(brisk, SLOW_STEPS, JOB_S)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_nor_are_the_longest_steps_under_leases_as_users_have_them(tmp_path: Path) -> None:
    service = LiveService(tmp_path / "data")
    try:
        network = {"hidden": [4096, 4096], "precision": "float64"}
        hold_through_long_steps(service, {**SLOW_STEPS, "network": network, "epochs": 20}, 800)
    finally:
        service.stop()


def hold_through_long_steps(service: LiveService, spec: dict[str, Any], timeout_s: float) -> None:
    """Run the job undisturbed, and once more drained in mid-step by the end of the scheduler, which starts again."""
    job_id = service.submit(spec)
    job = service.finish(job_id, timeout_s=timeout_s)
    assert (job["attempt"], job["error"]) == (1, None)
    again = service.submit(spec)
    service.reach(again, 1)
    os.kill(service.part("-m service scheduler"), signal.SIGTERM)
    drained = service.finish(again, timeout_s=timeout_s)
    assert drained["attempt"] == 2
    assert weights(drained) == weights(job)
    assert kinds(service, again) == ["queued", "running", "queued", "running", "succeeded"]


def test_no_step_before_the_newest_checkpoint_is_computed_twice(brisk: LiveService) -> None:
    job_id = brisk.submit(LONG)
    lease, begun = None, 0
    for _ in range(5):
        lease = brisk.lease(job_id, after=lease)
        kept = until(partial(kept_beyond, brisk, job_id, begun), 30, "a new checkpoint").step
        until(partial(struck, brisk, job_id, signal.SIGKILL), 30, "its runner")
        lines = partial(went_on_from, brisk, job_id, begun)
        begun = until(lines, 30, "word of where it goes on")
        assert begun >= kept
    assert ask(brisk, job_id, "cancel") == 202
    brisk.finish(job_id, "cancelled")


def kept_beyond(service: LiveService, job_id: str, step: int) -> CheckpointRef | None:
    """The job's newest checkpoint, if it is of a later step."""
    newest = service.record(job_id).checkpoint
    return newest if newest is not None and newest.step > step else None


def went_on_from(service: LiveService, job_id: str, step: int) -> int | None:
    """The step that its latest attempt began with, once that is a later one."""
    lines = service.call("GET", f"/v1/jobs/{job_id}/logs?limit=500").json()["items"]
    steps = [int(found[1]) for line in lines if (found := re.match(r"Going on from step (\d+)", line["message"]))]
    return steps[-1] if steps and steps[-1] > step else None


def test_a_job_that_kills_its_runners_ends_and_so_do_those_that_wait_for_it(brisk: LiveService) -> None:
    first = brisk.submit({**SLOW_STEPS, "epochs": 5})
    second = brisk.submit({**TINY, "after": [first]})
    third = brisk.submit({**TINY, "after": [second]})
    lease = None
    for _ in range(DEATHS):
        lease = brisk.lease(first, after=lease)
        pid = until(partial(struck, brisk, first, signal.SIGSEGV), 30, "its runner")  # it can say what it dies of
        until(partial(ended, pid), 10, "its death")
    error = brisk.finish(first, "failed")["error"]
    assert error["title"] == "Poisonous"
    assert "3 times without progress" in error["detail"]
    assert "its worker process has died" in error["detail"]
    assert "Segmentation fault" in error["detail"]
    began = time.monotonic()
    for job_id in (second, third):
        job = brisk.finish(job_id, "cancelled")
        assert job["error"]["title"] == "DependencyFailed"
    assert time.monotonic() - began < 10
    answer = brisk.call("POST", "/v1/jobs", json={**TINY, "after": [first]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/after/0"
    assert weights(brisk.finish(brisk.submit(TINY)))  # and everybody else goes on


def test_two_schedulers_at_once_do_no_harm(brisk: LiveService) -> None:
    undisturbed = brisk.finish(brisk.submit(DIGITS))
    first = psutil.Process(brisk.part("-m service scheduler"))
    second = subprocess.Popen(first.cmdline(), env=first.environ(), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        jobs = [brisk.submit(DIGITS) for _ in range(6)]
        brisk.reach(jobs[0], 5)
        before = leader_epoch(brisk)
        first.suspend()  # the other one leads after a while
        until(lambda: leader_epoch(brisk) > before, 30, "another leader")
        brisk.finish(jobs[1])
        first.resume()
        jobs += [brisk.submit(DIGITS) for _ in range(6)]
        ended = [brisk.finish(job_id) for job_id in jobs]
    finally:
        second.terminate()
        second.wait(30)
    assert {job["attempt"] for job in ended} == {1}
    assert {weights(job) for job in ended} == {weights(undisturbed)}
    assert weights(brisk.finish(brisk.submit(DIGITS))) == weights(undisturbed)  # the first one leads again


def leader_epoch(service: LiveService) -> int:
    return int(service.redis("HGET", "deltaq:leader", "epoch"))


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=[pytest.mark.chaos, pytest.mark.timeout(900)])])
def test_a_redis_that_comes_back_and_goes_again_is_worked_with_at_once(brisk: LiveService, rounds: int) -> None:
    long = brisk.submit(LONG)
    brisk.reach(long, 1)
    answers = set()
    for number in range(rounds):
        for pause_s in (0.0, 0.1 * (number % 10)):
            redis = brisk.part("valkey-server")
            time.sleep(pause_s)
            brisk.kill(redis)
            answers |= refused_with(brisk)
        job_id = brisk.submit(TINY)  # as soon as Redis answers again
        job = until(partial(started, brisk, job_id), 15, "the job's start")
        assert job["status"] in ("running", "succeeded")
    assert answers <= {(503, "1")}
    assert brisk.job(long)["attempt"] == 1
    assert ask(brisk, long, "cancel") == 202
    brisk.finish(long, "cancelled")


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_a_redis_that_loads_a_long_queue_is_waited_for(tmp_path: Path) -> None:
    service = LiveService(tmp_path / "data")
    try:
        first = service.finish(service.submit(TINY))
        spec = JobSpec.model_validate({**first["spec"], "priority": -1000})
        dataset = Identity(first["spec"]["dataset"], service.record(first["id"]).dataset_sha256)
        jobs = Jobs(Store(service.description["redis_url"]))
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(lambda _: jobs.accept(Acceptance("default", spec, dataset)), range(100_000)))
        for _ in range(3):
            service.kill(service.part("valkey-server"))
            answers = set[tuple[int, str | None]]()
            while not answers or service.http.get("/readyz").status_code != 200:
                answers |= refused_with(service)
            assert answers == {(503, "1")}, "it was not away for long enough to be noticed"
            until(partial(started, service, service.submit(TINY)), 15, "the job's start")
    finally:
        service.stop()


def test_tenants_share_the_workers_whoever_has_sent_how_much(brisk: LiveService) -> None:
    """Ten times as many jobs of one: of those that start while all three have jobs, each has a third."""
    first = brisk.finish(brisk.submit(TINY))
    spec, dataset = JobSpec.model_validate(first["spec"]), brisk.record(first["id"]).dataset_sha256
    jobs = Jobs(Store(brisk.description["redis_url"]))
    before = [brisk.submit({**LONG, "priority": 1}) for _ in range(2)]
    for job_id in before:
        brisk.reach(job_id, 1)
    made = [
        jobs.accept(Acceptance(tenant, spec, Identity(spec.dataset, dataset)))[0].id
        for tenant, count in (("ada", 100), ("ben", 10), ("cleo", 10))
        for _ in range(count)
    ]
    for job_id in before:
        assert ask(brisk, job_id, "cancel") == 202
    until(lambda: all(brisk.record(job_id).status.terminal for job_id in made), 120, "the end of all")
    started = sorted((str(job.started_at), job.tenant) for job in map(brisk.record, made))
    shares = Counter(tenant for _, tenant in started[:30])
    assert all(9 <= share <= 11 for share in shares.values()), shares
    assert len(shares) == 3


def refused_with(service: LiveService) -> set[tuple[int, str | None]]:
    """How a submission is refused while Redis is away, if it is."""
    answer = service.http.post("/v1/jobs", json=TINY)
    return set() if answer.status_code == 202 else {(answer.status_code, answer.headers.get("retry-after"))}


def struck(service: LiveService, job_id: str, number: int) -> int | None:
    """Signal the job's runner; what is shown of it may be older than its end."""
    pid = service.pid_of(job_id)
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return None
    return pid


def ended(pid: int) -> bool:
    return not running(pid)


def started(service: LiveService, job_id: str) -> dict[str, Any] | None:
    job = service.job(job_id)
    return job if job["status"] != "queued" else None


def test_a_more_important_job_takes_the_workers_of_others_which_go_on_afterwards(brisk: LiveService) -> None:
    undisturbed = brisk.finish(brisk.submit({**DIGITS, "epochs": 600}))
    jobs = [brisk.submit({**DIGITS, "epochs": 600}) for _ in range(2)]
    for job_id in jobs:
        brisk.reach(job_id, 50)
    urgent = brisk.finish(brisk.submit({**TINY, "workers": {"min": 2}, "shards": 2, "priority": 1}))
    ended = [brisk.finish(job_id) for job_id in jobs]
    assert [job["attempt"] for job in ended] == [2, 2]
    assert {weights(job) for job in ended} == {weights(undisturbed)}
    assert all(job["finished_at"] > urgent["finished_at"] for job in ended)
    said = brisk.call("GET", f"/v1/jobs/{jobs[0]}/logs").json()["items"]
    assert any("pre-empted by a job of priority 1" in line["message"] for line in said)
    assert {job["retried"] for job in ended} == {0}


def test_a_runner_that_is_stopped_until_its_lease_is_over_writes_nothing_more(brisk: LiveService) -> None:
    undisturbed = brisk.finish(brisk.submit(DIGITS))
    for _ in range(2):
        job_id = brisk.submit({**DIGITS})
        brisk.reach(job_id, 20)
        pid = brisk.pid_of(job_id)
        os.kill(pid, signal.SIGSTOP)
        job = brisk.finish(job_id)
        if running(pid):
            os.kill(pid, signal.SIGCONT)
        assert job["attempt"] == 2
        assert weights(job) == weights(undisturbed)
        until(partial(ended, pid), 20, "the end of the process that nobody waits for")
        assert brisk.job(job_id) == job
