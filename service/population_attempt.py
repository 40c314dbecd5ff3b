"""One attempt at several jobs that are trained as one population: each has its own lease, checkpoints and end.

Whatever ends one of them, by its spec, a flag or an error, ends no other. The death of this process, being drained or
pre-empted concerns all.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any

import structlog

from service.attempt import Attempt
from service.errors import LeaseLost, StoreUnavailable
from service.folds import next_stage
from service.job_inputs import JobInputs
from service.joint_beat import JointBeat
from service.population import Member, Population
from service.preparation import PreparedData
from service.queue import Success
from service.requests import Requests
from service.results import Kept, kept_by
from service.stack import Stack
from service.training import Training
from service.work import Equipment, Work
from workers.evaluation import Evaluation
from workers.shard_computer import Assignment, ShardComputer
from workers.transport import Transport
from workers.transport.local import LocalTransport

log = structlog.get_logger()

Evaluations = tuple[Evaluation | None, Evaluation | None]  # of the parts that train and validate

LOOK_S = 0.02  # how often a member looks at what is asked of it: a look at each step would cost as much as the step


class PopulationAttempt:
    """One attempt at a job and those that are trained with it."""

    def __init__(self, equipment: Equipment, work: Work, requests: Requests) -> None:
        self._queue, self._settings = equipment.queue, equipment.settings
        self._joint = JointBeat(equipment.queue, equipment.settings.beat_s)
        self._attempts = [
            MemberAttempt(equipment, replace(work, job=job, lease=lease, others=()), requests, self._joint)
            for job, lease in work.jobs
        ]
        for attempt in self._attempts:
            attempt.fused_with, attempt.known = len(work.others), self._attempts[0].known
        self._prepared: PreparedData | None = None

    def run(self) -> None:
        """Train all, and record how each ends."""
        with ExitStack() as checkpoints, self._joint:
            for attempt in self._attempts:
                checkpoints.enter_context(attempt.checkpoints)
                self._joint.add(attempt.beat)
            try:
                self._train([attempt for attempt in self._attempts if self._made_ready(attempt)])
            except Exception as bug:
                for attempt in self._attempts:
                    if not attempt.ended:
                        self._end(attempt, bug)

    def _made_ready(self, attempt: MemberAttempt) -> bool:
        try:
            self._joint.enter("loading", self._settings.load_limit_s)
            self._prepared = attempt.make_ready(self._prepared)
        except Exception as error:
            self._end(attempt, error)
            return False
        return True

    def _train(self, attempts: list[MemberAttempt]) -> None:
        members = {Member(attempt.trained, attempt): attempt for attempt in attempts}
        for gone in Population(members).run():
            self._joint.enter("saving", self._settings.save_limit_s)
            leaving = [members[member] for member in gone]
            with suppress(StoreUnavailable):  # then each says what it has to say by itself
                self._joint.say_last([attempt.beat for attempt in leaving])
            evaluate([members[member] for member in gone if member.error is None])
            for member in gone:
                self._end(members[member], member.error)
            self._record_successes(leaving)

    def _end(self, attempt: MemberAttempt, error: Exception | None) -> None:
        try:
            attempt.end(error)
        except LeaseLost as lost:
            log.warning("lease lost", job=attempt.lease.job_id, detail=lost.detail)
        except Exception:
            log.exception("how a job ended is not recorded", job=attempt.lease.job_id)
        finally:
            if attempt.success is None:
                self._joint.leave(attempt.beat)

    def _record_successes(self, attempts: Sequence[MemberAttempt]) -> None:
        """Record in one trip that those have succeeded whose models are written."""
        successes = {attempt: attempt.success for attempt in attempts if attempt.success is not None}
        if not successes:
            return
        insist = attempts[0].beat.insist
        answers = insist(lambda: self._queue.succeed_all(list(successes.values())))
        for attempt, refused in zip(successes, answers, strict=True):
            self._joint.leave(attempt.beat)
            if refused is None:
                attempt.checkpoints.forget()
            else:
                log.warning("lease lost", job=attempt.lease.job_id, detail=refused.detail)


class MemberAttempt(Attempt):
    """The attempt at one of the jobs; the observer of its training in the population."""

    def __init__(self, equipment: Equipment, work: Work, requests: Requests, joint: JointBeat) -> None:
        super().__init__(equipment, work, requests)
        self.ended = False
        self.evaluations: Evaluations = None, None  # of the weights that it keeps
        self.success: Success | None = None  # what is to be recorded
        self._joint = joint
        self._looked = 0.0
        self._data: tuple[JobInputs, PreparedData]

    @property
    def trained(self) -> Training:
        """Its training, once it is ready."""
        assert self.training is not None
        return self.training

    def enter(self, phase: str, limit_s: float) -> None:
        """Its beat is that of all."""
        self._joint.enter(phase, limit_s)

    def make_ready(self, prepared: PreparedData | None) -> PreparedData:
        """Put the training together where it goes on, on the data that the others have, if they have it already.

        Raises: whatever ends an attempt.
        """
        inputs, saved = self._inputs(), self._saved()
        stage = next_stage(inputs.resolution, ())
        prepared = prepared or self._prepare(inputs, stage)
        self._tell_warnings(prepared)
        training = self._assemble(inputs, stage, prepared)
        if saved is not None:
            saved.put_back(training)
        self.training, self._data = training, (inputs, prepared)
        self.checkpoints.begin()
        self.check()
        self.heed_pruner()
        return prepared

    def after_step(self) -> None:
        """Look from time to time at what is asked of it. Raises: as `check`."""
        now = time.monotonic()
        if now - self._looked >= LOOK_S:
            self._looked = now
            super().after_step()

    def after_epoch(self, row: dict[str, Any]) -> None:
        """Hand the epoch's metrics to the beat."""
        super().after_epoch(row)
        self._joint.unheard = True

    def after_reports(self) -> None:
        """Look, now that all have reported an epoch. Raises: as `check`, and `heed_pruner`."""
        super().after_step()
        super().after_reports()

    def report(self) -> None:
        """Have the rows of all recorded: the first member that comes here does it."""
        if self._joint.unheard:
            self._joint.beat()
            self._joint.unheard = False

    def end(self, error: Exception | None) -> None:
        """Come to its end: trained, with `success` to be recorded, or by an error, which is. Raises: LeaseLost."""
        self.ended = True

        def end() -> None:
            if error is not None:
                raise error
            inputs, prepared = self._data
            self._succeed(self.trained, kept_by(self.trained, prepared, *self.evaluations), inputs, prepared)

        try:
            self.end_by(end)
            self.checkpoints.sweep()
        finally:
            self._disconnect()

    def _succeed(self, training: Training, found: Kept, inputs: JobInputs, prepared: PreparedData) -> None:
        """The success is recorded with those of the others that end here."""
        self.success = self._save_model(training, found, inputs, prepared)

    def _connect(self, assignment: Assignment, asynchronous: bool) -> Transport:
        self.transport = LocalTransport(ShardComputer(assignment))
        return self.transport

    def _resize(self) -> None:
        """A population stays on its one slot."""
        wanted = self.requests.wanted()
        if wanted is not None:
            self.requests.done(wanted)


def evaluate(attempts: Sequence[MemberAttempt]) -> None:
    """Evaluate the weights that those keep who have come to their ends together."""
    if not attempts:
        return
    for attempt in attempts:
        attempt.trained.keep_best()
    stack = Stack([attempt.trained for attempt in attempts])
    found = zip(stack.evaluate("train"), stack.evaluate("validation"), strict=True)
    for attempt, evaluations in zip(attempts, found, strict=True):
        attempt.evaluations = evaluations
