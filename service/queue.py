"""The queue as the scheduler and the runners use it: claim, beat, record, finish. Knows no Ray and no tenant's view.

Every verb that takes a lease is refused with LeaseLost unless its token is the job's present one, compared whole.
Every verb may be repeated when its answer was lost: it answers the same and has no second effect, but that a line
may stand twice in the log.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast

from service import strict_json
from service.errors import DeltaqError, DependencyFailed, Poisonous
from service.gang_size import GangSize
from service.job_fields import job_from_fields
from service.jobs import TRANSITIONS_LINE, CheckpointRef, Job, JobStatus, Lease
from service.lease_watch import LeaseWatch
from service.refusals import epoch_gap, lease_lost
from service.store import Store, key, served
from service.timestamps import now

Requested = Literal["cancel", "pause"]
Level = Literal["debug", "info", "warning", "error"]

MAX_WAIT_S = 3.5  # a blocking read stays below 4 s, and below the connection's own timeout
CLUSTER_KEPT_S = 60.0
PROMOTED_AT_ONCE = 200  # what Redis does for one caller, all others wait for
DEATHS = 3  # of a job's runners, without progress, until it is taken to be what kills them
POISON_HINT = "Its log tells of the end. Look at the memory that it needs; then retry it."
BACKOFF_MS, LONGEST_BACKOFF_MS = 1000, 60_000  # before the first retry, doubled with each; half of it by chance
LOOKED_AT = 100  # queued jobs: those behind them change nothing about what is done now
STALE_S = 5.0  # the leader shows the cluster each second; one that is silent for longer is taken to be gone


@dataclass(frozen=True)
class ClaimedJob:
    """A job that the leader has just got, the right to run it, and how many slots it can use."""

    job: Job
    lease: Lease
    size: GangSize
    others: tuple[ClaimedJob, ...] = ()  # those that are to be trained with it, as one population


@dataclass(frozen=True)
class BeatOf:
    """What one of several running jobs has to say with a beat; as for `beat` and `record_epochs`."""

    lease: Lease
    ran_s: float
    progress: Mapping[str, Any] | None = None
    announce: bool = True
    rows: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Success:
    """The end of a job that has been trained: its result, and its model (a document with an `id`)."""

    lease: Lease
    result: Mapping[str, Any]
    model: Mapping[str, Any]


@dataclass(frozen=True)
class WaitingJob:
    """A job that waits for slots, and what it can use."""

    job_id: str
    priority: int
    least: int  # slots; with fewer it does not start
    most: int


@dataclass(frozen=True)
class RunningJob:
    """A lease as the leader sees it: `beat` moves while the runner lives."""

    lease: Lease
    beat: int
    epoch: int  # of the leader that claimed it
    requested: Requested | None
    priority: int
    size: GangSize
    population: str = ""  # of those that are trained as one, the same word


class Queue:
    """The way of jobs through running, for whoever holds the lead or a lease.

    `max_running` bounds the running jobs of each tenant, `max_deaths` the runners that a job may end without progress.
    """

    def __init__(
        self,
        store: Store,
        *,
        max_running: int | None = None,
        max_deaths: int = DEATHS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._max_deaths = max_deaths
        self._max_running = max_running
        self._clock = clock
        self._other_leader: LeaseWatch | None = None

    # The leader

    def lead(self, token: str, ttl_s: float) -> int | None:
        """Take or keep the lead; None while another has it, whom this process has not yet seen still for `ttl_s`.

        Returns the leader's epoch, higher with every change of leader. Call it a few times within `ttl_s`.
        """
        watch = self._other_leader = self._other_leader or LeaseWatch(ttl_s, gap_s=ttl_s, clock=self._clock)
        leads, epoch, *beat = self._store.run("lead", token=token)
        if not leads and watch.stale("leader", (epoch, *beat)):
            leads, epoch, *_ = self._store.run("lead", token=token, take_epoch=epoch, take_beat=beat[0])
        return int(epoch) if leads else None

    def resign(self, token: str) -> None:
        """Give up the lead, if this token has it, so that the next leader need not wait."""
        self._store.run("resign", token=token)

    def wait_for_work(self, timeout_s: float) -> bool:
        """Sleep until something has changed that the leader should look at; False: nothing has, in this time.

        Units: `timeout_s` in seconds, at most MAX_WAIT_S of it.
        """
        return self._store.command("BLPOP", key("wake"), max(0.01, min(timeout_s, MAX_WAIT_S))) is not None

    def promote(self, epoch: int, count: int = PROMOTED_AT_ONCE) -> float | None:
        """Put jobs whose time has come in line, and settle those that wait for jobs that have ended.

        Returns in how many seconds to do it again at the latest; None: when there is something new to look at.
        Raises: LeaseLost when the epoch is over.
        """
        error = DependencyFailed("job %s", hint="Retry that job, then this one; or submit it without `after`.")
        more, wait_ms = self._store.run(
            "promote", epoch=epoch, count=count, error=_error(error), at=now(), transitions=TRANSITIONS_LINE
        )
        if more:
            return 0.0
        return float(wait_ms) / 1000 if wait_ms else None

    def claim(
        self, epoch: int, free_slots: int, claim_token: str, *, hold: str | None = None, population: int = 1
    ) -> ClaimedJob | None:
        """The queued job that goes first of those that fit into the free slots.

        By priority, then the tenant with the fewest running workers, then the one served longest ago, then by age.
        `hold` is a job that the slots are held for: no other is given, but those of a higher priority. With it come, up
        to `population` in all, others that can be trained as one with it; the free slots are shared among all of these.
        The same claim token gives the same job again while its lease lasts.
        Raises: LeaseLost when the epoch is over.
        """
        found = self._store.run(
            "claim",
            epoch=epoch,
            free=free_slots,
            claim=claim_token,
            hold=hold,
            population=population,
            max_running=self._max_running,
            random=secrets.token_hex(16),
            at=now(),
            transitions=TRANSITIONS_LINE,
        )
        if not found:
            return None
        first, *others = map(_claimed, found)
        return replace(first, others=tuple(others))

    def running(self) -> list[RunningJob]:
        """Every running job with its lease."""
        return [
            RunningJob(
                Lease(job_id, token),
                int(beat),
                int(epoch),
                _requested(requested),
                int(priority),
                GangSize(int(least), int(most), float(compute_s), int(size_bytes)),
                population,
            )
            for job_id, token, beat, epoch, requested, priority, *size, population in self._store.run("running")
            for least, most, compute_s, size_bytes in [size]
        ]

    def waiting(self, capacity: int, count: int = LOOKED_AT) -> list[WaitingJob]:
        """The first jobs that wait for slots, at most `capacity` of them, in the order in which they are claimed."""
        found = self._store.run("waiting", count=count, capacity=capacity, max_running=self._max_running)
        return [WaitingJob(job_id, int(priority), int(least), int(most)) for job_id, priority, least, most in found]

    def expire(
        self, lease: Lease, epoch: int, *, beat: int | None, reason: str, suspect: bool = False
    ) -> JobStatus | None:
        """Take a job off running whose runner is gone; its flags decide where to, as for `release`.

        `beat` is the count that was watched standing still (None: the runner is known to be dead). Where the job
        itself is `suspect` of it, it fails once that has happened `max_deaths` times without progress.
        Returns the job's new status; None when the lease was renewed or ended meanwhile, and nothing is to be done.
        Raises: LeaseLost when the epoch is over.
        """
        error = Poisonous(
            f"its runner ended {self._max_deaths} times without progress; the last time: {reason}", hint=POISON_HINT
        )
        found = self._end(
            "expire",
            lease,
            epoch=epoch,
            beat=beat,
            line=_log_line("warning", reason),
            error=_error(error) if suspect else None,
            deaths=self._max_deaths,
        )
        return JobStatus(found[0]) if found else None

    def depth(self) -> int:
        """How many jobs are queued."""
        return int(self._store.run("queue_depth")[0])

    def job(self, job_id: str) -> Job:
        """Any tenant's job. Raises: JobNotFound."""
        return job_from_fields(self._store.run("get_job", job=job_id)[0])

    def publish_cluster(self, epoch: int, document: Mapping[str, Any]) -> None:
        """Show what the leader sees of the cluster. Raises: LeaseLost when the epoch is over."""
        text = strict_json.encode(dict(document))
        self._store.run("publish_cluster", epoch=epoch, document=text, keep_ms=round(CLUSTER_KEPT_S * 1000))

    def cluster(self) -> dict[str, Any] | None:
        """What the leader showed last, with `age_s`; None when it has shown nothing for a minute."""
        found = self._store.run("cluster")
        if not found:
            return None
        return {**strict_json.decode(found[0]), "age_s": max(0.0, CLUSTER_KEPT_S - found[1] / 1000)}

    # The runner

    def beat(
        self, lease: Lease, progress: Mapping[str, Any] | None = None, *, announce: bool = True, ran_s: float = 0.0
    ) -> Requested | None:
        """Renew the lease, write the progress if it is given, and learn what is asked of the job.

        Units: `ran_s` in seconds: for how long this attempt has run.
        The progress is shown to who watches as well where it is to be announced: each event pushes out an older one.
        Raises: LeaseLost.
        """
        text = None if progress is None else strict_json.encode(dict(progress))
        given: dict[str, Any] = {"progress": text, "announce": 1 if announce else None}
        return _requested(self._held("beat", lease, attempt_ms=round(1000 * ran_s), **given)[0])

    def beat_all(self, beats: Sequence[BeatOf]) -> list[Requested | DeltaqError | None]:
        """Beat for several jobs at once, each with the rows that are to be recorded before.

        Returns what is asked of each; or LeaseLost, or IllegalTransition where an epoch is left out.
        """
        given: dict[str, Any] = {}
        for number, one in enumerate(beats, start=1):
            given[f"job{number}"], given[f"token{number}"] = one.lease.job_id, one.lease.token
            given[f"attempt_ms{number}"] = round(1000 * one.ran_s)
            if one.progress is not None:
                given[f"progress{number}"] = strict_json.encode(dict(one.progress))
                given[f"announce{number}"] = 1 if one.announce else None
            if one.rows:
                given[f"first{number}"], given[f"rows{number}"] = one.rows[0]["epoch"], _lines(one.rows)
        answers = self._store.run("beat_all", count=len(beats), **given)
        return [_heard(one, word) for one, word in zip(beats, answers, strict=True)]

    def record_epochs(self, lease: Lease, rows: Sequence[Mapping[str, Any]]) -> int:
        """Record the metrics of epochs (`row["epoch"]`, from 1) that follow one another; what is there already stays.

        Returns how many were recorded now. Raises: LeaseLost; IllegalTransition when an epoch is left out.
        """
        return int(self._held("record_epochs", lease, first=rows[0]["epoch"], rows=_lines(rows))[0])

    def record_epoch(self, lease: Lease, row: Mapping[str, Any]) -> bool:
        """Record the metrics of one epoch; False: they were there already. Raises: as `record_epochs`."""
        return self.record_epochs(lease, [row]) == 1

    def record_checkpoint(
        self, lease: Lease, checkpoint: CheckpointRef, *, keep_every: int = 0
    ) -> CheckpointRef | None:
        """Make a checkpoint the job's newest; returns the one before it, whose file may go now, if that may.

        Each `keep_every`th stays on record (0: none does). Raises: LeaseLost.
        """
        text = strict_json.encode(asdict(checkpoint))
        return _checkpoint(self._held("record_checkpoint", lease, checkpoint=text, keep=keep_every or None)[0])

    def begin_again(self, lease: Lease, lost: CheckpointRef, reason: str) -> CheckpointRef | None:
        """Forget the newest checkpoint, because it cannot be continued to the same bits; logs why.

        Returns an older one that has been kept, which is the newest now; without one, metrics and progress are
        forgotten too. Raises: LeaseLost.
        """
        text = strict_json.encode(asdict(lost))
        return _checkpoint(self._held("begin_again", lease, lost=text, line=_log_line("warning", reason))[0])

    def log(self, lease: Lease, level: Level, message: str) -> None:
        """Write one line into the job's log; a warning stands in the job's `warnings` too. Raises: LeaseLost."""
        warning = strict_json.encode(strict_json.printable(message)) if level == "warning" else None
        self._held("log", lease, line=_log_line(level, message), warning=warning)

    def judged(self, lease: Lease, epoch: int, wait_s: float) -> tuple[bool, bool]:
        """Whether a pruner has looked at this epoch of a trial's job, and whether it is to be stopped there.

        Waits up to `wait_s` seconds for the pruner to say something. Raises: LeaseLost.
        """
        done, stopped = self._held("judged", lease, epoch=epoch)
        if not done and self._store.command("BLPOP", key("job", lease.job_id, "judged"), max(0.01, wait_s)) is not None:
            done, stopped = self._held("judged", lease, epoch=epoch)
        return done == 1, stopped == 1

    def prune(self, lease: Lease, result: Mapping[str, Any]) -> None:
        """Finish a trial's job that a pruner has stopped: cancelled, with what it leaves. Raises: LeaseLost."""
        self._end("prune", lease, result=strict_json.encode(dict(result)))

    def succeed(self, lease: Lease, result: Mapping[str, Any], model: Mapping[str, Any]) -> None:
        """Finish the job with its model (a document with an `id`), in one step; a flag not yet obeyed is dropped.

        Raises: LeaseLost.
        """
        self._store.run("succeed", **_succeeded(Success(lease, result, model)))

    def succeed_all(self, ends: Sequence[Success]) -> list[DeltaqError | None]:
        """The same for several jobs in one trip: LeaseLost of those whose lease is. Raises: StoreUnavailable."""
        answers = served(self._store.run_all("succeed", list(map(_succeeded, ends))))
        return [answer if isinstance(answer, DeltaqError) else None for answer in answers]

    def fail(self, lease: Lease, error: DeltaqError) -> None:
        """Finish the job with what went wrong; a flag not yet obeyed is dropped. Raises: LeaseLost."""
        self._end("fail", lease, error=_error(error))

    def try_again(self, lease: Lease, error: DeltaqError) -> JobStatus:
        """Take the job off running after an error that may pass.

        It goes back into the queue for a later time, longer with each, until it has had its retries; then it fails.
        Returns the job's new status. Raises: LeaseLost.
        """
        found = self._end(
            "try_again",
            lease,
            line=_log_line("warning", f"{error.title}: {error.detail}"),
            error=_error(error),
            base_ms=BACKOFF_MS,
            most_ms=LONGEST_BACKOFF_MS,
            jitter=repr(random.random()),
        )
        return JobStatus(found[0])

    def release(self, lease: Lease, reason: str, *, pause: bool = False) -> JobStatus:
        """Take the job off running unfinished: cancelled or paused where that is asked, else back into the queue.

        `pause` asks for it on the job's own account, as one of its rules does.
        Returns the job's new status. Raises: LeaseLost.
        """
        asked = 1 if pause else None
        return JobStatus(self._end("release", lease, line=_log_line("info", reason), pause=asked)[0])

    def _held(self, script: str, lease: Lease, **arguments: str | int | None) -> list[Any]:
        return self._store.run(script, job=lease.job_id, token=lease.token, **arguments)

    def _end(self, script: str, lease: Lease, **arguments: str | int | None) -> list[Any]:
        return self._held(script, lease, at=now(), transitions=TRANSITIONS_LINE, **arguments)


