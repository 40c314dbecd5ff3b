"""Trains a job's spec again with one worker, and compares the bits. Knows the client alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from deltaq.client import Client
from deltaq.errors import DeltaqClientError
from deltaq.job import Job
from deltaq.records import JobStatus

EQUAL, DIFFERENT, NOT_COMPARABLE = 0, 1, 5


class NotVerified(DeltaqClientError):
    """There is nothing to compare: one of the two jobs has no result."""


@dataclass(frozen=True)
class Verification:
    """Two trainings of one spec: what each was made on, and what came out."""

    job_id: str
    again_id: str
    fingerprint: Any
    fingerprint_again: Any
    weights_sha256: str
    weights_sha256_again: str

    @property
    def same_fingerprint(self) -> bool:
        """Both were trained by the same arithmetic, so that the bits must be equal."""
        return bool(self.fingerprint == self.fingerprint_again)

    @property
    def equal(self) -> bool:
        """The weights are the same, bit for bit."""
        return self.weights_sha256 == self.weights_sha256_again

    @property
    def exit_code(self) -> int:
        """0 the same bits, 1 other bits, 5 other bits by another arithmetic, which proves nothing."""
        if self.equal:
            return EQUAL
        return DIFFERENT if self.same_fingerprint else NOT_COMPARABLE

    def document(self) -> Mapping[str, Any]:
        """The whole as plain JSON."""
        return {**asdict(self), "same_fingerprint": self.same_fingerprint, "equal": self.equal}


def differences(one: Any, other: Any) -> list[str]:
    """Where two fingerprints differ, in words."""
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return [f"{one} and {other}"] if one != other else []
    names = sorted({*one, *other})
    return [f"{name}: {one.get(name)} and {other.get(name)}" for name in names if one.get(name) != other.get(name)]


# Trained now, by itself, and not answered for by the very job that is to be verified.
AT_ONCE: Mapping[str, Any] = {"reuse": False, "after": [], "not_before": None}
EVERY_EPOCH: Mapping[str, Any] = {"metric": "learning_rate", "above": -1.0}  # a rule of which each epoch counts


def verify(client: Client, job: Job, wait: Callable[[Job], object]) -> Verification:
    """Train the job's spec again with one worker; `wait` sees the second training to its end.

    One that a pruner has stopped is trained up to the same epoch.
    Raises: NotVerified where either has no result, ApiError (the data set may be gone), Unreachable.
    """
    pruned_at = job.result.get("pruned_at")
    if job.status is not JobStatus.SUCCEEDED and pruned_at is None:
        raise NotVerified(f"job {job.id} is {job.status.value}: only one that succeeded or was pruned can be verified")
    mode = job.spec.get("mode", "sync")
    if mode != "sync":
        raise NotVerified(f"job {job.id} was trained in mode {mode}, which does not promise the same bits twice")
    spec = {**job.spec, **AT_ONCE, "name": f"verify {job.id}", "workers": {"min": 1, "max": 1}}
    if pruned_at is not None:
        if job.spec.get("data", {}).get("folds"):
            raise NotVerified(f"job {job.id} was pruned in one of its folds: a training cannot be ended just there")
        spec["rules"] = [*job.spec.get("rules", ()), {**EVERY_EPOCH, "epochs": pruned_at, "action": "stop"}]
    again = client.submit(spec)
    wait(again)
    if again.status is not JobStatus.SUCCEEDED:
        why = f": {again.error}" if again.error else ""
        raise NotVerified(f"the second training, job {again.id}, is {again.status.value}{why}")
    return Verification(
        job_id=job.id,
        again_id=again.id,
        fingerprint=job.result.get("fingerprint"),
        fingerprint_again=again.result.get("fingerprint"),
        weights_sha256=str(job.result.get("weights_sha256")),
        weights_sha256_again=str(again.result.get("weights_sha256")),
    )
