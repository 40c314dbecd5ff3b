"""Workers on hosts of their own: the same bits, also when a node dies or is cut off in the middle of a job.

Three workers of four serve: both slots of `wide`, which has the job's runner and computes in shared memory, and one of
another host, reached through Ray.
"""

from __future__ import annotations

import os
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.queue import Queue
from service.ray_nodes import HEALTH_CHECKS
from service.redis_server import answers
from service.store import Store
from tests.hosts.cluster import Cluster
from tests.hosts.namespaces import Host
from tests.integration.live import mapped, running, until
from tests.integration.test_survival import assert_refused
from tests.workers.transport.holdings import blocks_of, holders_of

pytestmark = pytest.mark.timeout(300)

EPOCHS = 100
SPEC: dict[str, Any] = {
    "dataset": "digits",
    "network": {"hidden": [256, 128], "dropout": 0.1, "normalization": "batch"},
    "batch_size": 512,
    "shards": 4,
    "epochs": EPOCHS,
    "optimizer": {"name": "adam"},
}
MIDDLE = 60  # of 300 steps: most of the work is not done


@pytest.fixture(scope="module")
def undisturbed(shared_cluster: Cluster) -> dict[str, Any]:
    """The job's result with one worker, when nothing happens."""
    with shared_cluster.inside():
        live = shared_cluster.live
        return dict(live.finish(live.submit(spec_of(1)))["result"])


def spec_of(workers: int) -> dict[str, Any]:
    """The job, served by so many."""
    return {**SPEC, "workers": {"min": workers, "max": workers}}


def assert_same_bits(cluster: Cluster, job: dict[str, Any], undisturbed: dict[str, Any]) -> None:
    """The job went the same way as the undisturbed one."""
    for name in ("weights_sha256", "steps", "validation_loss"):
        assert job["result"][name] == undisturbed[name]
    assert [row["epoch"] for row in cluster.live.metrics(job["id"])] == list(range(1, EPOCHS + 1))


def begun(cluster: Cluster, workers: int, **changes: Any) -> str:
    """A job that runs, as it is meant to lie."""
    job_id = cluster.live.submit({**spec_of(workers), **changes})
    cluster.live.reach(job_id, 1)
    assert cluster.serving("runners", job_id) == ["wide"]
    assert [name for name in cluster.serving("workers", job_id) if name == "wide"] == ["wide", "wide"]
    return job_id


def other_host(cluster: Cluster, job_id: str) -> Host:
    """The host that serves a job beside its runner's."""
    (other,) = set(cluster.serving("workers", job_id)) - {"wide"}
    return cluster.hosts[other]


def cut_in_the_middle(cluster: Cluster, job_id: str, host: Host) -> None:
    """Cut a host's link in the middle of a job."""
    cluster.live.reach(job_id, MIDDLE)
    host.cut()
    assert not cluster.live.record(job_id).status.terminal


class Family:
    """The processes of a host, and what they share."""

    def __init__(self, host: Host) -> None:
        self.pids = host.pids()
        self._shared = {name for pid in self.pids for name in mapped(pid)}

    def ends(self) -> None:
        """It ends by itself, and leaves no memory behind."""
        until(lambda: not any(map(running, self.pids)), 60.0, f"the end of {self.pids}")
        assert not [name for name in self._shared if Path(name).exists()]


def test_a_head_of_several_nodes_looks_after_them_often(cluster: Cluster) -> None:
    (head,) = (
        process for pid in cluster.hosts["head"].pids() if (process := psutil.Process(pid)).name() == "gcs_server"
    )
    assert head.environ().items() >= HEALTH_CHECKS.items()


def test_workers_on_two_hosts_change_no_bit(cluster: Cluster, undisturbed: dict[str, Any]) -> None:
    job_id = begun(cluster, 3)
    assert len(cluster.serving("workers", job_id)) == 3
    job = cluster.live.finish(job_id)
    assert (job["result"]["workers_used"], undisturbed["workers_used"]) == (3, 1)
    assert_same_bits(cluster, job, undisturbed)


