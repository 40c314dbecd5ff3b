"""Every error deltaq raises on purpose, as one tree. Knows nothing else: it imports nothing of the project.

    DeltaqError
    ├ InvalidRequest   InvalidSpec, UnknownDataset, BadData
    ├ NotFound         JobNotFound, DatasetNotFound, ModelNotFound, AliasNotFound, SweepNotFound, NoBestTrial
    ├ Conflict         IllegalTransition, NoTrial, LeaseLost, DuplicateName, IdempotencyConflict, InUse, NewerFormat
    ├ Refused          QueueFull, TooLarge, Unauthorized, Forbidden
    ├ TrainingFailed   Diverged, DataMissing, UnusableData, WrongGradient, TimeLimit, Poisonous, DependencyFailed
    │                  on the job, with what to try; not retried
    ├ Unavailable      StoreUnavailable (RedisUnavailable, NoRoom), WorkerLost      retried
    └ Misconfigured    a process refuses to start; nothing that is asked over HTTP raises it

HTTP numbers live in `api/errors.py` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FieldError:
    """One field that was refused: where it is (a JSON pointer), what it held, and what is allowed."""

    pointer: str
    value: Any
    detail: str
    allowed: Any = None


def pointer_to(*parts: str | int) -> str:
    """A JSON pointer to a place within a document. Source: RFC 6901, section 4."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


class DeltaqError(Exception):
    """Something deltaq refuses or could not do; `detail` is for people, `hint` says what to try."""

    title = "deltaq error"

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = (), hint: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.hint = hint


class InvalidRequest(DeltaqError):
    """The request says something that cannot be done."""

    title = "Invalid request"


class InvalidSpec(InvalidRequest):
    """A spec has a field that is unknown, out of range, or at odds with another or with the data."""

    title = "Invalid specification"


class UnknownDataset(InvalidRequest):
    """A spec names a data set that this tenant does not have."""

    title = "Unknown data set"


class BadData(InvalidRequest):
    """The bytes of a data set, or rows to predict, cannot be used as they are."""

    title = "Bad data"


class NotFound(DeltaqError):
    """There is nothing by this name for this tenant."""

    title = "Not found"


class JobNotFound(NotFound):
    """No such job."""

    title = "No such job"


class DatasetNotFound(NotFound):
    """No such data set."""

    title = "No such data set"


class ModelNotFound(NotFound):
    """No such model."""

    title = "No such model"


class SweepNotFound(NotFound):
    """No such sweep."""

    title = "No such sweep"


class AliasNotFound(NotFound):
    """No model has this alias."""

    title = "No such alias"


class NoBestTrial(NotFound):
    """No trial of a sweep can be called the best, at least not yet."""

    title = "No best trial"


class Conflict(DeltaqError):
    """What was asked is at odds with the state things are in."""

    title = "Conflict"


class IllegalTransition(Conflict):
    """The job is in a state from which this is not allowed."""

    title = "Not possible in this state"


class NoTrial(Conflict):
    """The sweep takes no such trial now: it is not the next one, or the sweep has been steered meanwhile."""

    title = "No such trial now"


class LeaseLost(Conflict):
    """The writer's fencing token is no longer the job's: somebody else owns it, or nobody does."""

    title = "Lease lost"


class DuplicateName(Conflict):
    """The name is taken by something else."""

    title = "Name taken"


class IdempotencyConflict(Conflict):
    """The Idempotency-Key was used before with another request."""

    title = "Idempotency-Key used with another request"


class InUse(Conflict):
    """It cannot be deleted while something live uses it."""

    title = "In use"


class NewerFormat(Conflict):
    """A file was written by a newer deltaq, in a form that this one does not read."""

    title = "Written by a newer deltaq"


class Refused(DeltaqError):
    """Understood, and not allowed."""

    title = "Refused"


class QueueFull(Refused):
    """No more jobs are accepted for now."""

    title = "Queue full"


class TooLarge(Refused):
    """More bytes, rows or memory than the limit allows."""

    title = "Too large"


class Unauthorized(Refused):
    """No API key, or one that is not known."""

    title = "Unauthorized"


class Forbidden(Refused):
    """The API key's scopes, or the request's origin, do not allow this."""

    title = "Forbidden"


class TrainingFailed(DeltaqError):
    """The training itself cannot succeed; recorded on the job, not retried."""

    title = "Training failed"


class Diverged(TrainingFailed):
    """The loss or the weights stopped being finite."""

    title = "Diverged"


class WrongGradient(TrainingFailed):
    """The gradient is not the one that the loss itself shows when a parameter is moved."""

    title = "Wrong gradient"


class TimeLimit(TrainingFailed):
    """The job has run for as long as it may, all its attempts together."""

    title = "TimeLimit"


class Poisonous(TrainingFailed):
    """Whatever runs the job dies of it."""

    title = "Poisonous"


class DependencyFailed(TrainingFailed):
    """A job that this one was to come after did not succeed; so it is cancelled."""

    title = "DependencyFailed"


class DataMissing(TrainingFailed):
    """The data set that the job needs is gone."""

    title = "Data set gone"


class UnusableData(TrainingFailed):
    """The rows that a job would learn or validate from say nothing, since all of them weigh 0."""

    title = "Data unusable"


class Unavailable(DeltaqError):
    """A part that is needed does not answer now; the same request may work later."""

    title = "Unavailable"


class StoreUnavailable(Unavailable):
    """Redis or the artifact store does not answer, or has no room."""

    title = "Store unavailable"


class RedisUnavailable(StoreUnavailable):
    """Redis does not answer, or cannot take it now: nobody's work has failed by that."""


class NoRoom(StoreUnavailable):
    """A file system has less room than is to be kept free."""

    title = "No room"


class WorkerLost(Unavailable):
    """A worker died and no other could take its place."""

    title = "Worker lost"


class Misconfigured(DeltaqError):
    """The deployment's settings cannot work together or with what is there; starting again does not help."""

    title = "Misconfigured"
