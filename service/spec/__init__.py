"""The experiment: JobSpec and what it holds, as users write it. Knows no deployment, no data and no Redis.

Every model is frozen, strict and refuses unknown fields: a field comes with the code that gives it an effect.
Defaults that depend on the data stand as None or "auto" here; `service.resolution` replaces each.
"""

from service.spec.data import DataSpec
from service.spec.job import JobSpec, WorkersSpec
from service.spec.network import HiddenLayer, NetworkSpec
from service.spec.optimizer import OptimizerSpec
from service.spec.rules import Rule
from service.spec.stopping import EarlyStopping
from service.spec.sweep import SweepSpec
from service.spec.warm_start import WarmStart

__all__ = [
    "DataSpec",
    "EarlyStopping",
    "HiddenLayer",
    "JobSpec",
    "NetworkSpec",
    "OptimizerSpec",
    "Rule",
    "SweepSpec",
    "WarmStart",
    "WorkersSpec",
]
