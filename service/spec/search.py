"""Who chooses the trials of a sweep, and who stops them: each a name, or an object with its name and its own fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from service.spec.base import Spec


class GridSampler(Spec):
    """Every combination once, in an order by the sweep's seed."""

    name: Literal["grid"]


class RandomSampler(Spec):
    """Each trial by chance alone."""

    name: Literal["random"]


class TPESampler(Spec):
    """Tree-structured Parzen estimators of all paths together; trials that run count as bad ones meanwhile."""

    name: Literal["tpe"]
    startup_trials: Annotated[int, Field(ge=1, le=10_000)] = 10  # by chance, before anything is learned
    candidates: Annotated[int, Field(ge=1, le=10_000)] = 24  # looked at for each trial


class CMAESSampler(Spec):
    """Covariance matrix adaptation, for numbers; choices are drawn by chance."""

    name: Literal["cma_es"]
    startup_trials: Annotated[int, Field(ge=1, le=10_000)] = 1
    population_size: Annotated[int, Field(ge=2, le=10_000)] | None = None  # None: by the number of paths


class GPSampler(Spec):
    """A Gaussian process; needs PyTorch."""

    name: Literal["gp"]
    startup_trials: Annotated[int, Field(ge=1, le=10_000)] = 10


class QMCSampler(Spec):
    """A sequence that fills the space evenly."""

    name: Literal["qmc"]
    sequence: Literal["sobol", "halton"] = "sobol"
    scramble: bool = True  # by the sweep's seed


class NSGA2Sampler(Spec):
    """The genetic algorithm NSGA-II."""

    name: Literal["nsga2"]
    population_size: Annotated[int, Field(ge=2, le=10_000)] = 50
    crossover: Annotated[float, Field(ge=0, le=1)] = 0.9  # how likely two parents are mixed


SamplerOptions = GridSampler | RandomSampler | TPESampler | CMAESSampler | GPSampler | QMCSampler | NSGA2Sampler
SamplerName = Literal["grid", "random", "tpe", "cma_es", "gp", "qmc", "nsga2"]
SAMPLERS: Mapping[str, type[SamplerOptions]] = {
    "grid": GridSampler,
    "random": RandomSampler,
    "tpe": TPESampler,
    "cma_es": CMAESSampler,
    "gp": GPSampler,
    "qmc": QMCSampler,
    "nsga2": NSGA2Sampler,
}


class NoPruner(Spec):
    """Every trial trains to its end."""

    name: Literal["none"]


class PercentilePruner(Spec):
    """Stop a trial whose best value so far is worse than this share of those that have reached the same epoch."""

    name: Literal["percentile"]
    percentile: Annotated[float, Field(gt=0, lt=100)] = 25.0  # so many of a hundred go on
    startup_trials: Annotated[int, Field(ge=1, le=10_000)] = 5  # have to have reached an epoch before one is stopped
    warmup_epochs: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class MedianPruner(Spec):
    """Stop a trial whose best value so far is worse than the median of those that have reached the same epoch."""

    name: Literal["median"]
    startup_trials: Annotated[int, Field(ge=1, le=10_000)] = 5
    warmup_epochs: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class ASHAPruner(Spec):
    """Asynchronous successive halving: of those that have reached a rung, one in `reduction_factor` goes on."""

    name: Literal["asha"]
    min_epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 1  # the first rung
    reduction_factor: Annotated[int, Field(ge=2, le=100)] = 4


class HyperbandPruner(Spec):
    """Successive halving in brackets, each with a later first rung than the one before."""

    name: Literal["hyperband"]
    min_epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    reduction_factor: Annotated[int, Field(ge=2, le=100)] = 3


PrunerOptions = NoPruner | MedianPruner | PercentilePruner | ASHAPruner | HyperbandPruner
PrunerName = Literal["none", "median", "percentile", "asha", "hyperband"]
PRUNERS: Mapping[str, type[PrunerOptions]] = {
    "none": NoPruner,
    "median": MedianPruner,
    "percentile": PercentilePruner,
    "asha": ASHAPruner,
    "hyperband": HyperbandPruner,
}


def _form(value: Any) -> str:
    return "an object" if isinstance(value, (Mapping, Spec)) else "a name"


Sampler = Annotated[
    Annotated[SamplerName, Tag("a name")]
    | Annotated[Annotated[SamplerOptions, Field(discriminator="name")], Tag("an object")],
    Discriminator(_form),
]
Pruner = Annotated[
    Annotated[PrunerName, Tag("a name")]
    | Annotated[Annotated[PrunerOptions, Field(discriminator="name")], Tag("an object")],
    Discriminator(_form),
]
