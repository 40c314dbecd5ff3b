"""The values of a sweep's space, each tried in a job's spec: with the first value of every other path that counts then.

What a path that does not exist, or a value that a job does not take, is refused as. Knows no Optuna.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from pydantic import ValidationError

from service.errors import FieldError, InvalidSpec, UnknownDataset, pointer_to
from service.resolution import Resolution
from service.spec import JobSpec, SweepSpec
from service.spec.sweep import Dimension
from service.strict_json import in_words, quoted
from service.sweeps.space import bounds_of, in_order, is_active, job_document, values_of
from service.sweeps.spec_fields import fields_instead

RESOLVED = 200  # values that are held against the data as well; those behind them against the form of a spec alone

Resolve = Callable[[JobSpec], Resolution]


def try_values(spec: SweepSpec, resolve: Resolve) -> tuple[Resolution, list[str]]:
    """What a job of first values is, and the ids of all data sets that jobs may use.

    Raises: InvalidSpec; UnknownDataset.
    """
    params: dict[str, Any] = {}
    for path in in_order(spec.space):
        fields = fields_instead(path)
        if fields is not None:
            refuse(pointer_to("space", path), path, f"a job's spec has no field {path}", fields)
    for path in in_order(spec.space):  # each alone first, so that what is wrong is said of the right one
        if is_active(spec.space[path], params):
            pointer, value = _ends(path, spec.space[path])[0]
            params[path] = value
            _job_at(spec, params, pointer, path)
    first = _resolve_at(spec, params, "/base", resolve)
    datasets = [first.spec.dataset, first.spec.data.validation_dataset]
    tried = 0
    for path in in_order(spec.space):
        for pointer, value in _ends(path, spec.space[path]):
            tried += 1
            params = _setting(spec, _needed(spec, path) | {path: value})
            if tried > RESOLVED:
                _job_at(spec, params, pointer, path)
            else:
                found = _resolve_at(spec, params, pointer, resolve, path)
                datasets += [found.spec.dataset, found.spec.data.validation_dataset]
    return first, list(dict.fromkeys(dataset for dataset in datasets if dataset is not None))


def _ends(path: str, dimension: Dimension) -> list[tuple[str, Any]]:
    """The values that are tried, and where each stands."""
    pointer, bounds = pointer_to("space", path, dimension.kind), bounds_of(dimension)
    values = list(bounds) if bounds is not None else list(values_of(dimension) or ())
    return [(f"{pointer}/{place}", value) for place, value in enumerate(values)]


def _needed(spec: SweepSpec, path: str) -> dict[str, Any]:
    """The values by which a path counts."""
    needed: dict[str, Any] = {}
    waiting = [path]
    while waiting:
        for other, value in (spec.space[waiting.pop()].when or {}).items():
            if other not in needed:
                needed[other] = value
                waiting.append(other)
    return needed


def _setting(spec: SweepSpec, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each path that counts: those given, else its first one."""
    params: dict[str, Any] = {}
    for path in in_order(spec.space):
        if is_active(spec.space[path], params):
            params[path] = fixed[path] if path in fixed else _ends(path, spec.space[path])[0][1]
    return params


def _job_at(spec: SweepSpec, params: Mapping[str, Any], pointer: str, path: str = "") -> JobSpec:
    """The job of these values. Raises: InvalidSpec that points at `pointer`."""
    value = params.get(path)
    try:
        return JobSpec.model_validate(job_document(spec, params))
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
        messages = dict.fromkeys(str(found["msg"]).removeprefix("Value error, ") for found in errors)
        where = path or ".".join(str(part) for part in errors[0]["loc"])
        refuse(pointer, value, f"a job's {where} does not take it", "; ".join(list(messages)[:4]))
    except ValueError as error:
        refuse(pointer_to("space", path), path, str(error), "a path that leads to a field whatever the others are")


def _resolve_at(
    spec: SweepSpec, params: Mapping[str, Any], pointer: str, resolve: Resolve, path: str = ""
) -> Resolution:
    """What the job of these values is. Raises: InvalidSpec or UnknownDataset that points at `pointer`."""
    job = _job_at(spec, params, pointer, path)
    try:
        return resolve(job)
    except (InvalidSpec, UnknownDataset) as refused:
        inner = refused.errors[0] if refused.errors else FieldError("", None, refused.detail)
        culprit = path or _at_fault(params, inner.pointer)
        where, value = f"{pointer}{inner.pointer}", inner.value
        if culprit is not None:
            where, value = pointer if path else _ends(culprit, spec.space[culprit])[0][0], params[culprit]
        others = {other: params[other] for other in params if other != culprit}
        beside = (
            f" (with {', '.join(f'{other} {quoted(others[other])}' for other in sorted(others))})" if others else ""
        )
        errors = [FieldError(where, value, f"{refused.detail}{beside}", inner.allowed)]
        raise type(refused)(f"{where}: {refused.detail}{beside}", errors=errors) from None


def _at_fault(params: Mapping[str, Any], pointer: str) -> str | None:
    """The path whose value it is that is refused, if it is one."""
    return next((path for path in params if f"{pointer}/".startswith(f"{pointer_to(*path.split('.'))}/")), None)


def refuse(pointer: str, value: Any, detail: str, allowed: Any) -> NoReturn:
    """Refuse a field of the sweep. Raises: InvalidSpec."""
    field = pointer.strip("/").replace("/", ".")
    words = in_words(allowed)
    raise InvalidSpec(f"{field}: {detail}; allowed: {words}", errors=[FieldError(pointer, value, detail, allowed)])
