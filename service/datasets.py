"""What a data set is: its record, in which all stands that resolving a job needs. Knows neither Redis nor files.

The data itself is one Parquet file of the columns that are not ignored (`path`), under a name made of its id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from service import strict_json

ColumnType = Literal["numeric", "categorical", "boolean", "ignore"]
ColumnKind = Literal["integer", "float", "text", "boolean"]
Label = str | int | float | bool
Task = Literal["regression", "binary", "multiclass", "multilabel"]

AUTO_CLASSES = 20  # whole numbers with at most so many distinct values are classes
_FORMAT = 1
_PUBLIC = ("id", "name", "rows", "target", "task", "classes", "warnings", "sha256", "created_at")
_PUBLIC_COLUMN = ("name", "type", "missing", "distinct", "minimum", "maximum")
_TYPES: Mapping[str, type] = {"integer": int, "float": float, "text": str, "boolean": bool}


@dataclass(frozen=True)
class Column:
    """One column: what it is, and what resolving a job must know of its values."""

    name: str
    type: ColumnType
    kind: ColumnKind  # how its values were uploaded; classes are answered in it
    missing: int = 0
    distinct: int = 0
    levels: tuple[Label, ...] | None = None  # numbers by value, text by code point; None: too many to be classes
    rarest: int = 0  # rows of the level that has the fewest; 0: not counted
    whole: bool = False  # every value is a whole number
    minimum: float | None = None  # of numbers
    maximum: float | None = None

    @property
    def categorical(self) -> bool:
        """Its values are levels: one-hot as a feature, classes as a target."""
        return self.type in ("categorical", "boolean")

    @property
    def holds_classes(self) -> bool:
        """Whether `task: auto` takes it, as a target, for classes."""
        return self.categorical or (self.whole and self.distinct <= AUTO_CLASSES)

    @property
    def constant(self) -> bool:
        """It has one value in every row."""
        return self.distinct == 1 and not self.missing

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Column:
        """The column of a record."""
        levels = document["levels"]
        typed = None if levels is None else tuple(typed_label(document["kind"], level) for level in levels)
        return cls(**{**document, "levels": typed})


@dataclass(frozen=True)
class Dataset:
    """A data set as its record says; never changed, only forgotten."""

    id: str
    tenant: str | None  # None: built in, everybody's
    name: str
    rows: int
    columns: tuple[Column, ...]
    target: str
    task: Task
    classes: tuple[Label, ...]  # in the order of output units; empty for regression
    warnings: tuple[str, ...]
    sha256: str  # of the bytes as they were uploaded
    created_at: str
    path: str  # of the columns in the artifact store
    overrides: Mapping[str, str] = field(default_factory=dict)  # column types that the upload asked for

    def column(self, name: str) -> Column | None:
        """The column of this name, if there is one."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def identity(self) -> str:
        """What makes an upload under the same name the same data set: its bytes, target and column types."""
        return identity(self.sha256, self.target, self.overrides)

    @property
    def content(self) -> list[Any]:
        """What its values are, in a document that tells it from others: its bytes, and how its columns are taken."""
        return [self.sha256, dict(self.overrides)]

    def to_document(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        return {"format": _FORMAT, **asdict(self)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Dataset:
        """The data set of a record that `to_document` made."""
        fields = {name: value for name, value in document.items() if name != "format"}
        columns = tuple(Column.from_document(column) for column in fields["columns"])
        target = next(column for column in columns if column.name == fields["target"])
        classes = tuple(typed_label(target.kind, label) for label in fields["classes"])
        return cls(**{**fields, "columns": columns, "classes": classes, "warnings": tuple(fields["warnings"])})

    def public(self) -> dict[str, Any]:
        """The data set as users see it; levels stay out, they may be thousands."""
        columns = [{name: getattr(column, name) for name in _PUBLIC_COLUMN} for column in self.columns]
        return {**{name: getattr(self, name) for name in _PUBLIC}, "columns": columns, "builtin": self.tenant is None}


def typed_label(kind: ColumnKind, label: Label) -> Label:
    """A label in the type that it was uploaded in, whatever a document on its way made of 1.0."""
    typed: Label = _TYPES[kind](label)
    return typed


def label_text(label: Label) -> str:
    """A label as a key of JSON: as JSON writes it, text without its quotes."""
    return label if isinstance(label, str) else strict_json.encode(label)


def task_of(column: Column) -> Task:
    """The task that `auto` makes of a target."""
    if not column.holds_classes:
        return "regression"
    return "binary" if column.distinct == 2 else "multiclass"


def choice_warning(column: Column, task: Task) -> str | None:
    """Whole numbers may be classes or amounts: what was chosen is said, always."""
    if not column.whole or column.categorical:
        return None
    if task == "regression":
        why = f"more than {AUTO_CLASSES} of its values differ"
        if column.holds_classes:  # then it is one of several targets
            why = "not every target is a column of two classes"
        taken = f"numbers to predict (regression), since {why}"
    else:
        taken = f"{column.distinct} classes ({task}), since at most {AUTO_CLASSES} of its values differ"
    return f"target {column.name!r} holds whole numbers; they are taken for {taken}; data.task may choose otherwise"


def constant_warning(columns: Iterable[Column]) -> str | None:
    """Columns that say nothing stay, so that a model takes every column of its data; they are named."""
    names = [repr(column.name) for column in columns if column.constant and column.type != "ignore"]
    if not names:
        return None
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"{len(names)} column(s) hold one value in every row: {', '.join(names[:10])}{more}; they stay, with scale 1"


def constant_target_warning(targets: Iterable[Column]) -> str | None:
    """Of numbers that are all the same nothing can be learned; classes like that are refused."""
    names = ", ".join(repr(column.name) for column in targets if column.constant)
    return f"target {names} holds one value in every row: there is nothing to learn" if names else None


def identity(sha256: str, target: str, overrides: Mapping[str, str]) -> str:
    """`Dataset.identity` of what is not a data set yet."""
    document = strict_json.encode([sha256, target, dict(overrides)])
    return hashlib.sha256(document.encode()).hexdigest()