def _succeeded(end: Success) -> dict[str, str | None]:
    return {
        "job": end.lease.job_id,
        "token": end.lease.token,
        "result": strict_json.encode(dict(end.result)),
        "model": end.model["id"],
        "document": strict_json.encode(dict(end.model)),
        "path": end.model.get("path"),
        "fingerprint": strict_json.sha256(end.result.get("fingerprint")),
        "at": now(),
        "transitions": TRANSITIONS_LINE,
    }


def _claimed(flat: Sequence[str]) -> ClaimedJob:
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    job = job_from_fields(flat)
    return ClaimedJob(job, Lease(job.id, fields["token"]), GangSize.from_fields(fields))


def _heard(said: BeatOf, word: str) -> Requested | DeltaqError | None:
    if word == "lost":
        return lease_lost(said.lease.job_id, "beat")
    if word.startswith("gap "):
        return epoch_gap(said.lease.job_id, str(said.rows[0]["epoch"]), word.removeprefix("gap "))
    return _requested(word)


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(strict_json.encode(dict(row)) for row in rows)


def _requested(word: str) -> Requested | None:
    return cast("Requested", word) if word else None


def _log_line(level: Level, message: str) -> str:
    return strict_json.encode({"at": now(), "level": level, "message": strict_json.printable(message)})


def _error(error: DeltaqError) -> str:
    words = {"title": error.title, "detail": error.detail, "hint": error.hint}
    return strict_json.encode({name: strict_json.printable(word) for name, word in words.items()})


def _checkpoint(text: str) -> CheckpointRef | None:
    return CheckpointRef(**strict_json.decode(text)) if text else None
