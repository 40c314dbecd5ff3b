"""What a Lua step answers when it refuses, as the exception that says so. Knows no Redis and no HTTP."""

from __future__ import annotations

from collections.abc import Callable

from service.errors import (
    AliasNotFound,
    DatasetNotFound,
    DeltaqError,
    DuplicateName,
    FieldError,
    IdempotencyConflict,
    IllegalTransition,
    InUse,
    InvalidRequest,
    InvalidSpec,
    JobNotFound,
    LeaseLost,
    ModelNotFound,
    NoTrial,
    QueueFull,
    SweepNotFound,
    UnknownDataset,
)


def job_not_found(job_id: str) -> JobNotFound:
    """There is no such job for this tenant."""
    return JobNotFound(f"there is no job {job_id[:100]!r}")


def dataset_not_found(dataset: str) -> DatasetNotFound:
    """There is no such data set for this tenant."""
    return DatasetNotFound(f"there is no data set {dataset[:100]!r}")


def model_not_found(model_id: str) -> ModelNotFound:
    """There is no such model for this tenant."""
    return ModelNotFound(f"there is no model {model_id[:100]!r}")


def sweep_not_found(sweep_id: str) -> SweepNotFound:
    """There is no such sweep for this tenant."""
    return SweepNotFound(f"there is no sweep {sweep_id[:100]!r}")


def alias_not_found(name: str) -> AliasNotFound:
    """This tenant has given no model this name."""
    return AliasNotFound(f"there is no alias {name[:100]!r}")


def unknown_dataset(dataset: str, pointer: str = "/dataset") -> UnknownDataset:
    """A job asks, in the field at `pointer`, for a data set that is not there (any more)."""
    allowed = "the id or name of a data set of yours, or a built-in one"
    error = FieldError(pointer, dataset[:200], "no such data set", allowed)
    field = pointer.strip("/").replace("/", ".")
    return UnknownDataset(f"{field} {dataset[:200]!r} does not exist; allowed is {allowed}", errors=[error])


def unknown_model(model: str) -> InvalidRequest:
    """A request asks, in its field `model`, for a model that is not there."""
    allowed = "the id or an alias of a model of yours"
    error = FieldError("/model", model[:200], "no such model", allowed)
    return InvalidRequest(f"model {model[:200]!r} does not exist; allowed is {allowed}", errors=[error])


def _illegal(job_id: str, verb: str, status: str, requested: str) -> IllegalTransition:
    state = f"{status} ({requested} is requested)" if requested else status
    return IllegalTransition(f"job {job_id} is {state}: {verb} is not possible in this state")


def lease_lost(job_id: str, verb: str) -> LeaseLost:
    """A verb came with a token that is not the job's present one."""
    return LeaseLost(f"{verb} of job {job_id} refused: its lease is held by another, or by nobody")


def _epoch_lost(epoch: str, current: str) -> LeaseLost:
    return LeaseLost(f"leader epoch {epoch} is over: the present one is {current}")


def epoch_gap(job_id: str, epoch: str, expected: str) -> IllegalTransition:
    """Metrics came of an epoch that is not the next one."""
    return IllegalTransition(
        f"job {job_id}: metrics of epoch {epoch} came while epoch {expected} is the next to record"
    )


def _in_use(dataset_id: str, count: str, example: str) -> InUse:
    return InUse(
        f"data set {dataset_id} is used by {count} live job(s), {example} among them: cancel them or let them end"
    )


def _in_use_by_sweep(dataset_id: str, count: str, example: str) -> InUse:
    return InUse(
        f"data set {dataset_id} is used by {count} live sweep(s), {example} among them: cancel them or let them end"
    )


def _illegal_sweep(sweep_id: str, verb: str, status: str) -> IllegalTransition:
    return IllegalTransition(f"sweep {sweep_id} is {status}: {verb} is not possible in this state")


def _no_trial(sweep_id: str, number: str, status: str) -> NoTrial:
    return NoTrial(f"sweep {sweep_id} is {status} and does not take trial {number} now")


def fewer_trials(trials: str, least: str, most: str = "") -> InvalidSpec:
    """A sweep is to have a number of trials that it cannot have."""
    allowed = f"an integer from {least} to {most}" if most else f"an integer of at least {least}"
    why = f"this sweep takes {allowed}"
    return InvalidSpec(f"trials is {trials}: {why}", errors=[FieldError("/trials", int(trials), why, allowed)])


def _aliased(model_id: str, *names: str) -> InUse:
    aliases = ", ".join(map(repr, sorted(names)))
    return InUse(f"model {model_id} has the alias {aliases}: move it to another model, or delete it, first")


def _builtin(dataset_id: str) -> InUse:
    return InUse(f"data set {dataset_id} is built in: it belongs to everybody and cannot be deleted")


def _name_taken(name: str, dataset_id: str) -> DuplicateName:
    detail = "the name is taken by other data"
    error = FieldError("/name", name, detail, "another name, or the same bytes, target and columns again")
    return DuplicateName(
        f"name {name!r} is taken by data set {dataset_id} with other bytes, target or columns", errors=[error]
    )


def _idempotency(made: str) -> IdempotencyConflict:
    what = made if made.startswith("sweep-") else f"job {made}"
    return IdempotencyConflict(f"this Idempotency-Key made {what} from another request: use a new key")


def _queue_full(limit: str, name: str) -> QueueFull:
    return QueueFull(f"{limit} jobs are queued already, as many as {name} allows; nothing was queued")


def archived(job_id: str, status: str, verb: str) -> IllegalTransition:
    """A job whose record is archived is steered no more."""
    return IllegalTransition(f"job {job_id} is {status} and archived: {verb} is not possible in this state")


def dead_parent(job_id: str, status: str, place: str) -> DeltaqError:
    """A job in `after`, at this place, cannot succeed any more; without a place: of a job that is to be retried."""
    what = f"it is {status}" if status else "there is no such job"
    if not place:
        return IllegalTransition(
            f"a job that this one comes after, {job_id[:100]}, has not succeeded: {what}", hint="retry that one first"
        )
    allowed = "the id of a job of yours that has succeeded or still can"
    error = FieldError(f"/after/{place}", job_id[:100], what, allowed)
    return InvalidSpec(f"after.{place} {job_id[:100]!r}: {what}; allowed is {allowed}", errors=[error])


_BUILDERS: dict[str, Callable[..., DeltaqError]] = {
    "job_not_found": job_not_found,
    "dataset_not_found": dataset_not_found,
    "model_not_found": model_not_found,
    "alias_not_found": alias_not_found,
    "aliased": _aliased,
    "unknown_dataset": unknown_dataset,
    "illegal": _illegal,
    "lease_lost": lease_lost,
    "epoch_lost": _epoch_lost,
    "epoch_gap": epoch_gap,
    "in_use": _in_use,
    "in_use_by_sweep": _in_use_by_sweep,
    "sweep_not_found": sweep_not_found,
    "illegal_sweep": _illegal_sweep,
    "no_trial": _no_trial,
    "fewer_trials": fewer_trials,
    "builtin": _builtin,
    "name_taken": _name_taken,
    "idempotency": _idempotency,
    "queue_full": _queue_full,
    "dead_parent": dead_parent,
}


def refusal(code: str, *words: str) -> DeltaqError:
    """The exception for what a step refused: its code and the words it gave."""
    return _BUILDERS[code](*words)
