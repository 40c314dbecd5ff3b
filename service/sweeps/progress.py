"""What one process knows of a sweep's trials: read again from their records whenever it may have missed something."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.study import Study

from service.folds import most_epochs
from service.job_records import Jobs
from service.jobs import JobStatus
from service.sweeps.outcome import intermediate, models_of, outcome, score
from service.sweeps.pruning import Pruner, Reported
from service.sweeps.ranking import best_trials
from service.sweeps.records import Sweeps, Told
from service.sweeps.study import build_study, end_in, has
from service.sweeps.sweep import Sweep
from service.sweeps.trial import Trial

TOLD_AT_ONCE = 64  # trials, before other sweeps are looked at


class Progress:
    """The trials of a sweep, as far as its sampler and its pruner need them."""

    def __init__(self, sweeps: Sweeps, jobs: Jobs, sweep: Sweep) -> None:
        self.more = False  # trials have ended that are not told yet
        self.complete = False  # no trial lacks a job that it is to have
        self.followed: JobStatus | None = None  # the state in which its jobs have been brought last
        self._sweeps = sweeps
        self._jobs = jobs
        self._learns = sweep.spec.learns
        self._prunes = sweep.spec.prunes
        self._ended: dict[int, Trial] = {}
        self._open: dict[int, Trial] = {}
        self._pruner = Pruner(sweep.spec)
        self._reported = Reported()
        self._judged: dict[int, int] = {}  # by trial: the epoch up to which the pruner has looked at it
        self._study: Study | None = None  # with all these trials

    def look(self, sweep: Sweep) -> bool:
        """Tell what has ended, and judge what has been reported; answers whether the sweep's record has changed.

        Where more has ended than is told at once, `more` says so.
        """
        if self._learns or self._prunes:
            self._read(sweep)
        if self._prunes:
            self._catch_up(sweep)
        ended: list[Trial] = []
        self.more = False
        for trial, statuses in self._sweeps.news(sweep.id):
            if trial.status.ended:
                self._sweeps.tell(sweep.id, [Told(trial)])  # it is known, and no news any more
                continue
            whole = len(trial.job_ids) == sweep.spec.repeats or trial.error is not None or sweep.status.terminal
            if all(JobStatus(status).terminal for status in statuses) and whole:
                self.more = len(ended) == TOLD_AT_ONCE
                if self.more:
                    break
                ended.append(trial)
            elif self._prunes:
                self._judge(sweep, trial)
        return self._tell(sweep, ended)

    def add(self, trial: Trial) -> None:
        """There is one more trial: the study has it already."""
        if self._learns or self._prunes:
            (self._ended if trial.status.ended else self._open)[trial.number] = trial
        if trial.status.ended:
            self._study = None  # it never ran

    def study(self, sweep: Sweep) -> Study:
        """The study of all trials; of none where nothing is learned from them."""
        if not self._learns:
            return build_study(sweep.spec, ())
        if self._study is None or not has(self._study, sweep.asked):
            self._read(sweep)
            self._study = build_study(sweep.spec, [*self._ended.values(), *self._open.values()])
        return self._study

    def _read(self, sweep: Sweep) -> None:
        """Read those trials that are new, or that another sweeper has told."""
        there = set(self._sweeps.open_numbers(sweep.id))
        stale = [
            number
            for number in range(sweep.asked)
            if number not in self._ended and (number not in self._open or number not in there)
        ]
        for trial in self._sweeps.trials(sweep.id, stale):
            if trial.status.ended:
                self._end(sweep, trial)
            else:
                self._open[trial.number] = trial

    def _catch_up(self, sweep: Sweep) -> None:
        """Learn what trials that run have reported, as far as another has judged them: others are compared with it."""
        trials = [trial for trial in self._open.values() if trial.job_ids]
        for trial, judged in zip(trials, self._sweeps.judged([trial.job_ids[0] for trial in trials]), strict=True):
            if judged > self._judged.get(trial.number, 0):
                self._judged[trial.number] = judged
                seen = [rows[:judged] for rows in self._sweeps.rows(trial.job_ids)]
                for epoch, value in intermediate(sweep.spec, seen).items():
                    self._reported.add(trial.number, epoch, value)

    def _end(self, sweep: Sweep, trial: Trial) -> None:
        if self._study is not None and trial.number in self._open:
            end_in(self._study, sweep.spec, trial)
        else:
            self._study = None
        self._open.pop(trial.number, None)
        self._ended[trial.number] = trial
        if self._prunes:
            for epoch, value in trial.intermediate.items():
                self._reported.add(trial.number, epoch, value)

    def _tell(self, sweep: Sweep, trials: Sequence[Trial]) -> bool:
        job_ids = [job_id for trial in trials for job_id in trial.job_ids]
        jobs = dict(zip(job_ids, self._jobs.get_all(sweep.tenant, job_ids), strict=True))
        rows = dict(zip(job_ids, self._sweeps.rows(job_ids), strict=True))

        def told(trial: Trial) -> Told:
            its = [jobs[job_id] for job_id in trial.job_ids]
            ended = outcome(sweep.spec, trial, its, [rows[job_id] for job_id in trial.job_ids])
            return Told(ended, *self._place(sweep, ended), models_of(its))

        ended = list(map(told, trials))
        new = self._sweeps.tell(sweep.id, ended)
        if self._learns or self._prunes:
            for trial in (one.trial for one, is_new in zip(ended, new, strict=True) if is_new):
                self._end(sweep, trial)
        return any(new)

    def _place(self, sweep: Sweep, ended: Trial) -> tuple[float | None, Sequence[int]]:
        """A trial's place among the best, and the numbers of those on the front so far that are worse than it."""
        place = score(sweep.spec, ended)
        if place is None or len(sweep.spec.compared) == 1:
            return place, ()
        front = self._sweeps.leaders(sweep)
        best = {trial.number for trial in best_trials(sweep.spec, [*front, ended])}
        beaten = [trial.number for trial in front if trial.number not in best]
        return (place if ended.number in best else None), beaten

    def _judge(self, sweep: Sweep, trial: Trial) -> None:
        """Show the pruner the epochs that it has not seen, one after the other, as if it were asked after each."""
        job_id = trial.job_ids[0]
        if trial.pruned_at is not None:
            self._sweeps.judge(sweep.id, trial.number, job_id, trial.pruned_at, stop=True)
            return
        seen = self._judged.get(trial.number, 0)
        values = intermediate(sweep.spec, self._sweeps.rows(trial.job_ids, after=seen)).values()
        for epoch, value in enumerate(values, start=seen + 1):
            self._reported.add(trial.number, epoch, value)
            stop = self._pruner.stops(trial.number, epoch, self._reported) and epoch < self._last_epoch(sweep, job_id)
            if stop or epoch == seen + len(values):
                self._sweeps.judge(sweep.id, trial.number, job_id, epoch, stop=stop)
                self._judged[trial.number] = epoch
            if stop:
                return

    def _last_epoch(self, sweep: Sweep, job_id: str) -> int:
        return most_epochs(self._jobs.get(sweep.tenant, job_id).spec)
