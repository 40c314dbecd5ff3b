"""The answers as OpenAPI documents them. Nothing is validated by them at run time: tests hold answers against them."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from service.jobs import JobStatus
from service.spec import JobSpec
from service.spec.base import Name

T = TypeVar("T")
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Label = str | int | float | bool


class Answer(BaseModel):
    """What every answer has in common: fields may be added."""

    model_config = ConfigDict(extra="allow")


class List(Answer, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_cursor: str | None = Field(description="Send it as `cursor` to go on; null: this was the last page")


class FieldProblem(Answer):
    """One field that was refused."""

    pointer: str = Field(description="JSON pointer into the body; for a query parameter or a header `/` and its name")
    value: Any = Field(description="What it held; long values are cut or described")
    detail: str
    allowed: Any


class Problem(Answer):
    """RFC 9457 problem document, at most 16 KB."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem]


class Progress(Answer):
    """How far a job is."""

    epoch: int = Field(description="Epochs done")
    epochs: int
    step: int = Field(description="Steps done since the job began")
    steps: int | None
    fraction: float
    samples_per_s: float | None
    eta_s: float | None
    age_s: float | None = Field(description="Since the job was last heard of, while it runs; more than 1: out of touch")


class MetricsRow(Answer):
    """The metrics of one epoch; more columns by task."""

    epoch: int = Field(description="From 1, numbered through all trainings of the job")
    train_loss: float | None
    learning_rate: float | None
    samples_per_s: float | None


class Result(Answer):
    """What a succeeded job gave."""

    weights_sha256: str
    fingerprint: dict[str, Any]
    model_id: str | None = Field(description="null: the model has been deleted, as `keep_models` of a sweep does")
    seconds: float
    workers_used: int
    reused_from: str | None = Field(None, description="The job whose result and model these are: `reuse`")
    best_epoch: int | None = Field(description="The row of the weights kept, whose metrics stand beside")
    stopped_by: str | None
    confusion_matrix: dict[str, Any] | None = Field(
        None, description="`part`: validation, train or folds; `classes`; `matrix`"
    )


class PrunedResult(Answer):
    """What a job leaves that a pruner has stopped; it has no model."""

    stopped_by: Literal["pruner"]
    pruned_at: int = Field(description="The epoch after which it was stopped")
    weights_sha256: str
    fingerprint: dict[str, Any]
    seconds: float
    workers_used: int
    best_epoch: int = Field(description="Whose weights these are: the last one's, with early stopping the best one's")


class JobError(Answer):
    """Why a job failed, and what to try."""

    title: str
    detail: str
    hint: str | None


class JobLinks(Answer):
    """Where to go from a job."""

    self: str
    events: str
    metrics: str
    logs: str
    dataset: str
    model: str | None


class Job(Answer):
    """A job; its `spec` has every auto resolved and can be submitted again as it is."""

    id: str
    status: JobStatus
    spec: JobSpec
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    attempt: int = Field(description="How often it was started")
    queue_position: int | None = Field(description="How many queued jobs go before it, where it waits for workers")
    waits_until: Time | None = Field(
        description="It is not in line before: `not_before`, or the time of its next retry"
    )
    waits_for: list[str] = Field(description="Jobs that have to succeed before it is in line")
    retried: int = Field(description="How many of its retries are used up")
    progress: Progress
    metrics: MetricsRow | None = Field(description="The latest epoch's")
    result: Result | PrunedResult | None
    sweep: str | None = Field(description="The sweep that it belongs to")
    trial: int | None = Field(description="The number of its trial there")
    warnings: list[str]
    requested: Literal["cancel", "pause"] | None = Field(description="Asked for and not yet done")
    error: JobError | None
    links: JobLinks


class DryRun(Answer):
    """What a job would be; nothing was queued."""

    spec: JobSpec
    inputs: int
    outputs: int
    parameters: int
    memory_bytes: int = Field(description="Of one worker")
    train_rows: int
    validation_rows: int
    epochs: int = Field(description="Of all its trainings, at most")
    warnings: list[str]


class LogLine(Answer):
    """One line of a job's log."""

    at: Time
    level: Literal["debug", "info", "warning", "error"]
    message: str


class Column(Answer):
    """A column of a data set."""

    name: str
    type: Literal["numeric", "categorical", "boolean", "ignore"]
    missing: int
    distinct: int


class Dataset(Answer):
    """A data set."""

    id: str
    name: str
    rows: int
    columns: list[Column]
    target: str
    task: Literal["regression", "binary", "multiclass"]
    classes: list[Label]
    warnings: list[str]
    sha256: str
    created_at: Time


class Preview(Answer):
    """The first rows of a data set."""

    columns: list[str]
    rows: list[list[Any]]


class Model(Answer):
    """A trained model."""

    id: str
    job_id: str
    dataset_id: str
    weights_sha256: str
    classes: list[Label]
    spec: JobSpec
    metrics: dict[str, float | None]
    created_at: Time


class PromoteRequest(BaseModel):
    """Which model an alias is to name."""

    model_config = ConfigDict(strict=True, extra="forbid")

    model: Name = Field(description="The id of a model, or another alias of it")


