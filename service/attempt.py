"""One attempt at one job, from its claim to an end that is recorded: succeeded, failed, or off running by its flags.

It reads the data, puts a parameter server and its workers together, goes on from the job's checkpoint, trains, keeps
checkpoints and saves the model; between any two pieces of that it stops where that is asked. Every write is under the
attempt's lease. Knows no scheduling, and reaches Ray through its transport alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

import structlog

from service.assembly import assemble
from service.beat import RETRY_S, Beat, beat_together
from service.checkpointing import Checkpointing
from service.checkpoints import Checkpoint, CheckpointLost
from service.datasets import Dataset
from service.errors import (
    DeltaqError,
    LeaseLost,
    RedisUnavailable,
    StoreUnavailable,
    TimeLimit,
    TrainingFailed,
    Unavailable,
    WorkerLost,
)
from service.folds import Stage, next_stage
from service.gradient_checking import said, verify_gradient
from service.job_inputs import JobInputs, read_inputs
from service.jobs import CheckpointRef
from service.models import OptimizerState, save_model
from service.preparation import PreparedData, prepare
from service.queue import Success
from service.requests import Requests
from service.results import Kept, kept, left_by, result_of, trained
from service.training import Training
from service.warm_start import begin_with
from service.work import Equipment, Work
from workers.shard_computer import Assignment
from workers.transport import Transport, WorkersLost

log = structlog.get_logger()

Asked = Literal["cancelled", "paused", "drained", "over"]
PRUNER_S = 1.0  # how long to wait at a time for what a pruner says
KEEPING = ("paused", "drained", "over")  # with a checkpoint of what has been trained


class Interrupted(Exception):
    """The attempt stops here, to be gone on with or not: cancelled, paused or drained; `pause` asks for that itself."""

    def __init__(self, reason: str, *, pause: bool = False) -> None:
        super().__init__(reason)
        self.pause = pause


class Pruned(Exception):
    """The attempt ends here: the job's sweep stops its trial after this epoch."""


