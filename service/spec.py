"""The experiment: JobSpec and what it holds, as users write it. Knows no deployment, no data and no Redis.

Every model is frozen, strict and refuses unknown fields: a field comes with the code that gives it an effect.
Defaults that depend on the data stand as None or "auto" here; `service.resolution` replaces each.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Activation = Literal["identity", "sigmoid", "tanh", "relu", "softmax"]
HiddenActivation = Literal["identity", "sigmoid", "tanh", "relu"]
Loss = Literal["squared_error", "log_loss", "cross_entropy"]
Task = Literal["regression", "binary", "multiclass"]
Precision = Literal["float32", "float64"]

Units = Annotated[int, Field(ge=1, le=65_536)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
TagKey = Annotated[  # jobs are looked for by `key=value`
    str, StringConstraints(pattern=r"^[^=]{1,64}$"), Field(description="1 to 64 characters, none of them '='")
]
TagValue = Annotated[str, StringConstraints(max_length=256)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Spec(BaseModel):
    """What every part of a spec has in common."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class DataSpec(Spec):
    """What is learned from what, and how the rows are split and scaled."""

    target: Name | None = None  # None: the data set's own
    features: Annotated[
        tuple[Name, ...] | None, Field(strict=False, min_length=1, max_length=100_000, fail_fast=True)
    ] = None
    task: Literal["auto"] | Task = "auto"
    scale: Literal["standard", "minmax", "none"] = "standard"
    scale_target: Literal["auto", "standard", "none"] = "auto"
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] | None = None  # None: 0.2, and 0 below 20 rows
    split_seed: Seed = 0
    stratify: bool | None = None  # None: true for classes
    missing: Literal["refuse"] = "refuse"


class HiddenLayer(Spec):
    """One hidden layer that differs from the network's default."""

    units: Units
    activation: HiddenActivation | None = None  # None: the network's


class NetworkSpec(Spec):
    """The shape of the multi-layer perceptron; no hidden layer is the single-layer delta rule."""

    hidden: Annotated[tuple[Units | HiddenLayer, ...], Field(strict=False, max_length=64, fail_fast=True)] = (64,)
    activation: HiddenActivation = "relu"
    output_activation: Literal["auto"] | Activation = "auto"
    bias: bool = True
    precision: Precision = "float32"


class OptimizerSpec(Spec):
    """Gradient descent; momentum, Nesterov and weight decay as PyTorch's SGD has them."""

    name: Literal["sgd"] = "sgd"
    learning_rate: Annotated[float, Field(ge=0, le=1e9)] | None = None  # None: 0.1, for regression 0.03
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0, le=1e6)] = 0.0


class WorkersSpec(Spec):
    """How many workers (slots) serve the job; never changes the result."""

    min: Annotated[int, Field(ge=1, le=1024)] = 1
    max: Annotated[int, Field(ge=1, le=1024)] | None = None  # None: the number of shards


class EarlyStopping(Spec):
    """Stop when `metric` has not improved by more than `min_delta` for `patience` epochs; keep the best weights."""

    metric: Literal["validation_loss", "validation_accuracy", "train_loss", "train_accuracy"] = "validation_loss"
    patience: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    min_delta: Annotated[float, Field(ge=0, le=1e9)] = 0.0


class JobSpec(Spec):
    """One training job, as it is submitted and as it can be submitted again."""

    name: Name | None = None
    tags: Annotated[dict[TagKey, TagValue], Field(max_length=32)] = {}
    dataset: Name
    data: DataSpec = DataSpec()
    network: NetworkSpec = NetworkSpec()
    loss: Literal["auto"] | Loss = "auto"
    optimizer: OptimizerSpec = OptimizerSpec()
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    batch_size: Annotated[int, Field(ge=1, le=16_777_216)] | Literal["full"] = 32
    shuffle: bool = True
    seed: Seed = 0
    shards: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)] = "auto"
    workers: WorkersSpec = WorkersSpec()
    early_stopping: EarlyStopping | None = None
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
