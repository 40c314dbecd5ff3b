"""The figures of a sweep as plain data: what each shows, for whoever draws it. Knows no store and no Plotly.

Every figure has `name`, `note` (why it is empty, or null) and its data; all values are JSON, as they were given. Only
trials that can be compared have a place in one, but for the intermediate values, which all trials have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from service.errors import FieldError, InvalidRequest
from service.spec import SweepSpec
from service.spec.sweep import Categorical, Dimension, Grid, LogInt, LogUniform
from service.sweeps.importances import importances
from service.sweeps.ranking import best_trials, compared
from service.sweeps.results import nothing_compared
from service.sweeps.space import in_order
from service.sweeps.trial import Trial

Figure = dict[str, Any]
Trials = Sequence[Trial]


def figure(name: str, spec: SweepSpec, trials: Trials, paths: Sequence[str] = ()) -> Figure:
    """One of FIGURES; `paths`, where it draws any, are those that it is of.

    Raises: InvalidRequest naming `figure` or `path`.
    """
    return {"name": name, **FIGURES[check_figure(name, spec, paths)](spec, trials, paths)}


def check_figure(name: str, spec: SweepSpec, paths: Sequence[str]) -> str:
    """The name, if there is such a figure and it can be of these paths. Raises: InvalidRequest."""
    if name not in FIGURES:
        error = FieldError("/figure", name[:200], "there is no such figure", list(FIGURES))
        raise InvalidRequest(f"there is no figure {name[:200]!r}; allowed are {', '.join(FIGURES)}", errors=[error])
    unknown = next((path for path in paths if path not in spec.space), None)
    if unknown is not None:
        allowed = in_order(spec.space)
        error = FieldError("/path", unknown[:200], "the sweep does not vary it", allowed)
        raise InvalidRequest(f"path {unknown[:200]!r} is not varied; allowed are {', '.join(allowed)}", errors=[error])
    if name == "contour" and paths and len(set(paths)) != 2:
        error = FieldError("/path", list(paths), "a contour has two axes", "two different paths, or none")
        raise InvalidRequest(f"a contour is of two different paths, not of {list(paths)}", errors=[error])
    return name


def _history(spec: SweepSpec, trials: Trials, _: Sequence[str]) -> Figure:
    series = []
    for place, objective in enumerate(spec.compared):
        better = max if objective.direction == "maximize" else min
        best: float | None = None
        points = []
        for trial in compared(spec, trials):
            value = _values(trial)[place]
            if trial.feasible:
                best = value if best is None else better(best, value)
            points.append({"trial": trial.number, "value": value, "best": best, "feasible": trial.feasible})
        series.append({"metric": objective.metric, "direction": objective.direction, "points": points})
    return {"note": empty(spec, trials), "series": series}


def _slices(spec: SweepSpec, trials: Trials, paths: Sequence[str]) -> Figure:
    there = compared(spec, trials)
    slices = [
        {
            **axis(spec, path),
            "points": [{**_point(trial), "x": trial.params[path]} for trial in there if path in trial.params],
        }
        for path in drawn_paths(spec, trials, paths)
    ]
    return {"note": empty(spec, trials), "metrics": _metrics(spec), "slices": slices}


def _parallel_coordinates(spec: SweepSpec, trials: Trials, paths: Sequence[str]) -> Figure:
    axes = drawn_paths(spec, trials, paths)
    lines = [
        {**_point(trial), "params": {path: trial.params.get(path) for path in axes}} for trial in compared(spec, trials)
    ]
    axes_json = [axis(spec, path) for path in axes]
    return {"note": empty(spec, trials), "metrics": _metrics(spec), "axes": axes_json, "lines": lines}


def _contour(spec: SweepSpec, trials: Trials, paths: Sequence[str]) -> Figure:
    pair = contour_paths(spec, trials, paths)
    note = empty(spec, trials) or why_no_contour(spec, trials, pair)
    if note:
        return {"note": note, "metrics": _metrics(spec), "x": None, "y": None, "points": []}
    x, y = pair
    points = [
        {**_point(trial), "x": trial.params[x], "y": trial.params[y]}
        for trial in compared(spec, trials)
        if x in trial.params and y in trial.params
    ]
    return {"note": None, "metrics": _metrics(spec), "x": axis(spec, x), "y": axis(spec, y), "points": points}


def why_no_contour(spec: SweepSpec, trials: Trials, pair: Sequence[str]) -> str | None:
    """Why these paths have no contour, in a sentence."""
    if len(pair) < 2:
        return f"a contour needs two paths that trials have values of, and there is {', '.join(pair) or 'none'}"
    x, y = pair
    if not any(x in trial.params and y in trial.params for trial in compared(spec, trials)):
        return f"no trial has a value of both {x} and {y}"
    return None


def _intermediate_values(spec: SweepSpec, trials: Trials, _: Sequence[str]) -> Figure:
    lines = [
        {
            "trial": trial.number,
            "status": trial.status.value,
            "epochs": sorted(trial.intermediate),
            "values": [finite(trial.intermediate[epoch]) for epoch in sorted(trial.intermediate)],
        }
        for trial in sorted(trials, key=lambda trial: trial.number)
        if trial.intermediate
    ]
    return {"note": None if lines else NO_EPOCH, "metric": spec.compared[0].metric, "lines": lines}


def _pareto_front(spec: SweepSpec, trials: Trials, _: Sequence[str]) -> Figure:
    best = {trial.number for trial in best_trials(spec, trials)}
    points = [{**_point(trial), "best": trial.number in best} for trial in compared(spec, trials)]
    note = ONE_OBJECTIVE if len(spec.compared) == 1 else empty(spec, trials)
    return {"note": note, "metrics": _metrics(spec), "points": [] if note else points}


def _importances(spec: SweepSpec, trials: Trials, _: Sequence[str]) -> Figure:
    return importances(spec, trials).to_json()


NO_EPOCH: Final = "no trial has reported an epoch"
ONE_OBJECTIVE: Final = "there is one objective, and so no front: the best trial is one"
FIGURES: Mapping[str, Callable[[SweepSpec, Trials, Sequence[str]], Figure]] = {
    "history": _history,
    "slices": _slices,
    "parallel_coordinates": _parallel_coordinates,
    "contour": _contour,
    "intermediate_values": _intermediate_values,
    "pareto_front": _pareto_front,
    "importances": _importances,
}


def drawn_paths(spec: SweepSpec, trials: Trials, paths: Sequence[str]) -> list[str]:
    """Those that are asked for, or all that the trials which can be compared have values of."""
    there = {path for trial in compared(spec, trials) for path in trial.params}
    return [path for path in in_order(spec.space) if path in there and (not paths or path in paths)]


def contour_paths(spec: SweepSpec, trials: Trials, paths: Sequence[str]) -> list[str]:
    """The two that are asked for, in that order; or the two that matter most."""
    there = drawn_paths(spec, trials, paths)
    if paths:
        return [path for path in dict.fromkeys(paths) if path in there]
    weights = importances(spec, trials).values if len(there) > 2 else {}
    return sorted(there, key=lambda path: -weights.get(path, 0.0))[:2]


def empty(spec: SweepSpec, trials: Trials) -> str | None:
    """Why nothing can be drawn, in a sentence; None where something can."""
    return None if compared(spec, trials) else nothing_compared(spec, trials)


def axis(spec: SweepSpec, path: str) -> dict[str, str]:
    """A path, and how its values lie: by themselves, by their logarithm, or as categories."""
    return {"path": path, "scale": scale_of(spec.space[path])}


def scale_of(dimension: Dimension) -> str:
    """How the values of a path are best drawn."""
    if isinstance(dimension, LogUniform | LogInt):
        return "log"
    return "categorical" if isinstance(dimension, Categorical | Grid) else "linear"


def finite(value: float | None) -> float | None:
    """The number, or None for what is none."""
    return value if value is not None and math.isfinite(value) else None


def _point(trial: Trial) -> dict[str, Any]:
    return {"trial": trial.number, "values": list(_values(trial)), "feasible": trial.feasible}


def _values(trial: Trial) -> tuple[float, ...]:
    return trial.values or ()


def _metrics(spec: SweepSpec) -> list[str]:
    return [objective.metric for objective in spec.compared]
