"""The sweeper on a real Redis, its jobs moved by hand: asks lazily, tells once, and two of them are as good as one."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from service.artifacts import Artifacts
from service.builtin import install_builtins
from service.dataset_records import DatasetRecords
from service.errors import Diverged
from service.history import History
from service.job_records import Jobs, Limits
from service.jobs import Job, JobStatus
from service.model_records import ModelRecords
from service.models import ModelStore
from service.queue import Queue
from service.settings import Settings
from service.spec import SweepSpec
from service.store import Store
from service.submission import Submission
from service.sweeper_process import sweeper_of
from service.sweeps.progress import TOLD_AT_ONCE, Progress
from service.sweeps.ranking import best_trials
from service.sweeps.records import Sweeps
from service.sweeps.submission import SweepSubmission
from service.sweeps.sweep import Sweep
from service.sweeps.sweeper import Sweeper
from service.sweeps.trial import Trial, TrialStatus
from tests.service.rooms import Rooms

SPEC: dict[str, Any] = {
    "base": {"dataset": "iris", "epochs": 3},
    "space": {"optimizer.learning_rate": {"log_uniform": [0.01, 1.0]}},
    "sampler": "random",
    "trials": 4,
    "parallel": 2,
}


class Bench:
    """Sweeps, sweepers, and a hand that runs jobs."""

    tenant = "ada"

    def __init__(self, store: Store, folder: Path, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self.store, self.sweeps, self.rooms = store, Sweeps(store), Rooms(store)
        self.settings = Settings(data_dir=folder, redis_url="redis://nowhere", max_queued=limits.queued)
        artifacts = Artifacts(self.settings.artifacts_url)
        install_builtins(DatasetRecords(store), artifacts)
        jobs, models = Jobs(store, limits), ModelStore(ModelRecords(store), artifacts)
        history, records = History(store, jobs, artifacts), DatasetRecords(store)
        submission = Submission(jobs, history, records, models, Queue(store), 1 << 30)
        self.submission = SweepSubmission(self.sweeps, submission)

    def sweeper(self) -> Sweeper:
        return sweeper_of(self.store, self.settings)

    def start(self, **changes: Any) -> str:
        return self.submission.submit(self.tenant, SweepSpec.model_validate({**SPEC, **changes})).id

    def show(self, sweep: str) -> Sweep:
        return self.sweeps.get(self.tenant, sweep)

    def end_next(self, loss: float | None = 1.0) -> Job:
        """End the next job with this loss; None: it diverges."""
        claimed = self.rooms.claim()
        if loss is None:
            self.rooms.queue.fail(claimed.lease, Diverged("not finite"))
        else:
            model = {"id": f"model-{claimed.job.id[4:]}", "job_id": claimed.job.id}
            self.rooms.queue.succeed(
                claimed.lease, {"validation_loss": loss, "train_loss": loss, "fused_with": 3}, model
            )
        return claimed.job


@pytest.fixture
def bench(store: Store, tmp_path: Path) -> Bench:
    return Bench(store, tmp_path)


def test_trials_are_made_as_slots_free_and_no_sooner(bench: Bench) -> None:
    sweep, sweeper = bench.start(), bench.sweeper()
    sweeper.tick()
    sweeper.tick()
    assert (bench.show(sweep).asked, bench.show(sweep).open) == (2, 2)
    bench.end_next(2.0)
    sweeper.tick()
    assert (bench.show(sweep).asked, bench.show(sweep).open) == (3, 2)
    for loss in (None, 0.5, 1.0):
        bench.end_next(loss)
        sweeper.tick()
    found = bench.show(sweep)
    assert (found.status, found.asked, found.open) == (JobStatus.SUCCEEDED, 4, 0)
    assert (found.ended[TrialStatus.SUCCEEDED], found.ended[TrialStatus.FAILED], found.best) == (3, 1, 2)
    trials = bench.sweeps.all_trials(bench.tenant, sweep)
    assert [trial.values for trial in trials] == [(2.0,), None, (0.5,), (1.0,)]
    assert trials[0].fused_with == 3
    assert trials[1].error is not None
    assert trials[1].error["title"] == "Diverged"


def test_two_sweepers_and_new_ones_make_each_trial_once(bench: Bench) -> None:
    sweep = bench.start(sampler="tpe", trials=12, parallel=3)
    sweepers = [bench.sweeper(), bench.sweeper()]
    for turn in range(40):
        if bench.show(sweep).status.terminal:
            break
        sweepers[turn % 2].tick()
        if turn % 5 == 4:
            sweepers[turn % 2] = bench.sweeper()  # as after a kill
        if bench.rooms.queue.depth():
            bench.end_next(float(turn))
    found = bench.show(sweep)
    assert (found.status, found.asked, found.ended[TrialStatus.SUCCEEDED]) == (JobStatus.SUCCEEDED, 12, 12)
    trials = bench.sweeps.all_trials(bench.tenant, sweep)
    assert len({trial.job_id for trial in trials}) == len({str(trial.params) for trial in trials}) == 12
    assert len(bench.rooms.jobs.list(bench.tenant, sweep=sweep).items) == 12


def test_a_full_queue_is_waited_for_and_no_repeat_is_forgotten(store: Store, tmp_path: Path) -> None:
    bench = Bench(store, tmp_path, Limits(queued=1))
    sweep, sweeper = bench.start(repeats=2, trials=2, parallel=1), bench.sweeper()
    deadline = time.monotonic() + 20
    while not bench.show(sweep).status.terminal and time.monotonic() < deadline:
        sweeper.tick()
        if bench.rooms.queue.depth():
            bench.end_next()
    found = bench.show(sweep)
    assert (found.status, found.asked) == (JobStatus.SUCCEEDED, 2)
    assert [len(trial.job_ids) for trial in bench.sweeps.all_trials(bench.tenant, sweep)] == [2, 2]


def test_a_trial_whose_spec_is_refused_fails_and_the_sweep_goes_on(bench: Bench) -> None:
    """Each value alone is right, and two of them together are not."""
    space = {
        "early_stopping": {"categorical": [None, {"metric": "validation_loss"}]},
        "data.validation_fraction": {"categorical": [0.2, 0.0]},
    }
    objective = {"metric": "train_loss"}
    sweep = bench.start(sampler="random", space=space, objective=objective, trials=12, parallel=12)
    sweeper = bench.sweeper()
    sweeper.tick()
    for _ in range(bench.rooms.queue.depth()):
        bench.end_next()
    sweeper.tick()
    sweeper.tick()
    found = bench.show(sweep)
    assert found.asked == 12
    refused = [trial for trial in bench.sweeps.all_trials(bench.tenant, sweep) if not trial.job_ids]
    assert 0 < len(refused) < 12
    assert all(trial.status is TrialStatus.FAILED and trial.error for trial in refused)
    assert found.status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("running", [True, False])
def test_a_trial_whose_next_repeat_is_refused_fails_once_its_jobs_have_ended(
    store: Store, tmp_path: Path, running: bool
) -> None:
    bench = Bench(store, tmp_path, Limits(queued=1))
    sweep = bench.start(repeats=2, trials=1, parallel=1)
    bench.sweeper().tick()
    (trial,) = bench.sweeps.all_trials(bench.tenant, sweep)
    assert len(trial.job_ids) == 1
    claimed = bench.rooms.claim() if running else None
    bench.settings = bench.settings.model_copy(update={"max_job_bytes": 1})  # as after a start with other settings
    bench.sweeper().tick()
    if claimed is not None:
        assert bench.show(sweep).open == 1
        assert bench.rooms.queue.beat(claimed.lease) == "cancel"
        bench.rooms.queue.release(claimed.lease, "cancelled")
    bench.sweeper().tick()
    (trial,) = bench.sweeps.all_trials(bench.tenant, sweep)
    assert (trial.status, bench.show(sweep).open) == (TrialStatus.FAILED, 0)
    assert trial.error is not None
    assert "DELTAQ_MAX_JOB_BYTES" in trial.error["detail"]
    assert bench.show(sweep).status is JobStatus.FAILED


def test_trials_that_come_after_a_job_that_cannot_succeed_fail_and_so_does_the_sweep(bench: Bench) -> None:
    dead = bench.rooms.bring_to(JobStatus.FAILED).job_id
    sweep, sweeper = bench.start(base={"dataset": "iris", "after": [dead]}), bench.sweeper()
    for _ in range(8):
        sweeper.tick()
    found = bench.show(sweep)
    assert (found.status, found.asked, found.open) == (JobStatus.FAILED, 4, 0)
    assert all(dead in str(trial.error) for trial in bench.sweeps.all_trials(bench.tenant, sweep))


def test_a_trial_whose_other_job_comes_after_one_that_died_meanwhile_fails(store: Store, tmp_path: Path) -> None:
    bench = Bench(store, tmp_path, Limits(queued=1))
    before = bench.rooms.start()
    sweep = bench.start(base={"dataset": "iris", "after": [before.job_id]}, repeats=2, trials=1, parallel=1)
    bench.sweeper().tick()
    bench.rooms.queue.fail(before, Diverged("not finite"))
    bench.rooms.queue.promote(1)  # the job that there is ends as DependencyFailed, and leaves room in the queue
    for _ in range(3):
        bench.sweeper().tick()
    assert (bench.show(sweep).open, bench.show(sweep).status) == (0, JobStatus.FAILED)


def test_a_paused_sweep_gets_the_jobs_that_are_missing_once_it_goes_on(store: Store, tmp_path: Path) -> None:
    bench = Bench(store, tmp_path, Limits(queued=1))
    sweep = bench.start(repeats=2, trials=1, parallel=1)
    bench.sweeper().tick()
    bench.sweeps.steer(bench.tenant, sweep, "pause")
    sweeper = bench.sweeper()
    sweeper.tick()
    began = time.monotonic()
    sweeper.tick()
    assert time.monotonic() - began > 1.0  # it waits: there is nothing to do
    bench.sweeps.steer(bench.tenant, sweep, "resume")
    bench.rooms.claim()
    sweeper.tick()
    (trial,) = bench.sweeps.all_trials(bench.tenant, sweep)
    assert len(trial.job_ids) == 2


def test_what_a_pruner_says_is_the_same_for_a_new_sweeper(bench: Bench) -> None:
    sweep = bench.start(pruner="asha", trials=3, parallel=3)
    bench.sweeper().tick()
    leases = [bench.rooms.claim().lease for _ in range(3)]
    for lease, loss in zip(leases, (1.0, 2.0, 3.0), strict=True):
        bench.rooms.queue.record_epoch(lease, {"epoch": 1, "validation_loss": loss})
        bench.sweeper().tick()
    assert [bench.rooms.queue.judged(lease, 1, 0.01) for lease in leases] == [(True, False), *2 * [(True, True)]]
    for lease in leases[1:]:
        bench.rooms.queue.prune(lease, {"stopped_by": "pruner", "pruned_at": 1})
    model = {"id": "model-x", "job_id": leases[0].job_id}
    bench.rooms.queue.succeed(leases[0], {"validation_loss": 1.0}, model)
    bench.sweeper().tick()
    found = bench.show(sweep)
    assert (found.status, found.ended[TrialStatus.PRUNED]) == (JobStatus.SUCCEEDED, 2)
    assert [trial.pruned_at for trial in bench.sweeps.all_trials(bench.tenant, sweep)] == [None, 1, 1]


class Counted(Sweeps):
    """Counts the rows of metrics that are read."""

    read = 0

    def rows(self, job_ids: Sequence[str], *, after: int = 0) -> Sequence[Sequence[dict[str, Any]]]:
        found = super().rows(job_ids, after=after)
        self.read += sum(map(len, found))
        return found


def test_a_pruner_reads_each_epoch_once(bench: Bench) -> None:
    sweep = bench.start(pruner="median", trials=1, base={"dataset": "iris", "epochs": 40})
    bench.sweeper().tick()
    lease, counted = bench.rooms.claim().lease, Counted(bench.store)
    progress = Progress(counted, bench.rooms.jobs, bench.show(sweep))
    for epoch in range(1, 31):
        bench.rooms.queue.record_epoch(lease, {"epoch": epoch, "validation_loss": 1.0 / epoch})
        progress.look(bench.show(sweep))
        assert counted.judged([lease.job_id]) == [epoch]
    assert counted.read == 30


class Judging(Sweeps):
    """Notes which epochs are judged."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.epochs: list[int] = []

    def judge(self, sweep_id: str, number: int, job_id: str, epoch: int, *, stop: bool) -> None:
        self.epochs.append(epoch)
        super().judge(sweep_id, number, job_id, epoch, stop=stop)


