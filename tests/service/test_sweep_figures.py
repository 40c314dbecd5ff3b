"""Figures of sweeps: strict JSON whatever the trials are, the same trials in both forms, a sentence where empty."""

from __future__ import annotations

import itertools
import math
from typing import Any

import orjson
import plotly.io
import pytest

from service.errors import InvalidRequest
from service.sweeps.figures import FIGURES, figure
from service.sweeps.plotly_figures import MOST, plotly_figure
from service.sweeps.trial import Trial, TrialStatus
from tests.service.made_trials import RATE, TWO, chance_trials, failed, sweep, trial

ONE: list[Any] = [{"objective": {"metric": "validation_loss"}}, {"objective": {"metric": "a", "direction": "maximize"}}]
THREE = [*TWO, {"metric": "validation_loss"}]
FOUR = [*THREE, {"metric": "validation_f1", "direction": "maximize"}]


def finite(value: Any) -> bool:
    """Whether all of it is, which a strict reader of JSON needs."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and finite(each) for key, each in value.items())
    if isinstance(value, list):
        return all(map(finite, value))
    return math.isfinite(value) if isinstance(value, float) else value is None or isinstance(value, str | int)


def both(name: str, spec: Any, trials: list[Trial], **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The figure as plain data and as Plotly's, each held against what all figures are."""
    plain, drawn = figure(name, spec, trials, **options), plotly_figure(name, spec, trials, **options)
    assert finite(plain)
    assert finite(drawn)
    assert orjson.loads(orjson.dumps(plain)) == plain
    assert plain["name"] == name
    assert set(drawn) == {"data", "layout"}
    plotly.io.from_json(orjson.dumps(drawn).decode())
    if not drawn["data"]:
        (words,) = drawn["layout"]["annotations"]
        assert words["text"] == drawn["layout"]["meta"]["note"]
    return plain, drawn


@pytest.mark.parametrize(("name", "count"), [*itertools.product(FIGURES, [0, 1, 2, 25])])
def test_every_figure_is_strict_json_whatever_the_trials_are(name: str, count: int) -> None:
    for seed, more in enumerate([*ONE, *({"objectives": each} for each in (TWO, THREE, FOUR))]):
        limited = {"constraints": [{"metric": "parameter_count", "max": 5}]} if seed % 2 else {}
        for space in (sweep().space, RATE):
            spec = sweep(**more, **limited, space=space)
            both(name, spec, chance_trials(spec, count, seed))


@pytest.mark.parametrize("name", FIGURES)
def test_trials_that_are_all_alike_are_drawn_or_it_says_why_not(name: str) -> None:
    spec = sweep()
    alike = chance_trials(spec, 1, 3)[0].params
    same_value = [trial(number, 0.5, params=each.params) for number, each in enumerate(chance_trials(spec, 9, 3))]
    same_point = [trial(number, float(number), params=alike) for number in range(9)]
    for trials in (same_value, same_point, [failed(number) for number in range(9)]):
        both(name, spec, trials)


def test_what_has_nothing_to_show_says_why() -> None:
    said = {name: both(name, sweep(), [failed(0)]) for name in FIGURES}
    assert {drawn["layout"]["meta"]["note"] for _, drawn in said.values()} == {
        plain["note"] for plain, _ in said.values()
    }
    assert said["history"][0]["note"] == "none of the 1 trials has succeeded"
    assert said["pareto_front"][0]["note"] == "there is one objective, and so no front: the best trial is one"
    assert said["intermediate_values"][0]["note"] == "no trial has reported an epoch"
    assert both("contour", sweep(space=RATE), [trial(0, 1.0)])[0]["note"].startswith("a contour needs two paths")


def test_the_history_has_the_best_so_far() -> None:
    trials = [trial(0, 3.0), failed(1), trial(2, 2.0), trial(3, 2.5), trial(4, math.nan)]
    plain, drawn = both("history", sweep(), trials)
    assert plain["series"][0]["points"] == [
        {"trial": 0, "value": 3.0, "best": 3.0, "feasible": True},
        {"trial": 2, "value": 2.0, "best": 2.0, "feasible": True},
        {"trial": 3, "value": 2.5, "best": 2.0, "feasible": True},
    ]
    assert [point for point in drawn["data"][0]["y"] if point is not None] == [3.0, 2.0, 2.5]


