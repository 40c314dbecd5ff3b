"""Sweeps and trials in Redis: each trial once, told once, whoever repeats what; and what goes with a sweep."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.acceptance import Acceptance, TrialJob
from service.errors import (
    IdempotencyConflict,
    IllegalTransition,
    InUse,
    InvalidRequest,
    InvalidSpec,
    NoTrial,
    SweepNotFound,
)
from service.jobs import Job, JobStatus
from service.spec import JobSpec, SweepSpec
from service.sweeps.records import Sweeps, Told
from service.sweeps.sweep import Sweep
from service.sweeps.trial import Trial, TrialStatus
from tests.service.rooms import Rooms


class Search:
    """A sweep of the rooms' data set, and a sweeper's hand."""

    def __init__(self, rooms: Rooms, **fields: Any) -> None:
        self.rooms, self.sweeps = rooms, Sweeps(rooms.store)
        base = {"dataset": rooms.dataset.id}
        given = {"base": base, "space": {"seed": {"int": [1, 9]}}, "trials": 5, **fields}
        self.spec = SweepSpec.model_validate(given)
        self.id = self.create().id

    def create(self, **arguments: Any) -> Sweep:
        given = {"trials": self.spec.trials, "datasets": [self.rooms.dataset.id], **arguments}
        return self.sweeps.create("ada", self.spec, **given)[0]

    def asked(self, number: int, repeat: int = 0, parallel: int = 9) -> Acceptance:
        trial = TrialJob(self.id, number, repeat, parallel, {"seed": number}, {"a": 1}, prunes=self.spec.prunes)
        return Acceptance("ada", JobSpec(dataset=self.rooms.dataset.id, seed=number), self.rooms.dataset, trial=trial)

    def make(self, number: int, repeat: int = 0, parallel: int = 9) -> tuple[Job, bool]:
        return self.rooms.jobs.accept(self.asked(number, repeat, parallel))

    def show(self) -> Sweep:
        return self.sweeps.get("ada", self.id)

    def trials(self) -> list[Trial]:
        return self.sweeps.all_trials("ada", self.id)

    def tell(self, number: int, status: TrialStatus = TrialStatus.SUCCEEDED, value: float = 1.0) -> bool:
        trial = self.sweeps.trials(self.id, [number])[0]
        told = Trial(trial.number, status, trial.params, trial.job_ids, values=(value,), intermediate={1: value})
        return self.sweeps.tell(self.id, [Told(told, value if status is TrialStatus.SUCCEEDED else None)])[0]

    def finish_job(self, *, succeed: bool = True) -> str:
        lease = self.rooms.claim().lease
        if succeed:
            self.rooms.succeed(lease)
        else:
            self.rooms.queue.release(lease, "over")
        return lease.job_id


@pytest.fixture
def search(rooms: Rooms) -> Search:
    return Search(rooms)


def test_a_trial_and_its_job_are_made_in_one_step_and_once(search: Search) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: search.make(0), range(20)))
    assert len({job.id for job, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1
    (trial,) = search.trials()
    assert trial.job_ids == (answers[0][0].id,)
    assert trial.params == {"seed": 0}
    assert trial.attributes == {"a": 1}
    assert trial.status is TrialStatus.QUEUED
    sweep = search.show()
    assert (sweep.status, sweep.asked, sweep.open) == (JobStatus.RUNNING, 1, 1)
    job = search.rooms.jobs.get("ada", trial.job_ids[0])
    assert (job.sweep, job.trial) == (search.id, 0)


def test_only_the_next_trial_is_taken_and_only_while_there_is_room(search: Search) -> None:
    with pytest.raises(NoTrial):
        search.make(1)
    search.make(0)
    with pytest.raises(NoTrial):
        search.make(1, parallel=1)
    with pytest.raises(NoTrial):
        search.make(0, repeat=2)
    search.make(0, repeat=1)
    assert len(search.trials()[0].job_ids) == 2
    for number in range(1, 5):
        search.make(number)
    with pytest.raises(NoTrial):
        search.make(5)
    assert search.show().asked == 5


def test_several_are_made_in_one_trip_each_refusal_in_its_place(search: Search) -> None:
    answers = search.rooms.jobs.accept_all([search.asked(0), search.asked(2), search.asked(1)])
    kinds = [type(answer).__name__ for answer in answers]
    assert kinds == ["tuple", "NoTrial", "tuple"]


def test_a_trial_is_told_once_when_its_jobs_have_ended(search: Search) -> None:
    search.make(0)
    search.make(0, repeat=1)
    search.finish_job()
    assert not search.tell(0)
    search.finish_job()
    assert [trial.number for trial, _ in search.sweeps.news(search.id)] == [0]
    assert search.tell(0, value=2.5)
    assert not search.tell(0, value=9.0)
    (trial,) = search.trials()
    assert (trial.status, trial.values, trial.intermediate) == (TrialStatus.SUCCEEDED, (2.5,), {1: 2.5})
    sweep = search.show()
    assert (sweep.open, sweep.ended[TrialStatus.SUCCEEDED], sweep.best) == (0, 1, 0)
    assert list(search.sweeps.news(search.id)) == []


def test_the_sweeper_is_woken_by_a_new_sweep_and_by_the_end_of_a_job(search: Search) -> None:
    assert search.id in search.sweeps.await_change(1.0)
    search.make(0)
    search.sweeps.await_change(1.0)
    assert search.sweeps.await_change(0.01) == set()
    search.finish_job()
    assert search.sweeps.await_change(1.0) == {search.id}
    assert search.sweeps.live() == {search.id}


def test_the_best_is_the_one_with_the_lowest_score(search: Search) -> None:
    for number, value in enumerate((3.0, -1e300, 2.0)):
        search.make(number)
        search.finish_job()
        search.tell(number, value=value)
    assert search.show().best == 1


def test_a_sweep_ends_only_as_it_was_seen(search: Search) -> None:
    search.make(0)
    seen = search.show()
    search.finish_job()
    assert search.sweeps.finish(seen, NoTrial("why")).status is JobStatus.RUNNING  # a trial is open
    search.tell(0, TrialStatus.FAILED)
    search.sweeps.extend("ada", search.id, 8)
    assert search.sweeps.finish(seen, NoTrial("why")).status is JobStatus.RUNNING  # it has been extended
    ended = search.sweeps.finish(search.show(), NoTrial("why"))
    assert ended.status is JobStatus.FAILED
    assert ended.error is not None
    assert ended.error["detail"] == "why"
    assert search.sweeps.live() == set()
    assert search.sweeps.extend("ada", search.id, 9).status is JobStatus.RUNNING
    assert search.sweeps.live() == {search.id}
    assert search.show().error is None


def test_cancelling_takes_all_jobs_along_and_no_trial_comes_after(search: Search) -> None:
    for number in range(3):
        search.make(number)
    lease = search.rooms.claim().lease
    assert search.sweeps.steer("ada", search.id, "cancel").status is JobStatus.CANCELLED
    assert search.sweeps.steer("ada", search.id, "cancel").status is JobStatus.CANCELLED
    with pytest.raises(NoTrial):
        search.make(3)
    statuses = sorted(job.status for job in search.rooms.jobs.list("ada", sweep=search.id).items)
    assert statuses == ["cancelled", "cancelled", "running"]
    assert search.rooms.queue.beat(lease) == "cancel"
    for verb in ("pause", "resume"):
        with pytest.raises(IllegalTransition, match="cancelled"):
            search.sweeps.steer("ada", search.id, verb)
    with pytest.raises(IllegalTransition):
        search.sweeps.extend("ada", search.id, 9)


def test_a_pause_holds_jobs_and_trials_back_until_it_is_resumed(search: Search) -> None:
    for number in range(3):
        search.make(number)
    lease = search.rooms.claim().lease
    assert search.sweeps.steer("ada", search.id, "pause").status is JobStatus.PAUSED
    assert search.rooms.queue.beat(lease) == "pause"
    assert search.rooms.queue.depth() == 0
    with pytest.raises(NoTrial):
        search.make(3)
    assert search.sweeps.steer("ada", search.id, "resume").status is JobStatus.RUNNING
    assert search.rooms.queue.beat(lease) is None
    assert search.rooms.queue.depth() == 2
    assert search.sweeps.steer("ada", search.id, "resume").status is JobStatus.RUNNING
    search.make(3)


def test_of_many_jobs_all_are_steered_though_a_step_takes_some(rooms: Rooms) -> None:
    search = Search(rooms, trials=250)
    for number in range(250):
        search.make(number, parallel=250)
    search.sweeps.steer("ada", search.id, "pause")
    assert search.rooms.queue.depth() == 0
    search.sweeps.steer("ada", search.id, "resume")
    assert search.rooms.queue.depth() == 250
    search.sweeps.steer("ada", search.id, "cancel")
    assert search.rooms.queue.depth() == 0
    assert len(search.trials()) == 250


def test_a_data_set_that_a_live_sweep_uses_stays(search: Search) -> None:
    with pytest.raises(InUse, match=search.id):
        search.rooms.datasets.delete("ada", search.rooms.dataset.id)
    search.sweeps.steer("ada", search.id, "cancel")
    search.rooms.datasets.delete("ada", search.rooms.dataset.id)


def test_an_idempotency_key_makes_one_sweep(search: Search) -> None:
    one = search.create(idempotency=("key", "request"))
    assert search.create(idempotency=("key", "request")).id == one.id
    assert search.sweeps.find_idempotent("ada", ("key", "request")) == one.id
    with pytest.raises(IdempotencyConflict, match=one.id):
        search.create(idempotency=("key", "other"))


def test_another_tenants_sweep_is_not_there(search: Search) -> None:
    for ask in (
        lambda: search.sweeps.get("bob", search.id),
        lambda: search.sweeps.steer("bob", search.id, "cancel"),
        lambda: search.sweeps.all_trials("bob", search.id),
        lambda: search.sweeps.extend("bob", search.id, 9),
        lambda: search.rooms.jobs.list("bob", sweep=search.id),
        lambda: search.rooms.events.read_all("bob", sweep_ids=[search.id]),
        lambda: search.sweeps.get("ada", "sweep-x"),
    ):
        with pytest.raises(SweepNotFound):
            ask()
    assert search.sweeps.list("bob").items == []


def test_fewer_trials_than_there_are_to_be_are_refused(search: Search) -> None:
    with pytest.raises(InvalidSpec, match="at least 5"):
        search.sweeps.extend("ada", search.id, 4)
    assert search.sweeps.extend("ada", search.id, 5).trials == 5


def test_a_trial_whose_spec_is_refused_has_no_job(search: Search) -> None:
    asked = search.asked(0).trial
    assert asked is not None
    for _ in range(2):
        search.sweeps.fail_trial(asked, {"title": "t", "detail": "d", "hint": ""})
    (trial,) = search.trials()
    assert (trial.status, trial.job_ids, trial.job_id) == (TrialStatus.FAILED, (), None)
    assert (search.show().asked, search.show().open, search.show().ended[TrialStatus.FAILED]) == (1, 0, 1)


def test_a_stopped_trials_job_ends_as_cancelled_by_the_pruner(rooms: Rooms) -> None:
    search = Search(rooms, pruner="asha")
    search.make(0)
    lease = search.rooms.claim().lease
    search.rooms.queue.record_epoch(lease, {"epoch": 1, "validation_loss": 2.0})
    assert search.rooms.queue.judged(lease, 1, 0.01) == (False, False)
    search.sweeps.judge(search.id, 0, lease.job_id, 1, stop=False)
    assert list(search.sweeps.news(search.id)) == []
    assert search.rooms.queue.judged(lease, 1, 0.01) == (True, False)
    search.rooms.queue.record_epoch(lease, {"epoch": 2, "validation_loss": 2.0})
    search.sweeps.judge(search.id, 0, lease.job_id, 2, stop=True)
    assert search.rooms.queue.judged(lease, 1, 0.01) == (True, False)
    assert search.rooms.queue.judged(lease, 2, 0.01) == (True, True)
    result = {"stopped_by": "pruner", "pruned_at": 2}
    for _ in range(2):  # its answer may have been lost
        search.rooms.queue.prune(lease, result)
    job = search.rooms.jobs.get("ada", lease.job_id)
    assert (job.status, job.result) == (JobStatus.CANCELLED, result)
    assert search.sweeps.trials(search.id, [0])[0].pruned_at == 2
    search.tell(0, TrialStatus.PRUNED)
    retried = search.rooms.jobs.retry("ada", lease.job_id)
    assert (retried.status, retried.result, retried.prunes) == (JobStatus.QUEUED, None, False)
    search.finish_job()
    assert [trial.number for trial, _ in search.sweeps.news(search.id)] == [0]
    assert not search.tell(0)
    assert list(search.sweeps.news(search.id)) == []
    assert search.trials()[0].status is TrialStatus.PRUNED


def test_events_of_a_sweep_are_its_own_and_its_jobs(search: Search) -> None:
    other = search.rooms.accept()
    job, _ = search.make(0)
    found = search.rooms.events.read_all("ada", sweep_ids=[search.id])
    assert {event.type for event in found.events} == {"sweep", "status"}
    assert all(search.id in event.data or job.id in event.data for event in found.events)
    assert not any(other.id in event.data for event in found.events)
    assert not found.ended
    search.sweeps.steer("ada", search.id, "cancel")
    search.tell(0, TrialStatus.CANCELLED)
    assert search.rooms.events.read_all("ada", sweep_ids=[search.id]).ended


def test_trials_are_listed_in_pages_in_their_order(search: Search) -> None:
    for number in range(5):
        search.make(number)
    seen, cursor = [], None
    while True:
        page = search.sweeps.list_trials("ada", search.id, cursor=cursor, limit=2)
        seen += [trial.number for trial in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [0, 1, 2, 3, 4]


def test_a_sweeps_jobs_are_listed_in_pages_each_once_whatever_else_there_is(rooms: Rooms) -> None:
    search = Search(rooms, trials=25)
    for number in range(25):
        search.make(number, parallel=25)
        rooms.accept()
    for _ in range(10):
        search.finish_job()
    for status in (None, JobStatus.QUEUED, JobStatus.SUCCEEDED):
        expected = [job.id for job in rooms.jobs.list("ada", limit=500).items if job.sweep == search.id]
        expected = [job_id for job_id in expected if status in (None, rooms.jobs.get("ada", job_id).status)]
        seen: list[str] = []
        cursor = None
        while True:
            page = rooms.jobs.list("ada", sweep=search.id, status=status, cursor=cursor, limit=7)
            seen += [job.id for job in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == expected
    other = Search(rooms).id
    first = rooms.jobs.list("ada", sweep=search.id, limit=7).next_cursor
    with pytest.raises(InvalidRequest, match="cursor"):
        rooms.jobs.list("ada", sweep=other, cursor=first)
