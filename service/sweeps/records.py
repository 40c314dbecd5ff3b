"""The records of sweeps and their trials in Redis, each change one step. Knows no Optuna and no HTTP.

A trial's record is made by the step that accepts its first job (`service/acceptance.py`), so that neither is there
without the other. What becomes of it is recorded once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from service import strict_json
from service.acceptance import Idempotency, TrialJob, idempotency_arguments
from service.cursors import DEFAULT_LIMIT, Page, check_limit, decode_cursor, encode_cursor
from service.errors import DeltaqError
from service.ids import is_id, new_id
from service.jobs import TRANSITIONS_LINE
from service.refusals import sweep_not_found
from service.spec import SweepSpec
from service.store import Store, key
from service.sweeps.sweep import Sweep, sweep_from_fields, trial_from_fields
from service.sweeps.trial import Trial
from service.timestamps import now

STEERED_AT_ONCE = 20  # jobs: what Redis does for one caller, all others wait for
READ_AT_ONCE = 200
SWEEPER_KEPT_S = 15.0  # after so long of silence the sweeper is taken to be gone

TOLD_A_TRIP = 50

T = TypeVar("T")
TrialList = list[Trial]
Verb = Literal["cancel", "pause", "resume", "stop"]


class Told(NamedTuple):
    """What became of a trial.

    `score` is its place among the best, the lowest first; `beaten` are the numbers of those that are not among them any
    more; `models` those that its jobs have made.
    """

    trial: Trial
    score: float | None = None
    beaten: Sequence[int] = ()
    models: Sequence[str] = ()


class Sweeps:
    """The sweeps of all tenants; another tenant's is not found."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # As tenants see and steer them

    def create(
        self,
        tenant: str,
        spec: SweepSpec,
        *,
        trials: int | None,
        datasets: Sequence[str],
        warnings: Sequence[str] = (),
        idempotency: Idempotency | None = None,
    ) -> tuple[Sweep, bool]:
        """Accept a sweep, and say whether it was created now.

        Raises: UnknownDataset; IdempotencyConflict; StoreUnavailable, then nothing or all of it has happened.
        """
        created, fields = self._store.run(
            "create_sweep",
            sweep=new_id("sweep"),
            tenant=tenant,
            spec=strict_json.encode(spec.model_dump(mode="json", exclude_unset=True)),  # what is open stays so
            trials=trials,
            datasets=" ".join(dict.fromkeys(datasets)),
            warnings=strict_json.encode(list(warnings)),
            at=now(),
            **idempotency_arguments(idempotency),
        )
        return sweep_from_fields(fields), created == 1

    def find_idempotent(self, tenant: str, idempotency: Idempotency) -> str | None:
        """The id of the sweep that this key and request made already. Raises: IdempotencyConflict."""
        found = self._store.run("find_idempotent", tenant=tenant, **idempotency_arguments(idempotency))
        return str(found[0]) if found else None

    def get(self, tenant: str | None, sweep_id: str) -> Sweep:
        """One sweep; without a tenant whoever's. Raises: SweepNotFound."""
        return sweep_from_fields(self._run("get_sweep", tenant, sweep_id)[0])

    def list(self, tenant: str, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[Sweep]:
        """Sweeps, newest first. Raises: InvalidRequest naming `cursor` or `limit`."""
        scope, count = ("sweeps", tenant), check_limit(limit)
        before = "" if cursor is None else decode_cursor(cursor, scope)
        answer = self._store.run("list_sweeps", tenant=tenant, before=before, count=count + 1)
        found = list(map(sweep_from_fields, answer[1::2]))
        following = encode_cursor(found[count - 1].sequence, scope) if len(found) > count else None
        return Page(found[:count], following)

    def list_trials(
        self, tenant: str, sweep_id: str, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Page[Trial]:
        """Trials in the order of their numbers. Raises: SweepNotFound; InvalidRequest naming `cursor` or `limit`."""
        scope, count = ("trials", tenant, sweep_id), check_limit(limit)
        after = 0 if cursor is None else decode_cursor(cursor, scope)
        found = self._trials(tenant, sweep_id, after=after, count=count + 1)
        return Page(found[:count], encode_cursor(after + count, scope) if len(found) > count else None)

    def all_trials(self, tenant: str | None, sweep_id: str) -> TrialList:
        """Every trial, in the order of their numbers. Raises: SweepNotFound."""
        found: TrialList = []
        while part := self._trials(tenant, sweep_id, after=len(found), count=READ_AT_ONCE):
            found += part
        return found

    def leaders(self, sweep: Sweep) -> TrialList:
        """The best trial; of several objectives the front, and perhaps some that it beats.

        Raises: SweepNotFound.
        """
        last = -1 if len(sweep.spec.compared) > 1 else 0
        found = self._store.command("ZRANGE", key("sweep", sweep.id, "best"), 0, last)
        return self.trials(sweep.id, [int(number) for number in found])

    def trials(self, sweep_id: str, numbers: Sequence[int]) -> TrialList:
        """Those of these numbers. Raises: SweepNotFound."""
        found: TrialList = []
        for some in _pieces(list(numbers), READ_AT_ONCE):
            found += self._trials(None, sweep_id, numbers=" ".join(map(str, some)))
        return found

    def steer(self, tenant: str | None, sweep_id: str, verb: Verb) -> Sweep:
        """Cancel, pause or resume it with its jobs; `stop` cancels those of its jobs that have not started.

        Its state changes in one step, by which no more trials are made; its jobs follow at once.
        Raises: SweepNotFound; IllegalTransition naming the state.
        """
        return self._steer(tenant, sweep_id, verb)

    def follow(self, sweep: Sweep) -> None:
        """Have the jobs of a paused or cancelled sweep be so too, if it still is: who steered it may have died."""
        verb: Verb = "pause" if sweep.status == "paused" else "cancel"
        self._steer(None, sweep.id, verb, follow=1)

    def _steer(self, tenant: str | None, sweep_id: str, verb: Verb, **follow: int) -> Sweep:
        cursor = "0"
        while True:
            cursor, fields = self._run(
                "steer_sweep",
                tenant,
                sweep_id,
                verb=verb,
                cursor=cursor,
                count=STEERED_AT_ONCE,
                at=now(),
                transitions=TRANSITIONS_LINE,
                **follow,
            )
            if cursor == "0":
                return sweep_from_fields(fields)

    def extend(self, tenant: str, sweep_id: str, trials: int) -> Sweep:
        """Let it have so many trials in all; one that has ended by itself goes on.

        Raises: SweepNotFound; IllegalTransition when it is cancelled; InvalidSpec for fewer than it has;
        UnknownDataset when its data set is gone.
        """
        return sweep_from_fields(self._run("extend_sweep", tenant, sweep_id, trials=trials, at=now())[0])

    # As the sweeper sees them

    def await_change(self, timeout_s: float) -> set[str]:
        """The sweeps to look at, as soon as there are some; none after `timeout_s` seconds (at most 3.5)."""
        self._store.command("BLPOP", key("sweeper-wake"), max(0.01, min(timeout_s, 3.5)))
        changed: set[str] = set()
        while some := self._store.command("SPOP", key("sweeps-changed"), READ_AT_ONCE):
            changed.update(some)
        return changed

    def live(self) -> set[str]:
        """All sweeps in which something may have to be done."""
        return set(self._store.command("SMEMBERS", key("sweeps-live")))

    def open_numbers(self, sweep_id: str) -> Sequence[int]:
        """The trials that have not ended."""
        return [int(number) for number in self._store.command("ZRANGE", key("sweep", sweep_id, "open"), 0, -1)]

    def news(self, sweep_id: str) -> Iterator[tuple[Trial, Sequence[str]]]:
        """The trials in which something has happened, each with the statuses of its jobs, by number.

        They stay news until they are told, or all their epochs are judged.
        """
        numbers = sorted(map(int, self._store.command("SMEMBERS", key("sweep", sweep_id, "news"))))
        for some in _pieces(numbers, READ_AT_ONCE):
            for found in self._run("list_trials", None, sweep_id, numbers=" ".join(map(str, some))):
                yield trial_from_fields(*found), found[1]

    def rows(self, job_ids: Sequence[str], *, after: int = 0) -> Sequence[Sequence[dict[str, Any]]]:
        """The metrics of the epochs after that one, of each of these jobs."""
        asked = [("LRANGE", key("job", job_id, "metrics"), after, -1) for job_id in job_ids]
        return [list(map(strict_json.decode, rows)) for rows in self._store.commands(asked)]

    def judged(self, job_ids: Sequence[str]) -> Sequence[int]:
        """Up to which epoch a pruner has looked at each of these jobs."""
        found = self._store.commands([("HGET", key("job", job_id), "judged") for job_id in job_ids])
        return [int(epoch or 0) for epoch in found]

    def fail_trial(self, trial: TrialJob, error: Mapping[str, Any]) -> None:
        """Record why a trial cannot have its next job: it has failed, once the jobs that it has have ended.

        Raises: NoTrial.
        """
        self._store.run("fail_trial", **trial.arguments(), error=strict_json.encode(dict(error)), at=now())

    def tell(self, sweep_id: str, ended: Sequence[Told]) -> Sequence[bool]:
        """Record what became of trials, once, some at a time in one trip.

        Answers False for one that was known, and for one of which a job is queued again.
        """
        answers: list[bool] = []
        for some in _pieces(ended, TOLD_A_TRIP):
            for answer in self._store.run_all("tell_trial", [_told(sweep_id, one) for one in some]):
                if isinstance(answer, DeltaqError):
                    raise answer
                answers.append(bool(answer[0]))
        return answers

    def model_count(self, sweep_id: str) -> int:
        """How many trials still have models."""
        return int(self._store.command("HLEN", key("sweep", sweep_id, "models")))

    def models(self, sweep_id: str) -> dict[int, Sequence[str]]:
        """The models that there are, by trial."""
        found: dict[str, str] = self._store.command("HGETALL", key("sweep", sweep_id, "models"))
        return {int(number): models.split() for number, models in found.items()}

    def forget_models(self, sweep_id: str, numbers: Sequence[int]) -> None:
        """The models of these trials are deleted, or somebody else's to keep."""
        for some in _pieces(numbers, READ_AT_ONCE):
            self._store.command("HDEL", key("sweep", sweep_id, "models"), *some)

    def judge(self, sweep_id: str, number: int, job_id: str, epoch: int, *, stop: bool) -> None:
        """Record that a trial has been looked at up to this epoch, and perhaps is stopped there."""
        self._store.run(
            "judge_trial",
            sweep=sweep_id,
            trial=number,
            job=job_id,
            epoch=epoch,
            stop=1 if stop else None,
        )

    def finish(self, sweep: Sweep, error: DeltaqError) -> Sweep:
        """End a sweep that makes no more trials, unless it has changed since it was read: failed, with this error,
        where nothing has come of any trial.
        """
        words = {"title": error.title, "detail": error.detail, "hint": error.hint}
        fields = self._store.run(
            "finish_sweep",
            sweep=sweep.id,
            asked=sweep.asked,
            trials="" if sweep.trials is None else sweep.trials,
            error=strict_json.encode({name: strict_json.printable(word) for name, word in words.items()}),
            at=now(),
        )[0]
        return sweep_from_fields(fields)

    def show_sweeper(self) -> None:
        """Say that a sweeper is at work."""
        self._store.run("show_sweeper", keep_ms=round(1000 * SWEEPER_KEPT_S))

    def sweeper_silent_s(self) -> float | None:
        """For how long no sweeper has said so; None: for longer than SWEEPER_KEPT_S."""
        left_ms = int(self._store.command("PTTL", key("sweeper")))
        return None if left_ms < 0 else max(0.0, SWEEPER_KEPT_S - left_ms / 1000)

    def _trials(self, tenant: str | None, sweep_id: str, **asked: str | int) -> TrialList:
        return [trial_from_fields(*found) for found in self._run("list_trials", tenant, sweep_id, **asked)]

    def _run(self, script: str, tenant: str | None, sweep_id: str, **arguments: str | int) -> Sequence[Any]:
        if not is_id("sweep", sweep_id):
            raise sweep_not_found(strict_json.printable(sweep_id))
        return self._store.run(script, sweep=sweep_id, tenant=tenant, **arguments)


def _told(sweep_id: str, ended: Told) -> dict[str, str | int | None]:
    trial = ended.trial
    documents = {
        "values": None if trial.values is None else list(trial.values),
        "constraints": list(trial.constraints) or None,
        "intermediate": {str(epoch): value for epoch, value in trial.intermediate.items()} or None,
        "error": None if trial.error is None else dict(trial.error),
    }
    return {
        "sweep": sweep_id,
        "trial": trial.number,
        "status": trial.status,
        "fused_with": trial.fused_with,
        "score": None if ended.score is None else repr(ended.score),
        "beaten": " ".join(map(str, ended.beaten)) or None,
        "models": " ".join(ended.models) or None,
        "at": now(),
        **{name: None if value is None else strict_json.encode(value) for name, value in documents.items()},
    }


def _pieces(many: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for first in range(0, len(many), size):
        yield many[first : first + size]


def failed(error: DeltaqError) -> Mapping[str, Any]:
    """What a trial's record says of an error."""
    return {"title": error.title, "detail": error.detail, "hint": error.hint}