class Alias(Answer):
    """A name that stands for a model wherever one is asked for."""

    name: str
    model_id: str
    promoted_at: Time = Field(description="When it came to this model")


class Card(Answer):
    """A model's card."""

    format: int
    model: dict[str, Any] = Field(description="`id`, `job_id`, `created_at` and `weights_sha256`")
    dataset: dict[str, Any] = Field(description="`id`, `name`, `sha256`, `rows`, `train_rows` and `validation_rows`")
    takes: list[dict[str, Any]] = Field(description="Each raw `column`, what is `allowed`, how many `inputs` it makes")
    gives: dict[str, Any] = Field(description="The `task` and its `targets`")
    network: dict[str, Any]
    transform: dict[str, Any]
    metrics: dict[str, Any]
    spec: JobSpec
    fingerprint: dict[str, Any]
    versions: dict[str, Any]


_ROW = {"anyOf": [{"type": "array", "items": {}}, {"type": "object"}]}
_ANSWER = {"anyOf": [{"type": kind} for kind in ("string", "number", "boolean", "object")]}


class PredictRequest(BaseModel):
    """Raw rows, at most 10,000: each a list in the order of the features, or an object by column."""

    model_config = ConfigDict(strict=True, extra="forbid")

    # The cells are the model's to check, by column: validated here they would be walked twice.
    rows: Annotated[list[Any], Field(min_length=1), WithJsonSchema({"type": "array", "minItems": 1, "items": _ROW})]


class ExplainRequest(BaseModel):
    """A raw row, and what it should give: a label or a value, or of several targets an object by column."""

    model_config = ConfigDict(strict=True, extra="forbid")

    row: Annotated[Any, WithJsonSchema(_ROW)]
    target: Annotated[Any, WithJsonSchema(_ANSWER)]
    learning_rate: Annotated[float, Field(ge=0, le=1e9)] | None = Field(None, description="null: the spec's")


class ExplainedLayer(Answer):
    """What one layer did, a number a unit; its arrays by name: `W` (inputs × units), `b`, what else it has."""

    layer: int
    activation: str
    normalization: str
    z: list[float | None] = Field(description="Net inputs")
    normalized: list[float | None] | None = Field(description="z normalised, which f takes then; null: it is not")
    a: list[float | None] = Field(description="f(z)")
    derivative: list[float | None] | None = Field(description="f′; null for softmax, of which no unit has its own")
    delta: list[float | None] = Field(description="∂E/∂z")
    gradient: dict[str, Any] = Field(description="∂E/∂W, ∂E/∂b …")
    before: dict[str, Any] = Field(description="The arrays as they are")
    after: dict[str, Any] = Field(description="The arrays after the step")


class Outcome(Answer):
    """What the network answers."""

    loss: float | None
    output: list[float | None]
    prediction: dict[str, Any] = Field(description="As `predict` answers it")


class ExplainedStep(Answer):
    """One plain step of gradient descent on one row."""

    learning_rate: float
    inputs: list[float | None] = Field(description="The row as the network takes it")
    target: list[float] = Field(description="The answer as the loss takes it")
    layers: list[ExplainedLayer]
    before: Outcome
    after: Outcome
    warnings: list[str] = Field(description="Columns with levels that the training data did not have, and which")


class Predictions(Answer):
    """One prediction a row: `{class, probabilities}` or `{value}`; of several targets `{values}` or `{labels}`."""

    predictions: list[dict[str, Any]]
    warnings: list[str] = Field(description="Columns with unseen levels, and which; rows whose prediction is null")


class EvaluateRequest(BaseModel):
    """Which data set to evaluate a model on."""

    model_config = ConfigDict(strict=True, extra="forbid")

    dataset: Name = Field(description="The id or name of a data set")


class ConfusionMatrix(Answer):
    """The rows of each class by the class that was chosen, in numbers or, where rows have weights, in weight."""

    classes: list[Label] = Field(description="In the order of rows and columns")
    matrix: list[list[float]] = Field(description="A row for each true class, a column for each chosen one")


class Evaluation(Answer):
    """A model on a data set's rows; a metric without a value is null."""

    model_id: str
    dataset_id: str
    rows: int
    loss: float | None = Field(description="In scaled units, as the job's")
    metrics: dict[str, float | None] = Field(description="Every metric of the task; errors in the target's own units")
    confusion_matrix: ConfusionMatrix | None = Field(description="Of one target of at most 100 classes")
    warnings: list[str]


class Cluster(Answer):
    """The cluster as the scheduler last saw it."""

    nodes: list[dict[str, Any]]
    slots: int = Field(description="How many workers there may be")
    workers: list[dict[str, Any]]
    runners: list[dict[str, Any]]
    problems: list[str] = Field(description="What could not be started, and why; it is tried again")
    queue_depth: int
    age_s: float | None = Field(description="How old the picture is; null: there is none")


class Part(Answer):
    """Whether one part serves."""

    ready: bool
    detail: str


class Ready(Answer):
    """Whether each part serves."""

    status: Literal["ready"]
    parts: dict[str, Part]


class Alive(Answer):
    """The process answers."""

    status: Literal["alive"]
