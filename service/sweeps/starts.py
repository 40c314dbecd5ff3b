"""The models that a sweep's jobs begin with, each by its id: so that an alias that moves changes no later trial.

Knows neither models nor a store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.spec import SweepSpec
from service.spec.sweep import Categorical, Grid

PATH = "warm_start"

Find = Callable[[str], str]  # the id of the model that a name stands for; the name itself where there is none


def with_ids(spec: SweepSpec, find: Find) -> SweepSpec:
    """The sweep with the id in place of each alias: in the base, among the choices, in conditions and fixed points."""
    document = spec.model_dump(mode="json", exclude_unset=True)
    _replace(document["base"], find)
    for path, dimension in document["space"].items():
        for kind in (Categorical.kind, Grid.kind):
            if kind in dimension:
                dimension[kind] = [_with_id(path, choice, find) for choice in dimension[kind]]
        _replace(dimension.get("when") or {}, find)
    for point in document.get("points", ()):
        _replace(point, find)
    return SweepSpec.model_validate(document)


def _replace(values: dict[str, Any], find: Find) -> None:
    values.update({path: _with_id(path, value, find) for path, value in values.items()})


def _with_id(path: str, value: Any, find: Find) -> Any:
    if path == f"{PATH}.model" and isinstance(value, str):
        return find(value)
    if path == PATH and isinstance(value, dict) and isinstance(value.get("model"), str):
        return {**value, "model": find(value["model"])}
    return value