def test_what_one_sweeper_has_judged_no_other_judges_again(bench: Bench) -> None:
    sweep = bench.start(pruner="median", trials=1, base={"dataset": "iris", "epochs": 40})
    bench.sweeper().tick()
    lease = bench.rooms.claim().lease
    both = [Judging(bench.store), Judging(bench.store)]
    first, second = (Progress(one, bench.rooms.jobs, bench.show(sweep)) for one in both)
    for epoch, progress in enumerate([second, first, first, first, second, first], start=1):
        bench.rooms.queue.record_epoch(lease, {"epoch": epoch, "validation_loss": 1.0})
        progress.look(bench.show(sweep))
    assert [one.epochs for one in both] == [[2, 3, 4, 6], [1, 5]]
    bench.sweeps.judge(sweep, 0, lease.job_id, 3, stop=True)  # late, and by one who knows it not
    (trial,) = bench.sweeps.all_trials(bench.tenant, sweep)
    assert (trial.pruned_at, bench.sweeps.judged([lease.job_id])) == (None, [6])


def test_a_job_that_was_retried_is_pruned_no_more(bench: Bench) -> None:
    sweep = bench.start(pruner="asha", trials=1)
    bench.sweeper().tick()
    lease = bench.rooms.claim().lease
    bench.rooms.queue.record_epoch(lease, {"epoch": 1, "validation_loss": 1.0})
    bench.rooms.queue.fail(lease, Diverged("not finite"))
    bench.rooms.jobs.retry(bench.tenant, lease.job_id)
    assert bench.store.command("HEXISTS", f"deltaq:job:{lease.job_id}", "fuse") == 0
    bench.rooms.claim()
    bench.sweeps.judge(sweep, 0, lease.job_id, 1, stop=True)
    assert bench.sweeps.all_trials(bench.tenant, sweep)[0].pruned_at is None


