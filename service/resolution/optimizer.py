"""The optimizer's own constants, and what its fields need of each other and of the job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from service.datasets import Task
from service.resolution.refusal import refuse
from service.spec import JobSpec, NetworkSpec, OptimizerSpec
from service.spec.optimizer import SHARED, own_fields
from workers.mlp.choices import name_of
from workers.mlp.optimizers import EVERY_OPTIMIZER

SGD_RATES: Final = {"regression": 0.03}
SGD_RATE: Final = 0.1


def resolve_optimizer(spec: JobSpec, task: Task, watched: Sequence[str]) -> OptimizerSpec:
    """The optimizer with its rate and its own constants; `watched` are the metrics of each row.

    Raises: InvalidSpec.
    """
    given = spec.optimizer
    own = own_fields(given.name)
    for name in type(given).model_fields:
        value = getattr(given, name)
        if name not in SHARED and name not in own and value is not None:
            refuse(f"/optimizer/{name}", value, f"optimizer {given.name!r} has no field {name!r}", _allowed(own))
    chosen = {name: default if getattr(given, name) is None else getattr(given, name) for name, default in own.items()}
    if chosen.get("nesterov") and not chosen["momentum"]:
        detail = "Nesterov's step needs momentum, and momentum is 0"
        refuse("/optimizer/nesterov", True, detail, [False, "momentum above 0"])
    _check_batches(spec)
    _check_search(spec)
    _check_signs(given, chosen)
    rate = given.learning_rate
    if rate is None:
        rate = EVERY_OPTIMIZER[given.name].default_rate or SGD_RATES.get(task, SGD_RATE)
    return given.model_copy(update={**chosen, "learning_rate": rate, "schedule": _schedule(spec, watched)})


def _check_batches(spec: JobSpec) -> None:
    name = spec.optimizer.name
    if EVERY_OPTIMIZER[name].full_batch and spec.batch_size != "full":
        detail = f"optimizer {name!r} compares gradients of the same rows"
        refuse("/batch_size", spec.batch_size, detail, ["full"])


def _check_search(spec: JobSpec) -> None:
    """L-BFGS searches along a line: it needs the same smooth function each time, and weights that may follow it."""
    given = spec.optimizer
    if given.name != "lbfgs":
        return
    why = "optimizer 'lbfgs' searches where a smooth function falls, and this makes no such function"
    for name, nothing in (("l1", 0.0), ("clip_value", None), ("clip_norm", None), ("max_norm", None)):
        if getattr(given, name) != nothing:
            refuse(f"/optimizer/{name}", getattr(given, name), why, [nothing])
    if name_of(given.schedule) != "constant":
        refuse("/optimizer/schedule", given.schedule, "optimizer 'lbfgs' searches for each step's length", ["constant"])
    _check_fixed_function(spec.network)


def _check_signs(given: OptimizerSpec, chosen: dict[str, Any]) -> None:
    """Rprop goes by signs alone, and its steps have bounds."""
    if given.name != "rprop":
        return
    for name in ("clip_value", "clip_norm"):
        if getattr(given, name) is not None:
            detail = "optimizer 'rprop' goes by the gradient's sign, which clipping does not change"
            refuse(f"/optimizer/{name}", getattr(given, name), detail, [None])
    if chosen["step_least"] > chosen["step_most"]:
        detail = f"it is above step_most, {chosen['step_most']:g}"
        refuse("/optimizer/step_least", chosen["step_least"], detail, f"at most {chosen['step_most']:g}")


def _check_fixed_function(network: NetworkSpec) -> None:
    why = "optimizer 'lbfgs' needs a function that is the same each time it is evaluated"
    if network.input_dropout:
        refuse("/network/input_dropout", network.input_dropout, why, [0])
    for number, layer in enumerate(network.hidden):
        for name, fixed in (("dropout", [0.0]), ("normalization", ["none", "layer"])):
            own = None if isinstance(layer, int) else getattr(layer, name)
            value = getattr(network, name) if own is None else own
            if value not in fixed:
                refuse(f"/network/{name}" if own is None else f"/network/hidden/{number}/{name}", value, why, fixed)


def _schedule(spec: JobSpec, watched: Sequence[str]) -> Any:
    """The schedule, with the metric of a plateau named."""
    given = spec.optimizer.schedule
    name = name_of(given)
    if name != "constant" and spec.optimizer.name == "rprop":
        refuse("/optimizer/schedule", given, "optimizer 'rprop' gives each weight a step of its own", ["constant"])
    if name != "reduce_on_plateau":
        return given
    fields_given: dict[str, Any] = {"name": name} if isinstance(given, str) else dict(given)
    metric = fields_given.get("metric", "auto")
    if metric == "auto":
        metric = "validation_loss" if "validation_loss" in watched else "train_loss"
    if metric not in watched:
        refuse("/optimizer/schedule/metric", metric, f"there is no metric {metric!r} to watch", ["auto", *watched])
    if fields_given.get("unit", "epoch") != "epoch":
        refuse("/optimizer/schedule/unit", fields_given["unit"], "a metric is there once an epoch", ["epoch"])
    return {**fields_given, "metric": metric}


def _allowed(own: dict[str, Any]) -> list[str]:
    return [*SHARED, *own]
