"""Whether a sweep can be what its spec says, before anything runs: its ranges, paths, values, what belongs together.

Knows no Optuna.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from service.errors import pointer_to
from service.metrics import is_error
from service.resolution import Resolution
from service.resolution.stopping import watchable
from service.spec import SweepSpec
from service.spec.search import GridSampler
from service.spec.sweep import Categorical, Dimension, Grid, Int
from service.strict_json import in_words, quoted
from service.sweeps.grid import MOST_POINTS, count_bound, grid_points
from service.sweeps.space import bounds_of, contains, in_order, is_active, values_of
from service.sweeps.trying import Resolve, refuse, try_values

PARAMETER_COUNT = "parameter_count"


@dataclass(frozen=True)
class Checked:
    """What a sweep comes to."""

    trials: int | None  # how many; None: as its time allows
    first: Resolution  # of a job with the first value of each path
    datasets: Sequence[str]  # ids of those that its jobs may use
    warnings: Sequence[str]


def check_sweep(spec: SweepSpec, resolve: Resolve) -> Checked:
    """Hold a sweep against itself, against what a job may be, and against its data.

    `resolve` resolves a job's spec as when it is submitted. Raises: InvalidSpec; UnknownDataset.
    """
    for path, dimension in spec.space.items():
        _check_range(path, dimension)
        _check_when(spec, path, dimension)
    _check_together(spec)
    first, datasets = try_values(spec, resolve)
    _check_points(spec)
    warnings = _check_metrics(spec, first)
    return Checked(_count(spec), first, datasets, [*first.warnings, *warnings])


def most_trials(spec: SweepSpec) -> int | None:
    """How many trials it can have at most; None: as many as are wanted."""
    return len(spec.points) + len(grid_points(spec)) if isinstance(spec.sampling, GridSampler) else None


def _check_range(path: str, dimension: Dimension) -> None:
    pointer, bounds = pointer_to("space", path, dimension.kind), bounds_of(dimension)
    if bounds is not None and bounds[0] > bounds[1]:
        refuse(pointer, list(bounds), "the range is empty", "two numbers, the first at most as large as the second")
    if isinstance(dimension, Int) and bounds is not None and (bounds[1] - bounds[0]) % dimension.step:
        low, high = dimension.int
        why = f"steps of {dimension.step} from {low} do not reach {high}"
        refuse(pointer_to("space", path, "step"), dimension.step, why, f"a divisor of {high - low}")
    if isinstance(dimension, Categorical | Grid):
        choices = list(values_of(dimension) or ())
        for place, choice in enumerate(choices):
            if any(quoted(choice) == quoted(other) for other in choices[:place]):
                why = f"{quoted(choice)} is there twice"
                refuse(f"{pointer}/{place}", choice, why, "values that differ")


def _check_when(spec: SweepSpec, path: str, dimension: Dimension) -> None:
    for other, value in (dimension.when or {}).items():
        pointer = pointer_to("space", path, "when", other)
        if other not in spec.space or other == path:
            allowed = sorted(set(spec.space) - {path}) or "another path of the space"
            refuse(pointer, value, f"{other!r} is no other path of this space", allowed)
        if not contains(spec.space[other], value):
            refuse(pointer, value, f"{other} never is {quoted(value)}", _allowed(spec.space[other]))
    order = in_order(spec.space)
    late = [other for other in dimension.when or () if order.index(other) > order.index(path)]
    if late:
        pointer = pointer_to("space", path, "when", late[0])
        refuse(pointer, late[0], f"{late[0]} depends on {path} in turn", "conditions that do not go round in a circle")


def _check_together(spec: SweepSpec) -> None:
    several = len(spec.compared) > 1
    if spec.objective is not None and spec.objectives is not None:
        refuse("/objectives", len(spec.objectives), "there is an objective, too", "one of objective and objectives")
    if several and spec.sampling.name == "cma_es":
        refuse("/sampler", "cma_es", "it takes one objective", ["tpe", "nsga2", "gp", "qmc", "random", "grid"])
    for place, one in enumerate(spec.constraints):
        if one.max is None and one.min is None:
            refuse(f"/constraints/{place}", one.metric, "it limits nothing", "max, min or both")
        if one.max is not None and one.min is not None and one.min > one.max:
            refuse(f"/constraints/{place}/min", one.min, "no value keeps to it", f"at most max, {one.max:g}")
    if spec.sampling.name == "gp" and find_spec("torch") is None:
        why = "it needs PyTorch, which this service does not have"
        refuse("/sampler", "gp", why, "another sampler; or this one where the extra is installed: pip install torch")
    if spec.sampling.name == "grid":
        _check_grid(spec)
    if spec.prunes:
        _check_pruner(spec)


def _check_grid(spec: SweepSpec) -> None:
    for path, dimension in spec.space.items():
        if values_of(dimension) is None:
            allowed = ["grid", "categorical", "int"]
            refuse(pointer_to("space", path), dimension.kind, "a grid takes values that can be counted", allowed)
    if count_bound(spec) > MOST_POINTS:
        refuse("/space", count_bound(spec), "the grid has too many points", f"at most {MOST_POINTS} points")


def _check_pruner(spec: SweepSpec) -> None:
    why = None
    if len(spec.compared) > 1:
        why = "with several objectives no trial is worse than another"
    elif spec.repeats > 1:
        why = "trials of several jobs are not stopped early"
    elif spec.compared[0].metric == PARAMETER_COUNT:
        why = "parameter_count is the same at every epoch"
    if why is not None:
        refuse("/pruner", spec.pruning.name, why, ["none"])


def _check_points(spec: SweepSpec) -> None:
    for place, point in enumerate(spec.points):
        for path, value in point.items():
            pointer = pointer_to("points", place, path)
            if path not in spec.space:
                refuse(pointer, value, f"{path} is no path of this space", sorted(spec.space))
            if not contains(spec.space[path], value):
                refuse(pointer, value, f"{path} never is {quoted(value)}", _allowed(spec.space[path]))
        active: dict[str, Any] = {}
        for path in in_order(spec.space):
            if path in point and (is_active(spec.space[path], point) or not spec.space[path].when):
                active[path] = point[path]
        for path in set(point) - set(active):
            why = f"{path} does not count where {in_words(dict(spec.space[path].when or {}))} is not given"
            refuse(pointer_to("points", place, path), point[path], why, "a point whose paths all count")
        missing = [path for path in in_order(spec.space) if is_active(spec.space[path], point) and path not in point]
        if isinstance(spec.sampling, GridSampler) and missing:
            refuse(f"/points/{place}", missing, "points of a grid are whole", "a value for each path that counts")


def _check_metrics(spec: SweepSpec, first: Resolution) -> list[str]:
    """Hold what is compared and limited against what a job's result has; answers warnings."""
    resolved = first.spec
    task = resolved.data.task
    assert task != "auto"
    validated = first.validation_rows > 0 or resolved.data.folds is not None
    allowed = [*watchable(task, resolved.loss, validated=validated), PARAMETER_COUNT]
    asked = [
        (f"/objectives/{place}/metric" if spec.objectives else "/objective/metric", objective.metric)
        for place, objective in enumerate(spec.compared)
    ]
    asked += [(f"/constraints/{place}/metric", one.metric) for place, one in enumerate(spec.constraints)]
    for pointer, metric in asked:
        if metric not in allowed:
            refuse(pointer, metric, f"{metric!r} is no figure of these jobs", allowed)
    return [
        f"{one.metric} is {one.direction}d, which looks for the worst: direction should be "
        f"{'minimize' if one.direction == 'maximize' else 'maximize'}"
        for one in spec.compared
        if one.metric != PARAMETER_COUNT and is_error(one.metric) is not (one.direction == "minimize")
    ]


def _count(spec: SweepSpec) -> int | None:
    most = most_trials(spec)
    if spec.trials is None:
        if most is None and spec.time_limit_s is None:
            allowed = 'an integer from 1 to 100000; or time_limit_s; or "sampler": "grid"'
            refuse("/trials", None, "it is required", allowed)
        return most
    if most is not None and spec.trials > most:
        refuse("/trials", spec.trials, f"the grid has {most} points", f"an integer from 1 to {most}")
    if spec.trials < len(spec.points):
        refuse("/trials", spec.trials, f"there are {len(spec.points)} points", f"at least {len(spec.points)}")
    return spec.trials


def _allowed(dimension: Dimension) -> Any:
    bounds = bounds_of(dimension)
    return list(values_of(dimension) or ()) if bounds is None else f"a number from {bounds[0]:g} to {bounds[1]:g}"
