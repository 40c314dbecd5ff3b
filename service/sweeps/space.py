"""The space of a sweep: which values a path may have, when it counts, and what they make of a job. Knows no Optuna."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from service import strict_json
from service.spec import JobSpec, SweepSpec
from service.spec.sweep import Categorical, Dimension, Grid, Int

Params = Mapping[str, Any]
_SEED = "seed"
_MODULUS = 2**63  # of seeds


def in_order(space: Mapping[str, Dimension]) -> list[str]:
    """The paths, each after those that its `when` asks for, else by name; of a circle nothing is left out."""
    order: list[str] = []
    waiting = sorted(space)
    while waiting:
        ready = [path for path in waiting if not set(space[path].when or ()).intersection(waiting)]
        taken = (ready or waiting)[0]
        order.append(taken)
        waiting.remove(taken)
    return order


def is_active(dimension: Dimension, params: Params) -> bool:
    """Whether it counts where the paths before it have these values."""
    when = dimension.when or {}
    return all(path in params and same(params[path], value) for path, value in when.items())


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1 is 1.0, and true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    return strict_json.encode(one) == strict_json.encode(other)


def values_of(dimension: Dimension) -> Sequence[Any] | None:
    """All values that it may have, in order; None where they are not counted: any number of a range."""
    if isinstance(dimension, Categorical):
        return dimension.categorical
    if isinstance(dimension, Grid):
        return dimension.grid
    if isinstance(dimension, Int):
        low, high = dimension.int
        return range(low, high + 1, dimension.step)
    return None


def bounds_of(dimension: Dimension) -> tuple[float, float] | None:
    """The ends of a range; None where there is none."""
    bounds: tuple[float, float] | None = getattr(dimension, dimension.kind)
    return None if isinstance(dimension, Categorical | Grid) else bounds


def contains(dimension: Dimension, value: Any) -> bool:
    """Whether it may have this value."""
    bounds = bounds_of(dimension)
    if bounds is None:
        return any(same(value, choice) for choice in values_of(dimension) or ())
    if isinstance(value, bool) or not isinstance(value, int | float) or not bounds[0] <= value <= bounds[1]:
        return False
    if dimension.kind in ("uniform", "log_uniform"):
        return True
    return isinstance(value, int) and (
        not isinstance(dimension, Int) or (value - dimension.int[0]) % dimension.step == 0
    )


def job_document(spec: SweepSpec, params: Params, repeat: int = 0) -> dict[str, Any]:
    """The spec of a trial's job as a user would write it: the base with each value in its place, a seed a repeat.

    Raises: ValueError naming the path that leads nowhere.
    """
    document = spec.base.model_dump(mode="json", exclude_unset=True)
    for path in sorted(params, key=lambda path: (path.count("."), path)):  # a whole before its parts
        put(document, path, params[path])
    if repeat:
        document[_SEED] = (document.get(_SEED, spec.base.seed) + repeat) % _MODULUS
    return document


def job_spec(spec: SweepSpec, params: Params, repeat: int = 0) -> JobSpec:
    """The same, checked. Raises: ValueError; pydantic's ValidationError."""
    return JobSpec.model_validate(job_document(spec, params, repeat))


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """Put a value into its place; what stands there as a name or a number of units becomes an object by that name.

    Raises: ValueError naming what cannot be walked into.
    """
    here: Any = document
    *way, last = path.split(".")
    for depth, part in enumerate(way):
        index = _index(here, part, path)
        below = here.get(index) if isinstance(here, dict) else here[index]
        if below is None:
            below = {}
        elif isinstance(below, str):
            below = {"name": below}
        elif isinstance(below, int) and not isinstance(below, bool):
            below = {"units": below}
        elif not isinstance(below, dict | list):
            raise ValueError(f"{'.'.join(way[: depth + 1])} is {strict_json.quoted(below)}, which has no fields")
        here[index] = below
        here = below
    here[_index(here, last, path)] = deepcopy(value)


def _index(here: Any, part: str, path: str) -> Any:
    if not isinstance(here, list):
        return part
    if not part.isascii() or not part.isdecimal() or int(part) >= len(here):
        raise ValueError(f"{part!r} of {path} is no place of a list of {len(here)}")
    return int(part)
