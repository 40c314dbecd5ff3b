"""The figures of a sweep as Plotly draws them, by `optuna.visualization`. Knows no store.

A figure is `{"data": […], "layout": {…}}`, which `Plotly.newPlot` and `plotly.io.from_json` take. What has nothing to
show is empty and says why. A figure that would have a trace a trial, or a cell for each pair of values, is of the best
trials alone where there are very many; its `layout.meta.note` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import plotly.graph_objects as graph
from optuna import visualization as draw
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.study import Study

from service import strict_json
from service.errors import FieldError, InvalidRequest
from service.spec import SweepSpec
from service.sweeps.figures import (
    NO_EPOCH,
    ONE_OBJECTIVE,
    Figure,
    Trials,
    check_figure,
    contour_paths,
    drawn_paths,
    empty,
    finite,
    why_no_contour,
)
from service.sweeps.importances import importances
from service.sweeps.ranking import compared, from_the_best, is_compared
from service.sweeps.shown import quiet, shown_study
from service.sweeps.trial import Trial, TrialStatus

MOST = {"parallel_coordinates": 1000, "intermediate_values": 1000, "contour": 150}  # trials that are drawn
NO_DATA = "there is nothing to draw yet"
MOST_AXES = 3  # of a front


def plotly_figure(
    name: str, spec: SweepSpec, trials: Trials, paths: Sequence[str] = (), metric: str | None = None
) -> Figure:
    """One of FIGURES as Plotly's JSON; of several objectives, `metric` is the one that it is of.

    Raises: InvalidRequest naming `figure`, `path` or `metric`.
    """
    check_figure(name, spec, paths)
    place = None if metric is None else _place(spec, metric)
    note = _WHY_EMPTY.get(name, _nothing)(spec, trials, paths)
    if note:
        return empty_figure(name, note)
    shown = _the_best(spec, trials, MOST.get(name, len(trials)))
    said = f"of {len(trials)} trials the best {len(shown)} are drawn" if len(shown) < len(trials) else None
    with quiet():
        made = _DRAWN[name](_Drawing(spec, trials, shown_study(spec, shown), paths, place))
        return _plain(made, said) if made.data else empty_figure(name, NO_DATA)


def empty_figure(name: str, note: str) -> Figure:
    """A figure of nothing that says why."""
    words = {"text": note, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "showarrow": False}
    hidden = {"visible": False}
    layout = {"title": {"text": name}, "annotations": [words], "xaxis": hidden, "yaxis": hidden, "meta": {"note": note}}
    return {"data": [], "layout": layout}


@dataclass(frozen=True)
class _Drawing:
    """What is drawn: the trials that the study shows, by these paths."""

    spec: SweepSpec
    trials: Trials
    study: Study
    asked: Sequence[str]
    place: int | None  # of the objective that is asked for

    @property
    def paths(self) -> list[str]:
        """Those that are drawn."""
        return drawn_paths(self.spec, self.trials, self.asked)

    @property
    def objective(self) -> dict[str, Any]:
        """The one that is drawn, the first of several, as Optuna is told."""
        place = self.place or 0
        named = {"target_name": self.spec.compared[place].metric}
        return named if len(self.spec.compared) == 1 else {**named, "target": lambda trial: trial.values[place]}


def _history(drawing: _Drawing) -> graph.Figure:
    return draw.plot_optimization_history(drawing.study, **drawing.objective)


def _slices(drawing: _Drawing) -> graph.Figure:
    return draw.plot_slice(drawing.study, drawing.paths, **drawing.objective)


def _parallel_coordinates(drawing: _Drawing) -> graph.Figure:
    all_at_once = drawing.place is None and len(drawing.spec.compared) > 1
    return draw.plot_parallel_coordinate(drawing.study, drawing.paths, **({} if all_at_once else drawing.objective))


def _contour(drawing: _Drawing) -> graph.Figure:
    pair = contour_paths(drawing.spec, drawing.trials, drawing.asked)
    return draw.plot_contour(drawing.study, pair, **drawing.objective)


def _intermediate_values(drawing: _Drawing) -> graph.Figure:
    return draw.plot_intermediate_values(drawing.study)


def _pareto_front(drawing: _Drawing) -> graph.Figure:
    names = [objective.metric for objective in drawing.spec.compared][:MOST_AXES]
    return draw.plot_pareto_front(drawing.study, target_names=names, targets=lambda trial: trial.values[:MOST_AXES])


def _importances(drawing: _Drawing) -> graph.Figure:
    if len(drawing.spec.compared) == 1:
        return draw.plot_param_importances(drawing.study, evaluator=PedAnovaImportanceEvaluator())
    # Optuna's own has an objective at a time, and takes each for one to be minimised.
    found = list(importances(drawing.spec, drawing.trials).values.items())[::-1]
    bars = graph.Bar(x=[weight for _, weight in found], y=[path for path, _ in found], orientation="h")
    return graph.Figure(bars, {"title": {"text": "Hyperparameter Importances for the Pareto front"}})


_DRAWN: Mapping[str, Callable[[_Drawing], graph.Figure]] = {
    "history": _history,
    "slices": _slices,
    "parallel_coordinates": _parallel_coordinates,
    "contour": _contour,
    "intermediate_values": _intermediate_values,
    "pareto_front": _pareto_front,
    "importances": _importances,
}


def _nothing(spec: SweepSpec, trials: Trials, _: Sequence[str]) -> str | None:
    return empty(spec, trials)


def _no_contour(spec: SweepSpec, trials: Trials, paths: Sequence[str]) -> str | None:
    pair = contour_paths(spec, trials, paths)
    note = empty(spec, trials) or why_no_contour(spec, trials, pair)
    if note:
        return note
    for path in pair:
        values = {strict_json.encode(trial.params[path]) for trial in compared(spec, trials) if path in trial.params}
        if len(values) == 1:
            return f"a contour needs two values of each path, and all trials have the same {path}"
    return None


def _no_epochs(spec: SweepSpec, trials: Trials, _: Sequence[str]) -> str | None:
    shown = (trial for trial in trials if not trial.status.ended or _is_pruned(trial) or is_compared(spec, trial))
    some = any(finite(value) is not None for trial in shown for value in trial.intermediate.values())
    return None if some else NO_EPOCH


def _is_pruned(trial: Trial) -> bool:
    return trial.status is TrialStatus.PRUNED


def _no_front(spec: SweepSpec, trials: Trials, _: Sequence[str]) -> str | None:
    return ONE_OBJECTIVE if len(spec.compared) == 1 else empty(spec, trials)


def _no_weights(spec: SweepSpec, trials: Trials, _: Sequence[str]) -> str | None:
    return importances(spec, trials).note


_WHY_EMPTY: Mapping[str, Callable[[SweepSpec, Trials, Sequence[str]], str | None]] = {
    "contour": _no_contour,
    "intermediate_values": _no_epochs,
    "pareto_front": _no_front,
    "importances": _no_weights,
}


def _the_best(spec: SweepSpec, trials: Trials, most: int) -> Trials:
    """No more trials than that, the best; then those that cannot be compared."""
    if len(trials) <= most:
        return trials
    found = list(islice(from_the_best(spec, trials), most))
    return [*found, *(trial for trial in trials if not is_compared(spec, trial))][:most]


def _place(spec: SweepSpec, metric: str) -> int:
    names = [objective.metric for objective in spec.compared]
    if metric not in names:
        error = FieldError("/metric", metric[:200], "the sweep does not compare it", names)
        raise InvalidRequest(f"metric {metric[:200]!r} is not compared; allowed are {', '.join(names)}", errors=[error])
    return names.index(metric)


def _plain(made: graph.Figure, note: str | None) -> Figure:
    """The figure with lists for arrays, and null for what is not finite."""
    layout = made.layout.to_plotly_json()
    if note:
        layout = {**layout, "meta": {"note": note}}
    found: Figure = strict_json.decode(
        strict_json.encode({"data": [trace.to_plotly_json() for trace in made.data], "layout": layout})
    )
    return found