class Attempt:
    """One attempt at one job; the observer of its training."""

    def __init__(self, equipment: Equipment, work: Work, requests: Requests) -> None:
        self.equipment = equipment
        self.queue, self.artifacts = equipment.queue, equipment.artifacts
        self.work, self.lease = work, work.lease
        self.known: dict[str, Dataset] = {}
        self.requests = requests
        self.training: Training | None = None
        self.transport: Transport | None = None
        self.workers_used = 1
        self.fused_with: int | None = None  # how many others it is trained together with
        self.gradient_check: dict[str, Any] | None = None
        self._warned: set[str] = set()
        settings = equipment.settings
        keep_every = settings.keep_checkpoint_every
        self.beat = Beat(self.queue, self.lease, settings.beat_s, self._progress, keep_every=keep_every)
        self.checkpoints = Checkpointing(
            self.artifacts,
            self.beat,
            self.lease,
            equipment.fingerprint,
            every_s=settings.checkpoint_s,
            newest=work.job.checkpoint,
        )

    def run(self) -> None:
        """Train to an end and record it: succeeded, failed, or off running by its flags.

        Raises: LeaseLost.
        """
        with self.beat, self.checkpoints:
            try:
                self.end_by(self._train)
            finally:
                self._disconnect()
        self.checkpoints.sweep()

    def end_by(self, work: Callable[[], None]) -> None:
        """Do the work; where it ends by an error, record what the job comes to by that. Raises: LeaseLost."""
        try:
            self._do_or_release(work)
        except LeaseLost:
            raise
        except DeltaqError as failure:
            self._fail(failure)
        except Exception as bug:
            log.exception("internal error", job=self.lease.job_id)
            self._fail(TrainingFailed(f"{type(bug).__name__}: {bug}", hint="This is a fault in deltaq; see the log."))

    def _do_or_release(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Interrupted as stop:
            self._release(str(stop), pause=stop.pause)
        except Pruned:
            self._prune()
        except RedisUnavailable as away:
            self._release(f"attempt {self.work.job.attempt} ended: {away.detail}")
        except (WorkersLost, Unavailable) as lost:
            self._try_again(lost if isinstance(lost, Unavailable) else WorkerLost(str(lost)))

    def _train(self) -> None:
        self._load()
        inputs, saved = self._inputs(), self._saved()
        folds = [] if saved is None else saved.state.folds
        while True:
            self._load()
            stage = next_stage(inputs.resolution, folds)
            prepared = self._prepare(inputs, stage)
            training = self._assemble(inputs, stage, prepared)
            if saved is not None:
                saved.put_back(training)
                saved = None
            elif self.training is not None:
                training.state.follow(self.training.state, folds)
            self._run(training)
            found = kept(training, prepared)
            self._disconnect()
            if stage.fold is None:
                return self._succeed(training, found, inputs, prepared)
            folds = [*folds, left_by(stage.fold + 1, training, found)]

    def enter(self, phase: str, limit_s: float) -> None:
        """It is in this phase now, and says so again within the limit, in seconds; else it is taken to be stuck."""
        self.beat.enter(phase, limit_s)

    def _load(self) -> None:
        self.enter("loading", self.equipment.settings.load_limit_s)

    def _prepare(self, inputs: JobInputs, stage: Stage) -> PreparedData:
        given = self.equipment
        prepared = prepare(
            stage.resolution.spec,
            inputs.dataset,
            self.artifacts,
            given.records,
            given.settings.cache_path,
            self.check,
            validation=inputs.validation,
            fold=stage.fold,
            given=inputs.transform,
            cache_bytes=given.settings.cache_bytes,
        )
        self._tell_warnings(prepared)
        self.check()
        return prepared

    def _tell_warnings(self, prepared: PreparedData) -> None:
        for warning in prepared.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                self.beat.add_line("warning", warning)

    def _assemble(self, inputs: JobInputs, stage: Stage, prepared: PreparedData) -> Training:
        training = assemble(stage.resolution, prepared, self._connect, stage.span)
        if inputs.model is not None:
            begin_with(inputs.model, inputs.optimizer, training.server)
        self.check()
        self._check_gradient(training, prepared)
        return training

    def _run(self, training: Training) -> None:
        if self.training is None:
            self.checkpoints.begin()
        self.training = training
        self.check()
        self.heed_pruner()
        training.run(self)
        training.keep_best()
        self.enter("evaluation", self.equipment.settings.step_limit_s)

    def _inputs(self) -> JobInputs:
        given = self.equipment
        return read_inputs(self.work.job, given.records, given.models, self.beat.insist, self.known)

    def _check_gradient(self, training: Training, prepared: PreparedData) -> None:
        """Check it at the first weights, where that is asked; each attempt finds the same."""
        if training.spec.gradient_check:
            self.gradient_check = verify_gradient(training.server.parameters, prepared, training.spec.seed)
            self.beat.add_line("info", said(self.gradient_check))

    def _connect(self, assignment: Assignment, asynchronous: bool) -> Transport:
        given, slots = self.equipment, self.requests.slots
        self.transport = given.connect(slots, self.lease.token, assignment, given.fingerprint, asynchronous)
        return self.transport

    def _disconnect(self) -> None:
        if self.transport is not None:
            self.transport.close()
            self.workers_used = max(self.workers_used, self.transport.most_workers)
            self.transport = None

    def _resize(self) -> None:
        """Be served by other slots where that was asked."""
        wanted = self.requests.wanted()
        if wanted is not None:
            if self.transport is not None:
                self.transport.change(wanted)
            self.requests.done(wanted)

    def _saved(self) -> Checkpoint | None:
        """The newest checkpoint that can be continued to the same bits; without one, the job begins again."""
        while (newest := self.checkpoints.newest) is not None:
            try:
                saved = self.checkpoints.read(newest)
            except CheckpointLost as lost:
                self._fall_back(newest, str(lost))
            else:
                self.beat.add_line("info", f"Going on from step {newest.step}.")
                return saved
        if self.work.job.attempt > 1:
            self.beat.add_line("info", "Beginning at step 0: there is no checkpoint.")
        return None

    def _fall_back(self, newest: CheckpointRef, why: str) -> None:
        reason = f"{why}; training begins again, from an older one where one is kept."
        older = self.beat.insist(lambda: self.queue.begin_again(self.lease, newest, reason))
        self.checkpoints.forget()
        self.checkpoints.newest = older

    # What is asked of it, between two pieces of work

    def check(self) -> None:
        """Keep a checkpoint of what has been trained when one is due, or to stop with; stop where that is asked.

        Raises: Interrupted; LeaseLost, or what ended the beat.
        """
        self._resize()
        asked = self._asked()
        if self.training is not None and (asked in KEEPING or (asked is None and self.checkpoints.due)):
            if not self.training.settled:
                self.training.settle()
                return
            self._save(self.training)
        if asked == "over":
            raise self._time_limit()
        if asked is not None:
            raise Interrupted(self.requests.leave if asked == "drained" and self.requests.leave else asked)

    def after_step(self) -> None:
        """As between any two pieces of work. Raises: as `check`."""
        self.enter("step", self.equipment.settings.step_limit_s)
        self.check()

    def after_epoch(self, row: dict[str, Any]) -> None:
        """Hand the epoch's metrics to the beat."""
        self.enter("step", self.equipment.settings.step_limit_s)
        self.beat.add_row(row)

    def after_reports(self) -> None:
        """Heed the sweep's pruner. Raises: as `heed_pruner`."""
        self.heed_pruner()

    def heed_pruner(self) -> None:
        """Where the job's sweep stops trials early: go on only when its pruner has looked at the last epoch done.

        So that where a trial stops does not depend on who is faster, and its weights are those of the epoch judged.
        Raises: Pruned; as `check`.
        """
        training, done = self.training, False
        if training is None or not self.work.job.prunes:
            return
        while training.epochs_done and not done:
            self.after_step()
            try:
                self.report()
                done, stopped = self.queue.judged(self.lease, training.epochs_done, PRUNER_S)
            except StoreUnavailable:
                time.sleep(RETRY_S)
                continue
            if stopped:
                raise Pruned

    def report(self) -> None:
        """Have the rows that there are recorded now. Raises: StoreUnavailable."""
        beat_together(self.queue, [self.beat])

    def tell(self, level: Literal["info", "warning"], message: str) -> None:
        """Write a line into the job's log; a warning stands in the job, too."""
        self.beat.add_line(level, message)

    def pause(self, reason: str) -> None:
        """Stop here with a checkpoint, and have the job paused. Raises: Interrupted."""
        if self.training is not None:
            self._save(self.training)
        raise Interrupted(reason, pause=True)

    def _asked(self) -> Asked | None:
        self.beat.check()
        self.checkpoints.check()
        if self.beat.requested == "cancel":
            return "cancelled"
        if self.beat.requested == "pause":
            return "paused"
        if self.requests.leave is not None:
            return "drained"
        limit_s = self.work.job.spec.time_limit_s
        return "over" if limit_s is not None and self._ran_s > limit_s else None

    @property
    def _ran_s(self) -> float:
        """For how long the job has run, all attempts added."""
        return self.work.job.ran_s + self.beat.ran_s

    def _time_limit(self) -> TimeLimit:
        limit_s = self.work.job.spec.time_limit_s
        detail = f"time_limit_s is {limit_s:g}: the job has run for {self._ran_s:.1f} s, all attempts added"
        return TimeLimit(
            detail, hint="Submit it with a larger time_limit_s; or retry it from its checkpoint: the time begins anew."
        )

    def _save(self, training: Training) -> None:
        training.check_finite()
        self.checkpoints.save(training)

    def _flush(self) -> None:
        """Have what was reached on disk and on record: the end must not overtake it. Raises: LeaseLost."""
        try:
            self.checkpoints.flush()
        finally:
            self.beat.flush()

    # The ends

    def _succeed(self, training: Training, found: Kept, inputs: JobInputs, prepared: PreparedData) -> None:
        success = self._save_model(training, found, inputs, prepared)
        self.beat.insist(lambda: self.queue.succeed(success.lease, success.result, success.model))
        self.checkpoints.forget()

    def _save_model(self, training: Training, found: Kept, inputs: JobInputs, prepared: PreparedData) -> Success:
        """Once all that it has reached is on record: its model's file, which exists when the success is recorded."""
        self._flush()
        self.enter("saving", self.equipment.settings.save_limit_s)
        result = {**result_of(training, found), **self._made_by()}
        server = training.server
        model = save_model(
            self.work.job,
            self.lease,
            result,
            server.parameters,
            inputs.dataset,
            inputs.resolution,
            prepared,
            self.artifacts,
            OptimizerState(server.optimizer_steps, server.optimizer_state) if server.optimizer_state else None,
        )
        return Success(self.lease, {**result, "model_id": model["id"]}, model)

    def _made_by(self) -> dict[str, Any]:
        """What a result says of the attempt."""
        made: dict[str, Any] = {"fingerprint": self.equipment.fingerprint, "workers_used": self.workers_used}
        if self.fused_with is not None:
            made["fused_with"] = self.fused_with
        if self.gradient_check is not None:
            made["gradient_check"] = self.gradient_check
        return made

    def _prune(self) -> None:
        """Record where it was stopped, with the hash of the weights that it would keep there."""
        training = self.training
        assert training is not None  # it has reported an epoch
        training.keep_best()
        result = {**trained(training), "stopped_by": "pruner", "pruned_at": training.epochs_done}
        self._disconnect()
        self.beat.add_line("info", f"Stopped by the sweep's pruner after epoch {training.epochs_done}.")
        self._flush()
        self.beat.insist(lambda: self.queue.prune(self.lease, {**result, **self._made_by()}))

    def _fail(self, failure: DeltaqError) -> None:
        """Record the failure, whatever else cannot be: a job that fails unrecorded would be claimed without end."""
        try:
            self._flush()
        except LeaseLost:
            raise
        except Exception:
            log.exception("what the job had reached is not recorded", job=self.lease.job_id)
        self.beat.insist(lambda: self.queue.fail(self.lease, failure))

    def _release(self, reason: str, *, pause: bool = False) -> None:
        self._flush()
        self.beat.insist(lambda: self.queue.release(self.lease, reason, pause=pause))

    def _try_again(self, error: Unavailable) -> None:
        self._flush()
        self.beat.insist(lambda: self.queue.try_again(self.lease, error))

    def _progress(self) -> dict[str, Any] | None:
        return None if self.training is None else self.training.progress()