def test_a_long_sweep_that_is_cancelled_does_not_hold_up_the_others(bench: Bench) -> None:
    many, sweeper = 3 * TOLD_AT_ONCE, bench.sweeper()
    long = bench.start(trials=many, parallel=many)
    while bench.show(long).open < many:
        sweeper.tick()
    bench.sweeps.steer(bench.tenant, long, "cancel")
    short = bench.start(trials=1)
    sweeper.tick()
    assert (bench.show(long).open, bench.show(short).open) == (many - TOLD_AT_ONCE, 1)
    for _ in range(3):
        sweeper.tick()
    assert (bench.show(long).open, bench.show(long).status) == (0, JobStatus.CANCELLED)


class Watched(Sweeps):
    """Notes which trials are read."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.numbers: list[int] = []

    def trials(self, sweep_id: str, numbers: Sequence[int]) -> list[Trial]:
        self.numbers += numbers
        return super().trials(sweep_id, numbers)


@pytest.mark.parametrize("several", [False, True])
def test_the_best_are_found_without_reading_those_that_wait_or_are_beaten(bench: Bench, several: bool) -> None:
    two = [{"metric": "validation_loss"}, {"metric": "train_loss", "direction": "maximize"}]
    sweep = bench.start(trials=40, parallel=40, **({"objectives": two} if several else {}))
    sweeper = bench.sweeper()
    sweeper.tick()
    draw = random.Random(2)
    for _ in range(25):
        claimed = bench.rooms.claim()
        result = {"validation_loss": draw.random(), "train_loss": draw.random()}
        bench.rooms.queue.succeed(
            claimed.lease, result, {"id": f"model-{claimed.job.id[4:]}", "job_id": claimed.job.id}
        )
        sweeper.tick()
        watched, shown = Watched(bench.store), bench.show(sweep)
        best = best_trials(shown.spec, bench.sweeps.all_trials(bench.tenant, sweep))
        found = best_trials(shown.spec, watched.leaders(shown))
        assert [trial.number for trial in found] == [trial.number for trial in best]
        assert sorted(watched.numbers) == sorted(trial.number for trial in best)
        assert shown.best in watched.numbers


def test_jobs_left_by_half_a_cancel_are_cancelled_by_the_sweeper(bench: Bench) -> None:
    sweep = bench.start()
    bench.sweeper().tick()
    bench.store.run(
        "steer_sweep", sweep=sweep, verb="cancel", cursor=0, count=1, at="2026-11-29T00:00:00Z", transitions=" "
    )
    assert bench.rooms.queue.depth() == 2
    sweeper = bench.sweeper()
    sweeper.tick()
    sweeper.tick()
    assert bench.rooms.queue.depth() == 0
    assert bench.show(sweep).ended[TrialStatus.CANCELLED] == 2
    assert bench.sweeps.live() == set()