def test_a_worker_of_another_host_keeps_nothing_of_a_dead_runners_job(cluster: Cluster) -> None:
    job_id = begun(cluster, 3)
    other = other_host(cluster, job_id)
    held = until(
        lambda: {block for pid in other.pids() for block in blocks_of(pid)}, 30.0, "its leader has the weights"
    )
    runner = cluster.live.pid("runners")
    os.kill(runner, signal.SIGSTOP)
    assert cluster.live.call("POST", f"/v1/jobs/{job_id}/cancel").status_code == 202
    cluster.live.kill(runner)  # the job is cancelled, and none that comes later takes the worker
    until(lambda: not holders_of(held), 30.0, "the weights are dropped")
    assert cluster.live.finish(job_id, "cancelled")["attempt"] == 1


def finished_without_a_raylet(cluster: Cluster, job_id: str) -> dict[str, Any]:
    """The job, when in its middle the raylet of its other host was killed; nothing is left of that host."""
    family = Family(other_host(cluster, job_id))
    raylet = next(pid for pid in family.pids if psutil.Process(pid).name() == "raylet")
    cluster.live.reach(job_id, MIDDLE)
    cluster.live.kill(raylet)
    assert not cluster.live.record(job_id).status.terminal
    job = cluster.live.finish(job_id)
    assert (job["attempt"], job["result"]["workers_used"]) == (1, 3)
    family.ends()
    return job


def test_a_killed_raylet_changes_no_bit(cluster: Cluster, undisturbed: dict[str, Any]) -> None:
    assert_same_bits(cluster, finished_without_a_raylet(cluster, begun(cluster, 3)), undisturbed)


def test_a_killed_raylet_loses_no_mini_batch_of_an_asynchronous_job(cluster: Cluster) -> None:
    job = finished_without_a_raylet(cluster, begun(cluster, 3, mode="async", shards=1))
    rows = cluster.live.metrics(job["id"])
    assert [(row["epoch"], sum(row["staleness"])) for row in rows] == [(epoch, 3) for epoch in range(1, EPOCHS + 1)]
    assert any(len(row["staleness"]) > 2 for row in rows), "three mini-batches were computed at a time"


def test_a_worker_that_is_cut_off_changes_no_bit(cluster: Cluster, undisturbed: dict[str, Any]) -> None:
    job_id = begun(cluster, 3)
    host = other_host(cluster, job_id)
    family = Family(host)
    cut_in_the_middle(cluster, job_id, host)
    until(lambda: not cluster.alive(host), 60.0, "the node is said to be dead")
    host.mend()
    job = cluster.live.finish(job_id)
    assert job["attempt"] == 1
    assert_same_bits(cluster, job, undisturbed)
    family.ends()


def test_a_runner_that_is_cut_off_writes_nothing_and_changes_no_bit(
    cluster: Cluster, undisturbed: dict[str, Any]
) -> None:
    job_id = begun(cluster, 2)
    host, pid, lease = cluster.hosts["wide"], cluster.live.pid("runners"), cluster.live.lease(job_id)
    family = Family(host)
    cut_in_the_middle(cluster, job_id, host)
    later = cluster.live.lease(job_id, after=lease)
    assert running(pid)  # and goes on to train
    host.mend()
    redis_url = cluster.live.description["redis_url"]
    with host.inside(), closing(Store(redis_url)) as store:
        until(lambda: answers(redis_url), 30.0, "the host reaches Redis again")
        assert_refused(Queue(store), lease)
    assert cluster.live.lease(job_id) == later
    job = cluster.live.finish(job_id)
    assert (job["attempt"], job["result"]["workers_used"]) == (2, 2)
    assert_same_bits(cluster, job, undisturbed)
    family.ends()
    assert cluster.live.job(job_id) == job
