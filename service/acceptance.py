"""A job that is to be accepted: what is said of it to the step that accepts it, and the job that this makes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from service import strict_json
from service.fusing import Fusion
from service.gang_size import GangSize
from service.ids import new_id
from service.job_fields import job_from_fields, standing
from service.jobs import Job, JobStatus
from service.spec import JobSpec
from service.spec.times import moment_of
from service.store import Argument
from service.timestamps import now

Idempotency = tuple[str, str]  # the Idempotency-Key as sent, the SHA-256 of the request that came with it


class DatasetIdentity(Protocol):
    """What a job needs to know of its data set."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def sha256(self) -> str:
        """Of its bytes as they were uploaded."""


@dataclass(frozen=True)
class TrialJob:
    """Which trial of which sweep a job is, with all that is recorded of the trial when its first job is accepted."""

    sweep: str
    number: int
    repeat: int
    parallel: int  # so many trials may be open
    params: Mapping[str, Any]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    study_attributes: Mapping[str, Any] = field(default_factory=dict)
    parameters: int | None = None  # of its network
    prunes: bool = False

    def arguments(self) -> dict[str, Argument | None]:
        """What the steps that make a trial are told."""
        return {
            "sweep": self.sweep,
            "trial": self.number,
            "repetition": self.repeat,
            "parallel": self.parallel,
            "params": strict_json.encode(dict(self.params)),
            "attributes": strict_json.encode(dict(self.attributes)),
            "study_attributes": strict_json.encode(dict(self.study_attributes)),
            "parameters": self.parameters,
            "prunes": 1 if self.prunes else None,
        }


@dataclass(frozen=True)
class Acceptance:
    """A job whose spec has every auto resolved; the same Idempotency-Key and request give the job made first.

    It gets workers by its `size`, and as many as its spec allows where none is given. `validation` is the data set of
    its own that it validates on; `done` has those of `spec.after` that have succeeded and are archived. `work` is the
    digest of what it does. With the digest of a `fingerprint`, a job of the same work and kernels that has succeeded
    answers for it: it is created `succeeded`, with that one's result and model. `fusion` says with which jobs it may be
    trained as one.
    """

    tenant: str
    spec: JobSpec
    dataset: DatasetIdentity
    warnings: Sequence[str] = ()
    idempotency: Idempotency | None = None
    size: GangSize | None = None
    validation: DatasetIdentity | None = None
    done: Sequence[str] = ()
    work: str | None = None
    fingerprint: str | None = None
    fusion: Fusion | None = None
    spec_text: str | None = None  # the spec as JSON, where it has been written before
    trial: TrialJob | None = None
    parameters: int | None = None  # of its network
    quiet: bool = False  # the leader is woken later, for several at once
    job_id: str = field(default_factory=lambda: new_id("job"))
    at: str = field(default_factory=now)

    @cached_property
    def due_ms(self) -> int | None:
        """Since 1970: it is not in line before."""
        not_before = self.spec.not_before
        return None if not_before is None else round(1000 * moment_of(not_before).timestamp())

    def arguments(self) -> dict[str, Argument | None]:
        """What `accept.lua` is told."""
        spec, size = self.spec, self.size or GangSize.of_spec(self.spec)
        return {
            "job": self.job_id,
            "tenant": self.tenant,
            "spec": self.spec_text or spec_text(spec),
            "dataset": self.dataset.id,
            "sha256": self.dataset.sha256,
            "validation": None if self.validation is None else self.validation.id,
            "priority": spec.priority,
            "retries": spec.retries,
            "after": " ".join(spec.after) or None,
            "done": " ".join(self.done) or None,
            "work": self.work,
            "fingerprint": self.fingerprint,
            "fuse": self.fusion and self.fusion.key,
            "members": self.fusion and self.fusion.members,
            "quiet": 1 if self.quiet else None,
            "due_ms": self.due_ms,
            "width": size.least,
            "max_slots": size.most,
            "compute_s": repr(size.compute_s),
            "size_bytes": size.size_bytes,
            "tags": strict_json.encode(_tag_words(spec.tags)),
            "warnings": strict_json.encode(list(self.warnings)),
            "at": self.at,
            **({} if self.trial is None else self.trial.arguments()),
            **idempotency_arguments(self.idempotency),
        }

    def job(self, created: int, first: Any, *words: str) -> tuple[Job, bool]:
        """The job that the step's answer tells of, and whether it was created now."""
        if not isinstance(first, str):
            return job_from_fields(first), created == 1
        found = {"status": "queued", **dict(zip(words[::2], words[1::2], strict=True))}
        if self.due_ms is not None and "queue_position" not in found:
            found["due_ms"] = str(self.due_ms)
        job = Job(
            id=self.job_id,
            tenant=self.tenant,
            status=JobStatus.QUEUED,
            spec=self.spec,
            sequence=int(first),
            created_at=self.at,
            warnings=list(self.warnings),
            dataset_sha256=self.dataset.sha256,
            sweep=None if self.trial is None else self.trial.sweep,
            trial=None if self.trial is None else self.trial.number,
            prunes=self.trial is not None and self.trial.prunes,
            **standing(found),
        )
        return job, True


def spec_text(spec: JobSpec) -> str:
    """A spec as a job's record has it."""
    return strict_json.encode(spec.model_dump(mode="json"))


def idempotency_arguments(idempotency: Idempotency | None) -> dict[str, Argument | None]:
    """What steps are told of a key and its request."""
    if idempotency is None:
        return {}
    sent, request = idempotency
    digest = hashlib.sha256(sent.encode("utf-8", "surrogatepass")).hexdigest()
    return {"idempotency": digest, "request": request}


def _tag_words(tags: dict[str, str]) -> list[str]:
    return sorted({word for name, value in tags.items() for word in (name, f"{name}={value}")})