def test_values_are_shown_as_they_were_given() -> None:
    spec = sweep()
    hidden = [{"units": 32, "activation": "tanh"}]
    trials = [trial(0, 1.0, params={"network.hidden": hidden, "early_stopping": None}), trial(1, 2.0)]
    (line, other) = figure("parallel_coordinates", spec, trials)["lines"]
    assert line["params"] == {"early_stopping": None, "network.hidden": hidden, "optimizer.learning_rate": None}
    assert other["params"]["optimizer.learning_rate"] == 0.2
    shown = {each["path"]: each for each in figure("slices", spec, trials)["slices"]}
    assert shown["network.hidden"]["points"] == [{"trial": 0, "values": [1.0], "feasible": True, "x": hidden}]
    assert shown["optimizer.learning_rate"]["scale"] == "log"


def test_a_contour_is_of_the_paths_that_are_asked_for_or_matter_most() -> None:
    spec = sweep()
    trials = [
        trial(each.number, math.log10(each.params["optimizer.learning_rate"]) ** 2, params=each.params)
        for each in chance_trials(spec, 100, 1)
    ]
    assert figure("contour", spec, trials)["x"] == {"path": "optimizer.learning_rate", "scale": "log"}
    plain, drawn = both("contour", spec, trials, paths=["seed", "batch_size"])
    assert (plain["x"]["path"], plain["y"]["path"]) == ("seed", "batch_size")
    assert {drawn["layout"][axis]["title"]["text"] for axis in ("xaxis", "yaxis")} == {"seed", "batch_size"}
    assert len(plain["points"]) == 100


def test_intermediate_values_are_those_of_every_trial() -> None:
    pruned = trial(1, status=TrialStatus.PRUNED, intermediate={1: 5.0, 2: None}, pruned_at=2)
    plain, drawn = both("intermediate_values", sweep(), [trial(0, 1.0, intermediate={2: 1.0, 1: math.inf}), pruned])
    assert plain["lines"] == [
        {"trial": 0, "status": "succeeded", "epochs": [1, 2], "values": [None, 1.0]},
        {"trial": 1, "status": "pruned", "epochs": [1, 2], "values": [5.0, None]},
    ]
    assert [(line["name"], line["y"]) for line in drawn["data"]] == [("Trial0", [1.0]), ("Trial1", [5.0])]


def test_a_front_names_the_best() -> None:
    spec, trials = sweep(objectives=TWO), [trial(0, 0.9, 9.0), trial(1, 0.5, 1.0), trial(2, 0.5, 9.0)]
    plain, drawn = both("pareto_front", spec, trials)
    assert [point["best"] for point in plain["points"]] == [True, True, False]
    assert plain["metrics"] == ["validation_accuracy", "parameter_count"]
    assert [sorted(group["x"]) for group in drawn["data"]] == [[0.5], [0.5, 0.9]]


@pytest.mark.parametrize("name", ["history", "slices", "contour", "parallel_coordinates"])
def test_of_several_objectives_one_may_be_asked_for(name: str) -> None:
    spec = sweep(objectives=TWO)
    trials = chance_trials(spec, 30, 4)
    first, second = (plotly_figure(name, spec, trials, metric=objective["metric"]) for objective in TWO)
    assert "parameter_count" in str(second)
    assert "parameter_count" not in str(first)
    with pytest.raises(InvalidRequest, match="metric 'x' is not compared; allowed are validation_accuracy, para"):
        plotly_figure(name, spec, trials, metric="x")


@pytest.mark.parametrize("name", MOST)
def test_of_very_many_trials_the_best_are_drawn(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MOST, name, 5)
    spec = sweep()
    trials = [
        trial(each.number, float(-each.number), params=each.params, intermediate={1: 1.0})
        for each in chance_trials(spec, 20, 5)
    ]
    drawn = plotly_figure(name, spec, trials, ["seed", "batch_size"])
    assert drawn["layout"]["meta"]["note"] == "of 20 trials the best 5 are drawn"
    if name == "intermediate_values":
        assert [line["name"] for line in drawn["data"]] == [f"Trial{number}" for number in range(15, 20)]


@pytest.mark.parametrize(
    ("name", "paths", "pointer", "allowed"),
    [
        ("scatter", [], "/figure", "history"),
        ("slices", ["network.width"], "/path", "optimizer.learning_rate"),
        ("contour", ["seed"], "/path", "two different paths, or none"),
        ("contour", ["seed", "seed"], "/path", "two different paths, or none"),
    ],
)
def test_what_cannot_be_drawn_is_named(name: str, paths: list[str], pointer: str, allowed: str) -> None:
    for make in (figure, plotly_figure):
        with pytest.raises(InvalidRequest) as refused:
            make(name, sweep(), [], paths)
        (error,) = refused.value.errors
        assert error.pointer == pointer
        assert allowed in error.allowed
