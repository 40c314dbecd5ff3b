"""Optuna's samplers and distributions for a sweep. Knows no trial's record."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from service import strict_json
from service.errors import Misconfigured
from service.spec import SweepSpec, search, sweep
from service.spec.sweep import Dimension
from service.sweeps.space import values_of

Distributions = Mapping[str, BaseDistribution]


def distribution_of(dimension: Dimension) -> BaseDistribution:
    """What Optuna draws from."""
    if isinstance(dimension, sweep.Uniform):
        return FloatDistribution(*dimension.uniform)
    if isinstance(dimension, sweep.LogUniform):
        return FloatDistribution(*dimension.log_uniform, log=True)
    if isinstance(dimension, sweep.Int):
        return IntDistribution(*dimension.int, step=dimension.step)
    if isinstance(dimension, sweep.LogInt):
        return IntDistribution(*dimension.log_int, log=True)
    return CategoricalDistribution([inner(dimension, choice) for choice in values_of(dimension) or ()])


def inner(dimension: Dimension, value: Any) -> Any:
    """A value as Optuna has it: where some choice is a list or an object, each is its JSON text."""
    if isinstance(dimension, sweep.Categorical | sweep.Grid):
        return strict_json.encode(value) if _as_text(dimension) else value
    return value


def outer(dimension: Dimension, value: Any) -> Any:
    """The value as it was given."""
    if not isinstance(dimension, sweep.Categorical | sweep.Grid):
        return value
    choices = values_of(dimension) or ()
    return next(
        choice for choice in choices if strict_json.encode(inner(dimension, choice)) == strict_json.encode(value)
    )


def _as_text(dimension: sweep.Categorical | sweep.Grid) -> bool:
    choices = values_of(dimension) or ()
    plain = [choice for choice in choices if not isinstance(choice, list | dict)]
    return len(plain) < len(choices) or len(set(plain)) < len(choices)  # to Python 1 is true


def seed_of(spec: SweepSpec, number: int) -> int:
    """The seed of what is drawn for one trial."""
    return int.from_bytes(hashlib.sha256(f"{spec.seed} {number}".encode()).digest()[:4], "big")


def sampler_for(spec: SweepSpec, number: int, distributions: Distributions) -> BaseSampler:
    """A sampler made for one trial: it carries no state from one to the next.

    Raises: Misconfigured where the Gaussian process lacks PyTorch.
    """
    options, seed = spec.sampling, seed_of(spec, number)
    conditional = any(dimension.when for dimension in spec.space.values())
    match options:
        case search.TPESampler():
            return TPESampler(
                seed=seed,
                multivariate=True,
                group=conditional,
                constant_liar=True,
                n_startup_trials=options.startup_trials,
                n_ei_candidates=options.candidates,
            )
        case search.CMAESSampler():
            return CmaEsSampler(
                seed=seed,
                n_startup_trials=options.startup_trials,
                popsize=options.population_size,
                warn_independent_sampling=False,
            )
        case search.GPSampler():
            if find_spec("torch") is None:
                raise Misconfigured("the sampler gp needs PyTorch, which is not installed here")
            return GPSampler(seed=seed, n_startup_trials=options.startup_trials, warn_independent_sampling=False)
        case search.QMCSampler():
            return _Sequence(options, spec.seed, number - len(spec.points), distributions)
        case search.NSGA2Sampler():
            return NSGAIISampler(seed=seed, population_size=options.population_size, crossover_prob=options.crossover)
        case _:
            return RandomSampler(seed=seed)


class _Sequence(QMCSampler):
    """The point of a sequence by its place, over all paths, whatever trials there are.

    Optuna's own counts on the study and draws the first point by chance.
    """

    def __init__(self, options: search.QMCSampler, seed: int, place: int, distributions: Distributions) -> None:
        super().__init__(
            qmc_type=options.sequence, scramble=options.scramble, seed=seed % 2**32, warn_independent_sampling=False
        )
        self._place = place
        self._distributions = distributions

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(self._distributions)

    def _find_sample_id(self, study: Study, search_space: dict[str, BaseDistribution]) -> int:
        return max(0, self._place)
