"""A search over training jobs: what varies, who chooses, what is compared, how many trials. Knows no Optuna.

What a path may be, and whether a job may have a value, is for `service.sweeps.checks`: here is the form alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, JsonValue, StringConstraints, Tag

from service.spec.base import Name, Seed, Spec
from service.spec.job import JobSpec, TagKey, TagValue
from service.spec.search import PRUNERS, SAMPLERS, NoPruner, Pruner, PrunerOptions, Sampler, SamplerOptions

Path = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    Field(description="the dotted path of a field of a job's spec, such as optimizer.learning_rate"),
]
Finite = Annotated[float, Field(ge=-1e300, le=1e300)]
Positive = Annotated[float, Field(gt=0, le=1e300)]
Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]
Natural = Annotated[int, Field(ge=1, le=2**53)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Choices = Annotated[tuple[JsonValue, ...], Field(strict=False, min_length=1, max_length=1000)]


class _Dimension(Spec):
    """What a path may be, where `when` holds: other paths of the space by the values that they must have."""

    kind: ClassVar[str]
    when: Annotated[dict[Path, JsonValue], Field(min_length=1, max_length=16)] | None = None


class Uniform(_Dimension):
    """Any number of a range."""

    kind = "uniform"
    uniform: Annotated[tuple[Finite, Finite], Field(strict=False)]


class LogUniform(_Dimension):
    """Any number of a range of positive ones, each order of magnitude as likely."""

    kind = "log_uniform"
    log_uniform: Annotated[tuple[Positive, Positive], Field(strict=False)]


class Int(_Dimension):
    """A whole number from the first by steps to the last, both included."""

    kind = "int"
    int: Annotated[tuple[Whole, Whole], Field(strict=False)]
    step: Natural = 1


class LogInt(_Dimension):
    """A whole number from 1 on, each order of magnitude as likely; both ends included."""

    kind = "log_int"
    log_int: Annotated[tuple[Natural, Natural], Field(strict=False)]


class Categorical(_Dimension):
    """One of these values; lists and objects too."""

    kind = "categorical"
    categorical: Choices


class Grid(_Dimension):
    """Each of these values; to samplers that draw, one of them."""

    kind = "grid"
    grid: Choices


KINDS: Mapping[str, type[_Dimension]] = {
    each.kind: each for each in (Uniform, LogUniform, Int, LogInt, Categorical, Grid)
}


def _kind(value: Any) -> str | None:
    if isinstance(value, _Dimension):
        return f"a range by {value.kind}"
    given = [kind for kind in KINDS if isinstance(value, Mapping) and kind in value]
    return f"a range by {given[0]}" if len(given) == 1 else None


Dimension = Annotated[
    Annotated[Uniform, Tag("a range by uniform")]
    | Annotated[LogUniform, Tag("a range by log_uniform")]
    | Annotated[Int, Tag("a range by int")]
    | Annotated[LogInt, Tag("a range by log_int")]
    | Annotated[Categorical, Tag("a range by categorical")]
    | Annotated[Grid, Tag("a range by grid")],
    Discriminator(
        _kind, custom_error_type="no_dimension", custom_error_message="an object with one of: " + ", ".join(KINDS)
    ),
]


class Objective(Spec):
    """What trials are compared by: a column of the metrics, of the weights that are kept, or parameter_count."""

    metric: Name = "validation_loss"
    direction: Literal["minimize", "maximize"] = "minimize"


class Constraint(Spec):
    """What a trial must keep to be among the best."""

    metric: Name
    max: Finite | None = None
    min: Finite | None = None


class SweepSpec(Spec):
    """A search, as it is submitted and as it can be submitted again."""

    name: Name | None = None
    tags: Annotated[dict[TagKey, TagValue], Field(max_length=32)] = Field(default_factory=dict)
    base: JobSpec
    space: Annotated[dict[Path, Dimension], Field(min_length=1, max_length=100)]
    sampler: Sampler = "tpe"
    pruner: Pruner = "none"
    objective: Objective | None = None  # None: the validation loss, if there are no `objectives`
    objectives: Annotated[tuple[Objective, ...], Field(strict=False, min_length=2, max_length=8)] | None = None
    constraints: Annotated[tuple[Constraint, ...], Field(strict=False, max_length=16)] = ()
    points: Annotated[  # values by path: the first trials; what one leaves out, the sampler chooses
        tuple[Annotated[dict[Path, JsonValue], Field(min_length=1)], ...], Field(strict=False, max_length=1000)
    ] = ()
    trials: Count | None = None  # None: the whole grid, or as many as `time_limit_s` allows
    parallel: Count | None = None  # None: 8 for samplers that learn, else 32 a worker
    repeats: Annotated[int, Field(ge=1, le=100)] = 1  # jobs of a trial, each with a seed of its own
    seed: Seed = 0
    keep_models: Annotated[int, Field(ge=0, le=100_000)] = 5
    time_limit_s: Annotated[float, Field(gt=0, le=1e9)] | None = None

    @property
    def compared(self) -> tuple[Objective, ...]:
        """What trials are compared by, one or several."""
        return self.objectives or (self.objective or Objective(),)

    @property
    def sampling(self) -> SamplerOptions:
        """The sampler with its fields."""
        given = self.sampler
        return SAMPLERS[given](name=given) if isinstance(given, str) else given  # type: ignore[arg-type]

    @property
    def pruning(self) -> PrunerOptions:
        """The pruner with its fields."""
        given = self.pruner
        return PRUNERS[given](name=given) if isinstance(given, str) else given  # type: ignore[arg-type]

    @property
    def prunes(self) -> bool:
        """Whether trials may be stopped before their last epoch."""
        return not isinstance(self.pruning, NoPruner)

    @property
    def learns(self) -> bool:
        """Whether a trial depends on how those before it went."""
        return self.sampling.name in ("tpe", "cma_es", "gp", "nsga2")
