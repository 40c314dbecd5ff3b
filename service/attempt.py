"""One attempt at one job, from its claim to an end that is recorded: succeeded, failed, or off running by its flags.

It reads the data, puts a parameter server and its workers together, goes on from the job's checkpoint, trains, keeps
checkpoints and saves the model. Every write is under the attempt's lease. Knows no scheduling, and reaches Ray through
its transport alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog

from service.artifacts import Artifacts
from service.beat import Beat
from service.checkpoints import CheckpointLost, restore_checkpoint, save_checkpoint
from service.dataset_records import DatasetRecords
from service.datasets import Dataset
from service.errors import (
    DataMissing,
    DatasetNotFound,
    DeltaqError,
    LeaseLost,
    StoreUnavailable,
    TrainingFailed,
    Unavailable,
)
from service.jobs import CheckpointRef, Job, Lease
from service.models import save_model
from service.parameter_server import ParameterServer
from service.preparation import PreparedData, prepare
from service.queue import Level, Queue
from service.resolution import Resolution, resolve
from service.settings import Settings
from service.training import Training
from workers.gradient_worker import Assignment, ShardComputer
from workers.mlp.optimizers import SGD
from workers.transport import Transport, WorkersLost
from workers.transport.local import LocalTransport

log = structlog.get_logger()

PAUSE_S = 1.0

Connect = Callable[[list[str], str, Assignment, dict[str, str]], Transport]


class Interrupted(Exception):
    """The training stops between two steps, to be gone on with or not: cancel, pause or drain."""


@dataclass(frozen=True)
class Work:
    """One job given to a runner: its record as claimed, the right to run it, and the workers that serve it."""

    job: Job
    lease: Lease
    workers: list[str]  # names of gradient workers; one name: the runner computes itself, on that worker's slot


@dataclass(frozen=True)
class Equipment:
    """What a runner has for all its attempts."""

    settings: Settings
    queue: Queue
    records: DatasetRecords
    artifacts: Artifacts
    connect: Connect
    fingerprint: dict[str, str]


class Attempt:
    """One attempt at one job; the observer of its training."""

    def __init__(self, equipment: Equipment, work: Work, draining: threading.Event) -> None:
        self.settings, self.queue, self.artifacts = equipment.settings, equipment.queue, equipment.artifacts
        self.records, self.connect, self.fingerprint = equipment.records, equipment.connect, equipment.fingerprint
        self.draining = draining
        self.work, self.lease = work, work.lease
        self.training: Training | None = None
        self.transport: Transport | None = None
        self.workers_used = 1
        self.reference = work.job.checkpoint  # the newest checkpoint, which the record names
        self.beat = Beat(self.queue, self.lease, self.settings.beat_s, self._progress)
        self.saved = time.monotonic()

    def run(self) -> None:
        """Train to an end and record it: succeeded, failed, or off running by its flags.

        Raises: LeaseLost.
        """
        with self.beat:
            try:
                self._train()
            except LeaseLost:
                raise
            except Interrupted as stop:
                self._release(str(stop))
            except (WorkersLost, Unavailable) as lost:
                time.sleep(PAUSE_S)  # what was not there may be back by then
                self._release(f"attempt {self.work.job.attempt} ended: {lost}")
            except DeltaqError as failure:
                self._fail(failure)
            except Exception as bug:
                log.exception("internal error", job=self.lease.job_id)
                self._fail(
                    TrainingFailed(f"{type(bug).__name__}: {bug}", hint="This is a fault in deltaq; see the log.")
                )

    def _train(self) -> None:
        job = self.work.job
        dataset = self._dataset()
        resolution = resolve(job.spec, dataset)
        prepared = prepare(resolution.spec, dataset, self.artifacts, self.records, self.settings.cache_path)
        self._note_warnings(prepared)
        training = self._assemble(resolution, prepared)
        if self.reference is not None:
            self._restore(training, self.reference)
        self.training = training
        self.saved = time.monotonic()
        self.after_step()  # something may have been asked of the job while its data was read
        training.run(self)
        training.keep_best()
        self._succeed(training, resolution, prepared)

    def _dataset(self) -> Dataset:
        name = self.work.job.spec.dataset
        try:
            return Dataset.from_document(self.beat.insist(lambda: self.records.get(self.work.job.tenant, name)))
        except DatasetNotFound as gone:
            raise DataMissing(
                f"Data set {name} of this job is gone.", hint="Upload it again and submit a new job."
            ) from gone

    def _assemble(self, resolution: Resolution, prepared: PreparedData) -> Training:
        spec = resolution.spec
        assert isinstance(spec.shards, int)
        batch_size = resolution.train_rows if spec.batch_size == "full" else spec.batch_size
        given = Assignment(resolution.architecture, prepared.files, batch_size, spec.shards, spec.seed, spec.shuffle)
        if len(self.work.workers) == 1:
            self.transport = LocalTransport(ShardComputer(given))
        else:
            self.transport = self.connect(self.work.workers, self.lease.token, given, self.fingerprint)
        self.workers_used = self.transport.workers
        rate = spec.optimizer
        optimizer = SGD(float(rate.learning_rate or 0.0), rate.momentum, rate.nesterov, rate.weight_decay)
        server = ParameterServer(resolution.architecture, optimizer, self.transport, spec.seed)
        return Training(spec, server, resolution.train_rows, batch_size)

    def _restore(self, training: Training, reference: CheckpointRef) -> None:
        """Go on from the checkpoint; begin again where other kernels wrote it: the bits would belong to neither."""
        try:
            if reference.fingerprint != self.fingerprint:
                raise CheckpointLost("The checkpoint was written with other numeric kernels than this worker's")
            restore_checkpoint(training, reference, self.artifacts)
        except CheckpointLost as lost:
            reason = f"{lost}; training begins again."
            self.beat.insist(lambda: self.queue.begin_again(self.lease, reason))
            self._discard(reference)
            self.reference = None
        else:
            self._log("info", f"Going on from step {reference.step}.")

    # The training's observer

    def after_step(self) -> None:
        """Obey what the beat brought, and keep a checkpoint when one is due."""
        beat = self.beat
        if beat.lost:
            raise LeaseLost(f"Job {self.lease.job_id} has another owner.")
        if beat.requested == "cancel":
            raise Interrupted("cancelled")
        if beat.requested == "pause" or self.draining.is_set():
            self._save()
            raise Interrupted("paused" if beat.requested == "pause" else "drained")
        if time.monotonic() - self.saved >= self.settings.checkpoint_s:
            self._save()

    def after_epoch(self, row: dict[str, Any]) -> None:
        """Hand the epoch's metrics to the beat."""
        self.beat.add_row(row)

    def _save(self) -> None:
        training = self.training
        assert training is not None
        training.count_seconds()
        try:
            reference = save_checkpoint(training, self.lease, self.artifacts, self.fingerprint)
        except StoreUnavailable as full:
            self._log("warning", f"No checkpoint at step {training.steps_done}: {full.detail}")
        else:
            self.beat.flush()  # a checkpoint must not overtake the epochs before it
            before = self.beat.insist(lambda: self.queue.record_checkpoint(self.lease, reference))
            self.reference = reference
            if before is not None and before.path != reference.path:
                self._discard(before)
        self.saved = time.monotonic()

    # The ends

    def _succeed(self, training: Training, resolution: Resolution, prepared: PreparedData) -> None:
        self.beat.flush()
        result = self._result(training)
        model = save_model(
            self.work.job, self.lease, result, training.server.parameters, resolution, prepared, self.artifacts
        )
        result = {**result, "model_id": model["id"]}
        self.beat.insist(lambda: self.queue.succeed(self.lease, result, model))
        if self.reference is not None:
            self._discard(self.reference)

    def _result(self, training: Training) -> dict[str, Any]:
        state = training.state
        kept = state.best_row if state.best_row is not None else state.last_row
        metrics = {name: value for name, value in (kept or {}).items() if name.endswith(("_loss", "_accuracy"))}
        return {
            "weights_sha256": training.server.parameters.sha256(),
            "fingerprint": self.fingerprint,
            "seconds": state.seconds,
            "workers_used": self.workers_used,
            "epochs": state.epoch,
            "steps": training.steps_done,
            "best_epoch": state.best_epoch or state.epoch,
            "stopped_by": "early_stopping" if state.stopped else "epochs",
            **metrics,
        }

    def _fail(self, failure: DeltaqError) -> None:
        self.beat.flush()
        self.beat.insist(lambda: self.queue.fail(self.lease, failure))

    def _release(self, reason: str) -> None:
        self.beat.flush()
        self.beat.insist(lambda: self.queue.release(self.lease, reason))

    def _progress(self) -> dict[str, Any] | None:
        return None if self.training is None else self.training.progress()

    def _note_warnings(self, prepared: PreparedData) -> None:
        for warning in prepared.warnings:
            self._log("warning", warning)

    def _log(self, level: Level, message: str) -> None:
        self.beat.insist(lambda: self.queue.log(self.lease, level, message))

    def _discard(self, reference: CheckpointRef) -> None:
        """Delete a file that no record names any more; where that fails, it is swept with the other leftovers."""
        with suppress(StoreUnavailable):
            self.artifacts.delete(reference.path)
