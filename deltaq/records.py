"""What the API answers, as small frozen objects. Each keeps its document in `raw`, new fields included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, Self

import orjson

Types = Mapping[str, Callable[[Any], Any]]  # by field


class JobStatus(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Nothing more happens by itself."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A document of the API: the fields that this version knows, and `raw`, the whole of it."""

    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    _types: ClassVar[Types] = {}  # what makes those fields that are not plain

    @classmethod
    def read(cls, document: Mapping[str, Any] | None) -> Self:
        """Take the known fields out of a document; what is missing or null keeps its default."""
        document = document or {}
        known = [f.name for f in fields(cls) if f.name != "raw" and document.get(f.name) is not None]
        values = {name: cls._types[name](document[name]) if name in cls._types else document[name] for name in known}
        return cls(raw=document, **values)


@dataclass(frozen=True, kw_only=True)
class Progress(Record):
    """How far a job is. `fraction` goes from 0 to 1, `eta_s` is in seconds."""

    epoch: int | None = None
    epochs: int | None = None
    step: int | None = None
    steps: int | None = None
    fraction: float | None = None
    samples_per_s: float | None = None
    eta_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Epoch(Record):
    """One row of a job's metrics; what the job does not measure is None.

    Of several folds, `fold` counts from 1 and is None for the last training, on all rows.
    """

    epoch: int
    fold: int | None = None
    train_loss: float | None = None
    validation_loss: float | None = None
    train_accuracy: float | None = None
    validation_accuracy: float | None = None
    validation_balanced_accuracy: float | None = None
    validation_f1: float | None = None
    validation_auc: float | None = None
    validation_log_loss: float | None = None
    validation_r2: float | None = None
    validation_mae: float | None = None
    validation_rmse: float | None = None
    learning_rate: float | None = None
    samples_per_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class JobError(Record):
    """Why a job failed, and what to try."""

    title: str = "Failed"
    detail: str = ""
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.title}: {self.detail}" if self.detail else self.title
        return f"{text}\n  hint: {self.hint}" if self.hint else text


@dataclass(frozen=True, kw_only=True)
class JobRecord(Record):
    """A job as the service last described it."""

    id: str
    status: JobStatus
    spec: Mapping[str, Any] = field(default_factory=dict)
    created_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    attempt: int = 0
    queue_position: int | None = None
    waits_until: str | None = None
    waits_for: tuple[str, ...] = ()
    retried: int = 0
    progress: Progress = field(default_factory=Progress)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    requested: str | None = None
    error: JobError | None = None

    _types: ClassVar[Types] = {
        "status": JobStatus,
        "progress": Progress.read,
        "error": JobError.read,
        "warnings": tuple,
        "waits_for": tuple,
    }


@dataclass(frozen=True, kw_only=True)
class Column(Record):
    """One column of a data set."""

    name: str
    type: str = ""
    missing: int = 0
    distinct: int | None = None


def _columns(documents: Any) -> tuple[Column, ...]:
    return tuple(map(Column.read, documents))


@dataclass(frozen=True, kw_only=True)
class Dataset(Record):
    """A data set that the service holds."""

    id: str
    name: str = ""
    rows: int = 0
    columns: tuple[Column, ...] = ()
    target: str | None = None
    task: str | None = None
    classes: tuple[Any, ...] = ()
    warnings: tuple[str, ...] = ()
    sha256: str | None = None
    created_at: str | None = None

    _types: ClassVar[Types] = {"classes": tuple, "warnings": tuple, "columns": _columns}


@dataclass(frozen=True, kw_only=True)
class ModelRecord(Record):
    """A trained model as the service describes it."""

    id: str
    job_id: str | None = None
    dataset_id: str | None = None
    weights_sha256: str | None = None
    classes: tuple[Any, ...] = ()
    spec: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    created_at: str | None = None

    _types: ClassVar[Types] = {"classes": tuple}


@dataclass(frozen=True, kw_only=True)
class Alias(Record):
    """A name that stands for a model wherever one is asked for."""

    name: str
    model_id: str
    promoted_at: str | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation(Record):
    """A model on labelled rows. `loss` is in scaled units, errors among the `metrics` are in the target's own.

    `confusion_matrix` has `classes` and `matrix`, a row for each true class and a column for each chosen one.
    """

    model_id: str | None = None
    dataset_id: str | None = None
    rows: int = 0
    loss: float | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    confusion_matrix: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()

    _types: ClassVar[Types] = {"warnings": tuple}


@dataclass(frozen=True, kw_only=True)
class Labelled(Record):
    """One column of several that are labelled: its label, and the probability of the second of its two labels."""

    value: Any = None
    probability: float | None = None


@dataclass(frozen=True, kw_only=True)
class Prediction(Record):
    """One row's prediction: `label` and `probabilities` of a classifier, `value` of a regression.

    The labels are those that were uploaded, type included, also as keys: `probabilities[label]` is the label's own.
    A loss of margins gives `scores` in place of probabilities. Of several targets, `values` has each column's value, or
    `labels` each column's label and the probability of its second one.
    """

    label: Any = None
    probabilities: Mapping[Any, float] = field(default_factory=dict)
    scores: Mapping[Any, float] = field(default_factory=dict)
    value: float | None = None
    values: Mapping[str, float | None] = field(default_factory=dict)
    labels: Mapping[str, Labelled] = field(default_factory=dict)

    @classmethod
    def read(cls, document: Mapping[str, Any] | None, labels: Mapping[str, Any] | None = None) -> Self:
        """Read a prediction; its `class` is called `label` here, `class` being a word of Python's.

        `labels` are the model's classes by their text, which is all that a key of JSON can be.
        """
        document, labels = document or {}, labels or {}
        probabilities, scores = (
            {labels.get(text, text): number for text, number in (document.get(word) or {}).items()}
            for word in ("probabilities", "scores")
        )
        return cls(
            raw=document,
            label=document.get("class"),
            probabilities=probabilities,
            scores=scores,
            value=document.get("value"),
            values=document.get("values") or {},
            labels={name: Labelled.read(each) for name, each in (document.get("labels") or {}).items()},
        )


def label_text(label: Any) -> str:
    """A label as the service writes it for a key: as JSON has it, text without its quotes."""
    return label if isinstance(label, str) else orjson.dumps(label).decode()
