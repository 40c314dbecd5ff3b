"""What a spec asks for that can never act in the job that it makes. Each is told, none is refused. Knows no data."""

from __future__ import annotations

from collections.abc import Iterator

from service.resolution.network import resolve_layer
from service.spec import JobSpec
from workers.mlp.choices import make, name_of
from workers.mlp.schedules import SCHEDULES, Constant, Cosine, ReduceOnPlateau, StepDecay


def idle_warnings(spec: JobSpec, steps_per_epoch: int, *, warm: bool) -> list[str]:
    """What a resolved spec says in vain; `warm` where its first weights are a model's."""
    return [*_in_time(spec), *_schedule(spec, steps_per_epoch), *_of_one_unit(spec), *_seed(spec, warm=warm)]


def _in_time(spec: JobSpec) -> Iterator[str]:
    """What waits for longer than the job lasts."""
    stopping, has = spec.early_stopping, f"and the job has {spec.epochs} epoch(s)"
    if stopping is not None and stopping.patience >= spec.epochs:
        yield (
            f"early_stopping.patience is {stopping.patience}, {has}: it does not end early;"
            " the best epoch's weights are kept all the same"
        )
    for number, rule in enumerate(spec.rules):
        if rule.epochs > spec.epochs:
            yield f"rules.{number}.epochs is {rule.epochs}, {has}: the rule never acts"


def _schedule(spec: JobSpec, steps_per_epoch: int) -> Iterator[str]:
    schedule, field = make(SCHEDULES, spec.optimizer.schedule, "schedule"), "optimizer.schedule"
    total = spec.epochs * (steps_per_epoch if schedule.unit == "step" else 1)
    has = f"{schedule.unit}s, and the job has {total}"
    if isinstance(schedule, Constant) and schedule.unit != "epoch":
        yield f"{field}.unit has no effect: the rate is constant"
    elif isinstance(schedule, StepDecay) and schedule.every >= total:
        yield f"{field}.every is {schedule.every} {has}: the rate never falls"
    elif isinstance(schedule, Cosine) and schedule.warmup >= total:
        yield f"{field}.warmup is {schedule.warmup} {has}: the rate rises to its end, and never to learning_rate"
    elif isinstance(schedule, ReduceOnPlateau) and schedule.patience + 1 >= total:
        yield f"{field}.patience is {schedule.patience} {has}: the rate never falls"


def _of_one_unit(spec: JobSpec) -> Iterator[str]:
    for number, given in enumerate(spec.network.hidden):
        layer = resolve_layer(spec.network, given)
        if layer.units == 1 and layer.normalization == "layer":
            yield f"network.hidden.{number}: layer normalisation of one unit makes the same number of every row"


def _seed(spec: JobSpec, *, warm: bool) -> Iterator[str]:
    network = spec.network
    drops = network.input_dropout or any(resolve_layer(network, layer).dropout for layer in network.hidden)
    drawn = not warm and name_of(network.initializer) != "zeros"
    if spec.seed and not (spec.shuffle or drops or drawn or spec.gradient_check):
        weights = "a model's" if warm else "all 0"
        yield f"seed has no effect: the first weights are {weights}, and neither shuffle nor dropout draws"
