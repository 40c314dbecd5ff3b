"""Whether another data set has what a job or a model takes: its columns, of the same kinds, and no other class.

Told from the records alone. Levels of features may be others: a level that is not known is encoded as none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from service.datasets import Column, ColumnKind, Dataset, Label, Task
from service.features import SHOWN_LEVELS, OneHot
from service.resolution.refusal import refuse
from service.resolution.weights import check_sample_weight
from service.spec import DataSpec
from service.strict_json import quoted
from service.transform import Transform

_WORDS: Final[Mapping[ColumnKind, str]] = {
    "integer": "numbers",
    "float": "numbers",
    "text": "text",
    "boolean": "true and false",
}


@dataclass(frozen=True)
class Need:
    """What a column of another data set has to be."""

    name: str
    holds: str  # one of _WORDS
    missing: bool = False  # whether values may be missing
    classes: tuple[Label, ...] | None = None  # None: any value


def needs_of_job(data: DataSpec, features: Iterable[Column], targets: Iterable[Column], task: Task) -> list[Need]:
    """What a job's columns ask of another data set."""
    may_miss = data.missing != "refuse"
    return [
        *(Need(column.name, _WORDS[column.kind], missing=may_miss) for column in features),
        *(
            Need(column.name, _WORDS[column.kind], classes=None if task == "regression" else column.levels)
            for column in targets
        ),
    ]


def needs_of_model(transform: Transform) -> list[Need]:
    """What a model's transform asks of a data set with targets."""
    target = transform.target
    return [
        *(
            Need(each.name, _WORDS[each.kind] if isinstance(each, OneHot) else "numbers", each.fill is not None)
            for each in transform.features
        ),
        *(
            Need(column.name, _WORDS[column.kind], classes=column.classes if target.holds_classes else None)
            for column in target.columns
        ),
    ]


def check_match(needs: Sequence[Need], weight: str | None, dataset: Dataset, pointer: str) -> None:
    """Hold a data set against what is asked of it, and of its column of sample weights.

    Raises: InvalidSpec naming `pointer`, the data set, its column and what is allowed.
    """
    for need in needs:
        what = _lack(need, dataset.column(need.name))
        if what is not None:
            detail = f"data set {dataset.name!r}: column {need.name!r} {what}"
            refuse(pointer, dataset.name, detail, "a data set " + _described(need))
    if weight is not None:
        column = dataset.column(weight)
        if column is None or column.type == "ignore":
            detail = f"data set {dataset.name!r}: column {weight!r} is not there"
            refuse(pointer, dataset.name, detail, "a data set with the column of data.sample_weight")
        check_sample_weight(column, pointer, dataset.name)


def columns_like(columns: Iterable[Column], dataset: Dataset) -> list[Column]:
    """The columns of the same names in a data set that has been found to match."""
    found = (dataset.column(column.name) for column in columns)
    return [column for column in found if column is not None]


def unseen_warnings(known: Mapping[str, Sequence[Label]], dataset: Dataset, field: str) -> list[str]:
    """What is said of levels that a data set has beyond the `known` ones of each column; `field` names the data set."""
    found = []
    for name, levels in known.items():
        column = dataset.column(name)
        others = [level for level in (column.levels if column else None) or () if level not in levels]
        if others:
            shown = ", ".join(map(quoted, others[:SHOWN_LEVELS])) + (" …" if len(others) > SHOWN_LEVELS else "")
            found.append(f"{field}: column {name!r} has {len(others)} level(s) that training does not know: {shown}")
    return found


def _lack(need: Need, column: Column | None) -> str | None:
    if column is None or column.type == "ignore":
        return "is not there"
    if column.missing and not need.missing:
        return f"has no value in {column.missing} row(s)"
    if column.distinct and _WORDS[column.kind] != need.holds:
        return f"holds {_WORDS[column.kind]}, not {need.holds}"
    if need.classes is not None:
        if column.levels is None:
            return f"has {column.distinct} different values"
        other = [label for label in column.levels if label not in need.classes]
        if other:
            return f"has the class {quoted(other[0])}, which is not known"
    return None


def _described(need: Need) -> str:
    found = f"with {need.holds} in column {need.name!r}"
    if not need.missing:
        found += ", in every row"
    if need.classes is not None:
        more = " …" if len(need.classes) > 10 else ""
        found += f", of the classes {', '.join(map(quoted, need.classes[:10]))}{more}"
    return found
