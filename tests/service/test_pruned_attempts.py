"""Jobs of a sweep that stops trials early: each stops where it is judged, and its result is that of this epoch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from service import strict_json
from service.acceptance import Acceptance, TrialJob
from service.datasets import Dataset
from service.fusing import Fusion
from service.jobs import Job, JobStatus
from service.resolution import resolve
from service.same_work import work_digest
from service.spec import JobSpec, SweepSpec
from service.store import Store
from service.sweeps.records import Sweeps
from tests.service.attempt_room import FINGERPRINT, SPEC, STEPS, AttemptRoom
from tests.service.families import until
from tests.service.test_population_attempts import attempt as attempt_together

EPOCH = STEPS // 4  # steps
AT_EVERY_EPOCH = {"metric": "learning_rate", "above": -1.0, "action": "stop"}


class Pruning(AttemptRoom):
    """Attempts at trials of a sweep, whose pruner is the test."""

    def __init__(self, store: Store, folder: Path) -> None:
        super().__init__(store, folder)
        self.sweeps = Sweeps(store)
        space = {"seed": {"int": [0, 9]}}
        spec = SweepSpec.model_validate({"base": SPEC, "space": space, "pruner": "asha", "trials": 9})
        self.sweep = self.sweeps.create(self.rooms.tenant, spec, trials=9, datasets=[])[0].id

    def trial(self, *, fused: bool = False, **fields: Any) -> Job:
        """The next trial's job."""
        number = self.sweeps.get(None, self.sweep).asked
        spec = JobSpec.model_validate({**SPEC, **fields})
        dataset = Dataset.from_document(self.records.find(self.rooms.tenant, spec.dataset))
        found = resolve(spec, dataset)
        trial = TrialJob(self.sweep, number, 0, 9, {}, prunes=True)
        fusion = Fusion("alike", 32) if fused else None
        work = work_digest(found.spec, dataset, None)
        return self.rooms.jobs.accept(
            Acceptance(self.rooms.tenant, found.spec, dataset, trial=trial, fusion=fusion, work=work)
        )[0]

    def judge(self, job: Job, epoch: int, *, stop: bool) -> None:
        assert job.trial is not None
        self.sweeps.judge(self.sweep, job.trial, job.id, epoch, stop=stop)

    def has_reported(self, job: Job, epoch: int) -> bool:
        """Whether it has come so far and no further."""
        return self.epochs(job) == list(range(1, epoch + 1))

    def stopped_by_a_rule(self, epoch: int, **fields: Any) -> dict[str, Any]:
        """The result of a job that is no trial and ends after this epoch."""
        self.submit(rules=[{**AT_EVERY_EPOCH, "epochs": epoch}], **fields)
        job = self.run()
        assert job.result is not None
        return job.result


@pytest.fixture
def room(store: Store, tmp_path: Path) -> Pruning:
    return Pruning(store, tmp_path)


@contextmanager
def under_way(run: Callable[[], object]) -> Iterator[None]:
    """Run in a thread, which has ended at the exit."""
    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize("stopping", [None, {"patience": 1000}])
@pytest.mark.parametrize("fused", [False, True])
def test_no_trial_runs_ahead_of_its_pruner_and_its_hash_is_that_of_the_epoch_judged(
    room: Pruning, fused: bool, stopping: dict[str, Any] | None
) -> None:
    whole, stopped = (
        room.stopped_by_a_rule(epoch, seed=seed, early_stopping=stopping) for seed, epoch in ((0, 4), (1, 2))
    )
    jobs = [room.trial(seed=seed, fused=fused, early_stopping=stopping) for seed in range(2)]

    def attempt_all() -> None:
        if fused:
            attempt_together(room).run()
        else:
            room.run()
            room.run()

    for epoch in range(1, 5):
        room.judge(jobs[0], epoch, stop=False)
    with under_way(attempt_all):
        for epoch in (1, 2):
            until(partial(room.has_reported, jobs[1], epoch), "the epoch")
            time.sleep(0.1)  # in which it would go on
            assert room.rooms.job(jobs[1].id).progress["step"] == epoch * EPOCH
            room.judge(jobs[1], epoch, stop=epoch == 2)
    first, second = (room.rooms.job(job.id) for job in jobs)
    assert (first.status, second.status) == (JobStatus.SUCCEEDED, JobStatus.CANCELLED)
    assert first.result is not None
    assert first.result["weights_sha256"] == whole["weights_sha256"]
    assert second.result is not None
    assert (second.result["stopped_by"], second.result["pruned_at"]) == ("pruner", 2)
    for name in ("weights_sha256", "best_epoch", "epochs", "steps"):
        assert second.result[name] == stopped[name]
    assert second.result["fingerprint"] == FINGERPRINT
    assert second.result.get("fused_with") == (1 if fused else None)
    assert room.epochs(second) == [1, 2]


@pytest.mark.parametrize("from_start", [False, True])
def test_judged_while_it_is_paused_it_stops_there_when_it_goes_on(room: Pruning, from_start: bool) -> None:
    stopped = room.stopped_by_a_rule(1)
    job = room.trial()
    with under_way(room.run):
        until(partial(room.has_reported, job, 1), "an epoch")
        room.rooms.jobs.request(room.rooms.tenant, job.id, "pause")
    paused = room.rooms.job(job.id)
    assert paused.status is JobStatus.PAUSED
    assert paused.checkpoint is not None
    room.judge(job, 1, stop=True)
    assert room.rooms.status(job.id) is JobStatus.PAUSED
    if from_start:
        room.artifacts.delete(paused.checkpoint.path)
    room.rooms.jobs.resume(room.rooms.tenant, job.id)
    ended = room.run()
    assert ended.status is JobStatus.CANCELLED
    assert ended.result is not None
    assert ended.result["weights_sha256"] == stopped["weights_sha256"]
    assert ended.result["pruned_at"] == 1


def test_a_pruned_job_is_never_reused_and_a_retry_lets_it_go_on_to_the_end(room: Pruning) -> None:
    whole = room.stopped_by_a_rule(4)
    job = room.trial()
    room.judge(job, 2, stop=True)
    pruned = room.run()
    assert pruned.status is JobStatus.CANCELLED
    dataset = Dataset.from_document(room.records.find(room.rooms.tenant, pruned.spec.dataset))
    same = Acceptance(
        room.rooms.tenant,
        pruned.spec,
        dataset,
        work=work_digest(pruned.spec, dataset, None),
        fingerprint=strict_json.sha256(FINGERPRINT),
    )
    again, _ = room.rooms.jobs.accept(same)
    assert again.status is JobStatus.QUEUED
    room.rooms.jobs.request(room.rooms.tenant, again.id, "cancel")
    room.rooms.jobs.retry(room.rooms.tenant, job.id)
    ended = room.run()
    assert ended.status is JobStatus.SUCCEEDED
    assert ended.result is not None
    assert ended.result["weights_sha256"] == whole["weights_sha256"]
    assert room.epochs(job) == [1, 2, 3, 4]
