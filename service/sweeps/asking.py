"""The next trials of a sweep, asked of its sampler and made into jobs. Knows no Redis but through the records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from pydantic import ValidationError

from service.acceptance import Acceptance, TrialJob
from service.errors import DeltaqError, IllegalTransition, InvalidRequest, InvalidSpec, NoTrial
from service.job_records import Jobs
from service.spec import JobSpec
from service.submission import Datasets, Submission, Submitted
from service.sweeps.records import Sweeps, failed
from service.sweeps.space import job_spec
from service.sweeps.study import Asked
from service.sweeps.sweep import Sweep
from service.sweeps.trial import Trial, TrialStatus

TOGETHER = 16  # jobs that go to Redis in one trip

Made = Sequence[Acceptance] | DeltaqError  # a trial's jobs, or why it has none


class Asking:
    """Makes trials. One whose spec is refused is recorded as failed, and has no job."""

    def __init__(self, sweeps: Sweeps, jobs: Jobs, submission: Submission) -> None:
        self._sweeps = sweeps
        self._jobs = jobs
        self._submission = submission
        self._datasets: tuple[str, Datasets] = "", {}  # of the sweep asked last: while it lives they stay

    def make(self, sweep: Sweep, asked: Sequence[tuple[int, Asked]], parallel: int) -> Iterator[Trial]:
        """Make these trials, whose numbers follow those that there are; yields each as it is on record.

        Raises: NoTrial where the sweep has changed meanwhile; QueueFull; StoreUnavailable.
        """
        try:
            yield from self._make(sweep, asked, parallel)
        finally:
            self._jobs.wake()  # now, that all are there: those that can be trained as one are claimed together

    def _make(self, sweep: Sweep, asked: Sequence[tuple[int, Asked]], parallel: int) -> Iterator[Trial]:
        waiting: list[tuple[TrialJob, Sequence[Acceptance]]] = []
        for number, point in asked:
            trial = TrialJob(
                sweep.id,
                number,
                0,
                parallel,
                point.params,
                point.attributes,
                point.study_attributes,
                prunes=sweep.spec.prunes,
            )
            made = self._jobs_of(sweep, trial, range(sweep.spec.repeats))
            if not isinstance(made, DeltaqError):
                waiting.append((trial, made))
                if sum(len(jobs) for _, jobs in waiting) < TOGETHER:
                    continue
            yield from self._accept(sweep, waiting)
            waiting = []
            if isinstance(made, DeltaqError):
                yield self._fail(sweep, trial, made)
        yield from self._accept(sweep, waiting)

    def complete(self, sweep: Sweep, trial: Trial, parallel: int) -> None:
        """Make those jobs of a trial that are missing: whoever made it has died in between.

        Where they are refused by now, those that there are are cancelled, and the trial fails once they have ended.
        Raises: as `make`.
        """
        there = len(trial.job_ids)
        told = TrialJob(sweep.id, trial.number, there, parallel, trial.params, prunes=sweep.spec.prunes)
        made = self._jobs_of(sweep, told, range(there, sweep.spec.repeats))
        if isinstance(made, DeltaqError):
            self._fail(sweep, told, made, trial.job_ids)
        else:
            list(self._accept(sweep, [(told, made)], trial.job_ids))
            self._jobs.wake()

    def _fail(self, sweep: Sweep, told: TrialJob, refused: DeltaqError, job_ids: Sequence[str] = ()) -> Trial:
        """Record why a trial does not have this job; those that it has are cancelled. Answers the trial."""
        self._sweeps.fail_trial(told, failed(refused))
        for job_id in job_ids:
            with suppress(IllegalTransition):  # it has ended
                self._jobs.request(sweep.tenant, job_id, "cancel")
        return replace(_trial(told, job_ids), status=TrialStatus.QUEUED if job_ids else TrialStatus.FAILED)

    def _jobs_of(self, sweep: Sweep, trial: TrialJob, repeats: range) -> Made:
        try:
            specs = [job_spec(sweep.spec, trial.params, repeat) for repeat in repeats]
            return [self._prepare(sweep, trial, repeat, spec) for repeat, spec in zip(repeats, specs, strict=True)]
        except InvalidRequest as refused:
            return refused
        except ValidationError as refused:
            found = refused.errors(include_url=False)[0]
            return InvalidSpec(f"{'.'.join(map(str, found['loc']))}: {found['msg']}")
        except ValueError as refused:
            return InvalidSpec(str(refused))

    def _prepare(self, sweep: Sweep, trial: TrialJob, repeat: int, spec: JobSpec) -> Acceptance:
        if self._datasets[0] != sweep.id:
            self._datasets = sweep.id, {}
        prepared = self._submission.prepare(Submitted(sweep.tenant, spec), self._datasets[1], fusable=True)
        assert isinstance(prepared, Acceptance)  # there is no key by which it might have been made before
        fusion = prepared.fusion
        if fusion is not None and trial.prunes:  # members wait for their pruner together
            fusion = fusion._replace(key=f"{fusion.key} {sweep.id}")
        made = replace(trial, repeat=repeat, parameters=prepared.parameters)
        return replace(prepared, trial=made, fusion=fusion, quiet=True)

    def _accept(
        self, sweep: Sweep, waiting: Sequence[tuple[TrialJob, Sequence[Acceptance]]], there: Sequence[str] = ()
    ) -> Iterator[Trial]:
        """Have these trials' jobs accepted; `there` are those that the one trial has already.

        What was right when it was prepared may be refused by now, such as a job in `after` that has failed since.
        """
        if not waiting:
            return
        answers = iter(self._jobs.accept_all([job for _, jobs in waiting for job in jobs]))
        for trial, jobs in waiting:
            found = [next(answers) for _ in jobs]
            made = [answer for answer in found if not isinstance(answer, DeltaqError)]
            job_ids = [*there, *(job.id for job, _ in made)]
            refused = next((answer for answer in found if isinstance(answer, DeltaqError)), None)
            if isinstance(refused, InvalidRequest):
                yield self._fail(sweep, replace(trial, repeat=trial.repeat + len(made)), refused, job_ids)
                continue
            if refused is not None:
                raise refused
            if not all(created for _, created in made):
                raise NoTrial(f"trial {trial.number} of {trial.sweep} has been made meanwhile, perhaps another point")
            yield _trial(trial, job_ids)


def _trial(made: TrialJob, job_ids: Sequence[str]) -> Trial:
    return Trial(
        made.number,
        TrialStatus.QUEUED,
        made.params,
        tuple(job_ids),
        attributes=made.attributes,
        study_attributes=made.study_attributes,
    )
