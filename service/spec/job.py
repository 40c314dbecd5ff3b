"""One training job: what `service.spec` is made of, put together."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from service.spec.base import Name, Seed, Spec
from service.spec.data import DataSpec
from service.spec.network import Loss, NetworkSpec
from service.spec.optimizer import OptimizerSpec
from service.spec.rules import Rule
from service.spec.stopping import EarlyStopping
from service.spec.times import Moment
from service.spec.warm_start import WarmStart

TagKey = Annotated[  # jobs are looked for by `key=value`
    str, StringConstraints(pattern=r"^[^=]{1,64}$"), Field(description="1 to 64 characters, none of them '='")
]
JobId = Annotated[
    str,
    StringConstraints(pattern=r"^job-[a-z2-7]{20}$"),
    Field(description="a job's id: `job-` and 20 letters and digits"),
]
TagValue = Annotated[str, StringConstraints(max_length=256)]


Mode = Literal["sync", "async", "bounded_staleness"]


class WorkersSpec(Spec):
    """How many workers (slots) serve the job; never changes the result in mode sync."""

    min: Annotated[int, Field(ge=1, le=1024)] = 1
    max: Annotated[int, Field(ge=1, le=1024)] | None = None  # None: the number of shards; in mode async all there are


class JobSpec(Spec):
    """One training job, as it is submitted and as it can be submitted again."""

    name: Name | None = None
    tags: Annotated[dict[TagKey, TagValue], Field(max_length=32)] = Field(default_factory=dict)
    dataset: Name
    data: DataSpec = DataSpec()
    network: NetworkSpec = NetworkSpec()
    loss: Loss = "auto"
    optimizer: OptimizerSpec = OptimizerSpec()
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    batch_size: Annotated[int, Field(ge=1, le=16_777_216)] | Literal["full"] = 32
    shuffle: bool = True
    seed: Seed = 0
    shards: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)] = "auto"
    workers: WorkersSpec = WorkersSpec()
    mode: Mode = "sync"  # the others: a worker takes whole mini-batches, and its gradient is used as it comes
    max_staleness: Annotated[int, Field(ge=0, le=1023)] | None = None  # updates; None: of bounded_staleness its default
    early_stopping: EarlyStopping | None = None
    gradient_check: bool = False  # hold the gradient against the loss itself before training
    warm_start: WarmStart | None = None
    rules: Annotated[tuple[Rule, ...], Field(strict=False, max_length=100)] = ()
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    retries: Annotated[int, Field(ge=0, le=100)] = 3  # failed attempts with an error that may pass
    time_limit_s: Annotated[float, Field(gt=0, le=1e9)] | None = None  # seconds running, all attempts added
    not_before: Moment | None = None
    after: Annotated[tuple[JobId, ...], Field(strict=False, max_length=100)] = ()  # jobs that must have succeeded first
    reuse: bool = False  # a job of the same work that has succeeded answers for this one
